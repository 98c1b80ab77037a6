"""Identities proved by expanding both sides as polynomials with rational coefficients.

Two polynomials are equal as functions on any open set exactly where their coefficients are equal; nothing is sampled.
An `Expression` keeps, beside its expansion, the tree as it was written, which is what a certificate carries: a checker
can then evaluate both sides itself. A tree is plain data:

    ["letter", "s"]   ["number", "16/27"]   ["+", a, b]   ["*", a, b]   ["^", a, 2]   ["d", a, "s"] for da/ds
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mathdnn.backprop.polynomials import Polynomial
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Assumption, Certificate, Counterexample, Equality, Plain, Verdict, proved, refuted

IDENTITY, FAILS = "polynomial-identity", "polynomial-identity-fails"


@dataclass(frozen=True, eq=False)
class Expression:
    """What was written (`tree`, plain data) and what it expands to (`value`); equal where the expansions are."""

    tree: list[Plain]
    value: Polynomial

    @classmethod
    def of(cls, value: Any) -> Expression:
        if isinstance(value, Expression):
            return value
        number = Fraction(value)
        return cls(["number", str(number)], Polynomial.of(number))

    def __add__(self, other: Any) -> Expression:
        other = Expression.of(other)
        return Expression(["+", self.tree, other.tree], self.value + other.value)

    def __radd__(self, other: Any) -> Expression:
        return Expression.of(other) + self

    def __mul__(self, other: Any) -> Expression:
        other = Expression.of(other)
        return Expression(["*", self.tree, other.tree], self.value * other.value)

    def __rmul__(self, other: Any) -> Expression:
        return Expression.of(other) * self

    def __neg__(self) -> Expression:
        return -1 * self

    def __sub__(self, other: Any) -> Expression:
        return self + -Expression.of(other)

    def __rsub__(self, other: Any) -> Expression:
        return Expression.of(other) + -self

    def __eq__(self, other: object) -> bool:
        return self.value == Expression.of(other).value

    def __hash__(self) -> int:
        return hash(self.value)


def letter(name: str) -> Expression:
    """The expression that is one letter."""
    return Expression(["letter", name], Polynomial.unknown(name))


def power(value: Expression, exponent: int) -> Expression:
    """value^exponent, for exponent >= 0."""
    return Expression(["^", value.tree, exponent], _power(value.value, exponent))


def derivative(value: Expression, name: str) -> Expression:
    """d value / d name."""
    total = Polynomial.of(0)
    for monomial, coefficient in value.value.terms.items():
        powers = dict(monomial)
        exponent = powers.pop(name, 0)
        rest = Polynomial({tuple(sorted(powers.items())): coefficient * exponent})
        total = total + rest * _power(Polynomial.unknown(name), max(exponent - 1, 0))
    return Expression(["d", value.tree, name], total)


def _power(value: Polynomial, exponent: int) -> Polynomial:
    return value * _power(value, exponent - 1) if exponent else Polynomial.of(1)


def prove_identity(claim: str, left: Any, right: Any, *, assumptions: tuple[Assumption, ...] = ()) -> Verdict:
    """Proved where both sides have the same coefficients; else refuted at a point where they differ."""
    left, right = Expression.of(left), Expression.of(right)
    sides = {"left": left.tree, "right": right.tree}
    if left == right:
        certificate = Certificate(IDENTITY, f"expanded, both sides are {written(left.value)}", sides)
        return sealed(proved(claim, certificate, assumptions=assumptions, equality=Equality.REALS))
    names = sorted(left.value.unknowns() | right.value.unknowns())
    at = _where_nonzero(left.value - right.value, names)
    values = [str(side.value.at(at)) for side in (left, right)]
    point = {name: str(value) for name, value in at.items()}
    where = ", ".join(f"{name} = {value}" for name, value in point.items()) or "every point"
    statement = f"At {where}: {values[0]} on the left, {values[1]} on the right."
    evidence = Counterexample(statement, point, values[1], values[0], {"kind": FAILS, **sides})
    return sealed(refuted(claim, evidence, assumptions=assumptions))


def written(value: Polynomial) -> str:
    """The polynomial as one writes it by hand: 2 - 4 s + s^2."""
    return re.sub(r"(?<![\w/^])1 (?=[A-Za-z])", "", f"{value!r}").replace("+ -", "- ")


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
