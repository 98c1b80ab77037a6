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
SMALL, SQUARE = MLP.random((2, 2, 1)), MLP.random((2, 2, 2))
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
    "buffers that are words": (
        lambda: jacobians(SMALL, AT).dense(("a", "b")),
        "Jacobians.dense(out=...): expected shape (1, 2, 2) of torch.float64, got 'a'; make the memory by buffers().",
    ),
    "a buffer that is expanded": (
        lambda: jacobians(SMALL, AT).dense((AT.expand(1, 2, 2), torch.empty(1, 1, 2, dtype=torch.float64))),
        "Jacobians.dense(out=...): expected shape (1, 2, 2) of torch.float64, got shape (1, 2, 2) of torch.float64 that is expanded; make the memory by buffers().",
    ),
    "a buffer that records": (
        lambda: jacobians(SMALL, AT).dense(tuple(b.requires_grad_() for b in jacobians(SMALL, AT).buffers())),
        "Jacobians.dense(out=...): expected shape (1, 2, 2) of torch.float64, got shape (1, 2, 2) of torch.float64 that requires grad; make the memory by buffers().",
    ),
    "a sparse buffer": (
        lambda: jacobians(SMALL, AT).dense(tuple(b.to_sparse() for b in jacobians(SMALL, AT).buffers())),
        "Jacobians.dense(out=...): expected shape (1, 2, 2) of torch.float64, got shape (1, 2, 2) of torch.float64, sparse_coo; make the memory by buffers().",
    ),
    "one buffer for two layers": (
        lambda: jacobians(SQUARE, AT).dense((jacobians(SQUARE, AT).buffers()[0],) * 2),
        "Jacobians.dense(out=...): expected memory of its own for each layer, got tensors that share theirs; make the memory by buffers().",
    ),
    "buffers that share some entries": (
        lambda: jacobians(SQUARE, AT).dense(
            torch.zeros(3, 2, 2, 2, dtype=torch.float64).view(-1).unfold(0, 8, 7)[:2].unflatten(1, (2, 2, 2)).unbind()
        ),
        "Jacobians.dense(out=...): expected memory of its own for each layer, got tensors that share theirs; make the memory by buffers().",
    ),
    "one width": (
        lambda: MLP.random(5),
        "MLP.random(widths=...): expected n_0..n_L, at least two, each at least 1, got (5,); write whole numbers.",
    ),
    "one width to check": (
        lambda: check_autograd(5),
        "MLP.random(widths=...): expected n_0..n_L, at least two, each at least 1, got (5,); write whole numbers.",
    ),
    "a dtype that is a word": (
        lambda: MLP.random((2, 3), dtype="float32"),
        "MLP.random(dtype=...): expected a dtype of torch, got 'float32'; write torch.float32, say.",
    ),
    "no buffers": (
        lambda: jacobians(SMALL, AT).dense(5),
        "Jacobians.dense(out=...): expected a tuple of one tensor for each layer, got 5; make the memory by buffers().",
    ),
    "one buffer, of another shape": (
        lambda: jacobians(SMALL, AT).weights[0].dense(AT),
        "OuterProduct.dense(out=...): expected shape (1, 2, 2) of torch.float64, got shape (2,) of torch.float64; make the memory by buffers().",
    ),
    "a word to pull": (
        lambda: jacobians(SMALL, AT).weights[0].pull("a"),
        "Jacobians.pull(v): expected shape (1,) of torch.float64, got 'a'; reshape or convert it.",
    ),
    "an input without values": (
        lambda: jacobians(SMALL, AT.to("meta")),
        "MLP.forward(x=...): expected shape (2,) or (batch, 2) of torch.float64 on cpu, got shape (2,) of torch.float64 on meta; reshape or convert it.",
    ),
    "a sparse input": (
        lambda: jacobians(SMALL, AT.to_sparse()),
        "MLP.forward(x=...): expected shape (2,) or (batch, 2) of torch.float64, got shape (2,) of torch.float64, sparse_coo; reshape or convert it.",
    ),
    "a number too large": (
        lambda: jacobians(SMALL, [10**400, 1]),
        "MLP.forward(x=...): expected a tensor, or numbers of one shape, got [100000000000000000000000000000000000000 (Overflow when unpacking long long); give a tensor.",
    ),
    "sparse weights": (
        lambda: MLP([ONE.to_sparse()], [BIAS]),
        "MLP(weights=...): expected dense tensors, got sparse_coo; call to_dense() on it.",
    ),
    "float8 weights": (
        lambda: MLP([ONE.to(torch.float8_e4m3fn)], [BIAS]),
        "MLP(weights=...): expected floats of 16, 32 or 64 bits, got float8_e4m3fn; convert it, by .float() say.",
    ),
    "a seed that is a word": (
        lambda: check_module(nn.Sequential(nn.Linear(2, 2)), seed="a"),
        "check_module(seed=...): expected a whole number, less than 2^62 in size, got 'a'; choose another seed.",
    ),
    "a seed too large": (
        lambda: check_module(nn.Sequential(nn.Linear(2, 2)), seed=2**70),
        "check_module(seed=...): expected a whole number, less than 2^62 in size, got 1180591620717411303424; choose another seed.",
    ),
    "another seed too large": (
        lambda: check_autograd((2, 2), seed=2**70),
        "check_autograd(seed=...): expected a whole number, less than 2^62 in size, got 1180591620717411303424; choose another seed.",
    ),
    "no seed": (
        lambda: MLP.random((2, 2), seed=None),
        "MLP.random(seed=...): expected a whole number, less than 2^62 in size, got None; choose another seed.",
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
        "check_exact(widths=...): expected n_0..n_L with 2 <= L <= 5, each at least 1, and at most 64 weights together, got (None,); choose other widths.",
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


def test_a_generator_of_buffers_is_refused():
    found = jacobians(SMALL, AT)
    words = r"^Jacobians.dense\(out=...\): expected a tuple of one tensor for each layer, got <generator .*; make the m"
    with pytest.raises(InvalidInput, match=words):
        found.dense(b for b in found.buffers())
