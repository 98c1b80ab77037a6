"""Activations of somebody's own, and the settings of torch around a network: right derivatives, or one sentence."""

from __future__ import annotations

import math

import pytest
import torch
from tests.oracles.backprop import reverse_mode
from torch.nn import functional

from mathdnn.backprop import ACTIVATIONS, MLP, Activation, check_autograd, explain, gradient_flow, jacobians, polynomial
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status

IN_PLACE = {
    "the value": (Activation("mine", lambda z: z.tanh_(), lambda z: 1 - z.tanh().square()), torch.tanh),
    "the slope": (Activation("mine", lambda z: z, lambda z: z.zero_().add_(1)), lambda z: z),
    "both": (Activation("mine", lambda z: z.exp_(), lambda z: z.exp_()), torch.exp),
    "torch's own": (
        Activation("mine", lambda z: functional.silu(z, inplace=True), ACTIVATIONS["silu"].derivative),
        functional.silu,
    ),
    "under a name of ours": (Activation("tanh", lambda z: z.tanh_(), lambda z: 1 - z.tanh().square()), torch.tanh),
}


def _net(sigma, **settings):
    return MLP.random((3, 4, 3, 2), sigma, seed=1, **settings)


@pytest.mark.parametrize("shape", [(3,), (5, 3)])
@pytest.mark.parametrize("case", IN_PLACE)
def test_an_activation_that_writes_into_its_input_changes_nothing(case, shape):
    sigma, plain = IN_PLACE[case]
    mlp, x = _net(sigma), torch.linspace(-1, 1, math.prod(shape), dtype=torch.float64).view(shape)
    trace, found = mlp.forward(x), jacobians(mlp, x).x
    assert torch.allclose(trace.y[1], plain(trace.z[0]), rtol=1e-12)
    assert torch.allclose(trace.z[0], x @ mlp.weights[0].T + mlp.biases[0], rtol=1e-12)

    def forward(y):
        for A, b in zip(mlp.weights[:-1], mlp.biases[:-1], strict=True):
            y = plain(A @ y + b)
        return mlp.weights[-1] @ y + mlp.biases[-1]

    for row, ours in zip(x.view(-1, 3), found.view(-1, 2, 3), strict=True):
        assert torch.allclose(ours, reverse_mode(forward, (row,))[0], rtol=1e-10, atol=1e-14)


OWN = {
    "another slope": Activation(
        "leaky_relu", lambda z: z.clamp(min=0) + z.clamp(max=0) / 5, lambda z: 0.2 + 0.8 * (z > 0).to(z.dtype)
    ),
    "twice": Activation("tanh", lambda z: 2 * z.tanh(), lambda z: 2 - 2 * z.tanh().square()),
    "no identity": Activation("identity", lambda z: 3 * z, lambda z: 0 * z + 3),
    "no function at all": Activation("linear", lambda z: 3 * z, lambda z: 0 * z + 3),
}


@pytest.mark.parametrize("case", OWN)
def test_an_activation_that_bears_a_name_of_torchs_is_held_against_itself(case):
    assert {v.status for v in check_autograd((3, 4, 2), OWN[case], runs=2).values()} == {Status.SUPPORTED}


def test_what_autograd_supports_is_no_equality():
    """A tolerance of 1e-10 shows no equality of any kind."""
    assert {v.equality for v in check_autograd((3, 4, 2), runs=2).values()} == {None}


def test_a_slope_that_is_nan_is_refuted_and_a_value_that_is_nan_is_one_sentence():
    verdict = check_autograd((3, 4, 2), Activation("mine", torch.tanh, lambda z: z * math.nan), runs=2)["dyL/dx"]
    assert (verdict.status, verdict.evidence.found) == (Status.REFUTED, "inf")
    words = (
        r"^check_autograd: expected finite derivatives by autograd, got NaN or infinity; check sigma, and how large its"
    )
    with pytest.raises(InvalidInput, match=words):
        check_autograd((3, 4, 2), Activation("mine", lambda z: z.sqrt(), lambda z: 0.5 / z.sqrt()), runs=3)


