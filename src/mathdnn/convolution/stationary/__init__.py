"""Maps that grow with the image in one way only: the argument that carries an equation from one size to all.

Along a class of sizes (`growing`) an axis of the image has N = N0 + P n pixels. An array has length L = L0 + G n along
it; its pitch is P / G pixels an element. It is *stationary* with zone z, offsets from a to b and end e, if for all n,
and for every place j along the other axis,

    z <= i < L - z         its element i takes pixel y with a coefficient that depends on y - P floor(i / G) and i mod G
                           alone, and is 0 unless a <= y - (P / G) i <= b
    i < z or i >= L - z    its element takes pixels y < e with a coefficient that depends on y and on i (or L - i), and
                           pixels y >= N - e with one that depends on N - y and on i (or L - i), and no others

with nothing that depends on n, and constants likewise. So two stationary arrays of one length, with the larger z and e
of the two, that are equal at one size with L0 >= 2 z + G and N0 >= 2 e are equal at every later size of the class: each
element of a later size has its twin at the first. (N0 >= 2 e keeps apart pixels counted from the start and pixels
counted from the end; L0 >= 2 z + G lets every i mod G occur inside.) First along one axis, then, for each size of that
axis, along the other.

Every rule in `stationary.rules` keeps arrays stationary and says with which z, a, b, e; an operation without a rule
ends the argument, not the proof for one size. An element inside a wider zone than it needs is counted from an end, too:
that is why `settle` lets e reach as far as the zone's own pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from mathdnn.convolution.growing import Class, Poly, Unclear, multiply


class Larger(Exception):
    """The class starts too early along `axis`; `pixels` more would do."""

    def __init__(self, axis: int, pixels: int) -> None:
        super().__init__(axis, pixels)
        self.axis, self.pixels = axis, max(1, pixels)


class Longer(Exception):
    """The class's period along `axis` has to be a multiple of `factor` times what it is."""

    def __init__(self, axis: int, factor: int) -> None:
        super().__init__(axis, factor)
        self.axis, self.factor = axis, factor


class Field(NamedTuple):
    """A dimension that grows with one axis of the image."""

    axis: int
    length: int
    growth: int


Atom = int | Field
Dim = tuple[Atom, ...]  # factors of a dimension, the slowest first; () is 1


@dataclass(frozen=True)
class Along:
    """How an array depends on one axis: "free" not at all, "field" stationary, "edge" on pixels near the ends only."""

    kind: str = "free"
    zone: int = 0
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    end: int = 0

    def shifted(self, low: Fraction, high: Fraction) -> tuple[Fraction, Fraction]:
        """The offsets, widened."""
        return self.low + low, self.high + high


FREE = Along()


@dataclass(frozen=True)
class Value:
    """Dimensions, and what is known along the height and along the width."""

    dims: tuple[Dim, ...]
    along: tuple[Along, Along] = (FREE, FREE)

    def field(self, axis: int) -> Field | None:
        """The dimension that grows with an axis."""
        found = [atom for dim in self.dims for atom in dim if isinstance(atom, Field) and atom.axis == axis]
        return found[0] if found else None


def fixed(*sizes: int) -> tuple[Dim, ...]:
    return tuple(() if size == 1 else (size,) for size in sizes)


def product(atoms: tuple[Atom, ...]) -> Poly:
    """The number of elements that atoms make together."""
    made: Poly = {(0, 0): 1}
    for atom in atoms:
        if isinstance(atom, Field):
            both = {(0, 0): atom.length, (1 - atom.axis, atom.axis): atom.growth}
            made = multiply(made, {key: value for key, value in both.items() if value})
        else:
            made = multiply(made, {(0, 0): atom})
    return made


class Frame:
    """The class of sizes, and what follows from it for a field."""

    def __init__(self, sizes: Class) -> None:
        self.sizes = sizes

    def pitch(self, field: Field) -> Fraction:
        return Fraction(self.sizes.period[field.axis], field.growth)

    def settle(self, field: Field, zone: int, offsets: tuple[Fraction, Fraction], end: int) -> Along:
        """A field with that zone. Raises `Larger` where no whole period would be left between its two zones."""
        short = 2 * zone + field.growth - field.length
        if short > 0:
            raise Larger(field.axis, math.ceil(short * self.pitch(field)))
        return Along("field", zone, *offsets, max(end, self.reach(field, zone, offsets)) if zone else 0)

    def reach(self, field: Field, count: int, offsets: tuple[Fraction, Fraction]) -> int:
        """How far from the ends the pixels lie that the first and last `count` elements take, by the inner rule."""
        pitch, (low, high) = self.pitch(field), offsets
        first = pitch * (count - 1) + high + 1  # above every y of the first ones
        last = self.sizes.start[field.axis] - pitch * (field.length - count) - low  # above every N - y of the last ones
        return max(0, math.ceil(first), math.ceil(last))

    def divide(self, field: Field, step: int, length: int) -> Field:
        """Every `step`-th element of a field, so many as `length`. Raises `Longer`."""
        if field.growth % step:
            raise Longer(field.axis, step // math.gcd(field.growth, step))
        return Field(field.axis, length, field.growth // step)

    def joined(self, parts: list[Along], field: Field | None) -> Along:
        """Values put beside each other or added, none of them spread along the axis by broadcasting."""
        if field is not None:
            if any(part.kind == "edge" for part in parts):
                raise Unclear("it spreads pixels of the border over the image")
            zone, end = (max(getattr(part, name) for part in parts) for name in ("zone", "end"))
            own = [part for part in parts if part.kind == "field"] or [FREE]
            return self.settle(field, zone, (min(part.low for part in own), max(part.high for part in own)), end)
        edges = [part.end for part in parts if part.kind == "edge"]
        return Along("edge", end=max(edges)) if edges else FREE

    def broadcast(self, values: list[Value]) -> Value:
        """Elementwise work on several values. Raises `Unclear` where pixels of a border would be repeated."""
        rank = max(len(value.dims) for value in values)
        dims: list[Dim] = []
        for place in range(rank):
            column = {value.dims[place - rank] for value in values if place >= rank - len(value.dims)} - {()}
            if len(column) > 1:
                raise Unclear("it joins arrays that grow in different ways")
            dims.append(column.pop() if column else ())
        return self.with_dims(tuple(dims), values)

    def with_dims(self, dims: tuple[Dim, ...], values: list[Value]) -> Value:
        made = Value(dims)
        along = [self.joined([value.along[axis] for value in values], made.field(axis)) for axis in (0, 1)]
        return Value(dims, (along[0], along[1]))

    def compare(self, a: Value, b: Value) -> None:
        """Raises unless equality of two stationary results at the class's start carries to all of it."""
        if a.dims != b.dims:
            raise Unclear("the two results grow in different ways")
        for axis in (0, 1):
            field = a.field(axis)
            if field is None:
                raise Unclear("the result does not grow with the image")
            both = self.joined([a.along[axis], b.along[axis]], field)
            if self.sizes.start[axis] < 2 * both.end:
                raise Larger(axis, 2 * both.end - self.sizes.start[axis])


def sized(sizes: Class, shape: Any) -> list[Poly]:
    """The dimensions of a node's shape along the class."""
    return [sizes.poly(size["size"] if isinstance(size, dict) else size) for size in shape]
