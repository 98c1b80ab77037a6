"""What cannot be trained or scored is one sentence, also where torch or the model itself would say it raw."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.training.cases import RECIPES, figures, plain_net, start, tiny_data, tiny_net
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.training import (
    Recipe,
    evaluate,
    load_run,
    plan_engine,
    predict,
    scores,
    step_size,
    tensor_digest,
    train,
)

SPLIT = tiny_data().test
ASKED = {
    "train": lambda model: train(model, tiny_data(), Recipe(epochs=1)),
    "evaluate": lambda model: evaluate(model, SPLIT),
    "predict": lambda model: predict(model, SPLIT.images),
    "scores": lambda model: scores(model, SPLIT.images),
}


def expect_sentence(said, attempt):
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        attempt()


def meta_buffer():
    net = tiny_net()
    net[1].running_mean = net[1].running_mean.to("meta")
    return net


NUMBERLESS = {
    "meta": (lambda: plain_net().to("meta"), "0.weight on the meta device; move the model with to_empty(device='cpu')"),
    "lazy": (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), "1.weight without a shape; run the model once"),
    "buffer": (meta_buffer, "1.running_mean on the meta device; move the model with to_empty(device='cpu')"),
}


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("kind", NUMBERLESS)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_network_without_numbers(ask, kind):
    make, got = NUMBERLESS[kind]
    said = f"{ask}(model): expected parameters and buffers with numbers, got {got} before."
    expect_sentence(said, lambda: ASKED[ask](make()))


def test_a_run_is_not_put_into_a_network_without_numbers(tmp_path):
    start(tmp_path, 3)
    said = "SavedRun.into(model): expected parameters and buffers with numbers, got 0.weight on the meta device; "
    expect_sentence(
        said + "move the model with to_empty(device='cpu') before.",
        lambda: load_run(tmp_path).into(tiny_net().to("meta")),
    )


class Forward(nn.Module):
    """Another forward than its layers', which decides by mode and shape what comes of three scores an image."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.layer = answer, nn.Linear(36, 3)

    def forward(self, x):
        return self.answer(self, x, self.layer(x.flatten(1)))


def raising(error):
    def answer(self, x, score):
        raise error

    return answer


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AssertionError(), "AssertionError"),
        (IndexError("no row 7\nat all"), "no row 7"),
        (KeyError(6), "6"),
        (ZeroDivisionError("no rows"), "no rows"),
    ],
    ids=["assert", "index", "key", "zero"],
)
def test_a_forward_that_raises(ask, error, words):
    said = (
        f"{ask}(model): expected scores (n, classes) for images (n, 1, h, w), got the answer {words!r} to images of "
        "shape (2, 1, 6, 6); use a network for images of this size."
    )
    expect_sentence(said, lambda: ASKED[ask](Forward(raising(error))))


class Own(Exception):
    """An error that says something else than that sizes do not fit."""


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize(
    "error", [Own("x"), KeyboardInterrupt("x"), torch.OutOfMemoryError("x")], ids=lambda e: type(e)
)
def test_what_has_nothing_to_do_with_sizes_comes_through(ask, error):
    with pytest.raises(type(error), match=r"^x$"):
        ASKED[ask](Forward(raising(error)))


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("dtype", [torch.int64, torch.float8_e4m3fn], ids=str)
def test_scores_of_types_without_a_loss(ask, dtype):
    said = (
        f"{ask}(model): expected scores (n, classes) for images (n, 1, h, w), strided and real, got torch.strided of "
        f"{dtype}; {REAL}."
    )
    expect_sentence(said, lambda: ASKED[ask](Forward(lambda self, x, score: score.to(dtype))))


REAL = "end the network in real numbers, sparse ones made dense"
IN_TRAINING = "train(model): expected scores (n, classes) for images (n, 1, h, w) in training mode"
DEPEND = "train(model): expected 3 or more scores that depend on the weights in training mode, got "
ALIKE = "; let training mode give what evaluation mode gives."
TRAINING = {
    "a tuple": (lambda s: (s, s), f"{IN_TRAINING}, got tuple; end the network in one score a class."),
    "whole numbers": (
        lambda s: s.long(),
        f"{IN_TRAINING}, strided and real, got torch.strided of torch.int64; {REAL}.",
    ),
    "no gradient": (lambda s: s.detach(), f"{DEPEND}3 without gradients{ALIKE}"),
    "fewer classes": (lambda s: s[:, :2], f"{DEPEND}2{ALIKE}"),
}


@pytest.mark.parametrize("kind", TRAINING)
def test_a_network_that_gives_something_else_in_training_mode(kind):
    change, said = TRAINING[kind]
    model = Forward(lambda self, x, score: change(score) if self.training else score)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    expect_sentence(said, lambda: ASKED["train"](model))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_module_that_writes_over_what_gradients_need():
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.Tanh(), nn.ReLU(inplace=True))
    words = r"^train\(model\): expected a loss whose gradients torch can compute, got the answer 'one of the variables"
    with pytest.raises(InvalidInput, match=words + r".*; write over nothing they need: inplace=False\.$"):
        train(net, tiny_data(), Recipe(epochs=1), engine="torch")


