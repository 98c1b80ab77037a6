"""Slow literal truth about margin losses and batch-1 SGD: mpmath with 60 digits, and torch's autograd in float64."""

from __future__ import annotations

import mpmath
import numpy as np
import torch

mpmath.mp.dps = 60


def _s(m):
    return 1 / (1 + mpmath.exp(-m))


VALUE = {
    "logistic": lambda m: mpmath.log1p(mpmath.exp(-m)),
    "sum_of_squares": lambda m: 2 * _s(-m) ** 2,
    "hinge": lambda m: max(mpmath.mpf(0), 1 - m),
    "squared_hinge": lambda m: max(mpmath.mpf(0), 1 - m) ** 2,
    "exponential": lambda m: mpmath.exp(-m),
}

DERIVATIVE = {
    "logistic": lambda m: -_s(-m),
    "sum_of_squares": lambda m: -4 * _s(-m) ** 2 * _s(m),
    "hinge": lambda m: mpmath.mpf(-1 if m < 1 else 0),
    "squared_hinge": lambda m: -2 * max(mpmath.mpf(0), 1 - m),
    "exponential": lambda m: -mpmath.exp(-m),
}


def ulps(found: np.ndarray, margins: np.ndarray, truth) -> np.ndarray:
    """How far `found` lies from `truth(margin)`, in units in the last place of the truth (a subnormal's included)."""
    limits = np.finfo(found.dtype)
    bits, lowest = limits.nmant, int(np.log2(float(limits.smallest_normal)))
    out = []
    for value, margin in zip(found.tolist(), margins.tolist(), strict=True):
        exact = truth(mpmath.mpf(margin))
        if abs(exact) > mpmath.mpf(float(limits.max)):
            out.append(0.0 if value == float(mpmath.sign(exact)) * np.inf else np.inf)
            continue
        exponent = lowest if exact == 0 else max(lowest, int(mpmath.floor(mpmath.log(abs(exact), 2))))
        out.append(float(abs(mpmath.mpf(value) - exact) / mpmath.mpf(2) ** (exponent - bits)))
    return np.array(out)


def _kl(z, y):
    """The divergence of (sigma(-z), sigma(z)) from the label's (1, 0) or (0, 1): minus the log of one of the two."""
    return -torch.log(torch.sigmoid(z) if y > 0 else torch.sigmoid(-z))


def _two_term_squares(z, y):
    negative = 0.5 * (1 - y) * ((1 - torch.sigmoid(-z)) ** 2 + torch.sigmoid(z) ** 2)
    return negative + 0.5 * (1 + y) * (torch.sigmoid(-z) ** 2 + (1 - torch.sigmoid(z)) ** 2)


TORCH = {
    "logistic": _kl,
    "sum_of_squares": _two_term_squares,
    "hinge": lambda z, y: torch.relu(1 - y * z),
    "squared_hinge": lambda z, y: torch.relu(1 - y * z) ** 2,
    "exponential": lambda z, y: torch.exp(-y * z),
}


def torch_sgd(X, y, order, loss, lr, w0, weight_decay=0.0, rate=lambda t: 1.0):
    """torch.optim.SGD in float64 with batches of one, the step of visit t scaled by rate(t)."""
    w = torch.tensor(np.asarray(w0, np.float64), requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=lr, weight_decay=weight_decay)
    for t, i in enumerate(order.ravel().tolist(), start=1):
        optimizer.param_groups[0]["lr"] = lr * rate(t)
        optimizer.zero_grad()
        TORCH[loss](torch.tensor(np.asarray(X[i], np.float64)) @ w, float(y[i])).backward()
        optimizer.step()
    return w.detach().numpy()


def pairwise_scores(outputs: dict[tuple[int, int], np.ndarray], k: int) -> np.ndarray:
    """score_i = sum_x out(i/x) - sum_y out(y/i), as LeCun et al. 1998 write it, for a dictionary of outputs."""
    n = len(next(iter(outputs.values())))
    score = np.zeros((n, k))
    for i in range(k):
        score[:, i] = sum((outputs[i, x] for x in range(k) if (i, x) in outputs), np.zeros(n))
        score[:, i] -= sum((outputs[y, i] for y in range(k) if (y, i) in outputs), np.zeros(n))
    return score
