"""What cannot be trained is refused before it begins, each with one sentence."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.training.cases import plain_net, tiny_data
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.training import train


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
