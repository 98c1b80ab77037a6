"""Weights to begin with, drawn from a seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from mathdnn.errors import InvalidInput, sentence
from mathdnn.training.checks import check_seed
from mathdnn.training.interrupt import INITIAL, seeded


def initialise(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Draw the weights of `model` anew from `seed` alone, by each module's `reset_parameters`; returns the model.

    A module comes after those that it holds, so that its own way prevails. The caller's generators stay as they were.
    Raises `InvalidInput` for parameters that no module would draw.
    """
    check_seed(seed, "initialise(seed=...)")
    modules = list(model.named_modules())
    for name, module in modules:
        if [*module.parameters(recurse=False)] and not hasattr(module, "reset_parameters"):
            got = f"{type(module).__name__} {name!r} with parameters and without it"
            raise InvalidInput(sentence("initialise(model)", "modules with reset_parameters", got, "give it one"))
    with seeded(seed, INITIAL):
        for module in _inside_out(model):
            draw: Any = getattr(module, "reset_parameters", None)
            if draw is not None:
                draw()
    return model


def _inside_out(module: torch.nn.Module, seen: set[torch.nn.Module] | None = None) -> Iterator[torch.nn.Module]:
    """Every module once, each after those that it holds."""
    seen = set() if seen is None else seen
    if module not in seen:
        seen.add(module)
        for child in module.children():
            yield from _inside_out(child, seen)
        yield module
