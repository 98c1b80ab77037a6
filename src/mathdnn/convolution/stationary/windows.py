"""Rules of stationary arrays for windows: convolutions, pools, resizings, shuffles."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.convolution.growing import Unclear
from mathdnn.convolution.stationary import Field, Value, fixed, product, sized
from mathdnn.convolution.stationary.views import view
from mathdnn.convolution.stationary.walk import Walk

_HALF = Fraction(1, 2)
_NEAREST_UP_TO = 1 << 16  # pixels a side; torch finds the nearest pixel in float32, which larger images would strain
_COUNTED, _AT_ONCE = 1 << 24, 1 << 20  # whole numbers up to there are floats; so many at once


def _pads(mode: str) -> Callable[..., Value]:
    def rule(w: Walk, x: Any, pads: list[Any], fill: Any = 0) -> Value:
        value = w.value(x)
        if any(isinstance(pad, dict) for pad in (*pads, fill)):
            raise Unclear("it pads by a number that depends on the image's size")
        for k in range(len(pads) // 2):
            place = len(value.dims) - 1 - k
            if pads[2 * k] or pads[2 * k + 1]:
                value = w.padded(value, place, pads[2 * k], pads[2 * k + 1])
        return value

    return rule


def _roll(w: Walk, x: Any, shifts: list[Any], dims: Any = ()) -> Value:
    value = w.value(x)
    if not dims or any(isinstance(shift, dict) for shift in shifts):
        raise Unclear("it rolls by a number that depends on the image's size, or across rows")
    for shift, dim in zip(shifts, dims, strict=True):
        dim %= len(value.dims)
        if w.only(value, dim) is not None:
            value = w.padded(value, dim, shift, -shift)  # what comes round lies within the zone that this makes
    return value


def _convolution(
    w: Walk, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any,
    groups: int,
) -> Value:  # fmt: skip
    value, shape = w.value(x), w.constant(weight).shape
    if any(isinstance(more, dict) for more in extra):
        raise Unclear("what it leaves at the end of the result depends on the image's size")
    if bias is not None:
        w.constant(bias)
    axes = len(shape) - 2
    lead = len(value.dims) - axes
    w.size(value, lead - 1)
    for axis in range(axes):
        k, s, p, d = shape[2 + axis], stride[axis], padding[axis], dilation[axis]
        place, reach = lead + axis, d * (k - 1)
        if transposed:
            offsets = (Fraction(p - reach, s), Fraction(p, s))
            value = w.magnified(value, place, s, reach + p + extra[axis], offsets, reach + 1 - s - 2 * p + extra[axis])
        else:
            value = w.windows(value, place, k, s, p, d)
    return w.moved(value, lead - 1, fixed(shape[1] * groups if transposed else shape[0])[0], None)


def _average_pool(
    w: Walk, x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), ceil_mode: bool = False,
    include: bool = True, divisor: Any = None,
) -> Value:  # fmt: skip
    value = w.value(x)
    axes = 1 if w.node.op.startswith("aten.avg_pool1d") else 2
    full = [list(part) * (axes if len(part) == 1 else 1) for part in (kernel, stride or kernel, padding or (0,))]
    for axis in range(axes):
        k, s, p = (part[axis] for part in full)
        place = len(value.dims) - axes + axis
        value = w.windows(value, place, k, s, p, 1, _pooled(w, value, place, k, s, p) if ceil_mode else None)
    return value


def _pooled(w: Walk, value: Value, place: int, k: int, s: int, p: int) -> int:
    """Outputs with ceil_mode: one more where a last window, not whole, begins before the padding behind."""
    field = w.only(value, place)
    n = field.length if field is not None else w.size(value, place)
    count = -(-(n + 2 * p - k) // s) + 1
    return count - 1 if (count - 1) * s >= n + p else count


def _max_pool(
    w: Walk, x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,), ceil_mode: bool = False
) -> list[Value]:
    """A window of one pixel takes it as it is."""
    if set(kernel) != {1} or set(padding) - {0}:
        raise Unclear("it takes a maximum")
    value = w.value(x)
    steps = list(stride or [1]) * (2 if len(stride or [1]) == 1 else 1)
    for axis in (0, 1):
        value = w.windows(value, len(value.dims) - 2 + axis, 1, steps[axis], 0, 1)
    return [value]


def _nearest(w: Walk, x: Any, sizes: Any, *scales: Any) -> Value:
    value = w.value(x)
    for axis, (size, scale) in enumerate(zip(sizes, scales or [None] * len(sizes), strict=True)):
        place = len(value.dims) - len(sizes) + axis
        k = _factor(w, value, place, size)
        if scale not in (None, float(k)):
            raise Unclear("it resizes by a factor that does not fit its sizes")
        field = w.only(value, place)
        w.most = min(w.most or _NEAREST_UP_TO, _NEAREST_UP_TO if field is None else _image_up_to(w, field, k))
        value = w.magnified(value, place, k, 0, (Fraction(1 - k, k), 0))
    return value


def _image_up_to(w: Walk, field: Field, k: int) -> int:
    """The image up to which torch finds the nearest element of a field, which may be longer than the image."""
    start, period = w.sizes.start[field.axis], w.sizes.period[field.axis]
    longest = field.length + field.growth * ((_NEAREST_UP_TO - start) // period)
    found = _found_up_to(k, longest)
    if found < field.length:
        raise Unclear("torch rounds where it looks for the nearest pixel")
    return _NEAREST_UP_TO if found == longest else start + period * ((found - field.length) // field.growth)


@functools.cache
def _found_up_to(k: int, longest: int) -> int:
    """How many elements, up to `longest`, a line may have: of k times as many the i-th takes floor(i / k), as torch
    computes that, in float32 or, for an image of doubles, rounded to float32 at the end."""
    longest = min(longest, _COUNTED // k)
    for first in range(0, k * longest if k > 2 else 0, _AT_ONCE):  # up to twice the size it computes nothing
        i = np.arange(first, min(first + _AT_ONCE, k * longest))
        single, double = i.astype(np.float32) * np.float32(1.0 / k), (i * (1.0 / k)).astype(np.float32)
        wrong = np.flatnonzero((np.floor(single) != i // k) | (np.floor(double) != i // k))
        if len(wrong):
            return (first + int(wrong[0])) // k
    return longest


def _factor(w: Walk, value: Value, place: int, size: Any) -> int:
    """The whole number that a size is of a dimension's own."""
    wanted, own = sized(w.sizes, [size])[0], product(value.dims[place])
    for k in range(1, 17):
        if wanted == {key: k * part for key, part in own.items()}:
            return k
    raise Unclear("it resizes by no whole factor")


