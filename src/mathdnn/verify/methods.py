"""What a certificate of a convolution says of how it was found, held against what it is about.

How many coefficients are not 0 takes multiplying them out, which the checker does not: it holds that number to be no
more than there are.
"""

from __future__ import annotations

import re
from typing import Any

from mathdnn.verify.sides import pixels

_READ = "read as {0} of affine operations and multiplied out in exact rational arithmetic"
_BOTH = "both operations were " + _READ.format("graphs")
_ONE = "the operation was " + _READ.format("a graph")
_CARRIES = (
    "; read with open height and width, both repeat themselves as the image grows, so that being equal at one size of "
    "each class carries to all larger ones"
)
_LEFT_OPEN = "; whether it is on images of other sizes is left open, since "
_NUMBERS = "coefficients \\((0|[1-9][0-9]{0,11})\\) and constants \\(([1-9][0-9]{0,11})\\)"
_LISTED = "coefficients: (0|[1-9][0-9]{0,11}), constants: ([1-9][0-9]{0,11})"


def untold(method: str) -> str:
    """What is to be said of reasons that nothing was checked of."""
    return "; why other sizes are left open is not checked" if _LEFT_OPEN in method else ""


def wrong_method(method: str, data: dict[str, Any], outputs: int) -> str:
    """What is wrong with the method told for checked data, "" where nothing is; outputs: the numbers in a result."""
    number = pixels(data["left"])
    for pattern in _patterns(data, number):
        found = re.fullmatch(pattern, method)
        if found and (not found.groups() or (int(found[1]) <= outputs * number and int(found[2]) == outputs)):
            return ""
    return "the method is not that of such a certificate"


def _patterns(data: dict[str, Any], number: int) -> list[str]:
    relation, form = data["relation"], data["right"].get("form")
    if relation == "within":
        called = f"the operation was called once for each pixel ({number}), and every response was compared"
        return [re.escape(called)]
    if relation != "equal":
        nearest = (
            f"each of the second's coefficients is the {relation.removeprefix('rounded to ')} nearest to the first's"
        )
        return [f"{_BOTH}: {nearest} \\({_LISTED}\\)"]
    if data.get("sizes") is None:
        found = [f"{_BOTH}: all {_NUMBERS} are the same rationals"]
        return found if form is None else [*found, _found(form) + re.escape(_LEFT_OPEN) + "(?s:.{1,2000})"]
    return [_found(form or {}) + re.escape(_CARRIES)]


def _found(form: dict[str, Any]) -> str:
    kind = "transposed convolution" if form.get("transposed", False) else "convolution"
    return f"{_ONE}; all {_NUMBERS} are those of the {kind}, borders included"
