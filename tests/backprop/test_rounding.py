"""Where a layer is saturated autograd loses its digits: no right derivative is called wrong, and no wrong one right."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mathdnn.backprop import MLP, Activation, check_autograd, check_module, jacobians
from mathdnn.backprop import numeric as numeric_room
from mathdnn.backprop.rounding import rounding
from mathdnn.verdict import Status

SATURATED = {
    "tanh": (nn.Tanh(), 10.0, Status.UNDECIDED),
    "tanh below": (nn.Tanh(), -10.0, Status.UNDECIDED),
    "softsign": (nn.Softsign(), 1e6, Status.UNDECIDED),
    "elu": (nn.ELU(), -40.0, Status.SUPPORTED),
    "elu in place": (nn.ELU(inplace=True), -40.0, Status.SUPPORTED),
    "elu in place, near": (nn.ELU(inplace=True), -25.0, Status.SUPPORTED),
}


def _net(activation, bias):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), activation, nn.Linear(3, 2)).double()
    with torch.no_grad():
        net[0].bias.add_(bias)
    return net


@pytest.mark.parametrize("case", SATURATED)
def test_a_right_derivative_of_a_saturated_network_is_not_refuted(case):
    activation, bias, status = SATURATED[case]
    net = _net(activation, bias)
    found = check_module(net)
    assert found["dyL/dx"].status is status
    assert not [name for name, verdict in found.items() if verdict.status is Status.REFUTED]
    if status is Status.UNDECIDED:
        assert "autograd itself has lost its digits there: rounding may make as much" in str(found["dyL/dx"])
    assert getattr(net[1], "inplace", False) is ("in place" in case)  # the caller's own layer is as it was


def test_a_wrong_derivative_is_refuted_however_flat_the_layer(monkeypatch):
    """1e-10 of 1 is far more than rounding makes, and 1e-6 of what is left of sigma' is not."""
    for bias, off in ((0.0, 1e-9), (5.0, 1e-6)):
        slope = Activation("mine", torch.tanh, lambda z, off=off: (1 - z.tanh().square()) * (1 + off))
        net = _net(nn.Tanh(), bias)
        mlp = MLP([net[0].weight, net[2].weight], [net[0].bias, net[2].bias], slope)
        x = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        gaps = numeric_room._gaps(mlp, x, numeric_room._autograd(mlp, x), "test")
        assert gaps["dyL/dx"].relative > numeric_room.TOLERANCE
        assert not gaps["dyL/dx"].lost
        assert numeric_room._verdict("dyL/dx", [gaps["dyL/dx"]], mlp, 0).status is Status.REFUTED


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "gelu", "softsign", "elu"])
def test_the_bound_holds_in_32_bits_and_is_not_far_from_what_happens(name):
    mlp = MLP.random((4, 6, 5, 3), name, seed=3)
    x = torch.randn(16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    short = MLP([A.float() for A in mlp.weights], [b.float() for b in mlp.biases], name)
    exact = MLP([A.double() for A in short.weights], [b.double() for b in short.biases], name)
    bounds = rounding(short, x.float())
    ours = numeric_room._named(*jacobians(short, x.float()).dense())
    true = numeric_room._named(*jacobians(exact, x.float().double()).dense())
    for key, bound in bounds.items():
        gap = (ours[key].double() - true[key]).abs()
        assert bound.shape == gap.shape
        assert bool((gap <= bound).all())
        assert float(bound.max()) < 1e-3 * float(true[key].abs().max())


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_the_callers_modes_change_nothing(mode):
    net = _net(nn.Tanh(), 0.0)
    plain = check_autograd((2, 3, 1)), check_module(net)
    with mode():
        assert (check_autograd((2, 3, 1)), check_module(net)) == plain
    with torch.device("meta"):
        assert (check_autograd((2, 3, 1)), check_module(net)) == plain
