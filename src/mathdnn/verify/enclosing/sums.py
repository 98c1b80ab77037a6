"""Rules on intervals for sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.verify.enclosing import intervals as iv
from mathdnn.verify.enclosing.intervals import LOST, TINY, Interval, settled
from mathdnn.verify.running import Open, compute

if TYPE_CHECKING:
    from torch import Tensor

    from mathdnn.verify.enclosing.run import Enclosing

_CUBIC = 8.0  # more than what the sizes of the weights of a pixel add up to, both ways together
_BESIDE = 2.0**10  # places on a grid, as multiples of its half


def _plus(sign: int) -> Rule:
    def rule(m: Enclosing) -> Interval:
        x, y = m.first(), m.second()
        alpha = m.argument(2, "alpha", 1)
        y = y if alpha == 1 else iv.mul(y, m.operand(alpha))
        return iv.add(x, y if sign > 0 else iv.minus(y))

    return rule


def _reversed_minus(m: Enclosing) -> Interval:
    x, y, alpha = m.first(), m.second(), m.argument(2, "alpha", 1)
    return iv.add(y, iv.minus(x if alpha == 1 else iv.mul(x, m.operand(alpha))))


def _minus(m: Enclosing) -> Interval:
    return iv.minus(m.first())


def _times(m: Enclosing) -> Interval:
    a, b = m.node["args"][:2]
    return iv.square(m.first()) if a == b and isinstance(a, dict) else iv.mul(m.first(), m.second())


def _over(m: Enclosing) -> Interval:
    made, how = iv.div(m.first(), m.second()), m.argument(2, "rounding_mode")
    if m.base == "floor_divide" or how == "floor":
        return settled(made.low.floor(), made.high.floor())
    return settled(made.low.trunc(), made.high.trunc()) if how == "trunc" else made


def _left_over(m: Enclosing) -> Interval:
    """What a division leaves, rounded down (`remainder`) or towards 0: known where the whole part is."""
    a = m.first()
    b = m.operand(1) if m.base == "frac" else m.second()
    down = m.base == "remainder"
    quotient = iv.div(a, b)
    low, high = (end.floor() if down else end.trunc() for end in quotient)
    known = iv.add(a, iv.minus(iv.mul(Interval(low, low), b)))
    size = b.low.abs().maximum(b.high.abs())
    least = torch.where(b.low >= 0, 0.0, -size) if down else -size
    most = torch.where(b.high <= 0, 0.0, size) if down else size
    sure = low == high
    return settled(known.low.where(sure, least).maximum(least), known.high.where(sure, most).minimum(most))


def weighed(m: Enclosing) -> Interval:
    """Sums of products: they change by no more than the same of sizes grows, from the middles' sizes to the largest."""
    parts = m.operands()
    if any(not part.exact and not part.low.is_floating_point() for part in parts):
        if m.base in ("sum", "cumsum") and m.node["dtype"] == "int64":  # narrower ones begin anew where they end
            return settled(m.low(), m.high())
        raise Open("sums of truth values that are not known")
    if m.base == "nansum" and any(bool(end.isinf().any()) for part in parts for end in part):
        raise Open("sums of numbers that may be none")
    terms = max((part.low.numel() for part in parts), default=0)  # and of places that meet, as many as there are pairs
    terms = max(terms, math.prod(part.low.numel() for part in parts if not part.low.is_floating_point()))
    middle = m.computed(lambda a: a.middle()[0])
    most = m.computed(lambda a: a.middle()[0].abs() + a.middle()[1] if a.low.is_floating_point() else a.low)
    radius = most - m.computed(lambda a: a.middle()[0].abs() if a.low.is_floating_point() else a.low)
    some = most > 0  # or products too small for floats
    if not bool(some.all()):
        some = m.computed(lambda a: ((a.low != 0) | (a.high != 0)).double() if a.low.is_floating_point() else a.low) > 0
    return iv.around(middle, radius + LOST * (terms + 64) * most + TINY * some.double())


