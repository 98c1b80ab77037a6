"""Which arrays of a graph repeat themselves as the image grows: the checker's own account.

Along a class of sizes the image has N = N0 + P n rows or columns. A `Track` is a dimension of length L = L0 + G n: for
zone <= i < L - zone its element i takes pixels at (P / G) i + [low, high], in a way that repeats every G elements; for
the others the pixels lie, counted from the image's start or end, within `end` of it, in a way that depends on i (or
L - i) alone. Two such arrays that agree at n = 0 agree for every n, if L0 >= 2 zone + G and N0 >= 2 end for the larger
zone and end of both. An array that depends on an axis without a track along it depends on pixels within `edges` of the
ends only, and must not be spread over the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

from mathdnn.verify.growing import Grid, Size, differs, newton, whole
from mathdnn.verify.numbers import Malformed

LAST = 2**63 - 1


@dataclass(frozen=True)
class Track:
    """A dimension that grows with the image."""

    axis: int
    length: int
    growth: int
    zone: int = 0
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    end: int = 0

    def like(self, other: Track) -> bool:
        return (self.axis, self.length, self.growth) == (other.axis, other.length, other.growth)


Factor = int | Track
Dim = tuple[Factor, ...]


class Array(NamedTuple):
    """Dimensions as products of factors; `edges[axis]` where the array depends on an axis it has no track along."""

    dims: tuple[Dim, ...]
    edges: tuple[int | None, int | None] = (None, None)


def track_of(array: Array, axis: int) -> Track | None:
    for dim in array.dims:
        for factor in dim:
            if isinstance(factor, Track) and factor.axis == axis:
                return factor
    return None


def plain(size: int) -> Dim:
    return () if size == 1 else (size,)


def count(dim: Dim, grid: Grid) -> Size:
    """How many elements a dimension has, along the class."""
    made = whole(1)
    for factor in dim:
        if isinstance(factor, Track):
            steps = (grid.axes[factor.axis] - grid.start[factor.axis]) // grid.period[factor.axis]
            made = made * (factor.length + factor.growth * steps)
        else:
            made = made * factor
    return made


def dim_from(size: Size, grid: Grid) -> Dim:
    """The dimension of a new array: a number, or one that grows with one axis."""
    c = newton(size)
    grows = [k for k, value in enumerate(c.ravel().tolist()) if value and k]
    if not grows:
        return plain(int(c[0, 0]))
    width = c.shape[1]
    if grows not in ([1], [width]):
        raise Malformed("an array that grows with both axes")
    axis = 1 if grows == [1] else 0
    return (Track(axis, int(c[0, 0]), int(c.ravel()[grows[0]])),)


class Keeper:
    """Makes tracks for one class of sizes and refuses what does not repeat."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def pitch(self, track: Track) -> Fraction:
        return Fraction(self.grid.period[track.axis], track.growth)

    def near(self, track: Track, elements: int) -> int:
        """The pixels of the first and last `elements`, counted from their end of the image, go no further than this."""
        step = self.pitch(track)
        from_start = step * (elements - 1) + track.high + 1
        from_end = self.grid.start[track.axis] - step * (track.length - elements) - track.low
        return max(0, math.ceil(from_start), math.ceil(from_end))

    def checked(self, track: Track) -> Track:
        """The track, its `end` wide enough for its zone. Refuses one whose zones leave no whole period between them."""
        if track.growth < 1 or track.zone < 0 or track.length < 2 * track.zone + track.growth:
            raise Malformed("the images are too small for the argument")
        if track.zone == 0:
            return replace(track, end=0)
        return replace(track, end=max(track.end, self.near(track, track.zone)))

    def merged(self, arrays: list[Array], dims: list[Dim]) -> Array:
        """The arrays side by side or added, with these dimensions; what they depend on is put together."""
        made: list[Dim] = []
        edges: list[int | None] = []
        tracks: dict[int, Track] = {}
        for axis in (0, 1):
            here = next((f for dim in dims for f in dim if isinstance(f, Track) and f.axis == axis), None)
            own = [track for array in arrays if (track := track_of(array, axis)) is not None]
            outer = [e for array in arrays if (e := array.edges[axis]) is not None]
            if here is None:
                edges.append(max(outer) if outer else None)
                if own:
                    raise Malformed("a dimension of the image is lost")
                continue
            if outer or any(not track.like(here) for track in own):
                raise Malformed("pixels of the border are spread over the image")
            edges.append(None)
            wide = [*own] or [replace(here, zone=0, low=Fraction(0), high=Fraction(0), end=0)]
            zone, end = max(t.zone for t in wide), max(t.end for t in wide)
            low, high = min(t.low for t in wide), max(t.high for t in wide)
            tracks[axis] = self.checked(replace(here, zone=zone, low=low, high=high, end=end))
        for dim in dims:
            made.append(tuple(tracks[f.axis] if isinstance(f, Track) else f for f in dim))
        return Array(tuple(made), (edges[0], edges[1]))

    def broadcast(self, arrays: list[Array]) -> Array:
        rank = max(len(array.dims) for array in arrays)
        dims: list[Dim] = []
        for k in range(-rank, 0):
            here = [array.dims[k] for array in arrays if len(array.dims) >= -k and array.dims[k] != ()]
            if any(differs(count(dim, self.grid), count(here[0], self.grid)) for dim in here):
                raise Malformed("arrays of different sizes")
            if any(not same_factors(dim, here[0]) for dim in here):
                raise Malformed("arrays that grow in different ways")
            dims.append(here[0] if here else ())
        return self.merged(arrays, dims)

    def put(self, array: Array, place: int, dim: Dim, edge: int | None = None) -> Array:
        """Another dimension at `place`; `edge` where the axis that was there is now an edge."""
        place %= len(array.dims)
        gone = self.track(array, place)
        edges = list(array.edges)
        if gone is not None and not any(isinstance(f, Track) for f in dim):
            if edge is None:
                raise Malformed("a dimension of the image is lost")
            edges[gone.axis] = edge
        return Array((*array.dims[:place], dim, *array.dims[place + 1 :]), (edges[0], edges[1]))

    def track(self, array: Array, place: int) -> Track | None:
        """The track of one dimension. Refuses one joined with others."""
        dim = array.dims[place]
        if not any(isinstance(f, Track) for f in dim):
            return None
        if len(dim) != 1:
            raise Malformed("a dimension of rows and columns joined")
        return dim[0]  # type: ignore[return-value]

    def still(self, array: Array, place: int) -> int:
        """The size of a dimension that must not grow."""
        if self.track(array, place) is not None:
            raise Malformed("an operation along the image's own rows or columns")
        return math.prod(array.dims[place])  # type: ignore[arg-type]

    def agree(self, a: Array, b: Array) -> None:
        """Refuses two results of which equality at the start does not carry on."""
        pad = [Array(((),) * (4 - len(array.dims)) + array.dims, array.edges) for array in (a, b)]
        both = self.broadcast(pad)
        if any(edge is not None for edge in both.edges) or any(
            not same_factors(x, y) for x, y in zip(pad[0].dims, pad[1].dims, strict=True)
        ):
            raise Malformed("results that grow in different ways")
        for axis in (0, 1):
            track = track_of(both, axis)
            if track is None or self.grid.start[axis] < 2 * track.end:
                raise Malformed("the images are too small for the argument")


def same_factors(a: Dim, b: Dim) -> bool:
    if len(a) != len(b):
        return False
    return all(
        x.like(y) if isinstance(x, Track) and isinstance(y, Track) else x == y for x, y in zip(a, b, strict=True)
    )


def position(keeper: Keeper, argument: Any, track: Track, missing: int) -> tuple[str, int]:
    """("start", k) or ("end", k): a place along a track, counted from one of its ends."""
    if argument is None:
        argument = missing
    if type(argument) is int:
        if argument == LAST:
            return "end", 0
        return ("start", argument) if argument >= 0 else ("end", -argument)
    size = keeper.grid.size(argument["size"])
    for name, gap in (("start", size), ("end", count((track,), keeper.grid) - size)):
        if not differs(gap, whole(int(gap[0, 0]))) and gap[0, 0] >= 0:
            return name, int(gap[0, 0])
    raise Malformed("a place at no fixed distance from either end")
