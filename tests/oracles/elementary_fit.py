"""Where the numbers of the engine's tanh come from (src/native/elementary.hpp), at 120 bits.

    tanh a = T + r h / (1 + T h),   T = tanh c, r = 1 - T^2, h = tanh(a - c) = t + t^3 p(t^2)

Two intervals of a an octave, 2^-4 to 16, the first from 0. Each center c is the float near the middle of its interval
for which T and r are nearest to floats (Gal 1986). p is the polynomial whose largest error in tanh a, in units of the
last place, is least over all intervals (Lawson's iteration); its coefficients are rounded to float32 one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np

COEFFICIENTS = 5
_ONE = 9.02  # tanh beyond it rounds to 1
_BELOW_ONE = 1 - 2.0**-24  # the float below 1
_NEAR, _POINTS, _ROUNDS = 3000, 80, 400


def intervals() -> list[tuple[float, float]]:
    return [(2.0**e * h, 2.0**e * (h + 0.5)) for e in range(-4, 4) for h in (1.0, 1.5)]


def centers() -> list[tuple[float, float]]:
    """(c, T) of each interval; beyond 8 the c whose T is the float below 1."""
    with mpmath.workprec(120):
        last = (float(np.float32(mpmath.atanh(_BELOW_ONE))), _BELOW_ONE)
        return [(0.0, 0.0), *(_center(low, high) for low, high in intervals()[1:14]), last, last]


def _center(low: float, high: float) -> tuple[float, float]:
    middle = np.float32((low + high) / 2)
    step = np.spacing(middle)
    near = min(_NEAR, int((high - low) / 2 / float(step) * 0.004))
    candidates = [float(middle + np.float32(k) * step) for k in range(-near, near + 1)]
    best = min(candidates, key=_distance)
    return best, float(np.float32(mpmath.tanh(best)))


def _distance(c: float) -> float:
    """How far T is from a float, in 1/512 of its unit, and r, in half its unit: the larger of the two."""
    exact = mpmath.tanh(c)
    T = np.float32(exact)
    r = 1 - mpmath.mpf(float(T)) ** 2
    rounded = np.float32(r)
    return max(
        512 * float(abs(exact - float(T))) / float(np.spacing(T)),
        2 * float(abs(r - float(rounded))) / float(np.spacing(rounded)),
    )


def weighted_points() -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    """(t, how many units of the last place of tanh a one unit of h is) over all intervals."""
    points = []
    for (low, high), (c, T) in zip(intervals()[:15], centers(), strict=False):
        first, last = (0.0 if low == 2.0**-4 else low), min(high, _ONE)
        for j in range(_POINTS + 1):
            a = first + (last - first) * (1 - mpmath.cos(mpmath.pi * j / _POINTS)) / 2
            t = a - c
            if t:
                unit = mpmath.mpf(2) ** (mpmath.floor(mpmath.log(mpmath.tanh(a), 2)) - 23)
                points.append((t, (1 - mpmath.mpf(T) ** 2) / (1 + T * mpmath.tanh(t)) ** 2 / unit))
    return points


def polynomial() -> tuple[list[float], float]:
    """The coefficients of p, lowest first, and the largest error of tanh a they leave, in units of the last place."""
    with mpmath.workprec(120):
        points = weighted_points()
        fixed: list[float] = []
        while len(fixed) < COEFFICIENTS:
            fixed.append(float(np.float32(_lawson(points, fixed)[0])))
        return fixed, max(float(abs(w * _left(t, fixed))) for t, w in points)


def _left(t: mpmath.mpf, fixed: list[float]) -> mpmath.mpf:
    return mpmath.tanh(t) - t - sum(c * t ** (2 * k + 3) for k, c in enumerate(fixed))


def _lawson(points: list[tuple[mpmath.mpf, mpmath.mpf]], fixed: list[float]) -> np.ndarray:
    """The free coefficients of least largest error: least squares, with weights that grow where the error is large."""
    powers = [2 * k + 3 for k in range(len(fixed), COEFFICIENTS)]
    A = np.array([[float(w * t**n) for n in powers] for t, w in points])
    b = np.array([float(w * _left(t, fixed)) for t, w in points])
    weights, best, least = np.ones(len(b)), np.zeros(len(powers)), np.inf
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        found = np.linalg.lstsq(A * root[:, None], b * root, rcond=None)[0]
        error = np.abs(A @ found - b)
        if error.max() < least:
            least, best = error.max(), found
        weights = weights * (error + 1e-30)
        weights /= weights.sum()
    return best


def left_by_exp(coefficients: list[float]) -> float:
    """The largest error of 1 + (r + r^2 s(r)) over |r| <= 0.3475, as a share of e^r, times 2^24."""
    with mpmath.workprec(120):
        return _largest(-0.3475, 0.3475, lambda r: 1 + r + r**2 * _value(coefficients, r), mpmath.exp)


def left_by_log(coefficients: list[float]) -> float:
    """The largest error of f + f^2 s(f) over sqrt 1/2 <= 1 + f < sqrt 2, as a share of ln(1 + f), times 2^24."""
    with mpmath.workprec(120):
        low, high = mpmath.sqrt(0.5) - 1, mpmath.sqrt(2) - 1
        return _largest(low, high, lambda f: f + f**2 * _value(coefficients, f), lambda f: mpmath.log(1 + f))


def _value(coefficients: list[float], x: mpmath.mpf) -> mpmath.mpf:
    return sum(mpmath.mpf(c) * x**n for n, c in enumerate(coefficients))


def _largest(
    low: float, high: float, approximate: Callable[..., mpmath.mpf], exact: Callable[..., mpmath.mpf]
) -> float:
    points = [low + (high - low) * (mpmath.mpf(j) + 0.5) / 500 for j in range(500)]
    return float(2**24 * max(abs(approximate(x) / exact(x) - 1) for x in points))
