"""Checks certificates of convolutions and of equal maps, with code of its own.

A certificate holds both sides as data: a graph of operations with its constants, or the weights of a convolution. Two
affine maps with rational coefficients that differ give different values at random points modulo random primes, but for
a chance below 2^-60 (`chances`). So the check is another method than the prover's, which multiplies out every
coefficient, and it is quicker.
"""

from __future__ import annotations

import hashlib
import math
import random
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from mathdnn.verdict import Certificate, Status, Verdict, unpack_array
from mathdnn.verify import rounded
from mathdnn.verify.chances import agree
from mathdnn.verify.forms import form_output
from mathdnn.verify.layout import require_certificate
from mathdnn.verify.methods import untold, wrong_method
from mathdnn.verify.numbers import Absolute, Malformed, Modular, TooMany, require_room
from mathdnn.verify.sides import full, pixels, run
from mathdnn.verify.sizes import check_sizes
from mathdnn.verify.wording import own_words, rounded_up, wrong_words
from mathdnn.verify.work import Work

Answer = tuple[bool | None, str]
KINDS = ("convolution",)
sentence_of = own_words
_ROOM = 1 << 28  # values in one array: a certificate is data, and must not fill the memory
_FAR = 2.0**60  # a pixel: magnitudes are convex in the image, so that what they gain per unit is largest far out
_AT_ONCE, _LOST = 256, 2.0**-48  # images of one pixel; what sums of few floats lose of them
_KINDS_OF_SIDE = {"graph", "form", "responses"}
_UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}
_WRONG = (
    KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, AttributeError, RecursionError,
)  # fmt: skip


def check(verdict: Verdict, generator: random.Random | None = None) -> Answer:
    """Whether the certificate proves what it says. `generator` draws primes and points (default: the system's own)."""
    evidence = verdict.evidence
    if not isinstance(evidence, Certificate) or verdict.status is not Status.PROVED:
        return None, "it holds no certificate"
    try:
        data = {key: value for key, value in evidence.data.items() if key != "seal"}
        bare = msgspec.structs.replace(verdict, evidence=Certificate(evidence.kind, evidence.method, data))
        if hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest() != evidence.data["seal"]:
            return False, "the seal does not fit: the file was changed"
        _require_small(data)
        require_certificate(data)
        with np.errstate(all="ignore"):
            holds, words = _check(data, generator or random.SystemRandom())
        wrong = wrong_words(verdict) or wrong_method(evidence.method, data, _outputs(data["left"])) if holds else ""
        return (False, wrong) if wrong else (holds, words + untold(evidence.method) if holds else words)
    except TooMany as error:
        return None, str(error)
    except _WRONG as error:
        return False, f"the certificate is malformed: {type(error).__name__}: {str(error)[:120]}"


def _check(data: dict[str, Any], generator: random.Random) -> Answer:
    left, right, relation = data["left"], data["right"], data["relation"]
    size = " x ".join(str(n) for n in left["input"])
    if not 0 < pixels(left) == pixels(right) or full(left["input"]) != full(right["input"]):
        return False, "the two sides take images of different sizes"
    if relation == "within":
        return _within(data, size)
    work = Work()
    left, right = work.take(left, right)
    if relation == "equal":
        if not _same(left, right, generator):
            return False, "the two sides are different maps"
        words = f"both sides are the same map on {size} images (checked at random points modulo random primes)"
        more = check_sizes(data, lambda a, b: _same(*work.take(a, b), generator))
        words += f", and for {more}" if more else ""
    elif relation in ("rounded to float32", "rounded to float64"):
        if not rounded.all_round(left, right, relation.removeprefix("rounded to "), generator, work):
            return False, "a coefficient of the second side is not the nearest float of the first's"
        words = f"on {size} images every coefficient of the second side is the first's, {relation}"
    else:
        return False, f"no relation is called {relation!r:.40}"
    return (True, words) if _bound_holds(data["rounding"], left, right) else (False, "the rounding bound is too small")


def _same(left: dict[str, Any], right: dict[str, Any], generator: random.Random) -> bool:
    """Whether two sides are one map, at random points modulo random primes."""
    return agree(
        generator,
        pixels(left),
        lambda numbers, point: (run(left, point, numbers)[0], run(right, point, numbers)[0]),
    )


