"""An operation's graph, read without trusting it: its code is run on a fake image (`reading`).

Code that looks at values cannot run on a fake image, so what comes out holds for every image of the shape. A second
pass over that graph turns writing in place into functions (`torch.func.functionalize`), a third writes what depends on
the image in simpler operations. What does not depend on it is computed once, by the calls of torch that the operation
makes: other kernels round otherwise. Not excluded by this: an operation that does something else on its next call, and
a call that takes another way while it is read. Callers compare a real call with the graph.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch._subclasses import FakeTensor

from mathdnn.convolution.graph import ROUNDED, Graph, Node
from mathdnn.convolution.kept import put_back
from mathdnn.convolution.overlapping import refuse_twice
from mathdnn.convolution.reading import EMPTY, ChangesInput, FakeImages, RandomOperation, foreign, read_code
from mathdnn.convolution.simpler import COMPLEX, functional, in_simpler
from mathdnn.convolution.watched import NotTraced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# These look at the shape of their first argument and not at its values.
_SHAPE_ONLY = {
    "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty",
    "new_empty_strided",
}  # fmt: skip
_VIEWS = {"aten.view.default", "aten.reshape.default", "aten._unsafe_view.default"}
_DROPPED = {"device", "layout", "pin_memory", "memory_format", "non_blocking", "requires_grad"}


class Unreadable(NotTraced):
    """Complex numbers that are not the Fourier coefficients of known signals."""


class KeepsValues(NotTraced):
    """The next call uses what this one leaves behind, so that the graph of one call does not tell what others do."""


def trace(operation: Callable[[Any], Any], shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Graph:
    """The graph of `operation` on images of `shape`. Raises `NotTraced`, `ChangesInput`, `RandomOperation`."""
    try:
        return _traced(operation, shape, dtype, real=False)
    except KeepsValues:
        raise
    except NotTraced as first:
        try:
            return _traced(operation, shape, dtype, real=True)
        except NotTraced as error:  # of what is computed at once, it is not known how
            raise (first if isinstance(first, Unreadable) else error) from None


def _traced(operation: Callable[[Any], Any], shape: Sequence[int], dtype: torch.dtype, *, real: bool) -> Graph:
    fake = FakeImages()
    image = fake.from_tensor(torch.zeros(tuple(shape), dtype=dtype))
    try:
        with put_back(operation) as notes, torch.no_grad():
            module = read_code(operation, image, fake, real=real)
            if _uses(module, notes.replaced()):
                raise KeepsValues("it uses a value that it keeps from one call to the next")
            pure = functional(module, image, {})
            _refuse_unknown(pure.graph)
            simpler = in_simpler(pure, image, _of_image(pure.graph))
            return replace(_Reader(simpler).read(), complex=simpler.meta.get(COMPLEX))
    except (NotTraced, ChangesInput, RandomOperation):
        raise
    except Exception as error:
        raise NotTraced(_reason(error)) from error


def _uses(module: torch.fx.GraphModule, tensors: Sequence[torch.Tensor]) -> bool:
    """Whether the output of a graph may depend on one of its constants that is among the tensors."""
    nodes = list(module.graph.nodes)
    calls = [node.target for node in nodes if isinstance(node.target, torch._ops.OpOverload)]
    live = set(nodes) if any(call._schema.is_mutable for call in calls) else _live(nodes[-1])
    constants = [operator.attrgetter(str(node.target))(module) for node in live if node.op == "get_attr"]
    return any(constant is tensor for constant in constants for tensor in tensors)


def _refuse_unknown(graph: torch.fx.Graph) -> None:
    """Raise `NotTraced` where something else than values may have been taken from an operator that is not torch's."""
    live, of_image = _live(list(graph.nodes)[-1]), _of_image(graph)
    for node in of_image.difference(live):
        if isinstance(node.target, torch._ops.OpOverload) and foreign(node.target):
            raise NotTraced(f"it calls {node.target}, of which nothing is known")


