"""How far the compiled and the literal SGD can lie apart: a bound that is derived, not fitted.

Both take, in float32 with unit roundoff u = 2^-24, the steps

    w <- c w - eta y l'(m) x,    m = y w.x,    c = 1 - eta lambda

from the same w0. Let D = |w - v| (Euclidean) be the distance of the two before a step, a = sum |w_j x_j|.

1. Scores. A dot product of d terms, in any order, with or without fused operations, errs by at most g a with
   g = d u / (1 - d u) (Higham 2002, section 3.1); of v, by g (a + D |x|). Together E = g (2 a + D |x|).
   So both margins lie within R = D |x| + E of w's exact margin m; let [p, q] be the range of l'' there,
   L = max(|p|, |q|), and G = |l'(m)| + L R, which bounds |l'|.
2. The exact step, applied to both, multiplies w - v by c I - eta l''(xi) x x^T for some xi (mean value theorem): by at
   most N = max(|c|, |c - eta p |x|^2|, |c - eta q |x|^2|). For a convex loss and small steps N = 1.
3. Rounding inside a step. The score's error moves l' by L E; l' itself is within `ULPS` units in the last place
   (tested), its products with eta and y add one rounding: eta |x| (L E + 2 K G), K = (2 ULPS + 2) u. Subnormal
   results err by less than 2^-140 absolutely.
4. Update. c w (exact for lambda = 0), the product with x, the subtraction: each component three roundings, together
   u (2 |w| + 2 eta G |x|), and the same for v with |w| + D.

    D' = N D + eta |x| (L E + 2 K G + 2^-140) + u (4 |w| + 2 D + 4 eta G |x|), all times 1 + 2^-20 for products of u's

It is a worst case, and over many steps a loose one: one epoch of MNIST 4 against 9 with the homework's step leaves the
two forms 2e-6 apart with either loss; the bound says 0.5 for logistic and nothing for the sum of squares, whose
negative curvature lets it double again and again. It tells something for runs of up to some hundred steps.

The hinge's derivative jumps at m = 1: where a margin comes within R of it, nothing can be said and the bound is
infinite. Source: the standard model of floating-point arithmetic, Higham 2002, chapters 2 and 3.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.margin.losses import LOSSES, sigmoid
from mathdnn.margin.run import Settings
from mathdnn.margin.sgd import literal

if TYPE_CHECKING:
    from jaxtyping import Float32, Int

ULPS = 8  # both forms' l' in float32, against mpmath: the tests hold them to this
UNIT = 2.0**-24
# l'' of the sum of squares is 4 (2 q^2 - 5 q^3 + 3 q^4), q = sigma(-m); its extrema solve 12 q^2 - 15 q + 4 = 0.
TURNS = tuple(math.log(1 / q - 1) for q in ((15 - math.sqrt(33)) / 24, (15 + math.sqrt(33)) / 24))


def curvature(loss: str, low: float, high: float) -> tuple[float, float]:
    """The range of l'' over the margins from `low` to `high`; up to infinity where l' jumps between them."""
    if loss == "exponential":
        return math.exp(-min(high, 700)), math.exp(-max(low, -700))
    if loss in ("hinge", "squared_hinge"):
        slope = 2.0 if loss == "squared_hinge" else 0.0
        top = math.inf if loss == "hinge" else 2.0
        return (slope, slope) if high < 1 else (0.0, 0.0 if low > 1 else top)
    turns = TURNS if loss == "sum_of_squares" else (0.0,)
    values = [_second(loss, m) for m in (low, high, *(turn for turn in turns if low < turn < high))]
    return min(values), max(values)


def _second(loss: str, m: float) -> float:
    p, q = float(sigmoid(np.float64(m))), float(sigmoid(np.float64(-m)))
    return p * q if loss == "logistic" else 4 * p * q * q * (2 * p - q)


def agreement_bound(
    X: Float32[np.ndarray, "n d"],
    y: Float32[np.ndarray, " n"],
    order: Int[np.ndarray, "epochs visits"],
    *,
    loss: str,
    lr: float,
    w0: Float32[np.ndarray, " d"],
    weight_decay: float = 0.0,
    decay: str = "constant",
) -> float:
    """An upper bound of the Euclidean distance between the weights of the compiled and of the literal form.

    It follows the literal run step by step (some 50 us each) and so holds for these data, not for all.
    """
    settings = Settings(loss, lr, weight_decay, decay)
    flat, w, distance = order.ravel().astype(np.int64), w0.astype(np.float32), 0.0
    labels = y.astype(np.float32)
    for t in range(flat.size):
        i = flat[t : t + 1]
        distance = _step(X[i[0]].astype(np.float64), float(y[i[0]]), w.astype(np.float64), distance, settings, t)
        literal(X, labels, i, w, replace(settings, steps_before=t))
    return distance


def _step(x: np.ndarray, y: float, w: np.ndarray, distance: float, settings: Settings, t: int) -> float:
    """D' from D: the formula above, letter by letter."""
    eta, size, norm = settings.rate(t + 1), float(np.linalg.norm(x)), float(np.linalg.norm(w))
    g = len(x) * UNIT / (1 - len(x) * UNIT)
    m = y * float(w @ x)
    E = g * (2 * float(np.abs(w) @ np.abs(x)) + distance * size)
    R = distance * size + E
    p, q = curvature(settings.loss, m - R, m + R)
    L = max(abs(p), abs(q))
    if not math.isfinite(L):
        return math.inf
    G = abs(float(LOSSES[settings.loss].derivative(np.float64(m)))) + L * R
    c = 1 - eta * settings.weight_decay
    N = max(abs(c), abs(c - eta * p * size**2), abs(c - eta * q * size**2))
    K = (2 * ULPS + 2) * UNIT
    inside = eta * size * (L * E + 2 * K * G + 2.0**-140)
    update = UNIT * (4 * norm + 2 * distance + 4 * eta * G * size)
    return (N * distance + inside + update) * (1 + 2.0**-20)
