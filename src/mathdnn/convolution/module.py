"""A `ConvForm` as a torch layer, and the rows of its exact map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.convolution import transposed
from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.graph import Graph, Node

if TYPE_CHECKING:
    from jaxtyping import Int64

    from mathdnn.convolution.pool import Pool
    from mathdnn.verdict import Plain

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
    if form.transposed:
        return transposed.to_layer(form, dtype)
    (top, bottom), (left, right) = form.padding
    inside = top == bottom and left == right
    draw_nothing: Any = torch.nn.utils.skip_init
    layer = draw_nothing(
        torch.nn.Conv2d,
        form.in_channels,
        form.out_channels,
        form.kernel_size,
        stride=form.stride,
        padding=(top, left) if inside else (0, 0),
        padding_mode=form.padding_mode if inside else "zeros",
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
    pads = [(0, 0), (0, 0), *transposed.halo(form)]
    padded = np.pad(image, pads, mode=_NUMPY_MODE[form.padding_mode])  # type: ignore[call-overload]
    (s, t), (d, e) = form.stride, form.dilation
    if form.transposed:
        windows, exact = transposed.windows(form, padded), transposed.turned(form)
    else:
        windows = np.lib.stride_tricks.sliding_window_view(padded, form.extent, axis=(2, 3))[:, :, ::s, ::t, ::d, ::e]
        exact = np.array(form.exact, dtype=object).reshape(form.out_channels, -1, *form.kernel_size)
    share, per_group, made = image.shape[1] // form.groups, form.out_channels // form.groups, []
    for group in range(form.groups):
        first = group * share
        codes = [pool.numbers.codes(f.ravel()) for f in exact[group * per_group : (group + 1) * per_group]]
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
    """The form's steps with open height and width: a pad, a convolution, a crop. Weights are left at 0."""
    (top, bottom), (left, right) = transposed.halo(form)
    weight = np.zeros((len(form.exact), len(form.exact[0]), *form.kernel_size))
    crop = [-n for n in (*transposed.cut(form)[1], *transposed.cut(form)[0])] if form.transposed else [0, 0, 0, 0]
    steps: list[Plain] = [[*form.stride], [0, 0], [*form.dilation], form.transposed, [0, 0], form.groups]
    nodes = (
        Node("input", shape=(*shape[:-2], {"size": "H"}, {"size": "W"})),  # type: ignore[arg-type]
        Node("aten.replication_pad2d.default", [{"node": 0}, [left, right, top, bottom]]),
        Node("aten.convolution.default", [{"node": 1}, {"constant": 0}, None, *steps]),
        Node("aten.constant_pad_nd.default", [{"node": 2}, crop]),
    )
    return Graph(nodes, (weight,), {"node": 3})


def roundings(form: ConvForm) -> int:
    """Of one output at most: one product and one sum for each weight, the bias, and the weights' own rounding."""
    return math.prod(form.kernel_size) * (form.in_channels // form.groups) + (form.exact_bias is not None) + 2
