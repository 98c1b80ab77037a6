"""Rules of the operations that look at windows: convolutions and pools."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.convolution.context import Context, Result
from mathdnn.convolution.module import correlate


def _pad_or_crop(ids: np.ndarray, amounts: list[tuple[int, int]]) -> np.ndarray:
    """Rows of zeros around the trailing axes; a negative amount cuts."""
    lead = ids.ndim - len(amounts)
    ids = np.pad(ids, [(0, 0)] * lead + [(max(0, low), max(0, high)) for low, high in amounts])
    cuts: Any = tuple(
        slice(max(0, -low), size - max(0, -high)) for (low, high), size in zip(amounts, ids.shape[lead:], strict=True)
    )
    return ids[(..., *cuts)]


def convolution(context: Context) -> Result:
    """Y[n,l,i] = b[l] + sum_{g,a} w[l,g,a] X[n,g, s i + d a - p], over any number of axes; transposed by its
    definition."""
    image, weight, bias, stride, padding, dilation, transposed, output_padding, groups = (
        context.argument(place) for place in range(9)
    )
    ids, w = context.rows(image), context.codes(weight)
    b = None if bias is None else context.codes(bias)
    if ids is None or w is None or (bias is not None and b is None):
        return "its weights depend on the image"
    axes = w.ndim - 2
    kernel = w.shape[2:]
    squeeze = ids.ndim == axes + 1
    ids = ids[None] if squeeze else ids
    full = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if transposed:
        w = _transposed_weight(w, groups)
        spread = np.zeros(
            (*ids.shape[:2], *((n - 1) * s + 1 for n, s in zip(ids.shape[2:], stride, strict=True))), np.int64
        )
        every: Any = (..., *(slice(None, None, s) for s in stride))
        spread[every] = ids
        amounts = [(f - p, f - p + o) for f, p, o in zip(full, padding, output_padding, strict=True)]
        ids, stride = spread, [1] * axes
    else:
        amounts = [(p, p) for p in padding]
    windows = np.lib.stride_tricks.sliding_window_view(
        _pad_or_crop(ids, amounts), [f + 1 for f in full], axis=tuple(range(2, 2 + axes))
    )
    windows = windows[
        (slice(None), slice(None), *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))
    ]  # (n, channel, *out, *kernel)
    return _correlate(context, windows, w, b, groups).reshape(context.shape)


def _transposed_weight(w: np.ndarray, groups: int) -> np.ndarray:
    """(in, out / groups, *kernel) of a transposed convolution -> (out, in / groups, *kernel), flipped."""
    flipped = np.flip(w, axis=tuple(range(2, w.ndim)))
    split = flipped.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    return np.moveaxis(split, 2, 1).reshape(-1, w.shape[0] // groups, *w.shape[2:])


def _correlate(context: Context, windows: np.ndarray, w: np.ndarray, b: np.ndarray | None, groups: int) -> np.ndarray:
    share, per_group, made = windows.shape[1] // groups, len(w) // groups, []
    for group in range(groups):
        own = slice(group * per_group, (group + 1) * per_group)
        part = windows[:, group * share : (group + 1) * share]
        made.append(correlate(context.pool, part, w[own].reshape(per_group, -1), None if b is None else b[own]))
    context.roundings = math.prod(w.shape[1:]) + (b is not None) + 1
    return np.concatenate(made, axis=1)


def average_pool(context: Context) -> Result:
    """Windows k at stride s on padding p; the divisor as torch defines it (count_include_pad, divisor_override)."""
    ids = context.rows(context.argument(0))
    assert ids is not None
    kernel = context.argument(1)
    axes = 1 if context.node.op.startswith("aten.avg_pool1d") else 2
    kernel = list(kernel) * (axes if len(kernel) == 1 else 1)
    stride = context.argument(2, "stride", []) or kernel
    stride = list(stride) * (axes if len(stride) == 1 else 1)
    padding = list(context.argument(3, "padding", [0])) or [0]
    padding = padding * (axes if len(padding) == 1 else 1)
    include, override = context.argument(5, "count_include_pad", True), context.argument(6, "divisor_override")
    lines = []
    for axis in range(axes):
        size, k, s, p = ids.shape[axis - axes], kernel[axis], stride[axis], padding[axis]
        spans = [(i * s - p, min(i * s - p + k, size + p)) for i in range(context.shape[axis - axes])]
        lines.append([(max(0, low), min(high, size), high - low if include else None) for low, high in spans])
    return _windows(context, ids, lines, override)


def maximum_of_one(context: Context) -> Result:
    """A maximum over windows of one pixel is that pixel: every s-th one."""
    ids, kernel = context.rows(context.argument(0)), context.argument(1)
    assert ids is not None
    if set(kernel) != {1} or set(context.argument(3, "padding", [0]) or [0]) != {0}:
        return "it takes the largest of several pixels"
    strides = context.argument(2, "stride", []) or [1]
    down, right = strides * (2 if len(strides) == 1 else 1)
    return [ids[..., ::down, ::right]]


def unpool(context: Context) -> Result:
    """Every pixel at a place of its plane that does not depend on the image, zeros elsewhere."""
    ids, places, size = context.rows(context.argument(0)), context.argument(1), context.argument(2)
    if ids is None or not isinstance(places, dict) or "constant" not in places:
        return "its places depend on the image"
    flat = context.graph.constants[places["constant"]].reshape(*ids.shape[:-2], -1)
    if (np.diff(np.sort(flat, axis=-1)) == 0).any():
        return "two pixels go to one place"
    made = np.zeros((*ids.shape[:-2], math.prod(size)), np.int64)
    np.put_along_axis(made, flat, ids.reshape(flat.shape), axis=-1)
    return made.reshape(context.shape)


def adaptive_average_pool(context: Context) -> Result:
    ids = context.rows(context.argument(0))
    assert ids is not None
    out = context.argument(1)
    lines: list[list[tuple[int, int, int | None]]] = []
    for axis, wanted in enumerate(out):
        size = ids.shape[axis - len(out)]
        lines.append([(i * size // wanted, -((-(i + 1) * size) // wanted), None) for i in range(wanted)])
    return _windows(context, ids, lines, None)


def _windows(context: Context, ids: np.ndarray, lines: list[Any], override: int | None) -> Result:
    """Averages over boxes: for each axis a list of (from, to, divisor or None for the box's own width)."""
    made = np.zeros(context.shape, np.int64)
    widest = 0
    for kinds in itertools.product(*(_alike(line) for line in lines)):
        divisor = override or math.prod(width if count is None else count for (width, count), _ in kinds)
        widths = [width for (width, _), _ in kinds]
        firsts = [[line[place][0] for place in places] for (_, places), line in zip(kinds, lines, strict=True)]
        terms = []
        for steps in itertools.product(*map(range, widths)):
            at: Any = (..., *np.ix_(*(np.add(first, step) for first, step in zip(firsts, steps, strict=True))))
            terms.append(ids[at])
        code = context.pool.numbers.code(Fraction(1, divisor))
        to: Any = (..., *np.ix_(*(places for _, places in kinds)))
        made[to] = context.combine(terms, [code])
        widest = max(widest, len(terms))
    context.roundings = widest + 1
    return made


def _alike(line: list[tuple[int, int, int | None]]) -> list[tuple[tuple[int, int | None], list[int]]]:
    """The places of every (width, divisor) among the boxes of an axis."""
    found: dict[tuple[int, int | None], list[int]] = {}
    for place, (low, high, count) in enumerate(line):
        found.setdefault((high - low, count), []).append(place)
    return list(found.items())
