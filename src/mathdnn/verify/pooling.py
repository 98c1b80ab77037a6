"""Counterexamples run again: a pair of neighbours, an image through both orders of pooling."""

from __future__ import annotations

import math

import numpy as np

from mathdnn.verdict import Counterexample, Verdict, unpack_array
from mathdnn.verify.functions import bits_of, commutes, floats, function_of, rises

Answer = tuple[bool | None, str]


def check_fall(verdict: Verdict, evidence: Counterexample) -> Answer:
    """One pair of neighbours, in a long row."""
    d = evidence.data
    f, why = function_of(d)
    if f is None:
        return None, why
    claim = rises(d)
    if verdict.claim != claim or str(verdict.status) != "refuted":
        return False, f"the evidence is for another claim: {claim}"
    x = bits_of(unpack_array(evidence.input), d["dtype"])
    y = floats(f(np.tile(x, 4096)), d["dtype"])[: len(x)]
    v = floats(x, d["dtype"])
    if len(x) == 1:
        named = (evidence.claimed, evidence.found) == ("a number", "NaN")
        return (True, "") if named and np.isnan(y[0]) and not np.isnan(v[0]) else (False, "the output is a number")
    said = floats(bits_of(unpack_array(evidence.found), d["dtype"]), d["dtype"])
    if evidence.claimed != "f(x) <= f(x') for the neighbours x < x'" or not np.array_equal(said, y, equal_nan=True):
        return False, f"the outputs are {y[0]} and {y[-1]}, which the file does not say"
    falls = v[0] < v[1] and y[1] < y[0]
    return (True, "") if falls else (False, f"f({v[0]}) = {y[0]} and f({v[1]}) = {y[1]}, which is no fall")


def check_images(verdict: Verdict, evidence: Counterexample) -> Answer:
    """The image through both orders of pooling: here the pool is a loop over the window."""
    d = evidence.data
    f, why = function_of(d)
    if f is None:
        return None, why
    claim = commutes(d)
    ways = ("", ", to the bit") if str(verdict.equality) == "bitwise" else ("",)
    claims = [f"{claim}{path}{way}" for path in ("", ", on the vector body") for way in ways]
    if verdict.claim not in claims or str(verdict.status) != "refuted":
        return False, f"the evidence is for another claim: {claim}"
    x = bits_of(unpack_array(evidence.input["image"]).ravel(), d["dtype"])
    window = int(evidence.input["window"][1])
    first = f(_pool(x, window, d["dtype"]))
    last = _pool(f(x), window, d["dtype"])
    said = [bits_of(unpack_array(e[k]).ravel(), d["dtype"]) for e, k in
            ((evidence.claimed, "pooling_first"), (evidence.found, "pooling_last"))]  # fmt: skip
    if not (np.array_equal(first, said[0]) and np.array_equal(last, said[1])):
        return False, "the two ways give other outputs than the file says"
    a, b = floats(first, d["dtype"]), floats(last, d["dtype"])
    bitwise = str(verdict.equality) == "bitwise"
    differ = (first != last) if bitwise else (a != b)
    return (True, "") if bool((differ & ~(np.isnan(a) & np.isnan(b))).any()) else (False, "the two ways agree")


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
