"""How far apart rounding may put two right computations of the Jacobians: a bound for every entry, to first order.

Legend: left_l = dy_L/dz_l and s_l = sigma'(z_l) as in `jacobians`; e(v) the bound for v; M_l what left_l would be if no
terms of its sums cancelled; all sizes |.| are taken entry by entry.

    e(z_l) = |A_l| e(y_{l-1}) + u (|A_l| |y_{l-1}| + |b_l|)
    e(s_l) = max |sigma'(z_l +- e(z_l)) - s_l| + u max(1, |s_l|)              e(y_l) likewise, from sigma
    e(left_{l-1}) = (e(left_l) + u M_l) |A_l| |s_{l-1}| + M_l |A_l| e(s_{l-1})     M_{l-1} = M_l |A_l| |s_{l-1}|

sigma' is taken to have an error of units of 1, even where it is small: 1 - tanh^2 is a difference of numbers of size 1.
u = 2 (n + 8) eps, with n the greatest width and 8, a heuristic, for the elementary functions. Source for the sums:
Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mathdnn.backprop.mlp import MLP

if TYPE_CHECKING:
    import torch


def rounding(mlp: MLP, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The bounds at x (batch, n_0): by "dyL/dx", "dyL/dA1", "dyL/db1", ..., in the shapes of the Jacobians."""
    import torch

    unit = 2 * (max(mlp.widths) + 8) * torch.finfo(x.dtype).eps
    y, wrong_y, slopes, wrong_s = _forward(mlp, x, unit)
    size = torch.eye(mlp.widths[-1], dtype=x.dtype).expand(len(x), -1, -1)
    wrong, found = torch.zeros_like(size), {}
    for layer in range(mlp.layers, 0, -1):
        y_of, wrong_of = (t[layer - 1][:, None, None, :] for t in (y, wrong_y))
        found[f"dyL/db{layer}"] = wrong
        found[f"dyL/dA{layer}"] = (wrong + unit * size)[..., None] * y_of + size[..., None] * wrong_of
        A = mlp.weights[layer - 1].abs()
        size, wrong = size @ A, (wrong + unit * size) @ A
        if layer > 1:
            s, wrong_of = (t[layer - 2].unsqueeze(-2) for t in (slopes, wrong_s))
            size, wrong = size * s, wrong * s + size * wrong_of
    return found | {"dyL/dx": wrong}


def _forward(mlp: MLP, x: torch.Tensor, unit: float) -> tuple[list[Any], ...]:
    """|y_l| and e(y_l) for l = 0..L-1, |s_l| and e(s_l) for l = 1..L-1."""
    import torch

    trace = mlp.forward(x)
    wrong_y, wrong_s = [torch.zeros_like(x)], []
    for z, A, b, y, sigma in zip(trace.z, mlp.weights, mlp.biases, trace.y, mlp.activations, strict=False):
        wrong_z = wrong_y[-1] @ A.abs().T + unit * (y.abs() @ A.abs().T + b.abs())
        wrong_y.append(_moved(sigma.value, z, wrong_z, unit))
        wrong_s.append(_moved(sigma.derivative, z, wrong_z, unit))
    return [y.abs() for y in trace.y], wrong_y, [s.abs() for s in trace.slopes], wrong_s


def _moved(f: Callable[[Any], Any], z: torch.Tensor, by: torch.Tensor, unit: float) -> torch.Tensor:
    """By how much f(z) changes where z is that much wrong, and f is rounded."""
    at, below, above = (f(t.clone()) for t in (z, z - by, z + by))
    moved: torch.Tensor = (below - at).abs().maximum((above - at).abs()) + unit * at.abs().clamp(min=1)
    return moved
