"""The two networks are the homework's and the paper's: layers, starts, codes, losses."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.oracles import lenet as oracle
from tests.saboteurs import lenet as saboteurs
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable, LeNet5, LeNet5_1998, initialise, rbf_loss, to_separate_convolutions
from mathdnn.lenet.paper import Subsample


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def homework(model, x):
    """The homework's network, written out over sixteen convolutions."""
    x = torch.tanh(F.avg_pool2d(torch.tanh(F.conv2d(x, model.c1.weight, model.c1.bias, padding=2)), 2))
    parts = zip(to_separate_convolutions(model.c3), model.c3.table.maps, strict=True)
    x = torch.cat([part(x[:, list(maps)]) for part, maps in parts], dim=1)
    x = torch.tanh(F.avg_pool2d(torch.tanh(x), 2)).reshape(len(x), 400)
    x = torch.tanh(x @ model.c5.weight.T + model.c5.bias)
    x = torch.tanh(x @ model.f6.weight.T + model.f6.bias)
    return x @ model.output.weight.T + model.output.bias


def test_it_is_the_homeworks_network():
    model = LeNet5(dtype=torch.float64)
    x = torch.rand(3, 1, 28, 28, dtype=torch.float64, generator=seeded())
    assert torch.allclose(model(x), homework(model, x), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("c3", "parameters"), [("table", 60_806), ("full", 61_706), (ConnectionTable.full(6, 4), 23_894)]
)
def test_parameters_are_the_papers_count(c3, parameters):
    model = LeNet5(c3)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_a_start_comes_from_the_generator_alone():
    first, second, third = (initialise(LeNet5(), seeded(s)).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["c5.weight"], third["c5.weight"])
    assert 0.049 < first["c5.weight"].abs().max() <= 400**-0.5


def test_the_1998_network_written_out():
    model = LeNet5_1998(dtype=torch.float64, generator=seeded())
    x = torch.rand(2, 1, 28, 28, dtype=torch.float64, generator=seeded())

    def squash(a):
        return 1.7159 * np.tanh(2 / 3 * a)

    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=-0.1)
    c1 = oracle.table_convolution(wide, np.ones((6, 1), bool), state["c1.weight"], state["c1.bias"])
    s2 = squash(oracle.subsampled(squash(c1), state["s2.coefficient"], state["s2.bias"]))
    kernels = np.zeros((16, 6, 5, 5))
    kernels[oracle.table_i()] = state["c3.weight"]
    c3 = oracle.table_convolution(s2, oracle.table_i(), kernels, state["c3.bias"])
    s4 = squash(oracle.subsampled(squash(c3), state["s4.coefficient"], state["s4.bias"]))
    c5 = squash(s4.reshape(2, 400) @ state["c5.weight"].reshape(120, 400).T + state["c5.bias"])
    f6 = squash(c5 @ state["f6.weight"].T + state["f6.bias"])
    distances = ((f6[:, None] - state["output.codes"]) ** 2).sum(2)
    assert np.allclose(model(x).detach().numpy(), -distances, rtol=0, atol=1e-10)


def test_28_pixels_are_padded_with_background():
    model = LeNet5_1998(generator=seeded())
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(model(x), model(F.pad(x, (2, 2, 2, 2), value=-0.1)))


def test_the_1998_start_is_within_its_fan_in():
    state = LeNet5_1998(generator=seeded()).state_dict()
    fan_ins = {"c1": 25, "s2": 4, "s4": 4, "c5": 400, "f6": 120}
    for name, fan_in in fan_ins.items():
        weight = state[f"{name}.coefficient" if name in ("s2", "s4") else f"{name}.weight"]
        assert weight.abs().max() <= 2.4 / fan_in
        assert state[f"{name}.bias"].abs().max() <= 2.4 / fan_in
    assert state["c5.weight"].abs().max() > 0.99 * 2.4 / 400
    bounds = torch.tensor([2.4 / (25 * n) for n in (3,) * 18 + (4,) * 36 + (6,) * 6])
    ratio = state["c3.weight"].abs().amax((1, 2)) / bounds
    assert ratio.max() <= 1
    assert ratio.min() > 0.6


