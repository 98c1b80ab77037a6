"""Initial weights come of the seed alone, or nothing is drawn and a sentence says what would not be."""

from __future__ import annotations

import re
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from mathdnn.errors import InvalidInput
from mathdnn.lenet import LeNet5, LeNet5_1998
from mathdnn.training import initialise


class Scaled(nn.Linear):
    """A parameter of its own that its reset does not know."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.scale = nn.Parameter(torch.rand(4))


class Halved(nn.Linear):
    """Its reset begins with what was there, which in a new layer is any memory, NaN too: the layer is filled."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        nn.init.constant_(self.weight, 0.25)

    def reset_parameters(self):
        with torch.no_grad():
            self.weight.mul_(0.5)
            self.bias.zero_()


class Replaced(Halved):
    """Its reset makes new parameters, one of them from the old one."""

    def reset_parameters(self):
        self.bias = nn.Parameter(torch.rand(self.out_features))
        self.weight = nn.Parameter(self.weight.detach() + 1)


class Raises(nn.Linear):
    ready = False

    def reset_parameters(self):
        super().reset_parameters()
        if self.ready:
            raise KeyError("a reset that fails")


def older(name, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks for the newer form
        return getattr(nn.utils, name)(*arguments)


def with_weight(weight):
    layer = nn.Linear(4, 4)
    layer.weight = nn.Parameter(weight)
    return layer


DRAWN, FILLED = "expected parameters that reset_parameters draws, got ", "expected parameters that can be filled, got "
REFUSED = {
    "pruned": (lambda: prune.random_unstructured(nn.Linear(9, 4), "weight", amount=0.5), DRAWN + "1.weight_orig, whic"),
    "weight_norm": (lambda: older("weight_norm", nn.Linear(9, 4)), DRAWN + "1.weight_g, which is not drawn from the s"),
    "spectral_norm": (
        lambda: older("spectral_norm", nn.Linear(9, 4)),
        "expected weights drawn from the seed alone, got Linear '1' under spectral_norm, which keeps vectors of its ow",
    ),
    "parametrized": (
        lambda: parametrizations.weight_norm(nn.Linear(9, 4)),
        "expected modules with reset_parameters, got ParametrizationList '1.parametrizations.weight'",
    ),
    "a parameter of its own": (lambda: Scaled(9, 4), DRAWN + "1.scale, which is not drawn from the seed alone; give i"),
    "what was there": (lambda: Halved(9, 4), DRAWN + "1.weight, which is not drawn from the seed alone; give its modu"),
    "new parameters": (lambda: Replaced(9, 4), DRAWN + "1.weight, which is not drawn from the seed alone; give its mo"),
    "expanded": (lambda: with_weight(torch.zeros(1, 1).expand(4, 4)), FILLED + "1.weight where one number stands for "),
    "sparse": (lambda: with_weight(torch.eye(4).to_sparse()), FILLED + "1.weight of layout torch.sparse_coo; draw it"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_be_drawn_is_named_and_nothing_is_drawn(name):
    make, said = REFUSED[name]
    model = nn.Sequential(nn.BatchNorm1d(4), make())
    model[0].running_mean.fill_(3)
    held = dict(model.named_parameters())
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(InvalidInput, match=f"^{re.escape('initialise(model): ' + said)}"):
        initialise(model, 7)
    after = model.state_dict()
    assert all(torch.equal(before[key].to_dense(), after[key].to_dense()) for key in {*before, *after})
    assert all(held[key] is parameter for key, parameter in model.named_parameters())


def test_what_has_no_numbers_is_refused():
    with pytest.raises(InvalidInput, match=r"got weight without a shape; run the model once before"):
        initialise(nn.LazyLinear(4), 0)
    with pytest.raises(InvalidInput, match=r"got c1.weight on the meta device; move the model with to_empty"):
        initialise(LeNet5(device="meta"), 0)
    with pytest.raises(InvalidInput, match=r"^initialise\(model\): expected a torch.nn.Module, got NoneType; pass the"):
        initialise(None, 0)


def test_a_reset_that_fails_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Linear(3, 3), Raises(3, 3))
    model[1].ready = True
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(KeyError, match="a reset that fails"):
        initialise(model, 0)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    "make", [LeNet5, LeNet5_1998, lambda: nn.LSTM(3, 4), lambda: nn.Embedding(5, 3, padding_idx=0)]
)
def test_the_same_is_drawn_as_by_one_pass_of_resets_under_the_seed(make):
    from mathdnn.training.interrupt import INITIAL, seeded

    ours, plain = initialise(make(), 5), make()
    with seeded(5, INITIAL):
        for module in [*plain.children(), plain]:
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))
