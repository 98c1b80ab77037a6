"""The network, its Jacobians against reverse mode and the literal form, what it explains, and what it refuses."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from tests.oracles.backprop import reverse_mode
from tests.saboteurs.backprop import RELU_ONE_AT_ZERO, TANH_SLOPE_WITHOUT_SQUARE
from torch import nn

from mathdnn.backprop import (
    ACTIVATIONS,
    MLP,
    check_autograd,
    check_module,
    explain,
    flow_picture,
    gradient_flow,
    jacobians,
    literal,
    memory,
    polynomial,
)
from mathdnn.backprop.numeric import torch_function
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_and_its_slope_are_torchs(name):
    t = torch.cat([torch.linspace(-6, 6, 1001, dtype=torch.float64), torch.tensor([0.0, 1.0, -1.0, 30.0, -30.0])])
    t = t.double().requires_grad_()
    y = torch_function(ACTIVATIONS[name])(t)
    (slope,) = torch.autograd.grad(y.sum(), t)
    assert torch.allclose(ACTIVATIONS[name].value(t.detach()), y.detach(), rtol=1e-12, atol=1e-14)
    assert torch.allclose(ACTIVATIONS[name].derivative(t.detach()), slope, rtol=1e-9, atol=1e-12)
    assert slope.abs().max() <= ACTIVATIONS[name].bound + 1e-12


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "identity"])
@pytest.mark.parametrize("widths", [(3, 2), (4, 5, 1), (3, 4, 5, 2)])
def test_jacobians_are_those_of_reverse_mode_and_of_the_literal_form(widths, activation):
    mlp = MLP.random(widths, activation, seed=3)
    x = torch.linspace(-1, 1, widths[0], dtype=torch.float64)
    dx, dA, db = jacobians(mlp, x).dense()

    truth = reverse_mode(lambda *args: _forward(mlp, *args), (x, *mlp.weights, *mlp.biases))
    for ours, theirs in zip((dx, *dA, *db), truth, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-14)
    trace = mlp.forward(x)
    arrays = [[None, *(p.numpy() for p in group)] for group in (mlp.weights, mlp.biases)]
    v = literal.Values(*arrays, [y.numpy() for y in trace.y], [None, *(s.numpy() for s in trace.slopes)])
    for l in range(1, mlp.layers):  # noqa: E741
        assert np.allclose(literal.dyL_dAl(v, l), dA[l - 1].numpy(), rtol=1e-12, atol=1e-15)
        assert np.allclose(literal.dyL_dbl(v, l), db[l - 1].numpy(), rtol=1e-12, atol=1e-15)
    assert np.allclose(literal.dyL_dx(v, 0), dx.numpy(), rtol=1e-12, atol=1e-15)
    assert np.allclose(literal.dyL_dAL(v, mlp.layers), dA[-1].numpy())


def _forward(mlp, x, *parameters):
    for layer in range(mlp.layers):
        x = parameters[layer] @ x + parameters[mlp.layers + layer]
        x = torch_function(mlp.activations[layer])(x) if layer < mlp.layers - 1 else x
    return x


def test_a_batch_is_its_samples():
    mlp = MLP.random((3, 4, 2), "sigmoid", seed=1)
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = jacobians(mlp, x)
    buffers = together.buffers()
    dense = together.dense(buffers)
    assert [w.shape for w in together.weights] == [(5, 2, 4, 3), (5, 2, 2, 4)]
    for n in range(5):
        alone = jacobians(mlp, x[n]).dense()
        assert torch.allclose(dense[0][n], alone[0], rtol=1e-12)
        for group in (1, 2):
            for a, b in zip(dense[group], alone[group], strict=True):
                assert torch.allclose(a[n], b, rtol=1e-12, atol=1e-16)
    assert all(a.data_ptr() == b.data_ptr() for a, b in zip(dense[1], buffers, strict=True))


def test_the_factored_form_pulls_a_gradient_back():
    mlp = MLP.random((3, 4, 2), seed=1)
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    v = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for weight in jacobians(mlp, x).weights:
        assert torch.allclose(weight.pull(v), torch.einsum("ni,nijk->njk", v, weight.dense()), rtol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_autograd_supports_every_activation(name):
    verdicts = check_autograd((3, 5, 4, 2), name, runs=3)
    assert {v.status for v in verdicts.values()} == {Status.SUPPORTED}
    assert set(verdicts) == {"dyL/dx", *(f"dyL/d{p}{l}" for p in "Ab" for l in (1, 2, 3))}  # noqa: E741


def test_a_wrong_slope_is_refuted_by_autograd():
    verdict = check_autograd((3, 5, 4, 2), TANH_SLOPE_WITHOUT_SQUARE, runs=2)["dyL/dA1"]
    assert verdict.status is Status.REFUTED
    assert verdict.evidence.input == {"widths": [3, 5, 4, 2], "seed": verdict.evidence.input["seed"]}


def test_the_slope_of_relu_at_zero_is_zero():
    zero = MLP([torch.ones(1, 1), torch.ones(1, 1)], [torch.zeros(1), torch.zeros(1)], "relu")
    one = MLP(zero.weights, zero.biases, RELU_ONE_AT_ZERO)
    at = torch.zeros(1)
    truth = reverse_mode(lambda x: _forward(zero, x, *zero.weights, *zero.biases), (at,))[0]
    assert torch.equal(jacobians(zero, at).x, truth)
    assert not torch.equal(jacobians(one, at).x, truth)


def test_an_ordinary_sequential():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 2)
    )
    mlp = MLP.from_sequential(model.eval())
    x = torch.randn(6, 4)
    assert torch.allclose(mlp(x), model(x).detach(), atol=1e-6)
    assert mlp.widths == (4, 3, 3, 2)
    assert [a.name for a in mlp.activations] == ["gelu", "relu"]


BAD_MODELS = {
    "not sequential": (nn.Linear(2, 2), r"expected an nn.Sequential, got Linear; wrap the layers in one\.$"),
    "convolution": (
        nn.Sequential(nn.Conv2d(1, 1, 3)),
        r"got Conv2d\(1, 1, kernel_size=\(3, 3\), stride=\(1, 1\)\) at 0; ",
    ),
    "two activations": (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.ReLU(), nn.Linear(2, 2)), r"got ReLU\(\) at 2; "),
    "activation last": (
        nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
        r"expected a Linear layer at the end, got 1 Linear, 1",
    ),
    "other setting": (
        nn.Sequential(nn.Linear(2, 2), nn.ELU(2.0), nn.Linear(2, 2)),
        r"got ELU\(alpha=2.0\) at 1; leave it",
    ),
    "dropout": (nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Tanh(), nn.Linear(2, 2)), r"got Dropout\(p=0.5, inpl"),
    "nested": (
        nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Mish())),
        r"got Mish\(\) at 1; leave it out, or give MLP",
    ),
    "empty": (nn.Sequential(), r"expected a Linear layer at the end, got 0 Linear, 0 activations; add it\.$"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_models_that_are_no_perceptron_are_refused(case):
    model, message = BAD_MODELS[case]
    with pytest.raises(InvalidInput, match=r"^MLP.from_sequential\(model=...\): .*" + message):
        MLP.from_sequential(model)


ONE = torch.ones(1, 1)
BAD = {
    "nothing": (
        ([], []),
        r"expected one bias for each weight, at least one of each, got 0 weights, 0 biases; give L of",
    ),
    "count": (([ONE], []), r"got 1 weights, 0 biases"),
    "chain": (
        ([ONE, torch.ones(1, 2)], [ONE[0], ONE[0]]),
        r"expected A_2 \(n_2, 1\) and b_2 \(n_2,\) of one dtype, got A_2",
    ),
    "rank": (
        ([ONE[0]], [ONE[0]]),
        r"expected floating tensors of 2 dimension\(s\), none empty, got shape \(1,\), float32",
    ),
    "whole numbers": (([ONE.int()], [ONE[0]]), r"got shape \(1, 1\), int32; reshape it"),
    "nan": (([ONE * math.nan], [ONE[0]]), r"expected finite values, got NaN or infinity; check where they come from"),
    "dtype": (([ONE], [ONE[0].double()]), r"b_1 \(1,\) torch.float64; let every layer take what the one before gives"),
    "activation": (([ONE, ONE], [ONE[0], ONE[0]], "swish7"), r"expected one of identity, tanh, .*, got 'swish7'; give"),
    "activations": (
        ([ONE, ONE], [ONE[0], ONE[0]], ["tanh"] * 2),
        r"expected one activation, or 1 of them, got 2; give L",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_weights_that_do_not_fit_are_refused(case):
    arguments, message = BAD[case]
    with pytest.raises(InvalidInput, match=message):
        MLP(*arguments)


@pytest.mark.parametrize("x", [torch.ones(3), torch.ones(1, 1, 2), torch.ones(2).double(), torch.tensor(1.0)])
def test_inputs_that_do_not_fit_are_refused(x):
    mlp = MLP.random((2, 2, 1), dtype=torch.float32)
    with pytest.raises(
        InvalidInput, match=r"^MLP.forward\(x=...\): expected shape \(2,\) or \(batch, 2\) of torch.float32"
    ):
        mlp.forward(x)


def test_explain_names_every_layer_with_its_shapes():
    mlp = MLP.random((4, 3, 2), "relu")
    assert explain(mlp) == (
        "forward, y_0 = x in R^4\n"
        "  y_1 = relu(A_1 y_0 + b_1)   A_1: 3 x 4, y_1: 3\n"
        "  y_2 = A_2 y_1 + b_2   A_2: 2 x 3, y_2: 2\n"
        "derivatives of y_2 in R^2, from the last layer back\n"
        "  dy_2/db_2 = I   (2 x 2)\n"
        "  dy_2/dA_2[i,j,k] = [i = j] y_1[k]   (2 x 2 x 3)\n"
        "  dy_2/dy_1 = A_2   (2 x 3)\n"
        "  dy_1/dy_0 = diag(relu'(z_1)) A_1   (3 x 4)\n"
        "  dy_2/db_1 = (dy_2/dy_1) diag(relu'(z_1))   (2 x 3)\n"
        "  dy_2/dA_1[i,j,k] = ((dy_2/dy_1) diag(relu'(z_1)))[i,j] y_0[k]   (2 x 3 x 4)\n"
        "  dy_2/dy_0 = (dy_2/dy_1) diag(relu'(z_1)) A_1   (2 x 4)\n"
        "  at kinks, relu: sigma'(0) = 0"
    )
    latex = explain(mlp, latex=True)
    assert latex.startswith("\\begin{align*}\n")
    assert latex.count("{") == latex.count("}")


def test_gradients_lie_between_their_bounds():
    mlp = MLP.random([6] * 9, "tanh", seed=2)
    x = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    flow = gradient_flow(mlp, x)
    for norm, upper, lower, alone in zip(flow.norm, flow.upper, flow.lower, flow.weights_only, strict=True):
        assert lower <= norm * (1 + 1e-12) <= upper * (1 + 1e-11) <= alone * (1 + 1e-10)
    dx = jacobians(mlp, x).x
    assert math.isclose(flow.norm[0], float(torch.linalg.matrix_norm(dx, 2)), rel_tol=1e-12)
    assert [len(s["runs"][0]) for s in flow.picture()["series"]] == [8] * 4
    with pytest.raises(
        InvalidInput, match=r"^gradient_flow\(x=...\): expected one input of shape \(6,\), got \(2, 6\); pick"
    ):
        gradient_flow(mlp, x.repeat(2, 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [0, 1, 3, 1 << 14])  # the last one takes 32 MiB and more: huge pages
def test_memory_is_what_was_asked_for(rows, dtype):
    shapes = [(rows, 5), (), (7,), (rows, 33, 17)]
    made = memory.empty(shapes, torch.zeros(1, dtype=dtype))
    for number, (tensor, shape) in enumerate(zip(made, shapes, strict=True)):
        assert (tensor.shape, tensor.dtype) == (shape, dtype)
        assert tensor.is_contiguous()
        assert tensor.numel() == 0 or tensor.data_ptr() % memory.LINE == 0
        tensor.fill_(number)
    assert all(bool((tensor == number).all()) for number, tensor in enumerate(made))


def test_memory_without_huge_pages_is_torchs(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no memory")

    monkeypatch.setattr(memory.mmap, "mmap", refuse)
    (tensor,) = memory.empty([(memory.KEPT,)], torch.zeros(1))
    assert tensor.shape == (memory.KEPT,)


def test_large_jacobians_are_those_of_their_samples():
    mlp = MLP.random((64, 64, 32), "sigmoid", dtype=torch.float32)  # 4000 x 32 x 64 floats: more than 32 MiB
    x = torch.randn(4000, 64, generator=torch.Generator().manual_seed(0))
    whole = jacobians(mlp, x)
    few = jacobians(mlp, x[:2])
    assert torch.allclose(whole.x[:2], few.x, rtol=1e-4, atol=1e-6)
    assert torch.allclose(whole.biases[0][:2], few.biases[0], rtol=1e-5, atol=1e-7)


def test_dense_jacobians_are_contiguous_and_record_nothing():
    mlp = MLP.random((3, 2), dtype=torch.float32)
    dx, dA, db = jacobians(mlp, torch.ones(4, 3, requires_grad=True)).dense()
    for tensor in (dx, *dA, *db):
        assert tensor.is_contiguous()
        assert not tensor.requires_grad
    assert jacobians(mlp, torch.ones(0, 3)).dense()[0].shape == (0, 2, 3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_both_gives_the_value_and_the_slope(name):
    z = torch.linspace(-40, 40, 4001, dtype=torch.float64)
    y, slope = ACTIVATIONS[name].both(z)
    assert torch.equal(y, ACTIVATIONS[name].value(z))
    assert torch.allclose(slope, ACTIVATIONS[name].derivative(z), rtol=1e-12, atol=1e-15)


def test_a_module_is_held_against_its_own_forward_pass():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(5, 3, bias=False), nn.GELU())
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), inner, nn.Linear(3, 2))
    verdicts = check_module(model)
    assert set(verdicts) == {"dyL/dx", "dyL/dA1", "dyL/db1", "dyL/dA2", "dyL/dA3", "dyL/db3"}
    assert {v.status for v in verdicts.values()} == {Status.SUPPORTED}
    assert verdicts["dyL/dx"].claim == (
        "the closed form of dyL/dx agrees with autograd in float64 for this module, at 8 inputs"
    )
    assert next(model.parameters()).dtype is torch.float32


def test_a_module_that_computes_something_else_is_refuted(monkeypatch):
    monkeypatch.setattr(nn.Tanh, "forward", lambda self, x: 2 * torch.tanh(x))  # the class itself: nothing shows it
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    assert check_module(model)["dyL/dx"].status is Status.REFUTED


def test_modules_that_cannot_be_checked_are_one_sentence(monkeypatch):
    broken = nn.Sequential(nn.Linear(2, 1))
    broken[0].weight.data[0, 0] = math.nan
    with pytest.raises(InvalidInput, match=r"^MLP\(weights=...\): expected finite values, got NaN or infinity; check"):
        check_module(broken)
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    wide = nn.Sequential(nn.Linear(1000, 1000), nn.Tanh(), nn.Linear(1000, 100))
    words = r"^check_module\(model\): expected at most the 1.0 GB of memory that are free, got 21.2 GB; take a"
    with pytest.raises(InvalidInput, match=words):
        check_module(wide)


def test_more_memory_than_there_is_is_one_sentence(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    found = jacobians(MLP.random((512, 512, 512), dtype=torch.float32), torch.ones(512))
    words = r"^jacobians\(x\): expected at most the 1.0 GB of memory that are free, got 1.1 GB; take fewer sam"
    with pytest.raises(InvalidInput, match=words):
        found.dense()
    with pytest.raises(
        InvalidInput, match=r"^MLP.random\(widths=...\): expected at most the 1.0 GB .* got 24.0 GB; take sm"
    ):
        MLP.random((10**9, 1))
    monkeypatch.setattr(memory, "available", lambda: None)
    assert memory.require(10**15, "f", "do") is None


@pytest.mark.parametrize("widths", [(), (3,), (3, 0), (3, 2.0), (3, -1, 2), (True, 2)])
def test_widths_that_are_none_are_refused(widths):
    with pytest.raises(
        InvalidInput, match=r"^MLP.random\(widths=...\): expected n_0..n_L, at least two, each at least 1, "
    ):
        MLP.random(widths)


def test_a_flow_says_where_the_gradient_goes():
    deep = gradient_flow(MLP.random((8,) * 10 + (1,), "sigmoid"), torch.ones(8, dtype=torch.float64))
    assert str(deep).startswith(f"|dy_10/dy_9| = {deep.norm[-1]:.3g}, |dy_10/dx| = {deep.norm[0]:.3g}: times 0.")
    assert " a layer, it vanishes; layer " in str(deep)
    large = MLP([3 * torch.eye(2)] * 4, [torch.zeros(2)] * 4, "identity")
    flow = gradient_flow(large, torch.ones(2))
    assert str(flow) == (
        "|dy_4/dy_3| = 3, |dy_4/dx| = 81: times 3 a layer, it explodes; layer 1 changes it most, times 3; the factors' "
        "bound is 1 times as large, that of the weights alone 1 times"
    )
    same = MLP([torch.eye(2)] * 3, [torch.zeros(2)] * 3, "identity")
    assert "times 1 a layer, it keeps its size; " in str(gradient_flow(same, torch.ones(2)))
    dead = MLP([torch.zeros(2, 2)] * 2, [torch.zeros(2)] * 2, "relu")
    assert str(gradient_flow(dead, torch.ones(2))) == "|dy_2/dy_1| = 0, |dy_2/dx| = 0"


def test_the_least_singular_values_bound_nothing_where_a_layer_widens():
    """A_2 F_1 with F_1 = (1, 1, 1)^T and A_2 = (1, -1, 0): the product is 0, the least singular values are not."""
    wide = MLP([torch.ones(3, 1), torch.tensor([[1.0, -1.0, 0.0]])], [torch.zeros(3), torch.zeros(1)], "identity")
    flow = gradient_flow(wide, torch.ones(1))
    assert (flow.norm[0], flow.lower[0]) == (0.0, 0.0)
    assert flow.lower[1] == pytest.approx(2**0.5)
    assert "product of least" not in [series["name"] for series in flow.picture()["series"]]


def test_a_flow_of_what_is_not_finite_is_refused():
    with pytest.raises(
        InvalidInput, match=r"^gradient_flow\(x=...\): expected a finite y_L, got NaN or infinity; check the"
    ):
        gradient_flow(MLP.random((2, 1)), torch.tensor([math.nan, 1.0], dtype=torch.float64))


def test_the_picture_of_a_flow_is_the_same_bytes_again():
    flow = gradient_flow(MLP.random((4, 4, 4, 1)), torch.ones(4, dtype=torch.float64))
    picture = flow_picture(flow)
    assert picture == flow_picture(flow)
    for words in ("bound by the weights alone", "product of least", "singular values of F_l"):
        assert words in picture


def test_a_polynomial_with_fractions_works_on_tensors():
    mlp = MLP.random((2, 3, 1), polynomial(1, Fraction(-1, 2), 3))
    x = torch.tensor([0.5, -0.25], dtype=torch.float64)
    z = mlp.weights[0] @ x + mlp.biases[0]
    assert torch.allclose(mlp.forward(x).y[1], 1 - z / 2 + 3 * z * z)
    assert torch.allclose(mlp.forward(x).slopes[0], 6 * z - 0.5)
    assert set(check_autograd((2, 3, 1), polynomial(0, Fraction(1, 3), 1), runs=2)) >= {"dyL/dx"}
