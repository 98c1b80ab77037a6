"""The compiled kernels' Python face. Where the extension is missing, `available()` is False and callers use torch."""

from __future__ import annotations

import importlib.util
from functools import cache


@cache
def available() -> bool:
    """Whether the compiled kernels were built for this installation."""
    return importlib.util.find_spec("mathdnn.native._native") is not None


def instruction_set() -> str:
    """The best instruction set of this processor that the kernels know: `"avx512"`, `"avx2"`, `"baseline"`."""
    import mathdnn.native._native as kernels

    return kernels.instruction_set()
