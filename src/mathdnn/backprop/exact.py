"""Each formula proved or refuted exactly: both sides as polynomials in all weights, biases and inputs.

Legend: one unknown for every entry of A_l, b_l and x. Two kinds of sigma:

    any      sigma(z_l[j]) and sigma'(z_l[j]) are unknowns of their own, tied by the chain rule alone:
             d sigma(z) = sigma'(z) dz. An identity in these unknowns holds for every differentiable sigma.
    given    a polynomial sigma with rational coefficients: z_l[j] is an unknown of its own, and the truth is sigma at
             the dual number z + dz e, so it never sees sigma'. What holds for every z holds for z = A y + b.

The truth is forward-mode: one tangent pushed through sums and products, scalar by scalar (`tangent`); it shares with
the matrix formulas of `literal` nothing but the forward pass. Polynomials over the rationals are equal exactly where
their coefficients are, so what is compared is a proof for this shape, not a sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mathdnn.backprop.activations import Activation
from mathdnn.backprop.literal import FORMULAS, Formula, Values
from mathdnn.backprop.polynomials import Polynomial
from mathdnn.backprop.refute import Mismatch, mismatch
from mathdnn.backprop.truth import seeds, tangent
from mathdnn.errors import InvalidInput, sentence
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Assumption, Certificate, Equality, Verdict, proved

KIND = "polynomial identity"


def check_exact(
    widths: Sequence[int] = (2, 3, 2, 2),
    sigma: Activation | None = None,
    *,
    formulas: Mapping[str, Formula] = FORMULAS,
) -> dict[str, Verdict]:
    """A verdict for each formula on a perceptron of these widths n_0..n_L (L >= 2, small).

    `sigma`: None for any differentiable sigma, or a `polynomial(...)` with rational coefficients. `formulas` can hold
    formulas of your own. Refuted: numbers for every unknown at which an entry differs.
    """
    widths = _check_widths(widths)
    values = symbolic(widths, sigma)
    return {name: sealed(_check(formula, values, widths, sigma)) for name, formula in formulas.items()}


def symbolic(widths: Sequence[int], sigma: Activation | None) -> Values:
    """The forward pass with an unknown for every entry."""
    L = len(widths) - 1
    A: list[Any] = [None] + [_unknowns(f"A{l}", (widths[l], widths[l - 1])) for l in range(1, L + 1)]  # noqa: E741
    b: list[Any] = [None] + [_unknowns(f"b{l}", (widths[l],)) for l in range(1, L + 1)]  # noqa: E741
    y, s = [_unknowns("x", (widths[0],))], [np.array([], dtype=object)]
    for layer in range(1, L + 1):
        if layer == L:
            y.append(A[layer] @ y[-1] + b[layer])
        elif sigma is None:
            y.append(_unknowns(f"s{layer}", (widths[layer],)))
            s.append(_unknowns(f"d{layer}", (widths[layer],)))
        else:
            z = _unknowns(f"z{layer}", (widths[layer],))
            y.append(_each(sigma.value, z))
            s.append(_each(sigma.derivative, z))
    return Values(A, b, y, s)


def _unknowns(name: str, shape: tuple[int, ...]) -> Any:
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        out[index] = Polynomial.unknown(name + "_" + "_".join(str(i + 1) for i in index))
    return out


def _each(f: Any, z: Any) -> Any:
    out = np.empty(len(z), dtype=object)
    out[:] = [f(entry) for entry in z]
    return out


def _check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(widths)
    whole = all(type(n) is int and n >= 1 for n in sizes)
    if not whole or not 3 <= len(sizes) <= 6 or (whole and sum(a * b for a, b in itertools.pairwise(sizes)) > 64):
        raise InvalidInput(
            sentence(
                "check_exact(widths=...)",
                "n_0..n_L with 2 <= L <= 5, each at least 1, and at most 64 weights together",
                repr(sizes)[:80],
                "take a smaller shape",
            )
        )
    return sizes


def layers_of(formula: Formula, L: int) -> range:
    """The layers l that a formula speaks of."""
    return range(L, L + 1) if formula.last else range(1, L)


def _check(formula: Formula, v: Values, widths: tuple[int, ...], sigma: Activation | None) -> Verdict:
    compared = 0
    for layer in layers_of(formula, v.L):
        closed = _shaped(formula.closed(v, layer), formula, v, layer)
        output = layer if formula.output == "l" else v.L
        for seed in seeds(formula.by, layer, widths):
            truth = tangent(v, seed, output, sigma)
            for i, true in enumerate(truth):
                entry = (i, *seed.index)
                given = _entry(closed, entry)
                if given is None or Polynomial.of(given) != true:
                    claim = _claim(formula, widths, sigma)
                    return mismatch(
                        claim, Mismatch(layer, formula.output, formula.by, entry, given, true), widths, sigma
                    )
                compared += 1
    return proved(
        _claim(formula, widths, sigma), _certificate(formula, widths, sigma, compared), equality=Equality.REALS,
        assumptions=(Assumption("this is about the given widths", "every index of the formula occurs in them"),),
    )  # fmt: skip


def _shaped(closed: Any, formula: Formula, v: Values, layer: int) -> Any:
    """The closed form as an array, or an empty one where its shape is not that of the Jacobian."""
    by = {"A": v.A[layer], "b": v.b[layer], "y": v.y[layer - 1], "x": v.y[0]}[formula.by]
    closed = np.asarray(closed, dtype=object)
    right = (len(v.y[layer if formula.output == "l" else v.L]), *by.shape)
    return closed if closed.shape == right else np.empty((0,) * len(right), dtype=object)


def _entry(closed: Any, index: tuple[int, ...]) -> Any:
    """One entry, or None where there is none."""
    return closed[index] if closed.size else None


def _claim(formula: Formula, widths: tuple[int, ...], sigma: Activation | None) -> str:
    shape = "-".join(str(n) for n in widths)
    which = "every differentiable sigma" if sigma is None else f"sigma = {sigma.name}"
    return f"{formula.text} for every {shape} perceptron and {which}"


def _certificate(formula: Formula, widths: tuple[int, ...], sigma: Activation | None, compared: int) -> Certificate:
    method = (
        f"both sides of all {compared} entries were written out as polynomials in the weights, biases and inputs, "
        f"{'sigma and sigma_prime' if sigma is None else 'and the sums z'} of every unit, and are the same polynomials"
    )
    data = {
        "formula": formula.id,
        "text": formula.text,
        "widths": list(widths),
        "sigma": "any" if sigma is None else sigma.name,
        "coefficients": None if sigma is None else [str(c) for c in sigma.coefficients or ()],
        "entries": compared,
    }
    return Certificate(KIND, method, data)
