"""How much work a side of a certificate asks for, before any is done: a few bytes can ask for hours.

Counted in products of two numbers: those of windows and sums, eight for each number of a result, and a fixed cost of a
step. `MOST` of them take a minute and a half at most on two cores (measured, both sides together: 2^31 products of
one channel 42 s, and of 64 channels 9 s; 2^28 numbers 24 s; 2^16 steps 25 s; four resized lines of 2^15 pixels 35 s).
"""

from __future__ import annotations

import math
from typing import Any

from mathdnn.verify.keeping import require_references
from mathdnn.verify.numbers import TooMany
from mathdnn.verify.rounding import LONGEST

MOST = 1 << 32
_STEP, _NUMBER, _PIXEL = 1 << 16, 8, 1 << 14  # a step, a number of a result, a pixel of a line that is resized


class Work:
    """What is left of the work that one file may ask for."""

    def __init__(self, most: int | None = None) -> None:
        self.most = self.left = most or MOST

    def take(self, left: dict[str, Any], right: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The two sides. Raises `TooMany` where they ask for more than is left."""
        self.spend(sum(map(of_side, (left, right))))
        return left, right

    def spend(self, products: int) -> None:
        self.left -= max(0, products)
        if self.left < 0:
            raise TooMany(f"it asks for more than {self.most:,} products, which would take minutes")


def of_side(side: dict[str, Any]) -> int:
    """The work of a side, run once."""
    return _of_form(side["form"], side["input"]) if "form" in side else _of_graph(side["graph"])


def kept(side: dict[str, Any]) -> int:
    """Of this what the next run need not do again: the weights of two resized images are kept (`resampling`)."""
    graph = side.get("graph", {"nodes": []})
    resized = [node for node in graph["nodes"] if "upsample" in node["op"]]
    return sum(max(0, _of_lines(node, graph)) for node in resized) if len(resized) <= 2 else 0


def _of_form(form: dict[str, Any], image: list[int]) -> int:
    """A plain one looks at the padded image, a transposed one puts every pixel down `stride` pixels apart."""
    transposed, weights = form.get("transposed", False), math.prod(form["weight"]["shape"])
    if not transposed:  # taps that no output channel has are left out
        values, first = form["weight"]["values"], max(1, form["weight"]["shape"][0])
        taps = max(1, len(values) // first)
        weights = first * len({k % taps for k, value in enumerate(values) if value != "0"})
    sizes = [1] * (4 - len(image)) + image
    for axis in (0, 1):
        around = max(0, *form["padding"][axis]) * 2
        sizes[2 + axis] = sizes[2 + axis] * (form["stride"][axis] if transposed else 1) + around
    return max(0, int(sizes[0] * sizes[2] * sizes[3] * (weights + _NUMBER * sizes[1]))) + _STEP


def _of_graph(graph: dict[str, Any]) -> int:
    require_references(graph, len(graph["constants"]))
    return sum(max(0, _of_step(node, graph)) for node in graph["nodes"])  # what is said below 0 is refused when it runs


def _of_step(node: dict[str, Any], graph: dict[str, Any]) -> Any:
    """A result may be said to be small, which is seen when it is made; what was made before is as large as said."""
    read = [math.prod(_shape(part, graph)) for part in _arrays(node["args"])]
    op, args, size = node["op"], node["args"], max([math.prod(node["shape"] or ()), *read])
    work = _STEP + _NUMBER * size
    if op in ("aten.mm.default", "aten.bmm.default", "aten.addmm.default"):
        return work + read[-2] * _shape(args[-1], graph)[-1]
    if op == "aten.convolution.default":
        return work + _of_convolution(_shape(args[0], graph), _shape(args[1], graph), *args[3:8])
    if op == "aten.cumsum.default":
        return work + size * int(max(_shape(args[0], graph), default=0))
    if op.startswith("aten.avg_pool"):
        return work + size * sum(map(int, args[1]))
    if op in ("aten.unbind.int", "aten.split.Tensor"):
        return work + _STEP * int(max(_shape(args[0], graph)) // (max(1, args[1]) if "split" in op else 1))
    return work + _of_lines(node, graph) if "upsample" in op else work


def _of_lines(node: dict[str, Any], graph: dict[str, Any]) -> Any:
    """The weights of the lines of a resized image; a longer one is refused by itself."""
    lines = zip(node["args"][1], _shape(node["args"][0], graph)[2:], strict=True)
    return _PIXEL * sum(min(max(line), LONGEST) for line in lines)


def _of_convolution(
    image: list[int], weight: list[int], stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any
) -> int:
    """Products of the windows of the padded image, or of one with zeros between its pixels."""
    axes = len(weight) - 2
    places = math.prod(image[: -axes - 1])
    for size, k, s, p, d, more in zip(image[-axes:], weight[2:], stride, padding, dilation, extra, strict=True):
        if any(type(number) is not int for number in (s, p, d, more)):
            return 0  # refused when it runs
        span = d * (k - 1) + 1
        out = (size - 1) * s + span - 2 * p + more if transposed else (size + 2 * p - span) // max(1, s) + 1
        places *= max(0, int(out))
    return places * math.prod(weight)


def _shape(argument: Any, graph: dict[str, Any]) -> list[int]:
    """Of a value that is named: a node's result, or a constant."""
    if "node" in argument:
        return list(graph["nodes"][argument["node"]]["shape"] or ())
    constant = graph["constants"][argument["constant"]]
    return list(constant["shape"] if isinstance(constant, dict) else constant.shape)


def _arrays(argument: Any) -> list[Any]:
    """The values that arguments name."""
    if isinstance(argument, dict):
        return [argument] if "float" not in argument else []
    return [part for item in argument for part in _arrays(item)] if isinstance(argument, list) else []
