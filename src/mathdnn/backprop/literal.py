"""The derivatives as the formulas read, one sample at a time, for numbers of any kind.

Legend: A[l], b[l], z[l] for l = 1..L and y[l] for l = 0..L (entry 0 of A, b, z is unused); s[l] = sigma'(z[l]);
J[i, j, ...] = d output[i] / d parameter[j, ...]; G_l = dy_L/dy_l.

    (a)  dy_L/db_L = I                      dy_L/dy_{L-1} = A_L
         dy_l/db_l = diag(s_l)              dy_l/dy_{l-1} = diag(s_l) A_l                       l < L
    (b)  dy_L[i]/dA_L[j,k] = [i = j] y_{L-1}[k]
         dy_L[i]/dA_l[j,k] = G_l[i,j] s_l[j] y_{l-1}[k]                                         l < L
         G_{L-1} = A_L,  G_{l-1} = G_l diag(s_l) A_l,  dy_L/db_l = G_l diag(s_l),  dy_L/dx = G_0

With n_L = 1 the last line of (b) is diag(s_l) G_l^T y_{l-1}^T, as in the source.
Source: homework 4, problem 6. Convention at kinks: see `activations`; the formulas take sigma' as given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mathdnn.errors import InvalidInput


@dataclass(frozen=True)
class Values:
    """One forward pass in arrays of any dtype (object for rationals or polynomials); lists start at layer 1."""

    A: list[Any]
    b: list[Any]
    y: list[Any]
    s: list[Any]

    @property
    def L(self) -> int:
        return len(self.A) - 1


def G(v: Values, l: int) -> Any:  # noqa: E741
    """dy_L/dy_l, (n_L, n_l)."""
    return v.A[v.L] if l == v.L - 1 else G(v, l + 1) @ dyl_dprevious(v, l + 1)


def dyL_dbL(v: Values, l: int) -> Any:  # noqa: E741
    return np.eye(len(v.b[v.L]), dtype=object)


def dyL_dprevious(v: Values, l: int) -> Any:  # noqa: E741
    return v.A[v.L]


def dyl_dbl(v: Values, l: int) -> Any:  # noqa: E741
    return np.diag(v.s[l])


def dyl_dprevious(v: Values, l: int) -> Any:  # noqa: E741
    return np.diag(v.s[l]) @ v.A[l]


def dyL_dAL(v: Values, l: int) -> Any:  # noqa: E741
    return np.multiply.outer(np.eye(len(v.b[v.L]), dtype=object), v.y[v.L - 1])


def dyL_dAl(v: Values, l: int) -> Any:  # noqa: E741
    return np.multiply.outer(G(v, l) @ np.diag(v.s[l]), v.y[l - 1])


def dyL_dbl(v: Values, l: int) -> Any:  # noqa: E741
    return G(v, l) @ np.diag(v.s[l])


def dyL_dx(v: Values, l: int) -> Any:  # noqa: E741
    return G(v, 0)


@dataclass(frozen=True)
class Formula:
    """One formula: what is differentiated ("L" or "l"), by what ("A", "b", "y": y_{l-1}, "x"), and its closed form.

    `last` says whether it is about the last layer (l = L) or the layers before it; `typed` is the text that a person
    typed, from which `closed` was made.
    """

    id: str
    text: str
    latex: str
    output: str
    by: str
    last: bool
    closed: Callable[[Values, int], Any]
    typed: str = ""

    @property
    def readable(self) -> bool:
        """Whether its text says all of it; else `closed` is code of somebody's own."""
        return bool(self.typed) or (self.id in FORMULAS and FORMULAS[self.id].closed is self.closed)


class Misfit(InvalidInput):
    """A formula has no value for this network: shapes that do not fit together, a layer that is not there."""


_S = r"\operatorname{diag}(\sigma'(A_l y_{l-1} + b_l))"
_FRAC = r"\frac{\partial y_%s}{\partial %s} = "

FORMULAS: dict[str, Formula] = {
    f.id: f
    for f in (
        Formula("dyL/dbL", "dy_L/db_L = I", _FRAC % ("L", "b_L") + "I", "L", "b", True, dyL_dbL),
        Formula("dyL/dyL-1", "dy_L/dy_{L-1} = A_L", _FRAC % ("L", "y_{L-1}") + "A_L", "L", "y", True, dyL_dprevious),
        Formula("dyl/dbl", "dy_l/db_l = diag(sigma'(z_l))", _FRAC % ("l", "b_l") + _S, "l", "b", False, dyl_dbl),
        Formula("dyl/dyl-1", "dy_l/dy_{l-1} = diag(sigma'(z_l)) A_l", _FRAC % ("l", "y_{l-1}") + _S + " A_l",
                "l", "y", False, dyl_dprevious),
        Formula("dyL/dAL", "dy_L[i]/dA_L[j,k] = [i = j] y_{L-1}[k]", _FRAC % ("L", "A_L") + r"y_{L-1}^\top",
                "L", "A", True, dyL_dAL),
        Formula("dyL/dAl", "dy_L[i]/dA_l[j,k] = (dy_L/dy_l)[i,j] sigma'(z_l)[j] y_{l-1}[k]",
                _FRAC % ("L", "A_l") + _S + r" \left(\frac{\partial y_L}{\partial y_l}\right)^\top y_{l-1}^\top",
                "L", "A", False, dyL_dAl),
        Formula("dyL/dbl", "dy_L/db_l = (dy_L/dy_l) diag(sigma'(z_l))",
                _FRAC % ("L", "b_l") + r"\frac{\partial y_L}{\partial y_l} " + _S, "L", "b", False, dyL_dbl),
        Formula("dyL/dx", "dy_L/dx = A_L diag(sigma'(z_{L-1})) A_{L-1} ... diag(sigma'(z_1)) A_1",
                _FRAC % ("L", "x") + r"A_L \prod_{l=L-1}^{1} " + _S + " A_l", "L", "x", True, dyL_dx),
    )
}  # fmt: skip
