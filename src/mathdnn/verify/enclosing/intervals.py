"""Intervals: two floats around each number of a tensor, so that what floats lost on the way to it shows as width.

Each operation is widened by more than float64 arithmetic rounds. A number that nothing was lost of has width 0, and
then both ends are one tensor. An end may be infinite: then nothing is known on that side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

LOST = 2.0**-50  # of a number: more than an operation rounds off, and than widening by it rounds off again
TRUSTED = 2.0**-45  # of argument and result: what torch's functions of float64 are off by, at most
FAR, TINY = 1.7e308, 2.0**-1000  # where shares of numbers are counted no further, and what is lost below any share
_LEAST = 2.0**-1060  # a product or quotient that is too small for floats
_LARGEST = 1.7976931348623157e308


class Interval(NamedTuple):
    """Numbers between low and high: float64, or of another dtype, bool among them, where False is below True."""

    low: Tensor
    high: Tensor

    @property
    def exact(self) -> bool:
        return self.low is self.high

    def floats(self) -> Interval:
        """The same as float64."""
        if self.low.is_floating_point():
            return self
        low = self.low.double()
        return Interval(low, low if self.exact else self.high.double())

    def middle(self) -> tuple[Tensor, Tensor]:
        """A number within, and how far the ends are from it at most."""
        if self.exact:
            return self.low, self.low.new_zeros(())
        middle = self.low / 2 + self.high / 2
        return middle, (self.high - middle).maximum(middle - self.low) * (1 + LOST) + _LEAST


def settled(low: Tensor, high: Tensor) -> Interval:
    """An interval whose ends are one tensor where they are equal."""
    return Interval(low, low) if low is high or bool((low == high).all()) else Interval(low, high)


def widened(low: Tensor, high: Tensor, by: Tensor | float = 0.0) -> Interval:
    """Both ends moved outward by what an operation rounds of them, and by `by`; one that is no number tells nothing."""
    low, high = (end - sign * (LOST * end.abs().nan_to_num(posinf=0.0) + by) for end, sign in ((low, 1), (high, -1)))
    low = low.where(low == low, low.new_full((), -float("inf"))).clamp(max=_LARGEST)
    high = high.where(high == high, high.new_full((), float("inf"))).clamp(min=-_LARGEST)
    return settled(low, high)


def around(middle: Tensor, radius: Tensor) -> Interval:
    return widened(middle - radius, middle + radius)


def add(a: Interval, b: Interval) -> Interval:
    return widened(a.low + b.low, a.high + b.high)


def minus(a: Interval) -> Interval:
    low = -a.high
    return Interval(low, low if a.exact else -a.low)


def mul(a: Interval, b: Interval) -> Interval:
    """Of two ends of which one is 0 and the other unknown the product is 0; a number 0 times one without a value has
    none."""
    products = [x * y for x in dict.fromkeys(a) for y in dict.fromkeys(b)]
    low = high = products[0].nan_to_num(nan=0.0, posinf=float("inf"), neginf=-float("inf"))
    for product in products[1:]:
        known = product.nan_to_num(nan=0.0, posinf=float("inf"), neginf=-float("inf"))
        low, high = low.minimum(known), high.maximum(known)
    zero = ((a.low == 0) & (a.high == 0)) | ((b.low == 0) & (b.high == 0))
    none = zero & ((a.low - a.low != 0) | (a.high - a.high != 0) | (b.low - b.low != 0) | (b.high - b.high != 0))
    return widened(low, high, (_LEAST * (~zero).double()).masked_fill(none, torch.inf))


def inverse(a: Interval) -> Interval:
    """1 / a, unknown where a may be 0."""
    known = (a.low > 0) | (a.high < 0)
    infinite = a.low.new_full((), float("inf"))
    return widened((1 / a.high).where(known, -infinite), (1 / a.low).where(known, infinite), _LEAST)


def div(a: Interval, b: Interval) -> Interval:
    return mul(a, inverse(b))


def absolute(a: Interval) -> Interval:
    if a.exact:
        low = a.low.abs()
        return Interval(low, low)
    crosses = (a.low < 0) & (a.high > 0)
    low, high = a.low.abs().minimum(a.high.abs()), a.low.abs().maximum(a.high.abs())
    return settled(low.masked_fill(crosses, 0), high)


def square(a: Interval) -> Interval:
    size = absolute(a)
    made = mul(size, size)
    return settled(made.low.clamp(min=0), made.high)


def total(a: Interval, axes: list[int], keepdim: bool = True) -> Interval:
    terms = 1
    for axis in axes:
        terms *= a.low.shape[axis]
    low, high = a.low.sum(axes, keepdim), a.high.sum(axes, keepdim)
    most = a.low.abs().maximum(a.high.abs()).sum(axes, keepdim)
    return widened(low, high, LOST * (terms + 1) * most)


def root(a: Interval) -> Interval:
    """Unknown where a is less than 0."""
    return widened(a.low.clamp(min=0).sqrt().where(a.high >= 0, -torch.inf), a.high.sqrt())


def greater(a: Interval, b: Interval, *, equal: bool) -> Interval:
    """Whether a > b, or a >= b: (surely, possibly)."""
    return settled(a.low >= b.high, a.high >= b.low) if equal else settled(a.low > b.high, a.high > b.low)


def same(a: Interval, b: Interval) -> Interval:
    surely = (a.low == a.high) & (b.low == b.high) & (a.low == b.low)
    return settled(surely, (a.low <= b.high) & (b.low <= a.high))


def inverted(a: Interval) -> Interval:
    """Not a, of truth values."""
    low = ~a.high
    return Interval(low, low if a.exact else ~a.low)


def chosen(which: Interval, a: Interval, b: Interval) -> Interval:
    """a where a truth value holds, b where it does not, anything between them where it may or may not."""
    unsure = which.low ^ which.high
    low = a.low.where(which.low, b.low).where(~unsure, a.low.minimum(b.low))
    return settled(low, a.high.where(which.low, b.high).where(~unsure, a.high.maximum(b.high)))
