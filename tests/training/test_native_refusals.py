"""What the native engine leaves to torch: numbers that torch would not give, by name."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.lenet import LeNet5
from mathdnn.lenet.paper import DigitDistance, PadTo32
from mathdnn.native.network import plan_network
from mathdnn.training import Recipe, plan_engine, scores
from mathdnn.training.native_layers import native_layers


def other_weight() -> nn.Module:
    turned = nn.Linear(784, 10)
    turned.weight = nn.Parameter(torch.zeros(784, 10))
    return nn.Sequential(nn.Flatten(), turned)


REFUSED_BY_TORCH = {
    "LeNet5 on another size": (LeNet5, 29, "(n, 1, 28, 28)"),
    "LeNet5 within": (lambda: nn.Sequential(nn.ZeroPad2d(1), LeNet5()), 28, "(n, 1, 28, 28)"),
    "one map of three": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(1152, 10)),
        28,
        "to have 1 channels, but got 3 channels",
    ),
    "a linear layer on maps of one pixel": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 28), nn.Linear(4, 10)),
        28,
        "shapes cannot be multiplied",
    ),
    "a convolution after a linear layer": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Conv2d(10, 10, 1), nn.Flatten()),
        28,
        "Expected 3D",
    ),
    "a padding of three maps": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 1), PadTo32(), nn.Flatten(), nn.Linear(3072, 10)),
        28,
        "(n, 1, 28, 28)",
    ),
    "a weight that was turned": (other_weight, 28, "shapes cannot be multiplied"),
}


@pytest.mark.parametrize("name", REFUSED_BY_TORCH)
def test_no_numbers_for_what_torch_refuses(name):
    make, size, words = REFUSED_BY_TORCH[name]
    with pytest.raises((InvalidInput, RuntimeError), match=re.escape(words)):
        scores(make(), np.zeros((20, size, size), np.uint8))


@pytest.mark.parametrize(
    ("model", "shape", "refusal"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 1, 28), nn.Linear(1, 10)),
            (20, 1, 1, 10),
            "1 (Linear(in_features=1, out_features=10, bias=True)) with no Flatten before it",
        ),
        (nn.Sequential(nn.Conv2d(1, 10, 28)), (20, 10, 1, 1), "maps at the end, with no Flatten"),
        (
            nn.Sequential(nn.Conv2d(1, 84, 28), DigitDistance(), nn.Flatten()),
            None,
            "1 (DigitDistance()) with no Flatten before it",
        ),
    ],
)
def test_without_flatten_torch_gives_its_own_shape(model, shape, refusal):
    images = np.arange(20 * 784, dtype=np.uint32).astype(np.uint8).reshape(20, 28, 28)
    assert plan_engine(model, Recipe()).reason == refusal
    if shape is not None:
        found = scores(model, images)
        assert found.shape == shape
        with torch.no_grad():
            expected = model(torch.from_numpy(images[:, None] / np.float32(255)))
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=1e-5)


def test_flattened_maps_of_one_pixel_are_still_computed():
    model = nn.Sequential(nn.Conv2d(1, 4, 28), nn.Flatten(), nn.Linear(4, 10))
    assert plan_engine(model, Recipe(), image_shape=(28, 28)).network.classes == 10
    deep = nn.Sequential(nn.Conv2d(1, 4, 28), nn.Tanh(), nn.Conv2d(4, 10, 1), nn.Flatten())
    assert plan_engine(deep, Recipe(), image_shape=(28, 28)).network.classes == 10


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (
            LeNet5(),
            (1, 31, 29),
            "expected images of shape (1, 28, 28), got (1, 31, 29); give the size that the model was built for.",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(1, 2, 3), nn.Flatten()),
            (1, 5, 5),
            "expected a convolution over the 3 maps there are, got one over 1; match them.",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 3, 1), PadTo32(), nn.Flatten()),
            (1, 28, 28),
            "expected images of one map, got 3; pad before the first convolution.",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Conv2d(10, 10, 1)),
            (1, 28, 28),
            "expected maps, got flattened numbers; put convolutions and pooling before Flatten.",
        ),
    ],
)
def test_a_plan_says_what_does_not_fit(model, shape, message):
    with pytest.raises(InvalidInput, match=f"^{re.escape('plan_network(layers): ' + message)}$"):
        plan_network(native_layers(model)[0], shape)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        plan_engine(model, Recipe(), image_shape=shape[1:])