def _sampled(m: Enclosing) -> Interval:
    """At known places, between pixels or at the nearest: no weight is below 0."""
    (x, places), (_, _, mode, _, corners) = (m.first(), m.second()), m.node["args"]
    if not places.exact or mode not in (0, 1) or not bool((places.low.abs() <= _BESIDE).all()):
        raise Open("places that depend on the image, or far from it, or cubic weights")
    middle, radius = x.middle()
    sizes = torch.tensor(x.low.shape[:1:-1], dtype=torch.float64)
    if mode == 1 and places.low.numel():
        place = (places.low + 1) / 2 * (sizes - 1) if corners else ((places.low + 1) * sizes - 1) / 2
        rounded = places.low * _BESIDE % 1 != 0
        if bool((rounded & ((place - place.floor() - 0.5).abs() <= LOST * _BESIDE * sizes)).any()):
            raise Open("places as near to one pixel as to another")

    node = {**m.node, "args": [{"constant": 0}, {"constant": 1}, *m.node["args"][2:]]}
    made, far = (compute(node, [], [value.contiguous(), places.low]) for value in (middle, radius.expand_as(middle)))
    return _interpolated(m, made, far, _BESIDE)


def _resized(m: Enclosing) -> Interval:
    """Between pixels of lines: no weight is below 0."""
    middle, radius = m.first().middle()
    far = m.computed(lambda _: radius.expand_as(middle))
    return _interpolated(m, m.computed(lambda _: middle), far)


def _resized_cubic(m: Enclosing) -> Interval:
    middle, radius = m.first().middle()
    far = _CUBIC * radius.expand_as(middle).amax((-2, -1), keepdim=True)
    return _interpolated(m, m.computed(lambda _: middle), far)


def _interpolated(m: Enclosing, made: Tensor, far: Tensor, beside: float = 1.0) -> Interval:
    """Sums whose weights floats round, and which pixel takes part in them where a weight is nearly 0: by a share of the
    largest pixel, that grows with the places that the weights are the fractions of."""
    x = m.first()
    longest = max(*x.low.shape[2:], *made.shape[2:])
    most = x.low.abs().maximum(x.high.abs()).amax(tuple(range(2, x.low.dim())), keepdim=True)
    return iv.around(made, far + LOST * (64 + 8 * beside * longest) * _CUBIC * most + TINY * (most > 0).double())


def _sum_and_product(m: Enclosing) -> Interval:
    """beta a + alpha (b c), with positive ones as they come."""
    beta, alpha = m.argument(3, "beta", 1), m.argument(4, "alpha", 1)
    if min(beta, alpha) < 0:
        raise Open("no bounds over the reals are known for products that are subtracted")
    return weighed(m)


def _rounded_mean(m: Enclosing) -> Interval:
    if m.base in ("avg_pool2d", "avg_pool3d") and (m.argument(6, "divisor_override") or 1) < 0:
        raise Open("no bounds over the reals are known for a divisor below 0")
    return weighed(m)


RULES: dict[str, Callable[[Enclosing], Any]] = {
    name: rule
    for names, rule in (
        ("add", _plus(1)),
        ("sub", _plus(-1)),
        ("rsub", _reversed_minus),
        ("neg", _minus),
        ("mul", _times),
        ("div floor_divide", _over),
        ("fmod frac remainder", _left_over),
        ("bmm convolution cumsum mean mm nansum scatter_add sum", weighed),
        ("upsample_linear1d upsample_bilinear2d upsample_trilinear3d _upsample_bilinear2d_aa", _resized),
        ("adaptive_avg_pool1d _adaptive_avg_pool2d avg_pool1d avg_pool2d avg_pool3d", _rounded_mean),
        ("grid_sampler_2d", _sampled),
        ("upsample_bicubic2d _upsample_bicubic2d_aa", _resized_cubic),
        ("addmm", _sum_and_product),
    )
    for name in names.split()
}
