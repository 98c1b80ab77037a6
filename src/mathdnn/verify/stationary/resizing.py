"""More operations of `stationary.rules`: resizings by whole factors, and linear and cubic ones to 1/2, 1/4, 1/8."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verify.growing import differs
from mathdnn.verify.numbers import Malformed
from mathdnn.verify.resampling import positions
from mathdnn.verify.stationary import Array, Track, count
from mathdnn.verify.stationary.reader import Reader

_FLOATS_UP_TO = 1 << 24  # whole numbers from there on are no float32


def _times(r: Reader, value: Array, place: int, size: Any, scale: Any) -> int:
    """The whole number of elements that a resizing makes of one."""
    own = count(value.dims[place], r.grid)
    for k in range(1, 17):
        if not differs(r.size(size), k * own):
            if scale is not None and scale != k:
                raise Malformed("a factor that does not fit the sizes")
            return k
    raise Malformed("a resizing by no whole factor")


def _nearest(r: Reader, x: Any, sizes: Any, *scales: Any) -> Array:
    value = r.array(x)
    for axis, size in enumerate(sizes):
        place = len(value.dims) - len(sizes) + axis
        k = _times(r, value, place, size, scales[axis] if scales else None)
        track = r.track(value, place)
        if track is not None:
            _require_found(r, track, k)
        value = r.enlarged(value, place, k, 0, (Fraction(1 - k, k), 0))
    return value


def _require_found(r: Reader, track: Track, k: int) -> None:
    """On the largest image, too, floats find the element that is nearest: i / k as they compute it rises with i, so it
    is enough that each multiple of k, and the number before it, is where it should be."""
    if r.most is None or r.most < r.grid.start[track.axis]:
        raise Malformed("float32 finds the nearest pixel of small images only")
    steps = (r.most - r.grid.start[track.axis]) // r.grid.period[track.axis]
    length = track.length + track.growth * steps
    if k * length > _FLOATS_UP_TO:
        raise Malformed("float32 does not count so many pixels")
    q = np.arange(1, length + 1)
    for i, whole_part in ((k * (q - 1), q - 1), (k * q - 1, q - 1)):
        if any((np.floor(found) != whole_part).any() for found in positions(i, 1.0 / k)):
            raise Malformed("a factor that float32 rounds")


def _interpolated(sides: int) -> Callable[..., Array]:
    """Resizing between `sides` elements to the left of a place and as many to the right."""

    def rule(r: Reader, x: Any, sizes: Any, align: bool, *scales: Any) -> Array:
        value = r.array(x)
        if align is not False:
            raise Malformed("weights that depend on the image's size")
        for axis, size in enumerate(sizes):
            place = len(value.dims) - len(sizes) + axis
            scale = scales[axis] if scales else None
            track = r.track(value, place)
            if scale in (0.5, 0.25, 0.125) and track is not None:
                s = round(1 / scale)
                first, last = s // 2 - sides, s // 2 + sides - 1  # the elements about s q + (s - 1) / 2
                beyond = max(0, -first, last - s + 1)
                taps = (min(first, 0), max(last, s - 1))
                value = r.sampled(value, place, taps, s, track.length // s, beyond)
                if differs(r.size(size), count(value.dims[place], r.grid)):
                    raise Malformed("a factor that does not fit the sizes")
                continue
            k = _times(r, value, place, size, scale)
            # q / k + 1 / (2 k) - 1 / 2 lies between the elements that q takes
            reads = (Fraction(-1, 2) - sides, Fraction(sides))
            value = value if k == 1 else r.enlarged(value, place, k, (1 + sides) * k, reads)
        return value

    return rule


RULES: dict[str, Callable[..., Any]] = {
    "aten.upsample_nearest2d.default": _nearest,
    "aten.upsample_bilinear2d.default": _interpolated(1),
    "aten.upsample_bicubic2d.default": _interpolated(2),
}
