"""Checks what `is_nondecreasing`, `commutes_with_max_pool` and `over_the_reals` claim, with code of its own.

A scan is repeated in full: the values of a format in order are, by their bits, 0xff..80 down to 0x80..00 and then
0x00..00 up to 0x7f..80, and each output is compared with the one before. Only functions in a closed list are run: a
certificate is data. `check(verdict)` answers (True, "") where it holds, (False, why) where it does not, and (None, why)
where this installation cannot say, another version or instruction set for instance.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mathdnn.verdict import Assumption, Certificate, Counterexample, Verdict
from mathdnn.verify.beside import KEYS, check_beside
from mathdnn.verify.functions import WIDTH, commutes, floats, function_of, rises
from mathdnn.verify.pooling import check_fall, check_images
from mathdnn.verify.reals import check_orders, check_term, check_two_cells
from mathdnn.verify.sealing import BROKEN, seal_holds

Answer = tuple[bool | None, str]
KINDS: tuple[str, ...]  # what `check` takes, at the end of the file


def check(verdict: Verdict) -> Answer:
    """Whether the evidence of one of `KINDS` holds on this machine."""
    evidence = verdict.evidence
    if not isinstance(evidence, Certificate | Counterexample):
        return None, "there is no certificate or counterexample in it"
    kind = evidence.kind if isinstance(evidence, Certificate) else evidence.data.get("kind")
    if not _keeps_subnormals():
        return None, "this process takes subnormals for zero (torch.set_flush_denormal)"
    try:
        if not seal_holds(verdict):
            return False, BROKEN
        return _CHECKS[str(kind)](verdict, evidence)
    except _WRONG as error:
        return False, f"the evidence is malformed ({type(error).__name__}: {str(error)[:80]})"


_WRONG = (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, RecursionError, AttributeError)


def _keeps_subnormals() -> bool:
    """Whether this thread, and so those that it starts, tells the smallest numbers from zero."""
    least = np.array([1, 0], np.int32).view(np.float32)
    halved = np.array([1 << 23], np.int32).view(np.float32) * np.float32(0.5)
    return bool(least[0] > least[1]) and int(halved.view(np.int32)[0]) == 1 << 22


def _scan(verdict: Verdict, evidence: Certificate) -> Answer:
    d = evidence.data
    f, why = function_of(d)
    if f is None:
        return None, why
    claim = rises(d)
    if verdict.claim != claim or str(verdict.status) != "proved":
        return False, f"the evidence is for another claim: {claim}"
    answer = _rescan(f, d)
    if not answer[0]:
        return answer
    if verdict.equality is not None:
        return False, _OTHERS
    return _beside(f, verdict, KEYS, _method(d), lambda: [_elementwise(d), _MODE, Assumption(_BODY, d["positions"])])


def _beside(
    f: Callable[..., Any], verdict: Verdict, keys: set[str], method: str, assumed: Callable[[], list[Assumption]]
) -> Answer:
    """What the certificate says beside the scan: its data, its method, and what it assumes, which quotes the data."""
    d = verdict.evidence.data  # type: ignore[union-attr]
    if str(verdict.evidence) != method:
        return False, _METHOD
    if set(d) != keys or type(d["decreasing"]) is not int or type(d["nan_outputs"]) is not int:
        return False, "there is more or less in it than a scan shows"
    why = check_beside(f, d)
    if not why and _assumed(verdict) != assumed():
        why = _OTHERS
    return not why, why


def _elementwise(d: dict[str, Any]) -> Assumption:
    because = "probed on 128 values; the scan took each value once"
    return Assumption(f"{d['function']} is elementwise and repeats itself", because)


_MODE = Assumption(
    "the processor rounds to nearest and keeps subnormals", "seen in each thread that compared outputs, at every chunk"
)
_BODY = "this is about the vector body of one contiguous tensor"
_POOL = Assumption(
    "max pooling compares values and returns the first of equal ones",
    "torch's max_pool2d did on both zeros, contiguous and channels last",
)
_CELLS = Assumption(
    "every window holds a cell of the image",
    "torch lets one lie in the padding alone where dilation is above 1, and gives -inf for it",
)
_PLACE = "the same value gives the same bits wherever it lies in a tensor"
_PLACES = {  # by whether the claim is about the vector body alone, where another layout gives other bits
    True: "the same value gives the same bits wherever it lies in the vector body of a tensor",
    False: "the same value gives the same value wherever it lies in a tensor, or a zero of the other sign",
}
_KEPT = Assumption(
    "the scan that an earlier run kept is this function's",
    "its file is this user's own; both ends of every chunk and a sample of whole chunks were evaluated again",
)
_OTHERS = "the assumptions are not those that the evidence rests on"
_METHOD = "the method is not that of such a certificate"


def _method(d: dict[str, Any]) -> str:
    """How a scan shows what it shows."""
    return (
        f"all {d['values']:,} values of {d['dtype']} that are not NaN were evaluated in order and each of the "
        f"{d['values'] - 1:,} pairs of neighbours was compared: none falls"
    )


def _assumed(verdict: Verdict) -> list[Assumption]:
    """The assumptions but for the one that a scan was kept, which repeating it makes needless."""
    return [assumption for assumption in verdict.assumptions if assumption != _KEPT]


def _commutes(verdict: Verdict, evidence: Certificate) -> Answer:
    d = evidence.data
    f, why = function_of(d)
    if f is None:
        return None, why
    how = {"bitwise": "to the bit", "equal as values": "as values (the sign of a zero may differ)"}[d["equality"]]
    claim = commutes(d)
    body = f"{claim}, on the vector body"
    if verdict.claim not in (f"{claim}, {how}", f"{body}, {how}") or str(verdict.equality) != d["equality"]:
        return False, f"the evidence is for another claim: {claim}, {how}"
    of_body, elsewhere = verdict.claim.startswith(body), d["positions_differing"] != 0
    bits, place = d["equality"] == "bitwise" or not elsewhere, _PLACES[of_body] if elsewhere else _PLACE
    moved = 0 if of_body else _moved(f, d["dtype"], d["library"] != "onnxruntime", bits)
    if moved:
        what = "bits" if bits else "values"
        return False, f"{moved:,} of the values tried give other {what} in short rows than in a long one"
    answer = _rescan(f, d, bitwise=d["equality"] == "bitwise", values_only=True)
    if not answer[0]:
        return answer
    method = f"{_method(d)}; a nondecreasing function commutes with a maximum, {how}"
    return _beside(  # of NaN nothing, as none comes out
        f, verdict, {*KEYS, "equality"}, method,
        lambda: [_POOL, _CELLS, Assumption(place, d["positions"]), _elementwise(d), _MODE],
    )  # fmt: skip


def _rescan(f: Callable[..., Any], d: dict[str, Any], bitwise: bool = False, values_only: bool = False) -> Answer:
    width, mantissa = WIDTH[d["dtype"]]
    chunk = d["chunk"]
    if type(chunk) is not int or type(d["values"]) is not int:
        return False, "a chunk or a number of values is no whole number"
    if chunk % 4096 or not 4096 <= chunk <= 1 << 20:
        return False, f"a chunk of {chunk} values reaches a scalar tail"
    jobs = list(_ranges(width, mantissa, chunk))
    if d["values"] != sum(last - first + 1 for _, first, last in jobs):  # before a scan of minutes
        return False, f"the format does not have {d['values']} values"
    with _one_thread(d["library"]) as quiet, ThreadPoolExecutor(os.cpu_count(), initializer=quiet) as pool:
        batches = [jobs[i : i + 32] for i in range(0, len(jobs), 32)]
        parts = [p for batch in pool.map(lambda b: _batch(f, b, chunk, d["dtype"]), batches) for p in batch]
    falls = sum(part[2] for part in parts)
    falls += sum(not _le(a[1], b[0], d["dtype"]) for a, b in itertools.pairwise(parts))
    if falls:
        return False, f"{falls:,} pairs of neighbours fall or are NaN"
    ends = np.array([part[:2] for part in parts], dtype=f"<i{width // 8}")
    if hashlib.sha256(ends.tobytes()).hexdigest() != d["digest"] or d["decreasing"] != 0 or d["nan_outputs"] != 0:
        return False, "the outputs are not those of the certificate"
    zeros = {z for part in parts for z in part[3]}
    if values_only and len({float(v) for v in floats(np.array(_at_zeros(f, width)), d["dtype"])}) != 1:
        return False, "the two zeros have different values"
    if bitwise and len(zeros) > 1 and any(part[4] for part in parts):
        return False, "zeros of both signs come out, and not from the two zeros alone"
    return True, ""


def _ranges(width: int, mantissa: int, chunk: int) -> Iterator[tuple[bool, int, int]]:
    """(negative, first, last) magnitudes in the order of the values."""
    infinity = ((1 << (width - 1)) - 1) >> mantissa << mantissa
    for high in range(infinity, -1, -chunk):
        yield True, max(high - chunk + 1, 0), high
    for low in range(0, infinity + 1, chunk):
        yield False, low, min(low + chunk - 1, infinity)


def _batch(f: Callable[..., Any], jobs: list[tuple[bool, int, int]], chunk: int, dtype: str) -> list[Any]:
    width = WIDTH[dtype][0]
    integer: Any = np.int32 if width == 32 else np.int16
    steps, out = np.arange(chunk, dtype=np.int64).astype(integer if width == 32 else np.int32), []
    for negative, first, last in jobs:
        some = steps if last - first + 1 == chunk else np.minimum(steps, last - first)  # a full row, so no tail
        bits = (last - (1 << (width - 1))) - some if negative else first + some
        y = f(bits.astype(integer, copy=False))[: last - first + 1]
        v = floats(y, dtype)
        falls = len(v) - 1 - int(np.count_nonzero(v[1:] >= v[:-1])) + int(v[0] != v[0])
        zeros, nonzero = _zeros(y, v, first > 0 or last > 0, bits)
        out.append((int(y[0]), int(y[-1]), falls, zeros, nonzero))
    return out


def _zeros(y: np.ndarray, v: np.ndarray, other: bool, bits: np.ndarray) -> tuple[set[bool], bool]:
    """Which signs of zero come out, and whether a nonzero value gives one."""
    if v[0] > 0 or v[-1] < 0:
        return set(), False
    if v[0] == v[-1]:
        return {bool(y.min() < 0), bool(y.max() < 0)}, other
    zero = v == 0
    magnitudes = bits[: len(v)][zero].astype(np.int64) & ((1 << (8 * y.itemsize - 1)) - 1)
    return {bool(s) for s in np.unique(y[zero] < 0)}, bool((magnitudes > 0).any())


def _le(a: int, b: int, dtype: str) -> bool:
    low, high = floats(np.array([a, b], np.int32 if WIDTH[dtype][0] == 32 else np.int16), dtype)
    return float(low) <= float(high)


def _at_zeros(f: Callable[..., Any], width: int) -> list[int]:
    integer = np.int32 if width == 32 else np.int16
    return [int(f(np.full(4096, bits, integer))[0]) for bits in (-(1 << (width - 1)), 0)]


def _moved(f: Callable[..., Any], dtype: str, strided: bool, same_bits: bool) -> int:
    """How many of some values have other bits, or else values, in rows of five than in a long row (NaN apart)."""
    width, mantissa = WIDTH[dtype]
    infinity = ((1 << (width - 1)) - 1) >> mantissa << mantissa
    count = 20480 if strided else 2000
    rng = np.random.default_rng(1)
    some = rng.integers(0, infinity + 1, (40 if width == 32 and strided else 4) * count)
    if width == 16:
        some = np.resize(np.arange(infinity + 1), -(-(infinity + 1) // 20480) * 20480) if strided else some
    bits = np.concatenate([some, some - (1 << (width - 1))]).astype(np.int32 if width == 32 else np.int16)
    long = f(bits)
    if strided:
        rows = np.zeros((len(bits) // 5, 7), bits.dtype)
        rows[:, :5] = bits.reshape(-1, 5)
        short = f(rows[:, :5]).reshape(-1)
    else:
        short = np.concatenate([f(part) for part in np.split(bits, range(5, len(bits), 5))])
    a, b = floats(long, dtype), floats(short, dtype)
    return int((((long != short) if same_bits else (a != b)) & ~(np.isnan(a) & np.isnan(b))).sum())


class _one_thread:
    """torch on one thread for each of ours, and as before afterwards."""

    def __init__(self, library: str) -> None:
        self.torch = library == "torch"

    def __enter__(self) -> Callable[[], None]:
        if not self.torch:
            return lambda: None
        import torch

        self.before = torch.get_num_threads()
        torch.set_num_threads(1)
        return lambda: torch.set_num_threads(1)

    def __exit__(self, *exc: object) -> None:
        if self.torch:
            import torch

            torch.set_num_threads(self.before)


_CHECKS: dict[str, Callable[[Verdict, Any], Answer]] = {
    "scan of every float": _scan,
    "commutes with max pooling": _commutes,
    "monotone term": check_term,
    "orders of two values": check_orders,
    "a fall": check_fall,
    "two orders of pooling": check_images,
    "two cells": check_two_cells,
}

KINDS = tuple(_CHECKS)
