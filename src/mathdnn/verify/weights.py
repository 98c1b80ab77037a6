"""Whether the weights of a layer are the nearest floats of another side's coefficients, without one image for each.

Few images show what the other side has where the layer has a float (`readings`): a number w, known to some 100 bits and
modulo random primes, of which the float is to be the nearest. Where the layer has that float at taps that are not
shown, w is guessed to be there, too, and 0 where it has 0. That the other side is the layer with every w in the place
of its float is then seen at random points modulo random primes; and as each coefficient of a layer is one of its
weights (`layers`), each of its coefficients is the nearest float of the other side's. Where all this is not so, nothing
is said.
"""

from __future__ import annotations

import functools
import itertools
import random
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verify.chances import SURE, Measured, points_for, random_prime
from mathdnn.verify.layers import Layer, layer_of, lines_of
from mathdnn.verify.numbers import Malformed, Modular, Numbers, draw
from mathdnn.verify.readings import Reading, Readings
from mathdnn.verify.sides import pixels, run, several, unpacked
from mathdnn.verify.twofold import Sized, Twofold, error_of, nearest, nearest_floats

_AT_ONCE = 1 << 20  # pixels of images that are run at once


def stand_for(left: dict[str, Any], right: dict[str, Any], dtype: str, generator: random.Random, most: int) -> bool:
    """Whether the second side is a layer of the floats nearest to the first's coefficients. False where that is not
    so, was not seen, or where more than `most` numbers would be looked at."""
    layer = layer_of(right)
    try:
        lines = lines_of(layer) if layer else None
    except Malformed:  # a graph that seems to be what is no layer
        return False
    if layer is None or lines is None:
        return False
    readings, size = Readings(layer, lines), layer.outputs(lines)
    found = list(itertools.islice(readings, 1 + most // max(pixels(left), size)))
    if readings.missing:
        return False
    shown = _Shown(unpacked(left), layer, found)
    return shown.error.size == size and shown.rounds_to(dtype) and _agree(shown, unpacked(right), generator)


class _Shown:
    """What a side shows in images: the numbers that stand for the weights of a layer.

    Several images are run at once where the graph seems to allow it. They need not be right: what they show is a guess.
    """

    def __init__(self, side: dict[str, Any], layer: Layer, readings: list[Reading]) -> None:
        self.side, self.layer = side, layer
        self.images = np.stack([image for image, _, _ in readings])  # the first is 0
        self.taps, self.outputs = (np.concatenate([reading[k] for reading in readings]) for k in (1, 2))
        self.image = np.repeat(np.arange(len(readings)), [len(taps) for _, taps, _ in readings])
        self.guesses: dict[int, Fraction] = {}  # of weights that computed numbers leave open: what they seem to be
        try:
            self._arrange(min(len(readings), max(1, _AT_ONCE // pixels(side))))
        except ValueError:
            self._arrange(1)

    def _arrange(self, number: int) -> None:
        self.several, sized = several(self.side, number), Sized()
        ones = np.ones((number, self.images.shape[1]))
        magnitudes, roundings = run(self.several, ones, sized)
        self.constant = bool(run(self.several, 0 * ones, sized)[0].any())  # else all constants are 0
        error = error_of(magnitudes.reshape(number, -1).max(0), roundings)
        self.number, self.error = number, error if sized.within else np.full(error.shape, np.inf)

    def _read(self, numbers: Numbers, dtype: type) -> np.ndarray:
        """What is shown of each tap: the response there, without the constant but where that is what is shown."""
        made: np.ndarray = np.zeros(len(self.taps), dtype)
        constants: np.ndarray = np.zeros(self.error.size, dtype)
        for at in range(0 if self.constant else 1, len(self.images), self.number):
            some = self.images[at : at + self.number]
            images: np.ndarray = np.zeros((self.number, some.shape[1]), dtype)
            images[: len(some)] = some
            response = run(self.several, images, numbers)[0].reshape(self.number, -1)
            constants = constants if at else response[0]
            here = slice(*np.searchsorted(self.image, [at, at + self.number]))
            made[here] = response[self.image[here] - at, self.outputs[here]]
        return np.asarray(numbers.sub(made, np.where(self.image > 0, constants[self.outputs], 0)))

    def rounds_to(self, dtype: str) -> bool:
        """Whether the layer has the nearest floats of what is shown, some of it guessed."""
        value, error = self._read(Twofold(), np.complex128), self.error[self.outputs]
        found, sure, middle = nearest_floats(value, error, dtype)
        wanted = self.layer.weights[self.taps]
        if (sure & (found != wanted)).any() or not np.isfinite(error + found + middle).all():
            return False
        for k in np.flatnonzero(~sure):
            guess = Fraction(0) if abs(value[k]) <= error[k] else Fraction(found[k]) + Fraction(middle[k])
            if nearest(guess, dtype) != wanted[k]:
                return False
            self.guesses[int(self.taps[k])] = guess
        return True

    def modulo(self, numbers: Modular) -> np.ndarray:
        """The numbers that stand for the weights, modulo a prime."""
        made = np.zeros(len(self.layer.weights) + 1, np.int64)
        made[self.taps] = self._read(numbers, np.int64)
        return np.asarray(made[self._sources])

    @functools.cached_property
    def _sources(self) -> np.ndarray:
        """For each weight one that was shown and has its float, or is itself; for 0 the last, which is none."""
        floats, kinds = np.unique(self.layer.weights, return_inverse=True)
        some = np.full(len(floats), len(self.layer.weights))
        some[kinds[self.taps]] = self.taps
        some[floats == 0] = len(self.layer.weights)
        sources = some[kinds]
        sources[self.taps] = self.taps
        return np.asarray(sources)


def _agree(shown: _Shown, right: dict[str, Any], generator: random.Random) -> bool:
    """Whether the side is the layer with these numbers, every guess is right, and a graph is the layer that was read in
    it: at random points modulo random primes. Each of these is wrong, and seems right, with a chance so much smaller.

    A number shown adds up coefficients of pixels of an image; a guess, beside a number of B bits, has less than 2^64
    times its size and denominator.
    """
    layer, many = shown.layer, pixels(right)
    sure = SURE + (len(shown.guesses) + 2).bit_length()
    done, needed = 0, 1
    while done < needed:
        numbers = Measured(random_prime(generator))
        point = draw(generator, many, numbers.prime)
        given = run(shown.side, point, numbers)[0]
        itself = run(right, point, numbers)[0] if "graph" in right else None
        values = shown.modulo(numbers)
        if not np.array_equal(given, layer.output(values, point, numbers)):
            return False
        if itself is not None and not np.array_equal(
            itself, layer.output(numbers.array(layer.weights), point, numbers)
        ):
            return False
        if any(values[tap] != numbers.fraction(guess) for tap, guess in shown.guesses.items()):
            return False
        done, needed = done + 1, points_for(2 * numbers.bits + many.bit_length() + 64, sure)
    return True
