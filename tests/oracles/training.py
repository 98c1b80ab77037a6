"""Training as the textbook writes it: a plain torch loop, with torch's own optimizers, schedule and losses."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy, mse_loss, one_hot


def literal_training(model, images, labels, orders, *, batch, lr, optimizer="sgd", momentum=0.0, nesterov=False,
                     weight_decay=0.0, one_cycle=False, loss="cross_entropy"):  # fmt: skip
    """Train in place on scaled images (n, 1, h, w), in the given orders; returns the mean loss of each epoch."""
    if optimizer == "sgd":
        opt = torch.optim.SGD(
            model.parameters(), lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, foreach=False
        )
    else:
        opt = torch.optim.AdamW(model.parameters(), lr, weight_decay=weight_decay, foreach=False)
    steps = len(orders) * -(-len(images) // batch)
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps, cycle_momentum=False) if one_cycle else None
    curve = []
    for order in orders:
        total = 0.0
        for start in range(0, len(order), batch):
            x, y = images[order[start : start + batch]], labels[order[start : start + batch]]
            opt.zero_grad()
            score = model(x)
            if loss == "cross_entropy":
                value = cross_entropy(score, y)
            else:
                value = mse_loss(score, one_hot(y, score.shape[1]).to(score), reduction="sum") / len(y)
            value.backward()
            opt.step()
            if cycle is not None:
                cycle.step()
            total += value.item() * len(y)
        curve.append(total / len(order))
    return curve


def one_cycle_steps(lr, steps):
    """The step sizes of torch's one-cycle schedule."""
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps, cycle_momentum=False)
    rates = []
    for _ in range(steps):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        if len(rates) < steps:
            cycle.step()
    return rates
