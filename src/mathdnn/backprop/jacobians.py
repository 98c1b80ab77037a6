"""The Jacobians, fast: one sweep backwards, outer products kept as their two factors.

Legend: n: sample, i: unit of the output, j: unit of layer l, k: unit of layer l-1;
left_l[n,i,j] = dy_L[i]/dz_l[j] = dy_L[i]/db_l[j], and dy_L[i]/dA_l[j,k] = left_l[n,i,j] y_{l-1}[n,k].

    left_L = I,   left_{l-1} = (left_l A_l) diag(sigma'(z_{l-1})),   dy_L/dx = left_1 A_1

Cost: one product (n_L, n_l) (n_l, n_{l-1}) a layer and sample, where reverse mode does the same and then an outer
product for each output and weight; the factored form leaves that product undone until `dense()` is asked for.
Source: homework 4, problem 6; `literal` has the same in the source's own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mathdnn.backprop.mlp import MLP

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float


@dataclass(frozen=True)
class OuterProduct:
    """dy_L/dA_l as its factors: `left` (*batch, n_L, n_l) and `right` (*batch, n_{l-1})."""

    left: torch.Tensor
    right: torch.Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """(*batch, n_L, n_l, n_{l-1})."""
        return (*self.left.shape, self.right.shape[-1])

    def dense(
        self, out: Float[torch.Tensor, "*batch nL nl nk"] | None = None
    ) -> Float[torch.Tensor, "*batch nL nl nk"]:
        """All entries, in `out` or a new tensor. New memory costs most of the time: the system clears every page."""
        import torch

        return torch.mul(self.left[..., None], self.right[..., None, None, :], out=out)

    def pull(self, v: Float[torch.Tensor, "*batch nL"]) -> Float[torch.Tensor, "*batch nl nk"]:
        """The gradient of v . y_L by A_l, without the dense Jacobian."""
        rows: torch.Tensor = (v[..., None, :] @ self.left)[..., 0, :]
        return rows[..., None] * self.right[..., None, :]


@dataclass(frozen=True)
class Jacobians:
    """dy_L by the input (*batch, n_L, n_0), by every weight (layer l at l - 1), by every bias (*batch, n_L, n_l)."""

    x: torch.Tensor
    weights: tuple[OuterProduct, ...]
    biases: tuple[torch.Tensor, ...]

    def buffers(self) -> tuple[torch.Tensor, ...]:
        """Memory for `dense(out=...)`, to be used again and again."""
        return tuple(w.left.new_empty(w.shape) for w in self.weights)

    def dense(
        self, out: tuple[torch.Tensor, ...] | None = None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        """The same with every weight's Jacobian written out (n_L n_l n_{l-1} numbers a sample), in `out` if given."""
        places = out or (None,) * len(self.weights)
        return self.x, tuple(w.dense(o) for w, o in zip(self.weights, places, strict=True)), self.biases


def jacobians(mlp: MLP, x: Float[torch.Tensor, "*batch n0"]) -> Jacobians:
    """Every first derivative of y_L at x, by the closed forms."""
    import torch

    trace = mlp.forward(x)
    eye = torch.eye(mlp.widths[-1], dtype=trace.y[0].dtype, device=trace.y[0].device)
    left = eye.expand(*trace.y[0].shape[:-1], *eye.shape)
    weights, biases = [], []
    for layer in range(mlp.layers, 0, -1):
        weights.append(OuterProduct(left, trace.y[layer - 1]))
        biases.append(left)
        left = left @ mlp.weights[layer - 1] if layer < mlp.layers else _rows(mlp.weights[-1], left)
        if layer > 1:
            left = left * trace.slopes[layer - 2][..., None, :]
    return Jacobians(left, tuple(reversed(weights)), tuple(reversed(biases)))


def _rows(A: torch.Tensor, eye: torch.Tensor) -> torch.Tensor:
    """I A_L for every sample: nothing to compute."""
    return A.expand(*eye.shape[:-2], *A.shape)
