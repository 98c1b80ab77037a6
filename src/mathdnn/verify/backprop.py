"""Checks the formulas of `check_exact` by arithmetic modulo a prime, with code of its own.

For counterexamples see `wrong_formula`. The two sides of a formula are polynomials with
rational coefficients in the entries of A_l, b_l and x (and, where sigma is any, in sigma and sigma' of every unit). At
a random point modulo p = 2^61 - 1 two different ones of degree d agree with probability at most d/p (Schwartz 1980,
Zippel 1979); d stays under 2^12 here, and four points are taken, so a wrong formula passes with probability under
2^-190. The truth is a derivative by dual numbers, scalar by scalar.
"""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from typing import Any

from mathdnn.verdict import Assumption, Certificate, Counterexample, Equality, Verdict
from mathdnn.verify import wrong_formula
from mathdnn.verify.sealing import BROKEN, seal_holds
from mathdnn.verify.typed import holds
from mathdnn.verify.wrong_formula import TEXTS, network

Answer = tuple[bool | None, str]
KINDS = ("polynomial identity", *wrong_formula.KINDS)
P = (1 << 61) - 1
_KEYS = {"formula", "text", "widths", "sigma", "coefficients", "entries", "seal"}
_WIDTHS = Assumption("this is about the given widths", "every index of the formula occurs in them")


def check(verdict: Verdict) -> Answer:
    """(True, "") where the formula holds, (False, why) where not, (None, why) for a formula that is not in the list."""
    evidence = verdict.evidence
    if not isinstance(evidence, Certificate | Counterexample):
        return None, "there is no certificate or counterexample in it"
    if not seal_holds(verdict):
        return False, BROKEN
    assumed = (_WIDTHS,) if isinstance(evidence, Certificate) else ()
    if verdict.equality is not Equality.REALS or verdict.assumptions != assumed:
        return False, "the equality or the assumptions are not what the evidence rests on"
    try:
        if isinstance(evidence, Counterexample):
            return wrong_formula.check(verdict, evidence)
        answer = _check(verdict, evidence.data)
        if answer[0] and evidence.method != _method(evidence.data):
            return False, "the method is not that of such a certificate"
        return answer
    except (
        LookupError, TypeError, ValueError, AttributeError, ArithmeticError, SyntaxError, MemoryError, RecursionError,
    ) as error:  # fmt: skip
        return False, f"the evidence is malformed ({type(error).__name__}: {str(error)[:80]})"


def _check(verdict: Verdict, d: dict[str, Any]) -> Answer:
    if set(d) != _KEYS or type(d["entries"]) is not int:
        return False, "there is more or less in it than such a certificate holds"
    if d["formula"] not in TEXTS:
        return None, f"{d['formula']!r} is not a formula that the checker knows"
    _, output, by, last = TEXTS[d["formula"]]
    widths, cs, typed, why = network(verdict.claim, d, d["coefficients"] is None)
    if cs is None and d["sigma"] != "any":
        why = why or "sigma is any, and said to be another"
    if why:
        return False, why
    if typed:
        why = holds(typed, output, by, last, widths, cs, d["entries"])
        return not why, why or f"{d['text']}, at random points"
    compared = 0
    for round_ in range(4):
        net = _Net(widths, cs, random.Random(f"{round_} {d['formula']} {widths}"))
        for l in [net.L] if last else range(1, net.L):  # noqa: E741
            compared += net.compare(d["formula"], output, by, l)
    if compared != 4 * d["entries"]:
        return False, f"{compared // 4} entries were compared, not {d['entries']}"
    return True, ""


def _method(d: dict[str, Any]) -> str:
    """How the formula was found right."""
    units = "sigma and sigma' of every unit" if d["coefficients"] is None else "the sums z of every unit"
    entries = (
        f"all {d['entries']} entries are the same polynomials" if d["entries"] > 1 else "they are the same polynomial"
    )
    return f"both sides were written out as polynomials in the weights, biases and inputs, and {units}: {entries}"


