"""Intervals for figures and pictures, also where every run gave the same value and no spread is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mathdnn.study import Interval


def or_point(interval: Callable[[Sequence[float]], Interval], values: Sequence[float]) -> Interval:
    """`interval(values)`, or the point that all values are: a picture can show it, a verdict cannot rest on it."""
    if min(values) < max(values):
        return interval(values)
    from mathdnn.study import Interval

    value = float(values[0])
    return Interval(value, value, value, method="every run gave the same value", raw=tuple(map(float, values)))
