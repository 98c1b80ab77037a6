"""Problem 6: derivatives of a multilayer perceptron.

l = 1..L: layer; y_0 = x; y_l = sigma(A_l y_{l-1} + b_l) for l < L; y_L = A_L y_{L-1} + b_L; n_L = 1. Then

    (a)  dy_L/db_L = 1                                       dy_L/dy_{L-1} = A_L
         dy_l/db_l = diag(sigma'(A_l y_{l-1} + b_l))         dy_l/dy_{l-1} = diag(sigma'(A_l y_{l-1} + b_l)) A_l
    (b)  dy_L/dA_L = y_{L-1}^T      dy_L/dA_l = diag(sigma'(A_l y_{l-1} + b_l)) (dy_L/dy_l)^T y_{l-1}^T

Each is proved for given shapes as an identity of polynomials in every weight, bias and input, for every differentiable
sigma and for a polynomial one, and then held against autograd in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathdnn.homework.claim import Claim, Finding, Picture
from mathdnn.homework.combine import all_of
from mathdnn.verdict import Status

if TYPE_CHECKING:
    from mathdnn.backprop import Activation
    from mathdnn.homework.resources import Resources

TITLE = "Derivatives of a multilayer perceptron"
INTRODUCTION = (
    "Layer l of L computes y_l = σ(A_l y_{l-1} + b_l) from the one before it, the last one without σ. "
    "The chain rule, written once for each kind of parameter: every derivative is a product of the layers' factors. "
    "The same product says why gradients vanish: it is as small as its factors' singular values make it."
)

SHAPES = ((2, 2, 1), (2, 3, 2, 1), (1, 2, 2, 2, 1), (2, 3, 2, 2))  # the last one has n_L = 2, beyond the source
# With a given sigma the polynomials grow as its degree to the power of the depth, so these shapes are small:
# sigma(t) = 1 - 2 t^2 + 3 t^3 and 1 - 2 t + 3 t^2, neither monotone nor odd nor even.
POLYNOMIALS = (((2, 2, 1), (1, 0, -2, 3)), ((1, 2, 1, 1), (1, -2, 3)))
AUTOGRAD_RUNS = 20


def _shape(widths: tuple[int, ...]) -> str:
    return "-".join(map(str, widths))


def _exact(formula: str):  # type: ignore[no-untyped-def]
    def decide(resources: Resources) -> Finding:
        from mathdnn.backprop import FORMULAS, check_exact, polynomial
        from mathdnn.backprop.activations import written

        chosen = {formula: FORMULAS[formula]}
        cases: list[tuple[tuple[int, ...], Activation | None]] = [(widths, None) for widths in SHAPES]
        cases += [(widths, polynomial(*coefficients)) for widths, coefficients in POLYNOMIALS]
        parts = [check_exact(widths, sigma, formulas=chosen)[formula] for widths, sigma in cases]
        shapes = ", ".join(_shape(widths) for widths in SHAPES)
        verdict = all_of(f"{FORMULAS[formula].text}, for networks of widths {shapes}", parts)
        given = [f"{_shape(widths)} with σ(t) = {written(sigma)}" for widths, sigma in cases if sigma is not None]
        more = " and ".join(given)
        found = f"the same polynomials, entry by entry, for widths {shapes} with any differentiable σ, and for {more}"
        return Finding(found if verdict.status is Status.PROVED else str(verdict.evidence), verdict)

    return decide


def decide_autograd(resources: Resources) -> Finding:
    """The formula that is worst off speaks for all: each was held against the same tolerance."""
    from mathdnn.backprop import check_autograd

    verdicts = check_autograd((5, 7, 6, 3), "tanh", runs=AUTOGRAD_RUNS)
    worst = max(verdicts.values(), key=lambda verdict: getattr(verdict.evidence, "high", float("inf")))
    wrong = next((verdict for verdict in verdicts.values() if verdict.status is not Status.SUPPORTED), worst)
    found = f"{len(verdicts)} Jacobians on {AUTOGRAD_RUNS} random networks; the worst: {wrong.evidence}"
    return Finding(found, wrong, (_factors(),))


def _factors() -> Picture:
    """How dy_L/dy_l shrinks through a deep network: its largest singular value, layer by layer."""
    import torch

    from mathdnn.backprop import MLP, gradient_flow

    series = []
    for name in ("tanh", "sigmoid"):
        runs = []
        for seed in range(5):
            mlp = MLP.random((16,) * 12 + (1,), name, seed=seed)
            x = torch.randn(16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            runs.append([float(value) for value in gradient_flow(mlp, x).norm])
        series.append({"name": name, "runs": runs})
    data = {
        "x": list(range(len(series[0]["runs"][0]))),
        "xlabel": "layer l",
        "ylabel": "spectral norm of dy_L/dy_l",
        "logy": True,
        "series": series,
        "published": None,
    }
    return Picture(
        "curves",
        "How large dy_L/dy_l is in 12 layers of 16 units (its largest singular value), for five random networks each.",
        data,
    )


def _claim(slug: str, title: str, statement: str, formula: str) -> Claim:
    how = "both sides are written out as polynomials in every weight, bias and input, and their coefficients compared"
    return Claim(6, f"6.{slug}", title, statement, "claimed right", how, Status.PROVED, _exact(formula))


CLAIMS = (
    _claim("a1", "(a) the last bias", "dy_L/db_L = 1.", "dyL/dbL"),
    _claim("a2", "(a) the last layer", "dy_L/dy_{L-1} = A_L.", "dyL/dyL-1"),
    _claim("a3", "(a) a hidden bias", "dy_l/db_l = diag(σ'(A_l y_{l-1} + b_l)).", "dyl/dbl"),
    _claim("a4", "(a) a hidden layer", "dy_l/dy_{l-1} = diag(σ'(A_l y_{l-1} + b_l)) A_l.", "dyl/dyl-1"),
    _claim("b1", "(b) the last weights", "dy_L/dA_L = y_{L-1}ᵀ.", "dyL/dAL"),
    _claim("b2", "(b) hidden weights", "dy_L/dA_l = diag(σ'(A_l y_{l-1} + b_l)) (dy_L/dy_l)ᵀ y_{l-1}ᵀ.", "dyL/dAl"),
    Claim(
        6,
        "6.autograd",
        "All of them against autograd",
        "In double precision the formulas give what automatic differentiation gives.",
        "not checked",
        f"{AUTOGRAD_RUNS} random tanh networks of widths 5-7-6-3 with a batch of inputs each, float64",
        Status.SUPPORTED,
        decide_autograd,
    ),
)
