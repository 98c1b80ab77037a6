"""An operation's graph for every size at once: run on a fake image whose height and width are symbols.

Python code may compute with the symbols and compare them. torch writes down how each comparison came out (a guard), so
the graph is right for every size for which all guards hold; code that needs a number (int(), a loop over the rows) pins
the symbol, which is a guard too, and code that asks for a symbol's text, hash or pickled form ends the trace. Not
excluded: code that looks at its type, or asks torch whether it is a symbol. Callers compare real calls at other sizes
with the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy  # type: ignore[import-untyped]
import torch
from torch._meta_registrations import calc_conv_nd_return_shape
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from mathdnn.convolution.graph import Graph, Node
from mathdnn.convolution.growing import Class, Unclear, number
from mathdnn.convolution.kept import put_back
from mathdnn.convolution.reading import EMPTY, FakeImages, read_code
from mathdnn.convolution.resizing import A_NUMBER, Resizing
from mathdnn.convolution.simpler import decomposition_table, functional
from mathdnn.convolution.symbols import SYMBOLS, guarded
from mathdnn.convolution.trace import _SHAPE_ONLY, _Reader, base_of
from mathdnn.convolution.watched import NotTraced, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch._subclasses import FakeTensor

    from mathdnn.verdict import Plain

_FAR = (60, 120)  # the example is that much larger than the image asked about: a multiple of 2, 3, 4, 5, 6
_PLACE = r"\S*[/\\]\S*\.\w+(:\d+)*:?"  # a file, with a line or without
_FILLED = {"full", "zeros", "ones", "empty"}


@dataclass(frozen=True)
class SymbolicGraph:
    """A `Graph` whose whole numbers may be {"size": expression}; `guards` are the conditions that it rests on."""

    graph: Graph
    guards: tuple[Plain, ...]
    shared: bool = False  # whether a call writes into memory that it also reads, in other places on the example

    def at(self, height: int, width: int) -> Graph:
        """The graph for one size. Raises `Unclear` where an expression is no whole number there."""
        here = Class((height, width), (0, 0))
        constants = list(self.graph.constants)
        nodes = []
        for node in self.graph.nodes:
            made = replace(
                node, args=_put(node.args, here), kwargs=_put(node.kwargs, here), shape=_put(node.shape, here)
            )
            nodes.append(_as_constant(made, constants) if node.op == "full" else made)
        return Graph(tuple(nodes), tuple(constants), self.graph.output)

    def to_plain(self) -> dict[str, Plain]:
        plain = self.graph.to_plain()
        return {**plain, "guards": list(self.guards)}


def _put(value: Any, here: Class) -> Any:
    if isinstance(value, dict):
        if "size" in value:
            return number(here.poly(value["size"]))
        return {key: _put(item, here) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_put(item, here) for item in value)
    return value


def _as_constant(node: Node, constants: list[np.ndarray]) -> Node:
    """An array of one number, as a copy of a constant."""
    shape, value = node.args
    constants.append(np.full(shape, np.nan if value is None else value, dtype=node.dtype))
    return replace(node, op="aten.clone.default", args=[{"constant": len(constants) - 1}])


class _OpenSizes(FakeImages):  # type: ignore[no-untyped-call]
    """The sizes of some results come from `_SHAPES`, since torch's own way to them asks which kernel would run, or
    rounds. The values of a result do not depend on either."""

    def _call(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        shape = _SHAPES[func](*args) if func in _SHAPES and not kwargs else None
        if shape is not None:
            return super()._call(torch.ops.aten.new_empty.default, types, (args[0], shape), {})
        return super()._call(func, types, args, kwargs)


def _convolved(image: Any, weight: Any, _: Any, stride: Any, padding: Any, dilation: Any, *more: Any) -> Any:
    transposed, extra, groups = more
    if image.ndim != weight.ndim:
        return None
    own = extra if transposed else None
    return calc_conv_nd_return_shape(image, weight, stride, padding, dilation, transposed, groups, own)


def _unshuffled(image: Any, r: int) -> Any:
    *lead, c, h, w = image.shape
    return None if h % r or w % r else [*lead, c * r * r, h // r, w // r]


def _columns(image: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    *lead, c, h, w = image.shape
    windows = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip((h, w), kernel, dilation, padding, stride, strict=True)
    ]
    return [*lead, c * kernel[0] * kernel[1], windows[0] * windows[1]]


def _padded(image: Any, pads: Any, *_: Any) -> Any:
    sides = [0] * (2 * image.ndim - len(pads)) + [*reversed(pads)]
    return [n + sides[2 * k] + sides[2 * k + 1] for k, n in enumerate(image.shape)]


_SHAPES: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.convolution.default: _convolved,
    torch.ops.aten.pixel_unshuffle.default: _unshuffled,
    torch.ops.aten.constant_pad_nd.default: _padded,
    torch.ops.aten.im2col.default: _columns,
    torch.ops.aten.upsample_bicubic2d.default: lambda image, sizes, *_: [*image.shape[:2], *sizes],
    torch.ops.aten.upsample_bilinear2d.default: lambda image, sizes, *_: [*image.shape[:2], *sizes],
    torch.ops.aten.upsample_nearest2d.default: lambda image, sizes, *_: [*image.shape[:2], *sizes],
}


def trace_sizes(
    operation: Callable[[Any], Any], shape: Sequence[int], dtype: torch.dtype = torch.float32
) -> SymbolicGraph:
    """The graph of `operation` on images like `shape`, for every height and width. Raises `NotTraced`, `Unclear`."""
    environment = ShapeEnv(allow_scalar_outputs=False, allow_dynamic_output_shape_ops=False)
    lead = len(shape) - 2
    context = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.STATIC] * lead + [DimDynamic.DYNAMIC] * 2)  # type: ignore[var-annotated]
    height, width = shape[-2] + _FAR[0], shape[-1] + _FAR[1]
    width += _FAR[0] * (height == width)  # two sizes that are alike would be one symbol
    example = torch.zeros((*shape[:lead], height, width), dtype=dtype)
    fake = _OpenSizes(shape_env=environment)
    image = fake.from_tensor(example, symbolic_context=context)
    resizing = Resizing()
    with put_back(operation), torch.no_grad():
        module = _read(operation, image, fake, resizing)
    symbols: dict[Any, str] = {}
    sizes: Any = image.shape[lead:]
    for name, size in zip("HW", sizes, strict=True):
        found = size.node.expr if isinstance(size, torch.SymInt) else None
        if not isinstance(found, sympy.Symbol):
            raise Unclear(resizing.fixed or "its code takes the image's height or width as a number")
        symbols[found] = name
    graph = _SymbolicReader(module, symbols).read()
    guards = tuple(_expression(guard.expr, symbols) for guard in environment.guards)
    return SymbolicGraph(graph, tuple({str(guard): guard for guard in guards}.values()), fake.shared)


def _read(
    operation: Callable[[Any], Any], image: FakeTensor, fake: _OpenSizes, resizing: Resizing
) -> torch.fx.GraphModule:
    """The graph of pure functions. Raises `NotTraced`, `Unclear`."""
    reading = Reading()

    def traced(x: torch.Tensor) -> Any:
        resizing.image = x
        with resizing, guarded(reading):
            return operation(x)

    try:
        first = read_code(traced, image, fake, real=True, table=decomposition_table())
        if reading.trouble is not None:
            raise reading.trouble
        first.graph.eliminate_dead_code()
        module = functional(first, image, decomposition_table())
        module.graph.eliminate_dead_code()
    except (Unclear, NotTraced):
        raise
    except Exception as error:
        said = str(error).partition("Exception raised from")[0]  # then come places in torch's own code
        text = " ".join(re.sub(_PLACE, "", said).split())
        if "SymInt" in text:  # words about a type within torch
            raise NotTraced(f"{A_NUMBER} in {resizing.call}") from error
        raise NotTraced(f"with sizes left open it raised {type(error).__name__}: {text[:200]}") from error
    return module


_RELATIONS = {
    sympy.Eq: "==", sympy.Ne: "!=", sympy.Le: "<=", sympy.Lt: "<", sympy.Ge: ">=", sympy.Gt: ">",
}  # fmt: skip
_BY_NAME = {
    "FloorDiv": "//", "Mod": "%", "PythonMod": "%", "CleanDiv": "//", "Max": "max", "Min": "min", "Add": "+",
    "Mul": "*", "And": "and", "Or": "or",
}  # fmt: skip


def _expression(value: Any, symbols: dict[Any, str]) -> Plain:
    """sympy's expression as plain data. Raises `Unclear` for anything but whole numbers and the operators above."""
    if value in (sympy.true, sympy.false):
        return bool(value)
    if value in symbols:
        return symbols[value]
    if isinstance(value, (int, sympy.Integer)):
        return int(value)
    arguments = [_expression(part, symbols) for part in getattr(value, "args", ())]
    for kind, operator in _RELATIONS.items():
        if isinstance(value, kind):
            return [operator, *arguments]
    if isinstance(value, sympy.Pow) and type(arguments[1]) is int and 1 <= arguments[1] <= 4:
        return ["*", *[arguments[0]] * arguments[1]]
    name = type(value).__name__
    if name not in _BY_NAME:
        raise Unclear(f"a size or a condition on it holds {name}")
    return [_BY_NAME[name], *arguments]


