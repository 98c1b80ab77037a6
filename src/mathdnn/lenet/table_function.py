"""The convolution over a connection table as an autograd function, right for non-finite numbers too.

    n  image      o  output map      i  input map      e = (o, i)  edge      p, q  pixel      a, b  tap of the filter

    Y[n,o,p,q] = sum over edges e = (o, i), a, b of  w[e,a,b] X[n,i,p+a,q+b]

    Y = conv(X, w)      dL/dX = back(G, w)      dL/dw = filters(X, G), G = dL/dY

Where the compiled kernels are faster (`table_native` decides, for each direction), they compute the edges alone.
Otherwise torch convolves densely: w is scattered into W[o,i] with zeros off the table. That adds terms 0 * X[n,i],
which change nothing while X is finite, but 0 * inf and 0 * nan are nan: one infinite pixel would spoil output maps that
do not read it. So the result is looked at. Every output map of the dense form adds up all input maps, with zeros or
without; a pixel that is not finite leaves no window over it finite, in no map. The first map of the result tells: if it
is not finite, the edges are computed one by one. The same holds for back, whose first input map adds up all output
maps; filters multiplies only real edges. A result that overflowed, though every number was finite, only costs time.

The three maps are each other's derivatives (each is bilinear), so derivatives of every order agree with the literal
form for finite inputs. Where the weight is not finite beside zero padding, or G is not, NaN and infinity may stand in
other places than in the literal form: the kernels leave padding out, torch multiplies it or not by size. Derivatives in
a batch (`is_grads_batched`, `vectorize=True`) are torch's dense ones and not looked at: there, 0 * inf may spoil maps
off the table. A table that is exactly groups has no zeros, and is torch's own convolution with groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mathdnn.lenet import table_native
from mathdnn.lenet.table import ConnectionTable
from mathdnn.lenet.table_looks import on_processor, plain, seen_finite, stands_for_many
from mathdnn.lenet.table_native import Ways, array
from mathdnn.native.table import Places

if TYPE_CHECKING:
    from jaxtyping import Float

Pair = tuple[int, int]
_backward: Any = torch.ops.aten.convolution_backward.default
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
NO_WAYS = Ways(None, None, "not on the processor", "not on the processor")


@dataclass(frozen=True, eq=False)
class Geometry:
    """What a convolution needs beside its numbers. One object a layer: equal only to itself."""

    table: ConnectionTable
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int | None = field(init=False)  # as torch counts them, where the table is exactly groups
    channels: Pair = field(init=False)  # out, in
    edges: int = field(init=False)
    flat: np.ndarray = field(init=False, repr=False)  # o in_channels + i of each edge
    _places: dict[torch.device, Tensor] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", self.table.groups)
        object.__setattr__(self, "channels", (self.table.out_channels, self.table.in_channels))
        object.__setattr__(self, "edges", len(self.table.edges))
        flat = np.array([o * self.table.in_channels + i for o, i in self.table.edges])
        object.__setattr__(self, "flat", flat)

    def __reduce__(self) -> tuple[Any, ...]:
        return Geometry, (self.table, self.kernel_size, self.stride, self.padding, self.dilation)

    def places(self, device: torch.device) -> Tensor:
        """Where the edges lie in a dense weight: o in_channels + i."""
        found = self._places.get(device)
        if found is None:
            found = self._places[device] = torch.tensor(self.flat, device=device)
        return found

    def full(self, weight: Float[Tensor, "edges kh kw"]) -> Float[Tensor, "out_c in_c_of_a_group kh kw"]:
        """The weight at its place, zeros off the table; no zeros where the table is groups. Differentiable."""
        if self.groups is not None:
            return weight.reshape(self.full_shape)
        if plain(weight) and not (weight.requires_grad and torch.is_grad_enabled()):
            rows = self.copies.scattered(array(weight))  # torch would copy number by number
            return torch.from_numpy(rows).view(self.full_shape)
        zeros = weight.new_zeros(self.channels[0] * self.channels[1], *self.kernel_size)
        return zeros.index_copy(0, self.places(weight.device), weight).view(self.full_shape)

    @cached_property
    def copies(self) -> Places:
        """The edges' places among all filters of a dense weight."""
        return Places(self.flat, self.channels[0] * self.channels[1])

    @cached_property
    def full_shape(self) -> tuple[int, ...]:
        return (self.channels[0], self.channels[1] // (self.groups or 1), *self.kernel_size)

    def on_edges(self, dense: Tensor) -> Float[Tensor, "edges kh kw"]:
        """The entries of a dense weight that are edges."""
        flat = dense.reshape(-1, *self.kernel_size)
        if self.groups is not None:
            return flat
        if plain(flat) and not flat.requires_grad:
            return torch.from_numpy(self.copies.gathered(array(flat)))
        return flat.index_select(0, self.places(dense.device))

    def ways(self, x: Tensor, shape: torch.Size) -> Ways:
        """How images of `shape` and the kind of `x` are convolved, with torch's present number of threads."""
        if not on_processor(x):
            return NO_WAYS
        return table_native.ways(self, shape, x.dtype, torch.get_num_threads())


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    where: Geometry,
    dense: Tensor | None = None,
    found: Ways | None = None,
) -> Tensor:
    """conv(X, w) + bias; `dense` is the full weight and `found` the ways of `x`, where they are known."""
    kernel = (found or where.ways(x, x.shape)).forward
    if kernel is not None and weight.dtype == x.dtype and not stands_for_many(weight):
        return torch.from_numpy(kernel.forward(array(x), array(weight), None if bias is None else array(bias)))
    steps = (where.stride, where.padding, where.dilation)
    y = torch.conv2d(x, where.full(weight) if dense is None else dense, bias, *steps, where.groups or 1)
    if where.groups is not None or seen_finite(y[:, 0]):
        return y
    y = torch.zeros_like(y)
    for e, (o, i) in enumerate(where.table.edges):
        y[:, o] += torch.conv2d(x[:, i : i + 1], weight[e][None, None], None, *steps)[:, 0]
    return y if bias is None else y + bias[:, None, None]


