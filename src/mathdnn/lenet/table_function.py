"""The convolution over a connection table as one dense convolution, right for non-finite numbers too.

    n  image      o  output map      i  input map      e = (o, i)  edge      p, q  pixel      a, b  tap of the filter

    Y[n,o,p,q] = sum over edges e = (o, i), a, b of  w[e,a,b] X[n,i,p+a,q+b]

The dense form scatters w into W[o,i] with zeros off the table. It adds terms 0 * X[n,i], which change nothing while X
is finite, but 0 * inf and 0 * nan are nan: one infinite pixel would spoil output maps that do not read it. The three
maps below are each other's derivatives (each is bilinear), so every one of them looks at the argument that meets the
zeros and goes edge by edge, with no zeros at all, where that argument is not finite. This closes the circle:
derivatives of every order agree with the literal form for every input.

    Y = conv(X, w)      dL/dX = back(G, w)      dL/dw = filters(X, G), G = dL/dY     filters multiplies only real edges

Where the compiled kernels are faster (`table_native` decides), they compute the edges alone, and need no look.

The look costs one sum over the argument. A sum that overflows although every term is finite only costs time: the
edge-by-edge way is right for every input.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import grad as nn_grad

from mathdnn.lenet.table_native import array, kernel

if TYPE_CHECKING:
    from jaxtyping import Float


conv2d_input: Any = nn_grad.conv2d_input
conv2d_weight: Any = nn_grad.conv2d_weight


class Geometry(NamedTuple):
    """What a convolution needs beside its numbers; `edge` is (edges, 2), rows (output map, input map)."""

    edge: Tensor
    in_channels: int
    out_channels: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def steps(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        return self.stride, self.padding, self.dilation


def dense_weight(weight: Float[Tensor, "edges kh kw"], where: Geometry) -> Float[Tensor, "out_c in_c kh kw"]:
    """The weights at their place, zeros off the table."""
    zeros = weight.new_zeros(where.out_channels, where.in_channels, *weight.shape[1:])
    return zeros.index_put((where.edge[:, 0], where.edge[:, 1]), weight)


def seen_finite(x: Tensor) -> bool:
    """True only if every number in `x` is finite; a look at the values, so on a GPU it waits for them."""
    if x.device.type == "meta":
        return True
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return math.isfinite(x.detach().sum(dtype=dtype).item())


class _Conv(torch.autograd.Function):
    """Y = conv(X, w) + bias, images n first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, where: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.where = where
        native = kernel(x, weight, where, x.shape)
        if native is not None:
            b = None if bias is None else array(bias)
            return torch.from_numpy(native.forward(array(x), array(weight), b))
        if seen_finite(x):
            return torch.conv2d(x, dense_weight(weight, where), bias, *where.steps)
        y = x.new_zeros(x.shape[0], where.out_channels, *_output_size(x, weight, where))
        for e, (o, i) in enumerate(where.edge.tolist()):
            y[:, o] += torch.conv2d(x[:, i : i + 1], weight[e][None, None], None, *where.steps)[:, 0]
        return y if bias is None else y + bias[:, None, None]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        dx = _apply(_Back, g, weight, x.shape, ctx.where) if ctx.needs_input_grad[0] else None
        dw = _apply(_Filters, x, g, weight.shape, ctx.where) if ctx.needs_input_grad[1] else None
        return dx, dw, g.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None, None


class _Back(torch.autograd.Function):
    """X' = back(G, w): the derivative of <G, conv(X, w)> in X."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, shape: torch.Size, where: Geometry) -> Tensor:
        ctx.save_for_backward(g, weight)
        ctx.where = where
        native = kernel(g, weight, where, shape)
        if native is not None:
            return torch.from_numpy(native.back(array(g), array(weight)))
        if seen_finite(g):
            dense: Tensor = conv2d_input(shape, dense_weight(weight, where), g, *where.steps)
            return dense
        back = g.new_zeros(shape)
        one = (shape[0], 1, *shape[2:])
        for e, (o, i) in enumerate(where.edge.tolist()):
            back[:, i] += conv2d_input(one, weight[e][None, None], g[:, o : o + 1], *where.steps)[:, 0]
        return back

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        g, weight = ctx.saved_tensors
        dg = _apply(_Conv, v, weight, None, ctx.where) if ctx.needs_input_grad[0] else None
        dw = _apply(_Filters, v, g, weight.shape, ctx.where) if ctx.needs_input_grad[1] else None
        return dg, dw, None, None


class _Filters(torch.autograd.Function):
    """w' = filters(X, G): the derivative of <G, conv(X, w)> in w, read on the edges."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, shape: torch.Size, where: Geometry) -> Tensor:
        ctx.save_for_backward(x, g)
        ctx.where = where
        native = kernel(x, x.new_empty(shape), where, x.shape)
        if native is not None:
            return torch.from_numpy(native.filters(array(x), array(g)))
        full = (where.out_channels, where.in_channels, *shape[1:])
        dense: Tensor = conv2d_weight(x, full, g, *where.steps)
        return dense[where.edge[:, 0], where.edge[:, 1]]

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, g = ctx.saved_tensors
        dx = _apply(_Back, g, u, x.shape, ctx.where) if ctx.needs_input_grad[0] else None
        dg = _apply(_Conv, x, u, None, ctx.where) if ctx.needs_input_grad[1] else None
        return dx, dg, None, None


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    result: Tensor = function.apply(*arguments)  # type: ignore[no-untyped-call]
    return result


def _output_size(x: Tensor, weight: Tensor, where: Geometry) -> tuple[int, ...]:
    sizes = zip(x.shape[2:], weight.shape[1:], *where.steps, strict=True)
    return tuple((h + 2 * p - d * (k - 1) - 1) // s + 1 for h, k, s, p, d in sizes)


@torch.compiler.disable  # type: ignore[untyped-decorator]  # the look at the values cannot be traced: a compiled model breaks its graph here
def guarded_conv2d(
    x: Float[Tensor, "n in_c h w"],
    weight: Float[Tensor, "edges kh kw"],
    bias: Float[Tensor, " out_c"] | None,
    where: Geometry,
) -> Float[Tensor, "n out_c oh ow"]:
    """conv(X, w) + bias by one dense convolution; edge by edge where an argument is not finite."""
    return _apply(_Conv, x, weight, bias, where)
