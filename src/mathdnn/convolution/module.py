"""A `ConvForm` as a torch layer, and the rows of its exact map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from mathdnn.convolution.form import ConvForm

if TYPE_CHECKING:
    from jaxtyping import Int64

    from mathdnn.convolution.pool import Pool

_TORCH_PADS = {
    "zeros": torch.nn.ZeroPad2d,
    "reflect": torch.nn.ReflectionPad2d,
    "replicate": torch.nn.ReplicationPad2d,
    "circular": torch.nn.CircularPad2d,
}
_NUMPY_MODE = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def to_module(form: ConvForm, dtype: torch.dtype | None = None) -> torch.nn.Module:
    """An `nn.Conv2d` with the nearest weights, after a pad where the padding differs between sides."""
    dtype = dtype or torch.float32
    (top, bottom), (left, right) = form.padding
    inside = top == bottom and left == right
    layer = torch.nn.Conv2d(
        form.in_channels,
        form.out_channels,
        form.kernel_size,
        stride=form.stride,
        padding=(top, left) if inside else (0, 0),
        padding_mode=form.padding_mode if inside else "zeros",  # type: ignore[arg-type]
        dilation=form.dilation,
        groups=form.groups,
        bias=form.exact_bias is not None,
        dtype=dtype,
    )
    weight, bias = form._nearest(str(dtype).removeprefix("torch."))
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None and layer.bias is not None:
            layer.bias.copy_(bias)
    layer.requires_grad_(False)
    return layer if inside else torch.nn.Sequential(_TORCH_PADS[form.padding_mode]((left, right, top, bottom)), layer)


def rows(form: ConvForm, image: Int64[np.ndarray, "n c h w"], pool: Pool) -> Int64[np.ndarray, "n o i j"]:
    """Ids of the form's exact outputs on an image of ids: pad, take windows, combine; one output channel at a time."""
    pads = [(0, 0), (0, 0), *form.padding]
    padded = np.pad(image, pads, mode=_NUMPY_MODE[form.padding_mode])  # type: ignore[call-overload]
    (s, t), (d, e), (kh, kw) = form.stride, form.dilation, form.kernel_size
    span = (d * (kh - 1) + 1, e * (kw - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(2, 3))[:, :, ::s, ::t, ::d, ::e]
    share, per_group, made = image.shape[1] // form.groups, form.out_channels // form.groups, []
    for channel, filters in enumerate(form.exact):
        first = channel // per_group * share
        codes = pool.numbers.codes([value for plane in filters for row in plane for value in row])[None]
        part = windows[:, first : first + share].transpose(0, 2, 3, 1, 4, 5)
        terms = part.reshape(-1, codes.shape[1])[:, codes[0] != 0]
        codes = codes[:, codes[0] != 0]
        if form.exact_bias is not None:
            one = pool.constants(pool.numbers.codes([form.exact_bias[channel]]))
            terms = np.concatenate([terms, np.broadcast_to(one[None], (len(terms), 1))], axis=1)
            codes = np.concatenate([codes, np.ones((1, 1), np.int32)], axis=1)
        made.append(pool.combine(terms, codes).reshape(part.shape[:3]))
    return np.stack(made, axis=1)


def roundings(form: ConvForm) -> int:
    """Of one output at most: one product and one sum for each weight, the bias, and the weights' own rounding."""
    return math.prod(form.kernel_size) * len(form.exact[0]) + (form.exact_bias is not None) + 2
