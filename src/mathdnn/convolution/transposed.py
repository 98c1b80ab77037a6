"""Transposed forms: as a torch layer, as exact rows, as open steps, and which one a map could be.

Along one axis, with stride s, dilation d, kernel k, padding (p, p') and output padding o,

    Y[i] = sum over y, a with s y + d a - p = i of w[a] X[y],    0 <= i < s (H - 1) + d (k - 1) + 1 - p - p' + o

where X[y] outside the image is 0, or goes on as the padding mode says: `halo` is how far the sum looks. Upsampling by
linear interpolation, for one, is such a map on an image that its border pixels continue.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.convolution.form import MODES, ConvForm

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from mathdnn.convolution.form import Pair
    from mathdnn.convolution.stencil import Stencil

_STEPS = 16  # the largest factor looked for: bigger ones are not written as one layer
_WEIGHTS = 4_000_000  # as in `recognise`


def halo(form: ConvForm) -> tuple[Pair, Pair]:
    """How many pixels beyond the image, before and after along each axis, a form reads as its padding mode says."""
    if not form.transposed:
        return form.padding
    if form.padding_mode == "zeros":
        return (0, 0), (0, 0)
    sides = []
    for axis in (0, 1):
        reach, s = form.extent[axis] - 1, form.stride[axis]
        before, after = form.padding[axis]
        sides.append((max(0, (reach - before) // s), max(0, (reach - after + form.output_padding[axis]) // s)))
    return sides[0], sides[1]


def cut(form: ConvForm) -> tuple[Pair, Pair]:
    """What is cut off the whole result on the continued image; negative where rows of zeros are added."""
    sides = []
    for axis, (first, last) in enumerate(halo(form)):
        s, (before, after) = form.stride[axis], form.padding[axis]
        sides.append((before + s * first, after + s * last - form.output_padding[axis]))
    return sides[0], sides[1]


def to_layer(form: ConvForm, dtype: torch.dtype) -> torch.nn.Module:
    """An `nn.ConvTranspose2d`, with a pad before it for a border mode and a crop behind where its padding differs."""
    import torch

    from mathdnn.convolution.module import _TORCH_PADS

    around = [max(sides) for sides in halo(form)]
    own = all(
        before == after and more < max(s, d)
        for (before, after), more, s, d in zip(
            form.padding, form.output_padding, form.stride, form.dilation, strict=True
        )
    )
    crop = [(first + s * (m - low), last + s * (m - high)) for (first, last), (low, high), m, s in
            zip(cut(form), halo(form), around, form.stride, strict=True)]  # fmt: skip
    added, longer = list(form.output_padding) if own else [0, 0], [0, 0]
    for axis, (first, last) in enumerate([] if own else crop):  # rows of bias alone, which torch adds up to a step
        s, d = form.stride[axis], form.dilation[axis]
        added[axis] = -last if 0 < -last < max(s, d) else 0
        longer[axis] = -(min(0, last + added[axis]) // d)
        crop[axis] = first, last + added[axis] + d * longer[axis]
    padding = [p[0] + s * m for p, s, m in zip(form.padding, form.stride, around, strict=True)]
    draw_nothing: Any = torch.nn.utils.skip_init
    layer = draw_nothing(
        torch.nn.ConvTranspose2d,
        form.in_channels,
        form.out_channels,
        tuple(k + more for k, more in zip(form.kernel_size, longer, strict=True)),
        stride=form.stride,
        padding=(padding[0], padding[1]) if own else 0,
        output_padding=(added[0], added[1]),
        dilation=form.dilation,
        groups=form.groups,
        bias=form.exact_bias is not None,
        dtype=dtype,
    )
    weight, bias = form._nearest(str(dtype).removeprefix("torch."))
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, :, : form.kernel_size[0], : form.kernel_size[1]] = weight
        if bias is not None and layer.bias is not None:
            layer.bias.copy_(bias)
    steps: list[torch.nn.Module] = [layer.requires_grad_(False)]
    if any(around):
        steps.insert(0, _TORCH_PADS[form.padding_mode]((around[1], around[1], around[0], around[0])))
    if not own and any((*crop[0], *crop[1])):
        steps.append(torch.nn.ZeroPad2d((-crop[1][0], -crop[1][1], -crop[0][0], -crop[0][1])))
    return steps[0] if len(steps) == 1 else torch.nn.Sequential(*steps)


def windows(form: ConvForm, image: np.ndarray) -> np.ndarray:
    """(n, channel, i, j, a, b) of the image with its zeros in between, for the kernel turned by half a turn."""
    sizes = [(n - 1) * s + 1 for n, s in zip(image.shape[2:], form.stride, strict=True)]
    spread = np.zeros((*image.shape[:2], *sizes), image.dtype)
    spread[:, :, :: form.stride[0], :: form.stride[1]] = image
    reach = [size - 1 for size in form.extent]
    amounts = [(r - first, r - last) for r, (first, last) in zip(reach, cut(form), strict=True)]
    spread = np.pad(spread, [(0, 0), (0, 0), *((max(0, a), max(0, b)) for a, b in amounts)])
    crop: Any = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(amounts, spread.shape[2:], strict=True))
    seen = np.lib.stride_tricks.sliding_window_view(spread[(..., *crop)], form.extent, axis=(2, 3))
    return np.asarray(seen[..., :: form.dilation[0], :: form.dilation[1]])


def turned(form: ConvForm) -> np.ndarray:
    """The weights as a plain convolution has them: (out, in / groups, height, width), turned by half a turn."""
    weight = np.array(form.exact, dtype=object).reshape(len(form.exact), -1, *form.kernel_size)[:, :, ::-1, ::-1]
    parts = weight.reshape(form.groups, -1, *weight.shape[1:])
    return np.moveaxis(parts, 2, 1).reshape(-1, *parts.shape[1:2], *weight.shape[2:])


def guesses(stencil: Stencil, values: list[Fraction], bias: tuple[Fraction, ...] | None) -> Iterator[ConvForm]:
    """The transposed forms that a map could be. Nothing here is trusted; the prover compares."""
    for s in _factors(stencil, 1):
        for t in _factors(stencil, 2):
            if (s, t) == (1, 1):
                continue
            taps = _taps(stencil, s, t)
            if taps is not None:
                yield from _forms(stencil, taps, values, bias, (s, t))


def _factors(stencil: Stencil, axis: int) -> list[int]:
    """Strides that the sizes allow: about how many outputs there are for each pixel."""
    size, out = stencil.inputs[axis], stencil.outputs[axis]
    likely = [round(out / size), round((out - 1) / max(1, size - 1)), -(-out // size), out // size]
    return [s for s in dict.fromkeys(likely) if 1 <= s <= _STEPS]


def _taps(stencil: Stencil, s: int, t: int) -> np.ndarray | None:
    """Rows (o, c, i - s y, j - t x, code) of s by t outputs next to each other in the middle, which show each tap."""
    chosen = np.ones(len(stencil.code), bool)
    for axis, step in ((1, s), (2, t)):
        kept = stencil.kept[axis - 1]
        runs = [k for k in range(len(kept) - step + 1) if kept[k + step - 1] - kept[k] == step - 1]
        if not runs:
            return None
        start = kept[min(runs, key=lambda k: abs(int(kept[k]) - (stencil.outputs[axis] - step) // 2))]
        chosen &= (stencil.place[axis] >= start) & (stencil.place[axis] < start + step)
    columns = (
        stencil.place[0], stencil.pixel[0], stencil.place[1] - s * stencil.pixel[1],
        stencil.place[2] - t * stencil.pixel[2], stencil.code,
    )  # fmt: skip
    return np.stack([np.asarray(column[chosen], np.int64) for column in columns], axis=1) if chosen.any() else None


def _forms(
    stencil: Stencil,
    taps: np.ndarray,
    values: list[Fraction],
    bias: tuple[Fraction, ...] | None,
    strides: Pair,
) -> Iterator[ConvForm]:
    from mathdnn.convolution.recognise import _groups

    spans = [_span(taps[:, 2 + k], stencil.inputs[1 + k], stencil.outputs[1 + k], strides[k]) for k in (0, 1)]
    steps = {step for low, high, step, _, _ in spans if high > low}
    step = steps.pop() if len(steps) == 1 else 1
    kernel = [(high - low) // step + 1 for low, high, *_ in spans]
    inputs, outputs = stencil.inputs[0], stencil.outputs[0]
    groups = _groups(taps[:, [0, 1]], inputs, outputs)
    per = outputs // groups
    if inputs * per * math.prod(kernel) > _WEIGHTS:
        return
    weight = np.full((inputs, per, *kernel), Fraction(0), dtype=object)
    for o, c, dy, dx, code in taps.tolist():
        weight[c, o % per, (dy - spans[0][0]) // step, (dx - spans[1][0]) // step] = values[code]
    for mode in MODES:
        form = ConvForm.of(
            weight,
            bias,
            stride=strides,
            padding=(spans[0][3], spans[1][3]),
            padding_mode=mode,
            dilation=step,
            groups=groups,
            transposed=True,
            output_padding=(spans[0][4], spans[1][4]),
        )
        if mode == "zeros" or any(map(any, halo(form))):
            yield form


def _span(offsets: np.ndarray, size: int, out: int, s: int) -> tuple[int, int, int, Pair, int]:
    """(first offset, last, step, padding before and after, output padding) along an axis.

    The padding is the same on both sides, as torch's is, where an output padding below the stride makes that fit.
    """
    low, high = min(0, int(offsets.min())), max(0, int(offsets.max()))
    step = int(np.gcd.reduce(np.append(offsets, high) - low)) or 1
    over = s * (size - 1) + high + 1 - out  # padding after, less output padding
    if over <= -low and -low - over < s:
        return low, high, step, (-low, -low), -low - over
    if over < 0:  # no torch layer has that many rows of bias alone: the kernel is made longer by zeros
        high, over, step = high - over, 0, 1
    return low, high, step, (-low, over), 0
