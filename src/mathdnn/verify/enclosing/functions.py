"""Rules on intervals for functions of one number, as torch computes them in float64."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.verify.enclosing import intervals as iv
from mathdnn.verify.enclosing.intervals import FAR, TINY, TRUSTED, Interval, settled, widened
from mathdnn.verify.running import Open

if TYPE_CHECKING:
    from torch import Tensor

    from mathdnn.verify.enclosing.run import Enclosing

_GROWING = """
    asin asinh atan atanh erf exp exp2 expm1 hardsigmoid log log10 log1p log2 log_sigmoid_forward logsumexp selu sigmoid
    sinh softshrink tanh"""
_SLOPES = {"sin": 1.0, "cos": 1.0, "gelu": 1.2, "silu": 1.2, "mish": 1.2, "hardswish": 1.6}
_CLOSE = frozenset(
    ["asin", "asinh", "atan", "atanh", "erf", "exp", "exp2", "expm1", "log1p", "sigmoid", "sinh", "tanh"]
)


def _near(low: Tensor, high: Tensor, before: Interval, *, close: bool) -> Interval:
    """Widened by what is trusted of torch's functions; close: they lose a share of the result, however small it is.

    What an exact 0 gives is exact where it is 0.
    """
    by = TRUSTED * (low.abs().maximum(high.abs()).clamp(max=FAR) + (0.0 if close else 1.0)) + TINY
    if before.low.shape == low.shape:
        by = by.masked_fill((before.low == 0) & (before.high == 0) & (low == 0) & (high == 0), 0)
    return widened(low, high, by)


def _growing(m: Enclosing) -> Any:
    low, high = m.low(), m.high()
    if isinstance(low, list | tuple):
        return [_near(low[0], high[0], m.first(), close=False), None]
    if m.base in ("asin", "atanh"):
        low, high = m.computed(lambda a: a.low.clamp(min=-1)), m.computed(lambda a: a.high.clamp(max=1))
    return _near(low, high, m.first(), close=m.base in _CLOSE)


def _exponential(m: Enclosing) -> Any:
    """elu and celu: they grow where no factor is below 0."""
    factors = [m.argument(place, name, 1) for place, name in ((1, "alpha"), (2, "scale"), (3, "input_scale"))]
    if min(factors) < 0:
        raise Open("no bounds over the reals are known for a factor below 0")
    return _near(m.low(), m.high(), m.first(), close=False)


def _soft(m: Enclosing) -> Interval:
    """log(1 + exp(beta x)) / beta, and x from beta x = threshold on."""
    x, beta, most = m.first(), m.operand(m.argument(1, "beta", 1)), m.operand(m.argument(2, "threshold", 20))
    more = iv.mul(x, beta) if m.argument(1, "beta", 1) != 1 else x
    low, high = (end.clamp(min=0) + end.abs().neg().exp().log1p() for end in more)
    smooth = iv.div(_near(low, high, more, close=True), beta)
    return iv.chosen(iv.greater(more, most, equal=False), x, smooth)


def _falling(m: Enclosing) -> Interval:
    low, high = m.high(), m.low()
    if m.base == "acos":
        low, high = m.computed(lambda a: a.high.clamp(max=1)), m.computed(lambda a: a.low.clamp(min=-1))
    return _near(low, high, m.first(), close=False)


def _even(m: Enclosing) -> Interval:
    size = iv.absolute(m.first())
    return _near(m.computed(lambda _: size.low), m.computed(lambda _: size.high), size, close=False)


def _sloping(m: Enclosing) -> Interval:
    """A function of bounded slope, around the middle."""
    a = m.first()
    middle, radius = a.middle()
    made = m.computed(lambda _: middle)
    made = made.where(made.isfinite(), math.nan)  # on the way floats may overflow
    around = widened(made - _SLOPES[m.base] * radius, made + _SLOPES[m.base] * radius)
    return _near(around.low, around.high, a, close=False)


def _leaky(m: Enclosing) -> Interval:
    if m.argument(1, "negative_slope", 0.01) < 0:
        raise Open("no bounds over the reals are known for a slope below 0")
    return _near(m.low(), m.high(), m.first(), close=True)


def _leaky_each(m: Enclosing) -> Interval:
    """Slopes of the file's own, of any sign."""
    x, zero = m.first(), m.operand(0)
    return iv.chosen(iv.greater(x, zero, equal=False), x, iv.mul(x, m.second()))


