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

    def __init__(self, graph: dict[str, Any]) -> None:
        self.values: list[Any] = []
        self._owned: dict[int, dict[int, int]] = {}  # node -> what its value holds, while it is kept
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
        held = {memory: size for owned in self._owned.values() for memory, size in owned.items()}
        if sum(held.values()) > ROOM:
            raise Malformed(f"more than {ROOM:,} numbers at once")
        for k in self._ends.get(place, ()):
            self.values[k] = None
            self._owned.pop(k)


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
