"""Sizes of a certificate along a class of images (H0 + p n) x (W0 + q m), as their values on a grid of n and m.

A polynomial in n and m of degree at most `DEGREE` in each is its values for n, m = 0 ... DEGREE. In Newton's form, the
sum of c[j,k] binomial(n, j) binomial(m, k), the c are differences of these values: it is 0 everywhere where all c are
0, at least c[0,0] everywhere where no other c is negative, and leaves one remainder modulo d everywhere where d divides
every other c.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mathdnn.verify.numbers import Malformed, TooMany

DEGREE = 4
_PIECES = 1 << 16  # of expressions and conditions along one class, which take seconds
_LARGEST = 1 << 60  # a size, which without an end would grow with every product
Size = np.ndarray  # (DEGREE + 1, DEGREE + 1) whole numbers


def newton(size: Size) -> Size:
    """The coefficients c[j,k]."""
    made = size.copy()
    for _ in range(2):
        for k in range(1, DEGREE + 1):
            made[k:] = made[k:] - made[k - 1 : -1]
        made = made.T
    return made


def differs(a: Size, b: Size) -> bool:
    return bool((a != b).any())


def least(size: Size) -> int | None:
    """The value at n = m = 0 where it is the smallest, else None."""
    c = newton(size)
    rest = c.ravel()[1:]
    return int(c[0, 0]) if all(value >= 0 for value in rest) else None


def whole(value: int) -> Size:
    return np.full((DEGREE + 1, DEGREE + 1), value, dtype=object)


class Grid:
    """A class of sizes; `size` reads an expression, `holds` a condition."""

    def __init__(self, start: tuple[int, int], period: tuple[int, int]) -> None:
        self.start, self.period, self.left = start, period, _PIECES
        steps = np.array([[k] * (DEGREE + 1) for k in range(DEGREE + 1)], dtype=object)
        self.axes = [start[0] + period[0] * steps, start[1] + period[1] * steps.T]

    def size(self, expression: Any) -> Size:
        made, degree = self._read(expression, 0)
        if degree > DEGREE:
            raise Malformed("a size of too high a degree")
        return made

    def _spend(self, pieces: int) -> None:
        self.left -= pieces
        if self.left < 0:
            raise TooMany(f"its sizes are written in more than {_PIECES:,} pieces, which are checked one by one")

    def _read(self, expression: Any, depth: int) -> tuple[Size, int]:
        """(values, degree in n and m together)."""
        if depth > 30:
            raise Malformed("a size nested too deep")
        self._spend(1)
        if type(expression) is int:
            return whole(expression), 0
        if expression in ("H", "W"):
            return self.axes["HW".index(expression)], 1
        operator, *parts = expression
        read = [self._read(part, depth + 1) for part in parts]
        values, degrees = [part[0] for part in read], [part[1] for part in read]
        if operator == "+":
            return sum(values[1:], values[0]), max(degrees)
        if operator == "*":
            made = values[0]
            for value in values[1:]:
                made = made * value
                if abs(made).max() > _LARGEST:
                    raise Malformed("a size too large")
            if sum(degrees) > DEGREE:
                raise Malformed("a size of too high a degree")
            return made, sum(degrees)
        if operator in ("//", "%"):
            return self._divided(operator, values, degrees)
        if operator in ("max", "min"):
            return self._extreme(operator, values), max(degrees)
        raise Malformed(f"a size with {operator!r:.20}")

    def _divided(self, operator: str, values: list[Size], degrees: list[int]) -> tuple[Size, int]:
        value, by = values
        if degrees[1]:
            return self._by_size(operator, value, by, max(degrees))
        divisor = int(by[0, 0])
        if divisor < 1 or any(c % divisor for c in newton(value).ravel()[1:]):
            raise Malformed("a division whose remainder is not the same along the class")
        return (value // divisor, degrees[0]) if operator == "//" else (value % divisor, 0)

    def _by_size(self, operator: str, value: Size, by: Size, degree: int) -> tuple[Size, int]:
        """By a size that grows: value = c by + r with 0 <= r < by everywhere, for the c that it is at the start."""
        times = int(value[0, 0]) // max(1, int(by[0, 0]))
        rest = value - times * by
        lowest, gap = least(rest), least(by - rest)
        if lowest is None or lowest < 0 or gap is None or gap < 1:
            raise Malformed("a quotient of two sizes that changes along the class")
        return (whole(times), 0) if operator == "//" else (rest, degree)

    def _extreme(self, operator: str, values: list[Size]) -> Size:
        self._spend(len(values) ** 2)
        for value in values:
            gaps = [least(value - other if operator == "max" else other - value) for other in values]
            if all(gap is not None and gap >= 0 for gap in gaps):
                return value
        raise Malformed("a largest size that changes along the class")

    def holds(self, guard: Any, depth: int = 0) -> bool:
        """Whether a condition holds on the whole class, as far as signs of coefficients show."""
        if isinstance(guard, bool):
            return guard
        operator, *parts = guard
        if depth > 30:
            raise Malformed("a condition nested too deep")
        self._spend(1)
        if operator in ("and", "or"):
            each = [self.holds(part, depth + 1) for part in parts]
            return all(each) if operator == "and" else any(each)
        a, b = (self.size(part) for part in parts)
        if operator in ("<", "<="):
            a, b, operator = b, a, {"<": ">", "<=": ">="}[operator]
        up, down = least(a - b), least(b - a)
        if operator == "==":
            return not differs(a, b)
        if operator == "!=":
            return (up is not None and up > 0) or (down is not None and down > 0)
        if operator in (">", ">="):
            return up is not None and up >= (operator == ">")
        raise Malformed(f"a condition with {operator!r:.20}")