WRONG = {
    "dtype": (
        lambda z: z.float(),
        r"of shape \(4,\) and torch.float64 on cpu, got shape \(4,\) of torch.float32 on cpu; ",
    ),
    "shape": (
        lambda z: z.sum(),
        r"of shape \(4,\) and torch.float64 on cpu, got shape \(\) of torch.float64 on cpu; return",
    ),
    "number": (lambda z: 1.0, r"of shape \(4,\) and torch.float64 on cpu, got 1.0; return a tensor like z\.$"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_activation_that_gives_something_else_is_one_sentence(case):
    f, words = WRONG[case]
    x = torch.ones(3, dtype=torch.float64)
    with pytest.raises(InvalidInput, match=r"^Activation\('mine'\): expected sigma\(z\) like z, " + words):
        jacobians(_net(Activation("mine", f, torch.ones_like)), x)
    with pytest.raises(InvalidInput, match=r"^Activation\('mine'\): expected sigma'\(z\) like z"):
        jacobians(_net(Activation("mine", torch.tanh, f)), x)


def test_a_coefficient_that_no_float_holds_is_one_sentence():
    words = r"^polynomial\(c_0, c_1, ...\) of a tensor: expected coefficients that a float can hold, got one of 1329 b"
    with pytest.raises(InvalidInput, match=words):
        jacobians(_net(polynomial(0, 10**400)), torch.ones(3, dtype=torch.float64))
    words = r"^polynomial\(c_0, c_1, ...\): expected coefficients of at most 4,300 digits, got more; take smaller"
    with pytest.raises(InvalidInput, match=words):
        polynomial(10**5000)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_network_computes_in_its_own_numbers_under_autocast(dtype):
    mlp, x = _net("tanh", dtype=dtype), torch.linspace(-1, 1, 6).view(2, 3).to(dtype)
    v = torch.ones(2, 2, dtype=dtype)

    def everything():
        found = jacobians(mlp, x)
        return [mlp(x), found.x, *found.biases, *found.dense()[1], *(weight.pull(v) for weight in found.weights)]

    plain, flow = everything(), gradient_flow(mlp, x[0])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = everything()
        assert gradient_flow(mlp, x[0]) == flow
        assert torch.is_autocast_enabled("cpu")
    for ours, theirs in zip(mixed, plain, strict=True):
        assert ours.dtype is dtype
        assert torch.equal(ours, theirs)


def test_the_latex_of_an_activation_of_ones_own_is_its_name():
    lines = explain(MLP.random((2, 3, 1), Activation("my_own", torch.tanh, torch.tanh)), latex=True)
    assert r",\quad \sigma_{1}(t) = \text{my\_own}(t) \\" in lines
    lines = explain(MLP.random((2, 3, 1), Activation("mine", torch.tanh, torch.tanh, r"\arctan t")), latex=True)
    assert r",\quad \sigma_{1}(t) = \arctan t \\" in lines


FIELDS = {
    "derivative": (("m", torch.tanh, None), "a function of a tensor, got None"),
    "value": (("m", "tanh", torch.tanh), "a function of a tensor, got 'tanh'"),
    "name": ((3, torch.tanh, torch.tanh), "a text, got 3"),
    "latex": (("m", torch.tanh, torch.tanh, None), "a text, got None"),
    "bound": (("m", torch.tanh, torch.tanh, "", "x"), r"None or the greatest \|sigma'\|, got 'x'"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_an_activation_has_what_it_says(field):
    given, words = FIELDS[field]
    with pytest.raises(InvalidInput, match=rf"^Activation\({field}=...\): expected {words}; give one\.$"):
        Activation(*given)


def test_true_is_no_coefficient():
    with pytest.raises(
        InvalidInput, match=r"^polynomial\(c_0, c_1, ...\): expected whole numbers or fractions, at least"
    ):
        polynomial(True)


def test_an_exponent_of_two_digits_has_braces_in_latex():
    sigma = polynomial(0, 3, *[0] * 8, 2, -1)
    mlp = MLP.random((1, 1, 1), sigma)
    assert explain(mlp, latex=True).splitlines()[1].endswith(r"\sigma_{1}(t) = 3 t + 2 t^{10} - t^{11} \\")
    assert "sigma(t) = 3 t + 2 t^10 - t^11" in explain(mlp)
    assert "t^{10}" in sigma.latex
