"""The derivative itself, by forward mode: one tangent pushed through sums and products, scalar by scalar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mathdnn.backprop.activations import Activation
from mathdnn.backprop.literal import Values
from mathdnn.backprop.polynomials import Polynomial


@dataclass(frozen=True)
class Seed:
    """The scalar by which is differentiated: entry `index` of A_l, b_l, y_{l-1} or x."""

    by: str
    layer: int
    index: tuple[int, ...]


def seeds(by: str, layer: int, widths: Sequence[int]) -> Iterator[Seed]:
    """Every scalar of A_l, b_l, y_{l-1} or x."""
    shape = {
        "A": (widths[layer], widths[layer - 1]),
        "b": (widths[layer],),
        "y": (widths[layer - 1],),
        "x": (widths[0],),
    }[by]
    return (Seed(by, layer, index) for index in np.ndindex(shape))


def tangent(v: Values, seed: Seed, output: int, sigma: Activation | None) -> list[Polynomial]:
    """d y_output / d seed by forward mode: the product rule on every z, the chain rule (or dual numbers) on sigma."""
    zero = Polynomial({})
    first = {"x": 1}.get(seed.by, seed.layer)
    moving = seed.by in ("x", "y")
    dy = [Polynomial.of(int(moving and (k,) == seed.index)) for k in range(len(v.y[first - 1]))]
    for layer in range(first, output + 1):
        dz = []
        for j in range(len(v.y[layer])):
            d = sum((v.A[layer][j, k] * dy[k] for k in range(len(dy))), zero)
            if layer == seed.layer and seed.by == "A" and seed.index[0] == j:
                d = d + v.y[layer - 1][seed.index[1]]
            if layer == seed.layer and seed.by == "b" and seed.index[0] == j:
                d = d + 1
            dz.append(d)
        dy = dz if layer == v.L else [_through(v, layer, j, d, sigma) for j, d in enumerate(dz)]
    return dy


def _through(v: Values, layer: int, j: int, dz: Polynomial, sigma: Activation | None) -> Polynomial:
    """The tangent of sigma(z_l[j]): by the chain rule where sigma is any, by dual numbers where it is given."""
    if sigma is None:
        product: Polynomial = v.s[layer][j] * dz
        return product
    z = Polynomial.unknown(f"z{layer}_{j + 1}")
    along: Polynomial = sigma.value(Dual(z, dz)).tangent
    return along


@dataclass(frozen=True)
class Dual:
    """value + tangent e with e^2 = 0."""

    value: Polynomial
    tangent: Polynomial

    def __add__(self, other: Any) -> Dual:
        return Dual(self.value + other.value, self.tangent + other.tangent) if isinstance(other, Dual) else Dual(
            self.value + other, self.tangent
        )  # fmt: skip

    def __mul__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value * other, self.tangent * other)
        return Dual(self.value * other.value, self.value * other.tangent + self.tangent * other.value)
