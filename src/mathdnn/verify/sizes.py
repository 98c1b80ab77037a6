"""Checks that a certificate's convolution is the operation on every image from some size on.

The graph with open sizes is read again along every class of sizes that the certificate names (`stationary`), the form
likewise,
the conditions that the graph rests on are shown to hold on the whole class, and at its first size graph and form are
compared at random points modulo random primes, as for the size asked about.

That this graph is of the same operation as the one at the size asked about, no file can show: code that cuts an image
to 4 x 4 and code that cuts it to its own size do the same on 4 x 4. So the answer says that it is not shown. Where the
size asked about is among those that are spoken of, the two have at least to take the same steps, but for cuts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mathdnn.verdict import unpack_array
from mathdnn.verify.forms import looks
from mathdnn.verify.growing import Grid
from mathdnn.verify.keeping import nodes_in
from mathdnn.verify.numbers import Malformed
from mathdnn.verify.stationary.reader import Reader
from mathdnn.verify.stationary.resizing import RULES as RESIZING_RULES
from mathdnn.verify.stationary.rules import RULES as PLAIN_RULES
from mathdnn.verify.stationary.windows import RULES as WINDOW_RULES

Compare = Callable[[dict[str, Any], dict[str, Any]], bool]
_MOST = 4096  # rows or columns of a class's first size
_CLASSES = 64
_ROOM = 1 << 28
_CUTS = frozenset(  # steps that a reading at one size may do without, or do otherwise
    f"aten.{name}"
    for name in ("slice.Tensor", "slice_scatter.default", "select.int", "select_scatter.default", "copy.default")
)
RULES = {**PLAIN_RULES, **WINDOW_RULES, **RESIZING_RULES}


def check_sizes(data: dict[str, Any], same: Compare) -> str:
    """What the certificate's statement about other sizes says, "" where it makes none. Raises `Malformed` for a wrong
    one.

    same: whether two sides are one map, for the sides at one size.
    """
    said = data.get("sizes")
    if said is None:
        return ""
    graph, form, lead = said["graph"], data["right"]["form"], data["left"]["input"][:-2]
    if graph["nodes"][0]["op"] != "input" or graph["nodes"][0]["shape"] != [*lead, {"size": "H"}, {"size": "W"}]:
        raise Malformed("the graph with open sizes takes other images")
    least, period, remainders = said["least"], said["period"], said["remainders"]
    if any(type(n) is not int for n in (*least, *period, *itertools.chain(*remainders), said["most"] or 0)):
        raise Malformed("sizes that are no whole numbers")
    for low, step, rests in zip(least, period, remainders, strict=True):
        if not (
            2 <= low <= _MOST
            and step >= 1
            and rests
            and all(0 <= rest < step for rest in rests)
            and len(set(rests)) == len(rests) in (1, step)
        ):
            raise Malformed("classes of sizes that are none")
    if len(remainders) != 2 or len(remainders[0]) * len(remainders[1]) > _CLASSES:
        raise Malformed("too many classes of sizes")
    if said["most"] is not None and said["most"] < max(least):
        raise Malformed("sizes up to less than they begin with")
    constants = [unpack_array(constant) for constant in graph["constants"]]
    for rests in itertools.product(*remainders):
        start = [low + (rest - low) % step for low, step, rest in zip(least, period, rests, strict=True)]
        grid = Grid((start[0], start[1]), (period[0], period[1]))
        _check_class(graph, constants, form, lead, grid, said["most"], same)
    here = zip(data["left"]["input"][-2:], least, period, remainders, strict=True)
    included = all(n >= low and n % step in rests for n, low, step, rests in here)
    if included and _steps(data["left"]["graph"]) != _steps(graph):
        raise Malformed("the graph with open sizes takes other steps than the one at the size asked about")
    link = "its steps alone show" if included else "nothing shows"
    return f"{words_of(said)} by the file's graph with open sizes, which {link} to be the same operation"


def _steps(graph: dict[str, Any]) -> list[str]:
    """What a graph does with the image, but for cutting it and putting it together."""
    entered: list[bool] = []
    for place, node in enumerate(graph["nodes"]):
        used = nodes_in([node["args"], list(node["kwargs"].values())])
        entered.append(place == 0 or any(entered[k] for k in used))
    steps = zip(graph["nodes"], entered, strict=True)
    return [node["op"] for node, image in steps if image and node["op"] not in _CUTS]


def _check_class(
    graph: dict[str, Any], constants: list[np.ndarray], form: dict[str, Any], lead: list[int], grid: Grid,
    most: int | None, same: Compare,
) -> None:  # fmt: skip
    for guard in graph["guards"]:
        if not grid.holds(guard):
            raise Malformed("a condition of the graph does not hold for every size")
    reader = Reader(graph, constants, grid, RULES, most)
    shape = [*lead, {"size": "H"}, {"size": "W"}]
    other, weights = _form_graph(form, shape)
    reader.agree(reader.run(), Reader(other, weights, grid, RULES).run())
    size = [*lead, *grid.start]
    left = {"graph": {**_at(graph, constants, grid), "output": graph["output"]}, "input": size}
    right = {"form": form, "input": [1] * (4 - len(size)) + size}
    if not same(left, right):
        raise Malformed(f"on {grid.start[0]} x {grid.start[1]} images the two sides are different maps")


def _form_graph(form: dict[str, Any], shape: list[Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The form as steps: a padding of any kind, windows, a crop."""
    transposed = form.get("transposed", False)
    (top, bottom), (left, right) = looks(form) if transposed else form["padding"]
    crop = [0, 0, 0, 0]
    if transposed:
        for place, axis in ((0, 1), (2, 0)):
            (a, b), s, more = form["padding"][axis], form["stride"][axis], form["output_padding"][axis]
            crop[place : place + 2] = [-(a + s * looks(form)[axis][0]), -(b + s * looks(form)[axis][1] - more)]
    full = [*[1] * (4 - len(shape)), *shape]
    nodes: list[dict[str, Any]] = [
        {"op": "input", "args": [], "kwargs": {}, "shape": full},
        {"op": "aten.replication_pad2d.default", "args": [{"node": 0}, [left, right, top, bottom]], "kwargs": {}},
    ]
    steps = [form["stride"], [0, 0], form["dilation"], transposed, [0, 0], form["groups"]]
    nodes.append({"op": "aten.convolution.default", "args": [{"node": 1}, {"constant": 0}, None, *steps], "kwargs": {}})
    nodes.append({"op": "aten.constant_pad_nd.default", "args": [{"node": 2}, crop], "kwargs": {}})
    for node in nodes[1:]:
        node["shape"] = None
    return {"nodes": nodes, "output": {"node": 3}}, [np.zeros(form["weight"]["shape"])]


