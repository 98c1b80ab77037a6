"""Margin losses: functions of the margin m = y z of a label y = -1 or +1 and a score z.

    s(m) = sigma(m) = 1 / (1 + e^-m), so that s(-m) = 1 - s(m)

    name             value l(m)            derivative l'(m)        bound on |l'|
    logistic         log(1 + e^-m)         -s(-m)                  1
    sum_of_squares   2 s(-m)^2             -4 s(-m)^2 s(m)         16/27, at m = -log 2; vanishes as m -> -infinity
    hinge            max(0, 1 - m)         -1 where m < 1          1
    squared_hinge    max(0, 1 - m)^2       -2 max(0, 1 - m)        none
    exponential      e^-m                  -e^-m                   none

By the chain rule, dl/dz = y l'(y z). Kinks: at m = 1 the derivative of the hinges is 0, as torch has relu'(0) = 0.
Sources: logistic and SOS, homework 4 problem 5 of M1407.001200 (`specification` below is its own two-term form);
4 t^2 (1 - t) on [0, 1] has its maximum 16/27 at t = 2/3.

Numerics. Everything goes through e = e^-|m|, which lies in [0, 1]: nothing overflows, no digits cancel, the sums are of
positive numbers. With an exp that is good to a few ulp,

    s(|m|) = 1 / (1 + e),    s(-|m|) = e / (1 + e),    log(1 + e^-m) = log1p(e) + max(0, -m)

are good to a few ulp, down to the subnormal numbers. The textbook forms are not: 1 - s(m) has no correct digit from
m = 37 (float32: 17), where 1 + e rounds to 1; log(1 + e^-m) is 0 from there, and inf from m = -710 (-89), where e^-m
overflows; (1 - s(m))^2 is 0 from m = 37 though 2 s(-m)^2 is a normal number up to m = 354 (43).
The last margins with a result above 0: logistic 745 (float32: 103), SOS 372 (51). The exponential loss is e^-m itself
and so is inf below m = -709.7 (-88.7), where no float holds it, as the squared hinge is
below -1.3e154 (-1.8e19); the other three are finite for every finite score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Margins = Any  # an array (...) or a scalar of float32 or float64


@dataclass(frozen=True)
class MarginLoss:
    """A loss l(m) of the margin m = y z, elementwise on arrays or scalars; float32 stays float32.

    `bound` is the least upper bound of |l'|, infinite where there is none.
    """

    name: str
    value: Callable[[Margins], Margins]
    derivative: Callable[[Margins], Margins]
    bound: float


def sigmoid(z: Margins) -> Margins:
    """1 / (1 + e^-z), to a few ulp for every finite z."""
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, e.dtype.type(1))[()] / (1 + e)


def softplus(z: Margins) -> Margins:
    """log(1 + e^z), to a few ulp for every finite z."""
    return np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0)


def _sum_of_squares(m: Margins) -> Margins:
    wrong = sigmoid(-m)
    return 2 * wrong * wrong


def _sum_of_squares_derivative(m: Margins) -> Margins:
    wrong = sigmoid(-m)
    return -4 * (wrong * wrong * sigmoid(m))


def _squared_hinge(m: Margins) -> Margins:
    short = np.maximum(0, 1 - m)
    with np.errstate(over="ignore"):
        return short * short


def _squared_hinge_derivative(m: Margins) -> Margins:
    with np.errstate(over="ignore"):
        return -2 * np.maximum(0, 1 - m)


def _exponential(m: Margins) -> Margins:
    with np.errstate(over="ignore"):
        return np.exp(-m)


def _table(*losses: MarginLoss) -> Mapping[str, MarginLoss]:
    return MappingProxyType({loss.name: loss for loss in losses})


LOSSES: Mapping[str, MarginLoss] = _table(
    MarginLoss("logistic", lambda m: softplus(-m), lambda m: -sigmoid(-m), 1.0),
    MarginLoss("sum_of_squares", _sum_of_squares, _sum_of_squares_derivative, 16 / 27),
    MarginLoss("hinge", lambda m: np.maximum(0, 1 - m), lambda m: m * 0 - (m < 1), 1.0),
    MarginLoss("squared_hinge", _squared_hinge, _squared_hinge_derivative, math.inf),
    MarginLoss("exponential", _exponential, lambda m: -_exponential(m), math.inf),
)


def margin_loss(loss: str) -> MarginLoss:
    """The loss of that name. Raises `InvalidInput` for any other."""
    if not isinstance(loss, str) or loss not in LOSSES:
        raise InvalidInput(
            sentence("margin_loss(loss)", f"one of {', '.join(LOSSES)}", repr(loss), "choose one of them")
        )
    return LOSSES[loss]


def specification(name: str, z: float, y: int) -> float:
    """The two losses as the homework writes them, for checking: the Kullback-Leibler divergence and the two-term SOS.

    The label's distribution is (1, 0) for y = -1 and (0, 1) for y = +1, the model's (s(-z), s(z)). Plain float64: right
    only where |z| is moderate, below about 30.
    """
    model = (1 / (1 + math.exp(z)), 1 / (1 + math.exp(-z)))
    if name == "logistic":
        label = ((1 - y) / 2, (1 + y) / 2)
        return sum(p * math.log(p / q) for p, q in zip(label, model, strict=True) if p > 0)
    if name == "sum_of_squares":
        negative = 0.5 * (1 - y) * ((1 - model[0]) ** 2 + model[1] ** 2)
        return negative + 0.5 * (1 + y) * (model[0] ** 2 + (1 - model[1]) ** 2)
    raise InvalidInput(sentence("specification(name)", "logistic or sum_of_squares", repr(name), "choose one of them"))


def right(z: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Where a score counts as right in the homework: y z >= 0, so that the tie z = 0 is right for both labels."""
    return np.asarray(y * z >= 0)
