"""What the derivatives refuse: one sentence each, with the value that was wrong."""

# ruff: noqa: E501 (sentences are compared whole)
from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from mathdnn.backprop import (
    ACTIVATIONS,
    MLP,
    check_autograd,
    check_exact,
    check_module,
    explain,
    gradient_flow,
    jacobians,
    polynomial,
)
from mathdnn.errors import InvalidInput

ONE, BIAS = torch.ones(1, 1), torch.ones(1)
SMALL = MLP.random((2, 2, 1))
AT = torch.ones(2, dtype=torch.float64)
REFUSED = {
    "no input": (
        lambda: jacobians(SMALL, None),
        "MLP.forward(x=...): expected a tensor, or numbers of one shape, got None (Could not infer dtype of NoneType); give a tensor.",
    ),
    "no network": (
        lambda: jacobians(nn.Linear(2, 2), AT),
        "jacobians(mlp=...): expected an MLP, got Linear; make one, by MLP.from_sequential(model) say.",
    ),
    "nothing to explain": (
        lambda: explain(None),
        "explain(mlp=...): expected an MLP, got NoneType; make one, by MLP.from_sequential(model) say.",
    ),
    "no flow": (
        lambda: gradient_flow(SMALL, None),
        "gradient_flow(x=...): expected one input of shape (2,), got None; pick a row.",
    ),
    "no weights": (
        lambda: MLP(None, None),
        "MLP(weights=...): expected a list of tensors, one a layer, got None; give a list.",
    ),
    "ragged": (
        lambda: MLP([[[1.0, 2.0], [3.0]]], [[1.0]]),
        "MLP(weights=...): expected a tensor, or numbers of one shape, got [[1.0, 2.0], [3.0]] (expected sequence of length 2 at dim 1 (got 1)); give a tensor.",
    ),
    "without values": (
        lambda: MLP([ONE.to("meta")], [BIAS]),
        "MLP(weights=...): expected floating tensors of 2 dimension(s), none empty, got shape (1, 1), float32 on meta; reshape it.",
    ),
    "no activation": (
        lambda: MLP([ONE] * 2, [BIAS] * 2, None),
        "MLP(activation=...): expected a name, an Activation, or a list of them, got None; name one.",
    ),
    "too few buffers": (
        lambda: jacobians(SMALL, AT).dense((torch.empty(1, 2, 2, dtype=torch.float64),)),
        "Jacobians.dense(out=...): expected shape (1, 1, 2) of torch.float64, got nothing; make the memory by buffers().",
    ),
    "too many buffers": (
        lambda: jacobians(SMALL, AT).dense((*jacobians(SMALL, AT).buffers(), AT)),
        "Jacobians.dense(out=...): expected one tensor for each layer, got shape (2,) of torch.float64; make the memory by buffers().",
    ),
    "a buffer of another type": (
        lambda: jacobians(SMALL, AT).dense(tuple(b.float() for b in jacobians(SMALL, AT).buffers())),
        "Jacobians.dense(out=...): expected shape (1, 2, 2) of torch.float64, got shape (1, 2, 2) of torch.float32; make the memory by buffers().",
    ),
    "another length": (
        lambda: jacobians(SMALL, AT).weights[0].pull(torch.ones(3)),
        "Jacobians.pull(v): expected shape (1,) of torch.float64, got shape (3,) of torch.float32; reshape or convert it.",
    ),
    "no runs": (
        lambda: check_autograd((2, 2), runs=0),
        "check_autograd(runs=...): expected at least 1, got 0; give a whole number.",
    ),
    "no batch": (
        lambda: check_module(nn.Sequential(nn.Linear(2, 2)), batch=0),
        "check_module(batch=...): expected at least 1, got 0; give a whole number.",
    ),
    "no coefficients": (
        polynomial,
        "polynomial(c_0, c_1, ...): expected whole numbers or fractions, at least one, got (); write 0.1 as Fraction(1, 10).",
    ),
    "a float": (
        lambda: polynomial(1, 0.1),
        "polynomial(c_0, c_1, ...): expected whole numbers or fractions, at least one, got (1, 0.1); write 0.1 as Fraction(1, 10).",
    ),
    "no widths": (
        lambda: check_exact(None),
        "check_exact(widths=...): expected n_0..n_L with 2 <= L <= 5, each at least 1, and at most 64 weights together, got (None,); take a smaller shape.",
    ),
    "a name": (
        lambda: check_exact((2, 2, 1), "tanh"),
        "check_exact(sigma=...): expected a polynomial(...), or nothing, got 'tanh'; leave it out: that is about every differentiable sigma.",
    ),
    "no polynomial": (
        lambda: check_exact((2, 2, 1), ACTIVATIONS["tanh"]),
        "check_exact(sigma=...): expected a polynomial(...), or nothing, got tanh; leave it out: that is about every differentiable sigma.",
    ),
    "no formula": (
        lambda: check_exact((2, 2, 1), formulas={"mine": 1}),
        "check_exact(formulas=...): expected a Formula for each name, got 1; make one by typed_formula(text, of).",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_one_sentence(case):
    ask, words = REFUSED[case]
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        ask()