class _SymbolicReader(_Reader):
    """Reads sizes as expressions, and arrays of one number as nodes of their own."""

    def __init__(self, module: torch.fx.GraphModule, symbols: dict[Any, str]) -> None:
        super().__init__(module)
        self.symbols = symbols

    def _size(self, value: Any) -> Plain:
        if isinstance(value, torch.SymInt):
            made = _expression(value.node.expr, self.symbols)
            return made if type(made) is int else {"size": made}
        if isinstance(value, (torch.SymFloat, torch.SymBool)):
            raise Unclear("it computes with a number that depends on the image's size")
        return int(value)

    def _like(self, meta: torch.Tensor) -> torch.Tensor:
        """For an array of known sizes, of an image's dtype alone: one of an image's size is `_filled`."""
        return torch.zeros((0,) * meta.ndim, dtype=meta.dtype)

    def _step(self, node: torch.fx.Node) -> None:
        meta = node.meta.get("val")
        if isinstance(meta, SYMBOLS):
            self.value[node] = meta
        else:
            super()._step(node)

    def _call(self, node: torch.fx.Node) -> None:
        base = base_of(node)
        meta = node.meta.get("val")
        if isinstance(meta, torch.Tensor) and any(isinstance(size, torch.SymInt) for size in meta.shape):
            if base in _SHAPE_ONLY | _FILLED | EMPTY:
                self._add(node, self._filled(node, base, meta))
                return
            if not any(argument in self.place for argument in node.all_input_nodes):
                raise Unclear(f"{node.target} makes numbers from the image's size")
        super()._call(node)

    def _filled(self, node: torch.fx.Node, base: str, meta: torch.Tensor) -> Node:
        value: float | int | None = None if base in EMPTY else 0 if "zeros" in base else 1
        if "full" in base:
            value = node.args[-1]  # type: ignore[assignment]
            if type(value) not in (int, float, bool):
                raise Unclear("it fills with a number that depends on the image's size")
        shape = [self._size(size) for size in meta.shape]
        if not meta.dtype.is_floating_point:
            raise Unclear("it makes whole numbers or conditions from the image's size")
        return Node("full", [shape, value], {}, tuple(shape), str(meta.dtype).removeprefix("torch."))

    def _run(self, node: torch.fx.Node, base: str, more: Any = None) -> Any:
        if any(isinstance(self.value.get(part), SYMBOLS) for part in node.all_input_nodes):
            raise Unclear("it makes numbers from the image's size")
        return super()._run(node, base, more)

    def _plain(self, argument: Any) -> Any:
        if isinstance(argument, torch.SymInt):
            return self._size(argument)
        if isinstance(argument, (torch.SymFloat, torch.SymBool)):
            raise Unclear("it computes with a number that depends on the image's size")
        return super()._plain(argument)
