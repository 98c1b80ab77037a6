"""Which convolution a map could be: guesses from its exact matrix. Nothing here is trusted; the prover compares.

Zeros first: every entry gives a tap (o, c, y - s i, x - t j), and where each tap has one value, those taps are the
kernel.
Other padding modes: the taps of the middle output, whose window lies inside unless the kernel is as large as the image.
The kernel is then cut to its support, written with the largest dilation and the most groups that fit, and padded so
that
the output has its size.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.convolution.form import MODES, ConvForm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mathdnn.convolution.stencil import Stencil

_WEIGHTS = 4_000_000  # larger kernels are not a layer anyone writes, and would not fit a certificate


def stride_range(stencil: Stencil, axis: int) -> range:
    """All strides with which windows can cover the output: s (I - 1) <= H - 1 + padding, padding < H on each side."""
    size, out = stencil.inputs[axis], stencil.outputs[axis]
    return range(1, 2) if out == 1 else range(1, max(1, 3 * (size - 1) // (out - 1)) + 1)


def likely_strides(stencil: Stencil, axis: int) -> list[int]:
    """The strides of `stride_range`, the likely ones first: how far the first and last used pixel move at the
    middle."""
    every = stride_range(stencil, axis)
    out = stencil.outputs[axis]
    guesses = [round(stencil.inputs[axis] / out)]
    if out > 1 and len(stencil.code):
        middle = (out - 1) // 2
        first, second = (stencil.pixel[axis][stencil.place[axis] == k] for k in (middle, middle + 1))
        if len(first) and len(second):
            guesses = [int(second.min() - first.min()), int(second.max() - first.max()), *guesses]
    return sorted(every, key=lambda s: (guesses.index(s) if s in guesses else len(guesses), s))


def guesses(
    stencil: Stencil, values: list[Fraction], bias: tuple[Fraction, ...] | None, strides: tuple[int, int]
) -> Iterator[ConvForm]:
    """The forms that the map could have with these strides, one for each padding mode."""
    s, t = strides
    dy, dx = stencil.offsets(1, s), stencil.offsets(2, t)
    if stencil.clash(strides, "zeros") is None:
        taps = _taps(stencil, dy, dx, np.ones(len(dy), bool))
        assert taps is not None
        yield from _form(stencil, taps, values, bias, strides, "zeros")
    settings = {"reflect": "inside", "replicate": "inside", "circular": "circular"}
    clash = {setting: stencil.clash(strides, setting) for setting in set(settings.values())}
    near = []
    for axis, stride in ((1, s), (2, t)):
        within = stencil.inside(axis, stride)
        middle = (within.start + within.stop - 1) // 2
        near.append(stencil.place[axis] == min(max(0, middle), stencil.outputs[axis] - 1))
    taps = _taps(stencil, dy, dx, near[0] & near[1])
    if taps is not None:
        for mode in (mode for mode in MODES[1:] if clash[settings[mode]] is None):
            yield from _form(stencil, taps, values, bias, strides, mode)


def _taps(stencil: Stencil, dy: np.ndarray, dx: np.ndarray, chosen: np.ndarray) -> np.ndarray | None:
    """Rows (o, c, dy, dx, code), each place once, or None where a place has two codes."""
    columns = (stencil.place[0], stencil.pixel[0], dy, dx, stencil.code)
    o, c, dy, dx, code = (np.asarray(column[chosen], np.int64) for column in columns)
    if not len(code):
        return np.zeros((0, 5), np.int64)
    heights, widths = int(dy.max() - dy.min()) + 1, int(dx.max() - dx.min()) + 1
    key = ((o * stencil.inputs[0] + c) * heights + (dy - dy.min())) * widths + (dx - dx.min())
    first = _first_of_each(key)
    table = np.zeros(int(key.max()) + 1, np.int64) if len(first) else np.zeros(0, np.int64)
    table[key[first]] = code[first]
    if not np.array_equal(code, table[key]):
        return None
    return np.stack([o[first], c[first], dy[first], dx[first], code[first]], axis=1)


def _first_of_each(key: np.ndarray) -> np.ndarray:
    """Where each different key stands first; a table where it fits, as there are few different keys among many."""
    span = int(key.max()) + 1
    if span > 8 * len(key) + (1 << 20):
        return np.asarray(np.unique(key, return_index=True)[1])
    table = np.full(span, -1, np.int64)
    table[key[::-1]] = np.arange(len(key))[::-1]
    return table[table >= 0]


def _form(
    stencil: Stencil,
    taps: np.ndarray,
    values: list[Fraction],
    bias: tuple[Fraction, ...] | None,
    strides: tuple[int, int],
    mode: str,
) -> Iterator[ConvForm]:
    spans = [
        _span(taps[:, 1 + axis], stencil.inputs[axis], stencil.outputs[axis], stride)
        for axis, stride in ((1, strides[0]), (2, strides[1]))
    ]
    if not _is_dilated(spans):
        spans = [(low, high, 1, padding) for low, high, _, padding in spans]
    groups = _groups(taps, stencil.inputs[0], stencil.outputs[0])
    kernel = [(high - low) // step + 1 for low, high, step, _ in spans]
    share = stencil.inputs[0] // groups
    if stencil.outputs[0] * share * kernel[0] * kernel[1] > _WEIGHTS:
        return
    weight = np.full((stencil.outputs[0], share, *kernel), Fraction(0), dtype=object)
    for o, c, dy, dx, code in taps.tolist():
        a, b = ((d - low) // step for d, (low, _, step, _) in zip((dy, dx), spans, strict=True))
        weight[o, c % share, a, b] = values[code]
    yield ConvForm.of(
        weight,
        bias,
        stride=strides,
        padding=(spans[0][3], spans[1][3]),
        padding_mode=mode if any((*spans[0][3], *spans[1][3])) else "zeros",
        dilation=(spans[0][2], spans[1][2]),
        groups=groups,
    )


Span = tuple[int, int, int, tuple[int, int]]


def _is_dilated(spans: list[Span]) -> bool:
    """Whether a person would call it dilated: one step for all axes that have one, and three taps on one of them."""
    steps = {step for low, high, step, _ in spans if high > low}
    return len(steps) == 1 and steps != {1} and max((high - low) // step for low, high, step, _ in spans) >= 2


def _span(offsets: np.ndarray, size: int, out: int, stride: int) -> Span:
    """(first offset, last offset, dilation, padding before and after) along an axis.

    Padding is the same on both sides where that gives the same output. It is never negative: a kernel that starts
    after its output's own pixel gets zeros in front, and one that ends so
    early that the output would be too long gets zeros behind.
    """
    low, high = (int(offsets.min()), int(offsets.max())) if len(offsets) else (0, 0)
    low = min(low, 0)
    high = max(high, size - stride * out)  # windows end so late that not one more fits
    step = int(np.gcd.reduce(np.append(offsets, high) - low)) or 1
    short = stride * (out - 1) + high - (size - 1)  # how far the last window reaches over the image's end
    after = max(0, short)
    if after < -low < after + stride - max(0, -short):
        after = -low  # the same output, with the same padding on both sides
    return low, high, step, (-low, after)


def _groups(taps: np.ndarray, inputs: int, outputs: int) -> int:
    """The most groups that keep every tap inside its group."""
    for groups in range(math.gcd(inputs, outputs), 1, -1):
        if inputs % groups == 0 and outputs % groups == 0:
            o, c = taps[:, 0] // (outputs // groups), taps[:, 1] // (inputs // groups)
            if np.array_equal(o, c):
                return groups
    return 1
