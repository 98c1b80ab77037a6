"""Weights that lie in one memory: trained as torch trains them, or refused; never as two that were apart."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from tests.training.cases import RECIPES, plain_net, tiny_data, train
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.lenet.paper import DigitDistance
from mathdnn.training import Recipe, evaluate, plan_engine
from mathdnn.training.memory import share_memory

SHARED = "weights that share memory, which it would train apart"


def squares():
    """Two linear layers of one size between others."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 36), nn.Tanh(), nn.Linear(36, 36), nn.Tanh(), nn.Linear(36, 3))


def tied_by_data():
    net = squares()
    net[3].weight.data = net[1].weight.data
    return net


def partly():
    net = squares()
    both = torch.cat([net[1].weight.data.flatten(), net[3].weight.data.flatten()[:100]])
    net[1].weight.data, net[3].weight.data = both[:1296].view(36, 36), both[100:].view(36, 36)
    return net


def bias_within_the_weight():
    net = squares()
    net[1].bias.data = net[1].weight.data[7]
    return net


def codes_that_are_trained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(36, 10), nn.Tanh(), nn.Linear(10, 84), DigitDistance())
    net[3].weight.data = net[4].codes.view(84, 10)
    return net


@pytest.mark.parametrize("make", [tied_by_data, partly, bias_within_the_weight, codes_that_are_trained])
@pytest.mark.parametrize("more", [{"momentum": 0.5}, {"optimizer": "adamw"}])
def test_the_figures_are_those_of_the_model_that_is_left(make, more):
    model, recipe = make(), Recipe(epochs=2, batch_size=16, lr=0.002, **more)
    assert plan_engine(model, recipe).reason == SHARED
    run = train(model, tiny_data(), recipe)
    assert run.engine == "torch"
    assert run.metrics.loss == pytest.approx(evaluate(model, tiny_data().test, recipe).loss, rel=1e-5)


def test_two_steps_in_one_memory_are_one_step_of_the_sum():
    """Of plain SGD: so weights tied by their memory and one weight in two layers come to the same."""
    by_data, by_name = tied_by_data(), squares()
    by_name[3].weight = by_name[1].weight
    for model in (by_data, by_name):
        train(model, tiny_data(), Recipe(epochs=3, batch_size=16, lr=0.1))
    for left, right in zip(by_data.state_dict().values(), by_name.state_dict().values(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-5)


def test_native_says_why_it_cannot():
    with pytest.raises(InvalidInput, match=rf"^train\(engine='native'\): expected .*, got {SHARED}; use"):
        train(tied_by_data(), tiny_data(), RECIPES["sgd"], engine="native")


def test_scores_only_read_and_stay_compiled():
    model = tied_by_data()
    with torch.no_grad():
        expected = model(torch.from_numpy(tiny_data().test.images[:, None]).float() / 255)
    found = evaluate(model, tiny_data().test, Recipe()).loss
    labels = torch.from_numpy(tiny_data().test.labels).long()
    assert found == pytest.approx(nn.functional.cross_entropy(expected, labels).item(), rel=1e-5)


@pytest.mark.parametrize("engine", ["auto", "native", "torch"])
def test_a_weight_that_stands_for_many_is_refused(engine):
    model = plain_net()
    model[3].bias = nn.Parameter(torch.zeros(1).expand(3))
    expected = (
        "train(model): expected a place in memory for each weight, got 3.bias, where one stands for many; "
        "clone what was expanded."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(expected)}$"):
        train(model, tiny_data(), RECIPES["sgd"], engine=engine)
    model[3].bias.requires_grad_(False)
    train(model, tiny_data(), RECIPES["sgd"])


def test_weights_side_by_side_in_one_block_are_apart():
    model, at = squares(), 0
    block = torch.cat([p.data.flatten() for p in model.parameters()])
    for p in model.parameters():
        p.data, at = block[at : at + p.numel()].view(p.shape), at + p.numel()
    assert plan_engine(model, RECIPES["sgd"]).engine == "native"


def places(tensor):
    """Every address, one by one."""
    return [
        tensor.data_ptr() + 4 * sum(i * stride for i, stride in zip(index, tensor.stride(), strict=True))
        for index in itertools.product(*map(range, tensor.shape))
    ]


def test_no_meeting_is_missed(rng):
    """Against every address of random views of one block."""
    block, met, apart = torch.zeros(60), 0, 0
    for _ in range(3000):
        views = [
            block.as_strided(
                tuple(rng.integers(0, 4, rank).tolist()),
                tuple(rng.integers(0, 5, rank).tolist()),
                int(rng.integers(30)),
            )
            for rank in rng.integers(0, 3, 3)
        ]
        found, (one, two, read) = share_memory(views[:2], views[2:]), map(places, views)
        written = one + two
        truly = len(set(written)) < len(written) or bool({*written} & {*read})
        assert found or not truly
        met, apart = met + truly, apart + (not found)
    assert met > 300
    assert apart > 300
