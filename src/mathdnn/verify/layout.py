"""What a convolution's certificate holds, and of which types: whatever is missing, more or of another type is refused.

A side is a graph, a form or measured responses, and never two of these, of which one would be shown and another
checked. True is no number, 3.0 no size and "3" neither; a node names its arguments only where it is no input.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

Pair = tuple[int, int]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    pass


class _Array(_Strict, frozen=True):
    dtype: str
    shape: list[int]
    bits: str
    values: list[str] | UnsetType = UNSET


class _Node(_Strict, frozen=True):
    op: str
    args: list[Any]
    kwargs: dict[str, Any]
    shape: list[int | dict[str, Any]] | None
    dtype: str | None


class _Graph(_Strict, frozen=True):
    nodes: list[_Node]
    constants: list[_Array]
    output: dict[str, int]

    def __post_init__(self) -> None:
        if not self.nodes or self.nodes[0].args or self.nodes[0].kwargs:
            raise ValueError("a graph begins with its image, which is made of nothing")


class _OpenGraph(_Graph, frozen=True):
    guards: list[Any] = []


class _Weight(_Strict, frozen=True):
    shape: tuple[int, int, int, int]
    values: list[str]


class _Form(_Strict, frozen=True):
    weight: _Weight
    bias: list[str] | None
    stride: Pair
    padding: tuple[Pair, Pair]
    padding_mode: str
    dilation: Pair
    groups: int
    transposed: bool = False
    output_padding: Pair = (0, 0)


class Side(_Strict, frozen=True):
    """One side: images of a size, and what is done to them."""

    input: list[int]
    graph: _Graph | UnsetType = UNSET
    form: _Form | UnsetType = UNSET
    responses: _Array | UnsetType = UNSET
    at_zero: _Array | UnsetType = UNSET
    output: list[int] | UnsetType = UNSET

    def __post_init__(self) -> None:
        known = {name for name in self.__struct_fields__ if name != "input" and getattr(self, name) is not UNSET}
        if known not in ({"graph"}, {"form"}, {"responses", "at_zero", "output"}):
            raise ValueError("a side is a graph, a form or measured responses")


class _Rounding(_Strict, frozen=True):
    slope: float
    offset: float
    unit_roundoff: float
    holds_for: str
    roundings: tuple[float, float]


class _Sizes(_Strict, frozen=True):
    graph: _OpenGraph
    least: Pair
    period: Pair
    remainders: tuple[list[int], list[int]]
    most: int | None


class _Compared(_Strict, frozen=True):
    left: Side
    right: Side
    relation: Literal["equal", "rounded to float32", "rounded to float64"]
    rounding: _Rounding
    sizes: _Sizes | UnsetType | None = UNSET


class _Measured(_Strict, frozen=True):
    left: Side
    right: Side
    relation: Literal["within"]
    tolerance: float


def require_certificate(data: dict[str, Any]) -> None:
    """Raise `msgspec.ValidationError`, a ValueError, unless the data, but for a seal, are those of a certificate."""
    msgspec.convert(data, _Measured if data.get("relation") == "within" else _Compared)
