"""Convolution over a connection table, weights per edge, as a torch layer.

    n  image      o  output map      i  input map      e = (o, i)  edge      p, q  pixel      a, b  tap of the filter

    Y[n,o,p,q] = bias[o] + sum over edges e = (o, i), a, b of  w[e,a,b] X[n,i,S p + D a,S q + D b],   X already padded

No flip (cross-correlation), stride S, dilation D, as torch's Conv2d. Source: LeCun, Bottou, Bengio, Haffner (1998),
layer C3. Three ways compute it: `table_conv2d_literal` convolves once per output map over the maps it reads; the
grouped way is torch's own where the table is exactly groups; the dense way is one convolution with zeros off the table
(`table_function` says how it stays right for non-finite numbers). Where they are faster, compiled kernels compute the
edges alone (`table_native` decides). All are one function over the reals; in floating point they differ by the order of
summation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from mathdnn.errors import InvalidInput, is_whole, sentence
from mathdnn.lenet.sizes import Size, padding_sides, pair
from mathdnn.lenet.table import ConnectionTable
from mathdnn.lenet.table_function import Geometry, table_conv2d, untraced_table_conv2d
from mathdnn.lenet.table_literal import table_conv2d_literal
from mathdnn.lenet.table_native import ways

if TYPE_CHECKING:
    from jaxtyping import Float

Form = Literal["auto", "literal", "grouped", "dense"]
_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
_FIXED = ("table", "in_channels", "out_channels", "kernel_size")  # the weights belong to them
_SETTINGS = ("stride", "padding", "dilation", "padding_mode", "form")


@dataclass(frozen=True)
class Plan:
    """Which way a table convolution is computed, and why; `groups` is torch's, where the way is grouped."""

    way: Literal["literal", "grouped", "guarded", "dense", "native"]
    why: str
    groups: int = 1

    def __str__(self) -> str:
        return f"{self.way}: {self.why}"


def plan(table: ConnectionTable, form: Form = "auto", *, exporting: bool = False) -> Plan:
    """Decide how `table` is convolved. Raises `InvalidInput` for an unknown form, or "grouped" without groups."""
    groups, edges, dense = table.groups, len(table.edges), table.in_channels * table.out_channels
    if form not in ("auto", "literal", "grouped", "dense"):
        _refuse("plan(form=...)", "auto, literal, grouped or dense", repr(form), "choose one of them")
    if form == "grouped" and groups is None:
        _refuse("plan(form='grouped')", "a table that is exactly groups", "one that is not", "use 'auto'")
    if groups is not None and form in ("auto", "grouped"):
        return Plan("grouped", f"the table is exactly groups={groups}, which torch convolves itself", groups)
    if form == "literal":
        return Plan("literal", f"asked for: {table.out_channels} convolutions, one per output map")
    if form == "dense":
        return Plan(
            "dense", f"asked for: one convolution, {dense - edges} of {dense} kernels zero, finite input promised"
        )
    if exporting:
        return Plan("literal", "a graph is exported: it cannot look at values, and the literal form is always right")
    return Plan(
        "guarded", f"one dense convolution, {dense - edges} of {dense} kernels zero; edge by edge if not finite"
    )


