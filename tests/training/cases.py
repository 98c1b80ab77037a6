"""Small networks and data, so that a whole run takes a blink."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn


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
