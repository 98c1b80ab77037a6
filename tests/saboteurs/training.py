"""Deliberately wrong twins of the training room; each names the law that must reject it."""

from __future__ import annotations

import numpy as np
import torch


def mean_of_batch_means_over_n(losses, batch):
    """The published solution's average loss: a sum of batch means over the number of images. Law: the true mean."""
    return sum(losses[i : i + batch].mean() for i in range(0, len(losses), batch)) / len(losses)


def mean_of_batch_means(losses, batch):
    """Right only where every batch is full. Law: the true mean."""
    means = [losses[i : i + batch].mean() for i in range(0, len(losses), batch)]
    return sum(means) / len(means)


def move_the_other_way(pixels, shifts, reach):
    """Up for down. Law: a pixel moves by its shift."""
    return torch.stack([torch.roll(p, (-int(d), -int(r)), (0, 1)) for p, (d, r) in zip(pixels, shifts, strict=True)])


def move_around(pixels, shifts, reach):
    """What leaves on one side comes in on the other. Law: the border is 0."""
    return torch.stack([torch.roll(p, (int(d), int(r)), (0, 1)) for p, (d, r) in zip(pixels, shifts, strict=True)])


def same_order_every_epoch(seed, epoch, n):
    """Law: epochs differ."""
    return np.random.default_rng(seed).permutation(n)


def drop_the_last_batch(order, batch):
    """Law: the weights of the literal loop, which visits every image."""
    return order[: len(order) // batch * batch]
