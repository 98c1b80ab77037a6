"""Slow truth about derivatives: sympy's own differentiation, and torch's reverse mode. Knows nothing of mathdnn."""

from __future__ import annotations

import itertools

import sympy
import torch


def symbolic_network(widths, sigma):
    """(y_L as a sympy matrix, A, b, x as lists of matrices of symbols, layer l at l - 1); sigma maps an expression."""
    A = [
        sympy.Matrix(n, m, lambda i, j, k=k: sympy.Symbol(f"A{k}_{i + 1}_{j + 1}"))
        for k, (m, n) in enumerate(itertools.pairwise(widths), start=1)
    ]
    b = [sympy.Matrix(n, 1, lambda i, _, k=k: sympy.Symbol(f"b{k}_{i + 1}")) for k, n in enumerate(widths[1:], start=1)]
    x = sympy.Matrix(widths[0], 1, lambda i, _: sympy.Symbol(f"x_{i + 1}"))
    y = x
    for layer, (weight, bias) in enumerate(zip(A, b, strict=True), start=1):
        y = weight * y + bias
        y = y.applyfunc(sigma) if layer < len(A) else y
    return y, A, b, x


def reverse_mode(f, parameters):
    """The Jacobian of f at every parameter by torch.func.jacrev."""
    return torch.func.jacrev(f, argnums=tuple(range(len(parameters))))(*parameters)