def test_the_codes_are_ten_digits_that_differ():
    model = LeNet5_1998()
    codes = model.output.codes
    assert codes.shape == (10, 84)
    assert codes.abs().eq(1).all()
    assert "output.codes" not in dict(model.named_parameters())
    apart = (codes[:, None] != codes).sum(dim=2)
    assert apart[~torch.eye(10, dtype=torch.bool)].min() == 11
    assert model.output(codes).argmax(dim=1).tolist() == list(range(10))
    assert model.output(codes).amax(dim=1).eq(0).all()


def law_of_the_loss(loss):
    """The loss is the paper's, and finite for distances of a thousand."""
    distances = torch.rand(5, 10, dtype=torch.float64, generator=seeded()) * 6
    labels = torch.tensor([0, 3, 9, 9, 1])
    expected = oracle.rbf_loss(distances.tolist(), labels.tolist(), 2.0)
    assert abs(loss(-distances, labels, 2.0).item() - expected) < 1e-12
    far = loss(-distances - 1000, labels, 2000.0)  # e^-2000 is nothing beside e^-1000: the limit of large j
    assert abs(far.item() - F.cross_entropy(-distances, labels).item()) < 1e-12


def test_the_losses_are_the_papers():
    law_of_the_loss(rbf_loss)
    distances = torch.rand(5, 10, dtype=torch.float64, generator=seeded())
    labels = torch.arange(5)
    assert abs(rbf_loss(-distances, labels).item() - oracle.rbf_loss(distances.tolist(), labels.tolist())) < 1e-12
    endless = rbf_loss(-distances, labels, 1e6)
    assert torch.allclose(endless, F.cross_entropy(-distances, labels), rtol=1e-14)


@pytest.mark.parametrize(
    "saboteur",
    [saboteurs.loss_without_competition, saboteurs.loss_with_scores_for_distances, saboteurs.loss_that_overflows],
)
def test_wrong_losses_are_rejected(saboteur):
    with pytest.raises(AssertionError, match="assert"):
        law_of_the_loss(saboteur)


@pytest.mark.parametrize("build", [LeNet5, LeNet5_1998])
def test_a_step_lowers_the_loss_and_moves_every_parameter(build):
    torch.manual_seed(0)
    model, x, labels = build(), torch.rand(20, 1, 28, 28, generator=seeded()), torch.arange(20) % 10
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    losses = []
    for _ in range(20):
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(not torch.equal(before[name], p) for name, p in model.named_parameters())


REFUSED = [
    (lambda: LeNet5("sparse"),
     ("LeNet5(c3=...): expected \"table\", \"full\" or a ConnectionTable, got 'sparse'; choose one "
     "of them.")),
    (lambda: LeNet5(ConnectionTable.full(5, 4)),
     ("LeNet5(c3=...): expected a table over the 6 maps of S2, got 5 input "
     "maps; give such a table.")),
    (lambda: LeNet5()(torch.zeros(1, 28, 28)),
     ("LeNet5.forward(x): expected images of shape (n, 1, 28, 28), got shape "
     "(1, 28, 28); reshape or resize.")),
    (lambda: LeNet5_1998()(torch.zeros(1, 1, 30, 30)),
     ("LeNet5_1998.forward(x): expected images of shape (n, 1, 32, "
     "32) or (n, 1, 28, 28), got shape (1, 1, 30, 30); reshape or resize.")),
    (lambda: rbf_loss(torch.zeros(1, 10), torch.tensor([0]), float("inf")),
     ("rbf_loss(j=...): expected a finite number "
     "or None, got inf; use cross-entropy for j = inf.")),
    (lambda: initialise(nn.Sequential(Subsample(2)), seeded()),
     ("initialise(model): expected Conv2d, Linear and "
     "TableConv2d, got 0, a Subsample; draw it yourself.")),
]  # fmt: skip


@pytest.mark.parametrize(("build", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_refused_in_one_sentence(build, said):
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        build()
