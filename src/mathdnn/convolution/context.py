"""What a rule of a linear operation sees of its node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.convolution.graph import Graph, Node, references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mathdnn.convolution.pool import Pool

Result = np.ndarray | list[np.ndarray] | str  # the ids, those of several results, or why the rule does not apply


class Context:
    """What a rule sees of its node: arguments by place or name, rows of the nodes before, exact constants."""

    def __init__(self, node: Node, values: list[Any], graph: Graph, pool: Pool) -> None:
        self.node, self.values, self.graph, self.pool = node, values, graph, pool
        self.roundings = 0  # of one element of the result, at most: one product and one sum for each term

    @property
    def shape(self) -> tuple[int, ...]:
        assert self.node.shape is not None
        return self.node.shape

    def inputs(self) -> list[np.ndarray]:
        places = references(self.node.args, "node") + references(list(self.node.kwargs.values()), "node")
        return [self.values[place] for place in places if isinstance(self.values[place], np.ndarray)]

    def argument(self, place: int, name: str = "", default: Any = None) -> Any:
        return self.node.args[place] if len(self.node.args) > place else self.node.kwargs.get(name, default)

    def rows(self, argument: Any) -> np.ndarray | None:
        """Ids where the argument depends on the image, else None."""
        if isinstance(argument, dict) and "node" in argument:
            value = self.values[argument["node"]]
            return value if isinstance(value, np.ndarray) else None
        return None

    def codes(self, argument: Any) -> np.ndarray | None:
        """Exact codes where the argument is a constant, in the dtype of the result; else None.

        What is made from the image is none, though the pixels may cancel: what is left of their rounding would be
        multiplied, and no bound that is linear in them holds.
        """
        if isinstance(argument, (bool, int, float)):
            return self.pool.numbers.of_array(np.asarray(argument, dtype=self.node.dtype))
        if isinstance(argument, dict) and "constant" in argument:
            return self.pool.numbers.of_array(self.graph.constants[argument["constant"]].astype(self.node.dtype))
        ids = self.rows(argument)
        if ids is not None and not self.graph.of_image[argument["node"]]:
            return self.pool.constant_codes(ids)
        return None

    def any_rows(self, argument: Any) -> np.ndarray | None:
        """Ids of the argument, image or constant."""
        ids = self.rows(argument)
        if ids is not None:
            return ids
        codes = self.codes(argument)
        return None if codes is None else self.pool.constants(codes)

    def combine(self, ids: Sequence[np.ndarray] | np.ndarray, weights: list[int] | np.ndarray) -> np.ndarray:
        """One sum: the rows ids[t], arrays of one shape, with one weight each (or one for all)."""
        self.roundings += len(ids) + 1
        codes = np.broadcast_to(np.asarray(weights, np.int32), (1, len(ids)))
        return np.asarray(self.pool.combine(ids, codes)[0])

    def scale(self, ids: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Every row times its own number."""
        self.roundings += 2
        return self.pool.scale(ids, codes)