class _Net:
    """A random network modulo p: A[l][j][k], b[l][j], y[l][j], s[l][j] = sigma'(z_l[j])."""

    def __init__(self, widths: list[int], cs: list[Fraction] | None, rng: random.Random) -> None:
        def draw() -> int:
            return rng.randrange(P)

        self.n, self.L = widths, len(widths) - 1
        self.c = None if cs is None else [c.numerator * pow(c.denominator, -1, P) % P for c in cs]
        sizes = list(itertools.pairwise(widths))
        self.A: list[list[list[int]]] = [[], *([[draw() for _ in range(m)] for _ in range(n)] for m, n in sizes)]
        self.b: list[list[int]] = [[], *([draw() for _ in range(n)] for _, n in sizes)]
        self.y = [[draw() for _ in range(widths[0])]]
        self.s: list[list[int]] = [[]]
        for l in range(1, self.L + 1):  # noqa: E741
            z = [(sum(a * y for a, y in zip(row, self.y[-1], strict=True)) + b) % P
                 for row, b in zip(self.A[l], self.b[l], strict=True)]  # fmt: skip
            duals = [self._sigma(t, 1) if self.c is not None else (draw(), draw()) for t in z]
            self.y.append(z if l == self.L else [value for value, _ in duals])
            self.s.append([slope for _, slope in duals])

    def _sigma(self, z: int, dz: int) -> tuple[int, int]:
        """The given polynomial at the dual number z + dz e."""
        value = slope = 0
        for c in reversed(self.c or []):
            value, slope = (value * z + c) % P, (slope * z + value * dz) % P
        return value, slope

    def compare(self, formula: str, output: str, by: str, l: int) -> int:  # noqa: E741
        """Compare every entry; the number of them. Raises ValueError where one differs."""
        shape = {"A": (self.n[l], self.n[l - 1]), "b": (self.n[l],), "y": (self.n[l - 1],), "x": (self.n[0],)}[by]
        count = 0
        for index in itertools.product(*map(range, shape)):
            for i, truth in enumerate(self._tangent(by, l, index, l if output == "l" else self.L)):
                if (self._closed(formula, l, i, index) - truth) % P:
                    raise ValueError(f"entry {(i, *index)} differs")
                count += 1
        return count

    def _tangent(self, by: str, l: int, index: tuple[int, ...], output: int) -> list[int]:  # noqa: E741
        start = 0 if by == "x" else l - 1
        dy = [int(by in "xy" and (k,) == index) for k in range(self.n[start])]
        for m in range(start + 1, output + 1):
            dz = [sum(a * d for a, d in zip(row, dy, strict=True)) % P for row in self.A[m]]
            if m == l and by == "A":
                dz[index[0]] += self.y[m - 1][index[1]]
            if m == l and by == "b":
                dz[index[0]] += 1
            dy = dz if m == self.L else [s * d % P for s, d in zip(self.s[m], dz, strict=True)]
        return dy

    def _down(self, i: int, l: int, j: int) -> int:  # noqa: E741
        """(dy_L/dy_l)[i,j] as the sum over all paths."""
        if l == self.L:
            return int(i == j)
        through = range(self.n[l + 1])
        slopes = self.s[l + 1] if l + 1 < self.L else [1] * self.n[self.L]
        return sum(self._down(i, l + 1, m) * slopes[m] * self.A[l + 1][m][j] for m in through) % P

    def _closed(self, formula: str, l: int, i: int, index: tuple[int, ...]) -> int:  # noqa: E741
        j, k = index[0], index[-1]
        if formula == "dyL/dbL":
            return int(i == j)
        if formula == "dyL/dyL-1":
            return self.A[self.L][i][j]
        if formula == "dyl/dbl":
            return self.s[l][i] * (i == j)
        if formula == "dyl/dyl-1":
            return self.s[l][i] * self.A[l][i][j]
        if formula == "dyL/dAL":
            return (i == j) * self.y[self.L - 1][k]
        if formula == "dyL/dx":
            return self._down(i, 0, j)
        left = self._down(i, l, j) * self.s[l][j]
        return left if formula == "dyL/dbl" else left * self.y[l - 1][k]