def _at(graph: dict[str, Any], constants: list[np.ndarray], grid: Grid) -> dict[str, Any]:
    """The graph at the first size of a class."""
    known: list[Any] = list(constants)
    nodes = []
    for node in graph["nodes"]:
        made = {key: _put(value, grid) for key, value in node.items()}
        if made["op"] == "full":
            shape, value = made["args"]
            if not 0 <= math.prod(shape) <= _ROOM or made["dtype"] not in ("float32", "float64"):
                raise Malformed("an array too large")
            known.append(np.full(shape, np.nan if value is None else value, dtype=made["dtype"]))
            made = {**made, "op": "aten.clone.default", "args": [{"constant": len(known) - 1}], "kwargs": {}}
        nodes.append(made)
    return {"nodes": nodes, "constants": known}


def _put(value: Any, grid: Grid) -> Any:
    if isinstance(value, dict):
        return int(grid.size(value["size"])[0, 0]) if "size" in value else {k: _put(v, grid) for k, v in value.items()}
    return [_put(item, grid) for item in value] if isinstance(value, list) else value


def words_of(said: dict[str, Any]) -> str:
    """The sizes in words."""
    parts = []
    for name, least, period, rests in zip(
        ("height", "width"), said["least"], said["period"], said["remainders"], strict=True
    ):
        which = "" if sorted(rests) == list(range(period)) else f" with remainder {rests[0]} modulo {period}"
        parts.append(f"every {name} of at least {least}{which}")
    upper = "" if said["most"] is None else f", up to {said['most']}"
    return f"{parts[0]} and {parts[1]}{upper}"
