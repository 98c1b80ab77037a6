"""Operations of torch written in simpler ones while code is read: by torch's own rules, and by some of ours.

Each gives the same map over the reals, and rounds otherwise: for what depends on the image, never for constants, which
are the operation's own. Images keep their axes (n, channels, rows, columns).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx

from mathdnn.convolution.fourier import Fourier, NotSpectral, is_complex

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch._subclasses import FakeTensor

aten = torch.ops.aten
COMPLEX = "complex"  # of a module: the operation for which its complex numbers are not read, and why
_LARGEST = 1 << 22  # products of one scattering: a second of exact arithmetic (heuristic)

# By torch's rules, with the constants that torch computes.
_DECOMPOSED = [
    aten.native_batch_norm, aten._native_batch_norm_legit_no_training, aten.addcmul, aten.addcdiv, aten.lerp,
    aten.addmm, aten.addmv, aten.baddbmm, aten.addbmm, aten.mv, aten.dot, aten.rsub, aten.square,
    aten.native_layer_norm, aten.celu, aten.addr,
    aten.logit, aten.trace, aten.nan_to_num, aten.linspace, aten._upsample_nearest_exact1d,
    aten._upsample_nearest_exact2d, aten.upsample_nearest3d, aten.index_copy, aten.take, aten.deg2rad, aten.rad2deg,
    aten.ldexp, aten.linalg_cross, aten.block_diag, aten.slice_backward, aten.select_backward, aten.narrow_copy,
    aten.expand_copy, aten.view_copy,
]  # fmt: skip


def decomposition_table() -> Any:
    return {**torch._decomp.get_decompositions(_DECOMPOSED), **_OWN}


def functional(module: torch.fx.GraphModule, image: FakeTensor, table: Any) -> torch.fx.GraphModule:
    """The same graph with writing in place turned into functions, and operations into others by a table."""
    return _again(functionalize(module), image, table)


def in_simpler(pure: torch.fx.GraphModule, image: FakeTensor, of_image: set[torch.fx.Node]) -> torch.fx.GraphModule:
    """A graph of functions with the nodes `of_image` in simpler operations, and all others as they are."""
    known = {**decomposition_table(), **_OF_IMAGES}
    spectral = any(is_complex(node) for node in of_image)
    if not spectral and not any(node.target in known for node in of_image):
        return pure
    if spectral:
        pure.graph.eliminate_dead_code()  # what is not used needs no reading
        try:
            return _in_simpler(pure, image, of_image, known, spectral=True)
        except NotSpectral as error:  # as it is written: that may refute it
            made = _in_simpler(pure, image, of_image, known, spectral=False)
            made.meta[COMPLEX] = error.op, error.why
            return made
    return _in_simpler(pure, image, of_image, known, spectral=False)


def _in_simpler(
    pure: torch.fx.GraphModule, image: FakeTensor, of_image: set[torch.fx.Node], known: Any, *, spectral: bool
) -> torch.fx.GraphModule:
    steps = _Steps(pure, of_image if spectral else set(), image.dtype is torch.float32)

    def where_of_image(rule: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: rule(*args, **kwargs) if steps.here in of_image else NotImplemented

    def run(given: Any) -> Any:
        return steps.run(given)

    return _again(run, image, {target: where_of_image(rule) for target, rule in known.items()})


class _Steps(torch.fx.Interpreter):
    """Runs a graph, and knows which step it is at; complex nodes among the given ones, and what is real again after
    them, are read as Fourier coefficients."""

    here: torch.fx.Node | None = None

    def __init__(self, module: torch.fx.GraphModule, spectral: set[torch.fx.Node], single: bool) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.spectral = spectral
        self.fourier = Fourier(spectral, lambda node: self.env[node], single)  # a run has an `env` of its own

    def run_node(self, n: torch.fx.Node) -> Any:
        self.here = n
        if n in self.spectral and any(is_complex(node) for node in (n, *n.all_input_nodes)) and n.op != "output":
            return self.fourier.run(n)
        return super().run_node(n)


def _again(run: Callable[[Any], Any], image: FakeTensor, table: Any) -> torch.fx.GraphModule:
    with image.fake_mode:
        made = make_fx(run, table, tracing_mode="real", _allow_non_fake_inputs=True)(image)
    assert isinstance(made, torch.fx.GraphModule)
    return made


def _convolution(*given: Any) -> Any:
    """As torch.jit.trace writes a convolution: with flags behind it, which choose among torch's libraries."""
    return aten.convolution.default(*given[:9])


