"""Which engine takes a network: by the images' true size, and never one that would not see what torch is told to do."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from tests.training.cases import EVERY, RECIPES, Stop, figures, plain_net, stopping_at, tiny_data
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from mathdnn.errors import InvalidInput
from mathdnn.lenet import LeNet5, LeNet5_1998
from mathdnn.training import Recipe, evaluate, plan_engine, scores, train

RECIPE = Recipe(epochs=1, batch_size=16)
IMAGES = np.arange(20 * 784, dtype=np.uint32).astype(np.uint8).reshape(20, 28, 28)


def maps_alone(kernel=3):
    """A score for each place of each map: a kernel of the images' size leaves one place, where native has a plan."""
    return nn.Sequential(nn.Conv2d(1, 3, kernel), nn.Flatten())


UNPLANNED = "plan_network(layers): expected a last layer that gives one number a class, got shape (3, 4, 4); end with a"


def test_auto_trains_what_only_torch_can_train_at_this_size(tmp_path):
    plan = plan_engine(maps_alone(), RECIPE, image_shape=(6, 6))
    assert str(plan) == f"torch: images of 6 x 6, for which it has no plan ({UNPLANNED} dense layer)"
    assert plan_engine(maps_alone(6), RECIPE, image_shape=(6, 6)).engine == "native"
    model, same = maps_alone(), maps_alone()
    same.load_state_dict(model.state_dict())
    run = train(model, tiny_data(), RECIPE, run=tmp_path)
    assert (run.engine, run.engine_reason) == ("torch", plan.reason)
    assert figures(train(same, tiny_data(), RECIPE, engine="torch")) == figures(run)
    assert evaluate(model, tiny_data().test, RECIPE) == run.metrics


def test_native_keeps_its_sentence_and_writes_nothing(tmp_path):
    for attempt in (
        lambda: train(maps_alone(), tiny_data(), RECIPE, engine="native", run=tmp_path / "new" / "run"),
        lambda: plan_engine(maps_alone(), RECIPE, "native", image_shape=(6, 6)),
    ):
        with pytest.raises(InvalidInput, match=f"^{re.escape(UNPLANNED)} dense layer\\.$"):
            attempt()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("size", [10**5, 10**9])
def test_a_size_that_is_too_large_to_count_is_torchs(size):
    assert plan_engine(maps_alone(), RECIPE, image_shape=(size, 10)).engine == "torch"


@pytest.mark.parametrize("make", [LeNet5, LeNet5_1998], ids=["LeNet5", "LeNet5_1998"])
def test_images_that_fit_the_model_on_neither_are_refused(make):
    with pytest.raises(InvalidInput, match=r"^plan_network\(layers\): expected images of "):
        plan_engine(make(), RECIPE, image_shape=(31, 28))


class Halving(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {})) * 0.5 if func is torch.tanh else func(*args, **(kwargs or {}))


class Counting(TorchDispatchMode):
    seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        return func(*args, **(kwargs or {}))


def test_a_function_mode_is_seen():
    model, outside = LeNet5(), scores(LeNet5(), IMAGES[:2])
    assert outside.shape == (2, 10)
    outside = scores(model, IMAGES)
    with Halving():
        assert str(plan_engine(model, RECIPE)) == "torch: a Halving block, which would not see its operations"
        found = scores(model, IMAGES)
        with torch.no_grad():
            expected = model(torch.from_numpy(IMAGES[:, None] / np.float32(255))).numpy()
        with pytest.raises(
            InvalidInput, match=r"^train\(engine='native'\): .*got a Halving block, which would not see"
        ):
            train(model, tiny_data(), RECIPE, engine="native")
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found - outside).max() > 1e-3
    assert plan_engine(model, RECIPE).engine == "native"


def test_a_dispatch_mode_is_seen_and_a_default_device_is_none():
    with Counting() as mode:
        scores(LeNet5(), IMAGES)
        inside = mode.seen
        assert plan_engine(LeNet5(), RECIPE).reason == "a Counting block, which would not see its operations"
    assert inside > 20
    with torch.device("cpu"):
        assert plan_engine(LeNet5(), RECIPE).engine == "native"


PATCHED = [
    (nn.functional, "relu"), (nn.functional, "linear"), (nn.functional, "conv2d"), (nn.functional, "max_pool2d"),
    (nn.functional, "avg_pool2d"), (nn.functional, "pad"), (torch, "tanh"), (torch, "sigmoid"), (torch, "relu"),
    (torch, "conv2d"), (torch.Tensor, "flatten"),
]  # fmt: skip


@pytest.mark.parametrize(("home", "name"), PATCHED, ids=[f"{home.__name__}.{name}" for home, name in PATCHED])
def test_another_function_in_the_place_of_torchs_is_called(home, name, monkeypatch):
    model = nn.Sequential(
        nn.ZeroPad2d(1), nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Tanh(), nn.Sigmoid(),
        nn.Flatten(), nn.Linear(147, 10),
    )  # fmt: skip
    first = getattr(home, name)
    assert plan_engine(model, RECIPE).engine == "native"
    monkeypatch.setattr(home, name, lambda *given, **more: first(*given, **more))
    said = f"torch: another {home.__name__}.{name} than at first, which it would not call"
    assert str(plan_engine(model, RECIPE)) == said
    with pytest.raises(InvalidInput, match=rf"^train\(engine='native'\): .*{re.escape(said.removeprefix('torch: '))}"):
        train(model, tiny_data(), RECIPE, engine="native")
    monkeypatch.undo()
    assert plan_engine(model, RECIPE).engine == "native"


def test_scores_come_of_the_patched_function(monkeypatch):
    model = nn.Sequential(nn.Conv2d(1, 3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(1728, 10))
    monkeypatch.setattr(nn.functional, "relu", lambda x, inplace=False: 0 * x)
    found = scores(model, IMAGES)
    assert np.array_equal(found, np.broadcast_to(found[0], found.shape))
    assert train(model, SHORT, RECIPE).engine == "torch"


SHORT = tiny_data(size=28)


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_where_new_tensors_are_made_changes_no_run(engine, tmp_path):
    """`torch.device` as a block, or as the default: on the meta device nothing would be left of them."""
    expected, again = plain_net(), plain_net(seed=9)
    expected_figures = figures(train(expected, tiny_data(), RECIPES["sgd"], seed=4, engine=engine))
    model = plain_net()
    with torch.device("meta"):
        with pytest.raises(Stop, match=r"^$"):
            train(model, tiny_data(), RECIPES["sgd"], seed=4, engine=engine, run=tmp_path, **EVERY, progress=STOP)
        run = train(again, tiny_data(), RECIPES["sgd"], seed=4, engine=engine, run=tmp_path, resume=True)
    assert figures(run) == expected_figures
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), expected.parameters(), strict=True))


STOP = stopping_at(4)
