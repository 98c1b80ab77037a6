"""Sizes that grow: expressions in the height and width of an image, followed along a class of sizes.

A class holds all sizes (H + p n, W + q m) with n, m = 0, 1, 2, ...: it starts at (H, W) and grows in periods (p, q).
Along a class an expression made of H, W, +, -, *, // and % becomes a polynomial in n and m with whole coefficients,
wherever every divisor divides what grows; there two sizes are equal for all n, m exactly where the polynomials are, and
a polynomial whose coefficients are all of one sign has that sign everywhere. What does not become a polynomial is not
decided (`Unclear`).

Expressions are plain data: a whole number, "H", "W", or [operator, argument, ...].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mathdnn.verdict import Plain

Poly = dict[tuple[int, int], int]  # {(power of n, power of m): coefficient}, no coefficient 0


class Unclear(Exception):
    """Not shown for all sizes; the message says why, in words that fit after "because"."""


@dataclass(frozen=True)
class Class:
    """All sizes `start` + `period` * (n, m)."""

    start: tuple[int, int]
    period: tuple[int, int]

    def poly(self, expression: Plain) -> Poly:
        """The expression along the class. Raises `Unclear`."""
        if type(expression) is int:
            return {(0, 0): expression} if expression else {}
        if expression in ("H", "W"):
            axis = "HW".index(expression)
            made = {(0, 0): self.start[axis], (1 - axis, axis): self.period[axis]}
            return {key: value for key, value in made.items() if value}
        if not isinstance(expression, list) or len(expression) < 2:
            raise Unclear(f"a size is {expression!r:.40}")
        operator, *arguments = expression
        parts = [self.poly(argument) for argument in arguments]
        if operator in ("+", "*"):
            made = parts[0]
            for part in parts[1:]:
                made = add(made, part) if operator == "+" else multiply(made, part)
            return made
        if operator in ("//", "%"):
            return _divided(parts[0], parts[1], operator)
        if operator in ("max", "min"):
            return _extreme(parts, operator == "max")
        raise Unclear(f"a size holds {operator}")

    def holds(self, guard: Plain) -> bool:
        """Whether a condition is shown to hold on the whole class. Raises `Unclear` where a side is no polynomial."""
        if isinstance(guard, bool):
            return guard
        operator, *arguments = guard
        if operator == "and":
            return all(self.holds(part) for part in arguments)
        if operator == "or":
            return any(self.holds(part) for part in arguments)
        difference = subtract(self.poly(arguments[0]), self.poly(arguments[1]))
        return bool(_SHOWN[operator](difference))


def add(a: Poly, b: Poly) -> Poly:
    made = {key: a.get(key, 0) + b.get(key, 0) for key in {**a, **b}}
    return {key: value for key, value in made.items() if value}


def multiply(a: Poly, b: Poly) -> Poly:
    made: Poly = {}
    for (i, j), value in a.items():
        for (k, l), other in b.items():  # noqa: E741
            made[i + k, j + l] = made.get((i + k, j + l), 0) + value * other
    return {key: value for key, value in made.items() if value}


def subtract(a: Poly, b: Poly) -> Poly:
    return add(a, {key: -value for key, value in b.items()})


def number(poly: Poly) -> int | None:
    """The constant that a polynomial is, or None where it grows."""
    return poly.get((0, 0), 0) if set(poly) <= {(0, 0)} else None


def _divided(a: Poly, b: Poly, operator: str) -> Poly:
    """floor(a / d) and a mod d for a whole number d that divides every coefficient of a but the constant."""
    divisor = number(b)
    if divisor is None:
        return _divided_by_size(a, b, operator)
    if divisor < 1 or any(value % divisor for key, value in a.items() if key != (0, 0)):
        raise Unclear("a size is divided with a remainder that is not the same along the class")
    constant = a.get((0, 0), 0)
    if operator == "%":
        return {(0, 0): constant % divisor} if constant % divisor else {}
    return {key: part for key, value in a.items() if (part := value // divisor)}


def _divided_by_size(a: Poly, b: Poly, operator: str) -> Poly:
    """The same by what grows, where a = c b + r for one whole number c and 0 <= r < b everywhere: W // (W // 2) is 2.
    That c can only be what it is at the start."""
    times = a.get((0, 0), 0) // max(1, b.get((0, 0), 0))
    rest = subtract(a, {k: times * value for k, value in b.items()} if times else {})
    if not at_least(rest, 0) or not at_least(subtract(b, rest), 1):
        raise Unclear("a size is divided by another, and the quotient is not the same along the class")
    if operator == "%":
        return rest
    return {(0, 0): times} if times else {}


def _extreme(parts: list[Poly], largest: bool) -> Poly:
    best = parts[0]
    for part in parts[1:]:
        difference = subtract(part, best) if largest else subtract(best, part)
        if at_least(difference, 0):
            best = part
        elif not at_least({key: -value for key, value in difference.items()}, 0):
            raise Unclear("which of two sizes is larger changes along the class")
    return best


def at_least(poly: Poly, least: int) -> bool:
    """Whether the polynomial is at least `least` everywhere, shown by its signs."""
    return poly.get((0, 0), 0) >= least and all(value > 0 for key, value in poly.items() if key != (0, 0))


def _negated(poly: Poly) -> Poly:
    return {key: -value for key, value in poly.items()}


_SHOWN: dict[str, Any] = {
    "==": lambda d: not d,
    "!=": lambda d: at_least(d, 1) or at_least(_negated(d), 1),
    ">=": lambda d: at_least(d, 0),
    ">": lambda d: at_least(d, 1),
    "<=": lambda d: at_least(_negated(d), 0),
    "<": lambda d: at_least(_negated(d), 1),
}


def divisors(expression: Plain) -> list[int]:
    """Every whole number that something is divided by inside an expression or condition."""
    if not isinstance(expression, list):
        return []
    own = [expression[2]] if expression[0] in ("//", "%") and type(expression[2]) is int else []
    return own + [divisor for part in expression[1:] for divisor in divisors(part)]
