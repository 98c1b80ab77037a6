"""The Jacobians, fast: one sweep backwards, outer products kept as their two factors.

Legend: n: sample, i: unit of the output, j: unit of layer l, k: unit of layer l-1;
left_l[n,i,j] = dy_L[i]/dz_l[j] = dy_L[i]/db_l[j], and dy_L[i]/dA_l[j,k] = left_l[n,i,j] y_{l-1}[n,k].

    left_L = I,   left_{l-1} = (left_l A_l) diag(sigma'(z_{l-1})),   dy_L/dx = left_1 A_1

Cost: one product (n_L, n_l) (n_l, n_{l-1}) a layer and sample, where reverse mode does the same and then an outer
product for each output and weight; the factored form leaves that product undone until `dense()` is asked for.
Source: homework 4, problem 6; `literal` has the same in the source's own words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mathdnn.backprop.memory import KEPT, empty
from mathdnn.backprop.mlp import MLP, require_mlp
from mathdnn.errors import InvalidInput, sentence

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
        """All entries, in `out` or a new tensor (dearer: the system clears new memory first)."""
        import torch

        place = empty([self.shape], self.left)[0] if out is None else out
        return torch.mul(self.left.unsqueeze(-1), self.right.unsqueeze(-2).unsqueeze(-2), out=place)

    def pull(self, v: Float[torch.Tensor, "*batch nL"]) -> Float[torch.Tensor, "*batch nl nk"]:
        """The gradient of v . y_L by A_l, without the dense Jacobian."""
        if v.shape != self.left.shape[:-1] or v.dtype != self.left.dtype:
            raise _misfit("pull(v)", self.left.shape[:-1], self.left, v)
        rows: torch.Tensor = (v[..., None, :] @ self.left)[..., 0, :]
        return rows[..., None] * self.right[..., None, :]


@dataclass(frozen=True)
class Jacobians:
    """dy_L by the input (*batch, n_L, n_0), by every weight (layer l at l - 1), by every bias (*batch, n_L, n_l)."""

    x: torch.Tensor
    weights: tuple[OuterProduct, ...]
    biases: tuple[torch.Tensor, ...]

    def buffers(self) -> tuple[torch.Tensor, ...]:
        """Memory for `dense(out=...)`, to be used again and again: one piece, which lives as long as any of them."""
        return tuple(empty([w.shape for w in self.weights], self.x))

    def dense(
        self, out: tuple[torch.Tensor, ...] | None = None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        """The same with every weight's Jacobian written out (n_L n_l n_{l-1} numbers a sample), in `out` if given.

        Every tensor is contiguous: what is the same for each sample is written out for each. New memory is one piece,
        as that of `buffers`."""
        places = out or self.buffers()
        for place, weight in itertools.zip_longest(places, self.weights):
            if place is None or weight is None or place.shape != weight.shape or place.dtype != weight.left.dtype:
                raise _misfit("dense(out=...)", getattr(weight, "shape", ()), self.x, place)
        weights = tuple(w.dense(o) for w, o in zip(self.weights, places, strict=True))
        return self.x.contiguous(), weights, tuple(b.contiguous() for b in self.biases)


def _misfit(who: str, shape: Sequence[int], like: torch.Tensor, got: torch.Tensor | None) -> InvalidInput:
    expected = f"shape {tuple(shape)} of {like.dtype}" if shape else "one tensor for each layer"
    given = "nothing" if got is None else f"shape {tuple(got.shape)} of {got.dtype}"
    return InvalidInput(
        sentence(
            f"Jacobians.{who}",
            expected,
            given,
            "make the memory by buffers()" if "out" in who else "reshape or convert it",
        )
    )


def jacobians(mlp: MLP, x: Float[torch.Tensor, "*batch n0"]) -> Jacobians:
    """Every first derivative of y_L at x, by the closed forms; autograd records nothing of it."""
    import torch

    require_mlp(mlp, "jacobians(mlp=...)")
    with torch.no_grad():
        trace = mlp.forward(x.detach() if isinstance(x, torch.Tensor) else x)
        y, L = trace.y, mlp.layers
        eye = torch.eye(mlp.widths[-1], dtype=y[0].dtype, device=y[0].device)
        left = eye.expand(*y[0].shape[:-1], *eye.shape)
        weights, biases = [], []
        for layer in range(L, 0, -1):
            weights.append(OuterProduct(left, y[layer - 1]))
            biases.append(left)
            left = _down(left, mlp.weights[layer - 1], trace.slopes[layer - 2] if layer > 1 else None, layer == L)
    return Jacobians(left, tuple(reversed(weights)), tuple(reversed(biases)))


def _down(left: torch.Tensor, A: torch.Tensor, slope: torch.Tensor | None, last: bool) -> torch.Tensor:
    """(left A) diag(slope), all samples' rows in one product; `last`: left is I, and I A_L is nothing to compute."""
    import torch

    shape = (*left.shape[:-1], A.shape[1])
    if last:
        return A.expand(shape) if slope is None else torch.mul(A, slope.unsqueeze(-2), out=_large(shape, A))
    flat = left.flatten(0, -2)
    place = _large((flat.shape[0], A.shape[1]), A)
    below = torch.mm(flat, A, out=place).view(shape)
    return below if slope is None else below.mul_(slope.unsqueeze(-2))


def _large(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor | None:
    """Memory for a large result; None for one that torch's own memory serves as well."""
    return empty([shape], like)[0] if math.prod(shape) * like.element_size() >= KEPT else None
