"""What a form is made of, checked: numbers, pairs, paddings, arrays. Each raises `InvalidInput` for anything else."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.errors import InvalidInput, is_whole, sentence

if TYPE_CHECKING:
    from mathdnn.convolution.form import Pair


def exactly(value: Any, who: str = "ConvForm(weight=...)") -> Fraction:
    """The rational number that a number of any kind stands for. Raises `InvalidInput` for what is none."""
    try:
        return Fraction(value.item() if hasattr(value, "item") else value)
    except (ValueError, OverflowError, TypeError, ZeroDivisionError, RuntimeError) as error:
        raise InvalidInput(sentence(who, "finite numbers", f"{value!r:.60}", f"give finite ones ({error})")) from None


def whole(value: Any, who: str, least: int, most: int) -> int:
    """One whole number within bounds; True and 2.0 are none."""
    if not is_whole(value) or not least <= value <= most:
        expected = f"a whole number from {least} to {most}"
        raise InvalidInput(sentence(who, expected, f"{value!r:.60}", "give one of these"))
    return int(value)


def one_of(value: Any, who: str, allowed: tuple[int, ...]) -> int:
    """One of a few whole numbers."""
    if not is_whole(value) or value not in allowed:
        expected = " or ".join(map(str, allowed))
        raise InvalidInput(sentence(who, expected, f"{value!r:.60}", "choose one of these"))
    return int(value)


def pair(value: Any, name: str, least: int) -> Pair:
    """Height and width, from one whole number for both or from two."""
    parts = (value, value) if is_whole(value) else tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(parts) != 2 or any(not is_whole(part) or part < least for part in parts):
        expected = f"one or two whole numbers of at least {least}"
        raise InvalidInput(sentence(f"ConvForm({name}=...)", expected, f"{value!r:.60}", "give those"))
    return int(parts[0]), int(parts[1])


def padding_of(padding: Any) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) from one number, (height, width), or the two pairs."""
    if isinstance(padding, (tuple, list)) and len(padding) == 2 and not any(map(is_whole, padding)):
        return pair(padding[0], "padding", 0), pair(padding[1], "padding", 0)
    p, q = pair(padding, "padding", 0)
    return (p, p), (q, q)


def values(given: Any, who: str) -> np.ndarray:
    """Nested lists, an array or a tensor as an array of objects; a ragged one has fewer axes than it should."""
    if hasattr(given, "detach"):
        given = _of_tensor(given, who)
    try:
        return np.array(given, dtype=object)
    except (ValueError, TypeError) as error:
        expected = "numbers in rows of equal length"
        raise InvalidInput(sentence(who, expected, f"{given!r:.60}", f"give those ({error})")) from None


def _of_tensor(given: Any, who: str) -> Any:
    """A tensor's numbers: floats as float64, in which each of them is exact, and whole numbers as they are."""
    kind = f"one of {given.dtype} on {given.device}"
    try:
        if not given.is_complex() and not given.is_quantized:
            own = given.detach().cpu()
            return (own.double() if own.is_floating_point() else own).numpy()
    except (RuntimeError, TypeError, ValueError):
        kind = kind if given.layout is None or "strided" in str(given.layout) else f"one of layout {given.layout}"
    do = "build or load it with its values, and convert it to floats on the cpu"
    raise InvalidInput(sentence(who, "a dense tensor of real numbers", kind, do))


def constants(given: Any, who: str) -> tuple[Fraction, ...] | None:
    """A bias: None, or one exact number for each output channel."""
    if given is None:
        return None
    array = values(given, who)
    if array.ndim != 1:
        expected = "a list of numbers, one for each output channel"
        raise InvalidInput(sentence(who, expected, f"{given!r:.60}", "give one list"))
    return tuple(exactly(value, who) for value in array)


def require_form(who: str, *given: Any) -> None:
    """All of them forms, and not layers or verdicts."""
    from mathdnn.convolution.form import ConvForm

    for form in given:
        if not isinstance(form, ConvForm):
            do = "make one with ConvForm.of, or with ConvForm.from_module from a layer"
            raise InvalidInput(sentence(who, "a ConvForm", f"a value of type {type(form).__name__}", do))