class TableConv2d(nn.Module):
    """`torch.nn.Conv2d` over a connection table: a weight for each edge, and none elsewhere.

    Parameters: `weight` (edges, kh, kw) in the table's canonical order and `bias` (out_channels,). The buffer `edge`
    (edges, 2) goes with the state, so that weights of another table are refused when loaded. Arguments are Conv2d's,
    with a `table` in the place of the channels. `form` chooses the way (`plan` explains): "auto" is right for every
    input; it looks at the values, which on a GPU waits for them and in `torch.compile` breaks the graph. "dense" does
    not look, and promises no more than finite input gives; "literal" is the definition, and what `torch.export` gets.

    Input (n, in_channels, h, w) or (in_channels, h, w). Raises `InvalidInput` for arguments or input that do not fit.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    edge: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int] | str
    dilation: tuple[int, int]
    padding_mode: str
    form: Form
    _more: tuple[tuple[int, int], tuple[int, int]]  # padding that is put into the image: rows, columns
    _where: Geometry

    def __init__(
        self,
        table: ConnectionTable,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | Literal["same", "valid"] = 0,
        dilation: Size = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        form: Form = "auto",
    ) -> None:
        super().__init__()
        if not isinstance(table, ConnectionTable):
            _refuse("TableConv2d(table=...)", "a ConnectionTable", f"a {type(table).__name__}", "build or parse one")
        self.table, self.in_channels, self.out_channels = table, table.in_channels, table.out_channels
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self._settle(stride, padding, dilation, padding_mode, form)
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(len(table.edges), *self.kernel_size, **where))
        self.register_parameter("bias", nn.Parameter(torch.empty(self.out_channels, **where)) if bias else None)
        self.register_buffer("edge", torch.empty(len(table.edges), 2, dtype=torch.int64, device=device))
        self.reset_parameters()

    def _settle(self, stride: Size, padding: Size | str, dilation: Size, padding_mode: str, form: Form) -> None:
        """Check the settings, all of them before any is taken, and derive from them what the forward pass needs."""
        if padding_mode not in _PADDING_MODES:
            _refuse("TableConv2d(padding_mode=...)", " or ".join(_PADDING_MODES), repr(padding_mode), "choose one")
        plan(self.table, form)
        steps, gaps = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
        pad: tuple[int, int] | str = padding if isinstance(padding, str) else pair(padding, "padding", 0)
        sides = padding_sides(pad, self.kernel_size, steps, gaps)
        # as torch does: zeros on both sides are left out of the sums, and one more on one side is put into the image
        own = (min(sides[0]), min(sides[1])) if padding_mode == "zeros" else (0, 0)
        more = tuple((before - n, after - n) for (before, after), n in zip(sides, own, strict=True))
        where = Geometry(self.table, self.kernel_size, steps, own, gaps)
        settled = {"stride": steps, "padding": pad, "dilation": gaps, "padding_mode": padding_mode, "form": form}
        self.__dict__.update(settled, _more=more, _where=where)

    def __setattr__(self, name: str, value: Any) -> None:
        """A setting that is changed later counts from the next call on, as Conv2d's does; others are refused."""
        if name in _FIXED and "_where" in self.__dict__:
            _refuse(f"TableConv2d.{name}", "the one it was built with", "another", "build a layer with that one")
        if name in _SETTINGS and "_where" in self.__dict__:
            self._settle(**{**{each: getattr(self, each) for each in _SETTINGS}, name: value})
        else:
            super().__setattr__(name, value)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw weights and biases of output map o uniformly in ±1/sqrt(fan-in), fan-in = |maps[o]| kh kw.

        That is the default of torch's Conv2d (kaiming_uniform_ with a = sqrt(5)) for each of the convolutions of the
        literal form: a map that reads fewer maps gets larger weights, so all outputs start with one variance. A masked
        full convolution would count edges that are not there and start the sparse maps too small.
        """
        with torch.no_grad():
            self.edge.copy_(torch.tensor(self.table.edges))
            taps = self.kernel_size[0] * self.kernel_size[1]
            bound = torch.tensor([(n * taps) ** -0.5 for n in self.table.fan_in]).to(self.weight)
            self.weight.uniform_(-1, 1, generator=generator).mul_(bound[self.edge[:, 0], None, None])
            if self.bias is not None:
                self.bias.uniform_(-1, 1, generator=generator).mul_(bound)

    def forward(self, x: Float[Tensor, "*n in_c h w"]) -> Float[Tensor, "*n out_c oh ow"]:
        shape = f"({self.in_channels}, h, w) with or without a batch in front"
        if not isinstance(x, Tensor):
            _refuse("TableConv2d.forward(x)", f"a tensor {shape}", f"a {type(x).__name__}", "make it a torch tensor")
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            _refuse("TableConv2d.forward(x)", shape, f"shape {tuple(x.shape)}", "match the table's input maps")
        if x.layout is not torch.strided:
            _refuse("TableConv2d.forward(x)", "a strided tensor", f"layout {x.layout}", "call its to_dense()")
        x, weight, bias = self._cast(x)
        x, where = self._padded(x), self._where
        steps = (where.stride, where.padding, where.dilation)
        if self.form == "literal" or _by_definition(x, weight):
            return table_conv2d_literal(x, weight, bias, self.table, *steps)
        if self.form in ("dense", "grouped"):
            return F.conv2d(x, where.full(weight), bias, *steps, where.groups or 1)
        compute = untraced_table_conv2d if torch.compiler.is_compiling() else table_conv2d
        y: Tensor = compute(x if x.ndim == 4 else x[None], weight, bias, where)
        return y if x.ndim == 4 else y[0]

    def plan_for(self, input_shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Plan:
        """How input of this shape is computed on the processor, with torch's present number of threads.

        `input_shape` is (n, in_channels, h, w) or (in_channels, h, w).
        """
        way, known = plan(self.table, self.form), isinstance(input_shape, tuple | list) and len(input_shape) in (3, 4)
        known = known and all(is_whole(size) and 0 <= size < 1 << 63 for size in input_shape)
        if not known or input_shape[-3] != self.in_channels:
            expected = f"({self.in_channels}, h, w) with or without a batch in front"
            _refuse("TableConv2d.plan_for(input_shape)", expected, f"{input_shape!r:.60}", "give the images' shape")
        if self.form != "auto":
            return way
        if dtype.is_complex:
            return Plan("literal", f"{dtype}, whose derivatives are torch's own: one convolution per output map")
        shape = (1, *map(int, input_shape))[-4:]
        rows, columns = (size + sum(pad) for size, pad in zip(shape[2:], self._more, strict=True))
        shape = (*shape[:2], rows, columns)
        found = ways(self._where, shape, dtype, torch.get_num_threads())
        compiled = [name for name, kernel in (("forward", found.forward), ("backward", found.backward)) if kernel]
        why = f"forward, {found.why_forward}; backward, {found.why_backward}"
        if not compiled:
            return Plan(way.way, f"{way.why}. Kernels: {why}", way.groups)
        return Plan("native", f"compiled kernels compute the edges alone, {' and '.join(compiled)}. {why}", way.groups)

    def dense_weight(self) -> Float[Tensor, "out_c in_c kh kw"]:
        """The weight of the equal ordinary convolution: zeros off the table. Differentiable."""
        zeros = self.weight.new_zeros(self.out_channels, self.in_channels, *self.kernel_size)
        return zeros.index_put((self.edge[:, 0], self.edge[:, 1]), self.weight)

    def extra_repr(self) -> str:
        words = [f"{self.in_channels}, {self.out_channels}, edges={len(self.table.edges)}"]
        words.append(f"kernel_size={self.kernel_size}, stride={self.stride}")
        defaults = {"padding": (0, 0), "dilation": (1, 1), "padding_mode": "zeros", "form": "auto"}
        words += [f"{key}={getattr(self, key)!r}" for key, value in defaults.items() if getattr(self, key) != value]
        return ", ".join(words if self.bias is not None else [*words, "bias=False"])

    def _cast(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """What autocast would do to a convolution's arguments, done before our own derivative rules."""
        kind = x.device.type
        if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            return x, self.weight, self.bias
        dtype = torch.get_autocast_dtype(kind)

        def cast(some: Tensor) -> Tensor:  # each by itself, and never float64
            return some.to(dtype) if some.is_floating_point() and some.dtype != torch.float64 else some

        return cast(x), cast(self.weight), None if self.bias is None else cast(self.bias)

    def _padded(self, x: Tensor) -> Tensor:
        """The input with what convolution cannot pad itself."""
        if not any(map(any, self._more)):
            return x
        (top, bottom), (left, right) = self._more
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return F.pad(x, (left, right, top, bottom), mode=mode)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """`to_empty`, and with it `skip_init`, leave no numbers behind, but the edges are the table's."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        shared = self.edge.is_cpu and self.edge.is_shared()  # type: ignore[no-untyped-call]
        if not (self.edge.is_meta or shared):
            self.edge = torch.tensor(self.table.edges, device=self.edge.device)
        return self

    def _load_from_state_dict(
        self,
        state: dict[str, Any],
        prefix: str,
        metadata: Any,
        strict: bool,
        missing: Any,
        extra: Any,
        errors: list[str],
    ) -> None:
        found = state.get(prefix + "edge")
        edges = [list(edge) for edge in self.table.edges]
        if isinstance(found, Tensor) and not found.is_meta and found.to_dense().tolist() != edges:
            what = "the weights belong to another connection table; build the layer with that one"
            errors.append(f"{prefix}edge: {what}")
            return  # torch raises only at the end: what is not copied now stays as it was
        super()._load_from_state_dict(state, prefix, metadata, strict, missing, extra, errors)
        if metadata.get("assign_to_params_buffers"):  # the edges that were put in may be of another type or nowhere
            self.edge = torch.tensor(self.table.edges, device=self.weight.device)


def _by_definition(x: Tensor, weight: Tensor) -> bool:
    """Whether only the literal form will do.

    Our own derivatives are of real numbers. And where `x` stands for others (export, torch.func, tracing, a subclass),
    its numbers cannot be looked at.
    """
    if torch.compiler.is_exporting() or x.is_complex() or weight.is_complex():
        return True
    if torch._C._are_functorch_transforms_active() or torch._C._is_tracing():  # as autograd's own functions ask
        return True
    if forward_ad._current_level >= 0:  # forward-mode derivatives, which our own rules do not give
        return True
    return type(x) not in (Tensor, nn.Parameter)


def _refuse(who: str, expected: str, got: str, do: str) -> NoReturn:
    raise InvalidInput(sentence(who, expected, got, do))
