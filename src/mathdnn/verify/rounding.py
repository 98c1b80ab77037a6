"""What the checker counts as roundings of a node besides those of its terms, in units of the image's dtype.

A node works with the coarsest floats that it reads or returns; one that reads finer floats than it returns rounds each
once more. A position r (i + 1/2) - 1/2 on a resized line, computed in floats, is off by at most 3.5 u r (i + 1/2) (r,
the product and the difference round, no step by more than u times the product), or exact where every step is a float;
an interpolated line changes by at most twice its largest magnitude from a pixel to the next, a cubic one by at most
21/5 of it; the four weights of a cubic one, computed in floats, lose 100 u together. Antialiased weights are computed
from distances off by that, over the factor, and 4 u; they lose 2 u (hat) or 40 u (cubic, of slope 7/5) each, and their
quotients by the sum what both make together.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from mathdnn.verify.numbers import Malformed

_PRECISION = {"float32": 24, "float64": 53}
LONGEST = 1 << 15  # a line, whose weights take seconds then; up to 2^22 i + 1/2 would be a float32


def precision(graph: dict[str, Any], node: dict[str, Any], used: list[int]) -> int:
    """The bits of the coarsest floats that a node reads or returns."""
    return min(_bits(graph, node, used) or [53])


def _bits(graph: dict[str, Any], node: dict[str, Any], used: list[int]) -> list[int]:
    dtypes = [node["dtype"], *(graph["nodes"][k]["dtype"] for k in used)]
    return [_PRECISION[dtype] for dtype in dtypes if dtype in _PRECISION]


def weighed(graph: dict[str, Any], node: dict[str, Any], used: list[int], roundings: int) -> int:
    """A node's roundings, those of a narrowing with them."""
    bits = _bits(graph, node, used)
    narrowing = node["dtype"] in _PRECISION and _PRECISION[node["dtype"]] < max(bits)
    coarser = _PRECISION[graph["nodes"][0]["dtype"]] - min(bits or [53])
    return (roundings + narrowing) << max(0, coarser)


def of_positions(ratio: Fraction, half: Fraction, wanted: int, bits: int) -> int:
    """Of positions ratio (i + half) - half: seven for each pixel of distance, at the furthest that is not exact.

    The whole part of a float64 position is its float32's, which may be the next whole number: the way there, twice.
    """
    most = 0
    for i in range(wanted):
        product = ratio * (i + half)
        place = product - half
        off = 0 if all(_exact(value, bits) for value in (ratio, product, place)) else math.ceil(7 * product)
        whole = math.ceil(place)
        if bits == 53 and place != whole and (whole - place) * 2**23 <= whole:
            off += math.ceil((whole - place) * 2**54)
        most = max(most, off)
    return most


def of_weights(last: Fraction, wide: Fraction, weights: list[Fraction], cubic: bool, bits: int) -> int:
    """Of antialiased weights around a place: `last` is the product in it, `wide` the factor by which weights spread."""
    slope, own = (Fraction(7, 5), 40) if cubic else (Fraction(1), 2)
    one = slope * (Fraction(7, 2) * last / wide + 4) + own
    together, whole = one * (len(weights) + 2), sum(weights)
    if whole <= 0 or together * 16 >= whole * 2**bits:
        raise Malformed("antialiased weights that floats may make 0")
    sizes = sum(abs(weight) for weight in weights)
    return math.ceil(Fraction(9, 8) * together * (1 + sizes / whole) / whole)


def _exact(value: Fraction, bits: int) -> bool:
    """Whether a float of so many bits has this value (far from overflow and underflow)."""
    top, bottom = abs(value.numerator), value.denominator
    return bottom & (bottom - 1) == 0 and (top // (top & -top or 1)) < 2**bits
