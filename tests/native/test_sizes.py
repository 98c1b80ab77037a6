"""Sizes that 32 bits do not hold are cut to the image or refused; what was checked is what the kernels read."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.native import available
from mathdnn.native.engine import NativeEngine, Pictures
from mathdnn.native.layers import Convolution, Dense, Flatten, Pad, Pool
from mathdnn.native.network import plan_network
from mathdnn.native.sgd import sgd_runs
from mathdnn.training.native_layers import native_layers

compiled = pytest.mark.skipif(not available(), reason="the kernels were not built")
TABLE = (np.arange(256) / 255).astype(np.float32)
HUGE, LARGE = (2**33, 2**32), (2**31 - 1, 2**31 - 2)


def pictures(rng: np.random.Generator, n: int = 12) -> Pictures:
    labels = rng.integers(0, 3, n).astype(np.int32)
    return Pictures(rng.integers(0, 256, (n, 1, 12, 12), dtype=np.uint8), TABLE, labels=labels)


LAYERS = {
    "strides": (lambda: nn.Conv2d(2, 2, 3, stride=HUGE), lambda: nn.Conv2d(2, 2, 3, stride=99)),
    "one stride": (lambda: nn.Conv2d(2, 2, 3, stride=(2**33, 1)), lambda: nn.Conv2d(2, 2, 3, stride=(99, 1))),
    "a stride of 31 bits": (lambda: nn.Conv2d(2, 2, 3, stride=(2**31 - 1, 1)),
                            lambda: nn.Conv2d(2, 2, 3, stride=(99, 1))),
    "dilation of one tap": (lambda: nn.Conv2d(2, 2, (1, 2), dilation=(2**33, 1)), lambda: nn.Conv2d(2, 2, (1, 2))),
    "mean": (lambda: nn.AvgPool2d(2, stride=LARGE), lambda: nn.AvgPool2d(2, stride=99)),
    "mean, padded": (lambda: nn.AvgPool2d(2, stride=LARGE, padding=1, ceil_mode=True),
                     lambda: nn.AvgPool2d(2, stride=99, padding=1, ceil_mode=True)),
    "maximum": (lambda: nn.MaxPool2d((1, 2), stride=LARGE, dilation=(2**31 - 1, 1)), lambda: nn.MaxPool2d((1, 2), 99)),
}  # fmt: skip


def network(layer: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), layer, nn.Flatten())
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return nn.Sequential(*body, nn.Linear(body(torch.zeros(1, 1, 12, 12)).numel(), 3))


def gradient_of(model: nn.Module, seen: Pictures) -> tuple[bytes, float]:
    layers, parameters = native_layers(model)
    engine = NativeEngine(plan_network(layers, (1, 12, 12)), threads=1)
    own = zip(parameters, engine.plan.parameters, strict=True)
    engine.load([given.detach().numpy().reshape(planned.shape) for given, planned in own])
    gradients, loss = engine.gradient(seen)
    return b"".join(gradient.tobytes() for gradient in gradients), loss


@compiled
@pytest.mark.parametrize("name", LAYERS)
def test_steps_beyond_the_image_do_what_steps_of_its_size_do(name, rng):
    seen = pictures(rng)
    huge, large = (gradient_of(network(make()), seen) for make in LAYERS[name])
    assert huge == large


MANY = "plan_network(layers): expected maps with fewer than 2^31 pixels together, padding and all, got "
REFUSED = {
    "images": ((Flatten(), Dense(3)), (1, 2**16, 2**16)),
    "maps": ((Convolution(1, ((0,),) * 99, (1, 1)), Flatten()), (1, 2**13, 2**13)),
    "padding of a convolution": ((Convolution(1, ((0,),), (3, 3), (2**31, 2**31), (2**31, 1)), Flatten()), (1, 12, 12)),
    "kernel and padding": ((Convolution(1, ((0,),), (2**32, 1), (1, 1), (2**31, 0)), Flatten()), (1, 12, 12)),
    "window and padding": ((Pool("average", LARGE, LARGE, (2**30, 2**30 - 1)), Flatten()), (1, 12, 12)),
    "a border": ((Pad((0, 0, 2**31, 0)), Flatten(), Dense(3)), (1, 12, 12)),
    "classes": ((Flatten(), Dense(2**31)), (1, 1, 1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_more_than_32_bits_count_is_refused(name):
    layers, shape = REFUSED[name]
    with pytest.raises(InvalidInput, match=f"^{re.escape(MANY)}[0-9,]+ for .*; shrink or cut the images"):
        plan_network(layers, shape)


def test_a_filter_of_that_size_is_refused_as_any_that_is_too_large():
    with pytest.raises(InvalidInput, match=r"a filter within 12 x 12 pixels and their padding, got \(4294967297, 1\);"):
        plan_network((Convolution(1, ((0,),), (2**32 + 1, 1)), Flatten()), (1, 12, 12))
    with pytest.raises(InvalidInput, match=r"a window within 12 x 12 pixels, got \(1, 2\); shrink it"):
        plan_network((Pool("maximum", (1, 2), (1, 1), dilation=(1, 2**30)), Flatten()), (1, 12, 12))
    layer = Convolution(1, ((0,),), (2, 1), (2**17, 1), dilation=(2**17, 1))
    with pytest.raises(InvalidInput, match="strides times dilations below 2\\^31, got "):
        plan_network((layer, Flatten()), (1, 2**18, 1))
    with pytest.raises(
        InvalidInput, match=r"a window, strides, padding and dilation below 2\^31, got Pool\(kind='maximum'"
    ):
        plan_network((Pool("maximum", (2, 2), HUGE), Flatten()), (1, 12, 12))
    with pytest.raises(InvalidInput, match="one number a class, got no class; give it one output a class"):
        plan_network((Flatten(), Dense(0)), (1, 12, 12))


def linear(n: int = 400) -> tuple[NativeEngine, Pictures]:
    engine = NativeEngine(plan_network((Flatten(), Dense(4)), (1, 2, 2)), threads=1)
    images = np.arange(4 * n, dtype=np.uint32).astype(np.uint8).reshape(n, 1, 2, 2)
    return engine, Pictures(images, TABLE, labels=np.arange(n, dtype=np.int32) % 4)


@compiled
@pytest.mark.parametrize("name", ["order", "labels", "shifts"])
def test_what_is_written_during_training_counts_no_more(name):
    engine, seen = linear()
    given = {"order": np.arange(400), "labels": seen.labels, "shifts": np.zeros((400, 2), np.int64)}
    still = {key: array.copy() for key, array in given.items()}
    expected = engine.train(
        replace(seen, labels=still["labels"]), still["order"], 10, [0.1] * 40, shifts=still["shifts"]
    )

    def write() -> bool:
        given[name][:] = np.iinfo(given[name].dtype).max // 4
        return False

    engine, _ = linear()
    options = {"shifts": given["shifts"], "stopped": write}
    assert engine.train(replace(seen, labels=given["labels"]), given["order"], 10, [0.1] * 40, **options) == expected


@compiled
def test_images_that_may_only_be_read_are_read():
    engine, seen = linear()
    expected = engine.outputs(seen)
    frozen = replace(seen, images=seen.images.copy(), table=seen.table.copy())
    frozen.images.setflags(write=False)
    frozen.table.setflags(write=False)
    np.testing.assert_array_equal(engine.outputs(frozen), expected)
    with pytest.raises(InvalidInput, match="got uint8 of shape \\(400, 1, 2, 2\\), not packed; convert them"):
        engine.outputs(replace(seen, images=np.zeros((400, 1, 2, 4), np.uint8)[..., ::2]))


@compiled
def test_the_order_of_batch_1_sgd_is_a_copy(monkeypatch):
    import mathdnn.native._native as kernels

    held = []
    monkeypatch.setattr(kernels, "sgd_many", lambda X, orders, *rest: held.extend(orders))
    order = np.arange(5)
    sgd_runs(
        np.ones((5, 2), np.float32),
        [order],
        [np.ones(5, np.float32)],
        np.zeros((1, 2), np.float32),
        loss="hinge",
        lr=1.0,
    )
    assert not np.shares_memory(held[0], order)
