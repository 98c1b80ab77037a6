"""A traced computation as plain data: functional ATen operations on one input image, everything constant folded.

Node 0 is the input; node k has an operation name ("aten.convolution.default"), arguments, and the shape and dtype of
its result. Arguments are plain: numbers, strings, lists, None, {"node": k} or {"constant": k}.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mathdnn.verdict import Plain, pack_array

if TYPE_CHECKING:
    import numpy as np


ROUNDED = "fourier"  # a copy, at which is counted what Fourier transforms have rounded by then: {node}, n, k for n 2^k


@dataclass(frozen=True)
class Node:
    """One operation. `shape` and `dtype` are None for an operation with several results."""

    op: str
    args: list[Plain] = field(default_factory=list)
    kwargs: dict[str, Plain] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    dtype: str | None = None

    def to_plain(self) -> dict[str, Plain]:
        shape = None if self.shape is None else list(self.shape)
        return {
            "op": self.op,
            "args": _finite(self.args),
            "kwargs": _finite(self.kwargs),
            "shape": shape,
            "dtype": self.dtype,
        }


@dataclass(frozen=True)
class Graph:
    """Operations in the order they run; `output` is the place of the result among `nodes`, or of a constant."""

    nodes: tuple[Node, ...]
    constants: tuple[np.ndarray, ...]
    output: dict[str, int]
    complex: tuple[str, str] | None = None  # the operation for which its complex numbers are not read, and why

    @property
    def input_shape(self) -> tuple[int, ...]:
        shape = self.nodes[0].shape
        assert shape is not None
        return shape

    @property
    def dtype(self) -> str:
        return str(self.nodes[0].dtype)

    @cached_property
    def of_image(self) -> tuple[bool, ...]:
        """Of every node, whether a pixel enters it, though they may all cancel: it is the input, or made from it."""
        found = [True]
        for node in self.nodes[1:]:
            used = references(node.args, "node") + references(list(node.kwargs.values()), "node")
            found.append(any(found[place] for place in used))
        return tuple(found)

    def to_plain(self) -> dict[str, Plain]:
        return {
            "nodes": [node.to_plain() for node in self.nodes],
            "constants": [pack_array(constant) for constant in self.constants],
            "output": self.output,
        }


def _finite(argument: Any) -> Any:
    """Infinities and NaN, which JSON has not, as {"float": "inf"}."""
    if isinstance(argument, float) and not math.isfinite(argument):
        return {"float": str(argument)}
    if isinstance(argument, list):
        return [_finite(item) for item in argument]
    if isinstance(argument, dict):
        return {key: _finite(value) for key, value in argument.items()}
    return argument


def is_marked(side: dict[str, Plain]) -> bool:
    """Whether a side's graph computes through Fourier transforms."""
    return any(node["op"] == ROUNDED for node in side.get("graph", {}).get("nodes", ()))


def unmarked(side: dict[str, Plain]) -> dict[str, Plain]:
    """A side as counterexamples hold it, to be run by torch: a mark for what transforms round is a copy."""
    if not is_marked(side):
        return side
    copied = {"op": "aten.clone.default"}
    nodes = [
        {**node, **copied, "args": node["args"][:1]} if node["op"] == ROUNDED else node
        for node in side["graph"]["nodes"]
    ]
    return {**side, "graph": {**side["graph"], "nodes": nodes}}


def references(argument: Any, kind: str) -> list[int]:
    """The places of all {kind: place} inside an argument."""
    if isinstance(argument, dict):
        return [argument[kind]] if kind in argument else []
    if isinstance(argument, list):
        return [place for item in argument for place in references(item, kind)]
    return []
