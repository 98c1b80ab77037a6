"""Identities proved by expanding both sides as polynomials with rational coefficients.

Two polynomials are equal as functions on any open set exactly where their coefficients are equal; nothing is sampled.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from mathdnn.backprop.polynomials import Polynomial
from mathdnn.verdict import Assumption, Certificate, Counterexample, Equality, Verdict, proved, refuted


def letter(name: str) -> Polynomial:
    """The polynomial that is one letter."""
    return Polynomial.unknown(name)


def power(value: Polynomial, exponent: int) -> Polynomial:
    """value^exponent, for exponent >= 0."""
    return value * power(value, exponent - 1) if exponent else Polynomial.of(1)


def derivative(value: Polynomial, name: str) -> Polynomial:
    """d value / d name."""
    total = Polynomial.of(0)
    for monomial, coefficient in value.terms.items():
        powers = dict(monomial)
        exponent = powers.pop(name, 0)
        rest = Polynomial({tuple(sorted(powers.items())): coefficient * exponent})
        total = total + rest * power(letter(name), max(exponent - 1, 0))
    return total


def prove_identity(claim: str, left: Any, right: Any, *, assumptions: tuple[Assumption, ...] = ()) -> Verdict:
    """Proved where both sides have the same coefficients; else refuted at a point where they differ."""
    left, right = Polynomial.of(left), Polynomial.of(right)
    if left == right:
        method = f"expanded, both sides are {left!r}"
        certificate = Certificate("polynomial-identity", method, {"left": repr(left), "right": repr(right)})
        return proved(claim, certificate, assumptions=assumptions, equality=Equality.REALS)
    at = _where_nonzero(left - right, sorted(left.unknowns() | right.unknowns()))
    values = [str(side.at(at)) for side in (left, right)]
    point = {name: str(value) for name, value in at.items()}
    where = ", ".join(f"{name} = {value}" for name, value in point.items()) or "every point"
    statement = f"At {where}: {values[0]} on the left, {values[1]} on the right."
    return refuted(claim, Counterexample(statement, point, values[1], values[0]), assumptions=assumptions)


def _where_nonzero(value: Polynomial, names: list[str]) -> dict[str, Fraction]:
    """A point with coordinates 1, 1/2, 1/3, ... where a nonzero polynomial is not 0.

    Letter by letter: a nonzero polynomial of degree n in a letter keeps a nonzero coefficient at one of n + 1 values.
    """
    at: dict[str, Fraction] = {}
    for name in names:
        candidate = 1
        while not (fixed := _fix(value, name, Fraction(1, candidate))).terms:
            candidate += 1
        value, at[name] = fixed, Fraction(1, candidate)
    return at


def _fix(value: Polynomial, name: str, number: Fraction) -> Polynomial:
    total = Polynomial.of(0)
    for monomial, coefficient in value.terms.items():
        powers = dict(monomial)
        scale = number ** powers.pop(name, 0)
        total = total + Polynomial({tuple(sorted(powers.items())): coefficient * scale})
    return total
