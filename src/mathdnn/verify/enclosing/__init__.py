"""Runs a graph on intervals: what it gives over the reals lies within them, whatever floats round.

So a law that affine maps keep is broken where the intervals of its two sides lie apart: no rounding, no sign of a
number near 0, no choice between numbers nearly equal, is taken for more than it is. An operation without a rule, or
one that would have to choose by numbers nearly equal (the place of a maximum), leaves the question open (`Open`).
torch's own functions of float64 are trusted to be off by less than 2^-45 of their argument and result together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mathdnn.verify.enclosing import intervals
from mathdnn.verify.enclosing.intervals import Interval
from mathdnn.verify.enclosing.run import Enclosing
from mathdnn.verify.numbers import Malformed


def apart(graph: dict[str, Any], images: dict[str, np.ndarray], factor: int | None) -> bool:
    """Whether f(z + x + y) = f(z + x) + f(z + y) - f(z), or f(z + a x) = a f(z + x) + (1 - a) f(z), fails over the
    reals at images x, y and z (0 where there is none). Raises `Open`, `Malformed`."""
    if any(image.dtype.kind != "f" or not np.isfinite(image).all() for image in images.values()):
        raise Malformed("images that are no floats")
    if factor not in (None, -1, 2):
        raise Malformed("no such law")
    f, points = Enclosing(graph), {name: _point(image) for name, image in images.items()}
    x, base = points["x"], points.get("z", _point(np.zeros_like(images["x"])))
    at_base, at_x = f.at(base), f.at(_sum(base, x))
    if factor is None:
        y = points["y"]
        found = f.at(_sum(_sum(base, x), y))
        expected = intervals.add(at_x, intervals.add(f.at(_sum(base, y)), intervals.minus(at_base)))
    else:
        number, rest = (_point(np.array(float(n))) for n in (factor, 1 - factor))
        found = f.at(_sum(base, _sum(x, x) if factor == 2 else intervals.minus(x)))
        expected = intervals.add(intervals.mul(number, at_x), intervals.mul(rest, at_base))
    if expected.low.shape != found.low.shape:
        raise Malformed("results of several sizes")
    return bool(((expected.high < found.low) | (found.high < expected.low)).any())


def _point(image: np.ndarray) -> Interval:
    point = torch.from_numpy(image.astype(np.float64))
    return Interval(point, point)


def _sum(a: Interval, b: Interval) -> Interval:
    """Without width where no number is rounded (Knuth 1969)."""
    if not (a.exact and b.exact):
        return intervals.add(a, b)
    whole = a.low + b.low
    part = whole - b.low
    lost = (a.low - part) + (b.low - (whole - part))
    return intervals.add(a, b) if bool((lost != 0).any()) else Interval(whole, whole)
