"""Whether each coefficient of a side is the nearest float of another side's.

For a few pixels exactly, one after the other. A pixel's response is 0 at most outputs, so fractions are made, and
counted with, where a number is not 0.

For all of them, where the second side is one layer, few images show what stands for its weights (`weights`).

Else the first side's coefficients are computed to some 100 bits (`twofold`), those of pixels that share no
output together (`colours`). Most have one nearest float whatever the error is. Others seem to be 0, or in the middle of
two floats: whether they are is seen modulo random primes; what is left is computed in fractions. That the second side
is the map of these floats is then seen at random points modulo random primes, as where two maps are the same.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verify.chances import SURE, Measured, points_for, random_prime
from mathdnn.verify.colours import Colours
from mathdnn.verify.forms import form_output
from mathdnn.verify.numbers import Malformed, Modular, TooMany, draw
from mathdnn.verify.sides import machine, pixels, run, unpacked
from mathdnn.verify.twofold import Sized, Twofold, error_of, nearest, nearest_floats
from mathdnn.verify.weights import stand_for
from mathdnn.verify.work import Work, of_side

MOST = 1 << 24  # coefficients that are compared one by one
EXACTLY = 1 << 18  # of them in fractions
FRACTIONS = 1 << 24  # sums and products of fractions: half a minute, and 3 GB where all of them are kept
_AT_ONCE = 1 << 16  # of them held at once
_SPARSE = 4  # times as quick as others are runs at images of few pixels
Point = tuple[Modular, np.ndarray]  # a random prime, and a random image modulo it


class _Exact:
    """Fractions in object arrays, 0 as the whole number; so many sums and products of them, fewer where they are long.

    bits: of all that enters into a result."""

    def __init__(self, bits: int) -> None:
        self.left = FRACTIONS // (1 + (bits >> 9) ** 2)  # dividing two of 512 bits takes as long as making a fraction

    def _count(self, some: Any, times: int = 1) -> None:
        self.left -= times * int(np.count_nonzero(some))
        if self.left < 0:
            raise TooMany("so many of its numbers, or such long ones, would have to be compared as fractions")

    def fraction(self, value: Fraction) -> Fraction:
        return value

    def array(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Malformed("a constant that is not finite")
        exact = [Fraction(value) if value else 0 for value in values.ravel().tolist()]
        made = np.empty(len(exact), dtype=object)
        made[:] = exact
        return made.reshape(values.shape)

    def add(self, a: Any, b: Any) -> np.ndarray:
        a, b = np.broadcast_arrays(np.asarray(a, dtype=object), np.asarray(b, dtype=object))
        made, at = a.copy(), b.astype(bool)
        self._count(at)
        made[at] = a[at] + b[at]
        return np.asarray(made)

    def sub(self, a: Any, b: Any) -> np.ndarray:
        return self.add(a, self.mul(b, -1))

    def mul(self, a: Any, b: Any) -> np.ndarray:
        a, b = np.broadcast_arrays(np.asarray(a, dtype=object), np.asarray(b, dtype=object))
        made, at = np.zeros(a.shape, dtype=object), a.astype(bool) & b.astype(bool)
        self._count(at)
        made[at] = a[at] * b[at]
        return made

    def total(self, a: Any, axes: tuple[int, ...]) -> np.ndarray:
        self._count(a)
        return np.asarray(a.sum(axis=axes), dtype=object)

    def dot(self, a: Any, terms: Any) -> np.ndarray:
        made = np.zeros((len(a), *terms[0].shape), dtype=object)
        for weights, term in zip(a.T, terms, strict=True):
            at = np.nonzero(term)
            self._count(term, 2 * len(a))
            if len(at[0]):
                for plane, weight in zip(made, weights, strict=True):
                    plane[at] = plane[at] + weight * term[at]
        return made


def exactly(side: dict[str, Any], image: np.ndarray, numbers: _Exact) -> np.ndarray:
    """Like `sides.run` in fractions, which may be negative: so uninitialised memory is to be excluded before."""
    if "form" in side:
        return form_output(side["form"], image.reshape(side["input"]), numbers)[0]
    return machine(side, numbers).run(image.reshape(side["input"]))[0]


def bits_of(side: dict[str, Any]) -> int:
    """Of all that enters into a result. Excludes uninitialised memory."""
    numbers = Measured(2**31 - 1)
    run(side, np.ones(pixels(side), np.int64), numbers)
    return numbers.bits


def columns(side: dict[str, Any], chosen: range | list[int]) -> Iterator[np.ndarray]:
    """The constants for -1, the exact responses to a pixel for its number."""
    numbers, image = _Exact(bits_of(side)), np.zeros(pixels(side), dtype=object)
    constants = exactly(side, image, numbers).ravel()
    for pixel in chosen:
        if pixel < 0:
            yield constants
            continue
        image[pixel] = 1
        yield numbers.sub(exactly(side, image, numbers).ravel(), constants)
        image[pixel] = 0


def rounds(left: dict[str, Any], right: dict[str, Any], dtype: str, chosen: range | list[int]) -> bool:
    """Whether the second side's columns are the first's, each number rounded to the nearest float."""
    for a, b in zip(columns(left, chosen), columns(right, chosen), strict=True):
        if a.shape != b.shape:
            return False
        for k in np.flatnonzero(a.astype(bool) | b.astype(bool)):
            if nearest(Fraction(a[k]), dtype) != b[k]:
                return False
    return True


def all_round(
    left: dict[str, Any], right: dict[str, Any], dtype: str, generator: random.Random, work: Work | None = None
) -> bool:
    """Whether every coefficient of the second side is the nearest float of the first's. Raises `TooMany`."""
    _require_few(2 * pixels(left))  # a response to an image, and the constants, before much is made for them
    if stand_for(left, right, dtype, generator, MOST):
        return True
    points = _points(left, right, generator)
    at_points = [run(right, point, numbers)[0] for numbers, point in points]
    nearest_map = _Nearest(left, dtype, [numbers for numbers, _ in points])
    if any(made.shape != nearest_map.output for made in at_points):
        return False
    expected = [numbers.array(nearest_map.constants) for numbers, _ in points]
    (work or Work()).spend(len(nearest_map.colours) * of_side(left) // _SPARSE)
    for floats, places in nearest_map.columns():
        for k, (numbers, point) in enumerate(points):
            some = numbers.total(numbers.mul(numbers.array(floats), point[places]), (0,))
            expected[k] = numbers.add(expected[k], some)
    return all(np.array_equal(made.ravel(), wanted) for made, wanted in zip(at_points, expected, strict=True))


def _points(left: dict[str, Any], right: dict[str, Any], generator: random.Random) -> list[Point]:
    """A float next to a coefficient of B bits has less than 2^64 times its size and denominator, and so has a middle.

    Up to `MOST` coefficients are guessed: by so much must it be less likely for each that a wrong guess seems right.
    """
    bits = [bits_of(side) for side in (left, right)]
    wanted = points_for(2 * bits[0] + bits[1] + 64, SURE + MOST.bit_length())
    fields = [Modular(random_prime(generator)) for _ in range(wanted)]
    return [(numbers, draw(generator, pixels(left), numbers.prime)) for numbers in fields]


def _require_few(number: int) -> None:
    if number > MOST:
        raise TooMany(f"it has {number:,} coefficients, and up to {MOST:,} are compared one by one")


class _Nearest:
    """The nearest floats of a side's coefficients, as float64."""

    def __init__(self, side: dict[str, Any], dtype: str, fields: list[Modular]) -> None:
        side = unpacked(side)  # once
        self.side, self.dtype, self.fields = side, dtype, fields
        self.zero, self.numbers = np.zeros(pixels(side), np.int64), _Exact(bits_of(side))
        self.at_zero = [run(side, self.zero, numbers)[0].ravel() for numbers in fields]
        self.colours = Colours(side)
        sized = Sized()
        magnitudes, roundings = run(side, np.ones(pixels(side)), sized)
        self.output, self.left = magnitudes.shape, EXACTLY
        _require_few((len(self.colours) + 1) * max(pixels(side), magnitudes.size))
        self.error = error_of(magnitudes.ravel(), roundings) if sized.within else None
        self.constant = None if self.error is None else self._computed(self.zero)
        self.constants = self._floats([self.zero], [self.constant], np.ones((1, magnitudes.size), bool))[0]

    def columns(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(images, outputs): for each output a coefficient's float, or 0, and its pixel, until each had its turn."""
        colours = iter(self.colours)
        while some := list(itertools.islice(colours, max(1, _AT_ONCE // max(1, self.constants.size)))):
            images = [image for image, _, _ in some]
            if self.constant is None:
                values: list[np.ndarray | None] = [None] * len(some)
            else:
                values = [Twofold().sub(self._computed(image), self.constant) for image in images]
            yield self._floats(images, values, np.stack([k for _, _, k in some])), np.stack([k for _, k, _ in some])

    def _computed(self, image: np.ndarray) -> np.ndarray:
        if "form" in self.side:
            shaped = image.astype(np.complex128).reshape(self.side["input"])
            return form_output(self.side["form"], shaped, Twofold())[0].ravel()
        return machine(self.side, Twofold()).run(image.astype(np.complex128).reshape(self.side["input"]))[0].ravel()

    def _floats(self, images: list[np.ndarray], values: Sequence[np.ndarray | None], asked: np.ndarray) -> np.ndarray:
        """Where asked, the floats nearest to the responses to images, or to the constants, from computed values."""
        known = [value for value in values if value is not None]
        if len(known) < len(images) or self.error is None:
            rows = zip(images, asked, strict=True)
            return np.stack([self._exactly(image, np.zeros(row.size), np.flatnonzero(row)) for image, row in rows])
        value = np.stack(known)
        found, sure, middle = nearest_floats(value, self.error, self.dtype)
        found[~asked] = 0
        unsure = asked & ~sure
        for k in np.flatnonzero(unsure.any(axis=1)):
            at = np.flatnonzero(unsure[k])
            found[k] = self._decided(images[k], value[k].real, found[k], middle[k], at)
        return found

    def _decided(
        self, image: np.ndarray, value: np.ndarray, found: np.ndarray, middle: np.ndarray, at: np.ndarray
    ) -> np.ndarray:
        """The floats found, those at places that the computed values leave open by what they seem to be."""
        error = np.zeros(found.size) if self.error is None else self.error
        guesses = [
            Fraction(0) if abs(v) <= e else Fraction(f) + Fraction(m) if math.isfinite(f) and math.isfinite(m) else None
            for v, e, f, m in zip(value[at], error[at], found[at], middle[at], strict=True)
        ]
        holds = self._are(image, at, guesses)
        for k, guess in enumerate(guesses):
            found[at[k]] = float(nearest(guess or Fraction(0), self.dtype))
        return found if holds.all() else self._exactly(image, found, at[~holds])

    def _are(self, image: np.ndarray, at: np.ndarray, guesses: list[Fraction | None]) -> np.ndarray:
        """Which responses are the numbers guessed, modulo every prime."""
        holds = np.array([guess is not None for guess in guesses])
        for numbers, at_zero in zip(self.fields, self.at_zero, strict=True):
            made = run(self.side, image, numbers)[0].ravel()[at]
            made = numbers.sub(made, at_zero[at]) if image.any() else made
            holds &= made == np.array([numbers.fraction(guess or Fraction(0)) for guess in guesses])
        return holds

    def _exactly(self, image: np.ndarray, found: np.ndarray, at: np.ndarray) -> np.ndarray:
        self.left -= found.size
        if self.left < 0:
            raise TooMany(f"more than {EXACTLY:,} of its coefficients would have to be compared in fractions")
        made = exactly(self.side, image.astype(object), self.numbers).ravel()
        if image.any():
            made = self.numbers.sub(made, exactly(self.side, self.zero.astype(object), self.numbers).ravel())
        for k in at:
            found[k] = float(nearest(Fraction(made[k]), self.dtype))
        return found
