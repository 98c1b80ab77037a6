"""Rules of the operations that look at windows: convolutions, average pools, bilinear resizing."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.convolution.context import Context, Result


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
    return _correlate(context, windows, w, b, groups, axes).reshape(context.shape)


def _transposed_weight(w: np.ndarray, groups: int) -> np.ndarray:
    """(in, out / groups, *kernel) of a transposed convolution -> (out, in / groups, *kernel), flipped."""
    flipped = np.flip(w, axis=tuple(range(2, w.ndim)))
    split = flipped.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    return np.moveaxis(split, 2, 1).reshape(-1, w.shape[0] // groups, *w.shape[2:])


def _correlate(
    context: Context, windows: np.ndarray, w: np.ndarray, b: np.ndarray | None, groups: int, axes: int
) -> np.ndarray:
    samples, channels, out = windows.shape[0], windows.shape[1], windows.shape[2 : 2 + axes]
    share, made = channels // groups, []
    for channel in range(len(w)):
        group = channel // (len(w) // groups)
        part = np.moveaxis(windows[:, group * share : (group + 1) * share], 1, 1 + axes)
        codes = w[channel].reshape(1, -1)
        used = codes[0] != 0  # a weight 0 adds nothing over the reals
        terms = part.reshape(samples * math.prod(out), -1)[:, used]
        codes = codes[:, used]
        if b is not None:
            one = context.pool.constants(np.full((len(terms), 1), b[channel], np.int32))
            terms, codes = np.concatenate([terms, one], 1), np.concatenate([codes, np.ones((1, 1), np.int32)], 1)
        made.append(context.pool.combine(terms, codes).reshape(samples, *out))
    context.roundings = math.prod(w.shape[1:]) + (b is not None) + 1
    return np.stack(made, axis=1)


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
    numbers, lead, made = context.pool.numbers, ids.shape[: ids.ndim - len(lines)], []
    for box in itertools.product(*lines):
        inside: Any = (..., *(slice(low, high) for low, high, _ in box))
        part = ids[inside].reshape(math.prod(lead), -1)
        divisor = override or math.prod(high - low if count is None else count for low, high, count in box)
        made.append((part, numbers.code(Fraction(1, divisor))))
    widest = max(part.shape[1] for part, _ in made)
    terms = np.stack([np.pad(part, ((0, 0), (0, widest - part.shape[1]))) for part, _ in made], axis=1)
    codes = np.broadcast_to(np.array([code for _, code in made], np.int32)[None, :, None], terms.shape)
    return context.combine(terms.reshape(-1, widest), codes.reshape(-1, widest), context.shape)


def bilinear(context: Context) -> Result:
    """Two neighbours along each axis, at a (in/out)(i + 1/2) - 1/2, or aligned at the corners."""
    ids = context.rows(context.argument(0))
    assert ids is not None
    out, align = context.argument(1), context.argument(2)
    scales = [context.argument(3 + axis, "") for axis in range(len(out))]
    for axis, (wanted, scale) in enumerate(zip(out, scales, strict=True)):
        place = ids.ndim - len(out) + axis
        lines = np.moveaxis(ids, place, -1)
        low, high, weight = _neighbours(lines.shape[-1], wanted, align, scale)
        pairs = np.stack([lines[..., low], lines[..., high]], axis=-1)
        codes = context.pool.numbers.codes([value for w in weight for value in (1 - w, w)]).reshape(-1, 2)
        codes = np.broadcast_to(codes, pairs.shape)
        made = context.combine(pairs.reshape(-1, 2), codes.reshape(-1, 2), pairs.shape[:-1])
        ids = np.moveaxis(made, -1, place)
    return ids


def _neighbours(
    size: int, wanted: int, align: bool, scale: float | None
) -> tuple[list[int], list[int], list[Fraction]]:
    low, weight = [], []
    for i in range(wanted):
        if align:
            at = Fraction(i * (size - 1), wanted - 1) if wanted > 1 else Fraction(0)
        else:
            ratio = 1 / Fraction(scale) if scale else Fraction(size, wanted)
            at = max(Fraction(0), ratio * (i + Fraction(1, 2)) - Fraction(1, 2))
        low.append(min(int(at), size - 1))
        weight.append(at - low[-1] if low[-1] < size - 1 else Fraction(0))
    return low, [min(place + 1, size - 1) for place in low], weight
