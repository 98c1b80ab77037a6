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
from mathdnn.backprop.literal import FORMULAS, Formula, Misfit, Values
from mathdnn.backprop.polynomials import Polynomial
from mathdnn.backprop.refute import Question, wrong_entry, wrong_shape
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
    if sigma is not None and getattr(sigma, "coefficients", None) is None:
        got, do = getattr(sigma, "name", repr(sigma))[:40], "leave it out: that is about every differentiable sigma"
        raise InvalidInput(sentence("check_exact(sigma=...)", "a polynomial(...), or nothing", got, do))
    _require_formulas(formulas)
    values = symbolic(widths, sigma)
    return {name: sealed(_check(formula, values, widths, sigma)) for name, formula in formulas.items()}


def _require_formulas(formulas: Any) -> None:
    """Raise `InvalidInput` for anything but a mapping from names to `Formula`s."""
    named = isinstance(formulas, Mapping)
    wrong = [f for f in formulas.values() if not isinstance(f, Formula)] if named else [formulas]
    if wrong:
        do = "make one by typed_formula(text, of)" if named else "write {'mine': typed_formula(text, of)}"
        raise InvalidInput(sentence("check_exact(formulas=...)", "a Formula for each name", f"{wrong[0]!r:.40}", do))


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
    sizes = tuple(widths) if isinstance(widths, Sequence) else (widths,)
    whole = all(type(n) is int and n >= 1 for n in sizes)
    large = whole and (len(sizes) > 6 or sum(a * b for a, b in itertools.pairwise(sizes)) > 64)
    if not whole or len(sizes) < 3 or large:
        raise InvalidInput(
            sentence(
                "check_exact(widths=...)",
                "n_0..n_L with 2 <= L <= 5, each at least 1, and at most 64 weights together",
                repr(sizes)[:80],
                "take a smaller shape" if large else "choose other widths",
            )
        )
    return sizes


def layers_of(formula: Formula, L: int) -> range:
    """The layers l that a formula speaks of."""
    return range(L, L + 1) if formula.last else range(1, L)


def _check(formula: Formula, v: Values, widths: tuple[int, ...], sigma: Activation | None) -> Verdict:
    claim, compared = _claim(formula, widths, sigma), 0
    for layer in layers_of(formula, v.L):
        question = Question(claim, formula, layer, widths, sigma)
        truth = _truth(formula, v, layer, widths, sigma)
        try:
            given = np.asarray(formula.closed(v, layer), dtype=object)
        except Misfit as error:
            return wrong_shape(question, None, truth, str(error))
        if given.shape != truth.shape:
            return wrong_shape(question, given, truth)
        for entry in np.ndindex(truth.shape):
            if Polynomial.of(given[entry]) != truth[entry]:
                return wrong_entry(question, entry, given, truth)
        compared += truth.size
    return proved(
        claim, _certificate(formula, widths, sigma, compared), equality=Equality.REALS,
        assumptions=(Assumption("this is about the given widths", "every index of the formula occurs in them"),),
    )  # fmt: skip


def _truth(formula: Formula, v: Values, layer: int, widths: tuple[int, ...], sigma: Activation | None) -> Any:
    """The derivative itself: an array of polynomials, the axis of the output first."""
    output = layer if formula.output == "l" else v.L
    by = {"A": v.A[layer], "b": v.b[layer], "y": v.y[layer - 1], "x": v.y[0]}[formula.by]
    truth: Any = np.empty((widths[output], *by.shape), dtype=object)
    for seed in seeds(formula.by, layer, widths):
        truth[(slice(None), *seed.index)] = tangent(v, seed, output, sigma)
    return truth


def _claim(formula: Formula, widths: tuple[int, ...], sigma: Activation | None) -> str:
    shape = "-".join(str(n) for n in widths)
    which = "every differentiable sigma" if sigma is None else f"sigma = {sigma.name}"
    code = "" if formula.readable else " (computed by code of yours)"
    return f"{formula.text}{code} for every {shape} perceptron and {which}"


def _certificate(formula: Formula, widths: tuple[int, ...], sigma: Activation | None, compared: int) -> Certificate:
    units = "sigma and sigma' of every unit" if sigma is None else "the sums z of every unit"
    entries = f"all {compared} entries are the same polynomials" if compared > 1 else "they are the same polynomial"
    method = f"both sides were written out as polynomials in the weights, biases and inputs, and {units}: {entries}"
    data = {
        "formula": formula.id if formula.readable else "code",
        "text": formula.text,
        "widths": list(widths),
        "sigma": "any" if sigma is None else sigma.name,
        "coefficients": None if sigma is None else [str(c) for c in sigma.coefficients or ()],
        "entries": compared,
    }
    return Certificate(KIND, method, data)
