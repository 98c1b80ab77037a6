"""Modules as torch has them: what is read exactly, what is refused because it can compute anything, what is shared."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from mathdnn.backprop import MLP, check_module, jacobians
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status

PLAIN = "expected layers that compute what their class says, got "


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Shifted(nn.Tanh):
    def forward(self, x):
        return super().forward(x) + 1


class Twice(nn.Sequential):
    def forward(self, x):
        return super().forward(2 * x)


class Loud(nn.Dropout):
    def forward(self, x):
        return 2 * x


def _net():
    return nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh()), nn.Linear(3, 1))


def _hooked(register, at=0, full=False):
    net = _net()
    getattr(net if at is None else net[at], register)(lambda *_: None)
    return net


def _patched(at):
    net = _net()
    (net if at is None else net[at]).forward = lambda x: x
    return net


def _changed(change):
    net = _net()
    change(net[0])
    return net


LINEAR = "Linear(in_features=2, out_features=3, bias=True) at 0 with "
OTHER = {
    "a Linear of one's own": (lambda: nn.Sequential(Doubled(2, 3)), "got Doubled(in_features=2, out_features=3, b"),
    "an activation of one's own": (
        lambda: nn.Sequential(nn.Linear(2, 3), Shifted(), nn.Linear(3, 1)),
        "got Shifted() at 1; leave it out",
    ),
    "a Dropout of one's own": (lambda: nn.Sequential(Loud().eval(), nn.Linear(2, 3)), "got Loud(p=0.5, inplace=False)"),
    "a Sequential of one's own": (lambda: Twice(nn.Linear(2, 3)), "expected an nn.Sequential, got Twice; wrap"),
    "one within": (
        lambda: nn.Sequential(nn.Linear(2, 3), Twice(nn.Tanh()), nn.Linear(3, 1)),
        "got Twice( (0): Tanh() ) at 1; leave it out",
    ),
    "flattening the batch": (lambda: nn.Sequential(nn.Flatten(0), nn.Linear(2, 3)), "got Flatten(start_dim=0, end_"),
    "forward hook": (lambda: _hooked("register_forward_hook"), PLAIN + LINEAR + "a forward hook; remove it"),
    "forward pre-hook": (lambda: _hooked("register_forward_pre_hook"), PLAIN + LINEAR + "a forward pre-hook; remove"),
    "backward hook": (lambda: _hooked("register_full_backward_hook"), PLAIN + LINEAR + "a backward hook; remove it"),
    "backward pre-hook": (lambda: _hooked("register_full_backward_pre_hook"), PLAIN + LINEAR + "a backward pre-hook"),
    "hook on the net": (lambda: _hooked("register_forward_hook", None), PLAIN + "the model with a forward hook"),
    "hook within": (
        lambda: _hooked("register_forward_hook", 1),
        PLAIN + "the Sequential '1' with a forward hook; remove",
    ),
    "forward on the object": (lambda: _patched(0), PLAIN + LINEAR + "a forward of its own; take layers"),
    "forward on the net": (lambda: _patched(None), PLAIN + "the model with a forward of its own"),
    "spectral norm": (lambda: _changed(parametrizations.spectral_norm), "at 0 with a parametrization; remove it by t"),
    "weight norm": (lambda: _changed(parametrizations.weight_norm), "at 0 with a parametrization; remove it by torch"),
    "pruned": (lambda: _changed(lambda m: prune.l1_unstructured(m, "weight", 1)), PLAIN + LINEAR + "a forward pre-h"),
    "lazy": (
        lambda: nn.Sequential(nn.LazyLinear(3), nn.Tanh(), nn.Linear(3, 1)),
        "got LazyLinear(in_features=0, out_features=3, bias=True) at 0, without; run the model once on an input, which",
    ),
    "other threshold": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Softplus(threshold=5), nn.Linear(3, 1)),
        "got Softplus(beta=1.0, threshold=5) at 1; leave it out",
    ),
}


@pytest.mark.parametrize("ask", [MLP.from_sequential, check_module])
@pytest.mark.parametrize("case", OTHER)
def test_what_can_compute_anything_is_refused(case, ask):
    make, words = OTHER[case]
    with pytest.raises(InvalidInput, match=r"^MLP.from_sequential\(model=...\): .*" + re.escape(words)):
        ask(make())


def test_a_hook_on_all_modules_is_refused():
    hook = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with pytest.raises(InvalidInput, match=re.escape(PLAIN + "a forward hook on all modules; remove it for the")):
            MLP.from_sequential(_net())
    finally:
        hook.remove()
    assert MLP.from_sequential(_net()).layers == 2


def test_a_lazy_layer_that_ran_is_an_ordinary_one():
    net = nn.Sequential(nn.LazyLinear(3), nn.Tanh(), nn.Linear(3, 1))
    net(torch.ones(1, 2))
    assert MLP.from_sequential(net).widths == (2, 3, 1)


def _tied(kind):
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    setattr(net[2], kind, getattr(net[0], kind))
    return net


def _again():
    shared = nn.Linear(3, 3)
    return nn.Sequential(shared, nn.Tanh(), nn.Sequential(shared))


SHARED = {
    "layer": (_again, "0.weight, which is also 2.0.weight"),
    "weight": (lambda: _tied("weight"), "0.weight, which is also 2.weight"),
    "bias": (lambda: _tied("bias"), "0.bias, which is also 2.bias"),
}


@pytest.mark.parametrize("case", SHARED)
def test_the_derivative_by_a_shared_parameter_is_not_checked(case):
    make, which = SHARED[case]
    words = (
        f"check_module(model): expected parameters used by one layer each, got {which}; give each layer its own: the "
        "derivative by a shared parameter is the sum over its layers."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        check_module(make())


def test_layers_that_share_a_weight_have_jacobians_whose_sum_is_the_derivative():
    net = _again().double()
    x = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    dA = jacobians(MLP.from_sequential(net), x).dense()[1]
    net(x[None])[0, 1].backward()
    assert torch.allclose(dA[0][1] + dA[1][1], net[0].weight.grad, rtol=1e-12)


def test_a_weight_that_is_no_parameter_is_not_differentiated_by():
    net = nn.Sequential(nn.Linear(2, 1))
    del net[0].weight
    net[0].weight = torch.ones(1, 2)
    assert MLP.from_sequential(net).widths == (2, 1)
    with pytest.raises(
        InvalidInput, match=r"^check_module\(model\): expected parameters, got 0.weight that is none; re"
    ):
        check_module(net)


def test_softplus_is_torchs_beyond_its_threshold():
    net = nn.Sequential(nn.Linear(1, 1), nn.Softplus(), nn.Linear(1, 1)).double()
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.fill_(20.0 + 2.0**-40)
    assert {v.status for v in check_module(net).values()} == {Status.SUPPORTED}
    for z in (20.0, 20.0 + 2.0**-40, 21.0, 40.0):
        with torch.no_grad():
            net[0].bias.fill_(z)
        mlp, x = MLP.from_sequential(net), torch.zeros(1, dtype=torch.float64, requires_grad=True)
        t = mlp.biases[0].clone().requires_grad_()
        (slope,) = torch.autograd.grad(nn.functional.softplus(t), t)
        trace = mlp.forward(x.detach())
        assert torch.allclose(trace.y[1], nn.functional.softplus(t), rtol=1e-15, atol=0)
        assert torch.allclose(trace.slopes[0], slope, rtol=1e-15, atol=0)
