"""What cannot be trained is refused before it begins, each with one sentence."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.training.cases import plain_net, tiny_data
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.training import Recipe, load_run, train


def test_nan_among_the_pixels_is_refused():
    data = tiny_data()
    images = data.train.images.astype(np.float32)
    images[3, 2, 1] = np.nan
    data.train.images = images
    with pytest.raises(InvalidInput, match=r": expected .*; ") as caught:
        train(plain_net(), data)
    assert str(caught.value) == (
        "train(data.train): expected finite pixels, got 1 values that are NaN or infinite; replace these values."
    )


def spoiled(net):
    with torch.no_grad():
        net[0].weight[0, 0, 0, 0] = float("nan")
    return net


REFUSED = [
    (lambda: train(nn.Tanh(), tiny_data()), "train(model): expected a parameter to train, got none that"),
    (lambda: train(plain_net(), tiny_data(), {"epochs": 1}), "train(recipe=...): expected a Recipe, got dict; build"),
    (lambda: train("net", tiny_data()), "train(model): expected a torch.nn.Module, got str; pass the network itself."),
    (lambda: train(spoiled(plain_net()), tiny_data()), "train(model): expected finite weights, got NaN or infinity i"),
    (lambda: train(plain_net(size=8), tiny_data()), "train(model): expected scores (n, classes) for images (n, 1, h,"),
    (lambda: train(plain_net(classes=2), tiny_data()), "train(data): expected labels from 0 to 1, the model's classe"),
    (lambda: train(nn.Conv2d(1, 3, 3), tiny_data()), "train(model): expected scores (n, classes) for images (n, 1, h"),
    (lambda: train(plain_net(), 3), "train(data): expected data with the splits train and test, got a int without tr"),
    (lambda: train(plain_net(), tiny_data(), seed=-1), "train(seed=...): expected a whole number from 0 to 2^63 - 1,"),
    (lambda: train(plain_net(), tiny_data(), device="tpu"), "train(device=...): expected 'cpu' or a CUDA device of t"),
    (lambda: train(plain_net(), tiny_data(), device="cuda:99"), "train(device=...): expected 'cpu' or a CUDA device "),
    (lambda: train(plain_net(), tiny_data(), engine="jax"), "train(engine=...): expected 'auto', 'native' or 'torch'"),
    (lambda: train(plain_net(), tiny_data(), judged="validation"), "train(data): expected data with the splits train"),
]  # fmt: skip


@pytest.mark.parametrize(("attempt", "expected"), REFUSED)
def test_what_cannot_be_trained_is_refused_before_it_begins(attempt, expected):
    with pytest.raises(InvalidInput, match=r": expected .*; ") as caught:
        attempt()
    assert str(caught.value).startswith(expected)


WORDS = {
    "report_steps": ("a whole number from 1", ["x", None, 2.5, 0, -3, True, np.nan], repr, "leave it at 50"),
    "checkpoint_seconds": ("a number from 0", ["x", None, np.nan, -1.0, True, 1j], repr, "leave it at 10"),
    "progress": ("a function, or None", [3, "x"], lambda v: f"a {type(v).__name__}", "pass a function of one Event"),
    "run": ("a path: text or a Path", [3, b"yy", 2.5, ["a"]], lambda v: f"a {type(v).__name__}", "write it as text"),
}


@pytest.mark.parametrize("name", WORDS)
def test_what_no_run_can_be_reported_or_kept_with_is_refused_before_anything_is_written(name, tmp_path):
    expected, values, shown, do = WORDS[name]
    for value in values:
        words = f"train({name}=...): expected {expected}, got {shown(value)}; {do}."
        with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
            train(plain_net(), tiny_data(), **{"run": tmp_path / "new", name: value})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("steps", [1, np.int64(2)])
@pytest.mark.parametrize("seconds", [0, np.float32(0), math.inf, Fraction(1, 2)])
def test_numbers_of_other_kinds_are_numbers(steps, seconds, tmp_path):
    train(plain_net(), tiny_data(), Recipe(epochs=1), run=tmp_path, report_steps=steps, checkpoint_seconds=seconds)
    assert load_run(tmp_path).finished


@pytest.mark.parametrize(("folder", "got"), [(None, "None"), (3, "a int"), (b"yy", "a bytes")])
def test_a_folder_to_read_is_a_path(folder, got):
    words = f"load_run(folder): expected a path: text or a Path, got {got}; write it as text."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        load_run(folder)


@pytest.mark.parametrize("text", [None, 3, ["{}"], "\ud800"])
def test_a_recipe_is_read_from_text(text):
    with pytest.raises(InvalidInput, match=r"^Recipe.from_json\(text\): expected a recipe as one JSON object, got "):
        Recipe.from_json(text)


@pytest.mark.parametrize("spoil", [
    lambda s: SimpleNamespace(images=s.images[:, 0], labels=s.labels),
    lambda s: SimpleNamespace(images=s.images[:0], labels=s.labels[:0]),
    lambda s: SimpleNamespace(images=s.images, labels=s.labels[:-1]),
    lambda s: SimpleNamespace(images=s.images, labels=s.labels.astype(float)),
    lambda s: SimpleNamespace(images=s.images.astype(np.int64), labels=s.labels),
    lambda s: SimpleNamespace(images=s.images[:, :5], labels=s.labels),
])  # fmt: skip
def test_splits_that_do_not_fit_are_refused(spoil):
    data = tiny_data()
    data.test = spoil(data.test)
    with pytest.raises(InvalidInput, match=r"^train\(data.test\): expected .*, got .*; "):
        train(plain_net(), data)
