"""The arithmetics of the checker, and the convolution that it has written once for all of them.

`Modular`: the integers modulo a prime, where every rational has its place and nothing is ever rounded. `Absolute`:
sums of absolute values, which bound what float arithmetic can lose. Those that only rounded weights take are in
`rounded`, `twofold` and `colours`.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

_AT_ONCE = 1 << 22  # terms of a convolution held at once
_FEW = 4  # output channels: from here on one large product is quicker
_SHORT = 64  # numbers in a term: up to here it is quicker, too
_SPARSE = 16  # times as many numbers as are not 0: from here on these are looked up
ROOM = 1 << 27  # numbers in the results that are held at once, of 8 bytes at most
_LOWEST = -1073  # exponent of the smallest float, as frexp has it
MARK = -1  # stands for uninitialised memory: no value of either arithmetic is negative


class Malformed(ValueError):
    """The data is no graph that can be evaluated."""


class TooMany(Malformed):
    """A certificate that may be right and would take minutes to check; the message says of what there is too much."""


class Numbers(Protocol):
    """An arithmetic: what stands for a fraction, for floats, and how arrays of that are computed with."""

    def fraction(self, value: Fraction) -> Any: ...
    def array(self, values: np.ndarray) -> np.ndarray: ...
    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray: ...
    def sub(self, a: np.ndarray, b: np.ndarray) -> np.ndarray: ...
    def mul(self, a: np.ndarray, b: Any) -> np.ndarray: ...
    def total(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray: ...
    def dot(self, a: np.ndarray, terms: list[np.ndarray]) -> np.ndarray: ...


class Modular:
    """The integers modulo a prime below 2^31; products of two fit 64 bits."""

    def __init__(self, prime: int) -> None:
        self.prime = prime

    def fraction(self, value: Fraction) -> int:
        if value.denominator % self.prime == 0:
            raise Malformed("a denominator is a multiple of the prime: try another")
        return value.numerator * pow(value.denominator, -1, self.prime) % self.prime

    def array(self, values: np.ndarray) -> np.ndarray:
        """Floats, or whole numbers of 64 bits: a float is a whole number of 53 bits times a power of two."""
        if values.dtype.kind in "biu":
            whole = values.astype(np.uint64 if values.dtype.kind == "u" else np.int64)
            return np.asarray(whole % whole.dtype.type(self.prime)).astype(np.int64)
        if values.dtype.itemsize > 8 or not np.isfinite(values).all():
            raise Malformed("a constant that is not finite, or no float64")
        shares, exponents = np.frexp(values.astype(np.float64))
        whole = np.ldexp(shares, 53).astype(np.int64) % self.prime
        return np.asarray(whole * self._powers[exponents - _LOWEST] % self.prime)

    @functools.cached_property
    def _powers(self) -> np.ndarray:
        """2^(e - 53) for every exponent e of a float."""
        power, made = pow(2, _LOWEST - 53, self.prime), []
        for _ in range(_LOWEST, 1025):
            made.append(power)
            power = 2 * power % self.prime
        return np.array(made, np.int64)

    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a + b) % self.prime)

    def sub(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a - b) % self.prime)

    def mul(self, a: np.ndarray, b: Any) -> np.ndarray:
        return np.asarray(a * b % self.prime)

    def inverse(self, a: np.ndarray) -> np.ndarray:
        """1 / a. What is not 0 modulo the prime is no rational 0 either."""
        different, place = np.unique(a, return_inverse=True)
        if (different % self.prime == 0).any():
            raise Malformed("a division by 0")
        return np.array([pow(value, -1, self.prime) for value in different.tolist()], np.int64)[place.reshape(a.shape)]

    def total(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return np.asarray(a.sum(axis=axes) % self.prime)

    def dot(self, a: np.ndarray, terms: list[np.ndarray]) -> np.ndarray:
        """(o, t) times t arrays. Few sums: halves of 16 bits of the weights, so that 2^16 products fit 63 bits. Many:
        halves of both, in float64, where 2^20 products of 32 bits fit 53. Terms with few numbers: only these."""
        if len(terms) > 1 << 16:
            raise Malformed("a sum of more than 2^16 terms")
        if is_sparse(terms):
            made = np.zeros((len(a), terms[0].size), np.int64)
            for places, numbers, taps in one_by_one(terms):
                made[:, places] = (made[:, places] + a[:, taps] * numbers) % self.prime
            return made.reshape(len(a), *terms[0].shape)
        if len(a) <= _FEW and terms[0].size > _SHORT:
            return np.stack([self._sum(row, terms) for row in a.tolist()])
        b = np.stack(terms).reshape(len(terms), -1)
        (high, low), (left, right) = (((m >> 16).astype(float), (m & 0xFFFF).astype(float)) for m in (a, b))
        parts = (high @ left, high @ right + low @ left, low @ right)
        first, middle, last = (part.astype(np.int64) % self.prime for part in parts)
        return np.asarray(((first * 65536 + middle) % self.prime * 65536 + last) % self.prime)

    def _sum(self, weights: list[int], terms: list[np.ndarray]) -> np.ndarray:
        high, low, product = (np.zeros(terms[0].shape, np.int64) for _ in range(3))
        for weight, term in zip(weights, terms, strict=True):
            low += np.multiply(term, weight & 0xFFFF, out=product)
            high += np.multiply(term, weight >> 16, out=product)
        return (high % self.prime * 65536 + low) % self.prime


class Absolute:
    """Sums of absolute values in float64; `add` and `sub` are one."""

    def fraction(self, value: Fraction) -> float:
        return abs(value.numerator / value.denominator)

    def array(self, values: np.ndarray) -> np.ndarray:
        return np.abs(values.astype(np.float64))

    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(a + b)

    sub = add

    def mul(self, a: np.ndarray, b: Any) -> np.ndarray:
        return np.asarray(a * b)

    def total(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return np.asarray(a.sum(axis=axes))

    def dot(self, a: np.ndarray, terms: list[np.ndarray]) -> np.ndarray:
        """(o, t) times t arrays."""
        return np.asarray(np.tensordot(a, np.stack(terms), 1))


def is_sparse(terms: Sequence[np.ndarray]) -> bool:
    """Whether hardly any number of them is not 0, as where an image has few pixels."""
    return _SPARSE * sum(map(np.count_nonzero, terms)) <= len(terms) * terms[0].size


def one_by_one(terms: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The numbers that are not 0, at every place of the flat terms one at a time: (places, numbers, terms)."""
    table = np.stack(terms).reshape(len(terms), -1)
    taps, places = np.nonzero(table)
    order = np.argsort(places, kind="stable")
    taps, places = taps[order], places[order]
    turn = np.arange(len(places)) - np.searchsorted(places, places)
    for k in range(int(turn.max(initial=-1)) + 1):
        at = turn == k
        yield places[at], table[taps[at], places[at]], taps[at]


