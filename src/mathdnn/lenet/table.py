"""Which input map feeds which output map.

    o  output map, 0 .. out_channels - 1          i  input map, 0 .. in_channels - 1
    maps[o] = the input maps that output map o reads;  edge (o, i)  <=>  i in maps[o];  mask[o, i] = 1 on the edges

Edges stand in one canonical order everywhere: by output map, then by input map. `ConnectionTable.lenet()` is Table I of
LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition" (1998); its grid, like the
paper's, has input maps as rows and output maps as columns, while `mask` is (output, input) like a torch weight.
"""

from __future__ import annotations

import itertools
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

import msgspec

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

_GRID = 10_000_000  # heuristic: some ten megabytes of text, beyond what anybody reads
_LENET = "012 123 234 345 045 015 | 0123 1234 2345 0345 0145 0125 | 0134 1245 0235 | 012345"


@dataclass(frozen=True)
class ConnectionTable:
    """A channel connection table, frozen; `maps[o]` lists the input maps of output map o, kept in ascending order.

    Raises `InvalidInput` for an empty table, an output map with no input, a duplicate, an index that is not a whole
    number or lies outside 0 .. in_channels - 1. An input map that nothing reads is allowed; `describe` names it.
    """

    in_channels: int
    maps: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        channels = _whole(self.in_channels, "ConnectionTable(in_channels=...)")
        if channels < 1:
            _refuse("ConnectionTable(in_channels=...)", "at least one input map", str(channels), "give at least 1")
        maps = tuple(_checked_map(o, inputs, channels) for o, inputs in enumerate(_listed(self.maps)))
        if not maps:
            _refuse("ConnectionTable(maps=...)", "at least one output map", "an empty table", "add an output map")
        object.__setattr__(self, "in_channels", channels)
        object.__setattr__(self, "maps", maps)

    @classmethod
    def lenet(cls) -> Self:
        """Table I of LeCun et al. (1998): 6 input maps, 16 output maps, 60 of 96 edges."""
        return cls.parse(_LENET, in_channels=6)

    @classmethod
    def full(cls, in_channels: int, out_channels: int) -> Self:
        """Every output map reads every input map: an ordinary convolution."""
        return cls.grouped(in_channels, out_channels, 1)

    @classmethod
    def one_to_one(cls, channels: int) -> Self:
        """Output map c reads input map c alone: a depthwise convolution."""
        return cls.grouped(channels, channels, channels)

    @classmethod
    def grouped(cls, in_channels: int, out_channels: int, groups: int) -> Self:
        """The table of torch's `Conv2d(groups=groups)`; `groups` divides both counts."""
        who = "ConnectionTable.grouped(groups=...)"
        i, o = _count(in_channels, "in_channels"), _count(out_channels, "out_channels")
        g = _whole(groups, who)
        if g < 1 or i % g or o % g:
            _refuse(who, f"a divisor of in_channels={i} and out_channels={o}", str(g), "choose a common divisor")
        width = i // g
        blocks = [tuple(range(k * width, (k + 1) * width)) for k in range(g)]
        return cls(i, tuple(blocks[k * g // o] for k in range(o)))

    @classmethod
    def random(cls, in_channels: int, out_channels: int, fan_in: int, seed: int | np.random.Generator) -> Self:
        """Each output map reads `fan_in` distinct input maps, every subset equally likely, drawn from `seed` alone."""
        import numpy as np

        i, o = _count(in_channels, "in_channels"), _count(out_channels, "out_channels")
        k = _whole(fan_in, "ConnectionTable.random(fan_in=...)")
        if not 1 <= k <= i:
            _refuse("ConnectionTable.random(fan_in=...)", f"1 to in_channels={i}", str(k), "choose a number in between")
        if not isinstance(seed, np.random.Generator):
            number = _whole(seed, "ConnectionTable.random(seed=...)")
            if number < 0:
                _refuse("ConnectionTable.random(seed=...)", "a whole number from 0", str(seed), "give such a seed")
            seed = np.random.default_rng(number)
        order = seed.random((o, i)).argsort(axis=1, kind="stable")
        return cls(i, tuple(tuple(row) for row in order[:, :k].tolist()))

    @classmethod
    def parse(cls, text: str, in_channels: int | None = None) -> Self:
        """Read a table written as text.

        Two spellings: digits, one map a word (`"012 123 | 0123"`, bars and spaces alike separate maps), or, wherever a
        comma or semicolon appears, indices separated by commas and maps by semicolons, bars or line ends
        (`"0,1,12; 3"`). `in_channels` defaults to the largest index plus one.
        """
        if not isinstance(text, str):
            _refuse("ConnectionTable.parse(text)", "text", f"a {type(text).__name__}", "use from_mask for a matrix")
        if not text.strip():
            _refuse("ConnectionTable.parse(text)", "at least one output map", "an empty table", "add an output map")
        if "," in text or ";" in text:
            words = [part.split(",") if part.strip() else [] for part in re.split(r"[;|\n]", text.strip().rstrip(";"))]
        else:
            words = [list(word) for word in re.split(r"[\s|]+", text) if word]
        maps = tuple(tuple(_parsed(word) for word in part) for part in words)
        largest = max((i for inputs in maps for i in inputs), default=0)
        return cls(largest + 1 if in_channels is None else in_channels, maps)

    @classmethod
    def from_mask(cls, matrix: Any) -> Self:
        """The inverse of `mask`: a matrix of 0 and 1 (or booleans), rows output maps, columns input maps."""
        import numpy as np

        who = "ConnectionTable.from_mask(matrix)"
        array = np.asarray(matrix)
        if array.ndim != 2 or array.dtype.kind not in "biuf":
            got = f"shape {array.shape} of {array.dtype}"
            _refuse(who, "a matrix of 0 and 1, output maps by input maps", got, "give two dimensions of numbers")
        wrong = array[(array != 0) & (array != 1)]
        if wrong.size:
            _refuse(who, "only 0 and 1", str(wrong[0]), "write 1 for an edge and 0 for none")
        return cls(array.shape[1], tuple(tuple(np.flatnonzero(row).tolist()) for row in array))

    @property
    def out_channels(self) -> int:
        """The number of output maps."""
        return len(self.maps)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """All edges (output map, input map) in canonical order."""
        return tuple((o, i) for o, inputs in enumerate(self.maps) for i in inputs)

    @property
    def fan_in(self) -> tuple[int, ...]:
        """How many input maps each output map reads."""
        return tuple(len(inputs) for inputs in self.maps)

    @property
    def fan_out(self) -> tuple[int, ...]:
        """How many output maps each input map feeds."""
        feeds = [0] * self.in_channels
        for _, i in self.edges:
            feeds[i] += 1
        return tuple(feeds)

    @property
    def groups(self) -> int | None:
        """The g with which the table is exactly `grouped(in_channels, out_channels, g)`, or None."""
        g, rest = divmod(self.in_channels, len(self.maps[0]))
        if rest or self.out_channels % g:
            return None
        return g if self.maps == type(self).grouped(self.in_channels, self.out_channels, g).maps else None

    def mask(self) -> Bool[np.ndarray, "out_channels in_channels"]:
        """The table as a matrix: True on the edges, output maps by input maps."""
        import numpy as np

        mask = np.zeros((self.out_channels, self.in_channels), dtype=bool)
        mask[tuple(zip(*self.edges, strict=True))] = True
        return mask

    def describe(self) -> str:
        """Plain words, then the grid as the paper prints it: input maps down, output maps across, X an edge."""
        possible = self.in_channels * self.out_channels
        if possible > _GRID:
            got = f"{self.in_channels} x {self.out_channels}"
            _refuse("ConnectionTable.describe()", f"a grid of at most {_GRID:,} places", got, "read `maps` instead")
        unused = [i for i, count in enumerate(self.fan_out) if count == 0]
        reads, feeds = _range(self.fan_in, "input map"), _range(self.fan_out, "output map")
        lines = [
            f"{self.in_channels} input maps, {self.out_channels} output maps, {len(self.edges)} of {possible} edges.",
            f"An output map reads {reads}; an input map feeds {feeds}.",
        ]
        if unused:
            lines.append(f"Read by no output map: input {_listing(unused)}.")
        if self.groups:
            lines.append("Every edge is there." if self.groups == 1 else f"Exactly {self.groups} groups.")
        return "\n".join([*lines, "", *self._grid()])

    def _grid(self) -> list[str]:
        wide = len(str(max(self.in_channels, self.out_channels) - 1))
        head = " " * wide + "".join(f" {o:>{wide}}" for o in range(self.out_channels))
        rows = [
            f"{i:>{wide}}" + "".join(f" {'X' if i in inputs else '.':>{wide}}" for inputs in self.maps)
            for i in range(self.in_channels)
        ]
        return [head, *rows]

    def to_json(self) -> str:
        """The table as one JSON object with `in_channels` and `maps`."""
        return msgspec.json.encode({"in_channels": self.in_channels, "maps": self.maps}).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read back what `to_json` wrote. Raises `InvalidInput` for anything else."""
        try:
            wire = msgspec.json.decode(text, type=_Wire)
        except (msgspec.MsgspecError, RecursionError, UnicodeError, TypeError) as error:
            _refuse("ConnectionTable.from_json(text)", "a table as to_json writes it", str(error), "check the text")
        return cls(wire.in_channels, wire.maps)


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    in_channels: int
    maps: tuple[tuple[int, ...], ...]


def _refuse(who: str, expected: str, got: str, do: str) -> NoReturn:
    raise InvalidInput(sentence(who, expected, got, do)) from None


def _whole(value: Any, who: str) -> int:
    try:
        if type(value) is bool or type(value).__name__ == "bool_":
            raise TypeError
        return operator.index(value)
    except TypeError:
        _refuse(who, "a whole number", f"{type(value).__name__} {value!r:.40}", "give an integer")


def _count(value: Any, name: str) -> int:
    number = _whole(value, f"ConnectionTable({name}=...)")
    if number < 1:
        _refuse(f"ConnectionTable({name}=...)", "at least one map", str(number), "give at least 1")
    return number


def _listed(maps: Any) -> list[Any]:
    if isinstance(maps, str):
        _refuse("ConnectionTable(maps=...)", "lists of input maps", f"text {maps!r:.40}", "use ConnectionTable.parse")
    try:
        return [list(inputs) for inputs in maps]
    except TypeError:
        _refuse("ConnectionTable(maps=...)", "a list of input maps for each output map", f"{maps!r:.60}", "nest it")


def _checked_map(o: int, inputs: list[Any], channels: int) -> tuple[int, ...]:
    who = f"ConnectionTable(maps[{o}])"
    found = sorted(_whole(i, who) for i in inputs)
    if not found:
        _refuse(who, "at least one input map", "an empty output map", "list the input maps it reads")
    for i in found:
        if not 0 <= i < channels:
            _refuse(who, f"input maps 0 to {channels - 1}", str(i), "correct the index or give more input maps")
    for i, after in itertools.pairwise(found):
        if i == after:
            _refuse(who, "each input map once", f"{i} twice", "name it once")
    return tuple(found)


def _parsed(word: str) -> int:
    if not re.fullmatch(r"\s*[0-9]{1,9}\s*", word):
        got = repr(word.strip()[:40])
        _refuse("ConnectionTable.parse(text)", "whole numbers from 0", got, 'write maps as "012 123" or "0,1,12; 3"')
    return int(word)


def _range(counts: tuple[int, ...], noun: str) -> str:
    low, high = min(counts), max(counts)
    return f"{low} to {high} {noun}s" if low != high else f"{low} {noun}{'' if low == 1 else 's'}"


def _listing(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
