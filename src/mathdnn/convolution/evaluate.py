"""From a graph to affine forms: every result element as an exact affine function of the input's pixels, or the
operation
that is not affine.

An operation is affine here by its rule: moving elements (`moves`), or a linear combination with constant weights
(`linear`). Whatever has no rule ends the evaluation with its name; nothing is guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.convolution import rounding
from mathdnn.convolution.context import Context
from mathdnn.convolution.graph import ROUNDED, Graph, Node, references
from mathdnn.convolution.linear import LINEAR
from mathdnn.convolution.moves import MOVES, VALUE_ARGUMENT, overload
from mathdnn.convolution.pool import Pool
from mathdnn.convolution.rational import NotFinite

if TYPE_CHECKING:
    from jaxtyping import Int64

FLOATS = ("float32", "float64")
_MANY = "unbind.int", "split.Tensor", "split_with_sizes.default"


class NotAffine(Exception):
    """`op` (at node `place`) is not shown to be affine; `why` says it in words."""

    def __init__(self, op: str, place: int, why: str) -> None:
        super().__init__(f"{op}: {why}")
        self.op, self.place, self.why = op, place, why


def evaluate(graph: Graph, pool: Pool) -> tuple[Int64[np.ndarray, "*s"], int]:
    """Ids of the result's elements among the rows of `pool`, and the roundings on the longest path to them, in
    units of the image's dtype.

    Raises `NotAffine`, `TooLarge`.
    """
    values: list[Any] = []
    depth: list[int] = []
    last = _last_uses(graph)
    for place, node in enumerate(graph.nodes):
        if graph.complex and (node.dtype or "").startswith("complex"):
            raise NotAffine(graph.complex[0], place, graph.complex[1])
        try:
            made, roundings = _node(node, values, graph, pool)
            values.append(made)
            before = _uses(node)
            depth.append(max((depth[k] for k in before), default=0) + rounding.counted(node, graph, roundings))
            for k in before:
                values[k] = values[k] if last[k] > place else None  # its memory is free
        except NotFinite as error:
            raise NotAffine(node.op, place, str(error)) from error
        except _NoRule as error:
            raise NotAffine(node.op, place, str(error)) from error
    if "constant" in graph.output:
        constant = graph.constants[graph.output["constant"]]
        try:
            return _constant_rows(constant, pool), 0
        except NotFinite as error:
            raise NotAffine("output", len(graph.nodes), str(error)) from error
    result = values[graph.output["node"]]
    if not isinstance(result, np.ndarray):
        raise NotAffine("output", len(graph.nodes), "it returns several tensors")
    if result.size and int(result.min()) < 0:
        raise NotAffine("output", len(graph.nodes), "it returns uninitialised memory")
    if rounding.too_many(depth[graph.output["node"]], graph.dtype):
        raise NotAffine("output", len(graph.nodes), "it rounds too often to bound what its floats are off by")
    return result, depth[graph.output["node"]]


def _uses(node: Node) -> list[int]:
    return references(node.args, "node") + references(list(node.kwargs.values()), "node")


def _last_uses(graph: Graph) -> dict[int, int]:
    """The last place at which every node is used; the output is used at the end."""
    last = {k: place for place, node in enumerate(graph.nodes) for k in _uses(node)}
    return last | ({graph.output["node"]: len(graph.nodes)} if "node" in graph.output else {})


class _NoRule(Exception):
    pass


def _node(node: Node, values: list[Any], graph: Graph, pool: Pool) -> tuple[Any, int]:
    """The ids of one node's result, and the roundings it adds."""
    roundings = 0
    if node.op == "input":
        return pool.inputs().reshape(graph.input_shape), 0
    if node.op == "getitem":
        parts = values[references(node.args, "node")[0]]
        if not isinstance(parts, list) or node.args[1] not in range(len(parts)):
            raise _NoRule("no rule says that this one of its results is affine")
        return parts[node.args[1]], 0
    if node.dtype is not None and node.dtype not in FLOATS:
        raise _NoRule(f"its result has dtype {node.dtype}, whose rounding is not a rounding of float32 or float64")
    if node.op == ROUNDED:
        return _raised(node, values, pool)
    if node.op in MOVES:
        result = _move(node, values, graph, pool)
    elif node.op in LINEAR:
        context = Context(node, values, graph, pool)
        if any(int(ids.min()) < 0 for ids in context.inputs() if ids.size):
            raise _NoRule("it reads uninitialised memory")
        refused = LINEAR[node.op](context)
        if isinstance(refused, str):
            raise _NoRule(refused)
        result, roundings = refused, context.roundings
    else:
        raise _NoRule("no rule says that it is affine")
    if isinstance(result, np.ndarray) and result.shape != node.shape:
        raise _NoRule(f"its result has shape {result.shape} by rule and {node.shape} by torch")
    return result, roundings


