"""Operations of torch on images, each rule of the checker's intervals in some of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

SHAPE = (1, 2, 4, 4)
PLACES = torch.tensor([3, 1, 0])
MATRIX = torch.arange(16.0).reshape(4, 4).sin()
GRID = (MATRIX.reshape(1, 2, 4, 2) * 1.3).contiguous()
LAYERS = {
    "convolution": nn.Conv2d(2, 3, 3, padding=1),
    "transposed convolution": nn.ConvTranspose2d(2, 2, 3, stride=2),
    "batch norm": nn.BatchNorm2d(2).eval(),
    "batch norm of the batch": nn.BatchNorm2d(2, track_running_stats=False),
    "group norm": nn.GroupNorm(2, 2),
    "layer norm": nn.LayerNorm(4),
    "instance norm": nn.InstanceNorm2d(2),
    "several slopes": nn.PReLU(2, init=-0.3),
    "celu": nn.CELU(0.7), "elu": nn.ELU(), "gelu": nn.GELU(), "gelu by tanh": nn.GELU("tanh"), "glu": nn.GLU(1),
    "hard sigmoid": nn.Hardsigmoid(), "hard swish": nn.Hardswish(), "hard tanh": nn.Hardtanh(), "mish": nn.Mish(),
    "hard shrink": nn.Hardshrink(), "leaky relu": nn.LeakyReLU(0.3), "log sigmoid": nn.LogSigmoid(), "relu": nn.ReLU6(),
    "selu": nn.SELU(), "silu": nn.SiLU(), "soft plus": nn.Softplus(), "soft shrink": nn.Softshrink(),
    "soft plus, with a jump": nn.Softplus(1, 0.5), "soft plus, from above": nn.Softplus(-1.5, 0.5),
    "soft sign": nn.Softsign(), "tanh shrink": nn.Tanhshrink(), "threshold": nn.Threshold(0.1, 2.0),
    "softmax": nn.Softmax(1), "log softmax": nn.LogSoftmax(-1), "local response norm": nn.LocalResponseNorm(2),
    "maxima": nn.MaxPool2d(3, 1, 1), "adaptive maxima": nn.AdaptiveMaxPool2d((2, 3)), "powers": nn.LPPool2d(2, 2),
}  # fmt: skip
_BY_NAME = """
    abs asinh atan ceil cos cosh erf erfc exp exp2 expm1 floor frac nan_to_num neg reciprocal round sigmoid sign sin
    sinh square tan tanh trunc"""
FUNCTIONS = {name: getattr(torch, name) for name in _BY_NAME.split()}
OPERATIONS = LAYERS | FUNCTIONS | {
    "asin": lambda x: torch.asin(x / 40), "acos": lambda x: torch.acos(x / 40), "atanh": lambda x: torch.atanh(x / 40),
    "atan2": lambda x: torch.atan2(x, x.flip(-1)), "sqrt": lambda x: x.abs().sqrt(),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 0.1), "log": lambda x: torch.log(x * x + 1),
    "log10": lambda x: torch.log10(x.abs() + 1), "log1p": lambda x: torch.log1p(x.abs()),
    "log2": lambda x: torch.log2(x.abs() + 0.5), "log of sums": lambda x: torch.logsumexp(x, -1, keepdim=True),
    "rounded to tenths": lambda x: torch.round(x, decimals=1), "cube": lambda x: x**3, "fourth power": lambda x: x**4,
    "inverse square": lambda x: x**-2, "power 2.5": lambda x: x.abs() ** 2.5,
    "power -1.5": lambda x: (x.abs() + 1) ** -1.5,
    "power of 0.3": lambda x: 0.3**x, "own power": lambda x: (x.abs() + 0.01) ** x,
    "product": lambda x: x * x.flip(-1), "quotient": lambda x: x / (x.flip(-1).abs() + 0.3),
    "rounding down": lambda x: torch.div(x, 0.7, rounding_mode="floor"),
    "rounding to 0": lambda x: torch.div(x, 0.7, rounding_mode="trunc"), "whole parts": lambda x: x // 0.7,
    "rest": lambda x: torch.fmod(x, 0.7), "rest above 0": lambda x: torch.remainder(x, 0.7),
    "rest below 0": lambda x: torch.remainder(x, -0.7), "rest by a pixel": lambda x: torch.remainder(x, x.flip(-1)),
    "alpha": lambda x: torch.add(x.abs(), x.flip(-1), alpha=-2), "difference": lambda x: torch.sub(x.abs(), x, alpha=3),
    "of a number": lambda x: 1.5 - x.abs(), "filters of the image": lambda x: F.conv2d(x[:, :1], x[:, 1:, :3, :3]),
    "matrices": lambda x: (x[0, 0] @ x[0, 1])[None, None], "many matrices": lambda x: torch.bmm(x[0], x[0])[None],
    "mean": lambda x: x.mean((2, 3), keepdim=True) * x, "sum": lambda x: x.sum(1, keepdim=True).abs(),
    "running sums": lambda x: x.cumsum(-1).abs(), "running products": lambda x: x.cumprod(-1),
    "products": lambda x: x.prod(-1, keepdim=True), "sums of numbers": lambda x: x.nansum(-1, keepdim=True) ** 2,
    "bilinear": lambda x: F.interpolate(x, size=(7, 5), mode="bilinear").abs(),
    "bicubic": lambda x: F.interpolate(x, size=(7, 5), mode="bicubic").abs(),
    "bicubic, smaller": lambda x: F.interpolate(x, size=(3, 2), mode="bicubic", antialias=True).abs(),
    "bilinear, smaller": lambda x: F.interpolate(x, size=(3, 2), mode="bilinear", antialias=True).abs(),
    "nearest": lambda x: F.interpolate(x, scale_factor=2).abs(),
    "area": lambda x: F.adaptive_avg_pool2d(x, (3, 2)).abs(),
    "means of windows": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False).abs(),
    "sampled": lambda x: F.grid_sample(x, GRID, align_corners=False).abs(),
    "sampled at the nearest": lambda x: F.grid_sample(x, GRID, mode="nearest", align_corners=False).abs(),
    "largest": lambda x: x.amax(1, keepdim=True), "largest and where": lambda x: torch.cat(
        [part.to(x.dtype) for part in x.max(1, keepdim=True)], 1),
    "least": lambda x: x.amin(-1, keepdim=True), "place of the largest": lambda x: x.argmax(-1, keepdim=True).float(),
    "order": lambda x: x.argsort(-1).float(), "sorted": lambda x: x.sort(-1)[0],
    "three largest": lambda x: x.topk(3, -1)[0],
    "median": lambda x: x.median(-1, keepdim=True)[0], "second": lambda x: x.kthvalue(2, -1, keepdim=True)[0],
    "running largest": lambda x: x.cummax(-1)[0], "running least": lambda x: x.cummin(2)[0],
    "larger": lambda x: torch.maximum(x, x.flip(-1)), "smaller": lambda x: torch.minimum(x, -x),
    "between": lambda x: x.clamp(-0.3, 0.4), "at least another": lambda x: x.clamp(min=x.flip(-1)),
    "where": lambda x: torch.where(x > 0.2, x * 2, x - 1), "where larger": lambda x: torch.where(x > x.flip(-1), x, -x),
    "filled": lambda x: x.masked_fill(x.abs() < 0.3, 2.0), "equal": lambda x: (x == x.flip(-1)).float(),
    "not 0": lambda x: (x != 0) * x, "both": lambda x: ((x > 0) & (x.flip(-1) > 0)).float(),
    "either": lambda x: ((x > 0) | (x.flip(-1) > 0.5)).float(),
    "one of two": lambda x: ((x > 0) ^ (x.flip(-1) > 0.5)).float(),
    "not": lambda x: (~(x > 0.1)).float(), "any": lambda x: ((x > 1).any(-1, keepdim=True)).float(),
    "all": lambda x: ((x > -1).all(-1, keepdim=True)).float(),
    "two numbers": lambda x: x.relu().logical_and(x > -0.5).float(),
    "whole products": lambda x: ((x.abs() * 3).to(torch.uint8) * PLACES[:1].to(torch.uint8)).to(x.dtype),
    "products of truth": lambda x: ((x > 0) * (x.flip(-1) > 0.5)).to(x.dtype),
    "whole numbers": lambda x: (x * 3).int().float(), "place of a pixel": lambda x: x.gather(-1, (x * 0 + 2.2).long()),
    "some columns": lambda x: x[..., PLACES].abs(), "put": lambda x: x.abs().index_put((PLACES[:1] * 0,), x * 2),
    "added at places": lambda x: torch.zeros_like(x).scatter_add(-1, PLACES.expand(1, 2, 4, 3), x).abs(),
    "moved": lambda x: x.roll((1, 2), (-1, -2)).tril().rot90(1, (2, 3)).abs(),
    "windows": lambda x: F.fold(F.unfold(x, 3), (4, 4), 3).abs(), "reflected": lambda x: F.pad(x, (1, 1, 2, 0),
    "reflect").abs(),
    "spread": lambda x: x.std(-1, keepdim=True), "variance": lambda x: x.var((1, 2), keepdim=True),
    "windows of three axes": lambda x: F.avg_pool3d(x, (1, 2, 2), divisor_override=3).abs(),
    "least two": lambda x: x.topk(2, -1, largest=False)[0], "from the largest": lambda x: x.sort(2, True)[0],
    "no less than, and no more": lambda x: x.clamp(0.5, -0.3),
    "of unit length": lambda x: F.normalize(x, dim=1), "sum of sizes": lambda x: x.norm(1, dim=1, keepdim=True),
    "largest size": lambda x: torch.linalg.vector_norm(x, float("inf"), dim=-1, keepdim=True),
    "third norm": lambda x: torch.linalg.vector_norm(x, 3, dim=-1, keepdim=True),
    "solved": lambda x: torch.linalg.solve(x + 9 * torch.eye(4), x.flip(-1)),
    "inverted": lambda x: torch.linalg.inv(x.abs() + 9 * torch.eye(4)),
}  # fmt: skip
