"""The exact matrix of one image's map, entry by entry, and whether it repeats under a shift.

o, i, j: output channel, row, column; c, y, x: input channel, row, column; s, t: strides; H, W: input size; I, J:
output.

A convolution's weight depends on an entry through (o, c, y - s i, x - t j) alone. `clash` looks for two entries that
belong to one such class and differ, along either axis or both, in three settings:

    zeros      every class, over all outputs whose pixel y = s i + dy lies inside the image
    inside     only outputs whose windows lie inside whatever padding up to P per side may do: P <= s i, P <= s (I-1-i).
               (A window starts at s i - p >= s i - P and, as the last one ends at H-1+P at most, ends by
               H-1+P - s (I-1-i) <= H-1.) There every padding mode is the same.
    circular   y - s i modulo H: complete for kernels no larger than the image
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mathdnn.convolution.pool import Pool

_SHORT, _EDGE = 32, 4  # outputs along an axis that are all looked at; outputs kept at the ends and in the middle
ENTRIES, _FEW = 3_000_000, 8  # of more entries few outputs are looked at, also along a short axis, and never all
Labels = tuple[np.ndarray, np.ndarray]  # a class for every entry, and how many entries a whole class has


@dataclass(frozen=True)
class Stencil:
    """Entries (o, i, j, c, y, x, code), none of them 0, with the sizes of input and output.

    `kept`: the output rows and columns that are looked at. On a large image those that only go on as the ones before
    them did are left out: two entries of a class that differ are a witness wherever they stand, and "whole" means all
    outputs that are kept. What is found to fit here is compared on the whole image before anything is called proved.
    """

    place: tuple[np.ndarray, np.ndarray, np.ndarray]
    pixel: tuple[np.ndarray, np.ndarray, np.ndarray]
    code: np.ndarray
    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    kept: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, ids: np.ndarray, pool: Pool, shape: tuple[int, ...], *, whole: bool = False) -> Stencil | None:
        """The map of the first image of a batch, or None where it depends on another image. `whole`: all outputs."""
        each = pool.pixels // shape[0]
        if (pool.last_pixels(ids[0]) >= each).any():
            return None
        short, edge = (_SHORT, _EDGE) if pool.count(ids[0]) <= ENTRIES else (_FEW, 1)
        kept = [
            np.arange(n) if whole or n <= short else _kept(ids[0], axis, pool, edge)
            for axis, n in ((1, ids.shape[2]), (2, ids.shape[3]))
        ]
        chosen = ids[0][:, kept[0]][:, :, kept[1]]
        row, column, code = pool.entries(chosen.ravel())
        o, i, j = np.unravel_index(row, chosen.shape)
        place = [part.astype(np.int32) for part in (o, kept[0][i], kept[1][j])]
        pixel = [part.astype(np.int32) for part in np.unravel_index(column, shape[1:])]
        return cls(
            (place[0], place[1], place[2]),
            (pixel[0], pixel[1], pixel[2]),
            code,
            (shape[1], shape[2], shape[3]),
            (ids.shape[1], ids.shape[2], ids.shape[3]),
            (kept[0], kept[1]),
        )

    @property
    def is_whole(self) -> bool:
        """Whether every output is looked at."""
        return (len(self.kept[0]), len(self.kept[1])) == self.outputs[1:]

    def offsets(self, axis: int, stride: int) -> np.ndarray:
        """y - s i (axis 1) or x - t j (axis 2) of every entry."""
        return np.asarray(self.pixel[axis] - stride * self.place[axis])

    def margin(self, axis: int, stride: int) -> int:
        """The padding P that `inside` allows along an axis: at least one output stays inside."""
        return min((self.inputs[axis] - 1) // 2, stride * (self.outputs[axis] - 1) // 2)

    def inside(self, axis: int, stride: int) -> range:
        """The outputs along an axis whose windows lie inside for any padding up to `margin`."""
        skip = -(-self.margin(axis, stride) // stride)
        return range(skip, self.outputs[axis] - skip)

    def _fixed(self, axis: int) -> Labels:
        label = self.place[axis] * self.inputs[axis] + self.pixel[axis]
        return label, np.ones(self.outputs[axis] * self.inputs[axis], np.int64)

    def _shifted(self, axis: int, stride: int, setting: str) -> Labels:
        size, out, kept = self.inputs[axis], self.outputs[axis], self.kept[axis - 1]
        if setting == "circular":
            return self.offsets(axis, stride) % size, np.full(size, len(kept), np.int64)
        low = -stride * (out - 1)
        label = self.offsets(axis, stride) - low
        if setting == "inside":
            within = self.inside(axis, stride)
            return label, np.full(size - low, ((kept >= within.start) & (kept < within.stop)).sum(), np.int64)
        offsets = np.arange(low, size)
        first = np.maximum(0, -(offsets // stride))  # the least i with s i + dy >= 0
        last = np.minimum(out - 1, (size - 1 - offsets) // stride)
        count = np.searchsorted(kept, last, "right") - np.searchsorted(kept, first, "left")
        return label, np.maximum(0, count)

    def clash(self, strides: tuple[int | None, int | None], setting: str) -> tuple[int, int | None] | None:
        """Two entries of a class that differ (their numbers), or one entry whose class is not whole, or None.

        An axis whose stride is None takes no part: only entries of the same row (or column) are compared.
        """
        chosen = np.ones(len(self.code), bool)
        key = self.place[0].astype(np.int64) * self.inputs[0] + self.pixel[0]
        counts = []
        for axis, stride in zip((1, 2), strides, strict=True):
            label, count = self._fixed(axis) if stride is None else self._shifted(axis, stride, setting)
            if stride is not None and setting == "inside":
                within = self.inside(axis, stride)
                chosen &= (self.place[axis] >= within.start) & (self.place[axis] < within.stop)
            key = key * len(count) + label
            counts.append(count)
        numbers = np.flatnonzero(chosen)
        return _first_clash(key[numbers], self.code[numbers], (counts[0], counts[1]), numbers)


def _kept(ids: np.ndarray, axis: int, pool: Pool, edge: int) -> np.ndarray:
    """The places along a long axis of (o, i, j) that are not just like the ones before them: the ends, the middle and
    the surroundings of every change. Places go on with a period of 1 to 8."""
    lines = np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)
    count = len(lines)
    function, base = pool.functions(lines), lines & pool.mask
    best = np.ones(count, bool)
    for period in (1, 2, 3, 4, 5, 6, 8):
        new = np.ones(count, bool)
        step = base[period:] - base[:-period]
        alike = (function[period:] == function[:-period]).all(1)
        new[2 * period :] = ~(alike[period:] & alike[:-period] & (step[period:] == step[:-period]).all(1))
        near = np.convolve(new, np.ones(2 * period + 3), "same") > 0
        if near.sum() < best.sum():
            best = near
    best[:edge] = best[-edge:] = best[(count - 1) // 2 - edge : (count - 1) // 2 + edge] = True
    return np.flatnonzero(best)


def _first_clash(
    key: np.ndarray, code: np.ndarray, counts: tuple[np.ndarray, np.ndarray], numbers: np.ndarray
) -> tuple[int, int | None] | None:
    """Two entries of one class with different codes, or one of a class that is not whole: it has counts[0] times
    counts[1] entries, the key's two last digits."""
    if not len(key):
        return None
    classes, key = np.unique(key, return_inverse=True)
    whole = counts[0][classes // len(counts[1]) % len(counts[0])] * counts[1][classes % len(counts[1])]
    span = len(classes)
    table = np.zeros(span, np.int32)
    table[key] = code
    wrong = np.flatnonzero(table[key] != code)
    if len(wrong):
        at = wrong[0]
        other = np.flatnonzero((key == key[at]) & (code != code[at]))[0]
        return int(numbers[min(at, other)]), int(numbers[max(at, other)])
    count = np.bincount(key, minlength=span)
    used = np.flatnonzero(count)
    partial = used[count[used] != whole[used]]
    return (int(numbers[np.flatnonzero(key == partial[0])[0]]), None) if len(partial) else None