def _outputs(side: dict[str, Any]) -> int:
    """How many numbers a result has."""
    if "responses" in side:
        return math.prod(side["output"])
    return run(side, np.zeros(pixels(side), np.int64), Modular(2**31 - 1))[0].size


def _require_small(data: Any) -> None:
    """Refuse numbers that only serve to fill the memory: sizes and shapes are whole numbers up to 2^28."""
    todo = [data]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo += item.values()
            if len(_KINDS_OF_SIDE & item.keys()) > 1:
                raise Malformed("a side is a graph, a form or measured responses")
            shape = item.get("shape")
            sizes = [size for size in shape if type(size) is int] if isinstance(shape, list) else []
            if not 0 <= math.prod(sizes) <= _ROOM:
                raise Malformed("an array too large")
        elif isinstance(item, list):
            todo += item
        elif type(item) is int and abs(item) > _ROOM and item != 2**63 - 1:
            raise Malformed(f"the number {item}")


def _bound_holds(bound: dict[str, Any], left: dict[str, Any], right: dict[str, Any]) -> bool:
    """gamma_n (largest sum of |weights|), added for both sides, is at most what the certificate says."""
    dtypes = [side["graph"]["nodes"][0]["dtype"] for side in (left, right) if "graph" in side]  # a form runs in either
    unit = bound["unit_roundoff"]
    if any(_UNIT[dtype] != unit for dtype in dtypes) or unit not in _UNIT.values():
        return False
    slope = offset = 0.0
    for side in (left, right):
        at_far, n = run(side, np.full(pixels(side), _FAR), Absolute())
        at_zero, _ = run(side, np.zeros(pixels(side)), Absolute())
        if 2 * n * unit > 1:
            return False  # gamma_n is no bound, or hardly one
        if not np.isfinite(at_far).all():
            raise TooMany("sums of its numbers' magnitudes leave the range of floats, so that its bound is not checked")
        gamma = n * unit / (1 - n * unit)
        slope += gamma * float(((at_far - at_zero) / _FAR).max(initial=0.0))
        offset += gamma * float(at_zero.max(initial=0.0))
    slack = 1e-9 * (slope + offset)  # of these sums themselves
    return bool(bound["slope"] >= slope - slack and bound["offset"] >= offset - slack)


class _Floats(Absolute):
    """Ordinary float64, for responses that were measured in floats."""

    def fraction(self, value: Fraction) -> float:
        return float(value)

    def sub(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(a - b)


def _within(data: dict[str, Any], size: str) -> Answer:
    """Every measured response against the form's, one pixel after the other."""
    left, form, shape, tolerance = data["left"], data["right"]["form"], data["right"]["input"], data["tolerance"]
    responses, constant = unpack_array(left["responses"]), unpack_array(left["at_zero"])
    number = pixels(left)
    if responses.shape != (number, math.prod(left["output"])) or constant.shape != responses.shape[1:]:
        return False, "the responses have another shape"
    if not (np.isfinite(responses).all() and np.isfinite(constant).all() and 0 <= tolerance < math.inf):
        return False, "the responses, or the tolerance, are no finite numbers"
    require_room(_AT_ONCE, number)
    images = np.zeros(shape)
    at_zero, reach = (form_output(form, images, numbers)[0] for numbers in (_Floats(), Absolute()))
    if list(at_zero.shape) != left["output"] or not _near(at_zero.ravel(), constant, tolerance, reach.ravel()):
        return False, "the constant is another"
    for first in range(0, number, _AT_ONCE):
        wanted = responses[first : first + _AT_ONCE]
        images = np.eye(len(wanted), number, first).reshape(-1, *shape[1:])  # each is a batch: one after the other
        made, reach = (form_output(form, images, numbers)[0] for numbers in (_Floats(), Absolute()))
        found = made.reshape(len(wanted), -1) - at_zero.ravel()
        if not _near(found, wanted, tolerance, reach.reshape(found.shape)):
            return False, "a response is not the convolution's"
    return True, f"on {size} images every recorded response is the convolution's, to within {rounded_up(tolerance)}"


def _near(found: np.ndarray, wanted: np.ndarray, tolerance: float, reach: np.ndarray) -> bool:
    """Whether each number is another to within the tolerance, and what floats lose of what is added up in it."""
    return bool((np.abs(found - wanted) <= tolerance + _LOST * reach).all())