def _power(x: torch.Tensor, exponent: Any) -> Any:
    return aten.clone.default(x) if exponent == 1 and x.is_floating_point() else NotImplemented


def _leaky_relu(x: torch.Tensor, slope: Any = 0.01) -> Any:
    return aten.clone.default(x) if slope == 1 else NotImplemented


def _clamp(x: torch.Tensor, low: Any = None, high: Any = None) -> Any:
    """Between bounds that no number is beyond."""
    endless = low in (None, -math.inf) and high in (None, math.inf)
    return aten.clone.default(x) if endless and x.is_floating_point() else NotImplemented


def _convolution_backward(slope: Any, image: Any, weight: Any, *given: Any) -> Any:
    """The derivative in the image alone: a transposed convolution, or an ordinary one of a transposed one."""
    _, stride, padding, dilation, transposed, _, groups, wanted = given
    if list(wanted) != [True, False, False]:
        return NotImplemented
    axes = len(stride)
    more = [0] * axes
    if not transposed:
        sizes = zip(image.shape[2:], slope.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
        more = [n - ((out - 1) * s - 2 * p + d * (k - 1) + 1) for n, out, k, s, p, d in sizes]
    steps = (stride, padding, dilation, not transposed, more, groups)
    return aten.convolution.default(slope, weight, None, *steps), None, None


def _average_pool_backward(
    slope: Any, image: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, include: bool, divisor: Any
) -> Any:
    """Each pixel of the derivative, divided, is added to all of its window: a transposed convolution with ones."""
    k, s, p = (list(part) * (2 if len(part) == 1 else 1) for part in (kernel, stride or kernel, padding))
    if ceil or (any(p) and not include and not divisor):
        return NotImplemented
    sizes = zip(image.shape[-2:], slope.shape[-2:], k, s, p, strict=True)
    more = [n - ((out - 1) * step - 2 * pad + taps) for n, out, taps, step, pad in sizes]
    if any(not 0 <= extra < step for extra, step in zip(more, s, strict=True)):
        return NotImplemented
    channels = image.shape[-3]
    one = torch.ones(channels, 1, *k, dtype=slope.dtype, device=slope.device)
    steps = (s, p, [1, 1], True, more, channels)
    return aten.convolution.default(slope / (divisor or k[0] * k[1]), one, None, *steps)


def _put(x: Any, places: Any, part: Any, accumulate: bool = False) -> Any:
    if accumulate:
        return NotImplemented
    made = aten.index_put.default(x.reshape(-1), [places.reshape(-1)], part.reshape(-1))
    return made.reshape(x.shape)


def _scatter(x: Any, axis: int, places: Any, part: Any) -> Any:
    """Each element of the part goes to its own place along the axis, and along the others to where it stands."""
    if x.dim() == 0 or places.dim() != x.dim():
        return NotImplemented
    axis %= x.dim()
    part = part[tuple(slice(0, n) for n in places.shape)]
    grid = [torch.arange(n, device=x.device).reshape([-1 if k == j else 1 for k in range(x.dim())])
            for j, n in enumerate(places.shape)]  # fmt: skip
    grid[axis] = places
    return aten.index_put.default(x, [at.expand(places.shape) for at in grid], part)


def _fold(columns: Any, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """Each column's numbers are put down in their window and added up: a transposed convolution."""
    taps = kernel[0] * kernel[1]
    channels = columns.shape[-2] // taps
    lines = list(zip(size, kernel, dilation, padding, stride, strict=True))
    spans = [d * (k - 1) + 1 - 2 * p for _, k, d, p, _ in lines]
    windows = [(n - span) // s + 1 for (n, *_, s), span in zip(lines, spans, strict=True)]
    more = [n - (w - 1) * s - span for (n, *_, s), w, span in zip(lines, windows, spans, strict=True)]
    one = torch.eye(taps, dtype=columns.dtype, device=columns.device).reshape(taps, 1, *kernel)
    image = columns.reshape(-1, channels * taps, *windows)
    steps = (stride, padding, dilation, True, more, channels)
    made = aten.convolution.default(image, one.repeat(channels, 1, 1, 1), None, *steps)
    return made.reshape(*columns.shape[:-2], channels, *size)


def _index_add(x: Any, axis: int, index: Any, part: Any, alpha: Any = 1) -> Any:
    """x and the part times the matrix that puts each of its places where the index says."""
    if x.dim() == 0 or not x.is_floating_point():
        return NotImplemented
    places = torch.arange(x.shape[axis], device=index.device)
    put = (index.reshape(-1, 1) == places).to(part.dtype)
    return x + (torch.matmul(part.movedim(axis, -1), put) * alpha).movedim(-1, axis)


def _scatter_add(x: Any, axis: int, places: Any, part: Any) -> Any:
    """Each element of the part, times 1 at its own place along the axis and 0 elsewhere, summed: from lines of one
    form, (.., j), come lines (.., j, k)."""
    if x.dim() == 0 or places.dim() != x.dim() or not x.is_floating_point():
        return NotImplemented
    axis %= x.dim()
    if part.numel() * x.shape[axis] > _LARGEST:
        return NotImplemented
    if any(n != own for k, (n, own) in enumerate(zip(places.shape, x.shape, strict=True)) if k != axis):
        return NotImplemented
    part = part[tuple(slice(0, n) for n in places.shape)].movedim(axis, -1)
    put = places.movedim(axis, -1)[..., None] == torch.arange(x.shape[axis], device=x.device)
    return x + (part[..., None] * put.to(part.dtype)).sum(-2).movedim(-1, axis)


def _masked_scatter(x: Any, mask: Any, part: Any) -> Any:
    """Where the mask says so, the part's elements in their order: the k-th place takes element k."""
    if part.numel() == 0:
        return NotImplemented
    mask = mask.expand(x.shape)
    order = (mask.reshape(-1).to(torch.int64).cumsum(0) - 1).clamp(0, part.numel() - 1)
    return aten.where.self(mask, part.reshape(-1)[order].reshape(x.shape), x)


def _nansum(x: Any, axes: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The sum: an image is made of numbers, and what affine operations make of it too."""
    if dtype not in (None, x.dtype) or axes == [] or not x.is_floating_point():
        return NotImplemented
    return aten.sum.dim_IntList(x, list(range(x.dim())) if axes is None else axes, keepdim)


def _trilinear(x: Any, size: Any, align: bool, deep: Any = None, high: Any = None, wide: Any = None) -> Any:
    """Each layer on its own where their number stays and with it their places, which torch then computes exactly."""
    if size[0] != x.shape[2] or deep not in (None, 1):
        return NotImplemented
    layers = x.reshape(x.shape[0], -1, *x.shape[3:])
    return aten.upsample_bilinear2d.default(layers, size[1:], align, high, wide).reshape(*x.shape[:2], *size)


def _sparse_addmm(x: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    """alpha a b + beta x, without x where beta is 0: so torch has it, too."""
    made = aten.mm.default(a, b)
    made = made if alpha == 1 else made * alpha
    return made if beta == 0 else made + x * beta


_OF_IMAGES = {  # for what depends on the image alone: a constant may be NaN, and is summed in torch's own order
    aten._sparse_addmm.default: _sparse_addmm,
    aten.masked_scatter.default: _masked_scatter,
    aten.nansum.default: _nansum,
    aten.scatter_add.default: _scatter_add,
    aten.upsample_trilinear3d.default: _trilinear,
}
_OWN = {
    aten.leaky_relu.default: _leaky_relu,
    aten.clamp.default: _clamp,
    aten.clamp_min.default: lambda x, low: _clamp(x, low),
    aten.clamp_max.default: lambda x, high: _clamp(x, None, high),
    aten.hardtanh.default: lambda x, low=-1, high=1: _clamp(x, low, high),
    aten.col2im.default: _fold,
    aten.index_add.default: _index_add,
    aten.put.default: _put,
    aten.scatter.src: _scatter,
    aten.avg_pool2d_backward.default: _average_pool_backward,
    aten._convolution.default: _convolution,
    aten._unsafe_index.Tensor: lambda x, places: aten.index.Tensor(x, places),
    aten.pow.Tensor_Scalar: _power,
    aten.convolution_backward.default: _convolution_backward,
}
