"""A wrong formula, shown with numbers: values of the weights, biases and inputs at which an entry differs.

The unknowns for z, sigma(z) and sigma'(z) get the values that the weights give them; where sigma is any, t^2 and then
t + t^3 stand for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.backprop.activations import Activation, polynomial
from mathdnn.backprop.polynomials import Polynomial
from mathdnn.verdict import Counterexample, Equality, Verdict, refuted, undecided

KIND = "a wrong entry"
Point = dict[str, Fraction]
TRIES = 200  # a heuristic: a nonzero difference of low degree vanishes at few of the 7^n points that are drawn from


@dataclass(frozen=True)
class Mismatch:
    """An entry (0-based) at which the formula's polynomial is not the derivative's; None where it has no such entry.

    `output` and `by` say which derivative: of y_L ("L") or y_l ("l"), by A_l, b_l, y_{l-1} or x.
    """

    layer: int
    output: str
    by: str
    entry: tuple[int, ...]
    given: Any
    true: Polynomial


def mismatch(claim: str, found: Mismatch, widths: Sequence[int], sigma: Activation | None) -> Verdict:
    """Refuted with numbers; undecided in the rare case that none are found (two ways to write one function)."""
    at = ",".join(str(i + 1) for i in found.entry)
    where = {"entry": [i + 1 for i in found.entry]}
    if found.given is None:
        statement = (
            f"for l = {found.layer} the formula has another shape than the Jacobian, whose entry [{at}] is "
            f"{found.true!r:.200}"
        )
        evidence = Counterexample(statement, {"layer": found.layer}, "an entry", "none", where)
        return refuted(claim, evidence, equality=Equality.REALS)
    claimed = Polynomial.of(found.given)
    for concrete in (sigma,) if sigma is not None else (polynomial(0, 0, 1), polynomial(0, 1, 0, 1)):
        point = _smallest(claimed - found.true, widths, concrete)
        if point is not None:
            evidence = _numbers(found, claimed, point, widths, concrete, where)
            return refuted(claim, evidence, equality=Equality.REALS)
    why = f"entry [{at}] for l = {found.layer} is written otherwise, but agrees at {TRIES} points"
    return undecided(claim, why, "writing the formula with y and sigma'(z) alone", equality=Equality.REALS)


def _numbers(
    found: Mismatch,
    claimed: Polynomial,
    point: Point,
    widths: Sequence[int],
    sigma: Activation,
    where: dict[str, Any],
) -> Counterexample:
    full = complete(point, widths, sigma)
    said, true = claimed.at(full), found.true.at(full)
    at = ",".join(str(i + 1) for i in found.entry)
    values = ", ".join(f"{name} = {value}" for name, value in sorted(point.items()))
    statement = (
        f"for l = {found.layer}, entry [{at}], with {sigma.name.replace('polynomial', 'sigma =')}: the formula says "
        f"{said}, the derivative is {true}, where {values}"
    )
    return Counterexample(
        statement,
        {"layer": found.layer, "sigma": sigma.name, "point": {name: str(v) for name, v in sorted(point.items())}},
        str(said),
        str(true),
        {
            **where,
            "kind": KIND,
            "widths": list(widths),
            "output": found.output,
            "by": found.by,
            "coefficients": [str(c) for c in sigma.coefficients or ()],
            "formula": repr(claimed)[:2000],
            "derivative": repr(found.true)[:2000],
        },
    )


def complete(point: Point, widths: Sequence[int], sigma: Activation) -> Point:
    """The point with the values of every z_l[j], sigma(z_l[j]) (s) and sigma'(z_l[j]) (d) that follow from it."""
    full = dict(point)
    y = [full[f"x_{k + 1}"] for k in range(widths[0])]
    for layer in range(1, len(widths) - 1):
        z = [
            sum((full[f"A{layer}_{j + 1}_{k + 1}"] * y[k] for k in range(len(y))), full[f"b{layer}_{j + 1}"])
            for j in range(widths[layer])
        ]
        y = [sigma.value(t) for t in z]
        for j, t in enumerate(z):
            full[f"z{layer}_{j + 1}"], full[f"s{layer}_{j + 1}"] = t, y[j]
            full[f"d{layer}_{j + 1}"] = Fraction(sigma.derivative(t))
    return full


def _smallest(difference: Polynomial, widths: Sequence[int], sigma: Activation) -> Point | None:
    """Small whole numbers at which the difference is not zero, as many zeros among them as a greedy search finds."""
    rng = np.random.default_rng(0)
    names = [f"x_{k + 1}" for k in range(widths[0])]
    for layer in range(1, len(widths)):
        names += [f"A{layer}_{j + 1}_{k + 1}" for j in range(widths[layer]) for k in range(widths[layer - 1])]
        names += [f"b{layer}_{j + 1}" for j in range(widths[layer])]
    for trial in range(TRIES):
        low, high = ((0, 1), (1, 2), (-3, 4))[min(trial, 2)]  # all zeros, all ones, then draws
        point = {name: Fraction(int(rng.integers(low, high))) for name in names}
        if difference.at(complete(point, widths, sigma)):
            return _with_zeros(difference, point, widths, sigma)
    return None


def _with_zeros(difference: Polynomial, point: Point, widths: Sequence[int], sigma: Activation) -> Point:
    for name in point:
        without = {**point, name: Fraction(0)}
        point = without if difference.at(complete(without, widths, sigma)) else point
    return point
