"""What a scan's certificate says beside the scan: outputs at the zeros and at NaN, and in other layouts.

The first two are computed again. Of the layouts, what is said is compared with itself, and the one value that is named
is run again: in the vector body, and in rows, strided, shifted and short tensors, one of which must give the other
output. How many values differ is not counted again, and the checker does not repeat it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from mathdnn.verify.functions import WIDTH, floats

DIGITS = {"float32": 9, "float16": 5, "bfloat16": 4}
_LENGTHS = (*range(1, 18), 31, 32, 33, 63, 65, 101)
_OTHER = re.compile(
    r"other bits in the ([a-z ]{1,20}) than in the vector body for ([0-9,]{1,20}) of ([a-z0-9, ]{1,50}): "
    r"f\(\S{1,20} \(0x([0-9a-f]{4,8})\)\) is (\S{1,20} \(0x[0-9a-f]{4,8}\)) in the body and "
    r"\S{1,20} \(0x([0-9a-f]{4,8})\) in the ([a-z ]{1,20})"
)
KEYS = {
    "function", "known", "library", "version", "instruction_set", "path", "dtype", "values", "decreasing",
    "nan_outputs", "chunk", "digest", "at_zero", "on_nan", "positions", "positions_compared", "positions_differing",
    "positions_complete", "seal",
}  # fmt: skip


def check_beside(f: Callable[..., Any], d: dict[str, Any]) -> str:
    """What is wrong with the sentences beside a scan, or ""."""
    if (d["known"], d["path"]) != (True, "vector body"):
        return "it is not about the vector body of a function that its name finds"
    width = WIDTH[d["dtype"]][0]
    zeros = [text_of(_body(f, bits, width), d["dtype"]) for bits in (-(1 << (width - 1)), 0)]
    if d["at_zero"] != f"f(-0.0) is {zeros[0]} and f(+0.0) is {zeros[1]}":
        return "the outputs at the zeros are others"
    if d["on_nan"] != _on_nan(f, d["dtype"]):
        return "other NaN give NaN"
    return "" if _positions_fit(f, d) else "what it says of other layouts does not fit"


def positions_alone(f: Callable[..., Any], d: dict[str, Any], keys: set[str]) -> str:
    """What is wrong with data that say of other layouts in words alone that they give other bits, or ""."""
    if set(d) != keys:
        return "there is more or less in it than such an image shows"
    said = _OTHER.fullmatch(d["positions"])
    width, mantissa = WIDTH[d["dtype"]]
    values = 2 * (((1 << (width - 1)) - 1 >> mantissa << mantissa) + 1)
    differing, compared = (int(re.sub("[^0-9]", "", words)) for words in (said[2], said[3])) if said else (0, 0)
    counts = {"compared": compared, "differing": differing, "complete": compared == values}
    fit = said and _positions_fit(f, {**d, "values": values, **{f"positions_{key}": n for key, n in counts.items()}})
    return "" if fit else "what it says of other layouts does not fit"


def _body(f: Callable[..., Any], bits: int, width: int) -> int:
    return int(f(np.full(4096, bits, np.int32 if width == 32 else np.int16))[0])


def text_of(bits: int, dtype: str) -> str:
    width = WIDTH[dtype][0]
    value = float(floats(np.array([bits], np.int32 if width == 32 else np.int16), dtype)[0])
    return f"{value:.{DIGITS[dtype]}g} (0x{bits & ((1 << width) - 1):0{width // 4}x})"


def _on_nan(f: Callable[..., Any], dtype: str) -> str:
    width, mantissa = WIDTH[dtype]
    greatest = (1 << (width - 1)) - 1
    least = (greatest >> mantissa << mantissa) + 1
    kept = 0
    for start in range(least, greatest + 1, 1 << 18):
        some = np.arange(start, min(start + (1 << 18), greatest + 1), dtype=np.int64)
        for bits in (some, some - (1 << (width - 1))):
            kept += int(np.isnan(floats(f(bits.astype(np.int32 if width == 32 else np.int16)), dtype)).sum())
    return f"{kept:,} of the {2 * (greatest - least + 1):,} NaN give NaN"


def _positions_fit(f: Callable[..., Any], d: dict[str, Any]) -> bool:
    compared, differing, complete = (d[f"positions_{key}"] for key in ("compared", "differing", "complete"))
    if type(compared) is not int or type(differing) is not int or complete is not (compared == d["values"]):
        return False
    if not 0 <= differing <= compared or not 1 <= compared <= d["values"]:
        return False
    how_many = f"all {compared:,} values" if complete else f"a sample of {compared:,} values"
    if not differing:
        ends = ", at the ends of tensors on some of them" if complete else ""
        return bool(d["positions"] == f"the same bits in the vector body and in the other layouts, on {how_many}{ends}")
    said = _OTHER.fullmatch(d["positions"])
    if said is None or (said[1], said[2], said[3]) != (said[7], f"{differing:,}", how_many):
        return False
    width = WIDTH[d["dtype"]][0]
    at, other = (int(said[k], 16) - (int(said[k], 16) >> (width - 1) << width) for k in (4, 6))
    body = _body(f, at, width)
    return said[5] == text_of(body, d["dtype"]) and other != body and other in _elsewhere(f, at, width, d["library"])


def _elsewhere(f: Callable[..., Any], bits: int, width: int, library: str) -> set[int]:
    """The outputs at one value in rows, strided, shifted, short and long tensors of it."""
    integer: Any = np.int32 if width == 32 else np.int16
    tensors = [np.full(length, bits, integer) for length in (*_LENGTHS, 4099)]
    if library != "onnxruntime":
        wide = np.full((4096, 4), bits, integer)
        tensors += [wide[:, :3], wide[:, 0], np.full(4097, bits, integer)[1:]]
    return {int(y) for tensor in tensors for y in np.unique(f(tensor))}