def test_a_last_batch_of_one_image_that_batch_norm_cannot_take():
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.BatchNorm1d(3))
    words = r"^train\(model\): .* got the answer 'Expected more than 1 value per channel when training"
    with pytest.raises(
        InvalidInput, match=words + r".*' to images of shape \(1, 1, 6, 6\); use .*, or another batch_size"
    ):
        train(net, tiny_data(n=71), Recipe(epochs=1, batch_size=10))


# Modes in which nothing can be trained


@pytest.mark.parametrize("engine", ["torch", "native"])
@pytest.mark.parametrize("name", RECIPES)
def test_within_inference_mode_the_same_is_trained(engine, name):
    one, two = plain_net(), plain_net()
    expected = figures(train(one, tiny_data(), RECIPES[name], engine=engine))
    with torch.inference_mode():
        assert figures(train(two, tiny_data(), RECIPES[name], engine=engine)) == expected
        assert torch.is_inference_mode_enabled()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not any(parameter.is_inference() for parameter in two.parameters())


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("engine", ["torch", "native", "auto"])
def test_a_network_made_in_inference_mode(inside, engine):
    with torch.inference_mode():
        net = plain_net()
    said = (
        "train(model): expected tensors that gradients can flow through, got 0.weight, made in inference mode; "
        "build or load the model outside of that mode."
    )
    with torch.inference_mode(inside):
        expect_sentence(said, lambda: train(net, tiny_data(), Recipe(epochs=1), engine=engine))
        assert evaluate(net, SPLIT) == evaluate(plain_net(), SPLIT)


def test_random_draws_while_it_is_judged_leave_the_callers_alone():
    def net():
        return Forward(lambda self, x, score: score + torch.rand(()))

    runs = []
    for _ in range(2):
        draws = torch.get_rng_state()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = net()
        runs.append(train(model, tiny_data(), Recipe(epochs=1)))
        assert torch.equal(torch.get_rng_state(), draws)
        torch.rand(3)
    assert figures(runs[0]) == figures(runs[1])
    assert runs[0].loss_limit == runs[1].loss_limit


# Arguments


ARGUMENTS = [
    (lambda: plan_engine(plain_net(), Recipe(), np.array(["auto", "torch"])), "train(engine=...): expected 'auto', "),
    (lambda: plan_engine(None, Recipe()), "plan_engine(model): expected a torch.nn.Module, got NoneType; pass the ne"),
    (lambda: plan_engine(plain_net(), None), "plan_engine(recipe): expected a Recipe, got NoneType; build one, or "),
    (lambda: tensor_digest({"a": 3}), "tensor_digest(tensors): expected dense tensors with numbers, got a: int; leave"),
    (lambda: tensor_digest([1]), "tensor_digest(tensors): expected tensors by strings, got a list; pass state_dict()."),
    (lambda: tensor_digest({1: torch.ones(1)}), "tensor_digest(tensors): expected tensors by strings, got other names"),
    (lambda: tensor_digest({"a": torch.eye(2).to_sparse()}), "tensor_digest(tensors): expected dense tensors with nu"),
    (lambda: tensor_digest({"a": torch.eye(2, device="meta")}), "tensor_digest(tensors): expected dense tensors with "),
    (lambda: step_size(Recipe.best(), 0, 0), "step_size(step, steps): expected a whole step from 0 to steps - 1, got "),
    (lambda: step_size(Recipe.best(), 3, 3), "step_size(step, steps): expected a whole step from 0 to steps - 1, got "),
    (lambda: step_size(Recipe(), -1, 3), "step_size(step, steps): expected a whole step from 0 to steps - 1, got step"),
    (lambda: step_size(Recipe(), 0.5, 3), "step_size(step, steps): expected a whole step from 0 to steps - 1, got ste"),
    (lambda: step_size(None, 0, 3), "step_size(recipe): expected a Recipe, got NoneType; build one, or read it with R"),
]  # fmt: skip


@pytest.mark.parametrize(("attempt", "expected"), ARGUMENTS)
def test_an_argument_of_another_kind(attempt, expected):
    with pytest.raises(InvalidInput, match=f"^{re.escape(expected)}"):
        attempt()


def test_one_step_is_the_end_of_the_cycle_as_in_torch():
    parameter = nn.Parameter(torch.zeros(1))
    schedule = torch.optim.lr_scheduler.OneCycleLR(torch.optim.SGD([parameter], lr=1.0), 0.1, total_steps=1)
    assert step_size(Recipe.best(), 0, 1) == pytest.approx(schedule.get_last_lr()[0], rel=1e-12)


def test_images_are_pixels_from_0_to_1_where_they_are_floats():
    for images in (SPLIT.images.astype(np.float32), -SPLIT.images / np.float64(255), SPLIT.images / 255 + 1e-3):
        low, high = float(images.min()), float(images.max())
        got = f"values from {low:.4g} to {high:.4g}; divide what goes to 255 by 255, or clip it."
        data = tiny_data()
        data.test = SimpleNamespace(images=images, labels=SPLIT.labels)
        for who, attempt in (
            ("train(data.test)", lambda data=data: train(plain_net(), data)),
            ("evaluate(split)", lambda data=data: evaluate(plain_net(), data.test)),
            ("scores(images)", lambda images=images: scores(plain_net(), images)),
        ):
            if high <= 1 and low >= 0:
                attempt()
            else:
                expect_sentence(f"{who}: expected floating pixels from 0 to 1, got {got}", attempt)
