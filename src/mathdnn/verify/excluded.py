"""Checks that a map is no convolution: each pair of strides is excluded by two responses that no kernel gives.

Entries (o, i, j, c, y, x) are those of the operation's matrix, its response at output (o, i, j) to pixel
(c, y, x). A convolution with strides (s, t) has, for some kernel K, in the first image of a batch,

    zeros       response = K[o, c, y - s i, x - t j], whatever its padding
    circular    response = K[o, c, (y - s i) mod H, (x - t j) mod W], where the kernel is no larger than the image
    reflect,    response = K[o, c, y - s i, x - t j] for outputs whose windows lie inside: P <= s i, P <= s (I - 1 - i)
    replicate     for paddings up to P = min((H - 1) / 2, s (I - 1) / 2), and so along the other axis

so two entries of one K with different responses exclude all kernels; inside, also one entry whose pixel another window
could only have outside of the image (written as a second entry there). Where all inside are alike, the middle output
shows K, the layer is written out to the borders, and one response there is another. Strides so long that the last
window begins beyond the image with P on either side, s (I - 1) + 1 > H + 2 P, have no such layer. Every pair of strides
that windows can have (s (I - 1) <= 3 (H - 1)) must be excluded in all four ways.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mathdnn.verify.chances import agree, random_prime
from mathdnn.verify.means import Means
from mathdnn.verify.numbers import Malformed, Modular, TooMany
from mathdnn.verify.sides import pixels

Answer = tuple[bool | None, str]
_MOST = 100_000  # pairs of strides
_LOOKS = 1 << 23  # of a pair of entries at a pair of strides, a few microseconds each


class Map:
    """A side's exact map modulo a random prime: responses to pixels, and values at images."""

    def __init__(self, side: dict[str, Any], means: Means) -> None:
        self.side, self.means, self.numbers = side, means, Modular(random_prime(means.generator))
        self.pixels = pixels(side)
        self.at_zero = self.value(np.zeros(self.pixels, np.int64))
        self.known: dict[int, np.ndarray] = {}

    def value(self, image: np.ndarray) -> np.ndarray:
        return self.means.run(self.side, image, self.numbers)

    def response(self, pixel: int) -> np.ndarray:
        if pixel not in self.known:
            if not 0 <= pixel < self.pixels or len(self.known) > 1000:
                raise Malformed(f"pixel {pixel}")
            image = np.zeros(self.pixels, np.int64)
            image[pixel] = 1
            self.known[pixel] = self.numbers.sub(self.value(image), self.at_zero)
        return self.known[pixel]


class Pair:
    """Two entries with different responses, and which strides they exclude."""

    def __init__(self, first: list[int], second: list[int], found: Map, full: list[int]) -> None:
        if [len(first), len(second)] != [6, 6] or any(type(place) is not int for place in (*first, *second)):
            raise Malformed("an entry is six whole numbers")
        self.first, self.second = first, second
        self.out = not all(0 <= place < size for place, size in zip(second[4:], full[2:], strict=True))
        values = []
        for o, i, j, c, y, x in (first, second):
            if min(o, i, j) < 0:
                raise Malformed("an entry outside of the output")
            if (y, x) == tuple(second[4:]) and self.out:
                values.append(0)
            else:
                values.append(found.response(int(np.ravel_multi_index((c, y, x), full[1:])))[0, o, i, j])
        if values[0] == values[1] or first[0] != second[0] or first[3] != second[3]:
            raise Malformed("two entries that may be different")

    def places(self, outputs: tuple[int, ...], full: list[int]) -> list[list[int]]:
        """The outputs and the pixels of both, counted through."""
        if self.out:
            return []
        both = (self.first, self.second)
        return [
            [int(np.ravel_multi_index(tuple(entry[:3]), outputs[1:])) for entry in both],
            [int(np.ravel_multi_index(tuple(entry[3:]), tuple(full[1:]))) for entry in both],
        ]

    def excludes(self, axis: int, stride: int, modulus: int | None) -> bool:
        a, b = (entry[3 + axis] - stride * entry[axis] for entry in (self.first, self.second))
        return (a - b) % modulus == 0 if modulus else a == b

    def inside(self, axis: int, stride: int, out: int, margin: int) -> bool:
        if all(self.first[k] == self.second[k] for k in (axis, 3 + axis)):
            return True  # along this axis both are one and the same, so padding does the same to both
        return all(
            margin <= stride * e[axis] and margin <= stride * (out - 1 - e[axis]) for e in (self.first, self.second)
        )