def _between(near: int) -> Callable[..., Value]:
    """Resizing that takes `near` pixels to either side of a place: 1 linear, 2 cubic."""

    def rule(w: Walk, x: Any, sizes: Any, align: bool, *scales: Any) -> Value:
        value = w.value(x)
        if align:
            raise Unclear("it aligns the corners, so its weights depend on the image's size")
        for axis, (size, scale) in enumerate(zip(sizes, scales or [None] * len(sizes), strict=True)):
            place = len(value.dims) - len(sizes) + axis
            field = w.only(value, place)
            if scale is not None and scale in (0.5, 0.25, 0.125) and field is not None:
                step = int(1 / scale)  # pixel i looks at step i + (step - 1) / 2
                more = max(0, near - step // 2)
                value = w.windows(value, place, step + 2 * more, step, more, 1)
                if product(value.dims[place]) != sized(w.sizes, [size])[0]:
                    raise Unclear("it resizes by a factor that does not fit its sizes")
                continue
            k = _factor(w, value, place, size)
            if scale not in (None, float(k)):
                raise Unclear("it resizes by a factor that does not fit its sizes")
            reads = (-near - _HALF, near)  # pixel q looks at q / k + 1 / (2 k) - 1 / 2
            value = value if k == 1 else w.magnified(value, place, k, (near + 1) * k, reads)
        return value

    return rule


def _shuffle(w: Walk, x: Any, r: int) -> Value:
    value = w.value(x)
    value = w.moved(value, -3, fixed(w.size(value, -3) // (r * r))[0], None)
    for place in (-2, -1):
        value = w.magnified(value, len(value.dims) + place, r, 0, (Fraction(1 - r, r), 0))
    return value


def _unshuffle(w: Walk, x: Any, r: int) -> Value:
    value = w.value(x)
    value = w.moved(value, -3, fixed(w.size(value, -3) * r * r)[0], None)
    for place in (-2, -1):
        value = w.windows(value, len(value.dims) + place, r, r, 0, 1)
    return value


def _im2col(w: Walk, x: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Value:
    value = w.value(x)
    taps = math.prod(kernel) * w.size(value, -3)
    for axis in (0, 1):
        place = len(value.dims) - 2 + axis
        value = w.windows(value, place, kernel[axis], stride[axis], padding[axis], dilation[axis])
    dims = (*value.dims[:-3], *fixed(taps), (*value.dims[-2], *value.dims[-1]))
    return Value(dims, value.along)


def _unfold(w: Walk, x: Any, dim: int, size: int, step: int) -> Value:
    value = w.windows(w.value(x), dim, size, step, 0, 1)
    return Value((*value.dims, *fixed(size)), value.along)


def _view(w: Walk, x: Any, shape: Any) -> Value:
    return view(w, w.value(x), sized(w.sizes, shape))


RULES: dict[str, Callable[..., Any]] = {
    f"aten.{name}": rule
    for names, rule in (
        ("constant_pad_nd.default", _pads("constant")),
        ("reflection_pad1d.default reflection_pad2d.default", _pads("reflect")),
        ("replication_pad1d.default replication_pad2d.default", _pads("replicate")),
        ("roll.default", _roll),
        ("convolution.default", _convolution),
        ("avg_pool1d.default avg_pool2d.default", _average_pool),
        ("max_pool2d_with_indices.default", _max_pool),
        ("upsample_nearest2d.default", _nearest),
        ("upsample_bilinear2d.default", _between(1)),
        ("upsample_bicubic2d.default", _between(2)),
        ("pixel_shuffle.default", _shuffle),
        ("pixel_unshuffle.default", _unshuffle),
        ("im2col.default", _im2col),
        ("unfold.default", _unfold),
        ("view.default reshape.default _unsafe_view.default", _view),
    )
    for name in names.split()
}
