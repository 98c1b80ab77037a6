"""Counterexamples run again: a pair of neighbours, an image through both orders of pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mathdnn.verdict import Counterexample, Equality, Verdict, unpack_array
from mathdnn.verify.beside import positions_alone, text_of
from mathdnn.verify.falls import UNCOUNTED, sentence_of, why_uncounted
from mathdnn.verify.functions import WIDTH, bits_of, commutes, floats, function_of, rises

Answer = tuple[bool | None, str]
BODY = ", on the vector body"
_WHOLE = 4096  # values that are all vector body
_MOST = 1 << 16  # cells of an image
_SENTENCE = "the sentence is not that of such a counterexample"
_SHORT = {"function", "library", "version", "instruction_set", "dtype", "positions", "kind", "cell", "seal"}
_OTHERS = False, "the equality or the assumptions are not what the evidence rests on"


def check_fall(verdict: Verdict, evidence: Counterexample) -> Answer:
    """One pair of neighbours, in a long row."""
    d = evidence.data
    f, why = function_of(d)
    if f is None:
        return None, why
    claim = rises(d)
    if verdict.claim != claim or str(verdict.status) != "refuted":
        return False, f"the evidence is for another claim: {claim}"
    if verdict.equality is not None or verdict.assumptions:
        return _OTHERS
    x = _bits(evidence.input, d["dtype"])
    if x.shape not in ((1,), (2,)):
        return False, "the input is neither one value nor two neighbours"
    out = f(np.tile(x, 4096))[: len(x)]
    y, v = floats(out, d["dtype"]), floats(x, d["dtype"])
    if len(x) == 1:
        named = (evidence.claimed, evidence.found) == ("a number", "NaN")
        shown = named and np.isnan(y[0]) and not np.isnan(v[0])
        return _counted(f, evidence, x, out) if shown else (False, "the output is a number")
    said = floats(_bits(evidence.found, d["dtype"]), d["dtype"])
    if evidence.claimed != "f(x) <= f(x') for the neighbours x < x'" or not np.array_equal(said, y, equal_nan=True):
        return False, f"the outputs are {y[0]} and {y[-1]}, which the file does not say"
    falls = v[0] < v[1] and y[1] < y[0]
    no = False, f"f({v[0]}) = {y[0]} and f({v[1]}) = {y[1]}, which is no fall"
    return _counted(f, evidence, x, out) if falls else no


def _counted(f: Callable[..., Any], evidence: Counterexample, x: np.ndarray, y: np.ndarray) -> Answer:
    """Whether the counts and the sentence of a pair that was seen to fall fit it."""
    d = evidence.data
    why = why_uncounted(f, d)
    if not why and evidence.statement != sentence_of(d, x, y):
        why = _SENTENCE
    narrow = WIDTH[d["dtype"]][0] == 16 and d["complete"]
    return (not why, why) if why or narrow else (True, f"{evidence.statement.partition(';')[0]}; {UNCOUNTED}")


def check_images(verdict: Verdict, evidence: Counterexample) -> Answer:
    """The image through both orders of pooling: here the pool is a loop over the window."""
    d = evidence.data
    f, why = function_of(d)
    if f is None:
        return None, why
    claim = commutes(d)
    bitwise = verdict.equality is Equality.BITWISE
    ways = ("", ", to the bit") if bitwise else ("",)
    claims = [f"{claim}{path}{way}" for path in ("", BODY) for way in ways]
    if verdict.claim not in claims or str(verdict.status) != "refuted":
        return False, f"the evidence is for another claim: {claim}"
    if verdict.equality not in (Equality.BITWISE, Equality.VALUES) or verdict.assumptions:
        return _OTHERS
    x, window = _image(evidence.input, d["dtype"])
    if np.isnan(floats(x, d["dtype"])).any():
        return False, "there is a NaN in the image, and the claim is about images without"
    body = BODY in verdict.claim
    first = _applied(f, _pool(x, window, d["dtype"]), body)
    last = _pool(_applied(f, x, body), window, d["dtype"])
    said = [_bits(e[k], d["dtype"]) for e, k in
            ((evidence.claimed, "pooling_first"), (evidence.found, "pooling_last"))]  # fmt: skip
    if any(some.shape != (1, 1, 1, some.size) for some in said):
        return False, "an output of more than one row"
    said = [some.ravel() for some in said]
    if not (_same(first, said[0], d["dtype"]) and _same(last, said[1], d["dtype"])):
        return False, "the two ways give other outputs than the file says"
    a, b = floats(first, d["dtype"]), floats(last, d["dtype"])
    differ = ((first != last) if bitwise else (a != b)) & ~(np.isnan(a) & np.isnan(b))
    cell = d["cell"]
    if not (type(cell) is int and 0 <= cell < len(differ) and bool(differ[cell])):
        return False, "the two ways agree at the cell that is named"
    why = positions_alone(f, d, _SHORT) if "values" not in d else why_uncounted(f, d, frozenset({"cell"}))
    if not why and evidence.statement != _shown(x, window, int(said[0][cell]), int(said[1][cell]), d):
        why = _SENTENCE
    narrow = "values" not in d or (WIDTH[d["dtype"]][0] == 16 and d["complete"])
    return (not why, why) if why or narrow else (True, f"{evidence.statement}; {UNCOUNTED}")


def _shown(x: np.ndarray, window: int, a: int, b: int, d: dict[str, Any]) -> str:
    """What a counterexample of this image says, which gives the bits a and b at the cell."""
    dtype = d["dtype"]
    (one, other), limit = floats(np.array([a, b], x.dtype), dtype), (1 << (WIDTH[dtype][0] - 1)) - 1
    ulps = abs((a if a >= 0 else a ^ limit) - (b if b >= 0 else b ^ limit))  # in the order of the values
    nan = math.isnan(one) + math.isnan(other)
    apart = (f"{ulps:,} unit{'s' * (ulps != 1)} in the last place apart", "one of them NaN", "NaN of other bits")[nan]
    cells = [text_of(int(bits), dtype) for bits in x]
    row = f"all {cells[0]}" if len(set(cells)) == 1 else ", ".join(cells[:window])
    return (
        f"the 1x{len(x)} image of windows [{row}] under a 1x{window} max pool: pooling first gives "
        f"{text_of(a, dtype)}, pooling last {text_of(b, dtype)} at cell {d['cell']}, {apart}"
    )


def _applied(f: Callable[..., Any], x: np.ndarray, body: bool) -> np.ndarray:
    """f of every value; on the vector body the row goes on, with the same values again, until no tail is left."""
    cells = math.ceil(len(x) / _WHOLE) * _WHOLE if body else len(x)
    return np.asarray(f(np.resize(x, cells))[: len(x)])


def _same(one: np.ndarray, other: np.ndarray, dtype: str) -> bool:
    """Whether the bits are the same, those of NaN apart: torch's pool changes these."""
    nans = [np.isnan(floats(some, dtype)) for some in (one, other)]
    return one.shape == other.shape and bool(((one == other) | (nans[0] & nans[1])).all())


