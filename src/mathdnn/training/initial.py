"""Weights to begin with, drawn from a seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.utils.spectral_norm import SpectralNorm

from mathdnn.errors import InvalidInput, sentence
from mathdnn.training.checks import checked_seed
from mathdnn.training.interrupt import INITIAL, seeded
from mathdnn.training.memory import repeats
from mathdnn.training.scoring import check_module, numberless

_WHO = "initialise(model)"


def initialise(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Draw the weights of `model` anew from `seed` alone, by each module's `reset_parameters`; returns the model.

    A module comes after those that it holds, so that its own way prevails. The caller's generators stay as they were.
    Raises `InvalidInput` for parameters that no module would draw, or not from the seed alone (a pruned or normalised
    layer keeps what it makes its weight of elsewhere), and for those that cannot be filled. Then nothing is drawn.
    """
    check_module(model, _WHO)
    seed = checked_seed(seed, "initialise(seed=...)")
    _require_resets(model)
    with torch.no_grad(), _put_back_on_errors(model):
        one, other = (_drawn(model, seed, before) for before in (0, 1))  # whatever was there, the same must come
        for name, drawn in one.items():
            if not torch.equal(drawn, other[name]):
                got = f"{name}, which is not drawn from the seed alone"
                do = "give its module a reset_parameters that draws it, and prune or normalise afterwards"
                raise InvalidInput(sentence(_WHO, "parameters that reset_parameters draws", got, do))
    return model


def _require_resets(model: torch.nn.Module) -> None:
    """Raise `InvalidInput` unless each parameter can be filled, and belongs to a module that would do so."""
    for name, module in model.named_modules():
        if [*module.parameters(recurse=False)] and not hasattr(module, "reset_parameters"):
            got = f"{type(module).__name__} {name!r} with parameters and without it"
            raise InvalidInput(sentence(_WHO, "modules with reset_parameters", got, "give it one"))
        if any(isinstance(hook, SpectralNorm) for hook in module._forward_pre_hooks.values()):
            got = f"{type(module).__name__} {name!r} under spectral_norm, which keeps vectors of its own"
            raise InvalidInput(sentence(_WHO, "weights drawn from the seed alone", got, "normalise afterwards"))
    parameter: Any
    for name, parameter in model.named_parameters():
        why, do = numberless(parameter)
        if not why and parameter.layout is not torch.strided:
            why, do = f"of layout {parameter.layout}", "draw it yourself"
        elif not why and repeats(parameter):
            why, do = "where one number stands for many", "clone what was expanded"
        if why:
            raise InvalidInput(sentence(_WHO, "parameters that can be filled", f"{name} {why}", do))


def _drawn(model: torch.nn.Module, seed: int, before: int) -> dict[str, torch.Tensor]:
    """Copies of what is drawn where all parameters were `before`."""
    for parameter in model.parameters():
        parameter.fill_(before)
    with seeded(seed, INITIAL):
        for module in _inside_out(model):
            draw: Any = getattr(module, "reset_parameters", None)
            if draw is not None:
                draw()
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@contextmanager
def _put_back_on_errors(model: torch.nn.Module) -> Iterator[None]:
    """Each module with the parameters and buffers that it had, and their numbers, if an error is raised inside."""
    places: list[Any] = [held for module in model.modules() for held in (module._parameters, module._buffers)]
    was = [(held, dict(held)) for held in places]
    numbers = [(t, t.detach().clone()) for _, before in was for t in before.values() if t is not None]
    try:
        yield
    except BaseException:
        for held, before in was:
            held.clear()
            held.update(before)
        for tensor, copy in numbers:
            tensor.detach().copy_(copy)
        raise


def _inside_out(module: torch.nn.Module, seen: set[torch.nn.Module] | None = None) -> Iterator[torch.nn.Module]:
    """Every module once, each after those that it holds."""
    seen = set() if seen is None else seen
    if module not in seen:
        seen.add(module)
        for child in module.children():
            yield from _inside_out(child, seen)
        yield module