def _gated(m: Enclosing) -> Interval:
    """One half of the channels times the sigmoids of the other."""
    x, axis = m.first(), m.argument(1, "dim", -1)
    (first, gate), (high, high_gate) = (end.chunk(2, axis) for end in x)
    gates = _near(gate.sigmoid(), high_gate.sigmoid(), Interval(gate, high_gate), close=True)
    return iv.mul(Interval(first, first if x.exact else high), gates)


def _rounded(m: Enclosing) -> Interval:
    """To whole numbers, or to whole multiples of 10^-decimals."""
    if m.form == "default":
        return settled(m.low(), m.high())
    decimals = m.argument(1, "decimals", 0)
    if abs(decimals) > 22:
        raise Open("powers of 10 that floats round")
    x, power = m.first(), m.operand(10.0 ** abs(decimals))
    much = iv.mul(x, power) if decimals > 0 else iv.div(x, power)
    whole = settled(much.low.round(), much.high.round())
    return iv.div(whole, power) if decimals > 0 else iv.mul(whole, power)


def _power(m: Enclosing) -> Interval:
    a, b = m.first(), m.second()
    if m.form == "Tensor_Scalar" and not isinstance(m.node["args"][1], dict) and float(m.node["args"][1]).is_integer():
        return _whole_power(m, a, int(m.node["args"][1]))
    above = (a.low > 0) | ((a.low >= 0) & (b.low > 0))  # grows or falls there with each
    corners = [torch.pow(x, y) for x in a for y in b]
    low, high = functools.reduce(torch.minimum, corners), functools.reduce(torch.maximum, corners)
    made = widened(low, high, TRUSTED * high.clamp(max=FAR) + TINY)
    return _unless(~above, made)


def _unless(unknown: Tensor, a: Interval) -> Interval:
    infinite = a.low.new_full((), math.inf)
    return settled(a.low.where(~unknown, -infinite), a.high.where(~unknown, infinite))


def _whole_power(m: Enclosing, a: Interval, exponent: int) -> Interval:
    if exponent < 0:
        return iv.inverse(_whole_power(m, a, -exponent))
    if exponent in (0, 1, 2):
        one = torch.ones_like(a.low)
        return (Interval(one, one), a, iv.square(a))[exponent]
    if exponent > 1 << 10:
        raise Open("no bounds over the reals are known for so high a power")
    base = iv.absolute(a) if exponent % 2 == 0 else a
    low, high = base.low**exponent, base.high**exponent
    return _near(low, high, a, close=True)


def _tangent(m: Enclosing) -> Interval:
    a = m.first()
    low, high = a.low.tan(), a.high.tan()
    turns = [(end / math.pi + 0.5).floor() for end in (a.low - TRUSTED * a.low.abs(), a.high + TRUSTED * a.high.abs())]
    slope = (1 + low.abs().maximum(high.abs()) ** 2) * (1 + a.low.abs())
    return _unless((turns[0] != turns[1]) | (low > high), widened(low, high, TRUSTED * slope))


def _angle(m: Enclosing) -> Interval:
    """Largest and smallest at corners, away from the half line where it jumps."""
    y, x = m.first(), m.second()
    corners = [torch.atan2(a, b) for a in y for b in x]
    low, high = functools.reduce(torch.minimum, corners), functools.reduce(torch.maximum, corners)
    return _unless((y.low <= 0) & (y.high >= 0) & (x.low <= 0), widened(low, high, TRUSTED))


def _reciprocal(m: Enclosing) -> Interval:
    a = m.first()
    if m.base == "sqrt":
        return iv.root(a)
    return iv.inverse(iv.root(a) if m.base == "rsqrt" else a)


RULES: dict[str, Callable[[Enclosing], Any]] = {
    name: rule
    for names, rule in (
        (_GROWING, _growing),
        ("celu elu", _exponential),
        ("softplus", _soft),
        ("acos erfc", _falling),
        ("cosh", _even),
        (" ".join(_SLOPES), _sloping),
        ("leaky_relu", _leaky),
        ("_prelu_kernel", _leaky_each),
        ("glu", _gated),
        ("round", _rounded),
        ("pow", _power),
        ("tan", _tangent),
        ("atan2", _angle),
        ("reciprocal rsqrt sqrt", _reciprocal),
        ("abs", lambda m: iv.absolute(m.first())),
        ("square", lambda m: iv.square(m.first())),
    )
    for name in names.split()
}
