"""Rules of resizing: each line becomes another, whose pixels are weighted sums of pixels at places between them.

    i  pixel of the result    n, m  pixels of the line and of the result    r = n / m, or 1 / the factor that was given

Pixel i looks at t = r (i + 1/2) - 1/2, or at t = r i, r = (n - 1) / (m - 1), with aligned corners. What it takes there:

    linear        1 - d of each of the two pixels around t, d the distance to it; before the first pixel, the first
    cubic         K(d) of the four around t (Keys 1981 with a = -3/4); beyond an end, the pixel at the end
    antialiased   f(d / s) of all on the line for which it is not 0, divided by their sum, s = max(1, r); f is the hat
                  1 - d, or K with a = -1/2

A line that keeps its size torch copies, whatever the factor, but for cubic weights. It computes places and weights in
floats. Where they are no floats themselves, that counts as roundings of the largest reach on the line (derived in
`rounding`), which is what every pixel of the result is given then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np

from mathdnn.convolution import rounding
from mathdnn.convolution.context import Context, Result

_HALF = Fraction(1, 2)
_FEW_DIGITS = 64  # K of k / 64 is a float32, and so is every number on the way to it
_WIDEST = 16  # times smaller: up to there sums of such weights are floats


class _Line(NamedTuple):
    """How a line of `size` pixels becomes one of `wanted`."""

    size: int
    wanted: int
    ratio: Fraction
    start: Fraction  # 1/2, or 0 with aligned corners
    digits: int  # of the floats in which torch computes places

    def place(self, i: int) -> Fraction:
        return self.ratio * (i + self.start) - self.start

    def moved(self) -> int:
        """The roundings that computed places count for, at most, on a line that is linear between its pixels."""
        products = [self.ratio * (i + self.start) for i in range(self.wanted)]
        each = (rounding.of_position(self.ratio, p, p - self.start, self.digits) for p in products)
        return max(each, default=0)


class _Taps(NamedTuple):
    """For each pixel of the result the pixels that it takes, with their weights, as many for each; what they round."""

    pixels: list[list[int]]
    weights: list[tuple[Fraction, ...]]
    roundings: int
    moved: int = 0


class _Refused(Exception):
    """Why a rule does not apply."""


def _linear(line: _Line) -> _Taps:
    pixels: list[list[int]] = []
    weights: list[tuple[Fraction, ...]] = []
    for i in range(line.wanted):
        place = max(Fraction(0), line.place(i))
        low = min(int(place), line.size - 1)
        share = place - low if low < line.size - 1 else Fraction(0)
        pixels.append([low, min(low + 1, line.size - 1)])
        weights.append((1 - share, share))
    return _Taps(pixels, weights, 3, line.moved())


def keys(d: Fraction, a: Fraction) -> Fraction:
    """Keys' cubic kernel at a distance."""
    if d < 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else Fraction(0)


def _cubic(line: _Line) -> _Taps:
    pixels, weights, odd = [], [], False
    for i in range(line.wanted):
        place = line.place(i)
        low = min(math.floor(place), line.size - 1)
        share = min(max(place - low, Fraction(0)), Fraction(1))
        odd |= _FEW_DIGITS % share.denominator != 0
        pixels.append([min(max(low - 1 + k, 0), line.size - 1) for k in range(4)])
        weights.append(tuple(keys(abs(share + 1 - k), Fraction(-3, 4)) for k in range(4)))
    return _Taps(pixels, weights, 6, rounding.of_cubic(line.moved(), odd))


def _antialiased(line: _Line, *, cubic: bool) -> _Taps:
    if not line.start:
        raise _Refused("it aligns the corners")
    scale = max(Fraction(1), line.ratio)
    reach = scale * (2 if cubic else 1)
    exact, moved, most = line.moved() == 0 and scale <= _WIDEST, 0, 0
    found: list[dict[int, Fraction]] = []
    for i in range(line.wanted):
        place = line.place(i)
        near = range(max(0, math.floor(place - reach) + 1), min(line.size, math.ceil(place + reach)))
        distances = [abs(pixel - place) / scale for pixel in near]
        raw = [keys(d, -_HALF) if cubic else 1 - d for d in distances]
        if not exact or any(_FEW_DIGITS % d.denominator for d in distances):
            off = rounding.of_antialiased(place + _HALF, scale, raw, cubic, line.digits)
            if off is None:
                raise _Refused("its weights are too near to 0 to bound what their floats are off by")
            moved = max(moved, off)
        found.append({pixel: weight / sum(raw) for pixel, weight in zip(near, raw, strict=True)})
        most = max(most, len(raw))
    pixels = [[*taps, *[0] * (most - len(taps))] for taps in found]
    weights = [(*taps.values(), *[Fraction(0)] * (most - len(taps))) for taps in found]
    return _Taps(pixels, weights, 2 * most + 3, moved)


def _resized(context: Context, taps_of: Callable[[_Line], _Taps]) -> Result:
    ids = context.rows(context.argument(0))
    assert ids is not None
    out, align = context.argument(1), context.argument(2)
    digits = rounding.digits(context.node, context.graph)
    roundings = 0
    for axis, wanted in enumerate(out):
        place = ids.ndim - len(out) + axis
        lines = np.moveaxis(ids, place, -1)
        size, scale = lines.shape[-1], context.argument(3 + axis)
        if max(size, wanted) > rounding.LARGEST:
            return "its sizes are too large for the floats in which positions are computed"
        if scale is not None and scale <= 0:
            return "it resizes by a factor that is not above 0"
        if size == wanted and taps_of is not _cubic and not align:
            continue
        if align:
            line = _Line(size, wanted, Fraction(size - 1, max(1, wanted - 1)), Fraction(0), digits)
        else:
            line = _Line(size, wanted, _inverse(scale) if scale else Fraction(size, wanted), _HALF, digits)
        try:
            taps = taps_of(line)
        except _Refused as error:
            return str(error)
        ids = np.moveaxis(_taken(context, lines, taps), -1, place)
        roundings += taps.roundings + taps.moved
    context.roundings = roundings
    return ids


def _inverse(scale: float) -> Fraction:
    """1 / scale. torch computes it as a double: where that is a whole number, as for 1 / 3, nothing rounds."""
    computed = Fraction(1 / scale)
    return computed if computed.denominator == 1 else 1 / Fraction(scale)


def _taken(context: Context, lines: np.ndarray, taps: _Taps) -> np.ndarray:
    """The line of weighted sums: one combination for all pixels of the result that have the same weights."""
    made = np.zeros((*lines.shape[:-1], len(taps.pixels)), np.int64)
    for weights in sorted(set(taps.weights)):
        at = [i for i, own in enumerate(taps.weights) if own == weights]
        near = [lines[..., [taps.pixels[i][k] for i in at]] for k in range(len(weights))]
        made[..., at] = context.combine(near, context.pool.numbers.codes(list(weights)))
    if taps.moved:
        reach, offset = (loss.max(-1, keepdims=True) for loss in context.pool.losses(lines))
        made = context.pool.raised(made, reach, offset)
    return made


linear = partial(_resized, taps_of=_linear)
cubic = partial(_resized, taps_of=_cubic)
antialiased_linear = partial(_resized, taps_of=partial(_antialiased, cubic=False))
antialiased_cubic = partial(_resized, taps_of=partial(_antialiased, cubic=True))
