"""Training on the compiled engine: torch's run to rounding, its own run to the bit, whatever happens on the way."""

from __future__ import annotations

import re
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.training.cases import tiny_data
from torch import nn

from mathdnn.errors import Diverged, InvalidInput
from mathdnn.lenet import LeNet5, LeNet5_1998
from mathdnn.training import Recipe, evaluate, initialise, plan_engine, predict, scores, train
from mathdnn.training.checks import structure_digest

RECIPES = {
    "homework": Recipe(epochs=1, batch_size=32),
    "nesterov, one cycle": Recipe(
        epochs=1, batch_size=32, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4, schedule="one_cycle"
    ),
    "momentum, squared": Recipe(epochs=1, batch_size=30, lr=0.01, momentum=0.8, loss="squared", pixels="lecun1998"),
    "adamw, shifts": Recipe(epochs=1, batch_size=50, lr=1e-3, optimizer="adamw", weight_decay=0.01, shift=2),
    "standardised": Recipe(epochs=1, batch_size=64, pixels="standardised"),
}


def digits(n: int = 400, size: int = 28, dtype: type = np.uint8) -> SimpleNamespace:
    """Ten classes that can be told apart: a bright bar whose place is the class, in noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, n).astype(np.uint8)
    images = rng.integers(0, 100, (n, size, size)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 3 : 2 * label + 6, 5:-5] = 255
    images = images if dtype is np.uint8 else (images / 255).astype(dtype)
    split = SimpleNamespace(images=images, labels=labels)
    return SimpleNamespace(name="bars", train=split, test=split, digest="0")


def small(seed: int = 0) -> nn.Module:
    return initialise(
        nn.Sequential(nn.Conv2d(1, 4, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(576, 10)), seed
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("name", RECIPES)
def test_an_epoch_is_that_of_the_torch_engine_to_rounding(name, dtype):
    data, models, runs = digits(dtype=dtype), {}, {}
    for engine in ("native", "torch"):
        models[engine] = small()
        runs[engine] = train(models[engine], data, RECIPES[name], engine=engine, seed=3)
    native, torchs = runs["native"].curve[0], runs["torch"].curve[0]
    assert runs["native"].engine == "native"
    assert native.train_loss == pytest.approx(torchs.train_loss, rel=1e-4)
    assert native.test_loss == pytest.approx(torchs.test_loss, rel=1e-3)
    # AdamW divides by the root of the second moment: where a gradient is nearly zero its rounding is as large as a step
    allowed = 5e-3 if "adamw" in name else 2e-4
    for ours, theirs in zip(models["native"].parameters(), models["torch"].parameters(), strict=True):
        assert (ours - theirs).abs().max() <= allowed


def test_threads_change_no_bit_of_a_run():
    digests, before = set(), torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            digests.add(train(small(), digits(), RECIPES["nesterov, one cycle"]).digest)
    finally:
        torch.set_num_threads(before)
    assert len(digests) == 1


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_bits(name, tmp_path):
    recipe = RECIPES[name]
    expected = train(small(), digits(), recipe)

    def stop(event):
        if event.step == 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"^train\(\) stopped after step 4 of epoch 1"):
        train(small(), digits(), recipe, run=tmp_path, progress=stop, report_steps=1)
    resumed = train(small(seed=9), digits(), recipe, run=tmp_path, resume=True)
    assert (resumed.digest, resumed.metrics) == (expected.digest, expected.metrics)
    assert resumed.engine == "native"


def test_a_run_that_leaves_the_numbers_is_stopped():
    model = small()
    with torch.no_grad():
        model[4].weight.mul_(1e4)
    with pytest.raises(Diverged, match=r"^train\(\): expected a"):
        train(model, digits(), Recipe(epochs=1, batch_size=32, lr=1e6, loss="squared"), engine="native")


def test_evaluate_predict_and_scores_are_those_of_the_run_and_of_torch():
    model, data = small(), digits()
    run = train(model, data, RECIPES["homework"])
    assert evaluate(model, data.test, RECIPES["homework"]) == run.metrics
    found = scores(model, data.test.images)
    with torch.no_grad():
        exact = model.double()(torch.from_numpy(data.test.images[:, None] / 255))
    assert np.abs(found - exact.numpy()).max() < 1e-5
    assert np.array_equal(predict(model.float(), data.test.images), found.argmax(axis=1))


def test_a_native_plan_lists_layers_shapes_and_multiply_adds():
    plan = plan_engine(LeNet5("table"), Recipe(), image_shape=(28, 28))
    lines = str(plan).splitlines()
    assert lines[0] == "native: it runs every layer of this model"
    assert [line.split()[:2] for line in lines[3:6]] == [
        ["convolution", "6x28x28"], ["average", "6x14x14"], ["convolution", "16x10x10"],
    ]  # fmt: skip
    by_hand = 6 * 28 * 28 * 25 + 60 * 10 * 10 * 25 + 400 * 120 + 120 * 84 + 84 * 10
    assert plan.network.multiply_adds == by_hand
    assert f"{by_hand:,} multiply-adds an image" in lines[-1]
    words = (
        "plan_engine(image_shape=...): expected images that fit the model, got 24 x 24, which asks for a weight of "
        "shape (10, 400) where the model has (10, 576); give the size that the model was built for."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        plan_engine(small(), Recipe(), image_shape=(24, 24))


def test_lenet_is_trained_natively_and_what_is_not_known_by_torch():
    assert plan_engine(LeNet5("table"), Recipe()).engine == "native"
    assert plan_engine(LeNet5("full"), Recipe(), "native").reason == "asked for"
    refused = plan_engine(nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softplus()), Recipe())
    assert str(refused) == "torch: 2 (Softplus(beta=1.0, threshold=20.0)), which it cannot run"
    frozen = LeNet5("table")
    frozen.c1.bias.requires_grad_(False)
    assert str(plan_engine(frozen, Recipe())) == "torch: a parameter that is not to be trained"
    hooked = LeNet5("table")
    hooked.c3.register_forward_hook(lambda *_: None)
    assert str(plan_engine(hooked, Recipe())) == "torch: c3 with hooks, which it would not call"
    masked = LeNet5("table")
    masked.c3.weight.register_hook(lambda gradient: 0 * gradient)
    assert str(plan_engine(masked, Recipe())) == "torch: a parameter with hooks, which it would not call"
    late = LeNet5("table")
    late.c1.bias.register_post_accumulate_grad_hook(lambda _: None)
    assert str(plan_engine(late, Recipe())) == "torch: a parameter with hooks, which it would not call"


def test_the_network_of_1998_is_drawn_anew_from_a_seed():
    one, same, other = (initialise(LeNet5_1998(), seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["s2.coefficient"], other["s2.coefficient"])
    assert float(one["c1.weight"].abs().max()) <= 2.4 / 25  # its own way, and not that of the layers in it


def test_a_module_that_is_used_twice_computes_twice(rng):
    relu, linear = nn.ReLU(), nn.Linear(30, 30)
    shared = nn.Sequential(nn.Flatten(), nn.Linear(784, 30), relu, linear, relu, linear, nn.Linear(30, 10))
    images = rng.integers(0, 256, (20, 28, 28), np.uint8)
    with torch.no_grad():
        expected = shared(torch.from_numpy(images)[:, None] / 255.0).numpy()
    np.testing.assert_allclose(scores(shared, images), expected, rtol=0, atol=1e-5)
    assert str(plan_engine(shared, Recipe())) == "torch: two layers with one parameter"
    once = nn.Sequential(nn.Flatten(), nn.Linear(784, 30), relu, nn.Linear(30, 10))
    assert plan_engine(nn.Sequential(*once, relu), Recipe()).engine == "native"
    assert structure_digest(nn.Sequential(*once, relu)) != structure_digest(once)


def test_whole_numbers_of_numpy_are_sizes_and_seeds():
    two, one = np.int64(2), np.uint8(1)
    net = nn.Sequential(
        nn.ZeroPad2d(one),
        nn.Conv2d(1, 3, 3, stride=two, padding=one),
        nn.MaxPool2d(two),
        nn.Flatten(),
        nn.Linear(12, 3),
    )
    assert plan_engine(net, Recipe(), image_shape=(6, 6)).engine == "native"
    first = train(initialise(net, seed=np.int64(3)), tiny_data(), Recipe(epochs=1), seed=np.int64(4))
    assert first.seed == 4
    assert train(initialise(net, seed=3), tiny_data(), Recipe(epochs=1), seed=4).digest == first.digest


def test_a_network_too_large_for_memory_is_scored_by_torch_and_told_where_it_is_trained(monkeypatch):
    def full(*arguments):
        raise MemoryError("std::bad_alloc")

    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 3))
    data = tiny_data()
    expected = scores(net, data.test.images)
    monkeypatch.setattr("mathdnn.native._native.Engine", full)
    assert scores(net, data.test.images) == pytest.approx(expected, abs=1e-5)
    words = (
        r"^NativeEngine\(plan=...\): expected memory for the network's buffers, got none for [\d,]+ bytes a block and "
    )
    with pytest.raises(InvalidInput, match=words + r"thread; take smaller images, or torch\.$"):
        train(net, data, Recipe(epochs=1))
