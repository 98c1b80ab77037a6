"""The arithmetics of the checker, and the convolution that it has written once for all of them.

`Modular`: the integers modulo a prime, where every rational has its place and nothing is ever rounded. `Absolute`:
sums of
absolute values, which bound what float arithmetic can lose.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np

MARK = -1  # stands for uninitialised memory: no value of either arithmetic is negative


class Malformed(ValueError):
    """The data is no graph that can be evaluated."""


class Modular:
    """The integers modulo a prime below 2^31; products of two fit 64 bits."""

    def __init__(self, prime: int) -> None:
        self.prime = prime

    def fraction(self, value: Fraction) -> int:
        if value.denominator % self.prime == 0:
            raise Malformed("a denominator is a multiple of the prime: try another")
        return value.numerator * pow(value.denominator, -1, self.prime) % self.prime

    def array(self, values: np.ndarray) -> np.ndarray:
        different, place = np.unique(values, return_inverse=True)
        codes = [self.fraction(Fraction(value)) for value in different.tolist()]
        return np.array(codes, np.int64)[place.reshape(values.shape)]

    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a + b) % self.prime)

    def sub(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a - b) % self.prime)

    def mul(self, a: np.ndarray, b: Any) -> np.ndarray:
        return np.asarray(a * b % self.prime)

    def total(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return np.asarray(a.sum(axis=axes) % self.prime)


class Absolute:
    """Sums of absolute values in float64; `add` and `sub` are one."""

    def fraction(self, value: Fraction) -> float:
        return abs(float(value))

    def array(self, values: np.ndarray) -> np.ndarray:
        return np.abs(values.astype(np.float64))

    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(a + b)

    sub = add

    def mul(self, a: np.ndarray, b: Any) -> np.ndarray:
        return np.asarray(a * b)

    def total(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return np.asarray(a.sum(axis=axes))


Numbers = Modular | Absolute


def clean(value: np.ndarray) -> np.ndarray:
    if value.dtype != object and value.size and value.min() < 0:
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
    """Cross-correlation of a padded batch, one tap at a time."""
    windows = windows_of(x, w.shape[2:], stride, dilation)
    out = windows.shape[2 : 2 + axes]
    result = np.zeros((x.shape[0], w.shape[0], *out), windows.dtype)
    share, per = w.shape[1], w.shape[0] // groups
    for o, g in itertools.product(range(w.shape[0]), range(share)):
        for tap in itertools.product(*(range(k) for k in w.shape[2:])):
            part = windows[(slice(None), o // per * share + g, ..., *tap)]
            result[:, o] = numbers.add(result[:, o], numbers.mul(part, w[(o, g, *tap)]))
    return result
