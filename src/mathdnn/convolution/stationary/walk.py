"""A walk through a graph along a class of sizes, and the few ways in which rows and columns change on it.

Everything else has to stay within dimensions that do not grow, and within those anything linear goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.convolution.graph import Graph, Node
from mathdnn.convolution.growing import Class, Unclear, number
from mathdnn.convolution.stationary import Along, Dim, Field, Frame, Larger, Value, fixed, product, sized

_END = 2**63 - 1


class Walk(Frame):
    """Goes through a graph's nodes along a class of sizes; the value of a node is a `Value` or a list of them."""

    def __init__(self, graph: Graph, sizes: Class, rules: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(sizes)
        self.graph, self.rules = graph, rules
        self.values: list[Any] = []
        self.most: int | None = None  # rows or columns of the image up to which all of it holds
        self.node: Node = graph.nodes[0]

    def run(self) -> Value:
        """The result's value. Raises `Unclear`, `Larger`, `Longer`."""
        for node in self.graph.nodes:
            self.node = node
            made = self._input(node) if node.op == "input" else self._call(node)
            self.values.append(made)
        if "constant" in self.graph.output:
            raise Unclear("its result does not grow with the image")
        result: Value = self.values[self.graph.output["node"]]
        return result

    def _input(self, node: Node) -> Value:
        assert node.shape is not None
        dims: tuple[Dim, ...] = fixed(*node.shape[:-2])
        for axis in (0, 1):
            dims += ((Field(axis, self.sizes.start[axis], self.sizes.period[axis]),),)
        return Value(dims, (Along("field"), Along("field")))

    def _call(self, node: Node) -> Any:
        if node.op == "getitem":
            return self.values[node.args[0]["node"]][node.args[1]]
        rule = self.rules.get(node.op)
        if rule is None:
            raise Unclear(f"no rule says how {node.op} grows with the image")
        made = rule(self, *node.args, **{key: v for key, v in node.kwargs.items() if key != "dtype"})
        same = not isinstance(made, Value) or node.shape is None
        if not same and [product(dim) for dim in made.dims] != sized(self.sizes, node.shape):
            raise Unclear(f"the result of {node.op} grows in another way than torch says")
        return made

    def value(self, argument: Any) -> Value:
        """What an argument is: a node's value, a constant array's, or a number's."""
        if isinstance(argument, dict) and "node" in argument:
            found = self.values[argument["node"]]
            if not isinstance(found, Value):
                raise Unclear("it uses several results as one")
            return found
        if isinstance(argument, dict) and "constant" in argument:
            return Value(fixed(*self.graph.constants[argument["constant"]].shape))
        if isinstance(argument, (bool, int, float)):
            return Value(())
        raise Unclear("it computes with a number that depends on the image's size")

    def constant(self, argument: Any) -> np.ndarray:
        if not isinstance(argument, dict) or "constant" not in argument:
            raise Unclear("weights or indices depend on the image")
        return self.graph.constants[argument["constant"]]

    def moved(self, value: Value, place: int, new: Dim, along: Along | None) -> Value:
        """The value with another dimension at `place`; `along` is what the axis that grows there becomes."""
        place %= len(value.dims)
        dims = (*value.dims[:place], new, *value.dims[place + 1 :])
        old = self.only(value, place)
        both = list(value.along)
        if old is not None and along is not None:
            both[old.axis] = along
        return Value(dims, (both[0], both[1]))

    def only(self, value: Value, place: int) -> Field | None:
        """The field of a dimension, None where it does not grow. Raises `Unclear` for one of several factors."""
        dim = value.dims[place]
        if any(isinstance(atom, Field) for atom in dim):
            if len(dim) > 1:
                raise Unclear("it looks into rows and columns that were joined to one dimension")
            return dim[0]  # type: ignore[return-value]
        return None

    def size(self, value: Value, place: int) -> int:
        """A dimension that does not grow. Raises `Unclear`."""
        if self.only(value, place) is not None:
            raise Unclear(f"{self.node.op} works along rows or columns of the image")
        return math.prod(value.dims[place])  # type: ignore[arg-type]

    def windows(self, value: Value, place: int, k: int, s: int, p: int, d: int, length: int | None = None) -> Value:
        """Windows of k pixels, `d` apart, at stride s on padding p: i reads s i + d a - p for a < k."""
        place %= len(value.dims)
        field = self.only(value, place)
        reach = d * (k - 1)
        if field is None:
            n = self.size(value, place)
            return self.moved(
                value, place, fixed((n + 2 * p - reach - 1) // s + 1 if length is None else length)[0], None
            )
        along = value.along[field.axis]
        wanted = (field.length + 2 * p - reach - 1) // s + 1 if length is None else length
        made = self.divide(field, s, wanted)
        late = max(0, s * (wanted - 1) + reach + 1 - (field.length + 2 * p))  # a window that hangs over the end
        zone = -(-(along.zone + p + late) // s) if along.zone + p + late else 0
        offsets = along.shifted(-self.pitch(field) * p, self.pitch(field) * (reach - p))
        return self.moved(value, place, (made,), self.settle(made, zone, offsets, along.end))

    def magnified(
        self,
        value: Value,
        place: int,
        k: int,
        zone: int,
        offsets: tuple[Fraction | int, Fraction | int],
        extra: int = 0,
    ) -> Value:
        """k elements for each, and `extra`; zone in elements of the result, offsets in elements before."""
        field = self.only(value, place)
        if field is None:
            return self.moved(value, place, fixed(self.size(value, place) * k + extra)[0], None)
        along = value.along[field.axis]
        made = Field(field.axis, field.length * k + extra, field.growth * k)
        wide = along.shifted(*(self.pitch(field) * offset for offset in offsets))
        return self.moved(value, place, (made,), self.settle(made, k * along.zone + zone, wide, along.end))

    def padded(self, value: Value, place: int, before: int, after: int) -> Value:
        """Elements put before and after, made of those near the ends; negative: cut."""
        field = self.only(value, place)
        if field is None:
            return self.moved(value, place, fixed(self.size(value, place) + before + after)[0], None)
        along = value.along[field.axis]
        made = Field(field.axis, field.length + before + after, field.growth)
        zone = max(0, along.zone + before, along.zone + after)
        shift = -self.pitch(field) * before
        own = self.reach(field, max(0, before, after) + 1, (along.low, along.high))
        along = self.settle(made, zone, along.shifted(shift, shift), max(along.end, own))
        return self.moved(value, place, (made,), along)

    def place_of(self, position: Any, field: Field, default: int) -> tuple[bool, int]:
        """(counted from the end, how far) of an argument that is a position along a field."""
        if position is None or position == _END:
            position = default
        found = {} if type(position) is int else self.sizes.poly(position["size"])
        position = position if type(position) is int else number(found)
        if position is not None:
            return (True, 0) if position == _END else (position < 0, abs(position))
        mark = {(0, 0): field.length, (1 - field.axis, field.axis): field.growth}
        back = number({key: mark.get(key, 0) - found.get(key, 0) for key in {**mark, **found}
                       if mark.get(key, 0) != found.get(key, 0)})  # fmt: skip
        if back is None or back < 0:
            raise Unclear("it cuts at a place that is no fixed distance from either end")
        return True, back

    def edge(self, value: Value, place: int, size: int, far: int) -> Value:
        """`size` elements within `far` of an end of a field, as a dimension that does not grow."""
        field = self.only(value, place)
        assert field is not None
        along = value.along[field.axis]
        if field.length < far + along.zone:
            raise Larger(field.axis, math.ceil((far + along.zone - field.length) * self.pitch(field)))
        end = max(along.end, self.reach(field, far, (along.low, along.high)))
        return self.moved(value, place, fixed(size)[0], Along("edge", end=end))