def require_room(*sizes: int) -> None:
    """Refuse a result before it is made: a few numbers in a file can ask for any size."""
    if math.prod(sizes) > ROOM:
        raise Malformed(f"a result of more than {ROOM:,} numbers")


def together(*values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Values that are broadcast to one shape, which there is room for."""
    require_room(*np.broadcast_shapes(*(np.shape(value) for value in values)))
    return values


def padded(value: np.ndarray, sides: Any, **how: Any) -> np.ndarray:
    """numpy.pad, where there is room."""
    require_room(*(n + low + high for n, (low, high) in zip(value.shape, sides, strict=True)))
    return np.asarray(np.pad(value, sides, **how))


def clean(value: np.ndarray) -> np.ndarray:
    """The value, where none of it is uninitialised. Fractions and complex numbers may be negative: they are looked at
    after a run in another arithmetic."""
    if value.dtype.kind not in "Oc" and value.size and value.min() < 0:
        raise Malformed("uninitialised memory is used")
    return value


def trim(value: np.ndarray, pads: list[int]) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Cut where a pad is negative; pads come last axis first."""
    sides = [(0, 0)] * (value.ndim - len(pads) // 2)
    sides += [(pads[2 * k], pads[2 * k + 1]) for k in reversed(range(len(pads) // 2))]
    cut = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(sides, value.shape, strict=True))
    return value[cut], [(max(0, a), max(0, b)) for a, b in sides]


def windows_of(value: np.ndarray, kernel: Any, stride: Any, dilation: Any) -> np.ndarray:
    """(*lead, *out, *kernel) over the last axes."""
    axes = tuple(range(value.ndim - len(kernel), value.ndim))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(value, spans, axis=axes)
    cut: Any = (..., *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))
    return np.asarray(windows[cut])


def convolve(
    numbers: Numbers, x: np.ndarray, w: np.ndarray, stride: Any, dilation: Any, groups: int, axes: int
) -> np.ndarray:
    """Cross-correlation of a padded batch: for each group a product of its weights (o, g a) with its windows (g a, i),
    some rows of the output at a time."""
    out = windows_of(x[:1, :1], w.shape[2:], stride, dilation).shape[2 : 2 + axes]
    result = np.zeros((x.shape[0], w.shape[0], *out), x.dtype)
    share, per = w.shape[1], w.shape[0] // groups
    flat = w.reshape(w.shape[0], -1)
    for group in range(groups):
        own = slice(group * per, (group + 1) * per)
        windows = windows_of(x[:, group * share : (group + 1) * share], w.shape[2:], stride, dilation)
        used = np.flatnonzero((flat[own] != 0).any(0))  # a weight 0 adds nothing
        taps = list(zip(*np.unravel_index(used, (share, *w.shape[2:])), strict=True))
        rows = max(1, _AT_ONCE // max(1, len(taps) * x.shape[0] * math.prod(out[1:])))
        for at in range(0, out[0] if taps else 0, rows):
            part = windows[:, :, at : at + rows]
            terms = [part[(slice(None), tap[0], ..., *tap[1:])] for tap in taps]
            made = numbers.dot(flat[own][:, used], terms)
            result[:, own, at : at + rows] = np.moveaxis(made.reshape(per, *terms[0].shape), 0, 1)
    return result


def draw(generator: random.Random, count: int, prime: int) -> np.ndarray:
    """Random integers modulo a prime below 2^31; 64 bits each, so none is likelier than another by more than 2^-32."""
    bits = np.frombuffer(generator.randbytes(8 * count), np.uint64)
    return (bits % np.uint64(prime)).astype(np.int64)
