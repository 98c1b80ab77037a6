"""Rules on intervals for sums and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.verify.enclosing import intervals as iv
from mathdnn.verify.enclosing.intervals import LOST, Interval, settled
from mathdnn.verify.running import Open

if TYPE_CHECKING:
    from mathdnn.verify.enclosing.run import Enclosing

_TINY = 2.0**-1000
_CUBIC = 8.0  # more than what the sizes of the weights of a pixel add up to, both ways together
_FINE = 2.0**-38  # of the weights of resized lines


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
    return iv.minus(m.operand(m.node["args"][0]))


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
        if m.base in ("sum", "cumsum"):
            return settled(m.low(), m.high())
        raise Open("sums of truth values that are not known")
    if m.base == "nansum" and any(bool(end.isinf().any()) for part in parts for end in part):
        raise Open("sums of numbers that may be none")
    terms = max((part.low.numel() for part in parts), default=0)
    middle = m.computed(lambda a: a.middle()[0])
    most = m.computed(lambda a: a.middle()[0].abs() + a.middle()[1] if a.low.is_floating_point() else a.low)
    radius = most - m.computed(lambda a: a.middle()[0].abs() if a.low.is_floating_point() else a.low)
    fine = LOST * (terms + 64) + (_FINE if "upsample" in m.base else 0)
    return iv.around(middle, radius + fine * most + _TINY * (most > 0))


def _sampled(m: Enclosing) -> Interval:
    """At known places, between pixels or at the nearest: no weight is below 0."""
    x, places, mode = m.first(), m.second(), m.node["args"][2]
    if not places.exact or mode not in (0, 1):
        raise Open("places that depend on the image, or cubic weights")
    middle, radius = x.middle()

    def own(value: Tensor) -> Any:
        return m.computed(lambda a: value if a.low is x.low else a.low)

    far, most = own(radius.expand_as(middle).contiguous()), own(middle.abs() + radius)
    return iv.around(own(middle), far + _FINE * most + _TINY * (most > 0))


def _resized_cubic(m: Enclosing) -> Interval:
    a = m.first()
    middle, radius = a.middle()
    made = m.computed(lambda _: middle)
    far, most = (_CUBIC * size.abs().amax((-2, -1), keepdim=True) for size in (radius.expand_as(middle), middle))
    return iv.around(made, far + _FINE * (most + far))


def _sum_and_product(m: Enclosing) -> Interval:
    """beta a + alpha (b c), with positive ones as they come."""
    beta, alpha = m.argument(3, "beta", 1), m.argument(4, "alpha", 1)
    if min(beta, alpha) < 0:
        raise Open("no bounds over the reals are known for products that are subtracted")
    return weighed(m)


def _rounded_mean(m: Enclosing) -> Interval:
    if m.base == "avg_pool2d" and (m.argument(6, "divisor_override") or 1) < 0:
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
        ("bmm convolution cumsum mean mm nansum scatter_add sum upsample_bilinear2d upsample_linear1d", weighed),
        ("upsample_trilinear3d _upsample_bilinear2d_aa", weighed),
        ("adaptive_avg_pool1d _adaptive_avg_pool2d avg_pool1d avg_pool2d avg_pool3d", _rounded_mean),
        ("grid_sampler_2d", _sampled),
        ("upsample_bicubic2d _upsample_bicubic2d_aa", _resized_cubic),
        ("addmm", _sum_and_product),
    )
    for name in names.split()
}
