"""Counts are the paper's, agree with the Jacobian on small layers, and name what they do not know."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from tests.oracles.lenet import connections_by_jacobian
from tests.saboteurs import lenet as saboteurs
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.lenet import Account, ConnectionTable, LeNet5, LeNet5_1998, TableConv2d, cost, count
from mathdnn.lenet.paper import DigitDistance, Subsample


def column(model, name):
    return {row.name: getattr(row, name) for row in count(model).rows if row.connections}


def test_the_papers_network_to_the_last_connection():
    model = LeNet5_1998()
    assert column(model, "parameters") == {
        "c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164, "output": 0,
    }  # fmt: skip
    assert column(model, "connections") == {
        "c1": 122304, "s2": 5880, "c3": 151600, "s4": 2000, "c5": 48120, "f6": 10164, "output": 840,
    }  # fmt: skip
    account = count(model)
    assert (account.parameters, account.connections, account.not_counted) == (60_000, 340_908, ())


def test_the_homeworks_network():
    table, full = count(LeNet5()), count(LeNet5("full"))
    assert (table.parameters, table.multiply_adds, table.not_counted) == (60_806, 326_520, ())
    assert (full.parameters, full.multiply_adds, full.not_counted) == (61_706, 416_520, ())
    assert {row.name: row.output_shape for row in table.rows}["c3"] == (16, 10, 10)


LAYERS = {
    "convolution": (nn.Conv2d(3, 4, (3, 2), stride=2, dilation=(1, 2)), (3, 7, 6)),
    "groups": (nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5)),
    "no bias": (nn.Conv2d(2, 3, 3, bias=False), (2, 5, 4)),
    "table": (TableConv2d(ConnectionTable.parse("01 12 2 012", in_channels=4), (3, 2), stride=2), (4, 7, 6)),
    "table without bias": (TableConv2d(ConnectionTable.parse("01 1"), 3, bias=False), (2, 5, 4)),
    "linear": (nn.Linear(7, 4), (7,)),
    "mean": (nn.AvgPool2d((2, 3)), (2, 4, 6)),
    "sum": (Subsample(3), (3, 4, 4)),
    "distance": (DigitDistance(), (84,)),
    "line": (nn.Conv1d(2, 3, 3), (2, 7)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_connections_are_what_the_jacobian_sees_and_a_bias_each(name):
    layer, shape = LAYERS[name]
    layer = layer.double()
    seen = connections_by_jacobian(layer, shape)
    row = count(layer, shape).rows[0]
    outputs = layer(torch.zeros(1, *shape, dtype=torch.float64)).numel()
    biases = outputs if getattr(layer, "bias", None) is not None else 0
    assert row.connections == seen + biases
    assert row.multiply_adds == {"mean": 0, "sum": outputs}.get(name, seen)
    assert row.parameters == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize("saboteur", saboteurs.WRONG_COUNTS, ids=lambda wrong: wrong.__name__)
def test_wrong_counts_are_rejected(saboteur):
    layer = nn.Conv2d(3, 4, 3).double()
    seen = connections_by_jacobian(layer, (3, 5, 5))
    assert cost(layer, (3, 5, 5), (4, 3, 3))[0] == seen + 4 * 9
    assert saboteur(9, 27 * 4, 4) != seen + 4 * 9


def test_padding_is_read_like_any_pixel():
    inside = connections_by_jacobian(nn.Conv2d(1, 2, 3, dtype=torch.float64), (1, 6, 6))
    assert count(nn.Conv2d(1, 2, 3, padding=1), (1, 4, 4)).rows[0].connections == inside + 2 * 16


def test_a_shared_layer_is_called_twice_and_holds_its_parameters_once():
    shared = nn.Linear(3, 3)
    account = count(nn.Sequential(shared, nn.ReLU(), shared), (3,))
    assert [row.parameters for row in account.rows] == [12, 0, 0]
    assert account.connections == 24


class Strange(nn.Module):
    def __init__(self):
        super().__init__()
        self.known, self.normal, self.used = nn.Linear(3, 2), nn.BatchNorm1d(3), nn.Linear(2, 2)

    def forward(self, x):
        return F.relu(F.linear(self.known(self.normal(x)), self.used.weight))


def test_what_is_not_known_is_named_and_not_zero():
    account = count(Strange(), (3,))
    assert account.rows[0].connections is None
    assert account.not_counted == (
        "normal, a BatchNorm1d: no rule for its connections",
        "used.weight: a parameter of no layer called",
        "used.bias: a parameter of no layer called",
        "mm: an operation outside of any layer",
        "relu: an operation outside of any layer",
    )
    assert str(account).endswith("not counted: relu: an operation outside of any layer")


class Twice(nn.Conv2d):
    def forward(self, x):
        return super().forward(super().forward(x))


class Renamed(nn.Conv2d):
    """Adds nothing to what a call computes."""


def test_a_layer_with_a_forward_of_its_own_is_not_counted_by_the_rule_of_its_class():
    account = count(nn.Sequential(Twice(2, 2, 1), Renamed(2, 2, 1)), (2, 5, 5))
    assert [(row.parameters, row.connections) for row in account.rows] == [(6, None), (6, 150)]
    assert account.not_counted == ("0, a Twice: no rule for its connections",)
    changed = nn.Linear(3, 4)
    changed.forward = lambda x: nn.Linear.forward(changed, x) * 2
    assert count(changed, (3,)).rows[0].connections is None


def test_a_rule_for_such_a_layer_counts_it():
    class Thrice(nn.Conv2d):
        def forward(self, x):
            return super().forward(super().forward(super().forward(x)))

    @cost.register(Thrice)
    def _(layer, input_shape, output_shape):
        return 3, 2

    assert count(Thrice(2, 2, 1), (2, 5, 5)).connections == 3


def test_counting_leaves_the_model_as_it_is():
    model = Strange()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count(model, (3,))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())


def test_it_prints_as_a_table_and_goes_to_json_and_back():
    account = count(nn.Sequential(nn.Linear(1200, 2), nn.ReLU()), (1200,))
    assert str(account) == (
        "layer  kind    output  parameters  connections  multiply-adds\n"
        "-------------------------------------------------------------\n"
        "0      Linear  2            2,402        2,402          2,400\n"
        "1      ReLU    2                0            0              0\n"
        "-------------------------------------------------------------\n"
        "total                       2,402        2,402          2,400"
    )
    assert Account.from_json(account.to_json()) == account
    with pytest.raises(InvalidInput, match=r"^Account.from_json\(text\): expected an account as"):
        Account.from_json("[]")
    with pytest.raises(InvalidInput, match=r"^Account.from_json\(text\): expected an account as"):
        Account.from_json(None)


REFUSED = [
    (lambda: count(nn.Linear(3, 2)),
     ("count(input_shape=...): expected one image's shape, got a Linear without one; give "
     "it, as in (1, 28, 28).")),
    (lambda: count(nn.Linear(3, 2), (0,)),
     ("count(input_shape=...): expected positive whole numbers, got (0,); correct it.")),
    (lambda: count(3, (1, 8, 8)),
     "count(model): expected a torch.nn.Module, got int; pass the network itself."),
    (lambda: count(nn.Conv2d(1, 2, 3), (1, 2**70, 5)),
     "count(input_shape=...): expected numbers below 2^63, got one of 71 bits; give the shape of an image."),
    (lambda: count(nn.Conv2d(1, 2, 3), (1, 10**5000, 5)),
     "count(input_shape=...): expected numbers below 2^63, got one of 16610 bits; give the shape of an image."),
    (lambda: count(LeNet5(), (1, 30, 30)),
     ("LeNet5.forward(x): expected images of shape (n, 1, 28, 28), got shape (2, 1, "
     "30, 30); reshape or resize.")),
]  # fmt: skip


@pytest.mark.parametrize(("build", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_counted_is_refused_in_one_sentence(build, said):
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        build()


def test_a_model_that_does_not_run_is_refused():
    with pytest.raises(InvalidInput, match=r"^count\(model\): expected a model that runs on images of shape"):
        count(nn.Linear(3, 2), (4,))
    with pytest.raises(InvalidInput, match=r"images of shape \(1, 1000000000000, 1000000000000\), got .*; correct the"):
        count(nn.Conv2d(1, 2, 3), (1, 10**12, 10**12))


@pytest.mark.parametrize("size", [2, (2,), [2], (2, 2), [2, 2], torch.Size([2])])
@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
def test_a_window_given_by_one_number_is_a_square(kind, size):
    """As torch reads it: 16 windows of 4 pixels."""
    assert count(kind(size), (1, 8, 8)).connections == 64
    assert count(kind(size, stride=(1,), padding=(1,)), (1, 8, 8)).connections == 81 * 4


def test_a_shape_that_is_one_number_and_a_layer_without_shape_are_refused():
    words = "count(input_shape=...): expected positive whole numbers, got 28; correct it."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        count(LeNet5(), 28)
    words = "count(model): expected parameters that have a shape, got 1.weight without one; run the model once before."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        count(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), (1, 28, 28))
