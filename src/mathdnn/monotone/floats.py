"""Floating-point formats as ordered integers.

Legend: x a float that is not NaN; b its bits as a signed integer of the same width; k its place, an integer.

    k(b) = b            where the sign bit is clear      +0.0 -> 0, smallest subnormal -> 1, +inf -> `infinity`
    k(b) = b xor max    where it is set                  -0.0 -> -1,            ...          -inf -> -infinity - 1

is a bijection that keeps the order: x < y as values implies k(x) < k(y), and the two zeros, equal as values, are
neighbours. One step of k is one unit in the last place. The map is its own inverse. IEEE 754-2019, section 5.10
(totalOrder) orders the same way. NaN has no place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Format:
    """One format: `width` bits, of which `mantissa` after the point; `infinity` is the place of +inf."""

    name: str
    width: int
    mantissa: int

    @property
    def integer(self) -> Any:
        """The NumPy integer type of the same width."""
        return np.int32 if self.width == 32 else np.int16

    @property
    def magnitude(self) -> int:
        """The bits of a magnitude: everything but the sign."""
        return (1 << (self.width - 1)) - 1

    @property
    def infinity(self) -> int:
        return int((self.magnitude >> self.mantissa) << self.mantissa)

    @property
    def first(self) -> int:
        """The place of -inf."""
        return -self.infinity - 1

    @property
    def values(self) -> int:
        """How many values are not NaN: both infinities, both zeros."""
        return 2 * (self.infinity + 1)

    @property
    def nans(self) -> int:
        """How many bit patterns are NaN."""
        return 2 * (self.magnitude - self.infinity)


FORMATS = {
    "float16": Format("float16", 16, 10),
    "bfloat16": Format("bfloat16", 16, 7),
    "float32": Format("float32", 32, 23),
}


def float_format(dtype: Any, who: str = "float_format(dtype=...)") -> Format:
    """The format named by a string, a NumPy dtype or a torch dtype. Raises `InvalidInput` for any other."""
    name = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    if name in FORMATS:
        return FORMATS[name]
    raise InvalidInput(
        sentence(who, "one of float16, bfloat16, float32", repr(dtype), "choose a format that can be scanned in full")
    )


def place_of(bits: Int[np.ndarray, "*s"], form: Format) -> Int[np.ndarray, "*s"]:
    """The places (int64) of values given by their bits; NaN must not be among them."""
    wide = bits.astype(np.int64)
    return np.where(wide >= 0, wide, wide ^ form.magnitude)


def bits_at(place: Int[np.ndarray, "*s"], form: Format) -> Int[np.ndarray, "*s"]:
    """The bits of the values at these places; the inverse of `place_of`."""
    wide = np.asarray(place, dtype=np.int64)
    return np.where(wide >= 0, wide, wide ^ form.magnitude).astype(form.integer)


def values_of(bits: Int[np.ndarray, "*s"], form: Format) -> Float[np.ndarray, "*s"]:
    """The values as float32, exactly: a view where the format is float32, a conversion where it is narrower."""
    if form.name == "float32":
        return bits.view(np.float32)
    if form.name == "float16":
        with np.errstate(invalid="ignore"):  # signalling NaN
            return bits.view(np.float16).astype(np.float32)
    return (bits.astype(np.int32) << 16).view(np.float32)


def is_nan(bits: Int[np.ndarray, "*s"], form: Format) -> Bool[np.ndarray, "*s"]:
    """Where the bits are those of a NaN."""
    nan: np.ndarray = (bits & form.integer(form.magnitude)) > form.integer(form.infinity)
    return nan


def value_at(place: int, form: Format) -> float:
    """The value at one place, as a Python float."""
    return float(values_of(bits_at(np.array([place]), form), form)[0])


def place(value: float, form: Format) -> int:
    """The place of one value, which must be representable. Raises `InvalidInput` for NaN and for what rounds."""
    if not math.isnan(value):
        bits = _bits_of(value, form)
        if float(values_of(bits, form)[0]) == value:
            return int(place_of(bits, form)[0])
    raise InvalidInput(
        sentence("place(value=...)", f"a {form.name} that is not NaN", repr(value), "round it to the format first")
    )


def _bits_of(value: float, form: Format) -> np.ndarray:
    with np.errstate(over="ignore"):
        if form.name == "float16":
            return np.array([value], np.float16).view(np.int16)
        wide: np.ndarray = np.array([value], np.float32).view(np.int32)
    return wide if form.name == "float32" else (wide >> 16).astype(np.int16)


def text(bits: int, form: Format) -> str:
    """A value as a person reads it, with its bits, so that both zeros and neighbours are told apart."""
    value = float(values_of(np.array([bits], form.integer), form)[0])
    digits = {"float32": 9, "float16": 5, "bfloat16": 4}[form.name]
    return f"{value:.{digits}g} (0x{bits & ((1 << form.width) - 1):0{form.width // 4}x})"
