"""A side that is one layer with floats as weights, which may be computed with other numbers in their place.

On a line, of rows or of columns, pixel t[i,a] enters output i by tap a, or none does (-1). Where no output of either
line has a pixel twice, each coefficient is one of the weights, or 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mathdnn.verify.forms import MODES, continued, layer_output, looks, rational
from mathdnn.verify.numbers import Modular, Numbers
from mathdnn.verify.sides import full, pixels, run, unpacked

_NONE: Any = (None, np.zeros(0), np.zeros(0))
_NO_SIDES = [[0, 0], [0, 0]]
_LONG = 1 << 20  # outputs of a line times taps: more than any layer on images that can be compared has


@dataclass(frozen=True)
class Layer:
    """A form whose weights are floats; `weights` holds them flat, (o, g, a, b), then the biases."""

    form: dict[str, Any]
    input: list[int]
    weights: np.ndarray

    def output(self, values: np.ndarray, image: np.ndarray, numbers: Numbers) -> np.ndarray:
        """(n, o, i, j) for a flat image, other values in the place of the weights."""
        shape, bias = self.shape, None if self.form["bias"] is None else values[math.prod(self.shape) :]
        weight = values[: math.prod(shape)].reshape(shape)
        if self.form.get("transposed"):
            weight = _swapped(weight, self.form["groups"])
        return layer_output(self.form, weight, bias, image.reshape(self.input), numbers)

    def outputs(self, lines: tuple[np.ndarray, np.ndarray]) -> int:
        """The numbers in its result for one image."""
        return self.shape[0] * len(lines[0]) * len(lines[1])

    @property
    def shape(self) -> tuple[int, ...]:
        """(o, g, a, b) as a plain layer has them: output channels, input channels of a group, taps."""
        first, second, *taps = self.form["weight"]["shape"]
        groups = self.form["groups"]
        return (second * groups, first // groups, *taps) if self.form.get("transposed") else (first, second, *taps)


def _swapped(weight: np.ndarray, groups: int) -> np.ndarray:
    """Input and output channels of every group change places."""
    parts = [part.swapaxes(0, 1) for part in np.split(weight, groups)]
    return np.concatenate(parts)


def layer_of(side: dict[str, Any]) -> Layer | None:
    """The layer that a form is, or that a graph seems to be: what is left to be shown of a graph. None for others."""
    if full(side["input"])[0] != 1:
        return None
    form, weight, bias = _form_of(side) if "form" in side else _graph_of(unpacked(side))
    if form is None or weight.size == 0:
        return None
    if form.get("transposed"):
        weight = _swapped(weight, form["groups"])
    return Layer(form, side["input"], np.concatenate([weight.ravel(), bias]))


def _form_of(side: dict[str, Any]) -> Any:
    form = side["form"]
    exact = [rational(text) for text in form["weight"]["values"] + (form["bias"] or [])]
    floats = [value.numerator / value.denominator for value in exact]
    if any(value.as_integer_ratio() != wanted.as_integer_ratio() for value, wanted in zip(floats, exact, strict=True)):
        return _NONE
    count, values = len(form["weight"]["values"]), np.array(floats)
    return form, values[:count].reshape(form["weight"]["shape"]), values[count:]


def _graph_of(side: dict[str, Any]) -> Any:
    """Of a graph with one convolution, its weights, and how the image is continued before."""
    nodes, constants = side["graph"]["nodes"], side["graph"]["constants"]
    found = [node for node in nodes if node["op"] == "aten.convolution.default"]
    if len(found) != 1 or len(found[0]["args"]) != 9 or found[0]["dtype"] not in ("float32", "float64"):
        return _NONE
    source, weight, bias, stride, padding, dilation, transposed, extra, groups = found[0]["args"]
    known = "node" in source and all(part is None or "constant" in part for part in (weight, bias))
    if not known or len(padding) != 2:
        return _NONE
    mode, sides = _padding_of(side, source["node"])
    if mode is None or (any(padding) and mode != "zeros") or (transposed and sides != _NO_SIDES):
        return _NONE
    values, offsets = (
        np.zeros(0) if part is None else np.asarray(constants[part["constant"]]).astype(found[0]["dtype"])
        for part in (weight, bias)
    )
    form = {
        "weight": {"shape": list(values.shape)},
        "bias": None if bias is None else [],
        "stride": stride,
        "padding": [[a + p, b + p] for (a, b), p in zip(sides, padding, strict=True)],
        "padding_mode": mode,
        "dilation": dilation,
        "groups": groups,
        "transposed": transposed,
        "output_padding": extra,
    }
    return form, values.astype(np.float64), offsets.astype(np.float64)


def _padding_of(side: dict[str, Any], place: int) -> tuple[str | None, list[list[int]]]:
    """(mode, sides) where a node continues the image, seen from what it makes of one whose pixels are numbered."""
    graph = {**side["graph"], "nodes": side["graph"]["nodes"][: place + 1], "output": {"node": place}}
    numbered = np.arange(1, pixels(side) + 1)
    made = run({**side, "graph": graph}, numbered, Modular(2**31 - 1))[0]
    *lead, height, width = full(side["input"])
    if list(made.shape[:-2]) != lead or made.shape[2] < height or made.shape[3] < width:
        return None, []
    rows, columns = made[0, 0].max(1) - 1, made[0, 0].max(0) - 1  # -1 where nothing is
    seen = [np.where(rows < 0, -1, rows // width), np.where(columns < 0, -1, columns % width)]
    for mode in MODES:
        fits = [_sides(line, size, mode) for line, size in zip(seen, (height, width), strict=True)]
        if all(fits):
            return mode, [fit[0] for fit in fits]
    return None, []


def _sides(line: np.ndarray, size: int, mode: str) -> list[list[int]]:
    """The ways to continue a line of so many pixels to these."""
    more, widest = len(line) - size, size if mode in ("reflect", "circular") else 1 << 14
    first = np.flatnonzero(line[: more + 1] == 0)[-2:].tolist()  # the first pixel: going on, a line may have it again
    ways = [[before, more - before] for before in first if max(before, more - before) < widest]
    return [way for way in ways if np.array_equal(_continued_line(mode, size, way), line)]


def _continued_line(mode: str, size: int, sides: list[int]) -> np.ndarray:
    """The pixels of a line and beyond its ends; -1 for none."""
    pixel = np.arange(1, size + 1).reshape(1, 1, -1, 1)  # what lies beyond the ends is 0
    return np.asarray(continued({"padding_mode": mode}, pixel, [sides, [0, 0]]).ravel() - 1)


def lines_of(layer: Layer) -> tuple[np.ndarray, np.ndarray] | None:
    """t[i,a] of rows and of columns. None where an output has a pixel twice, or where a line is too long."""
    made = [_line(layer, axis, size) for axis, size in enumerate(full(layer.input)[2:])]
    rows, columns = made
    return None if rows is None or columns is None or not (_single(rows) and _single(columns)) else (rows, columns)


def _line(layer: Layer, axis: int, size: int) -> np.ndarray | None:
    form = layer.form
    s, d, k = form["stride"][axis], form["dilation"][axis], layer.shape[2 + axis]
    transposed = form.get("transposed", False)
    sides = (looks(form) if transposed else form["padding"])[axis]
    line = _continued_line(form["padding_mode"], size, sides)
    if transposed:
        (first, last), more = form["padding"][axis], form["output_padding"][axis]
        outputs = (size - 1) * s + d * (k - 1) + 1 - first - last + more
    else:
        first, outputs = 0, (len(line) - d * (k - 1) - 1) // s + 1
    if outputs * k > _LONG:
        return None
    if transposed:
        place = np.arange(outputs)[:, None] + first - d * np.arange(k)
        inside, place = place % s == 0, place // s + sides[0]
    else:
        place = s * np.arange(outputs)[:, None] + d * np.arange(k)
        inside = np.ones(place.shape, bool)
    inside &= (place >= 0) & (place < len(line))
    return np.where(inside, line[np.where(inside, place, 0)], -1)


def _single(table: np.ndarray) -> bool:
    """Whether no output of a line has a pixel twice."""
    ordered = np.sort(table, axis=1)
    return not ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any()
