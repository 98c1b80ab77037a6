"""What a counterexample about a scan says beside its pair or image: its sentence, its counts, where the function rises.

The sentence is written again from the data, and what is said of zeros, NaN and other layouts is checked as beside a
proof. Of a format of 16 bits all values are run and counted again. Of float32 the counts and the regions only have to
fit together; the answer says that they were not counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from mathdnn.verify.beside import DIGITS, check_beside, text_of
from mathdnn.verify.functions import WIDTH, floats

COUNTS = {
    "kind", "function", "library", "version", "instruction_set", "path", "dtype", "complete", "values", "decreasing",
    "nan_outputs", "worst_ulps", "worst", "regions", "at_zero", "on_nan", "positions", "positions_compared",
    "positions_differing", "positions_complete", "seal",
}  # fmt: skip
_KEPT = "the counts are those of a scan that an earlier run kept"
_WHOLE = ("values", "decreasing", "nan_outputs", "worst_ulps", "positions_compared", "positions_differing")
UNCOUNTED = "but how many fall, by how much, and where it rises, was not counted again"
F = Callable[..., Any]


def sentence_of(d: dict[str, Any], x: np.ndarray, y: np.ndarray) -> str:
    """What a counterexample of these inputs and outputs says, by their bits."""
    (low, *high), (before, *after) = ([text_of(int(bits), d["dtype"]) for bits in some] for some in (x, y))
    if not high:
        counts = f"{d['nan_outputs']:,} of {d['values']:,} values give NaN, and no pair of neighbours falls"
        return f"f({low}) is NaN, which is not ordered; {counts}"
    looked = "" if d["complete"] else " among those looked at before stopping"
    return (
        f"f({low}) = {before} but f({high[0]}) = {after[0]}; {d['decreasing']:,} of {d['values'] - 1:,} pairs of "
        f"neighbours fall{looked}, the worst by {d['worst_ulps']:,} units in the last place"
    )


def why_uncounted(f: F, d: dict[str, Any], more: frozenset[str] = frozenset()) -> str:
    """What is wrong with the counts and with what stands beside them, or ""."""
    if set(d) - {"kept"} != COUNTS | more or d.get("kept", _KEPT) != _KEPT:
        return "there is more or less in it than a scan shows"
    if any(type(d[key]) is not int for key in _WHOLE) or type(d["complete"]) is not bool:
        return "a count is no whole number"
    values = len(_in_order(d["dtype"])[0]) if d["dtype"] != "float32" else 2 * (0xFF << 23) + 2
    why = check_beside(f, {**d, "known": True, "values": values})
    if why:
        return why
    if not 0 < d["values"] <= values or d["complete"] is not (d["values"] == values):
        return "it looked at another number of values"
    if not d["complete"] and d["regions"] != []:
        return "where it rises is not known before all is looked at"
    return _recounted(f, d) if d["complete"] and d["dtype"] != "float32" else ""


def _in_order(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The bits of all values of a format of 16 bits in order, and the values."""
    width, mantissa = WIDTH[dtype]
    sizes = np.arange(((1 << (width - 1)) - 1 >> mantissa << mantissa) + 1)
    bits = np.concatenate([sizes[::-1] - (1 << (width - 1)), sizes]).astype(np.int16)
    return bits, floats(bits, dtype)


def _recounted(f: F, d: dict[str, Any]) -> str:
    bits, x = _in_order(d["dtype"])
    out = f(np.resize(bits, -(-len(bits) // 4096) * 4096))[: len(bits)]
    y, places = floats(out, d["dtype"]), np.where(out >= 0, out, out ^ np.int16(0x7FFF)).astype(np.int64)
    falls, nans = np.flatnonzero(y[1:] < y[:-1]), np.isnan(y)
    drops = places[falls] - places[falls + 1]
    worst = None
    if len(falls):
        at = int(falls[drops.argmax()])
        one, other = (
            f"f({text_of(int(bits[k]), d['dtype'])}) = {text_of(int(out[k]), d['dtype'])}" for k in (at, at + 1)
        )
        worst = f"{one}, {other}"
    counted = len(falls), int(nans.sum()), int(drops.max(initial=0)), worst
    if counted != (d["decreasing"], d["nan_outputs"], d["worst_ulps"], d["worst"]):
        return "other pairs fall, or other values give NaN"
    breaks = np.unique(np.concatenate([[0, len(bits)], falls + 1, np.flatnonzero(nans), np.flatnonzero(nans) + 1]))
    rising = [_region(x, a, b - 1, d["dtype"]) for a, b in itertools.pairwise(breaks) if not nans[a]]
    said = iter(rising)
    return "" if all(region in said for region in d["regions"]) else "it does not rise where it says"


def _region(x: np.ndarray, first: int, last: int, dtype: str) -> str:
    low, high = (f"{float(x[k]):.{DIGITS[dtype]}g}" for k in (first, last))
    return f"nondecreasing on [{low}, {high}], {last - first + 1:,} values"
