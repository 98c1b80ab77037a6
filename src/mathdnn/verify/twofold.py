"""Numbers to some 100 bits, as sums of two floats, and what they are off by at most.

A number is high + low (Dekker 1971): the real and the imaginary part of a complex array, which every move of elements
leaves together. An operation is off by at most `UNIT` of the magnitudes that it adds or multiplies (2^-104 and a few
more, Joldes, Muller, Popescu 2017), as long as nothing comes near the ends of the floats' range (`Sized`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verify.numbers import Absolute, Malformed, is_sparse, one_by_one

UNIT = 2.0**-100
_HALVES = 2.0**27 + 1  # Veltkamp's factor, which splits a float into halves of 26 bits
_CACHED = 1 << 14  # numbers multiplied at once
_LEAST, _MOST = 2.0**-300, 2.0**300  # products of two stay far from underflow and overflow
_SLACK = 64  # times what was counted: a rule may round a weight, a product and a sum for one that it counts


def _whole(high: Any, low: Any) -> np.ndarray:
    made = np.empty(np.shape(high), np.complex128)
    made.real = high + low
    made.imag = low - (made.real - high)
    return made


def _halves(n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    far = _HALVES * n
    high = far - (far - n)
    return high, n - high


class Twofold:
    """The arithmetic of such sums, for a graph or a form."""

    def fraction(self, value: Fraction) -> complex:
        high = float(value)
        return complex(high, float(value - Fraction(high)))

    def array(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Malformed("a constant that is not finite")
        return values.astype(np.complex128)

    def add(self, a: Any, b: Any) -> np.ndarray:
        a, b = np.asarray(a), np.asarray(b)
        whole = a.real + b.real
        gained = whole - a.real
        lost = (a.real - (whole - gained)) + (b.real - gained)
        return _whole(whole, lost + (a.imag + b.imag))

    def sub(self, a: Any, b: Any) -> np.ndarray:
        return self.add(a, -np.asarray(b))

    def mul(self, a: Any, b: Any) -> np.ndarray:
        a, b = np.asarray(a), np.asarray(b)
        product = a.real * b.real
        (x, u), (y, v) = _halves(a.real), _halves(b.real)
        lost = ((x * y - product) + x * v + u * y) + u * v
        return _whole(product, lost + (a.real * b.imag + a.imag * b.real))

    def total(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        kept = [n for k, n in enumerate(a.shape) if k not in {axis % a.ndim for axis in axes}]
        parts = np.moveaxis(a, axes, range(len(axes))).reshape(-1, *kept)
        parts = parts[parts.reshape(len(parts), -1).any(axis=1)] if parts.size else parts  # most pixels are 0
        while len(parts) > 1:  # pairs
            half = len(parts) // 2
            made = self.add(parts[:half], parts[half : 2 * half])
            parts = np.concatenate([made, parts[2 * half :]])
        return np.asarray(parts[0]) if len(parts) else np.zeros(kept, np.complex128)

    def dot(self, a: np.ndarray, terms: Sequence[np.ndarray]) -> np.ndarray:
        """(o, t) times t arrays, so many at a time that they stay in the cache; those of zeros add nothing."""
        if is_sparse(terms):
            flat = np.zeros((len(a), terms[0].size), np.complex128)
            for places, numbers, taps in one_by_one(terms):
                flat[:, places] = self.add(flat[:, places], self.mul(a[:, taps], numbers))
            return flat.reshape(len(a), *terms[0].shape)
        made = np.zeros((len(a), *terms[0].shape), np.complex128)
        used = [k for k, term in enumerate(terms) if term.any()]
        most = max(1, _CACHED // made.size)
        for at in range(0, len(used), most):
            some = used[at : at + most]
            weights = a[:, some].T.reshape(len(some), len(a), *[1] * terms[0].ndim)
            products = self.mul(np.stack([terms[k] for k in some])[:, None], weights)
            made = self.add(made, self.total(products, (0,)))
        return made


class Sized(Absolute):
    """Sums of absolute values that watch whether every number on the way lies far within the floats' range."""

    within = True

    def _seen(self, made: np.ndarray) -> np.ndarray:
        some = made[made != 0]
        self.within &= bool(((some > _LEAST) & (some < _MOST)).all())
        return made

    def fraction(self, value: Fraction) -> float:
        self.within &= value == 0 or _LEAST < abs(value) < _MOST
        return super().fraction(value) if self.within else 1.0

    def array(self, values: np.ndarray) -> np.ndarray:
        return self._seen(super().array(values))

    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self._seen(super().add(a, b))

    sub = add

    def mul(self, a: np.ndarray, b: Any) -> np.ndarray:
        return self._seen(super().mul(a, b))

    def total(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return self._seen(super().total(a, axes))

    def dot(self, a: np.ndarray, terms: list[np.ndarray]) -> np.ndarray:
        return self._seen(super().dot(a, terms))


def error_of(magnitudes: np.ndarray, roundings: int) -> np.ndarray:
    """What a difference of two results is off by, from the sums of absolute values and the roundings counted."""
    return np.asarray(_SLACK * (roundings + 16) * UNIT * magnitudes)


def nearest_floats(value: np.ndarray, error: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(the nearest floats, as float64; where they are so whatever the error; the middle to the next on that side)."""
    floats = value.real.astype(dtype)
    found = floats.astype(np.float64)
    up, down = ((np.abs(np.nextafter(floats, np.asarray(end, dtype)) - found)) / 2 for end in (np.inf, -np.inf))
    off = (value.real - found) + value.imag  # the first difference is exact, the sum to 2^-53
    room = (1 - 2.0**-30) * np.where(off > 0, up, down)
    sure = np.isfinite(room) & (np.abs(off) + error < room) & (error < (1 - 2.0**-30) * np.minimum(up, down))
    return found, sure, np.where(off > 0, up, -down)


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
    made = round(value / unit) * unit
    if abs(made) >= Fraction(2) ** (128 if dtype == "float32" else 1024):
        raise Malformed(f"a coefficient beyond the largest {dtype}")
    return made
