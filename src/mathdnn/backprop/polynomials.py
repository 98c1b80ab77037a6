"""Polynomials in several unknowns over the rationals: enough to prove an identity by computing both sides.

A polynomial maps monomials to coefficients; a monomial is a sorted tuple of (unknown, exponent). Two polynomials are
the same function over the rationals exactly where these maps are equal.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.errors import InvalidInput, sentence

LARGEST = 1 << 16  # a heuristic: the closed forms of five layers of two units, sigma of degree 5, pair 50,000 at a time
Monomial = tuple[tuple[str, int], ...]


class Polynomial:
    """An immutable polynomial; `Polynomial.unknown("a")` makes an unknown, whole numbers and fractions mix in."""

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[Monomial, Fraction]) -> None:
        self.terms = {m: c for m, c in terms.items() if c}

    @classmethod
    def unknown(cls, name: str) -> Polynomial:
        return cls({((name, 1),): Fraction(1)})

    @classmethod
    def of(cls, value: Any) -> Polynomial:
        """The polynomial itself, or the constant of a number, exactly. Raises `InvalidInput` for anything else."""
        return value if isinstance(value, Polynomial) else cls({(): _exact(value)})

    def __add__(self, other: Any) -> Polynomial:
        if isinstance(other, np.ndarray):
            return NotImplemented  # an array of polynomials: NumPy adds entry by entry
        terms = dict(self.terms)
        for monomial, c in Polynomial.of(other).terms.items():
            terms[monomial] = terms.get(monomial, Fraction(0)) + c
        return Polynomial(terms)

    def __mul__(self, other: Any) -> Polynomial:
        if isinstance(other, np.ndarray):
            return NotImplemented
        others = Polynomial.of(other).terms
        terms: dict[Monomial, Fraction] = {}
        if len(self.terms) * len(others) > LARGEST:
            got, do = f"{len(self.terms):,} times {len(others):,}", "write the formula with fewer products"
            raise InvalidInput(sentence("Polynomial", f"products of at most {LARGEST:,} terms", got, do))
        for m1, c1 in self.terms.items():
            for m2, c2 in others.items():
                monomial = _times(m1, m2)
                terms[monomial] = terms.get(monomial, Fraction(0)) + c1 * c2
        return Polynomial(terms)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Polynomial:
        return self * -1

    def __sub__(self, other: Any) -> Polynomial:
        return self + -(other if isinstance(other, np.ndarray) else Polynomial.of(other))

    def __rsub__(self, other: Any) -> Polynomial:
        return Polynomial.of(other) + -self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Polynomial | numbers.Real):
            return NotImplemented
        return self.terms == Polynomial.of(other).terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def at(self, values: Mapping[str, Fraction | int]) -> Fraction:
        """The value where the unknowns have these values."""
        total = Fraction(0)
        for monomial, c in self.terms.items():
            for name, power in monomial:
                c = c * Fraction(values[name]) ** power
            total += c
        return total

    def unknowns(self) -> frozenset[str]:
        return frozenset(name for monomial in self.terms for name, _ in monomial)

    def __repr__(self) -> str:
        def one(monomial: Monomial, c: Fraction) -> str:
            powers = [name if k == 1 else f"{name}^{k}" for name, k in monomial]
            return " ".join(([] if c == 1 and powers else [str(c)]) + powers)

        return " + ".join(one(m, c) for m, c in sorted(self.terms.items())) or "0"


def _exact(value: Any) -> Fraction:
    """A number as a fraction, NumPy's own too. Raises `InvalidInput` for NaN, infinity, and what is no number."""
    value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(value, numbers.Integral | np.bool_):
        return Fraction(int(value))
    if isinstance(value, numbers.Rational):
        return Fraction(value)
    if isinstance(value, float | np.floating) and np.isfinite(value):
        return Fraction(*value.as_integer_ratio())
    expected, do = "polynomials, whole numbers, fractions or finite floats", "give one of these for each entry"
    raise InvalidInput(sentence("Polynomial.of(value)", expected, f"{value!r:.40}", do))


def _times(m1: Monomial, m2: Monomial) -> Monomial:
    if not m1 or not m2:
        return m1 or m2
    powers = dict(m1)
    for name, k in m2:
        powers[name] = powers.get(name, 0) + k
    return tuple(sorted(powers.items()))
