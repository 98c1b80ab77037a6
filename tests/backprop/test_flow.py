"""The flow of gradients where floats end: too large, too small, and 16 bits."""

from __future__ import annotations

import math

import pytest
import torch

from mathdnn.backprop import MLP, Activation, flow_picture, gradient_flow
from mathdnn.errors import InvalidInput


def _chain(*factors, dtype=torch.float64):
    n = len(factors)
    return MLP([torch.eye(1, dtype=dtype) * f for f in factors], [torch.zeros(1, dtype=dtype)] * n, "identity")


def _flow(*factors, x=1e-300):
    return gradient_flow(_chain(*factors), torch.tensor([x], dtype=torch.float64))


def test_a_norm_that_is_too_large_is_infinite():
    flow = _flow(1e150, 1e150, 1e150)
    assert flow.norm == (math.inf, pytest.approx(1e300), pytest.approx(1e150))
    assert flow.upper == flow.norm
    assert str(flow) == "|dy_3/dy_2| = 1e+150, |dy_3/dx| = inf"
    assert flow_picture(flow).startswith("<?xml")


def test_what_is_too_large_on_the_way_only_is_not_in_the_way():
    flow = _flow(1e-200, 1e200, 1e200)
    assert flow.norm == (pytest.approx(1e200), math.inf, pytest.approx(1e200))
    assert flow.upper == flow.norm
    assert str(flow) == "|dy_3/dy_2| = 1e+200, |dy_3/dx| = 1e+200"
    assert _flow(0.0, 1e200, 1e200).norm == (0.0, math.inf, pytest.approx(1e200))
    assert _flow(0.0, 1e200, 1e200).upper[0] == 0.0


def test_a_norm_that_is_too_small_is_zero_and_comes_back():
    flow = _flow(1e300, 1e-200, 1e-200, x=1.0)
    assert flow.norm == (pytest.approx(1e-100), 0.0, pytest.approx(1e-200))
    assert flow.lower == flow.norm
    assert str(_flow(1e300, 5e-324, 1e-5, x=0.0)).startswith("|dy_3/dy_2| = 1e-05, |dy_3/dx| = ")
    wide = _flow(1e-300, 1e-300, 1e300, x=1.0)
    assert "times 0 a layer" not in str(wide)


def test_a_norm_beyond_float32_is_within_float64():
    flow = gradient_flow(_chain(1e30, 1e30, dtype=torch.float32), torch.tensor([0.0]))
    assert flow.norm == (pytest.approx(1e60, rel=1e-6), pytest.approx(1e30, rel=1e-6))
    assert flow.norm[0] <= flow.upper[0] * (1 + 1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_have_a_flow(dtype):
    mlp = MLP.random((4, 5, 3, 2), dtype=dtype)
    x = torch.linspace(-1, 1, 4)
    flow, wide = (
        gradient_flow(mlp, x.to(dtype)),
        MLP([A.double() for A in mlp.weights], [b.double() for b in mlp.biases]),
    )
    assert flow.norm == pytest.approx(gradient_flow(wide, x.double()).norm, rel=0.05)
    assert flow_picture(flow).startswith("<?xml")


def test_a_slope_that_is_not_finite_is_refused():
    root = Activation("root", lambda z: z.sqrt(), lambda z: 0.5 / z.sqrt())
    mlp = MLP([torch.ones(1, 1)] * 2, [torch.zeros(1)] * 2, root)
    words = r"^gradient_flow\(x=...\): expected finite factors diag\(sigma'\(z_l\)\) A_l, got NaN or infinity; check"
    with pytest.raises(InvalidInput, match=words):
        gradient_flow(mlp, torch.zeros(1))


def test_an_input_that_records_gradients_is_as_good_as_any():
    mlp, x = MLP.random((3, 2, 1)), torch.ones(3, dtype=torch.float64)
    assert gradient_flow(mlp, x.clone().requires_grad_()) == gradient_flow(mlp, x)
