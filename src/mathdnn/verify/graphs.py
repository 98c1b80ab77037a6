"""Evaluates the graph of a convolution certificate at one image: a small interpreter of its own, on NumPy.

The numbers are a parameter (`numbers`). Nothing here is imported from the prover, and a name without a rule ends the
check.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mathdnn.verify.computing import COMPUTING
from mathdnn.verify.keeping import Kept, nodes_in
from mathdnn.verify.moving import MOVING
from mathdnn.verify.numbers import MARK, Malformed, Modular, Numbers
from mathdnn.verify.resampling import RESAMPLING
from mathdnn.verify.rounding import precision, weighed
from mathdnn.verify.transforms import TRANSFORMS


class Machine:
    """Runs a graph's nodes in order. `roundings` counts, along the longest path, what floats would round."""

    def __init__(self, graph: dict[str, Any], constants: list[np.ndarray], numbers: Numbers) -> None:
        self.graph, self.constants, self.numbers = graph, constants, numbers
        self.kept = Kept(graph, len(constants))
        self.values = self.kept.values
        self.depth: list[int] = []
        self.image: list[bool] = []
        self.added = 0

    def run(self, image: np.ndarray) -> tuple[np.ndarray, int]:
        """The result at an image, and the roundings on the way."""
        for place, node in enumerate(self.graph["nodes"]):
            self.added = 0
            value = image if place == 0 else self._node(node)
            _require_said(node, place, value)
            used = [k for part in (node["args"], list(node["kwargs"].values())) for k in nodes_in(part)]
            self.kept.add(value)
            self.image.append(place == 0 or any(self.image[k] for k in used))
            added = weighed(self.graph, node, used, self.added)
            self.depth.append(max((self.depth[k] for k in used), default=0) + added)
        output = self.graph["output"]
        if "constant" in output:
            return self.numbers.array(self.constants[output["constant"]]), 0
        return np.asarray(self.values[output["node"]]), self.depth[output["node"]]

    def _node(self, node: dict[str, Any]) -> Any:
        self.dtype = node["dtype"]
        if self.dtype not in ("float32", "float64", None):
            raise Malformed(f"a result of dtype {self.dtype}")
        if node["op"] == "getitem":
            return self.values[node["args"][0]["node"]][node["args"][1]]
        rule = (MOVING | COMPUTING | RESAMPLING | TRANSFORMS).get(node["op"])
        if rule is None:
            raise Malformed(f"no rule for {node['op']}")
        kwargs = {key: value for key, value in node["kwargs"].items() if key != "dtype"}
        if self.dtype and (node["kwargs"].get("dtype") or self.dtype) != self.dtype:
            raise Malformed(f"a result of dtype {self.dtype}, not {node['kwargs']['dtype']}")
        return rule(self, *node["args"], **kwargs)

    def value(self, argument: Any) -> np.ndarray:
        """A value of this arithmetic: a node's, a constant's (in the node's dtype), or a number."""
        if isinstance(argument, dict) and "node" in argument:
            return np.asarray(self.values[argument["node"]])
        return self.numbers.array(self.constant(argument))

    def constant(self, argument: Any) -> np.ndarray:
        """A constant as floats of the node's dtype. NaN, which stands for uninitialised memory, is refused by
        `array`."""
        raw = self.constants[argument["constant"]] if isinstance(argument, dict) else np.asarray(argument)
        return np.asarray(raw.astype(self.dtype or "float64"))

    def loose(self, argument: Any) -> np.ndarray:
        """Like `value`, for moves: uninitialised numbers may be carried about, as a mark that no sum accepts."""
        if isinstance(argument, dict) and "constant" in argument:
            raw = self.constant(argument)
            if np.isnan(raw).any():
                return np.where(np.isnan(raw), MARK, self.numbers.array(np.nan_to_num(raw)))
        return self.value(argument)

    def is_image(self, argument: Any) -> bool:
        """Whether a pixel may enter: it is the input, or made from a value that a pixel may enter.

        Sums of absolute values are no factor's own value, and roundings on the way to a factor would be lost: there
        every node counts.
        """
        if not (isinstance(argument, dict) and "node" in argument):
            return False
        return self.image[argument["node"]] or not isinstance(self.numbers, Modular)

    def plain(self, argument: Any) -> np.ndarray:
        """A constant that chooses (indices, conditions): never a node."""
        return np.asarray(self.constants[argument["constant"]])

    def count(self, terms: int) -> None:
        self.added += terms + 1

    def precision(self) -> int:
        """The bits of the coarsest floats of the node at hand."""
        node = self.graph["nodes"][len(self.values)]
        return precision(self.graph, node, nodes_in([node["args"], list(node["kwargs"].values())]))


def _require_said(node: dict[str, Any], place: int, value: Any) -> None:
    """A result has the shape that its node names; only where there are several does a node name none, and no dtype."""
    shape, several = node["shape"], isinstance(value, list)
    if (shape is None) != several or (node["dtype"] is None) != several:
        raise Malformed(f"node {place} ({node['op']}) names shape {shape} and dtype {node['dtype']}")
    if not several and list(np.shape(value)) != shape:
        raise Malformed(f"node {place} ({node['op']}) has shape {np.shape(value)}, not {shape}")
