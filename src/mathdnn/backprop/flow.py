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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathdnn.backprop.mlp import MLP, own_dtype, require_mlp
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
    factors' own, F_1..F_{L-1} and A_L. What is too large for a float64 is inf, what is too small 0.
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
        if L == 1 or not all(0 < norm < math.inf for norm in self.norm):
            return start
        logs = [math.log(norm) for norm in self.norm]  # a ratio of two norms may be too large for a float
        step = math.exp((logs[0] - logs[-1]) / (L - 1)) if abs(logs[0] - logs[-1]) < 700 * (L - 1) else math.inf
        steps = [below / above for below, above in itertools.pairwise(self.norm)]
        most = max(range(len(steps)), key=lambda l: abs(logs[l] - logs[l + 1]))  # noqa: E741
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
        return {
            "x": list(range(len(self.norm))),
            "xlabel": "layer l",
            "ylabel": "spectral norm",
            "logy": True,
            "series": [{"name": name, "runs": [drawable(values)]} for name, values in rows],
            "published": None,
        }


def drawable(values: Iterable[float]) -> list[float]:
    """The values within a logarithmic axis: it has no zero, and looks for ticks far beyond its ends, in floats."""
    return [min(max(value, 1e-300), 1e200) for value in values]


def gradient_flow(mlp: MLP, x: Float[torch.Tensor, " n0"]) -> Flow:
    """The singular values of every layer's factor at one input x (n_0,), and the bounds that follow from them."""
    import torch

    require_mlp(mlp, "gradient_flow(mlp=...)")
    if getattr(x, "dim", lambda: 0)() != 1:
        got = f"{tuple(x.shape)}" if hasattr(x, "shape") else f"{x!r:.40}"
        raise InvalidInput(
            sentence("gradient_flow(x=...)", f"one input of shape ({mlp.widths[0]},)", got, "pick a row")
        )
    if own := own_dtype(mlp.weights[0]):
        with own:
            return gradient_flow(mlp, x)
    with torch.no_grad():
        trace = mlp.forward(x)
        if not bool(trace.y[-1].isfinite().all()):
            raise InvalidInput(sentence("gradient_flow(x=...)", "a finite y_L", "NaN or infinity", "check the input"))
        weights, slopes = [_wide(A) for A in mlp.weights], [_wide(s) for s in trace.slopes]
        factors = [s[:, None] * A for s, A in zip(slopes, weights[:-1], strict=True)] + [weights[-1]]
        if not all(bool(F.isfinite().all()) for F in factors):
            expected, do = "finite factors diag(sigma'(z_l)) A_l", "check the input and sigma'"
            raise InvalidInput(sentence("gradient_flow(x=...)", expected, "NaN or infinity", do))
        singular = [torch.linalg.svdvals(F) for F in factors]
        sizes = [float(torch.linalg.matrix_norm(A, 2)) for A in weights]
        norms = _norms(factors)
    greatest, least = [float(s.max()) for s in singular], [float(s.min()) for s in singular]
    bounds = [*(a.bound for a in mlp.activations), 1.0]
    known = [c for c in bounds if c is not None]
    alone = _products([c * size for c, size in zip(known, sizes, strict=True)]) if len(known) == len(bounds) else None
    lower = _products([0.0 if F.shape[0] > F.shape[1] else s for F, s in zip(factors, least, strict=True)])
    return Flow(norms, _products(greatest), lower, alone, tuple(greatest), tuple(least))


def _wide(t: torch.Tensor) -> torch.Tensor:
    """The same in at least 32 bits: of 16 torch has no singular values."""
    import torch

    return t.to(torch.promote_types(t.dtype, torch.float32))


def _norms(factors: list[Any]) -> tuple[float, ...]:
    """For each l the spectral norm of the product of the factors from l on, its power of two kept apart.

    The product itself overflows long before it is done, and inf times 0 would be NaN."""
    import torch

    out, exponent = [], 0
    flow = torch.eye(factors[-1].shape[0], dtype=factors[-1].dtype, device=factors[-1].device)
    for F in reversed(factors):
        (flow, more), (F, own) = _scaled(flow), _scaled(F)
        flow, exponent = flow @ F, exponent + more + own
        out.append(_float(float(torch.linalg.matrix_norm(flow, 2)), exponent))
    return tuple(reversed(out))


def _scaled(t: torch.Tensor) -> tuple[torch.Tensor, int]:
    """t / 2^k with entries up to 1, and k; exact, but for entries that vanish beside the greatest."""
    exponent = math.frexp(float(t.abs().max()))[1]
    half = -exponent // 2  # in two steps: 2^1074, for the smallest numbers, is no float
    return t * 2.0**half * 2.0 ** (-exponent - half), exponent


def _float(mantissa: float, exponent: int) -> float:
    try:
        return math.ldexp(mantissa, exponent)
    except OverflowError:
        return math.inf


def _products(values: list[float]) -> tuple[float, ...]:
    """For each l the product of the values from l on, the powers of two counted apart."""
    out, total, exponent = [], 1.0, 0
    for value in reversed(values):
        mantissa, own = math.frexp(value)
        total, more = math.frexp(total * mantissa)
        exponent += own + more
        out.append(_float(total, exponent))
    return tuple(reversed(out))
