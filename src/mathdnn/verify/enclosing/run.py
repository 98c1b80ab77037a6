"""Runs a graph on intervals, one node after the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.verify.enclosing import choosing, functions, normal, solving, sums
from mathdnn.verify.enclosing.intervals import Interval, settled
from mathdnn.verify.keeping import Kept
from mathdnn.verify.running import Open, Program, arrays_in, compute, numbers_in, widened
from mathdnn.verify.unrounded import unrounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_NUMBERS = frozenset(["add", "sub", "rsub", "mul", "div", *functions.RULES])
RULES = choosing.RULES | functions.RULES | normal.RULES | solving.RULES | sums.RULES
_NAMES = """
    all any argmax argmin argsort eq full_like ge gt isinf isnan isneginf isposinf le logical_and logical_not logical_or
    logical_xor lt ne new_zeros ones_like _to_copy zeros_like"""
_TELLING = frozenset(_NAMES.split())  # of numbers, truth values or whole numbers
_LINE = (-math.inf, math.inf)
_WHOLE = 2.0**53  # whole numbers below are floats


def _real(a: Interval) -> Interval:
    """The same, where a float that is no number may be any. Raises `Open` for what floats of 64 bits do not hold."""
    if a.low.is_complex() or (a.low.is_floating_point() and a.low.dtype != torch.float64):
        raise Open("numbers that are no float64")
    if not a.low.is_floating_point():
        if a.low.dtype != torch.bool and any(bool((end.double().abs() >= _WHOLE).any()) for end in set(a)):
            raise Open("whole numbers beyond 2^53")
        return a
    if not any(bool(end.isnan().any()) for end in set(a)):
        return a
    return Interval(*(end.where(~end.isnan(), end.new_full((), by)) for end, by in zip(a, _LINE, strict=True)))


class Enclosing:
    """A graph, every float a float64, and what its nodes are on one image."""

    def __init__(self, graph: dict[str, Any]) -> None:
        self.graph = widened(graph)
        self.constants = [_real(Interval(constant, constant)) for constant in Program(self.graph).constants]

    def at(self, image: Interval) -> Interval:
        """The output on every image of an interval of float64. Raises `Open`, `Malformed`."""
        self.kept = Kept(self.graph, len(self.constants))
        for place, node in enumerate(self.graph["nodes"]):
            self.node = node
            self.kept.add(tuple(image) if place == 0 else self._value())
        return self.operand(self.graph["output"]).floats()

    def _value(self) -> Any:
        """(low, high) of the node's result, or of each of its results, one pair after the other."""
        if self.node["op"] == "getitem":
            pairs, k = self.kept.values[self.node["args"][0]["node"]], self.node["args"][1]
            return tuple(pairs[2 * k : 2 * k + 2])
        self.base, self.form = self.node["op"].split(".")[1:]
        if (self.base, self.form) == ("view", "dtype"):
            raise Open("the digits of numbers")
        made = self._exactly()
        if made is None:
            if self.base not in RULES:
                raise Open(f"no bounds over the reals are known for aten.{self.base}")
            made = RULES[self.base](self)
        results = [made] if isinstance(made, Interval) else made
        if isinstance(made, Interval) and made.low.is_floating_point() and self.node["dtype"] != "float64":
            results = [self._whole(made)]
        return tuple(end for result in results for end in (_real(result) if result else (None, None)))

    def _whole(self, a: Interval) -> Interval:
        """What whole numbers add up to, or multiply to, between two floats: in the range of their kind."""
        if self.base not in ("add", "sub", "rsub", "mul", "neg", "abs"):
            raise Open("whole numbers that are not known")
        kind = getattr(torch, self.node["dtype"])
        low, high = a.low.ceil(), a.high.floor()
        if kind is torch.bool:
            return settled(low != 0, high != 0)
        limits = torch.iinfo(kind)
        if low.numel() and not (low.min() >= max(limits.min, -_WHOLE) and high.max() <= min(limits.max, _WHOLE)):
            raise Open("whole numbers beyond their range")
        return settled(low.to(kind), high.to(kind))

    def _exactly(self) -> list[Interval] | Interval | None:
        """The result, where every operand is exact and nothing is rounded."""
        operands = self.operands()
        counted = self.node["dtype"] not in ("float64", None)
        if counted and self.base not in _TELLING and any(part.low.is_floating_point() for part in operands):
            raise Open(f"whole numbers that aten.{self.base} makes of others")
        if self.base == "_to_copy" or not all(operand.exact for operand in operands):
            return None
        made = self.low()
        parts = list(made) if isinstance(made, list | tuple) else [made]
        written = numbers_in([self.node["args"], list(self.node["kwargs"].values())])
        if not unrounded(self.node, [*(operand.low for operand in operands), *written], parts):
            return None
        points = [Interval(part, part) for part in parts]
        return points if isinstance(made, list | tuple) else points[0]

    def operands(self) -> list[Interval]:
        """Of every array that the node reads."""
        return [self.operand(part) for part in arrays_in(self.node)]

    def floats(self, argument: Any) -> Interval:
        return self.operand(argument).floats()

    def first(self) -> Interval:
        return self.floats(self.node["args"][0])

    def second(self) -> Interval:
        return self.floats(self.node["args"][1])

    def operand(self, argument: Any) -> Interval:
        """The interval of an argument: a node's, a constant's, or a number's."""
        if isinstance(argument, dict) and "node" in argument:
            low, high = self.kept.values[argument["node"]][:2]
            if low is None:
                raise Open("a place follows from numbers that may be equal")
            return Interval(low, high)
        if isinstance(argument, dict) and "constant" in argument:
            return self.constants[argument["constant"]]
        number = float(argument["float"]) if isinstance(argument, dict) else argument
        point = torch.tensor(number, dtype=None if isinstance(number, bool) else torch.float64)
        return _real(Interval(point, point))

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        args = self.node["args"]
        return args[place] if place < len(args) else self.node["kwargs"].get(name, default)

    def low(self) -> Any:
        """The operation itself, of the low ends."""
        return self.computed(lambda operand: operand.low)

    def high(self) -> Any:
        return self.computed(lambda operand: operand.high)

    def computed(self, which: Callable[[Interval], Tensor]) -> Any:
        """The operation itself, of one tensor for each operand."""
        if self.node["dtype"] == "float64" and self.base in _NUMBERS:  # of whole numbers torch would make float32
            given, which = which, lambda operand: given(operand).double()
        nodes, constants = _Ends(self.kept.values, which), _Ends(self.constants, which)
        return compute(self.node, nodes, constants)


class _Ends:
    """Of intervals one tensor each."""

    def __init__(self, pairs: list[Any], which: Callable[[Interval], Tensor]) -> None:
        self.pairs, self.which = pairs, which

    def __getitem__(self, k: int) -> Tensor:
        if self.pairs[k][0] is None:
            raise Open("a place follows from numbers that may be equal")
        return self.which(Interval(*self.pairs[k][:2]))
