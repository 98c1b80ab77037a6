"""The two optimizers, step by step, on a list of parameters.

    p parameter   g gradient   b momentum   m, v moments   t step from 1   eta step size   mu momentum   l decay

    SGD      g <- g + l p;   b <- mu b + g;   p <- p - eta b            (Nesterov: p <- p - eta (g + mu b))
    AdamW    p <- (1 - eta l) p;   m <- 0.9 m + 0.1 g;   v <- 0.999 v + 0.001 g^2
             p <- p - eta / (1 - 0.9^t)  m / (sqrt(v) / sqrt(1 - 0.999^t) + 1e-8)

Source: Sutskever and others (2013), eq. 3 and 4, in the form of torch, where eta is outside of b; Loshchilov and Hutter
(2019), algorithm 2. The results are those of `torch.optim`, whose first use would import torch's compiler (a second).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mathdnn.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Kingma and Ba (2015), algorithm 1


def new_state(recipe: Recipe, parameters: Sequence[torch.Tensor]) -> dict[str, list[torch.Tensor]]:
    """The tensors the optimizer keeps, all zero: one list entry a parameter."""
    names = ["first", "second"] if recipe.optimizer == "adamw" else ["momentum"] if recipe.momentum else []
    return {name: [torch.zeros_like(p, memory_format=torch.contiguous_format) for p in parameters] for name in names}


@torch.no_grad()
def update(
    recipe: Recipe, parameters: Sequence[torch.Tensor], state: dict[str, list[torch.Tensor]], step: int, lr: float
) -> None:
    """One step of the optimizer, in place; `step` counts from 0. Parameters without a gradient stay as they are."""
    for index, p in enumerate(parameters):
        if p.grad is None:
            continue
        kept = {name: _real(tensors[index]) for name, tensors in state.items()}
        if recipe.optimizer == "adamw":
            _adamw(_real(p), _real(p.grad), kept["first"], kept["second"], step + 1, lr, recipe.weight_decay)
        else:
            _sgd(recipe, _real(p), _real(p.grad), kept.get("momentum"), lr)


def _real(tensor: torch.Tensor) -> torch.Tensor:
    """A complex number as the two that it is made of: the second moment is of each, as in torch."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _sgd(recipe: Recipe, p: torch.Tensor, g: torch.Tensor, b: torch.Tensor | None, lr: float) -> None:
    if recipe.weight_decay:
        g = g.add(p, alpha=recipe.weight_decay)
    if b is not None:
        b.mul_(recipe.momentum).add_(g)
        g = g.add(b, alpha=recipe.momentum) if recipe.nesterov else b
    p.add_(g, alpha=-lr)


def _adamw(p: torch.Tensor, g: torch.Tensor, m: torch.Tensor, v: torch.Tensor, t: int, lr: float, decay: float) -> None:
    p.mul_(1 - lr * decay)
    m.lerp_(g, 1 - BETA1)
    v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
    scale = (v.sqrt() / math.sqrt(1 - BETA2**t)).add_(EPSILON)
    p.addcdiv_(m, scale, value=-lr / (1 - BETA1**t))