def _raised(node: Node, values: list[Any], pool: Pool) -> tuple[Any, int]:
    """What Fourier transforms have rounded: each number is off by what the largest reaches."""
    ids, (number, power) = values[references(node.args, "node")[0]], node.args[1:]
    assert isinstance(number, int)
    assert isinstance(power, int)
    if ids.size and int(ids.min()) < 0:
        raise _NoRule("it reads uninitialised memory")
    reach, offset = pool.losses(ids.ravel())
    return pool.raised(ids, reach.max(initial=0.0), offset.max(initial=0.0)), number << power


def _constant_rows(constant: np.ndarray, pool: Pool) -> Int64[np.ndarray, "*s"]:
    """Ids of a constant's elements; NaN, which stands for uninitialised memory, becomes -1."""
    if not constant.size:
        return np.zeros(constant.shape, np.int64)
    missing = np.isnan(constant) if constant.dtype.kind == "f" else np.zeros(constant.shape, bool)
    ids = pool.constants(pool.numbers.of_array(np.where(missing, 0, constant).astype(constant.dtype)))
    return np.where(missing, -1, ids)


def _move(node: Node, values: list[Any], graph: Graph, pool: Pool) -> Any:
    """torch's own result on row numbers."""
    name = node.dtype or graph.dtype
    args = list(node.args)
    if node.op in VALUE_ARGUMENT:
        place, default = VALUE_ARGUMENT[node.op]
        value = args[place] if len(args) > place else default
        if not isinstance(value, (int, float)):
            raise _NoRule("a value is not a number")
        row = int(_constant_rows(np.asarray(value, dtype=name), pool))
        args = [*args[:place], float(row), *args[place + 1 :]]

    def rows(argument: Any) -> Any:
        if isinstance(argument, dict) and "node" in argument:
            return torch.from_numpy(np.array(values[argument["node"]], dtype=np.float64, order="C"))
        if isinstance(argument, dict):
            constant = graph.constants[argument["constant"]]
            if constant.dtype.kind != "f" and not _is_value(node, argument):
                return torch.from_numpy(constant)
            return torch.from_numpy(_constant_rows(constant.astype(name), pool).astype(np.float64))
        if isinstance(argument, list):
            return [rows(item) for item in argument]
        return argument

    kwargs = {key: value for key, value in node.kwargs.items() if key != "dtype"}
    if "accumulate" in kwargs or (node.op == "aten.index_put.default" and len(args) > 3 and args[3]):
        raise _NoRule("it adds into elements")
    if node.op in ("aten.where.self", "aten.masked_fill.Tensor", "aten.masked_fill.Scalar"):
        condition = args[0] if node.op == "aten.where.self" else args[1]
        if "constant" not in condition:
            raise _NoRule("it chooses by the values of pixels")
    result = overload(node.op)(*[rows(argument) for argument in args], **{k: rows(v) for k, v in kwargs.items()})
    if isinstance(result, (tuple, list)):
        return [part.numpy().astype(np.int64) for part in result]
    return result.numpy().astype(np.int64)


_INDEX_ARGUMENT = {
    "aten.index.Tensor": (1,), "aten.index_select.default": (2,), "aten.gather.default": (2,),
    "aten.index_put.default": (1,), "aten.where.self": (0,), "aten.masked_fill.Scalar": (1,),
    "aten.masked_fill.Tensor": (1,), "aten.where.ScalarOther": (0,), "aten.where.ScalarSelf": (0,),
}  # fmt: skip


def _is_value(node: Node, argument: dict[str, int]) -> bool:
    """Whether a constant that is no float is a value here, and not an index or a condition."""
    places = _INDEX_ARGUMENT.get(node.op, ())
    return not any(argument["constant"] in references(node.args[place], "constant") for place in places)
