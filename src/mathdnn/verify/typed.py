"""Checks a derivative that a person typed: the formula's text is evaluated again, with code of its own.

Both sides are polynomials with rational coefficients in the entries of A_l, b_l and x (and, where sigma is any, in
sigma and sigma' of every unit). For a text of 400 characters their degree d is at most 400 times that of y_L: below
2^26, as L <= 5 and sigma's degree is below 16. They are evaluated at random points modulo random primes p of 128 bits,
drawn by the system, so no formula can be made to fit them: two different ones agree with probability at most d / p at a
point (Schwartz 1980, Zippel 1979), and numbers of d times all digits of sigma's coefficients, below 2^41 bits, leave
one remainder for fewer than 2^35 of the 2^120 such primes. Exact numbers of that length would take hours.

Legend as in the provers: y and b are columns, s[l] = sigma'(z_l), G[l] = dy_L/dy_l, l < L unless it is the last. Entry
by entry, a vector (s) that meets a column is one.
"""

from __future__ import annotations

import ast
import itertools
import random
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

POINTS = 2
LONGEST = 400
_LARGEST = 1 << 20  # products of one operation
_ALL = 1 << 20  # numbers in all pieces of a formula, for every l, and products of its matrices


class Unreadable(ValueError):
    """A text that is no formula, or one too large to evaluate."""


class Residue:
    """A number modulo a prime, among others of the same prime and whole numbers."""

    __slots__ = ("p", "value")

    def __init__(self, value: int, p: int) -> None:
        self.value, self.p = value % p, p

    def __add__(self, other: Any) -> Residue:
        return Residue(self.value + _whole(other), self.p)

    def __mul__(self, other: Any) -> Residue:
        return Residue(self.value * _whole(other), self.p)

    def __neg__(self) -> Residue:
        return Residue(-self.value, self.p)

    def __sub__(self, other: Any) -> Residue:
        return Residue(self.value - _whole(other), self.p)

    def __rsub__(self, other: Any) -> Residue:
        return Residue(_whole(other) - self.value, self.p)

    def __pow__(self, exponent: int) -> Residue:
        return Residue(pow(self.value, exponent, self.p), self.p)

    def __eq__(self, other: object) -> bool:
        return bool((self.value - _whole(other)) % self.p == 0)

    __radd__, __rmul__ = __add__, __mul__
    __hash__ = None  # type: ignore[assignment]


def _whole(number: Any) -> int:
    return int(number.value if isinstance(number, Residue) else number)


class Field:
    """The numbers modulo a random prime of 128 bits (a Fermat test to eight random bases: a random odd number that is
    none passes it far more rarely than the checks err)."""

    def __init__(self) -> None:
        self.generator, self.p = random.SystemRandom(), 4
        while any(pow(self.generator.randrange(2, self.p - 1), self.p - 1, self.p) != 1 for _ in range(8)):
            self.p = self.generator.randrange(2**127 + 1, 2**128, 2)

    def of(self, number: Fraction) -> Residue:
        return Residue(number.numerator * pow(number.denominator, -1, self.p), self.p)

    def anywhere(self, _: str) -> Residue:
        return Residue(self.generator.randrange(self.p), self.p)