def gradients(
    x: Tensor | None,
    weight: Tensor | None,
    g: Tensor,
    shape: torch.Size,
    where: Geometry,
    wanted: tuple[bool, bool, bool],
    full: Tensor | None = None,
) -> Gradients:
    """back(G, w) of images of `shape`, filters(X, G) and the sums of G, those that are wanted, in one go.

    `weight` is needed for the first, `x` for the second; `full` is the full weight, where it is known.
    """
    kernel = where.ways(g, shape).backward
    if kernel is None or any(s is not None and (s.dtype != g.dtype or stands_for_many(s)) for s in (x, weight)):
        return _gradients_of_torch(x, weight, g, shape, where, wanted, full)
    found = kernel.backward(
        array(x) if wanted[1] and x is not None else None,
        array(g),
        array(weight) if wanted[0] and weight is not None else None,
        wanted,
    )
    dx, dw, db = (None if part is None else torch.from_numpy(part) for part in found)
    return dx, dw, db


def _gradients_of_torch(
    x: Tensor | None,
    weight: Tensor | None,
    g: Tensor,
    shape: torch.Size,
    where: Geometry,
    wanted: tuple[bool, bool, bool],
    full: Tensor | None,
) -> Gradients:
    steps = (where.stride, where.padding, where.dilation)
    # what is not given is not read either: only its shape and kind are
    images = g.new_empty(1).expand(shape) if x is None else x
    given = g.new_empty(1).expand(where.edges, *where.kernel_size) if weight is None else weight
    if full is None:
        full = where.full(given) if wanted[0] else given.new_empty(1).expand(where.full_shape)
    biases = [where.channels[0]] if wanted[2] else None
    rest = (False, (0, 0), where.groups or 1, wanted)
    dx, dense_dw, db = _backward(g, images, full, biases, *steps, *rest)
    dw = None if dense_dw is None else where.on_edges(dense_dw)
    if dx is None or where.groups is not None or seen_finite(dx[:, 0]):
        return dx, dw, db
    dx = torch.zeros_like(dx)
    one = dx[:, :1]
    for e, (o, i) in enumerate(where.table.edges):
        edge = given[e][None, None]
        some = (None, *steps, False, (0, 0), 1, (True, False, False))
        dx[:, i] += _backward(g[:, o : o + 1], one, edge, *some)[0][:, 0]
    return dx, dw, db


