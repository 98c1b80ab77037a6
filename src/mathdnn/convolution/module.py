"""A `ConvForm` as a torch layer, and the rows of its exact map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.graph import Graph, Node

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
    """Ids of the form's exact outputs on an image of ids: pad, take windows, combine; group by group."""
    pads = [(0, 0), (0, 0), *form.padding]
    padded = np.pad(image, pads, mode=_NUMPY_MODE[form.padding_mode])  # type: ignore[call-overload]
    (s, t), (d, e), (kh, kw) = form.stride, form.dilation, form.kernel_size
    span = (d * (kh - 1) + 1, e * (kw - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(2, 3))[:, :, ::s, ::t, ::d, ::e]
    share, per_group, made = image.shape[1] // form.groups, form.out_channels // form.groups, []
    for group in range(form.groups):
        first = group * share
        filters = form.exact[group * per_group : (group + 1) * per_group]
        codes = [pool.numbers.codes(v for plane in f for row in plane for v in row) for f in filters]
        bias = None if form.exact_bias is None else form.exact_bias[group * per_group : (group + 1) * per_group]
        constants = None if bias is None else pool.numbers.codes(bias)
        made.append(correlate(pool, windows[:, first : first + share], np.stack(codes), constants))
    return np.concatenate(made, axis=1)


def correlate(
    pool: Pool, windows: np.ndarray, codes: np.ndarray, constants: np.ndarray | None
) -> Int64[np.ndarray, "n o *out"]:
    """Windows (n, channel, *out, *kernel) times weights (o, channel * kernel), plus a constant for each o."""
    axes = windows.ndim // 2 - 1
    used = np.flatnonzero(codes.any(0))  # a weight 0 adds nothing over the reals
    places = zip(*np.unravel_index(used, (windows.shape[1], *windows.shape[2 + axes :])), strict=True)
    terms = [windows[(slice(None), channel, ..., *tap)] for channel, *tap in places]
    if not terms:
        terms, used = [np.zeros((windows.shape[0], *windows.shape[2 : 2 + axes]), np.int64)], np.zeros(1, np.int64)
    return np.moveaxis(pool.combine(terms, codes[:, used], constants), 0, 1)


def as_graph(form: ConvForm, shape: tuple[int, ...]) -> Graph:
    """The form's steps with open height and width: a pad, then a convolution. Weights are left at 0."""
    (top, bottom), (left, right) = form.padding
    weight = np.zeros((form.out_channels, len(form.exact[0]), *form.kernel_size))
    nodes = (
        Node("input", shape=(*shape[:-2], {"size": "H"}, {"size": "W"})),  # type: ignore[arg-type]
        Node("aten.replication_pad2d.default", [{"node": 0}, [left, right, top, bottom]]),
        Node(
            "aten.convolution.default",
            [{"node": 1}, {"constant": 0}, None, [*form.stride], [0, 0], [*form.dilation], False, [0, 0], form.groups],
        ),
    )
    return Graph(nodes, (weight,), {"node": 2})


def roundings(form: ConvForm) -> int:
    """Of one output at most: one product and one sum for each weight, the bias, and the weights' own rounding."""
    return math.prod(form.kernel_size) * len(form.exact[0]) + (form.exact_bias is not None) + 2