def _reason(error: Exception) -> str:
    name, text = type(error).__name__, (str(error).strip() or "no message").splitlines()[0]
    if "DataDependent" in name or "DynamicOutputShape" in name or "GuardOn" in name:
        return "its Python code branches on the values of pixels"
    if ".numpy()" in text or "__array__" in text:
        return "it leaves torch for NumPy"
    return f"reading it with a fake image raised {name}: {text[:200]}"


class _Reader:
    """Turns an fx graph into a `Graph`, folding what does not depend on the input."""

    def __init__(self, module: torch.fx.GraphModule) -> None:
        self.module = module
        self.place: dict[Any, int] = {}  # fx node -> place among nodes
        self.value: dict[Any, Any] = {}  # fx node -> constant value
        self.nodes: list[Node] = []
        self.constants: list[torch.Tensor] = []

    def read(self) -> Graph:
        nodes = list(self.module.graph.nodes)
        output = nodes[-1]
        self._refuse_writes(nodes)
        live = _live(output)
        for node in nodes[:-1]:
            if node in live or node.op == "placeholder":
                self._step(node)
        result = output.args[0]
        if isinstance(result, (tuple, list)):
            raise NotTraced(f"it returns {len(result)} values, not one image")
        if not isinstance(result, torch.fx.Node):
            raise NotTraced(f"it returns {type(result).__name__}, not a tensor")
        plain = self._plain(result)
        if not isinstance(plain, dict):
            raise NotTraced("it returns a number, not a tensor")
        return Graph(tuple(self.nodes), tuple(self._array(constant) for constant in self.constants), plain)

    def _refuse_writes(self, nodes: list[torch.fx.Node]) -> None:
        for node in nodes:
            if node.op == "call_function" and str(node.target).endswith("copy_.default"):
                if isinstance(node.args[0], torch.fx.Node) and node.args[0].op == "placeholder":
                    raise ChangesInput
                raise NotTraced("it writes into a tensor that it keeps between calls")

    def _step(self, node: torch.fx.Node) -> None:
        if node.op == "placeholder":
            meta = node.meta["val"]
            self._add(node, Node("input", [], {}, tuple(map(self._size, meta.shape)), _name(meta.dtype)))
        elif node.op == "get_attr":
            self.value[node] = _attribute(self.module, str(node.target))
        elif node.op == "call_function":
            self._call(node)
        else:
            raise NotTraced(f"its graph holds a {node.op}")

    def _call(self, node: torch.fx.Node) -> None:
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            raise RandomOperation(str(node.target))
        name = _operation(node.target)
        base = base_of(node)
        inputs = [argument for argument in node.all_input_nodes if argument not in self.value]
        if not inputs:
            self.value[node] = self._run(node, base)
        elif base in _SHAPE_ONLY and len(inputs) == 1:
            self.value[node] = self._run(node, base, {inputs[0]: self._like(inputs[0].meta["val"])})
        else:
            made = self._node(node, name)
            self._refuse_twice(node, made)
            self._add(node, made)

    def _node(self, node: torch.fx.Node, name: str) -> Node:
        meta = node.meta.get("val")
        args = [self._plain(argument) for argument in node.args]
        if ROUNDED in node.meta:
            name, args = ROUNDED, [*args, *node.meta[ROUNDED]]
        kwargs = {key: self._plain(value) for key, value in node.kwargs.items() if key not in _DROPPED}
        if not isinstance(meta, torch.Tensor):
            return Node(name, args, kwargs)
        shape = tuple(map(self._size, meta.shape))
        if name in _VIEWS and -1 in args[1]:  # written out, so that no rule has to find the size that is meant
            args[1] = list(shape)
        return Node(name, args, kwargs, shape, _name(meta.dtype))

    def _refuse_twice(self, node: torch.fx.Node, made: Node) -> None:
        if made.op == "aten.index_put.default" and not (len(made.args) > 3 and made.args[3]):
            image, put, given = node.args[:3]  # type: Any, Any, Any
            values = self.value[given] if given in self.value else given.meta["val"]
            refuse_twice(image.meta["val"].shape, [self.value.get(places) for places in put], values.numel())

    def _like(self, meta: torch.Tensor) -> torch.Tensor:
        return torch.zeros(tuple(meta.shape), dtype=meta.dtype)

    def _size(self, size: Any) -> Any:
        return int(size)

    def _run(self, node: torch.fx.Node, base: str, more: dict[Any, torch.Tensor] | None = None) -> Any:
        """What torch itself computes for a node that does not depend on the input."""
        known = {**self.value, **(more or {})}
        args = torch.fx.map_arg(node.args, lambda argument: known[argument])
        kwargs = torch.fx.map_arg(node.kwargs, lambda argument: known[argument])
        assert callable(node.target)
        try:
            result = node.target(*args, **kwargs)
        except Exception as error:
            raise NotTraced(f"{node.target} raised {type(error).__name__}: {error}") from error
        if base in EMPTY:
            if not result.dtype.is_floating_point:
                raise NotTraced("it uses uninitialised memory")
            result = torch.full_like(result, torch.nan)  # stands for "anything"; nothing that reads it is proved
        return result

    def _add(self, node: torch.fx.Node, made: Node) -> None:
        self.place[node] = len(self.nodes)
        self.nodes.append(made)

    def _plain(self, argument: Any) -> Any:
        if isinstance(argument, torch.fx.Node):
            if argument in self.place:
                return {"node": self.place[argument]}
            return self._plain(self.value[argument])
        if isinstance(argument, torch.Tensor):
            self.constants.append(argument)
            return {"constant": len(self.constants) - 1}
        if isinstance(argument, torch.dtype):
            return _name(argument)
        if isinstance(argument, (list, tuple)):
            return [self._plain(item) for item in argument]
        if argument is None or isinstance(argument, (bool, int, float, str)):
            return argument
        raise NotTraced(f"an argument is a {type(argument).__name__}")

    def _array(self, tensor: torch.Tensor) -> np.ndarray:
        tensor = tensor.detach()
        if tensor.layout is torch.sparse_csr or (tensor.layout is torch.sparse_coo and tensor.is_coalesced()):
            tensor = tensor.to_dense()  # the same numbers, and 0 where it has none
        if tensor.is_complex():
            _, why = self.module.meta.get(COMPLEX, ("", "it holds complex numbers"))
            raise Unreadable(why)
        if tensor.is_quantized or tensor.layout is not torch.strided:
            raise NotTraced(f"it holds a constant of dtype {tensor.dtype}, layout {tensor.layout}")
        if tensor.dtype in (torch.bfloat16, torch.float16):
            tensor = tensor.float()  # exact; the node's own dtype says what it is rounded to
        return np.array(tensor.cpu().numpy(), copy=True)


