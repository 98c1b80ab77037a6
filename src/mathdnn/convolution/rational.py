"""Exact rationals as small whole numbers: every value met gets a number, and arithmetic works on the numbers.

A map on images has millions of coefficients and few different ones. `Rationals` keeps the different ones once, as
`fractions.Fraction`, and arrays hold their places ("codes"). Code 0 is the number 0 and code 1 the number 1, always.
Floats enter as the exact rationals they are, never as their decimal writing.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jaxtyping import Int32

Codes = np.ndarray  # int32


class NotFinite(ArithmeticError):
    """A NaN or an infinity where an exact number is needed."""


class Rationals:
    """A growing table of different rationals. Grows while a map is evaluated; holds no other state."""

    def __init__(self) -> None:
        self.values: list[Fraction] = []
        self._code: dict[Fraction, int] = {}
        self._floats, self._above = np.zeros(0), np.zeros(0)
        self.code(Fraction(0))
        self.code(Fraction(1))

    def code(self, value: Fraction) -> int:
        """The code of one value, given now where it is new."""
        found = self._code.get(value)
        if found is None:
            found = self._code[value] = len(self.values)
            self.values.append(value)
        return found

    def codes(self, values: Iterable[Fraction]) -> Int32[np.ndarray, " n"]:
        """The codes of many values."""
        return np.array([self.code(value) for value in values], dtype=np.int32)

    def of_array(self, array: np.ndarray) -> Codes:
        """Codes of an array of floats, whole numbers or booleans, of the same shape. Raises `NotFinite`."""
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NotFinite("a NaN or an infinity among the constants")
        different, place = np.unique(array, return_inverse=True)
        return self.codes(Fraction(value) for value in different.tolist())[place.reshape(array.shape)]

    def floats(self, codes: Codes) -> np.ndarray:
        """The nearest float64 of every code, infinite beyond the largest."""
        self._floats = _grown(self._floats, [as_float(value) for value in self.values[len(self._floats) :]])
        return np.asarray(self._floats[codes])

    def magnitudes(self, codes: Codes) -> np.ndarray:
        """|value| of every code as a float64 that is not too small. Raises `InvalidInput` beyond the largest."""
        new = [abs(as_float(value)) for value in self.values[len(self._above) :]]
        if math.inf in new:
            expected, got = "weights that float64 holds", "one above 1.8e308, though another may cancel it"
            raise InvalidInput(sentence("the operation", expected, got, "scale its factors down"))
        self._above = _grown(self._above, [math.nextafter(value, math.inf) if value else 0.0 for value in new])
        return np.asarray(self._above[codes])

    def add(self, a: Codes, b: Codes) -> Codes:
        """Codes of a + b, element by element."""
        return self._pairs(a, b, Fraction.__add__)

    def multiply(self, a: Codes, b: Codes) -> Codes:
        """Codes of a b, element by element."""
        return self._pairs(a, b, Fraction.__mul__)

    def _pairs(self, a: Codes, b: Codes, operation: Callable[[Fraction, Fraction], Fraction]) -> Codes:
        """One exact operation for every different pair (few), looked up for every element (many)."""
        a, b = np.broadcast_arrays(a, b)
        if a.size == 0:
            return np.zeros(a.shape, dtype=np.int32)
        width = int(b.max()) + 1
        key = a.astype(np.int64) * width + b
        span = (int(a.max()) + 1) * width
        if span <= max(4 * key.size, 1 << 16):
            seen = np.zeros(span, dtype=bool)
            seen[key] = True
            different = np.flatnonzero(seen)
            table = np.zeros(span, dtype=np.int32)
            table[different] = self._apply(different, width, operation)
            return np.asarray(table[key])
        different, place = np.unique(key, return_inverse=True)
        return np.asarray(self._apply(different, width, operation)[place.reshape(key.shape)])

    def _apply(self, keys: np.ndarray, width: int, operation: Callable[[Fraction, Fraction], Fraction]) -> Codes:
        values = self.values
        return self.codes([operation(values[key // width], values[key % width]) for key in keys.tolist()])


def _grown(array: np.ndarray, more: list[float]) -> np.ndarray:
    return np.concatenate([array, more]) if more else array


def as_float(value: Fraction) -> float:
    """The nearest float64, infinite beyond the largest."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_NARROW: dict[str, tuple[Any, Any]] = {"float32": (np.float32, np.int32), "float16": (np.float16, np.int16)}


def nearest(value: Fraction, dtype: str) -> Any:
    """The float nearest to a rational, ties to even: float64 is Python's own; float32 and float16 are corrected for
    double rounding."""
    double = as_float(value)
    if dtype == "float64":
        return np.float64(double)
    kind, bits = _NARROW[dtype]
    with np.errstate(over="ignore"):
        near = kind(double)
        if np.isfinite(near) and Fraction(float(near)) == value:
            return near
        candidates = [np.nextafter(near, kind(-math.inf)), near, np.nextafter(near, kind(math.inf))]
    finite = [candidate for candidate in candidates if np.isfinite(candidate)]
    return min(finite, key=lambda c: (abs(Fraction(float(c)) - value), int(kind(c).view(bits)) & 1), default=near)
