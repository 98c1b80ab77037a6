"""More than 200 operations whose truth is known by construction: convolutions, and what only looks like one.

A case is (name, operation, input shape, is it a convolution on that size, plain or transposed, opaque). Sizes are large
enough that no border hides the truth. Nothing here asks mathdnn anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage as nd
import torch
import torch.nn.functional as F
from torch import nn


class Case(NamedTuple):
    name: str
    op: Callable[[Any], Any]
    shape: tuple[int, ...]
    convolution: bool
    opaque: bool = False


def _draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _layer(cls: Any, *args: Any, **kwargs: Any) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(*args, **kwargs).eval().requires_grad_(False)


def _layers() -> list[Case]:
    """nn.Conv2d over its arguments."""
    cases = []
    for mode in ("zeros", "reflect", "replicate", "circular"):
        for stride in (1, 2, 3):
            for k in (1, 2, 3):
                layer = _layer(nn.Conv2d, 2, 3, k, stride=stride, padding=k // 2, padding_mode=mode)
                cases.append(Case(f"conv k{k} s{stride} {mode}", layer, (2, 9, 11), True))
    for groups in (1, 2, 4):
        for dilation in (1, 2):
            layer = _layer(nn.Conv2d, 4, 4, 3, padding=dilation, dilation=dilation, groups=groups, bias=groups > 1)
            cases.append(Case(f"conv groups {groups} dilation {dilation}", layer, (4, 10, 9), True))
    for kernel in ((1, 5), (5, 1), (2, 3), (4, 4)):
        cases.append(Case(f"conv {kernel} same", _layer(nn.Conv2d, 1, 2, kernel), (1, 9, 10), True))
    for pads in ((1, 0, 0, 2), (0, 2, 1, 0), (3, 3, 0, 0)):
        layer = nn.Sequential(nn.ZeroPad2d(pads), _layer(nn.Conv2d, 1, 1, 3, bias=False))
        cases.append(Case(f"pad {pads} then conv", layer, (1, 9, 10), True))
    chain = nn.Sequential(_layer(nn.Conv2d, 1, 2, 3), _layer(nn.Conv2d, 2, 1, 2, stride=2))
    cases.append(Case("conv after conv", chain, (1, 9, 10), True))
    return cases


def _pools() -> list[Case]:
    cases = []
    for k in (1, 2, 3, 4):
        cases.append(Case(f"average pool {k}", nn.AvgPool2d(k), (2, 12, 12), True))
        cases.append(Case(f"average pool {k} stride 1", nn.AvgPool2d(k, 1), (2, 12, 11), True))
        cases.append(Case(f"max pool {k}", nn.MaxPool2d(k), (2, 12, 12), k == 1))
        cases.append(Case(f"minimum pool {k}", lambda x, k=k: -F.max_pool2d(-x, k), (1, 12, 12), k == 1))
        cases.append(Case(f"power pool {k}", nn.LPPool2d(2, k), (1, 12, 12), False))
        cases.append(Case(f"adaptive average pool {k}", nn.AdaptiveAvgPool2d(12 // k), (1, 12, 12), True))
    cases += [
        Case("average pool padded", nn.AvgPool2d(3, 2, 1), (1, 11, 11), True),
        Case(
            "average pool padded, pads not counted", nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 11, 11), False
        ),
        Case("average pool divisor 5", lambda x: F.avg_pool2d(x, 2, divisor_override=5), (1, 8, 8), True),
        Case("average pool ceil", nn.AvgPool2d(2, ceil_mode=True), (1, 9, 9), True),  # replicate padding
        Case("average pool 3 ceil", nn.AvgPool2d(3, ceil_mode=True), (1, 10, 10), True),
        Case("global average", nn.AdaptiveAvgPool2d(1), (2, 7, 8), True),
        Case("adaptive average 5 of 12", nn.AdaptiveAvgPool2d(5), (1, 12, 12), False),
        Case("adaptive max", nn.AdaptiveMaxPool2d(3), (1, 9, 9), False),
        Case("rows averaged", lambda x: x.mean(-1, keepdim=True), (1, 8, 9), True),
    ]
    return cases


KERNELS = {
    "sobel x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sobel y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "scharr": [[3, 0, -3], [10, 0, -10], [3, 0, -3]],
    "laplace": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
    "binomial": [[1, 2, 1], [2, 4, 2], [1, 2, 1]],
}


def _filters() -> list[Case]:
    cases = []
    for name, values in KERNELS.items():
        kernel = torch.tensor(values, dtype=torch.float32)[None, None]
        for mode in ("constant", "reflect", "replicate", "circular"):

            def op(x: torch.Tensor, kernel: torch.Tensor = kernel, mode: str = mode) -> torch.Tensor:
                return F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), kernel)

            cases.append(Case(f"{name} {mode}", op, (1, 9, 8), True))
    return cases


def _differences(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([F.pad(x, (0, 0, 0, 1))[..., 1:, :] - x, F.pad(x, (0, 1))[..., 1:] - x], dim=1)


def _in_place(x: torch.Tensor) -> torch.Tensor:
    y = torch.zeros_like(x)
    y[..., 1:] += x[..., :-1]
    y[..., :-1] -= x[..., 1:]
    return y


def _by_hand() -> list[Case]:
    grey = torch.tensor([0.299, 0.587, 0.114])
    yuv = torch.tensor([[0.299, 0.587, 0.114], [-0.147, -0.289, 0.436], [0.615, -0.515, -0.100]])
    return [
        Case("finite differences", _differences, (1, 7, 8), True),
        Case("central difference in place", _in_place, (1, 7, 8), True),
        Case("roll difference", lambda x: x - x.roll(1, -1), (1, 7, 8), True),
        Case("second difference", lambda x: x[..., 2:] - 2 * x[..., 1:-1] + x[..., :-2], (1, 7, 9), True),
        Case("grey", lambda x: (x * grey[:, None, None]).sum(1, keepdim=True), (3, 5, 6), True),
        Case("grey by formula", lambda x: 0.299 * x[:, 0:1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3], (3, 5, 6), True),
        Case("yuv", lambda x: torch.einsum("oc,nchw->nohw", yuv, x), (3, 5, 6), True),
        Case("channels swapped", lambda x: x[:, [2, 0, 1]], (3, 5, 6), True),
        Case("channel mean", lambda x: x.mean(1, keepdim=True), (3, 5, 6), True),
        Case("channel sum repeated", lambda x: x.sum(1, keepdim=True).expand(-1, 2, -1, -1), (3, 5, 6), True),
        Case("channel cumulative sum", lambda x: x.cumsum(1), (3, 5, 6), True),
        Case("identity", lambda x: x, (2, 6, 7), True),
        Case("clone", lambda x: x.clone(), (2, 6, 7), True),
        Case("negative", lambda x: -x, (2, 6, 7), True),
        Case("zero", lambda x: x * 0, (2, 6, 7), True),
        Case("constant", lambda x: torch.ones_like(x) * 3, (2, 6, 7), True),
        Case("scaled and shifted", lambda x: x / 3 + 0.5, (2, 6, 7), True),
        Case("standardised", lambda x: (x - 0.1307) / 0.3081, (1, 6, 7), True),
        Case("per channel", lambda x: x * torch.tensor([1.0, 2.0])[:, None, None], (2, 6, 7), True),
        Case("batch normalisation", _layer(nn.BatchNorm2d, 2), (2, 6, 7), True),
        Case("shift down", lambda x: F.pad(x, (0, 0, 1, 0))[..., :-1, :], (1, 7, 8), True),
        Case("shift left by 2", lambda x: F.pad(x, (0, 2))[..., 2:], (1, 7, 8), True),
        Case("circular shift", lambda x: x.roll((1, -2), (-2, -1)), (1, 9, 9), True),
        Case("crop", lambda x: x[..., 1:-2, 2:-1], (1, 9, 9), True),
        Case("zero pad", nn.ZeroPad2d((1, 2, 0, 1)), (1, 6, 7), True),
        Case("circular pad", nn.CircularPad2d(1), (1, 8, 9), True),
        Case("reflection pad", nn.ReflectionPad2d(1), (1, 8, 9), True),
        Case("replication pad", nn.ReplicationPad2d((0, 1, 2, 0)), (1, 8, 9), True),
        Case("every second pixel", lambda x: x[..., ::2, ::2], (1, 8, 9), True),
        Case("odd pixels", lambda x: x[..., 1::2, 1::2], (1, 8, 8), True),
        Case("pixel unshuffle", nn.PixelUnshuffle(2), (1, 8, 8), True),
        Case("channel shuffle", nn.ChannelShuffle(2), (4, 6, 6), True),
        Case("nearest down by 2", lambda x: F.interpolate(x, scale_factor=0.5, mode="nearest"), (1, 8, 8), True),
        Case("bilinear down by 2", lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"), (1, 8, 8), True),
        Case("bilinear down by 4", lambda x: F.interpolate(x, scale_factor=0.25, mode="bilinear"), (1, 12, 12), True),
        Case("bicubic down by 2", lambda x: F.interpolate(x, scale_factor=0.5, mode="bicubic"), (1, 8, 8), True),
        Case("bicubic down by 4", lambda x: F.interpolate(x, scale_factor=0.25, mode="bicubic"), (2, 12, 16), True),
        Case("same size bicubic", lambda x: F.interpolate(x, size=(7, 8), mode="bicubic"), (1, 7, 8), True),
        Case(
            "antialiased down by 2 inside",
            lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)[..., 1:-1, 1:-1],
            (1, 14, 12),
            True,
        ),
        Case("same size bilinear", lambda x: F.interpolate(x, size=(7, 8), mode="bilinear"), (1, 7, 8), True),
        Case("transposed convolution stride 1", _layer(nn.ConvTranspose2d, 2, 1, 3, padding=1), (2, 8, 9), True),
        Case("unfold and fold by hand", lambda x: x.unfold(-1, 3, 1).sum(-1), (1, 7, 8), True),
        Case("im2col", lambda x: F.unfold(x, 3, padding=1).reshape(1, 9, 7, 8), (1, 7, 8), True),
        Case(
            "separable",
            lambda x: F.conv2d(F.conv2d(x, torch.ones(1, 1, 1, 3)), torch.ones(1, 1, 3, 1)),
            (1, 8, 9),
            True,
        ),
        Case("unsharp", lambda x: x + 0.5 * (x - F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)), (1, 8, 9), True),
        Case("stacked", lambda x: torch.stack([x[:, 0], 2 * x[:, 1], x[:, 0] - x[:, 1]], 1), (2, 6, 7), True),
        Case("masked constant", lambda x: torch.where(torch.tensor(True), x, -x), (1, 6, 7), True),
        Case("nothing dropped", nn.Dropout(0.5).eval(), (1, 6, 7), True),
        Case("without a batch", lambda x: torch.stack([x[0] - x[1], x[1]]), (2, 6, 7), True),
        Case("plane", lambda x: x[1:, :] - x[:-1, :], (7, 8), True),
        Case("batch of two", _layer(nn.Conv2d, 1, 2, 3, padding=1), (2, 1, 7, 8), True),
        Case("double precision weights", lambda x: 0.1 * x + 0.2 * x, (1, 6, 7), True),
        Case("blur from exp", lambda x: F.conv2d(x, _gauss()[None, None]), (1, 8, 9), True),
    ]


def _gauss() -> torch.Tensor:
    g = torch.exp(-(torch.arange(-1.0, 2.0) ** 2) / 2)
    return torch.outer(g, g) / g.sum() ** 2


def _linear_but_not() -> list[Case]:
    """Linear maps that are no convolution."""

    def bump(x: torch.Tensor) -> torch.Tensor:
        y = F.conv2d(x, torch.ones(1, 1, 3, 3), padding=1)
        y = y.clone()
        y[..., 0, 3] += x[..., 0, 3]
        return y

    def inner(x: torch.Tensor) -> torch.Tensor:
        y = 2 * x
        y[..., 4, 4] = x[..., 4, 4]
        return y

    def symmetric(x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([x[..., :1], x, x[..., -1:]], -1)
        return y[..., 2:] + y[..., :-2] - x

    def doubled_border(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[..., :-1], 2 * x[..., -1:]], -1)

    ramp, uneven = torch.arange(8.0), torch.tensor([[[[1.0, 2.0, 4.0]]]])
    weight, mask = _draw(72, 72), _draw(9, 8) > 0
    return [
        Case("one border pixel off", bump, (1, 9, 8), False),
        Case("one inner pixel off", inner, (1, 9, 8), False),
        Case("symmetric border", lambda x: F.conv2d(_symmetric(x), uneven), (1, 9, 8), False),
        Case("last column doubled", doubled_border, (1, 9, 8), False),
        Case("edge smoothing by cat", symmetric, (1, 9, 8), True),  # replicate padding,
        Case("flip", lambda x: x.flip(-1), (1, 9, 8), False),
        Case("flip both", lambda x: x.flip(-1, -2), (1, 9, 8), False),
        Case("transpose", lambda x: x.transpose(-1, -2), (1, 8, 8), False),
        Case("quarter turn", lambda x: torch.rot90(x, 1, (-2, -1)), (1, 8, 8), False),
        Case("ramp times", lambda x: x * ramp, (1, 9, 8), False),
        Case("vignette", lambda x: x * torch.outer(torch.ones(9), 1 + ramp * ramp), (1, 9, 8), False),
        Case("random mask", lambda x: x * mask, (1, 9, 8), False),
        Case("dense layer", lambda x: (x.flatten(1) @ weight).view_as(x), (1, 9, 8), False),
        Case("cumulative sum", lambda x: x.cumsum(-1), (1, 9, 8), True),  # a kernel as wide as the image
        Case(("cumulative sum backwards from the "
            "middle"), lambda x: torch.cat([x[..., :4].cumsum(-1), x[..., 4:]], -1), (1, 9, 8), False),
        Case("upsample nearest", nn.Upsample(scale_factor=2), (1, 6, 7), True),
        Case("upsample bilinear", nn.Upsample(scale_factor=2, mode="bilinear"), (1, 6, 7), True),
        Case("pixel shuffle", nn.PixelShuffle(2), (4, 6, 7), True),
        Case("transposed convolution stride 2", _layer(nn.ConvTranspose2d, 1, 1, 3, stride=2), (1, 6, 7), True),
        Case("bilinear down to 5", lambda x: F.interpolate(x, size=(5, 5), mode="bilinear"), (1, 9, 8), False),
        Case(("aligned "
            "corners"), lambda x: F.interpolate(x, size=(5, 4), mode="bilinear", align_corners=True), (1, 9, 8), False),
        Case("bicubic down to 5", lambda x: F.interpolate(x, size=(5, 5), mode="bicubic"), (1, 9, 8), False),
        Case("antialiased down to 5", lambda x: F.interpolate(x, size=(5, 5), mode="bilinear", antialias=True),
            (1, 9, 8), False),
        Case("antialiased down by 2", lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
             (1, 12, 12), False),  # border pixels count for more
        Case("nearest to 5", lambda x: F.interpolate(x, size=(5, 5)), (1, 9, 8), False),
        Case("triangle", lambda x: x.triu(), (1, 9, 8), False),
        Case("halves swapped", lambda x: torch.cat([x[..., 4:], x[..., :4]], -1), (1, 9, 8), True),  # circular
        Case("tiles swapped", lambda x: torch.cat([x[..., 4:], x[..., 2:4], x[..., :2]], -1), (1, 9, 8), False),
        Case("rows sorted by a list", lambda x: x[..., [3, 1, 2, 0, 4, 5, 6, 7, 8], :], (1, 9, 8), False),
        Case("interlaced 9 rows", _interlaced, (1, 9, 8), True),  # stride 2 on a circle of odd length
        Case("interlaced 8 rows", _interlaced, (1, 8, 8), True),  # stride 2, one tap for the even and one for the odd
        Case("folded rows", lambda x: torch.cat([x[..., ::2, :], x[..., 1::2, :].flip(-2)], -2), (1, 8, 8), False),
        Case("bias ramp", lambda x: x + ramp, (1, 9, 8), False),
        Case("one constant pixel", lambda x: F.pad(x[..., 1:], (1, 0), value=3.0), (1, 9, 8), False),
        Case("right only on 28", _only_28, (1, 9, 8), False),
        Case("right on 28", _only_28, (1, 28, 28), True),
        Case("mix of batch", lambda x: x - x.mean(0, keepdim=True), (2, 1, 6, 7), False),
        Case("second image doubled", lambda x: torch.cat([x[:1], 2 * x[1:]]), (2, 1, 6, 7), False),
        Case("affine grid", lambda x: F.pad(x, (1, 1, 1, 1))[..., [0, 1, 2, 4, 5, 6, 8], :], (1, 9, 8), False),
    ]  # fmt: skip


def _interlaced(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x[..., ::2, :], x[..., 1::2, :]], -2)


def _symmetric(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x[..., 1:2], x, x[..., -1:]], -1)


def _only_28(x: torch.Tensor) -> torch.Tensor:
    """A blur on 28 pixels, and something else on other widths."""
    if x.shape[-1] == 28:
        return F.avg_pool2d(x, 3, 1)
    return F.avg_pool2d(x, 3, 1).flip(-1)


def _nonlinear() -> list[Case]:
    shape = (1, 6, 7)
    pointwise = {
        name: getattr(F, name)
        for name in (
            "relu",
            "gelu",
            "silu",
            "sigmoid",
            "tanh",
            "softplus",
            "elu",
            "mish",
            "hardtanh",
            "relu6",
            "hardswish",
        )
    } | {
        name: getattr(torch, name) for name in ("abs", "exp", "sin", "square", "sign", "floor", "round", "atan", "erf")
    }
    cases = [Case(f"pointwise {name}", op, shape, False) for name, op in pointwise.items()]
    more: dict[str, Callable[[Any], Any]] = {
        "threshold": lambda x: (x > 0.5).to(x.dtype),
        "clamped": lambda x: x.clamp(0, 0.5),
        "soft threshold": lambda x: F.softshrink(x, 0.3),
        "softmax": lambda x: x.softmax(-1),
        "normalised": lambda x: F.normalize(x, dim=-1),
        "layer norm": lambda x: F.layer_norm(x, x.shape[-2:]),
        "instance norm": lambda x: F.instance_norm(x),
        "group norm": lambda x: F.group_norm(x, 1),
        "local response": nn.LocalResponseNorm(2),
        "product of neighbours": lambda x: x[..., 1:] * x[..., :-1],
        "squared sum": lambda x: (x * x).sum(-1, keepdim=True),
        "gradient magnitude": lambda x: (x[..., 1:, 1:] ** 2 + x[..., :-1, :-1] ** 2 + 1e-3).sqrt(),
        "row median": lambda x: x.median(-1, keepdim=True).values,
        "median of three": lambda x: x.unfold(-1, 3, 1).median(-1).values,
        "sorted": lambda x: x.sort(-1).values,
        "dilation": lambda x: F.max_pool2d(x, 3, 1, 1),
        "erosion": lambda x: -F.max_pool2d(-x, 3, 1, 1),
        "opening": lambda x: F.max_pool2d(-F.max_pool2d(-x, 3, 1, 1), 3, 1, 1),
        "scaled by its maximum": lambda x: x / (1 + x.abs().max()),
        "minus its maximum": lambda x: x - x.max(),
        "chosen by sign": lambda x: torch.where(x > 0, x, 2 * x),
        "relu of a convolution": nn.Sequential(_layer(nn.Conv2d, 1, 1, 3), nn.ReLU()),
        "shifted by its sum": lambda x: x.roll(int(x.sum().item() > 0.3), -1),
        "branch on a pixel": lambda x: 2 * x if x[..., 0, 0] > 0 else x,
        "gather by value": lambda x: x.gather(-1, x.argsort(-1)),
        "division by a pixel": lambda x: x / (2 + x[..., :1, :1] ** 2),
        "gamma": lambda x: x.abs() ** 0.45,
        "maximum with shift": lambda x: torch.maximum(x, x.roll(1, -1)),
        "log": lambda x: torch.log1p(x.abs()),
        "quantised": lambda x: (x * 8).round() / 8,
    }
    cases += [Case(name, op, shape, False) for name, op in more.items()]
    # Linear on almost every image, and so never to be called a convolution.
    cases += [
        Case("wrong at one value", lambda x: torch.where(x == 0.123456, 0 * x, x), shape, False),
        Case("clamped far away", lambda x: x.clamp(-1e30, 1e30), shape, False),
        Case("relu above a million", lambda x: x + F.relu(x - 1e6), shape, False),
        Case("branch at a rare sum", lambda x: x if x.sum() != 17.25 else 2 * x, shape, False),
    ]
    return cases


def _zeros_between(x: torch.Tensor) -> torch.Tensor:
    y = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 3 * x.shape[3])
    y[..., ::2, ::3] = x
    return y


def _unpool(x: torch.Tensor) -> torch.Tensor:
    """To the upper right of each 2 x 2 pixels."""
    h, w = x.shape[2:]
    places = (2 * w * 2 * torch.arange(h)[:, None] + 2 * torch.arange(w) + 1).expand(x.shape)
    return F.max_unpool2d(x, places, 2)


def _transposed() -> list[Case]:
    """Transposed convolutions, and what only looks like one."""
    cases = []
    for stride in (2, 3):
        for padding in (0, 1):
            for extra in (0, 1):
                more = {"stride": stride, "padding": padding, "output_padding": extra}
                layer = _layer(nn.ConvTranspose2d, 2, 4, 3, groups=1 + padding, bias=extra == 0, **more)
                cases.append(Case(f"transposed s{stride} p{padding} o{extra}", layer, (2, 7, 8), True))
    double = nn.Upsample(scale_factor=2)
    cases += [
        Case("transposed dilation 2", _layer(nn.ConvTranspose2d, 1, 1, 3, stride=3, dilation=2), (1, 6, 7), True),
        Case("transposed stride (1, 2)", _layer(nn.ConvTranspose2d, 1, 2, 3, stride=(1, 2)), (1, 6, 7), True),
        Case("upsample nearest 3", nn.Upsample(scale_factor=3), (2, 5, 6), True),
        Case("upsample nearest (2, 3)", nn.Upsample(scale_factor=(2, 3)), (1, 5, 6), True),
        Case("upsample bilinear 3", nn.Upsample(scale_factor=3, mode="bilinear"), (1, 6, 7), True),
        Case("upsample bilinear 4", nn.Upsample(scale_factor=4, mode="bilinear"), (2, 6, 7), True),
        Case("upsample bicubic", nn.Upsample(scale_factor=2, mode="bicubic"), (1, 7, 8), True),
        Case("upsample bicubic 3", nn.Upsample(scale_factor=3, mode="bicubic"), (1, 7, 8), True),
        Case("upsample antialiased", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", antialias=True),
            (1, 7, 8), True),
        Case("columns repeated", lambda x: x.repeat_interleave(2, -1), (1, 6, 7), True),
        Case("pixel shuffle of 2", nn.PixelShuffle(3), (18, 5, 4), True),
        Case("zeros between", _zeros_between, (2, 5, 6), True),
        Case("unpooled at fixed places", _unpool, (2, 5, 6), True),
        Case("upsampled and cropped", lambda x: double(x)[..., 1:, :-1], (1, 6, 7), True),
        Case("upsampled and padded", lambda x: F.pad(double(x), (0, 3)), (1, 6, 7), True),
        Case("upsampled circle", lambda x: F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), mode="circular"),
            torch.tensor([[[[1.0, 2, 5], [2, 4, 2], [1, 2, 1]]]]), stride=2, padding=2), (1, 6, 7), True),
        Case("upsampled with aligned corners", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear",
            align_corners=True), (1, 6, 7), False),
        Case("upsampled to 2.5 times", lambda x: F.interpolate(x, scale_factor=2.5), (1, 6, 8), False),
        Case("upsampled, one pixel off", lambda x: torch.cat([double(x)[..., :-1], x[..., -2:-1].repeat_interleave(2,
            -2)], -1), (1, 6, 7), False),
        Case("upsampled and blurred on zeros", lambda x: F.avg_pool2d(double(x), 3, 1, 1), (1, 6, 7), True),
        Case("interpolated and blurred on zeros", lambda x: F.avg_pool2d(F.interpolate(x, scale_factor=2,
            mode="bilinear"), 3, 1, 1), (1, 6, 7), False),
        Case("upsampled and bounded", lambda x: double(x).clamp(max=0.5), (1, 6, 7), False),
        Case("largest of one", nn.MaxPool2d(1, 2), (1, 6, 7), True),
    ]  # fmt: skip
    return cases


def _scipy() -> list[Case]:
    """scipy.ndimage, not read but probed; its 'reflect' repeats the border pixel, which no torch padding does."""
    modes = {"constant": True, "mirror": True, "nearest": True, "wrap": True, "reflect": False}
    cases = []
    for mode, fits in modes.items():
        ops: dict[str, Callable[[Any], Any]] = {
            "gaussian": lambda a, mode=mode: nd.gaussian_filter(a, 0.7, mode=mode, truncate=2.0),
            "uniform": lambda a, mode=mode: nd.uniform_filter(a, 3, mode=mode),
            "sobel": lambda a, mode=mode: nd.sobel(a, mode=mode),
            "laplace": lambda a, mode=mode: nd.laplace(a, mode=mode),
            "correlate": lambda a, mode=mode: nd.correlate(a, np.arange(9.0).reshape(3, 3), mode=mode),
        }
        # On a border repeated by one pixel, a kernel of three pixels sees what replicate padding shows.
        for name, op in ops.items():
            small = mode == "reflect" and name in ("uniform", "sobel", "laplace", "correlate", "gaussian")
            cases.append(Case(f"ndimage {name} {mode}", op, (10, 11), fits or small, True))
    cases += [
        Case("ndimage uniform 5 reflect", lambda a: nd.uniform_filter(a, 5, mode="reflect"), (12, 13), False, True),
        Case("ndimage gaussian 1 reflect", lambda a: nd.gaussian_filter(a, 1.0), (12, 13), False, True),
        Case("ndimage shift", lambda a: nd.shift(a, (1, 0), order=0), (8, 9), True, True),
        Case("ndimage median", lambda a: nd.median_filter(a, 3), (8, 9), False, True),
        Case("ndimage maximum", lambda a: nd.maximum_filter(a, 3), (8, 9), False, True),
        Case("ndimage minimum", lambda a: nd.minimum_filter(a, 3), (8, 9), False, True),
        Case("ndimage opening", lambda a: nd.grey_opening(a, 3), (8, 9), False, True),
        Case("ndimage rank", lambda a: nd.rank_filter(a, 2, 3), (8, 9), False, True),
        Case("ndimage magnitude", lambda a: nd.gaussian_gradient_magnitude(a, 1.0), (8, 9), False, True),
        Case("ndimage rotate", lambda a: nd.rotate(a, 30, reshape=False, order=1), (9, 9), False, True),
        Case("ndimage zoom", lambda a: nd.zoom(a, 2, order=0), (6, 7), True, True),
        Case("ndimage zoom, linear", lambda a: nd.zoom(a, 2, order=1), (6, 7), False, True),
        Case("numpy kron", lambda a: np.kron(a, np.arange(1.0, 5.0).reshape(2, 2)), (6, 7), True, True),
        Case("numpy repeat", lambda a: a.repeat(3, 0) + 1, (6, 7), True, True),
        Case("numpy gradient", lambda a: np.gradient(a, axis=0), (8, 9), False, True),
        Case("numpy diff", lambda a: np.diff(a, axis=1), (8, 9), True, True),
        Case("numpy roll", lambda a: np.roll(a, 1, axis=0) - a, (8, 9), True, True),
        Case("numpy flip", lambda a: a[::-1].copy(), (8, 9), False, True),
        Case("numpy sort", lambda a: np.sort(a, axis=0), (8, 9), False, True),
        Case("numpy clip", lambda a: np.clip(a, 0, 0.5), (8, 9), False, True),
        Case("numpy square", lambda a: a**2, (8, 9), False, True),
        Case("numpy cumsum", lambda a: np.cumsum(a, axis=0), (8, 9), True, True),
    ]
    return cases


def _by_columns(matrix: torch.Tensor) -> Callable[[Any], Any]:
    """Rows of 8 pixels times a matrix that is kept sparse."""
    return lambda x: torch.sparse.mm(matrix, x.reshape(-1, 8).T).T.reshape(x.shape)


def _rewritten() -> list[Case]:
    """Linear ones among operations that mostly are not, and sums that torch writes in other ways."""
    shape = (1, 6, 8)
    inf, every = float("inf"), torch.ones(6, 8, dtype=torch.bool)
    after, mirrored = ((torch.arange(8) + 1) % 8).expand(1, 1, 6, 8), torch.arange(7, -1, -1).expand(1, 1, 6, 8)
    moved, uneven = torch.eye(8).roll(1, 0).to_sparse(), torch.diag(torch.arange(1.0, 9.0)).to_sparse()
    squares = torch.arange(48).reshape(6, 8) % 2 == 1
    deep = {"scale_factor": (1, 2, 2), "mode": "trilinear"}
    return [
        Case("leaky relu of slope 1", lambda x: F.leaky_relu(x, 1.0), shape, True),
        Case("leaky relu of slope 0.999", lambda x: F.leaky_relu(x, 0.999), shape, False),
        Case("clamped to all numbers", lambda x: x.clamp(-inf, inf), shape, True),
        Case("clamped from minus infinity", lambda x: x.clamp_min(-inf), shape, True),
        Case("clamped to infinity", lambda x: x.clamp_max(inf) + 1, shape, True),
        Case("clamped at one end", lambda x: x.clamp(-inf, 1e3), shape, False),
        Case("hardtanh of all numbers", lambda x: F.hardtanh(x, -inf, inf), shape, True),
        Case("hardtanh", lambda x: F.hardtanh(x), shape, False),
        Case("columns added one further", lambda x: x.scatter_add(-1, after, 2 * x), shape, True),
        Case("columns added mirrored", lambda x: x.scatter_add(-1, mirrored, x), shape, False),
        Case("some columns added", lambda x: x.scatter_add(-1, after[..., :4], x), shape, False),
        Case("columns added to zeros", lambda x: torch.zeros_like(x).scatter_add(-1, after, x), shape, True),
        Case("nansum of windows", lambda x: x.unfold(-2, 2, 2).unfold(-2, 2, 2).nansum((-1, -2)), shape, True),
        Case("nansum of all rows", lambda x: x - x.nansum(-1, keepdim=True), shape, True),
        Case("nansum of everything", lambda x: x - x.nansum(), shape, True),
        Case("a sparse matrix", _by_columns(moved), shape, True),
        Case("an uneven sparse matrix", _by_columns(uneven), shape, False),
        Case("a sparse matrix and a sum",
             lambda x: torch.sparse.addmm(x[0, 0].T, moved, x[0, 0].T, beta=3, alpha=2).T[None, None], shape, True),
        Case("scattered everywhere", lambda x: x.masked_scatter(every, x.roll(1, -1)), shape, True),
        Case("scattered to every other", lambda x: x.masked_scatter(squares, x.roll(1, -1)), shape, False),
        Case("scattered to the positive", lambda x: x.masked_scatter(x > 0, x), shape, False),
        Case("trilinear of one layer", lambda x: F.interpolate(x[:, :, None], **deep)[:, :, 0], shape, True),
        Case("trilinear of three layers", lambda x: F.interpolate(x[:, None], **deep)[:, 0], (3, 5, 6), True),
        Case("trilinear with corners",
             lambda x: F.interpolate(x[:, None], **deep, align_corners=True)[:, 0], (3, 5, 6), False),
    ]  # fmt: skip


def _fourier() -> list[Case]:
    """Filters through Fourier transforms, of images and kernels that lie around the end, or do not."""
    shape, fft = (1, 6, 8), torch.fft
    blur = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16
    ramp = torch.arange(8.0)

    def filtered(x: Any, more: int = 0, conj: bool = False, shift: int = 0) -> Any:
        s = [n + more for n in x.shape[-2:]]
        kernel = fft.rfft2(blur + 0, s=s)
        made = fft.irfft2(fft.rfft2(x, s=s) * (kernel.conj() if conj else kernel), s=s)
        return made.roll((shift, shift), (-2, -1))

    return [
        Case("Fourier blur around the end", filtered, shape, True),
        Case("Fourier correlation", lambda x: filtered(x, conj=True), (3, 5, 7), True),
        Case("Fourier blur in the middle", lambda x: filtered(x, shift=-1), shape, True),
        Case("Fourier blur with room", lambda x: filtered(x, 2), shape, True),
        Case("Fourier blur with room, cut", lambda x: filtered(x, 2)[..., 1:-1, 1:-1], shape, True),
        Case("Fourier blur with little room", lambda x: filtered(x, 1), shape, True),
        Case(
            "Fourier blur, one border row off",
            lambda x: filtered(x, 2)[..., 1:-1, 1:-1].index_fill(-2, torch.tensor(0), 0.0),
            shape,
            False,
        ),
        Case("Fourier blur of rows", lambda x: fft.ifft(fft.fft(x) * fft.fft(blur[0], n=8)).real, shape, True),
        Case("Fourier there and back", lambda x: fft.irfftn(fft.rfftn(x, dim=(1, 2, 3)), s=x.shape[1:]), shape, True),
        Case("Fourier twice", lambda x: fft.fft(fft.fft(x)).real, shape, False),
        Case("Fourier of a ramp times the image", lambda x: filtered(x * ramp), shape, False),
        Case("Fourier with itself", lambda x: fft.irfft2(fft.rfft2(x) * fft.rfft2(x).conj()), shape, False),
        Case("Fourier whitened", lambda x: fft.irfft2(fft.rfft2(x) / (fft.rfft2(x).abs() + 1)), shape, False),
        Case("Fourier blur, then positive", lambda x: filtered(x).relu(), shape, False),
    ]


CASES = [*_layers(), *_pools(), *_filters(), *_by_hand(), *_linear_but_not(), *_transposed(), *_nonlinear(),
         *_rewritten(), *_fourier(), *_scipy()]  # fmt: skip
