"""Roundings that the number of terms does not tell: positions computed in floats, and floats narrower than the image's.

A bound is gamma_n (reach max|x| + offset) with one n and one unit u, that of the image's dtype (`pool`). So what rounds
otherwise is counted in these units:

Narrower floats. A node rounds with the widest unit among its own dtype and those of the nodes it reads; each of its
roundings counts as the ratio of that unit to u, 2^29 for float32 within float64. A node that reads wider floats than it
returns rounds them once: a cast, or a copy into a narrower tensor.

Positions. torch finds the neighbours of pixel i of a resized line at t = P - 1/2, P = r (i + 1/2), or at t = P = r i
with aligned corners, r the ratio of the sizes, and computes t in the node's dtype: r is rounded to that dtype (once,
or from a double that was rounded, 2^-53 relative), the product once, the difference once, by at most u P. Sizes up to
2^22 and i + 1/2 are floats. Together |computed t - t| <= 3.5 u P; max(0, t) takes no point further from another. None
of it where r, P and t are floats themselves, as for every power of two. The line interpolated at t is continuous,
constant beyond its ends, and rises or falls by at most |left| + |right| <= 2 M from a pixel to the next, M the
largest magnitude on the line. Interpolating at the computed t is therefore off by at most 7 P u M, whichever
neighbours it takes: ceil(7 P) roundings of M. Hence `resampling` gives each pixel of its result the largest reach of
its line, and the bound grows with the image.

For float64, too, torch takes the whole part of t from its float32. Where that is the number N above, N is where it
looks: N - t further, 2 M (N - t) in all, for t nearer to N than half a float32's digit and 3.5 u P, which N 2^-23 is.

Cubic lines. With Keys' kernel, a = -3/4, the weights of the four pixels around t = low + d have derivatives of at
most 3/4, 27/20, 27/20, 3/4 in d, whose sum is 21/5: the line rises or falls by at most 21/5 M from a pixel to the next,
is continuous, and a place off by 3.5 u P costs 14.7 u P M, below 15/7 of 7 P roundings. The weights of a place that is
no short fraction round besides: d by u (21/5 M); ((a + 2) x - (a + 3)) x x + 1 for x in [0, 1] by 9 u, x = 1 - d itself
by 27/20 u; ((a x - 5 a) x + 8 a) x - 4 a for x in [1, 2] by 38 u, x = 1 + d or 2 - d itself (2 u) by 3/2 u. Two of each
and d make less than 105 u, and 128 with what products of roundings add.

Antialiased lines. A weight f(x), x = |j - t| / s, is computed from an x that is off by at most 3.5 u P / s + 4 u (t,
the difference, 1 / s, the product), and rounds besides by 2 u (hat) or 40 u (cubic, a = -1/2, whose coefficients are
smaller); |f'| <= 1 or 7/5. With e u the sum of both, k + 2 pixels where k have weights (f is continuous: another one at
either end weighs e u at most), D the sum of f and A that of |f| / D, the quotient is off by at most
(k + 2) e (1 + A) / D u M, times 9/8 for products of roundings, as long as (k + 2) e u is below D / 16.

Fourier transforms. One of length n is taken to be off by at most d u, relative to its result in the 2-norm, and for
every coefficient by d u times the sum of |signal|; d = 8 log2 n + 8 for each axis. For powers of two some 6 log2 n is a
theorem (N. J. Higham, 2nd ed., theorem 24.2, with weights off by u); the rest is room for other factors, heuristic: for
lengths 2 to 599, 601, 997, 1021, 2039, 4093 and others errors stayed below d u / 7. With |z| <= M for a signal of N
numbers and kernel w, coefficients Z W computed by d1 and d2, the product (4) and the way back (d3) are off by
(d1 + d2 + d3 + 4) u sqrt(N) |z|_2 |w|_1 in the 2-norm, and the result's numbers by that over sqrt(N); |z|_2 is at most
sqrt(N) M: sqrt(N) (d1 + d2 + d3 + 4) roundings of M |w|_1. So a transform gives every number of its signals the largest
reach of all, and what comes back counts all of these; what is 0 over the reals (an imaginary part), too. Sums over
channels add such errors and reaches alike. What is transformed again carries its errors e on as numbers: a kernel makes
|w|_1 max|e| of them at most, so that roundings add up, each with the root of its own N, or of the largest of all. An
error of a kernel's numbers would count by its 1-norm instead: what a constant's coefficients are transformed back to
is not read.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from mathdnn.convolution.graph import references

if TYPE_CHECKING:
    from mathdnn.convolution.graph import Graph, Node

LARGEST = 1 << 22  # pixels of a line: from there on i + 1/2 is no float32
_DIGITS = {"float32": 24, "float64": 53}


def _read(node: Node, graph: Graph) -> list[int]:
    """The digits of the floats that a node reads."""
    places = references(node.args, "node") + references(list(node.kwargs.values()), "node")
    return [_DIGITS[dtype] for dtype in (graph.nodes[place].dtype for place in places) if dtype in _DIGITS]


def digits(node: Node, graph: Graph) -> int:
    """The fewest digits of a float that a node reads or returns."""
    return min([_DIGITS.get(node.dtype or graph.dtype, 53), *_read(node, graph)])


def counted(node: Node, graph: Graph, roundings: int) -> int:
    """A node's roundings, in units of the image's dtype."""
    narrows = _DIGITS.get(node.dtype or graph.dtype, 53) < max(_read(node, graph), default=0)
    return (roundings + narrows) << max(0, _DIGITS[graph.dtype] - digits(node, graph))


def of_transform(lengths: list[int]) -> int:
    """The roundings that Fourier transforms of such lengths, one after the other, count for."""
    return sum(8 * (n - 1).bit_length() + 8 for n in lengths if n > 1)


def too_many(roundings: int, dtype: str) -> bool:
    """Whether gamma_n is no bound, or hardly one."""
    return 2 * roundings > 1 << _DIGITS[dtype]


def of_position(ratio: Fraction, product: Fraction, position: Fraction, node_digits: int) -> int:
    """The roundings that a computed position counts for: `product` is P, `position` t."""
    exact = all(_is_float(value, node_digits) for value in (ratio, product, position))
    return (0 if exact else math.ceil(7 * product)) + _taken_up(position, node_digits)


def _taken_up(position: Fraction, node_digits: int) -> int:
    """What a float64 position counts for where float32 may round it up to a whole number."""
    above = math.ceil(position) - position
    near = node_digits == 53 and 0 < above <= Fraction(math.ceil(position), 1 << 23)
    return math.ceil(2 * above * (1 << 53)) if near else 0


def of_cubic(linear: int, odd: bool) -> int:
    """The same for cubic weights, from those of linear ones; `odd`: some places are no short fractions."""
    return math.ceil(Fraction(15, 7) * linear) + (128 if odd or linear else 0)


def of_antialiased(product: Fraction, scale: Fraction, weights: list[Fraction], cubic: bool, digits: int) -> int | None:
    """The roundings of the largest reach that computed weights f count for: `product` is P, `scale` s; or None."""
    each = (Fraction(7, 5) if cubic else 1) * (Fraction(7, 2) * product / scale + 4) + (40 if cubic else 2)
    total, moved = sum(weights), (len(weights) + 2) * each
    if total <= 0 or 16 * moved >= total * 2**digits:
        return None
    return math.ceil(Fraction(9, 8) * moved * (1 + sum(map(abs, weights)) / total) / total)


def _is_float(value: Fraction, node_digits: int) -> bool:
    top, bottom = abs(value.numerator), value.denominator
    return bottom & (bottom - 1) == 0 and (top // (top & -top or 1)).bit_length() <= node_digits
