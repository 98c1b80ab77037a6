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
neighbours it takes: ceil(7 P) roundings of M. Hence `bilinear` gives each pixel of its result the largest reach of
its line, and the bound grows with the image.
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


def too_many(roundings: int, dtype: str) -> bool:
    """Whether gamma_n is no bound, or hardly one."""
    return 2 * roundings > 1 << _DIGITS[dtype]


def of_position(ratio: Fraction, product: Fraction, position: Fraction, node_digits: int) -> int:
    """The roundings that a computed position counts for: `product` is P, `position` t."""
    if all(_is_float(value, node_digits) for value in (ratio, product, position)):
        return 0
    return math.ceil(7 * product)


def _is_float(value: Fraction, node_digits: int) -> bool:
    top, bottom = abs(value.numerator), value.denominator
    return bottom & (bottom - 1) == 0 and (top // (top & -top or 1)).bit_length() <= node_digits
