"""How many random points, modulo how many random primes, tell two maps apart.

Affine maps with rational coefficients that differ give the same values at a random point modulo a random prime p where
p divides every difference of their coefficients, or else with a chance of 1/p (Schwartz 1980, Zippel 1979). A number
of B bits, not 0, is a multiple of at most B / 30 of the 5.07 * 10^7 primes between 2^30 and 2^31. B may be large: a
file may have thousands of factors, each a multiple of such a prime. So it is bounded from the numbers of the file
(`Measured`), and so many points are drawn that all of them fail with a chance below 2^-60.

A coefficient is a sum, over the ways from a pixel to an output, of products of what enters in the nodes on that way,
each at most once. Its size, and the common denominator of all of them, are therefore at most the products over all
nodes of the largest number that enters there (times the terms of a sum), and of the denominators.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verify.graphs import Machine
from mathdnn.verify.keeping import nodes_in
from mathdnn.verify.numbers import Malformed, Modular, draw
from mathdnn.verify.resampling import RESAMPLING

SURE = 60  # bits: different maps pass with a chance below 2^-SURE
_PRIMES = 50_697_537  # from 2^30 to 2^31
_MOST = 1 << 40  # bits; more are not told apart
Values = tuple[np.ndarray, np.ndarray]


class Measured(Modular):
    """The integers modulo a prime, with the bits of all that entered into a result."""

    def __init__(self, prime: int) -> None:
        super().__init__(prime)
        self.bits = 0
        self._start()

    def _start(self) -> None:
        self._size, self._twos, self._bottoms, self._arrays, self.inverted = 0, 0, {1}, 0, 0

    def fraction(self, value: Fraction) -> int:
        top, bottom = abs(value.numerator), value.denominator
        twos = (bottom & -bottom).bit_length() - 1
        self._size = max(self._size, top.bit_length() - bottom.bit_length() + 1)
        self._twos = max(self._twos, twos)
        self._bottoms.add(bottom >> twos)
        return super().fraction(value)

    def array(self, values: np.ndarray) -> np.ndarray:
        made = super().array(values)
        if values.dtype.kind in "biu":
            self._arrays += 64
        elif values.size:
            exponents = np.frexp(values.astype(np.float64))[1]
            digits = 24 if values.dtype.itemsize == 4 else 53
            self._arrays += max(0, int(exponents.max())) + max(0, digits - int(exponents.min()))
        return made

    def inverse(self, a: np.ndarray) -> np.ndarray:
        self.inverted += np.unique(a).size
        return super().inverse(a)

    def entered(self, degree: int) -> int:
        """The bits that entered since the last call, fractions up to `degree` times in a product."""
        found = degree * (self._size + self._twos + sum(bottom.bit_length() - 1 for bottom in self._bottoms))
        found += self._arrays + len(self._bottoms)
        self._start()
        return found


class MeasuringMachine(Machine):
    """Runs a graph, and adds up what enters into it."""

    numbers: Measured

    def __init__(self, graph: dict[str, Any], constants: list[np.ndarray], numbers: Measured) -> None:
        super().__init__(graph, constants, numbers)
        self.bits: dict[int, int] = {}  # of nodes that no pixel enters: what they may have, however often they are used

    def _node(self, node: dict[str, Any]) -> Any:
        made = super()._node(node)
        used = nodes_in([node["args"], list(node["kwargs"].values())])
        inverted = self.numbers.inverted  # the inverse of each is a denominator of its own
        axes = len(node["shape"] or ()) if node["op"] in RESAMPLING else 1
        bits = self.numbers.entered(axes) + self.added.bit_length()
        bits += sum(self.bits.get(k, 0) for k in used) * (1 + inverted)
        if any(self.image[k] for k in used):
            self.numbers.bits += bits
        else:
            self.bits[len(self.values)] = min(bits, _MOST)
        return made


def random_prime(generator: random.Random) -> int:
    """A random prime between 2^30 and 2^31 (Miller-Rabin, deterministic below 3.2 * 10^9 for the bases 2, 3, 5, 7)."""
    while True:
        n = generator.randrange(2**30 + 1, 2**31, 2)
        odd = (n - 1) >> ((n - 1) & -(n - 1)).bit_length() - 1
        if all(n % q for q in (3, 5, 7, 11, 13)) and all(_passes(n, base, odd) for base in (2, 3, 5, 7)):
            return n


def _passes(n: int, base: int, odd: int) -> bool:
    power = pow(base, odd, n)
    if power in (1, n - 1):
        return True
    while odd != n - 1:
        power, odd = power * power % n, 2 * odd
        if power == n - 1:
            return True
    return False


def points_for(bits: int, sure: int = SURE) -> int:
    """The points for which all fail to tell apart what differs by numbers of so many bits, below 2^-sure."""
    chance = (bits + 1) / 30 / _PRIMES + 2.0**-30
    if chance > 0.5:
        raise Malformed(f"its numbers may have {bits:,} bits: too many for primes to tell them apart")
    return math.ceil(sure / -math.log2(chance))


def agree(generator: random.Random, pixels: int, values: Callable[[Measured, np.ndarray], Values]) -> bool:
    """Whether two maps are one, from their values at a random image in an arithmetic, as often as that takes."""
    done, needed = 0, 1
    while done < needed:
        numbers = Measured(random_prime(generator))
        a, b = values(numbers, draw(generator, pixels, numbers.prime))
        if a.shape != b.shape or not np.array_equal(a, b):
            return False
        done, needed = done + 1, points_for(numbers.bits)
    return True
