"""The sentence of a counterexample: its numbers are those that were computed, or it is wrong; what else it says is told
as not checked.

Exact numbers are compared modulo two random primes: others pass with a chance below 2^-40, as long as they have fewer
than 1000 bits, which the chance grows with (`chances`).
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from mathdnn.verify.chances import random_prime
from mathdnn.verify.forms import rational
from mathdnn.verify.means import Means
from mathdnn.verify.numbers import Modular
from mathdnn.verify.sealing import quoted

WRONG = "the sentence names other numbers than were computed"
PLACES = "; the places and numbers in the file's sentence are not checked beyond that"
_PRIMES = 2
_ASKED = (("the first", "the second"), ("the target", "the kernel handed in"))
_OTHER = re.compile(r"The (?:first|second) operation is not affine, and the other is: ")


def of_difference(statement: str, data: dict[str, Any], shapes: list[list[int]], means: Means) -> str | None:
    """What is to be said of the rest of a sentence about two maps at one image, "" where it has none; None where it is
    wrong. shapes: of the outputs."""
    size = data["left"]["input"]
    if data["output_shapes"] != shapes:
        return None
    if "exact" not in data:
        return _rest(
            statement, [f"On {_by(size)} images the outputs have shapes {_by(shapes[0])} and {_by(shapes[1])}."]
        )
    numbers, place = [rational(text) for text in data["exact"]], data["output_place"]
    if not all(_is_there(numbers, place, data, Modular(random_prime(means.generator)), means) for _ in range(_PRIMES)):
        return None
    first, second = (str(n) if n.denominator < 10_000 else repr(float(n)) for n in numbers)
    image, at = _image(size, data["pixel"]), _place(place)
    return _rest(statement, [f"For {image}, {a} gives {first} and {b} {second} at output {at}." for a, b in _ASKED])


def of_law(statement: str, law: str, numbers: tuple[float, float], image: np.ndarray, based: bool) -> str | None:
    """The same of a sentence about a law that is broken. numbers: of the two sides, where it is."""
    prefix = _OTHER.match(statement)
    pixels = "one pixel" if np.count_nonzero(image) == 1 else "random pixels"
    pixels += ", added to another" if based else ""
    expected, found = (f"{number:.6g}" for number in numbers)
    said = f"{law} fails: it would give {expected}, and the operation gives {found} (an image of {pixels})."
    rest = _rest(statement[prefix.end() :] if prefix else statement, [said])
    if rest is None or prefix is None:
        return rest
    return f"; that the other operation is affine, as its sentence says, is not checked{rest}"


def _is_there(numbers: Any, place: list[int], data: dict[str, Any], field: Modular, means: Means) -> bool:
    """Whether the two sides have the numbers at an output, in some image of the batch."""
    if any(type(k) is not int or k < 0 for k in place) or len(place) != 3 or len(numbers) != 2:
        return False
    image = np.zeros(math.prod(data["left"]["input"]), np.int64)
    image[data["pixel"] if data["pixel"] >= 0 else slice(0, 0)] = 1
    at: Any = (slice(None), *place)
    found = [means.run(data[side], image, field)[at] for side in ("left", "right")]
    wanted = [field.fraction(number) for number in numbers]
    return bool(np.logical_and(*(a == b for a, b in zip(found, wanted, strict=True))).any())


def _rest(statement: str, sentences: list[str]) -> str | None:
    for sentence in sentences:
        if statement == sentence:
            return ""
        if statement.startswith(f"{sentence} "):
            return f"; what else its sentence says is not checked: {quoted(statement[len(sentence) + 1 :][:300])}"
    return None


def _image(shape: list[int], pixel: int) -> str:
    bare = list(shape)
    while len(bare) > 2 and bare[0] == 1:
        bare = bare[1:]
    if pixel < 0:
        return f"the {_by(bare)} image of zeros"
    if math.prod(bare) == 1:
        return f"the {_by(bare)} image [1]"
    return f"the {_by(bare)} image with 1 at {_place(np.unravel_index(pixel, bare))} and 0 elsewhere"


def _by(size: list[int]) -> str:
    return " x ".join(map(str, size))


def _place(indices: Any) -> str:
    return "(" + ", ".join(str(int(index)) for index in indices) + ")"
