"""Small networks and data, so that a whole run takes a blink."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.training import Recipe, train


def tiny_data(n=70, size=6, classes=3, seed=0):
    """Three classes of noisy 6 x 6 images: a bright row each."""
    rng = np.random.default_rng(seed)

    def split(count):
        labels = rng.integers(0, classes, count).astype(np.uint8)
        images = rng.integers(0, 120, (count, size, size)).astype(np.uint8)
        images[np.arange(count), labels] += 100
        return SimpleNamespace(images=images, labels=labels)

    return SimpleNamespace(name="tiny", train=split(n), test=split(n // 2))


def tiny_net(seed=0, size=6, classes=3):
    """A convolution, batch norm (buffers), dropout (random draws) and a linear layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.Tanh(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(4 * (size - 2) ** 2, classes),
        )


def plain_net(seed=0, size=6, classes=3):
    """Without random draws."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * (size - 2) ** 2, classes))


def figures(run):
    """The curve without its clock, the digest and the metrics: what must repeat to the bit."""
    return [(e.epoch, e.train_loss, e.test_loss, e.test_accuracy) for e in run.curve], run.digest, run.metrics


RECIPES = {
    "sgd": Recipe(epochs=2, batch_size=16, momentum=0.9, nesterov=True, schedule="one_cycle", shift=1),
    "adamw": Recipe(epochs=2, batch_size=16, optimizer="adamw", lr=0.01),
    "plain": Recipe(epochs=2, batch_size=16),
}
EVERY = {"report_steps": 1, "checkpoint_seconds": 0.0}


class Stop(Exception):
    """Ends a run as abruptly as an exception can."""


def stopping_at(step, error=Stop):
    def progress(event):
        if event.step == step and event.done is None:
            raise error

    return progress


def start(folder, step, recipe=RECIPES["sgd"], error=Stop, **more):
    with pytest.raises(error):
        train(tiny_net(), tiny_data(), recipe, seed=4, run=folder, progress=stopping_at(step, error), **EVERY, **more)
