"""The usual notation: what is written on paper or in LaTeX is read as the pieces of a formula, or refused by name."""

# ruff: noqa: E501 (a formula a line)
from __future__ import annotations

import re

import pytest

from mathdnn.backprop import check_exact, derivative_name, typed_formula
from mathdnn.backprop.notation import Unread, translated
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status

READ = {
    "A_l": "A[l]",
    "A_{l-1}": "A[l-1]",
    "A_(L - 1)": "A[L-1]",
    "Aₗ yₗ₋₁": "A[l] @ y[l-1]",
    "A_1 x": "A[1] @ y[0]",
    "diag(s_l)": "diag(s[l])",
    "diag(σ'(z_l)) A_l": "diag(s[l]) @ A[l]",
    "diag(σ′(A_l y_{l-1} + b_l)) A_l": "diag(s[l]) @ A[l]",
    "diag(sigma'(A_{L-1} y_{L-2} + b_{L-1}))": "diag(s[L-1])",
    "diag(sigma_prime(A_1 x + b_1))": "diag(s[1])",
    "diag(φ'(A_l @ y_{l-1} + b_l))": "diag(s[l])",
    r"\operatorname{diag}\left(\sigma'(A_l y_{l-1} + b_l)\right) \left(\frac{\partial y_L}{\partial y_l}\right)^\top y_{l-1}^\top": (
        "diag(s[l]) @ G[l].T @ y[l-1].T"
    ),
    r"$\mathrm{diag}(\sigma^{\prime}(z_l)) \cdot A_l$": "diag(s[l]) @ A[l]",
    r"y_{L-1}^{\mathsf{T}}": "y[L-1].T",
    "y_{L-1}^T": "y[L-1].T",
    "y_{L-1}ᵀ": "y[L-1].T",
    "(A_l^T diag(s_l))^T": "(A[l].T @ diag(s[l])).T",
    "dy_L/dy_l diag(s_l)": "G[l] @ diag(s[l])",
    "(∂y_L / ∂y_{l+1}) A_{l+1}": "G[l+1] @ A[l+1]",
    "dy_L/dx": "G[0]",
    "(G_l ⊙ s_l) ⊗ y_{l-1}": "outer(G[l] * s[l], y[l-1])",
    "outer(G_l diag(s_l), y_{l-1})": "outer(G[l] @ diag(s[l]), y[l-1])",
    "2 A_l": "2 * A[l]",
    "2A_l - 1A_l": "2 * A[l] - 1 * A[l]",
    "dy_L/dy_l - 1": "G[l] - 1",
    "-A_l - (A_l − 3 A_l) I": "-A[l] - (A[l] - 3 * A[l]) @ I",
    "I_{n_L}": "I",
    "I_L": "I",
    "-1 I + 2 · I": "-1 * I + 2 * I",
    "(2-1) l A_l": "(2 - 1) * l * A[l]",
    r"diag(s_l) \,A_l": "diag(s[l]) @ A[l]",
    "diag(σ'(b_l + A_l y_{l-1}))": "diag(s[l])",
    "1": "1",
}


@pytest.mark.parametrize("text", READ)
def test_the_usual_notation_is_read(text):
    assert translated(text) == READ[text]


