"""Checks the formulas of `check_exact` by arithmetic modulo a prime, with code of its own.

A counterexample is one point, and is computed there in rationals. The two sides of a formula are polynomials with
rational coefficients in the entries of A_l, b_l and x (and, where sigma is any, in sigma and sigma' of every unit). At
a random point modulo p = 2^61 - 1 two different ones of degree d agree with probability at most d/p (Schwartz 1980,
Zippel 1979); d stays under 2^12 here, and four points are taken, so a wrong formula passes with probability under
2^-190. The truth is a derivative by dual numbers, scalar by scalar.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from fractions import Fraction
from typing import Any

import msgspec

from mathdnn.verdict import Certificate, Counterexample, Verdict
from mathdnn.verify.typed import holds

Answer = tuple[bool | None, str]
KINDS = ("polynomial identity", "a wrong entry")
P = (1 << 61) - 1
TEXTS = {
    "dyL/dbL": ("dy_L/db_L = I", "L", "b", True),
    "dyL/dyL-1": ("dy_L/dy_{L-1} = A_L", "L", "y", True),
    "dyl/dbl": ("dy_l/db_l = diag(sigma'(z_l))", "l", "b", False),
    "dyl/dyl-1": ("dy_l/dy_{l-1} = diag(sigma'(z_l)) A_l", "l", "y", False),
    "dyL/dAL": ("dy_L[i]/dA_L[j,k] = [i = j] y_{L-1}[k]", "L", "A", True),
    "dyL/dAl": ("dy_L[i]/dA_l[j,k] = (dy_L/dy_l)[i,j] sigma'(z_l)[j] y_{l-1}[k]", "L", "A", False),
    "dyL/dbl": ("dy_L/db_l = (dy_L/dy_l) diag(sigma'(z_l))", "L", "b", False),
    "dyL/dx": ("dy_L/dx = A_L diag(sigma'(z_{L-1})) A_{L-1} ... diag(sigma'(z_1)) A_1", "L", "x", True),
}


def check(verdict: Verdict) -> Answer:
    """(True, "") where the formula holds, (False, why) where not, (None, why) for a formula that is not in the list."""
    evidence = verdict.evidence
    if not isinstance(evidence, Certificate | Counterexample):
        return None, "there is no certificate or counterexample in it"
    data = {key: value for key, value in evidence.data.items() if key != "seal"}
    bare = msgspec.structs.replace(verdict, evidence=msgspec.structs.replace(evidence, data=data))
    if hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest() != evidence.data.get("seal"):
        return False, "the seal does not fit: the file was changed"
    try:
        return _check(verdict, data) if isinstance(evidence, Certificate) else _wrong_entry(evidence)
    except (
        KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, SyntaxError, MemoryError, RecursionError,
    ) as error:  # fmt: skip
        return False, f"the evidence is malformed ({type(error).__name__}: {str(error)[:80]})"


def _check(verdict: Verdict, d: dict[str, Any]) -> Answer:
    if d["formula"] not in TEXTS:
        return None, f"{d['formula']!r} is not a formula that the checker knows"
    text, output, by, last = TEXTS[d["formula"]]
    widths = [int(n) for n in d["widths"]]
    if not 3 <= len(widths) <= 6 or min(widths) < 1 or sum(a * b for a, b in itertools.pairwise(widths)) > 64:
        return False, f"the widths {widths} are not those of a small network"
    cs = None if d["coefficients"] is None else [Fraction(c) for c in d["coefficients"]]
    typed = str(d["text"]).removeprefix(f"{d['formula']} = ") if d["text"] != text else ""
    text = f"{d['formula']} = {typed}" if typed else text
    which = "every differentiable sigma" if cs is None else f"sigma = {d['sigma']}"
    if verdict.claim != f"{text} for every {'-'.join(map(str, widths))} perceptron and {which}" or d["text"] != text:
        return False, "the evidence is for another claim"
    if cs is not None and d["sigma"] != "polynomial " + " + ".join(f"{c} t^{k}" for k, c in enumerate(cs)):
        return False, "sigma is not the polynomial of these coefficients"
    if typed:
        why = holds(typed, output, by, last, widths, cs, d["entries"])
        return not why, why or f"{text}, at random points"
    compared = 0
    for round_ in range(4):
        net = _Net(widths, cs, random.Random(f"{round_} {d['formula']} {widths}"))
        for l in [net.L] if last else range(1, net.L):  # noqa: E741
            compared += net.compare(d["formula"], output, by, l)
    if compared != 4 * d["entries"]:
        return False, f"{compared // 4} entries were compared, not {d['entries']}"
    return True, ""


def _wrong_entry(evidence: Counterexample) -> Answer:
    """The derivative at the given numbers, in rationals by dual numbers: it is what was found, not what was claimed."""
    d, l = evidence.data, int(evidence.input["layer"])  # noqa: E741
    widths, cs = [int(n) for n in d["widths"]], [Fraction(c) for c in d["coefficients"]]
    point = {name: Fraction(value) for name, value in evidence.input["point"].items()}
    i, *index = d["entry"]
    moving = {"A": f"A{l}_" + "_".join(map(str, index)), "b": f"b{l}_{index[0]}", "x": f"x_{index[0]}"}.get(d["by"])
    if (moving is not None and moving not in point) or not 1 <= l < len(widths):
        return False, "the entry is not one of the network"
    y = [(point[f"x_{k + 1}"], Fraction(moving == f"x_{k + 1}")) for k in range(widths[0])]
    for m in range(1, (len(widths) - 1 if d["output"] == "L" else l) + 1):
        if d["by"] == "y" and m == l:
            y = [(value, Fraction(k + 1 == index[0])) for k, (value, _) in enumerate(y)]
        z = []
        for j in range(1, widths[m] + 1):
            value, slope = point[f"b{m}_{j}"], Fraction(moving == f"b{m}_{j}")
            for k, (v, dv) in enumerate(y, start=1):
                a, name = point[f"A{m}_{j}_{k}"], f"A{m}_{j}_{k}"
                value, slope = value + a * v, slope + a * dv + (v if moving == name else 0)
            z.append((value, slope))
        y = z if m == len(widths) - 1 else [_dual(cs, t, dt) for t, dt in z]
    found, claimed = Fraction(evidence.found), Fraction(evidence.claimed)
    if y[i - 1][1] != found:
        return False, f"the derivative is {y[i - 1][1]} there, not {found}"
    return (True, "") if claimed != found else (False, "the formula is right there")


def _dual(cs: list[Fraction], z: Fraction, dz: Fraction) -> tuple[Fraction, Fraction]:
    """The polynomial with these coefficients at z + dz e."""
    value = slope = Fraction(0)
    for c in reversed(cs):
        value, slope = value * z + c, slope * z + value * dz
    return value, slope


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