class _Conv(torch.autograd.Function):
    """Y = conv(X, w) + bias, images n first."""

    compute = staticmethod(convolve)

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, where: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.where = where
        found = where.ways(x, x.shape)
        ctx.full = None if found.forward and found.backward else where.full(weight)
        return convolve(x, weight, bias, where, ctx.full, found)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        wanted: tuple[bool, bool, bool] = ctx.needs_input_grad[:3]
        if not torch.is_grad_enabled():  # also where g stands for many: nothing is differentiated again
            return *gradients(x, weight, g, x.shape, ctx.where, wanted, ctx.full), None
        dx = _apply(_Back, g, weight, x.shape, ctx.where) if wanted[0] else None
        dw = _apply(_Filters, x, g, ctx.where) if wanted[1] else None
        return dx, dw, g.sum((0, 2, 3)) if wanted[2] else None, None


class _Back(torch.autograd.Function):
    """X' = back(G, w): the derivative of <G, conv(X, w)> in X."""

    @staticmethod
    def compute(g: Tensor, weight: Tensor, shape: torch.Size, where: Geometry) -> Tensor | None:
        return gradients(None, weight, g, shape, where, (True, False, False))[0]

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, shape: torch.Size, where: Geometry) -> Tensor | None:
        ctx.save_for_backward(g, weight)
        ctx.where = where
        return _Back.compute(g, weight, shape, where)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        g, weight = ctx.saved_tensors
        dg = _apply(_Conv, v, weight, None, ctx.where) if ctx.needs_input_grad[0] else None
        dw = _apply(_Filters, v, g, ctx.where) if ctx.needs_input_grad[1] else None
        return dg, dw, None, None


class _Filters(torch.autograd.Function):
    """w' = filters(X, G): the derivative of <G, conv(X, w)> in w, read on the edges."""

    @staticmethod
    def compute(x: Tensor, g: Tensor, where: Geometry) -> Tensor | None:
        return gradients(x, None, g, x.shape, where, (False, True, False))[1]

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, where: Geometry) -> Tensor | None:
        ctx.save_for_backward(x, g)
        ctx.where = where
        return _Filters.compute(x, g, where)

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, g = ctx.saved_tensors
        dx = _apply(_Back, g, u, x.shape, ctx.where) if ctx.needs_input_grad[0] else None
        dg = _apply(_Conv, x, u, None, ctx.where) if ctx.needs_input_grad[1] else None
        return dx, dg, None


def _apply(function: Any, *arguments: Any) -> Tensor:
    """The function with its own derivatives; of tensors that stand for many, by torch's operations, with torch's."""
    if any(map(stands_for_many, arguments)):
        function = function.compute
    else:
        function = function.apply
    result: Tensor = function(*arguments)
    return result


def table_conv2d(
    x: Float[Tensor, "n in_c h w"],
    weight: Float[Tensor, "edges kh kw"],
    bias: Float[Tensor, " out_c"] | None,
    where: Geometry,
) -> Float[Tensor, "n out_c oh ow"]:
    """conv(X, w) + bias by the fastest way, with derivatives where one is asked for."""
    if not torch.is_grad_enabled() or not (
        x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    ):
        return convolve(x, weight, bias, where)
    if where.groups is not None and where.ways(x, x.shape)[:2] == (None, None):  # torch's derivatives are right
        return torch.conv2d(x, where.full(weight), bias, where.stride, where.padding, where.dilation, where.groups)
    return _apply(_Conv, x, weight, bias, where)


@torch.compiler.disable  # type: ignore[untyped-decorator]  # the kernels and the look cannot be traced: the graph breaks here
def untraced_table_conv2d(
    x: Float[Tensor, "n in_c h w"],
    weight: Float[Tensor, "edges kh kw"],
    bias: Float[Tensor, " out_c"] | None,
    where: Geometry,
) -> Float[Tensor, "n out_c oh ow"]:
    """`table_conv2d` within `torch.compile`."""
    return table_conv2d(x, weight, bias, where)
