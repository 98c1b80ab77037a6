"""A wrong formula, shown with numbers: values of the weights, biases and inputs at which an entry differs; or with its
shape, where that is not the Jacobian's.

The unknowns for z, sigma(z) and sigma'(z) get the values that the weights give them; where sigma is any, t^2 and then
t + t^3 stand for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.backprop.activations import Activation, polynomial, written
from mathdnn.backprop.hints import hint
from mathdnn.backprop.literal import Formula
from mathdnn.backprop.polynomials import Polynomial
from mathdnn.verdict import Counterexample, Equality, Verdict, refuted, undecided

KIND, SHAPE = "a wrong entry", "a wrong shape"
Point = dict[str, Fraction]
TRIES = 200  # a heuristic: a nonzero difference of low degree vanishes at few of the 7^n points that are drawn from


@dataclass(frozen=True)
class Question:
    """One formula for one layer of a network of these widths, and the claim that it is part of."""

    claim: str
    formula: Formula
    layer: int
    widths: tuple[int, ...]
    sigma: Activation | None

    def data(self, kind: str, sigma: Activation | None) -> dict[str, Any]:
        """What a checker needs; a formula that is code has no text that it could read."""
        f = self.formula
        return {
            "kind": kind,
            "formula": f.id if f.readable else "code",
            "text": f.text,
            "widths": list(self.widths),
            "any": self.sigma is None,
            "sigma": None if sigma is None else sigma.name,
            "coefficients": None if sigma is None else [str(c) for c in sigma.coefficients or ()],
        }


def wrong_shape(q: Question, given: Any, truth: Any, why: str = "") -> Verdict:
    """Refuted by the shape of the given array, or by its having no value at all (None, and why)."""
    network = f"in a {'-'.join(map(str, q.widths))} network"
    right = _times(truth.shape)
    if given is None:
        said, statement = "no value", f"{network} the formula has no value for l = {q.layer}: {why}"
    else:
        said = _times(given.shape)
        also = f", or {_times(truth.shape[1:])} without the index of the output" if len(truth) == 1 else ""
        statement = f"{network} the formula is {said} for l = {q.layer}; the Jacobian is {right}{also}."
        statement = (statement + hint(given, truth)).removesuffix(".")
    data = q.data(SHAPE, q.sigma) | {"shape": None if given is None else list(given.shape)}
    evidence = Counterexample(statement, {"layer": q.layer, "widths": list(q.widths)}, said, right, data)
    return refuted(q.claim, evidence, equality=Equality.REALS)


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def wrong_entry(q: Question, entry: tuple[int, ...], given: Any, truth: Any) -> Verdict:
    """Refuted with numbers; undecided in the rare case that none are found (two ways to write one function)."""
    at = ",".join(str(i + 1) for i in entry)
    claimed, true = Polynomial.of(given[entry]), truth[entry]
    for sigma in (q.sigma,) if q.sigma is not None else (polynomial(0, 0, 1), polynomial(0, 1, 0, 1)):
        point = _smallest(claimed - true, q.widths, sigma)
        if point is None:
            continue
        full = complete(point, q.widths, sigma)
        said, is_ = claimed.at(full), true.at(full)
        statement = (
            f"for l = {q.layer}, entry [{at}], with sigma(t) = {written(sigma)}: the formula says {said}, the "
            f"derivative is {is_}, where {_listed(point)}."
        )
        statement = (statement + hint(given, truth)).removesuffix(".")
        data = q.data(KIND, sigma) | {"entry": [i + 1 for i in entry], "polynomial": repr(claimed)[:2000]}
        values = {"layer": q.layer, "sigma": sigma.name, "point": {name: str(v) for name, v in sorted(point.items())}}
        return refuted(q.claim, Counterexample(statement, values, str(said), str(is_), data), equality=Equality.REALS)
    why = f"entry [{at}] for l = {q.layer} is written otherwise, but agrees at {TRIES} points"
    return undecided(q.claim, why, "writing the formula with y and sigma'(z) alone", equality=Equality.REALS)


def _listed(point: Point) -> str:
    """The entries that are not zero, and that the others are."""
    shown = [f"{name} = {value}" for name, value in sorted(point.items()) if value]
    if len(shown) == len(point):
        return ", ".join(shown)
    return f"{', '.join(shown)}, and all other entries are 0" if shown else "all entries are 0"


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