def _bits(packed: Any, dtype: str) -> np.ndarray:
    """The bits of an array's values. Raises ValueError where they are not of the format."""
    array = unpack_array(packed)
    if array.dtype.name != ("float16" if dtype == "float16" else "float32"):
        raise ValueError(f"an array of {array.dtype.name} for values of {dtype}")
    if dtype == "bfloat16" and (array.view(np.int32) & 0xFFFF).any():
        raise ValueError("values that are no bfloat16")
    return bits_of(array, dtype)


def _image(said: Any, dtype: str) -> tuple[np.ndarray, int]:
    """The cells of an image of one row, and the width of its window, which divides it."""
    x, (height, window) = _bits(said["image"], dtype), said["window"]
    if x.shape != (1, 1, 1, x.size) or (type(height), height, type(window)) != (int, 1, int):
        raise ValueError("an image or a window of more than one row")
    if not 2 <= window <= x.size <= _MOST or x.size % window:
        raise ValueError("a window that does not divide the image")
    return x.ravel(), window


def _pool(x: np.ndarray, window: int, dtype: str) -> np.ndarray:
    """The first of the largest in each window; NaN wins."""
    v = floats(x, dtype)
    best = []
    for start in range(0, len(x) - window + 1, window):
        at = start
        for i in range(start + 1, start + window):
            if v[i] > v[at] or math.isnan(v[i]):
                at = i
        best.append(at)
    return x[best]