def no_strides(data: dict[str, Any], found: Map, full: list[int]) -> Answer:
    """Every pair of strides, each in four ways."""
    outs, sizes = found.at_zero.shape[2:], full[2:]
    ranges = [
        range(1, 2) if n == 1 else range(1, max(1, 3 * (h - 1) // (n - 1)) + 1)
        for h, n in zip(sizes, outs, strict=True)
    ]
    number = len(ranges[0]) * len(ranges[1])
    if number > _MOST or number * len(data["pairs"]) > _LOOKS:
        raise TooMany(f"{number:,} strides and {len(data['pairs']):,} pairs of responses would take minutes")
    pairs = [Pair(pair[0], pair[1], found, full) for pair in data["pairs"]]
    if [data["output_places"], data["pixels"]] not in [p.places(found.at_zero.shape, full) for p in pairs] + [
        [[border.get("place")], [border.get("pixel")]] for border in data["borders"]
    ]:
        return False, "the images are not those of a pair"
    shown = {strides for border in data["borders"] if (strides := _border(border, found, full))}
    for strides in itertools.product(*ranges):
        limits = [min((h - 1) // 2, s * (n - 1) // 2) for h, n, s in zip(sizes, outs, strides, strict=True)]
        whole = [p for p in pairs if all(p.excludes(axis + 1, s, None) for axis, s in enumerate(strides))]
        zeros = any(not p.out for p in whole)
        circle = any(
            not p.out and all(p.excludes(axis + 1, s, sizes[axis]) for axis, s in enumerate(strides)) for p in pairs
        )
        long = any(s * (n - 1) + 1 > h + 2 * p for h, n, s, p in zip(sizes, outs, strides, limits, strict=True))
        inside = long or any(
            all(p.inside(axis + 1, s, outs[axis], limits[axis]) for axis, s in enumerate(strides)) for p in whole
        )
        if not zeros or not circle or not (inside or {(*strides, "reflect"), (*strides, "replicate")} <= shown):
            return False, f"the stride {strides} is not excluded"
    size = " x ".join(map(str, full))
    most = tuple(line[-1] for line in ranges)
    return True, f"on {size} images it is no convolution of a stride up to {most}: each is excluded by two responses"


def _border(border: dict[str, Any], found: Map, full: list[int]) -> Any:
    """(s, t, mode) where a layer that is the operation at the middle output is another at the place given."""
    form, shape = border["form"], found.at_zero.shape
    mode, strides = form["padding_mode"], tuple(form["stride"])
    extent = [d * (k - 1) + 1 for d, k in zip(form["dilation"], form["weight"]["shape"][2:], strict=True)]
    reach = [
        s * (n - 1) + e - low for s, n, e, (low, _) in zip(strides, shape[2:], extent, form["padding"], strict=True)
    ]
    right = [max(0, end - h) for end, h in zip(reach, full[2:], strict=True)]
    middle = tuple((n - 1) // 2 for n in shape[2:])
    window = [
        (s * m - low, s * m - low + e)
        for s, m, (low, _), e in zip(strides, middle, form["padding"], extent, strict=True)
    ]
    if [high for _, high in form["padding"]] != right or any(
        a < 0 or b > h for (a, b), h in zip(window, full[2:], strict=True)
    ):
        return None
    if mode == "reflect" and any(max(side) >= h for side, h in zip(form["padding"], full[2:], strict=True)):
        plain = {**form, "padding_mode": "replicate"}  # there is no such layer; its kernel must still be the one shown
        return (*strides, mode) if _shows(plain, found, full, middle) else None
    if not _shows(form, found, full, middle):
        return None
    image, layer = np.zeros(found.pixels, np.int64), {"form": form, "input": full}
    at_zero = found.means.run(layer, image, found.numbers)[..., : shape[2], : shape[3]]
    image[border["pixel"]] = 1
    made = found.numbers.sub(found.means.run(layer, image, found.numbers)[..., : shape[2], : shape[3]], at_zero)
    other = found.response(border["pixel"]).reshape(-1)[border["place"]]
    return (*strides, mode) if made.reshape(-1)[border["place"]] != other else None


def _shows(form: dict[str, Any], found: Map, full: list[int], middle: tuple[int, ...]) -> bool:
    """Whether the layer and the operation are one map at the middle output (at random points)."""
    at: Any = (0, slice(None), *middle)
    run, layer = found.means.run, {"form": form, "input": full}
    return agree(
        found.means.generator,
        found.pixels,
        lambda numbers, image: (run(layer, image, numbers)[at], run(found.side, image, numbers)[at]),
    )
