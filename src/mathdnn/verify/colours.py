"""Every coefficient of a side from few images: pixels that share no output may be 1 in the same one.

For each output the pixels that may enter it lie between a first and a last index along the images (and channels), the
rows and the columns. Where no output has more than S of them along an axis, pixels S apart enter it one at a time
(Curtis, Powell, Reid 1974, for sparse Jacobians).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verify.sides import full, run


class _Latest:
    """For every value the largest mark that may enter it: 0 for the number 0, 1 for other constants, pixels from 2."""

    def fraction(self, value: Fraction) -> int:
        return int(value != 0)

    def array(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(values != 0).astype(np.int64)

    def add(self, a: np.ndarray, b: Any) -> np.ndarray:
        return np.asarray(np.maximum(a, b))

    sub = add

    def mul(self, a: np.ndarray, b: Any) -> np.ndarray:
        return np.where(np.minimum(a, b) > 0, np.maximum(a, b), 0)

    def total(self, a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return np.asarray(a.max(axis=axes, initial=0))

    def dot(self, a: np.ndarray, terms: list[np.ndarray]) -> np.ndarray:
        made = np.zeros((len(a), *terms[0].shape), np.int64)
        for plane, weights in zip(made, a, strict=True):
            for weight, term in zip(weights, terms, strict=True):
                if weight:
                    np.maximum(plane, term, out=plane)
        return made


class Colours:
    """The images, and which pixel each output answers to in each."""

    def __init__(self, side: dict[str, Any]) -> None:
        *lead, height, width = full(side["input"])
        self.shape = (math.prod(lead), height, width)
        self.first, self.last = [], []
        for axis, size in enumerate(self.shape):
            marks = np.broadcast_to(np.arange(size).reshape([-1 if k == axis else 1 for k in range(3)]), self.shape)
            before, last = (
                run(side, np.ascontiguousarray(m).ravel(), _Latest())[0].ravel() - 2
                for m in (size + 1 - marks, marks + 2)
            )
            self.first.append(size - 1 - before)  # beyond the last where no pixel enters
            self.last.append(last)
        self.steps = [
            max(1, int((last - first).max(initial=0)) + 1) for first, last in zip(self.first, self.last, strict=True)
        ]

    def __len__(self) -> int:
        return math.prod(self.steps)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(the flat image, for each output its pixel, whether there is one)."""
        for start in itertools.product(*map(range, self.steps)):
            image = np.zeros(self.shape, np.int64)
            image[tuple(slice(k, None, step) for k, step in zip(start, self.steps, strict=True))] = 1
            places = [first + (k - first) % step for k, first, step in zip(start, self.first, self.steps, strict=True)]
            inside = np.logical_and.reduce([place <= last for place, last in zip(places, self.last, strict=True)])
            kept = [np.where(inside, place, 0) for place in places]
            yield image.ravel(), np.ravel_multi_index(tuple(kept), self.shape), inside
