"""Rules on intervals for what is divided by a spread, a sum or a norm, and for products of many numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.verify.enclosing import intervals as iv
from mathdnn.verify.enclosing.intervals import FAR, LOST, TINY, TRUSTED, Interval, settled, widened
from mathdnn.verify.running import Open

if TYPE_CHECKING:
    from torch import Tensor

    from mathdnn.verify.enclosing.run import Enclosing


def _normal(x: Interval, mean: Interval, variance: Interval, eps: float) -> Interval:
    more = torch.tensor(float(eps), dtype=torch.float64)
    return iv.mul(iv.add(x, iv.minus(mean)), iv.inverse(iv.root(iv.add(variance, Interval(more, more)))))


def _spread(a: Interval, axes: list[int], correction: float) -> tuple[Interval, Interval]:
    """Mean and variance along axes, which are kept."""
    terms = math.prod(a.low.shape[axis] for axis in axes)
    each, fewer = (torch.tensor(float(n), dtype=torch.float64) for n in (terms, max(0.0, terms - correction)))
    mean = iv.div(iv.total(a, axes), Interval(each, each))
    squares = iv.total(iv.square(iv.add(a, iv.minus(mean))), axes)
    return mean, iv.div(squares, Interval(fewer, fewer))


def _deviation(m: Enclosing) -> Any:
    """var, std, var_mean in the form that names a correction."""
    a, dims = m.first(), m.argument(1, "dim")
    if m.form != "correction":
        raise Open(f"no bounds over the reals are known for aten.{m.base}.{m.form}")
    axes = [axis % a.low.dim() for axis in (dims or range(a.low.dim()))]
    correction = m.node["kwargs"].get("correction")
    mean, variance = _spread(a, axes, 1.0 if correction is None else float(correction))
    variance = Interval(variance.low.clamp(min=0), variance.high)
    kept = bool(m.node["kwargs"].get("keepdim", False))
    made = iv.root(variance) if m.base == "std" else variance
    made, mean = (value if kept else Interval(*(end.squeeze(tuple(axes)) for end in value)) for value in (made, mean))
    return [made, mean] if m.base == "var_mean" else made


def _shares(m: Enclosing) -> Interval:
    """Softmax, or its logarithm: x - log(sum of exp)."""
    a, axis = m.first(), m.node["args"][1]
    low, high = (end.logsumexp(axis, keepdim=True) for end in a)
    size = (low.abs() + high.abs()).clamp(max=FAR)
    whole = widened(low, high, TRUSTED * (1 + size))
    made = iv.add(a, iv.minus(whole))
    if m.base == "_log_softmax":
        return made
    low, high = made.low.exp(), made.high.exp()
    return widened(low, high, TRUSTED * high.clamp(max=FAR) + TINY)


def _scaled(m: Enclosing, made: Interval, weight: Any, bias: Any, shape: list[int]) -> Interval:
    for part, way in ((weight, iv.mul), (bias, iv.add)):
        if part is not None:
            value = m.floats(part)
            made = way(made, Interval(*(end.reshape(shape) for end in value)))
    return made


def _layer_norm(m: Enclosing) -> Any:
    a, (_, sizes, weight, bias, eps) = m.first(), m.node["args"]
    axes = list(range(a.low.dim() - len(sizes), a.low.dim()))
    return [_scaled(m, _normal(a, *_spread(a, axes, 0), eps), weight, bias, sizes), None, None]


def _group_norm(m: Enclosing) -> Any:
    a, (_, weight, bias, n, c, _, groups, eps) = m.first(), m.node["args"]
    shape = a.low.shape
    parted = Interval(*(end.reshape(n, groups, -1) for end in a))
    made = _normal(parted, *_spread(parted, [2], 0), eps)
    made = _scaled(m, Interval(*(end.reshape(n, c, -1) for end in made)), weight, bias, [c, 1])
    return [Interval(*(end.reshape(shape) for end in made)), None, None]


def _batch_norm(m: Enclosing) -> Any:
    """By the running mean and variance, or by those of the batch."""
    a, args = m.first(), m.node["args"]
    weight, bias = args[1:3]
    shape = [-1] + [1] * (a.low.dim() - 2)
    stored = m.base.endswith("no_training") or (m.base == "native_batch_norm" and not args[5])
    if stored:
        mean, variance = (Interval(*(e.reshape(shape) for e in m.floats(part))) for part in args[3:5])
    elif m.base == "native_batch_norm" or m.form == "no_stats":
        mean, variance = _spread(a, [0, *range(2, a.low.dim())], 0)
    else:
        raise Open(f"no bounds over the reals are known for aten.{m.base}.{m.form}")
    return [_scaled(m, _normal(a, mean, variance, args[-1]), weight, bias, shape), None, None]


def _norm(m: Enclosing) -> Interval:
    a = iv.absolute(m.first())
    order = m.argument(1, "p" if m.base == "norm" else "ord", 2)
    order = float(order["float"]) if isinstance(order, dict) else float(2 if order is None else order)
    if order <= 0:
        raise Open("no bounds over the reals are known for such a norm")
    # it grows with each size; of sizes that are shares of the largest, no power is too large, or all too small
    dims, keepdim = m.argument(2, "dim"), bool(m.argument(3, "keepdim", False))

    def norm(sizes: Tensor) -> Tensor:
        largest = torch.linalg.vector_norm(sizes, math.inf, dims or None, True)
        shares = torch.where(largest > 0, sizes / largest, 0.0)
        made = m.computed(lambda _: shares)
        size: Tensor = made * (largest if keepdim else largest.reshape(made.shape))
        return size

    low, high = norm(a.low), norm(a.high)
    lost = LOST * (64 + a.low.numel()) * max(1.0, 1 / order)
    return widened(low, high, lost * high.clamp(max=FAR) + TINY)


def _product(m: Enclosing) -> Interval:
    """One factor after the other."""
    a = m.first()
    axis = m.argument(1, "dim")
    along = Interval(*(end.flatten() if axis is None else end.movedim(axis, 0) for end in a))
    if len(along.low) > 1 << 12:
        raise Open("no bounds over the reals are known for so many factors")
    one = a.low.new_ones(along.low.shape[1:])
    made, all_of_them = Interval(one, one), []
    for k in range(len(along.low)):
        made = iv.mul(made, Interval(along.low[k], along.high[k]))
        all_of_them.append(made)
    if m.base == "cumprod":
        low, high = (torch.stack([part[end] for part in all_of_them]).movedim(0, axis) for end in (0, 1))
        return settled(low, high)
    kept = axis is not None and m.argument(2, "keepdim", False)
    return Interval(*(end.unsqueeze(axis) for end in made)) if kept else made


RULES: dict[str, Callable[[Enclosing], Any]] = {
    name: rule
    for names, rule in (
        ("std var var_mean", _deviation),
        ("_softmax _log_softmax", _shares),
        ("native_layer_norm", _layer_norm),
        ("native_group_norm", _group_norm),
        ("native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training", _batch_norm),
        ("linalg_vector_norm norm", _norm),
        ("cumprod prod", _product),
    )
    for name in names.split()
}