UNREAD = {
    "y_l-1": "y_l-1, which may mean y_{...}",
    "dy_L/dy_l-1": "dy_L/dy_l-1, which may mean dy_L/dy_{...}",
    "∂y_L/∂y_l+1 A_l": "∂y_L/∂y_l+1, which may mean dy_L/dy_{...}",
    "A_L-1": "A_L-1, which may mean A_{...}",
    "2.5A_l": "2.5A_l",
    "12345A_l": "12345A_l",
    "s_ll": "s_ll",
    "A_{l*2}": "A_{l*2}",
    "A_{ll}": "the index ll",
    "A_l^{-1}": "^{-1}",
    "A_l ** 2": "** 2",
    "A_l^2": "^2",
    "dy_l/dy_{l-1}": "a derivative other than dy_L/dy_l, which is G[l]",
    "σ'(A_l y_l + b_l)": "sigma'(A[l] @ y[l] + b[l]), which is not of z_l = A_l y_{l-1} + b_l",
    "σ'(A_l ⊙ y_{l-1} + b_l)": "sigma'(A[l] * y[l-1] + b[l]), which is not of z_l = A_l y_{l-1} + b_l",
    "σ'(b_l + A_l y_{l-1} + b_l)": ("sigma'(b[l] + A[l] @ y[l-1] + b[l]), which is not of z_l = A_l y_{l-1} + b_l"),
    "σ'(A_l * y_{l-1} + b_l)": "sigma'(A[l] * y[l-1] + b[l]), which is not of z_l = A_l y_{l-1} + b_l",
    "σ'(z_l ⊙ dy_L/dy_l)": "sigma'(z[l] * G[l]), which is not of z_l = A_l y_{l-1} + b_l",
    "σ'(b_l ⊙ s[l] + A_l y_{l-1})": ("sigma'(b[l] * s[l] + A[l] @ y[l-1]), which is not of z_l = A_l y_{l-1} + b_l"),
    "I_{17}": "I_{17}",
    "I_{n_0}": "I_{n_0}",
    "I_l": "I_l",
    "σ'(y_l)": "sigma'(y[l]), which is not of z_l = A_l y_{l-1} + b_l",
    "A_l z_l": "z_l outside of sigma'",
    "diag(s_l": "no ) at the end",
    "outer(s_l)": ")",
    "A_l +": "nothing where a piece should be",
    "A_l)": ")",
    "": "nothing where a piece should be",
    "W_l": "W_l",
    "__import__('os')": "__import__('os')",
    "(" * 190 + "A_l": "no ) at the end",
    "-" * 399: "nothing where a piece should be",
}


@pytest.mark.parametrize("text", UNREAD)
def test_what_is_not_read_is_named(text):
    with pytest.raises(Unread, match=f"^({re.escape(UNREAD[text])}|brackets too deep)$"):
        translated(text)


def test_a_formula_in_the_usual_notation_is_proved_as_it_is_read():
    verdict = check_exact((2, 3, 2), formulas={"mine": typed_formula("diag(σ'(z_l)) A_l", "dyl/dyl-1")})["mine"]
    assert verdict.status is Status.PROVED
    assert verdict.claim.startswith("dyl/dyl-1 = diag(s[l]) @ A[l] for every 2-3-2 ")


@pytest.mark.parametrize("text", ["W_l A_l", "y_l-1", "A_l A_", "A_l +* A_l", "σ'(A_l y_l + b_l) A_l"])
def test_what_is_no_notation_is_one_sentence(text):
    with pytest.raises(
        InvalidInput, match=r"^typed_formula\(text\): expected A\[l\], .* in .*; write it with these\.$"
    ):
        typed_formula(text, "dyl/dyl-1")


@pytest.mark.parametrize("text", ["(" * 150 + "A_l" + ")" * 150, "-" * 99 + "A_l"])
def test_deep_formulas_have_an_answer(text):
    verdict = check_exact((2, 3, 2), formulas={"mine": typed_formula(text, "dyl/dyl-1")})["mine"]
    assert verdict.status is Status.REFUTED


def test_a_formula_too_long_when_read_is_refused():
    with pytest.raises(
        InvalidInput,
        match=r"^typed_formula\(text\): expected a formula of at most 400 characters, got 690; write it shorter",
    ):
        typed_formula("+".join(["A_l"] * 99), "dyl/dyl-1")


@pytest.mark.parametrize("of", ["dyl/dyl-1", "dy_l/dy_{l-1}", "∂y_l / ∂y_{l-1}", "dy_l/dy_l-1"])
def test_a_derivative_is_named_as_on_paper(of):
    assert derivative_name(of) == "dyl/dyl-1"


@pytest.mark.parametrize("of", ["", "dx", None, 3, "dyl/dyl+1"])
def test_other_derivatives_are_refused(of):
    with pytest.raises(
        InvalidInput, match=r"^typed_formula\(of=...\): expected one of dyL/dbL, .*; say which derivative it"
    ):
        derivative_name(of)
