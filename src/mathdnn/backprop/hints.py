"""What a wrong derivative would be right for: transposed, a multiple, without sigma'."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.backprop.polynomials import Polynomial


def hint(given: Any, truth: Any) -> str:
    """A sentence (with a space before it) where the given array is a simple change of the derivative, else nothing.

    Both are arrays of polynomials; `truth` has an axis for the output first, which one output may leave out."""
    forms = [truth, truth[0]] if len(truth) == 1 else [truth]
    for form in forms:
        if form.ndim > 1 and any(_same(given, turned) for turned in (form.T, form.swapaxes(-1, -2))):
            return " It is the transpose of the right answer."
    for form in forms:
        factor = _factor(given, form)
        if factor is not None:
            return " It is minus the right answer." if factor == -1 else f" It is {factor} times the right answer."
        if _same(given, _each(_without_slopes, form)):
            return " It leaves out sigma'."
    return ""


def _same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and all(Polynomial.of(x) == y for x, y in zip(a.flat, b.flat, strict=True))


def _each(f: Any, a: Any) -> Any:
    out = np.empty(a.shape, dtype=object)
    for index in np.ndindex(a.shape):
        out[index] = f(a[index])
    return out


def _factor(given: Any, truth: Any) -> Fraction | None:
    """c where given = c truth, c neither 0 nor 1."""
    if given.shape != truth.shape:
        return None
    for x, y in zip(given.flat, truth.flat, strict=True):
        if y.terms:
            monomial, c = next(iter(y.terms.items()))
            factor = Polynomial.of(x).terms.get(monomial, Fraction(0)) / c
            return factor if factor not in (0, 1) and _same(given, truth * factor) else None
    return None


def _without_slopes(p: Polynomial) -> Polynomial:
    """The polynomial with 1 for every sigma'(z_l[j]), the unknowns d..."""
    total = Polynomial({})
    for monomial, c in p.terms.items():
        total = total + Polynomial({tuple(power for power in monomial if not power[0].startswith("d")): c})
    return total
