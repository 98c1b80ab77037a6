"""Reads a graph with open sizes, node by node, keeping account of how its arrays repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mathdnn.verify.growing import Grid, differs
from mathdnn.verify.keeping import require_references
from mathdnn.verify.numbers import Malformed
from mathdnn.verify.stationary import Array, Keeper, Track, count, plain


class Reader(Keeper):
    """Reads a graph's nodes in order."""

    def __init__(
        self,
        graph: dict[str, Any],
        constants: list[np.ndarray],
        grid: Grid,
        rules: Mapping[str, Callable[..., Any]],
        most: int | None = None,
    ) -> None:
        """most: the rows or columns of the largest image that is spoken of, where there is one."""
        super().__init__(grid)
        require_references(graph, len(constants), sizes=True)
        self.graph, self.constants, self.rules, self.most = graph, constants, rules, most
        self.arrays: list[Any] = []
        self.op = ""

    def run(self) -> Array:
        for place, node in enumerate(self.graph["nodes"]):
            self.op = node["op"]
            self.arrays.append(self._input(node["shape"]) if place == 0 else self._node(node))
        found: Array = self.arrays[self.graph["output"]["node"]]
        return found

    def _input(self, shape: list[Any]) -> Array:
        if len(shape) < 2 or shape[-2:] != [{"size": "H"}, {"size": "W"}]:
            raise Malformed("an input without open sizes")
        image = tuple((Track(axis, self.grid.start[axis], self.grid.period[axis]),) for axis in (0, 1))
        return Array((*(plain(size) for size in shape[:-2]), *image))

    def _node(self, node: dict[str, Any]) -> Any:
        if node["op"] == "getitem":
            return self.arrays[node["args"][0]["node"]][node["args"][1]]
        rule = self.rules.get(node["op"])
        if rule is None:
            raise Malformed(f"no rule says how {node['op']!r:.40} repeats")
        made = rule(self, *node["args"], **{key: value for key, value in node["kwargs"].items() if key != "dtype"})
        if isinstance(made, Array) and node["shape"] is not None:
            sizes = [self.size(size) for size in node["shape"]]
            if len(sizes) != len(made.dims) or any(
                differs(count(dim, self.grid), size) for dim, size in zip(made.dims, sizes, strict=True)
            ):
                raise Malformed(f"{node['op']!r:.40} has another size")
        return made

    def size(self, argument: Any) -> Any:
        return self.grid.size(argument["size"] if isinstance(argument, dict) else argument)

    def array(self, argument: Any) -> Array:
        if isinstance(argument, dict) and "node" in argument:
            found = self.arrays[argument["node"]]
            if isinstance(found, Array):
                return found
        elif isinstance(argument, dict) and "constant" in argument:
            return Array(tuple(map(plain, self.constants[argument["constant"]].shape)))
        elif isinstance(argument, (bool, int, float)):
            return Array(())
        raise Malformed("a value that depends on the image's size")

    def fixed(self, argument: Any) -> np.ndarray:
        found: np.ndarray = self.constants[argument["constant"]]
        return found

    def sampled(
        self, x: Array, place: int, taps: tuple[int, int], step: int, length: int | None = None, late: int = 0
    ) -> Array:
        """Element i becomes a sum of elements step i + taps; what these miss at either end lies in the zone."""
        track = self.track(x, place)
        if track is None:
            n = self.still(x, place)
            own = (n - 1 - taps[1] - taps[0]) // step + 1 if length is None else length
            return self.put(x, place, plain(own))
        if step < 1 or track.growth % step:
            raise Malformed("a period that does not fit a stride")
        wide = track.length if length is None else length
        zone = -(-max(0, track.zone + late) // step)
        pitch = self.pitch(track)
        made = replace(
            track, length=wide, growth=track.growth // step, zone=zone, low=track.low + pitch * taps[0],
            high=track.high + pitch * taps[1],
        )  # fmt: skip
        return self.put(x, place, (self.checked(made),))

    def cut_windows(self, x: Array, place: int, k: int, s: int, p: int, d: int, length: int | None = None) -> Array:
        """Windows of k pixels on padding p."""
        track = self.track(x, place)
        n = self.still(x, place) if track is None else track.length
        if min(k, s, d) < 1 or p < 0:
            raise Malformed("a window without pixels")
        span = d * (k - 1)
        own = (n + 2 * p - span - 1) // s + 1 if length is None else length
        over = max(0, s * (own - 1) + span + 1 - n - 2 * p)
        return self.sampled(x, place, (-p, span - p), s, own, p + over)

    def enlarged(self, x: Array, place: int, k: int, zone: int, reads: tuple[Any, Any], extra: int = 0) -> Array:
        """k elements of the result for each; element q takes those at q / k + reads."""
        track = self.track(x, place)
        if track is None:
            return self.put(x, place, plain(self.still(x, place) * k + extra))
        pitch = self.pitch(track)
        made = replace(
            track, length=track.length * k + extra, growth=track.growth * k, zone=track.zone * k + zone,
            low=track.low + pitch * reads[0], high=track.high + pitch * reads[1],
        )  # fmt: skip
        return self.put(x, place, (self.checked(made),))

    def shifted(self, x: Array, place: int, before: int, after: int) -> Array:
        """Elements before and after, copies of some as near to the ends; negative numbers cut."""
        track = self.track(x, place)
        if track is None:
            return self.put(x, place, plain(self.still(x, place) + before + after))
        by = self.pitch(track) * before
        made = replace(
            track, length=track.length + before + after, zone=max(0, track.zone + max(before, after)),
            low=track.low - by, high=track.high - by, end=max(track.end, self.near(track, max(before, after, 0) + 1)),
        )  # fmt: skip
        return self.put(x, place, (self.checked(made),))

    def border(self, x: Array, place: int, size: int, depth: int) -> Array:
        """`size` elements, none deeper than `depth` from one end."""
        track = self.track(x, place)
        if track is None or track.length < depth + track.zone:
            raise Malformed("the images are too small for the argument")
        return self.put(x, place, plain(size), max(track.end, self.near(track, depth)))
