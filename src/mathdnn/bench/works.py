"""The works by name, in the order they are measured."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from mathdnn.bench.work import Built, Settings, Work
from mathdnn.errors import InvalidInput, sentence

_TITLES = {
    "sgd": ("sgd", "one epoch of batch-1 SGD, 11,791 x 784, one thread"),
    "pairs": ("sgd", "45 label pairs x 20 seeds of batch-1 SGD, one epoch each"),
    "lenet": ("lenet", "one epoch of LeNet-5, 60,000 images in batches of 100"),
    "layer": ("convolution", "TableConv2d forward and backward at C3's size, batch 100"),
    "grid": ("grid", "TableConv2d forward and backward over a grid of sizes"),
    "kernels": ("convolution", "the engine's convolution kernels on one core"),
    "inference": ("inference", "the scores of 10,000 test images"),
    "epochs": ("training", "ten epochs of the homework's recipe with evaluation"),
    "growth": ("training", "an epoch of 1,000 to 600,000 images"),
    "reproduce": ("training", "mathdnn reproduce, all of it"),
}
"""Name: the module whose `build_<name>` prepares the work, and its title."""


def _builder(name: str) -> Work:
    module, title = _TITLES[name]

    def build(settings: Settings) -> Built:
        built: Built = getattr(importlib.import_module(f"mathdnn.bench.{module}"), f"build_{name}")(settings)
        return built

    return Work(name, title, build)


WORKS: tuple[Work, ...] = tuple(_builder(name) for name in _TITLES)


def select(names: Sequence[str]) -> tuple[Work, ...]:
    """The works named, in their own order; all for none. Raises `InvalidInput` for an unknown name."""
    known = {work.name: work for work in WORKS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(sentence("bench(works)", ", ".join(known), ", ".join(unknown), "name some of these"))
    return tuple(work for work in WORKS if not names or work.name in names)
