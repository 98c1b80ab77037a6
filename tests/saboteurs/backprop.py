"""Wrong formulas and activations. The exact check must refute each formula, autograd each activation."""

# ruff: noqa: E741, E501 (layer l as in the source; one twin a line)
from __future__ import annotations

import dataclasses

import numpy as np

from mathdnn.backprop import ACTIVATIONS, FORMULAS, polynomial
from mathdnn.backprop.literal import G


def _twin(name, closed):
    return dataclasses.replace(FORMULAS[name], closed=closed)


def _no_diag(v, l):
    return np.multiply.outer(G(v, l), v.y[l - 1])


def _wrong_input(v, l):
    return np.multiply.outer(G(v, l) @ np.diag(v.s[l]), v.y[l])


def _wrong_slope(v, l):
    return np.multiply.outer(G(v, l) @ np.diag(v.s[max(1, l - 1)]), v.y[l - 1])


def _transposed(v, l):
    return np.swapaxes(np.multiply.outer(G(v, l) @ np.diag(v.s[l]), v.y[l - 1]), 1, 2)


FORMULAS_THAT_ARE_WRONG = {
    "no diag in dyL/dAl": _twin("dyL/dAl", _no_diag),
    "y_l for y_{l-1} in dyL/dAl": _twin("dyL/dAl", _wrong_input),
    "sigma' of the layer before in dyL/dAl": _twin("dyL/dAl", _wrong_slope),
    "dyL/dAl transposed": _twin("dyL/dAl", _transposed),
    "no diag in dyl/dyl-1": _twin("dyl/dyl-1", lambda v, l: v.A[l]),
    "diag on the wrong side": _twin("dyl/dyl-1", lambda v, l: v.A[l] @ np.diag(v.s[l]) if v.A[l].shape[0] == v.A[l].shape[1] else v.A[l]),
    "A_L transposed": _twin("dyL/dyL-1", lambda v, l: v.A[v.L].T),
    "no diag in dyl/dbl": _twin("dyl/dbl", lambda v, l: np.eye(len(v.s[l]), dtype=int)),
    "y_{L-2} in dyL/dAL": _twin("dyL/dAL", lambda v, l: np.multiply.outer(np.eye(len(v.b[v.L]), dtype=int), v.y[v.L - 2])),
    "a layer left out of dyL/dx": _twin("dyL/dx", lambda v, l: G(v, 1)),
    "too many rows": _twin("dyL/dbL", lambda v, l: np.eye(len(v.b[v.L]) + 1, dtype=int)),
}  # fmt: skip

SQUARE = polynomial(0, 0, 1)
SLOPE_WITHOUT_THE_TWO = dataclasses.replace(SQUARE, derivative=lambda z: z)

RELU_ONE_AT_ZERO = dataclasses.replace(ACTIVATIONS["relu"], derivative=lambda z: (z >= 0).to(z.dtype))
TANH_SLOPE_WITHOUT_SQUARE = dataclasses.replace(ACTIVATIONS["tanh"], derivative=lambda z: 1 - z.tanh())
