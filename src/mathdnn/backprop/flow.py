"""What the formulas say of vanishing and exploding gradients.

Legend: F_l = diag(sigma'(z_l)) A_l the factor of layer l, s_max, s_min its greatest and least singular value.

    dy_L/dy_l = A_L F_{L-1} ... F_{l+1}
    |dy_L/dy_l| <= s_max(A_L) prod s_max(F_m) <= s_max(A_L) prod c s_max(A_m)

in the spectral norm, with c the greatest |sigma'|; where no layer is wider than the one before, the product of the
s_min bounds the least singular value from below. The bound bites where the product of the s_max is far from 1.
Source: the chain rule of homework 4, problem 6; Bengio, Simard, Frasconi 1994 on the product of the factors.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathdnn.backprop.mlp import MLP, require_mlp
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

KEEPS = 1.1  # a heuristic: times this a layer, ten layers change a gradient by less than a factor 3


@dataclass(frozen=True)
class Flow:
    """One row a layer l = 0..L-1, averaged over nothing: the input is one sample.

    `norm[l]` is |dy_L/dy_l|, `upper[l]` the product of the factors' greatest singular values, `lower[l]` that of their
    least, or 0 where a layer above l is wider than the one before it, so that this would be no bound; `weights_only[l]`
    is the bound that knows only c and the weights (None where sigma' is not bounded); `greatest`, `least` are the
    factors' own, F_1..F_{L-1} and A_L.
    """

    norm: tuple[float, ...]
    upper: tuple[float, ...]
    lower: tuple[float, ...]
    weights_only: tuple[float, ...] | None
    greatest: tuple[float, ...]
    least: tuple[float, ...]

    def __str__(self) -> str:
        """Where the gradient shrinks or grows, and how far the bounds are from it."""
        L, last = len(self.norm), self.norm[-1]
        start = f"|dy_{L}/dy_{L - 1}| = {last:.3g}, |dy_{L}/dx| = {self.norm[0]:.3g}"
        if L == 1 or not self.norm[0] or not math.isfinite(self.norm[0]) or not last:
            return start
        step = (self.norm[0] / last) ** (1 / (L - 1))
        steps = [below / above for below, above in itertools.pairwise(self.norm)]
        most = max(range(len(steps)), key=lambda l: abs(math.log(steps[l])))  # noqa: E741
        word = "it keeps its size" if 1 / KEEPS < step < KEEPS else "it vanishes" if step < 1 else "it explodes"
        bound = f"the factors' bound is {self.upper[0] / self.norm[0]:.3g} times as large"
        if self.weights_only is not None:
            bound += f", that of the weights alone {self.weights_only[0] / self.norm[0]:.3g} times"
        changes = f"layer {most + 1} changes it most, times {steps[most]:.3g}"
        return f"{start}: times {step:.3g} a layer, {word}; {changes}; {bound}"

    def picture(self) -> dict[str, Any]:
        """The data of a picture of curves, on a logarithmic axis: the norm between its bounds, layer by layer."""
        rows = [("|dy_L/dy_l|", self.norm), ("product of greatest", self.upper)]
        if all(self.lower):
            rows.append(("product of least", self.lower))
        if self.weights_only is not None:
            rows.append(("bound by the weights alone", self.weights_only))
        tiny = 1e-300  # a logarithmic axis has no zero
        return {
            "x": list(range(len(self.norm))),
            "xlabel": "layer l",
            "ylabel": "spectral norm",
            "logy": True,
            "series": [{"name": name, "runs": [[max(v, tiny) for v in values]]} for name, values in rows],
            "published": None,
        }


def gradient_flow(mlp: MLP, x: Float[torch.Tensor, " n0"]) -> Flow:
    """The singular values of every layer's factor at one input x (n_0,), and the bounds that follow from them."""
    import torch

    require_mlp(mlp, "gradient_flow(mlp=...)")
    if getattr(x, "dim", lambda: 0)() != 1:
        got = f"{tuple(x.shape)}" if hasattr(x, "shape") else f"{x!r:.40}"
        raise InvalidInput(
            sentence("gradient_flow(x=...)", f"one input of shape ({mlp.widths[0]},)", got, "pick a row")
        )
    trace = mlp.forward(x)
    if not bool(trace.y[-1].isfinite().all()):
        raise InvalidInput(sentence("gradient_flow(x=...)", "a finite y_L", "NaN or infinity", "check the input"))
    factors = [s[:, None] * A for s, A in zip(trace.slopes, mlp.weights[:-1], strict=True)] + [mlp.weights[-1]]
    singular = [torch.linalg.svdvals(F) for F in factors]
    greatest, least = [float(s.max()) for s in singular], [float(s.min()) for s in singular]
    flow = torch.eye(mlp.widths[-1], dtype=x.dtype)
    norms = []
    for F in reversed(factors):
        flow = flow @ F
        norms.append(float(torch.linalg.matrix_norm(flow, 2)))
    bounds = [a.bound for a in mlp.activations]
    alone = None
    if all(bound is not None for bound in bounds):
        sizes = [float(torch.linalg.matrix_norm(A, 2)) for A in mlp.weights]
        alone = _products([c * size for c, size in zip([*(c or 0.0 for c in bounds), 1.0], sizes, strict=True)])
    lower = _products([0.0 if F.shape[0] > F.shape[1] else s for F, s in zip(factors, least, strict=True)])
    return Flow(tuple(reversed(norms)), _products(greatest), lower, alone, tuple(greatest), tuple(least))


def _products(values: list[float]) -> tuple[float, ...]:
    """For each l the product of the values from l on."""
    out, total = [], 1.0
    for value in reversed(values):
        total *= value
        out.append(total)
    return tuple(reversed(out))
