"""Resized lines, for the checker: every pixel of the result as a weighted sum of the line's pixels.

A pixel's weight is a function of its distance to where the result looks: the hat, or the cubic of Keys (1981). Pixels
that would lie beyond an end are those of the end, or, with antialiasing, left out and the others divided by their sum.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.verify.numbers import Absolute, Malformed, TooMany, clean, require_room
from mathdnn.verify.rounding import LONGEST, of_positions, of_weights

if TYPE_CHECKING:
    from mathdnn.verify.graphs import Machine

Sums = list[dict[int, Fraction]]  # for each pixel of the result: which pixels it takes, how much of each
Table = tuple[list[Fraction], np.ndarray, np.ndarray]  # parts, and in each row a pixel and a part's number for each sum
_BROADEST, _SHORT = 16, 64  # times smaller, and parts of a pixel, for which every weight is a float


def _hat(d: Fraction) -> Fraction:
    return max(Fraction(0), 1 - d)


def _cubic(a: Fraction) -> Callable[[Fraction], Fraction]:
    def weight(d: Fraction) -> Fraction:
        if d >= 2:
            return Fraction(0)
        far = a * (d - 1) * (d - 2) ** 2  # a d^3 - 5 a d^2 + 8 a d - 4 a
        return far if d >= 1 else 1 + d * d * ((a + 2) * d - a - 3)

    return weight


def _centre(i: int, n: int, wanted: int, align: bool, scale: float | None) -> Fraction:
    if align:
        return Fraction(i * (n - 1), max(1, wanted - 1))
    return _ratio(n, wanted, scale) * Fraction(2 * i + 1, 2) - Fraction(1, 2)


def factor(scales: tuple[Any, ...], axis: int) -> float | None:
    """The factor of an axis, None where it follows from the sizes."""
    scale = scales[axis] if axis < len(scales) else None
    if scale is not None and not (type(scale) is float and 0 < scale < math.inf):
        raise Malformed(f"the factor {scale!r:.40}")
    return scale


def positions(i: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """i times a ratio of sizes as torch computes it for the nearest pixel: in float32, and in float64, rounded."""
    return i.astype(np.float32) * np.float32(ratio), (i * ratio).astype(np.float32)


def _ratio(n: int, wanted: int, scale: float | None) -> Fraction:
    """Pixels of the line for one of the result. The inverse of a factor is a double: a whole one is exact."""
    if scale is None:
        return Fraction(n, wanted)
    whole = Fraction(1.0 / scale)
    return whole if whole.denominator == 1 else 1 / Fraction(scale)


def _held(n: int, centres: list[Fraction], weight: Callable[[Fraction], Fraction], radius: int) -> Sums:
    """The line goes on with its end pixels."""
    sums = []
    for centre in centres:
        at = min(max(centre, Fraction(1 - radius)), Fraction(n - 2 + radius))  # from there on all pixels are the end's
        found: dict[int, Fraction] = {}
        for pixel in range(math.floor(at) - radius + 1, math.floor(at) + radius + 1):
            inside = min(max(pixel, 0), n - 1)
            found[inside] = found.get(inside, Fraction(0)) + weight(abs(pixel - at))
        sums.append(found)
    return sums


def _cut(
    n: int, centres: list[Fraction], weight: Callable[[Fraction], Fraction], radius: int, wide: Fraction, bits: int,
    exact: bool,
) -> tuple[Sums, int]:  # fmt: skip
    """The line ends; what is left of the weights is divided by its sum. With the roundings that this counts for."""
    sums, off = [], 0
    for centre in centres:
        first, last = math.floor(centre - radius * wide), math.ceil(centre + radius * wide)
        inside = [p for p in range(max(0, first), min(n - 1, last) + 1) if abs(p - centre) < radius * wide]
        found = {p: weight(abs(p - centre) / wide) for p in inside}
        if not exact or any(_SHORT % (abs(p - centre) / wide).denominator for p in inside):
            off = max(off, of_weights(centre + Fraction(1, 2), wide, list(found.values()), radius == 2, bits))
        whole = sum(found.values())
        if whole <= 0:
            raise Malformed("an antialiased resizing without weights")
        sums.append({p: part / whole for p, part in found.items() if part})
    return sums, off


def _resize(kind: str, weight: Callable[[Fraction], Fraction], radius: int) -> Callable[..., np.ndarray]:
    def rule(m: Machine, x: Any, size: list[int], align: bool, *scales: Any) -> np.ndarray:
        value = clean(m.value(x))
        for k, wanted in enumerate(size):
            axis = value.ndim - len(size) + k
            n, scale = value.shape[axis], factor(scales, k)
            if min(n, wanted) < 1 or (kind == "cut" and align):
                raise Malformed("an empty line, or an antialiased resizing with aligned corners")
            if max(n, wanted) > LONGEST:
                raise TooMany(f"a line too long: {max(n, wanted):,} pixels, and up to {LONGEST:,} are checked")
            if n == wanted and (kind == "cut" or radius == 1):
                continue  # torch copies such a line, whatever the factor, but for cubic weights
            require_room(value.size // n, wanted)
            table, off, terms = line(n, wanted, align, scale, m.precision())
            m.count(terms + off)
            value = _summed(m, value, axis, table, bool(off))
        return value

    @functools.lru_cache(4)  # a graph is run at many images
    def line(n: int, wanted: int, align: bool, scale: float | None, bits: int) -> tuple[Table, int, int]:
        """The sums, what positions count for, and the terms of a sum."""
        centres = [_centre(i, n, wanted, align, scale) for i in range(wanted)]
        off = _off(n, wanted, align, scale, bits)
        if kind == "cut":
            wide = max(Fraction(1), _ratio(n, wanted, scale))
            sums, off = _cut(n, centres, weight, radius, wide, bits, off == 0 and wide <= _BROADEST)
            return _table(sums), off, 2 * max(len(found) for found in sums)
        if radius == 2:
            short = all(_SHORT % centre.denominator == 0 for centre in centres)
            off = math.ceil(Fraction(15 * off, 7)) + (0 if short and not off else 128)
        return _table(_held(n, centres, weight, radius)), off, 2 * radius

    return rule


def _table(sums: Sums) -> Table:
    """The first pixel of every sum, the second, and so on; where a sum has fewer, 0 times the line's first pixel."""
    parts = list(dict.fromkeys(part for found in sums for part in found.values()))
    number = {part: k for k, part in enumerate(parts)}
    places, which = (np.full((max(map(len, sums)), len(sums)), fill) for fill in (0, len(parts)))
    for k, found in enumerate(sums):
        places[: len(found), k] = list(found)
        which[: len(found), k] = [number[part] for part in found.values()]
    return parts, places, which


