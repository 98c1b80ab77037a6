"""The compiled kernels' Python face. Where the extension is missing, `available()` is False and callers use torch."""

from __future__ import annotations


def available() -> bool:
    """Whether the compiled kernels were built for this installation."""
    try:
        from mathdnn.native import _native  # noqa: F401
    except ImportError:
        return False
    return True


def instruction_set() -> str:
    """The best instruction set of this processor that the kernels know: `"avx512"`, `"avx2"`, `"baseline"`."""
    from mathdnn.native import _native

    name: str = _native.instruction_set()
    return name
