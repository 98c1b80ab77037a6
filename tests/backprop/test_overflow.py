"""Slopes where z overflowed or is NaN: what does not depend on z stays what it is, as torch's autograd has it."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.backprop import ACTIVATIONS, MLP, jacobians, polynomial
from mathdnn.backprop.numeric import torch_function

FAR = (math.inf, -math.inf, math.nan)
OWN = {("elu", 2): math.nan, ("softsign", 0): 0.0, ("softsign", 1): 0.0}
"""By name and place in FAR; `mathdnn.backprop.activations` says why."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_at_infinity_and_nan_are_torchs_but_for_those_that_are_named(name, dtype):
    z = torch.tensor(FAR, dtype=dtype, requires_grad=True)
    (expected,) = torch.autograd.grad((torch_function(ACTIVATIONS[name])(z) * 1).sum(), z)
    for place in range(3):
        if (name, place) in OWN:
            assert not math.isclose(expected[place].item(), OWN[name, place])
            expected[place] = OWN[name, place]
    for slope in (ACTIVATIONS[name].derivative(z.detach()), ACTIVATIONS[name].both(z.detach())[1]):
        torch.testing.assert_close(slope, expected, rtol=0, atol=0, equal_nan=True)


def test_a_network_whose_hidden_layer_overflows_has_autograds_derivatives():
    net = nn.Sequential(nn.Linear(1, 1), nn.Identity(), nn.Linear(1, 1))
    with torch.no_grad():
        for p, value in zip(net.parameters(), (3e38, 0, 2, 0), strict=True):
            p.fill_(value)
    x = torch.tensor([[10.0]], requires_grad=True)
    dx, db = torch.autograd.grad(net(x).sum(), [x, net[0].bias])
    found = jacobians(MLP.from_sequential(net), x.detach())
    assert (dx.item(), db.item()) == (math.inf, 2.0)
    assert (found.x.item(), found.biases[0].item()) == (math.inf, 2.0)


@pytest.mark.parametrize("coefficients", [(3,), (1, 2), (1, 2, 0), (0, 0, 1), (Fraction(1, 2), -1, 0, 2), (0,), (0, 0)])
def test_a_polynomial_and_its_slope_at_infinity_are_its_limits(coefficients):
    sigma, far = polynomial(*coefficients), torch.tensor(FAR[:2])
    for found, cs in (
        (sigma.value(far), [float(c) for c in coefficients]),
        (sigma.derivative(far), [float(k * c) for k, c in enumerate(coefficients)][1:]),
    ):
        k = max((k for k, c in enumerate(cs) if c), default=None)
        limit = 0.0 if k is None else cs[0] if k == 0 else math.copysign(math.inf, cs[k])
        expected = [limit, -limit if k is not None and k % 2 else limit]
        assert found.tolist() == expected


@pytest.mark.parametrize("coefficients", [(3,), (1, 2, 0), (0, 0)])
def test_a_polynomial_of_other_numbers_is_as_it_was(coefficients):
    sigma, t = polynomial(*coefficients), Fraction(2, 3)
    value = sum(c * t**k for k, c in enumerate(coefficients))
    slope = sum(k * c * t ** (k - 1) for k, c in enumerate(coefficients) if k)
    assert (sigma.value(t), sigma.derivative(t)) == (value, slope)
    assert isinstance(sigma.value(t), Fraction)
    many = np.array([t, -t], dtype=object)
    assert sigma.value(many).tolist() == [sum(c * s**k for k, c in enumerate(coefficients)) for s in (t, -t)]
    assert polynomial(*coefficients).coefficients == tuple(map(Fraction, coefficients))


def test_a_slope_that_is_constant_is_still_a_function_of_z():
    """For whoever differentiates once more, by autograd or by torch.func."""
    z = torch.ones(2, requires_grad=True)
    for slope in (ACTIVATIONS["identity"].derivative, polynomial(1, 2).derivative, polynomial(3).value):
        (second,) = torch.autograd.grad(slope(z).sum(), z)
        assert second.tolist() == [0, 0]
        assert torch.func.vmap(slope)(torch.ones(3, 2)).shape == (3, 2)
