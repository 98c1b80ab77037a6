"""A side of a certificate: a form, or a graph with its constants, and the images that it takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mathdnn.verdict import unpack_array
from mathdnn.verify.chances import Measured, MeasuringMachine
from mathdnn.verify.forms import form_output
from mathdnn.verify.graphs import Machine
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
    constants = [c if isinstance(c, np.ndarray) else unpack_array(c) for c in graph["constants"]]
    if isinstance(numbers, Measured):
        return MeasuringMachine(graph, constants, numbers)
    return Machine(graph, constants, numbers)
