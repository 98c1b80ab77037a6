"""Slow truth about floats, falls and max pooling: NumPy sorts, Python loops. Knows nothing of mathdnn."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np


def all_float16() -> np.ndarray:
    """Every float16 that is not NaN, in order, -0.0 before +0.0."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    values = values[~np.isnan(values)]
    return values[np.lexsort((~np.signbit(values), values.astype(np.float64)))]


def falls(outputs: np.ndarray) -> list[int]:
    """The indices i with outputs[i + 1] < outputs[i]."""
    wide = outputs.astype(np.float64)
    return [i for i in range(len(wide) - 1) if wide[i + 1] < wide[i]]


def longest_rise(outputs: np.ndarray) -> int:
    """The length of the longest stretch without a fall or a NaN."""
    best = length = 0
    for i, y in enumerate(outputs.astype(np.float64)):
        length = 0 if math.isnan(y) else length + 1 if i and not y < outputs[i - 1] else 1
        best = max(best, length)
    return best


def first_maximum(window: list[float]) -> float:
    """A max pool of one window as torch documents it: the first of equal ones; NaN wins."""
    best = window[0]
    for value in window[1:]:
        if value > best or math.isnan(value):
            best = value
    return best


def commutes(f, values: list[float]) -> str:
    """What every window of two of these values says: "bitwise", "values", or "no"."""
    answer = "bitwise"
    for window in itertools.product(values, repeat=2):
        first, last = f(first_maximum(list(window))), first_maximum([f(x) for x in window])
        if math.isnan(first) and math.isnan(last):
            continue
        if first != last:
            return "no"
        if math.copysign(1, first) != math.copysign(1, last):
            answer = "values"
    return answer


FUNCTIONS = {
    "identity": lambda x: x,
    "relu": lambda x: max(x, mpmath.mpf(0)),
    "relu6": lambda x: min(max(x, mpmath.mpf(0)), mpmath.mpf(6)),
    "leakyrelu": lambda x: x if x > 0 else x / 100,
    "hardtanh": lambda x: min(max(x, mpmath.mpf(-1)), mpmath.mpf(1)),
    "hardsigmoid": lambda x: min(max(x / 6 + mpmath.mpf("0.5"), mpmath.mpf(0)), mpmath.mpf(1)),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "celu": lambda x: x if x > 0 else mpmath.expm1(x),
    "onnx:HardSigmoid": lambda x: min(max(x / 5 + mpmath.mpf("0.5"), mpmath.mpf(0)), mpmath.mpf(1)),
    "selu": lambda x: (
        mpmath.mpf("1.0507009873554805") * (x if x > 0 else mpmath.mpf("1.6732632423543772") * mpmath.expm1(x))
    ),
    "onnx:Selu": lambda x: (
        mpmath.mpf("1.05070102214813232421875")
        * (x if x > 0 else mpmath.mpf("1.67326319217681884765625") * mpmath.expm1(x))
    ),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "logsigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "erf": mpmath.erf,
    "exp": mpmath.exp,
    "atan": mpmath.atan,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "softshrink": lambda x: x - mpmath.mpf("0.5") if x > 0.5 else x + mpmath.mpf("0.5") if x < -0.5 else mpmath.mpf(0),
    "squaredrelu": lambda x: max(x, mpmath.mpf(0)) ** 2,
    "gelu": lambda x: x * mpmath.ncdf(x),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "hardswish": lambda x: x * min(max(x + 3, mpmath.mpf(0)), mpmath.mpf(6)) / 6,
    "abs": abs,
    "square": lambda x: x * x,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
}