class Network:
    """A network at one point of a field: A[l], b[l], y[l], s[l] as arrays of numbers modulo its prime.

    `entry(name)` is the value of A{l}_{j}_{k}, b{l}_{j}, x_{k}, each counted from 1, and, where sigma is any
    (None), of s{l}_{j} = sigma(z_l[j]) and d{l}_{j} = sigma'(z_l[j])."""

    def __init__(
        self, widths: list[int], sigma: list[Fraction] | None, field: Field, entry: Callable[[str], Residue]
    ) -> None:
        if len(sigma or []) > 16:
            raise ValueError("a polynomial too long")
        cs = None if sigma is None else [field.of(c) for c in sigma]

        def draw(name: str, *shape: int) -> np.ndarray:
            made = np.empty(shape, dtype=object)
            for index in np.ndindex(*shape):
                made[index] = entry("_".join([name, *(str(i + 1) for i in index)]))
            return made

        self.room = _ALL
        self.L = len(widths) - 1
        sizes = enumerate(itertools.pairwise(widths), start=1)
        self.A: list[Any] = [None, *(draw(f"A{k}", n, m) for k, (m, n) in sizes)]
        self.b: list[Any] = [None, *(draw(f"b{k}", n) for k, n in enumerate(widths[1:], start=1))]
        self.y: list[Any] = [draw("x", widths[0])]
        self.s: list[Any] = [None]
        for l in range(1, self.L + 1):  # noqa: E741
            z = self.A[l] @ self.y[-1] + self.b[l]
            if l == self.L:
                self.y.append(z)
            elif cs is None:
                self.y.append(draw(f"s{l}", len(z)))
                self.s.append(draw(f"d{l}", len(z)))
            else:
                self.y.append(sum((z**k * c for k, c in enumerate(cs)), 0 * z))
                self.s.append(sum((z ** (k - 1) * (k * c) for k, c in enumerate(cs) if k), 0 * z))

    def derivative(self, by: str, l: int, index: tuple[int, ...], output: int) -> np.ndarray:  # noqa: E741
        """d y_output / d one entry of A_l, b_l, y_{l-1} or x: forward, layer by layer."""
        first = 1 if by == "x" else l
        dy = np.array([int(by in "xy" and (k,) == index) for k in range(len(self.y[first - 1]))], dtype=object)
        for m in range(first, output + 1):
            dz = self.A[m] @ dy
            if m == l and by == "A":
                dz[index[0]] += self.y[m - 1][index[1]]
            if m == l and by == "b":
                dz[index[0]] += 1
            dy = dz if m == self.L else self.s[m] * dz
        return np.asarray(dy)

    def down(self, l: int) -> np.ndarray:  # noqa: E741
        """G[l], a column of it for each unit of layer l."""
        if l == self.L:
            return np.array([[int(i == j) for j in range(len(self.b[l]))] for i in range(len(self.b[l]))], dtype=object)
        columns = [self.derivative("y", l + 1, (k,), self.L) for k in range(len(self.y[l]))]
        return np.stack(columns, axis=1)


def read(text: str) -> ast.expr:
    """The tree of a formula's text. Raises `Unreadable`, or SyntaxError."""
    if not 0 < len(text) <= LONGEST or "#" in text or re.search("[0-9][A-Za-z_]", text):
        raise Unreadable("a text too long, with a comment, or with a number that goes on with letters, as 0b_1")
    return ast.parse(text, mode="eval").body


def value(tree: ast.expr, net: Network, l: int, right: tuple[int, ...]) -> np.ndarray:  # noqa: E741
    """The formula for this l. One output may leave out its index, the first of the Jacobian's shape `right`, and a
    Jacobian of one entry may be a number."""
    found = np.asarray(_value(tree, net, l), dtype=object)
    short = right[0] == 1 and (found.shape == right[1:] or (found.size == 1 and set(right) == {1}))
    return found.reshape(right) if short else found


def holds(
    text: str, output: str, by: str, last: bool, widths: list[int], cs: list[Fraction] | None, entries: int
) -> str:
    """Nothing where the formula is the derivative, entry by entry, else why not. Raises ValueError and its like."""
    tree = read(text)
    for _ in range(POINTS):
        field, compared = Field(), 0
        net = Network(widths, cs, field, field.anywhere)
        for l in [net.L] if last else range(1, net.L):  # noqa: E741
            out = l if output == "l" else net.L
            shape = parameter(by, widths, l)
            found = value(tree, net, l, (widths[out], *shape))
            if found.shape != (widths[out], *shape):
                return f"the formula has the shape {found.shape} for l = {l}, not {(widths[out], *shape)}"
            for index in np.ndindex(*shape):
                if (found[(slice(None), *index)] != net.derivative(by, l, index, out)).any():
                    return f"the formula is not the derivative for l = {l} at {index}"
                compared += widths[out]
        if compared != entries:
            return f"{compared} entries were compared, not {entries}"
    return ""


