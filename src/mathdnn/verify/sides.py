"""A side of a certificate: a form, or a graph with its constants, and the images that it takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mathdnn.verdict import unpack_array
from mathdnn.verify.chances import Measured, MeasuringMachine
from mathdnn.verify.forms import form_output
from mathdnn.verify.graphs import Machine
from mathdnn.verify.keeping import nodes_in
from mathdnn.verify.numbers import Malformed, Numbers, clean, require_room


def full(shape: list[int]) -> list[int]:
    """(n, c, h, w): what a shape leaves out is 1."""
    return [1] * (4 - len(shape)) + shape


def pixels(side: dict[str, Any]) -> int:
    """The pixels of a side's image. Refuses images that are none, too large or not the graph's before one is drawn."""
    shape = side["input"]
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise Malformed("images of no size")
    if "graph" in side:
        first = side["graph"]["nodes"][0]
        if first["shape"] != shape or first["op"] != "input":
            raise Malformed("the graph's input is another")
    require_room(*shape)
    return math.prod(shape)


def run(side: dict[str, Any], image: np.ndarray, numbers: Numbers) -> tuple[np.ndarray, int]:
    """A side's output (n, o, i, j) for one flat image, and the roundings of its float computation."""
    if "form" in side:
        made = form_output(side["form"], image.reshape(side["input"]), numbers)
        if isinstance(numbers, Measured):
            numbers.bits += numbers.entered(1) + made[1].bit_length()
        return made
    pixels(side)
    value, roundings = machine(side, numbers).run(image.reshape(side["input"]))
    value = clean(value)
    return value.reshape((1,) * (4 - value.ndim) + value.shape), roundings


def machine(side: dict[str, Any], numbers: Numbers) -> Machine:
    """What runs a side's graph, once."""
    graph = side["graph"]
    constants = unpacked(side)["graph"]["constants"]
    if isinstance(numbers, Measured):
        return MeasuringMachine(graph, constants, numbers)
    return Machine(graph, constants, numbers)


def unpacked(side: dict[str, Any]) -> dict[str, Any]:
    """A side whose constants are arrays, to be run more than once."""
    if "graph" not in side:
        return side
    constants = [c if isinstance(c, np.ndarray) else unpack_array(c) for c in side["graph"]["constants"]]
    return {**side, "graph": {**side["graph"], "constants": constants}}


def several(side: dict[str, Any], number: int) -> dict[str, Any]:
    """A side for so many images at once, as far as its graph's shapes tell: it may be another map, or run no longer."""
    if number == 1:
        return side
    if len(side["input"]) != 4 or side["input"][0] != 1:
        raise Malformed("images that are no batch")
    made = {**side, "input": [number, *side["input"][1:]]}
    if "graph" not in side:
        return made
    nodes: list[dict[str, Any]] = []
    entered: list[bool] = []  # by the image
    for place, node in enumerate(side["graph"]["nodes"]):
        used = nodes_in([node["args"], list(node["kwargs"].values())])
        entered.append(place == 0 or any(entered[k] for k in used))
        shape = node["shape"]
        if entered[-1] and shape and shape[0] == 1:
            wanted = [number, *shape[1:]]
            args = [wanted if place and arg == shape else arg for arg in node["args"]]
            node = {**node, "shape": wanted, "args": args}
        nodes.append(node)
    return {**made, "graph": {**side["graph"], "nodes": nodes}}
