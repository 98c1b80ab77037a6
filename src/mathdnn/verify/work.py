"""How much work a side of a certificate asks for, before any is done: a few bytes can ask for hours.

Counted in products of two numbers: those of windows and sums, eight for each number of a result, and a fixed cost of a
step. `MOST` of them take a minute and a half at most on two cores (measured, both sides together: 2^31 products of
one channel 42 s, and of 64 channels 9 s; 2^28 numbers 24 s; 2^16 steps 25 s; four resized lines of 2^15 pixels 35 s).
"""

from __future__ import annotations

import math
from typing import Any

from mathdnn.verify.numbers import TooMany
from mathdnn.verify.rounding import LONGEST

MOST = 1 << 32
_STEP, _NUMBER, _PIXEL = 1 << 16, 8, 1 << 14  # a step, a number of a result, a pixel of a line that is resized


class Work:
    """What is left of the work that one certificate may ask for."""

    def __init__(self) -> None:
        self.left = MOST

    def take(self, left: dict[str, Any], right: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The two sides. Raises `TooMany` where they ask for more than is left."""
        for side in (left, right):
            self.left -= _of_form(side["form"], side["input"]) if "form" in side else _of_graph(side["graph"])
        if self.left < 0:
            raise TooMany(f"it asks for more than {MOST:,} products, which would take minutes")
        return left, right


def _of_form(form: dict[str, Any], image: list[int]) -> int:
    """A plain one looks at the padded image, a transposed one puts every pixel down `stride` pixels apart."""
    transposed, weights = form.get("transposed", False), math.prod(form["weight"]["shape"])
    sizes = [1] * (4 - len(image)) + image
    for axis in (0, 1):
        around = max(0, *form["padding"][axis]) * 2
        sizes[2 + axis] = sizes[2 + axis] * (form["stride"][axis] if transposed else 1) + around
    return int(sizes[0] * sizes[2] * sizes[3] * (weights + _NUMBER * sizes[1])) + _STEP


def _of_graph(graph: dict[str, Any]) -> int:
    return sum(_of_step(node, graph) for node in graph["nodes"])


def _of_step(node: dict[str, Any], graph: dict[str, Any]) -> int:
    shape: list[int] = node["shape"] or []
    op, size = node["op"], math.prod(shape)
    work = _STEP + _NUMBER * size
    if op == "aten.convolution.default":
        weight = _shape(node["args"][1], graph)
        rest = weight[0] // max(1, node["args"][8]) if node["args"][6] else weight[1]
        return work + size * int(rest) * math.prod(weight[2:])
    if op == "aten.cumsum.default":
        return work + size * max(shape, default=0)
    if op.startswith("aten.avg_pool"):
        return work + math.prod(_shape(node["args"][0], graph)) * int(sum(node["args"][1]))
    if "upsample" in op:
        lines = zip(shape[2:], _shape(node["args"][0], graph)[2:], strict=True)
        return work + _PIXEL * sum(min(max(line), LONGEST) for line in lines)  # a longer one is refused by itself
    return work


def _shape(argument: Any, graph: dict[str, Any]) -> list[int]:
    """Of a value that is named: a node's result, or a constant."""
    if "node" in argument:
        return list(graph["nodes"][argument["node"]]["shape"])
    constant = graph["constants"][argument["constant"]]
    return list(constant["shape"] if isinstance(constant, dict) else constant.shape)