def parameter(by: str, widths: list[int], l: int) -> tuple[int, ...]:  # noqa: E741
    """The shape of A_l, b_l, y_{l-1} or x."""
    return {"A": (widths[l], widths[l - 1]), "b": (widths[l],), "y": (widths[l - 1],), "x": (widths[0],)}[by]


def _value(node: ast.AST, net: Network, l: int) -> Any:  # noqa: E741
    """A piece of the formula. Raises `Unreadable` where all of them together are too much."""
    made = _piece(node, net, l)
    net.room -= np.size(made)
    if net.room < 0:
        raise Unreadable("a formula whose pieces are too large together")
    return made


def _piece(node: ast.AST, net: Network, l: int) -> Any:  # noqa: E741
    match node:
        case ast.Constant(value=int(number)) if type(number) is int and abs(number) <= 1000:
            return number
        case ast.Name(id="l" | "L" as name):
            return l if name == "l" else net.L
        case ast.Name(id="I"):
            return net.down(net.L)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, net, l)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, net, l), _value(right, net, l)
            net.room -= np.size(a) * np.size(b) if isinstance(op, ast.MatMult) else 0
            return _combined(op, a, b)
        case ast.Attribute(value=value, attr="T"):
            return np.asarray(_value(value, net, l), dtype=object).transpose()
        case ast.Subscript(value=ast.Name(id="A" | "b" | "y" | "s" | "G" as name), slice=place):
            return _named(name, _value(place, net, l), net)
        case ast.Call(func=ast.Name(id="diag"), args=[vector], keywords=[]):
            entries = np.asarray(_value(vector, net, l), dtype=object)
            if sorted(entries.shape)[:-1] == [1]:  # a column, or a row
                entries = entries.reshape(-1)
            if entries.ndim == 1 and entries.size**2 > _LARGEST:
                raise Unreadable("arrays too large")
            return np.diag(entries)
        case ast.Call(func=ast.Name(id="outer"), args=[a, b], keywords=[]):
            table, entries = (np.asarray(_value(part, net, l), dtype=object) for part in (a, b))
            if table.shape[1:] == (1,) and len(table) not in (1, len(net.b[net.L])):  # u (x) y of two columns is u y^T
                table = table.reshape(-1)
            return _combined(ast.Mult(), table[..., None], entries.reshape((1,) * table.ndim + (-1,)))
    raise Unreadable(f"{ast.dump(node)[:60]} is no piece of a formula")


def _named(name: str, place: Any, net: Network) -> Any:
    if type(place) is not int or not 0 <= place <= net.L:
        raise ValueError(f"{name}[{place!r:.20}] is not there")
    if name == "G":
        return net.down(place)
    found = getattr(net, name)[place]  # an IndexError where there is none
    if found is None:
        raise ValueError(f"{name}[{place}] is not there")
    return found[:, None] if name in "by" else found


def _upright(a: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """A vector as a column where it stands beside one, of more than one entry each."""
    n, shape = a.size, beside.shape
    if a.ndim != 1 or len(shape) != 2 or shape[1] != 1 or n == 1 or shape[0] == 1:
        return a
    if shape[0] != n:
        raise ValueError(f"{n} entries beside a column of {shape[0]}")
    return a.reshape(n, 1)


def _combined(op: ast.operator, a: Any, b: Any) -> Any:
    if np.size(a) * np.size(b) > _LARGEST:
        raise Unreadable("arrays too large")
    a, b = np.asarray(a, dtype=object), np.asarray(b, dtype=object)
    if isinstance(op, ast.MatMult):
        return np.matmul(a, b)
    a, b = _upright(a, b), _upright(b, a)
    if isinstance(op, ast.Mult):
        return a * b
    if isinstance(op, ast.Add):
        return a + b
    if isinstance(op, ast.Sub):
        return a - b
    raise Unreadable(f"{type(op).__name__} is no operation of a formula")