def _of_image(graph: torch.fx.Graph) -> set[torch.fx.Node]:
    """What depends on the image; a tensor of its shape alone does not."""
    found: set[torch.fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or found.intersection(_read_by(node)):
            found.add(node)
    return found


def _live(output: torch.fx.Node) -> set[torch.fx.Node]:
    """What the output is made of: of the tensor whose shape alone is used, nothing."""
    found: set[torch.fx.Node] = set()
    todo = [output]
    while todo:
        for node in _read_by(todo.pop()):
            if node not in found:
                found.add(node)
                todo.append(node)
    return found


def _read_by(node: torch.fx.Node) -> list[torch.fx.Node]:
    """The nodes whose values a node reads."""
    return node.all_input_nodes[1:] if base_of(node) in _SHAPE_ONLY else node.all_input_nodes


def base_of(node: torch.fx.Node) -> str:
    """The name of torch's own operation, without its overload; "" for all others, which may be called the same."""
    name = str(node.target) if node.op == "call_function" else ""
    return name.split(".")[1] if name.startswith("aten.") else ""


def _attribute(module: torch.nn.Module, path: str) -> Any:
    value = operator.attrgetter(path)(module)
    if isinstance(value, FakeTensor):
        raise NotTraced("a constant of its graph has no values")
    return value


def _operation(target: Any) -> str:
    return "getitem" if target is operator.getitem else str(target)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
