"""The optimizers beside torch's own, on numbers of every kind."""

from __future__ import annotations

import pytest
import torch

from mathdnn.training import Recipe
from mathdnn.training.optimizers import new_state, update

TORCHS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.01),
}
OURS = {
    "sgd": Recipe(momentum=0.9, nesterov=True, weight_decay=0.01),
    "adamw": Recipe(optimizer="adamw", weight_decay=0.01),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("name", OURS)
def test_each_step_is_that_of_torch(name, dtype):
    generator = torch.Generator().manual_seed(0)
    start, *gradients = (torch.randn(3, 2, dtype=dtype, generator=generator) for _ in range(6))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    state, torchs = new_state(OURS[name], [ours]), TORCHS[name]([theirs])
    for step, gradient in enumerate(gradients):
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        update(OURS[name], [ours], state, step, 0.1)
        torchs.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
