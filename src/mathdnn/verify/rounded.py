"""Whether each coefficient of a side is the nearest float of another side's: exactly, one pixel after the other.

A pixel's response is 0 at most outputs. So fractions are made, and counted with, where a number is not 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verify.forms import form_output
from mathdnn.verify.numbers import Malformed, Modular
from mathdnn.verify.sides import machine, pixels, run

MOST = 1 << 25  # coefficients that are compared one by one


class _Exact:
    """Fractions in object arrays, 0 as the whole number."""

    def fraction(self, value: Fraction) -> Fraction:
        return value

    def array(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Malformed("a constant that is not finite")
        exact = [Fraction(value) if value else 0 for value in values.ravel().tolist()]
        made = np.empty(len(exact), dtype=object)
        made[:] = exact
        return made.reshape(values.shape)

    def add(self, a: Any, b: Any) -> np.ndarray:
        a, b = np.broadcast_arrays(np.asarray(a, dtype=object), np.asarray(b, dtype=object))
        made, at = a.copy(), b.astype(bool)
        made[at] = a[at] + b[at]
        return np.asarray(made)

    def sub(self, a: Any, b: Any) -> np.ndarray:
        return self.add(a, self.mul(b, -1))

    def mul(self, a: Any, b: Any) -> np.ndarray:
        a, b = np.broadcast_arrays(np.asarray(a, dtype=object), np.asarray(b, dtype=object))
        made, at = np.zeros(a.shape, dtype=object), a.astype(bool) & b.astype(bool)
        made[at] = a[at] * b[at]
        return made

    def total(self, a: Any, axes: tuple[int, ...]) -> np.ndarray:
        return np.asarray(a.sum(axis=axes), dtype=object)

    def dot(self, a: Any, terms: Any) -> np.ndarray:
        made = np.zeros((len(a), *terms[0].shape), dtype=object)
        for weights, term in zip(a.T, terms, strict=True):
            at = np.nonzero(term)
            if len(at[0]):
                for plane, weight in zip(made, weights, strict=True):
                    plane[at] = plane[at] + weight * term[at]
        return made


def exactly(side: dict[str, Any], image: np.ndarray) -> np.ndarray:
    """Like `sides.run` in fractions, which may be negative: so uninitialised memory is to be excluded before."""
    if "form" in side:
        return form_output(side["form"], image.reshape(side["input"]), _Exact())[0]  # type: ignore[arg-type]
    return machine(side, _Exact()).run(image.reshape(side["input"]))[0]  # type: ignore[arg-type]


def require_initialised(side: dict[str, Any]) -> None:
    run(side, np.ones(pixels(side), np.int64), Modular(2**31 - 1))


def columns(side: dict[str, Any], chosen: range | list[int]) -> Iterator[np.ndarray]:
    """The constants for -1, the exact responses to a pixel for its number."""
    require_initialised(side)
    image = np.zeros(pixels(side), dtype=object)
    constants = exactly(side, image).ravel()
    for pixel in chosen:
        if pixel < 0:
            yield constants
            continue
        image[pixel] = 1
        yield _Exact().sub(exactly(side, image).ravel(), constants)
        image[pixel] = 0


def rounds(left: dict[str, Any], right: dict[str, Any], dtype: str, chosen: range | list[int]) -> bool:
    """Whether the second side's columns are the first's, each number rounded to the nearest float."""
    for a, b in zip(columns(left, chosen), columns(right, chosen), strict=True):
        if a.shape != b.shape:
            return False
        for k in np.flatnonzero(a.astype(bool) | b.astype(bool)):
            if nearest(Fraction(a[k]), dtype) != b[k]:
                return False
    return True


def coefficients(left: dict[str, Any]) -> int:
    """How many coefficients a side has."""
    value, _ = run(left, np.zeros(pixels(left), np.int64), Modular(2**31 - 1))
    return (pixels(left) + 1) * max(pixels(left), value.size)


@functools.lru_cache(1 << 16)
def nearest(value: Fraction, dtype: str) -> Fraction:
    """The nearest float by its definition: a whole number of units in the last place, ties to even."""
    if value == 0:
        return value
    bits, least = (24, -149) if dtype == "float32" else (53, -1074)
    exponent = math.floor(math.log2(abs(value))) if abs(value) < 2**1000 else 1000
    while abs(value) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while abs(value) < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - bits + 1, least)
    return round(value / unit) * unit