def _summed(m: Machine, value: np.ndarray, axis: int, table: Table, off: bool) -> np.ndarray:
    parts, places, which = table
    weights = np.array([*map(m.numbers.fraction, parts), 0], dtype=value.dtype)
    sides = [-1 if k == axis else 1 for k in range(value.ndim)]
    made = np.zeros_like(value[:0], shape=(*value.shape[:axis], places.shape[1], *value.shape[axis + 1 :]))
    for row, kinds in zip(places, which, strict=True):
        part = m.numbers.mul(np.take(value, row, axis=axis), weights[kinds].reshape(sides))
        made = m.numbers.add(made, part)
    if off and isinstance(m.numbers, Absolute):  # a position that is off a little may have other neighbours
        made = np.maximum(made, value.max(axis=axis, keepdims=True))
    return made


def _off(n: int, wanted: int, align: bool, scale: float | None, bits: int) -> int:
    """The roundings that positions computed in floats count for."""
    if align:
        return of_positions(Fraction(n - 1, max(1, wanted - 1)), Fraction(0), wanted, bits)
    return of_positions(_ratio(n, wanted, scale), Fraction(1, 2), wanted, bits)


RESAMPLING: dict[str, Callable[..., Any]] = {
    "aten.upsample_linear1d.default": _resize("held", _hat, 1),
    "aten.upsample_bilinear2d.default": _resize("held", _hat, 1),
    "aten.upsample_bicubic2d.default": _resize("held", _cubic(Fraction(-3, 4)), 2),
    "aten._upsample_bilinear2d_aa.default": _resize("cut", _hat, 1),
    "aten._upsample_bicubic2d_aa.default": _resize("cut", _cubic(Fraction(-1, 2)), 2),
}
