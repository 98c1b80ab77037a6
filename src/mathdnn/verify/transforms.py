"""The mark that a Fourier transform leaves in a graph: the numbers stay, and what floats have rounded counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.verify.numbers import Absolute, Malformed, clean

if TYPE_CHECKING:
    from mathdnn.verify.graphs import Machine

MARK_OF_TRANSFORM = "fourier"


def _rounded(m: Machine, x: Any, number: Any, power: Any) -> np.ndarray:
    """Each number is off by what the largest of all reaches, number 2^power times."""
    if type(number) is not int or number < 0 or power not in (0, 29):
        raise Malformed(f"{number!r:.40} 2^{power!r:.40} roundings")
    value = clean(m.value(x))
    m.added = number << power
    return np.full_like(value, value.max(initial=0)) if isinstance(m.numbers, Absolute) else value


def has_transforms(side: Any) -> bool:
    """Whether a side is a graph with such a mark."""
    return any(node["op"] == MARK_OF_TRANSFORM for node in side.get("graph", {}).get("nodes", ()))


TRANSFORMS: dict[str, Callable[..., Any]] = {MARK_OF_TRANSFORM: _rounded}
