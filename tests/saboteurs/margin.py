"""Deliberately wrong losses and runs; each names the law that must reject it."""

from __future__ import annotations

import numpy as np


def textbook_sigma_of_minus(m):
    """Law: relative error. 1 - sigma(m) has no digits left at m = 40."""
    return -(1 - 1 / (1 + np.exp(-m)))


def squares_without_the_factor(m):
    """Law: the two-term formula. sigma(-m)^2 instead of 2 sigma(-m)^2."""
    return 1 / (1 + np.exp(m)) ** 2


def squares_derivative_without_sigma(m):
    """Law: the derivative of the value. The chain rule's sigma(m) forgotten."""
    return -4 / (1 + np.exp(m)) ** 2


def run(X, y, order, loss_derivative, lr, w0, *, label=True, shuffled=True, stale=False, first=1, inverse=False):
    """SGD with one thing wrong: label forgotten, order ignored, a stale score, a step count that starts elsewhere."""
    w, before = np.array(w0, np.float64), np.array(w0, np.float64)
    rows = order.ravel() if shuffled else np.sort(order.ravel())
    for t, i in enumerate(rows, start=first):
        z = (before if stale else w) @ X[i]
        before = w.copy()
        eta = lr / t if inverse else lr
        w -= eta * (y[i] if label else 1.0) * loss_derivative(y[i] * z) * X[i]
    return w


RUNS = {
    "label forgotten": {"label": False},
    "order ignored": {"shuffled": False},
    "stale score": {"stale": True},
    "step count from 2": {"first": 2, "inverse": True},
}
