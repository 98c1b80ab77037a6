"""The values of a graph's nodes, held no longer than they are used, and no more at once than there is room for.

A few hundred bytes of a file can ask for any number of large results. What a view (a slice, an expansion) holds is the
array that it looks into, which is counted once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mathdnn.verify.numbers import ROOM, Malformed


class Kept:
    """`values[k]` of every node, None from the last node on that reads it."""

    def __init__(self, graph: dict[str, Any], constants: int) -> None:
        require_references(graph, constants)
        self.values: list[Any] = []
        self._owned: dict[int, dict[int, int]] = {}  # node -> what its value holds, while it is kept
        self._holders: dict[int, int] = {}  # memory -> how many nodes hold it
        self._held = 0
        self._ends: dict[int, list[int]] = {}  # place -> the nodes that nothing later reads
        last = {k: k for k in range(len(graph["nodes"]))}
        for place, node in enumerate(graph["nodes"]):
            last |= dict.fromkeys(nodes_in([node["args"], list(node["kwargs"].values())]), place)
        last.pop(graph["output"].get("node"), None)
        for k, place in last.items():
            self._ends.setdefault(place, []).append(k)

    def add(self, value: Any) -> None:
        """Keep the next node's value, and let go of what is not read again. Raises `Malformed` where it is too much."""
        place = len(self.values)
        self.values.append(value)
        parts = value if isinstance(value, list | tuple) else (value,)
        self._owned[place] = dict(_owned(part) for part in parts)
        for memory, size in self._owned[place].items():
            self._holders[memory] = self._holders.get(memory, 0) + 1
            self._held += size if self._holders[memory] == 1 else 0
        if self._held > ROOM:
            raise Malformed(f"more than {ROOM:,} numbers at once")
        for k in self._ends.get(place, ()):
            self.values[k] = None
            self._let_go(k)

    def _let_go(self, k: int) -> None:
        for memory, size in self._owned.pop(k).items():
            self._holders[memory] -= 1
            if not self._holders[memory]:
                del self._holders[memory]
                self._held -= size


def _owned(value: Any) -> tuple[int, int]:
    """(which memory, how many numbers) of an array or a tensor; nothing else is large."""
    if hasattr(value, "untyped_storage"):
        storage = value.untyped_storage()
        return storage.data_ptr(), storage.nbytes() // value.element_size()
    found = value
    while (value := getattr(value, "base", None)) is not None:
        found = value if isinstance(value, np.ndarray) else found
    return id(found), np.size(found)


def nodes_in(argument: Any) -> list[int]:
    """The nodes that an argument names, lists of them with them."""
    if isinstance(argument, dict):
        return [argument["node"]] if "node" in argument else []
    return [k for item in argument for k in nodes_in(item)] if isinstance(argument, list) else []


def require_references(graph: dict[str, Any], constants: int, *, sizes: bool = False) -> None:
    """Every dictionary among the arguments is one reference, which cannot be read in two ways: to a node before, to a
    constant, to a number that JSON does not write, or, with open `sizes`, to a size."""
    for place, node in enumerate(graph["nodes"]):
        _require(node["args"], place, constants, sizes)
        _require(list(node["kwargs"].values()), place, constants, sizes)
        for size in node["shape"] or ():
            if isinstance(size, dict) and not (sizes and list(size) == ["size"]):
                raise Malformed(f"node {place} names a shape that is none")
    if "size" in graph["output"] or "float" in graph["output"]:
        raise Malformed("an output that is no array")
    _require(graph["output"], len(graph["nodes"]), constants, sizes)


def _require(argument: Any, place: int, constants: int, sizes: bool) -> None:
    if isinstance(argument, list):
        for item in argument:
            _require(item, place, constants, sizes)
    if not isinstance(argument, dict):
        return
    ((kind, value),) = argument.items() if len(argument) == 1 else (("", None),)
    if kind in ("node", "constant"):
        known = type(value) is int and 0 <= value < (place if kind == "node" else constants)
    else:
        known = (kind == "size" and sizes) or (kind == "float" and value in ("inf", "-inf", "nan"))
    if not known:
        raise Malformed(f"node {place} refers to what is no node before it and no constant")
