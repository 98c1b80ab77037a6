"""Affine forms of an image's pixels, exactly: a growing pool of rows that arrays of row numbers ("ids") point into.

    row r:   value_r(x) = constant_r + sum_k coefficient_{r,k} x[pixel_{r,k}]

An array in the middle of a computation is an array of ids, so moving elements about (views, pads, flips, shuffles)
moves
ids and copies no row. New rows come only from `combine`, the one place where numbers meet:

    combine(ids, codes)[n] = sum_t  value(codes[n,t]) * row(ids[n,t])

Row 0 is the constant 0. Coefficients are codes of `Rationals`; no coefficient 0 is ever stored and pixels ascend
within a row, so two rows are the same function exactly where they are the same data.

Beside each row runs what its evaluation in floats can lose at most (N. J. Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., 2002, lemma 3.1): `reach` = sum of |weights| over all paths from pixels, `offset` the same from
constants. With n roundings on the longest path (counted by `evaluate`), unit roundoff u and gamma_n = n u / (1 - n u),
|computed - exact| <= gamma_n (reach max|x| + offset), barring overflow and underflow, sums in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mathdnn.convolution.rational import Rationals

if TYPE_CHECKING:
    from jaxtyping import Float, Int32, Int64

_SLACK = 1 + 1e-9  # covers the rounding of these sums themselves: n 2^-53 for up to 10^6 terms
_CHUNK = 1 << 24  # terms merged at once: keeps the working memory under about 1 GB


class TooLarge(MemoryError):
    """More coefficients than the limit allows."""


class Pool:
    """Rows over `pixels` inputs; `limit` is the largest number of coefficients held."""

    def __init__(self, pixels: int, limit: int = 100_000_000) -> None:
        self.numbers = Rationals()
        self.pixels, self.limit = pixels, limit
        self.start = np.array([0, 0, *range(1, pixels + 1)], dtype=np.int64)  # row 0, then one row for each pixel
        self.pixel = np.arange(pixels, dtype=np.int32)
        self.coefficient = np.ones(pixels, dtype=np.int32)
        self.constant = np.zeros(pixels + 1, dtype=np.int32)
        self.reach = np.concatenate([[0.0], np.ones(pixels)])
        self.offset = np.zeros(pixels + 1)
        self.tolerance = 0.0  # how far coefficients may be apart and count as one: 0 but for opaque operations

    def inputs(self) -> Int64[np.ndarray, " p"]:
        """The ids of the pixels themselves."""
        return np.arange(1, self.pixels + 1, dtype=np.int64)

    def constants(self, codes: Int32[np.ndarray, "*s"]) -> Int64[np.ndarray, "*s"]:
        """Ids of constant rows, one for each different code."""
        different, place = np.unique(codes, return_inverse=True)
        first = len(self.constant)
        magnitude = self.numbers.magnitudes(different)
        self._append(
            np.zeros(len(different), np.int64), [], [], different.astype(np.int32), np.zeros(len(different)), magnitude
        )
        ids = first + np.arange(len(different))
        ids[different == 0] = 0
        return np.asarray(ids[place.reshape(codes.shape)])

    def is_constant(self, ids: np.ndarray) -> bool:
        """Whether no row among `ids` has a pixel."""
        flat = ids.ravel()
        return bool((self.start[flat + 1] == self.start[flat]).all())

    def combine(self, ids: Int64[np.ndarray, "n t"], codes: Int32[np.ndarray, "n t"]) -> Int64[np.ndarray, " n"]:
        """Ids of new rows, each the sum over t of codes[n,t] times row ids[n,t]."""
        rows, terms = ids.shape
        given, codes = np.broadcast_to(codes, (len(codes), terms)), np.broadcast_to(codes, ids.shape)
        first = len(self.constant)
        lengths = self.start[ids + 1] - self.start[ids] if rows else np.zeros((0, terms), np.int64)
        self._require_room(int(lengths.sum()))
        reach, offset, constant = np.zeros(rows), np.zeros(rows), np.zeros(rows, np.int32)
        plain = not (self.constant[ids].any() or self.offset[ids].any())  # the usual case, and quick
        for t in range(terms):
            weight = self.numbers.magnitudes(codes[:, t] if len(given) > 1 else given[0, t])
            reach += weight * self.reach[ids[:, t]] * _SLACK
            offset += 0.0 if plain else weight * self.offset[ids[:, t]] * _SLACK
            if not plain:
                constant = self.numbers.add(constant, self.numbers.multiply(codes[:, t], self.constant[ids[:, t]]))
        counts, pixels, coefficients = [], [], []
        step = max(1, _CHUNK // max(1, int(lengths.sum()) // max(1, rows)))
        for at in range(0, rows, step):
            part = slice(at, at + step)
            count, pixel, coefficient = self._merge(ids[part], codes[part], lengths[part])
            counts.append(count)
            pixels.append(pixel)
            coefficients.append(coefficient)
        self._append(np.concatenate([np.zeros(0, np.int64), *counts]), pixels, coefficients, constant, reach, offset)
        return np.arange(first, first + rows)

    def _merge(
        self, ids: Int64[np.ndarray, "n t"], codes: Int32[np.ndarray, "n t"], lengths: Int64[np.ndarray, "n t"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients of the sums: (how many in each row, pixels, codes), like pixels added and zeros dropped."""
        n, t = ids.shape
        flat = lengths.ravel()
        total = int(flat.sum())
        source = np.repeat(self.start[ids.ravel()] - (np.cumsum(flat) - flat), flat) + np.arange(total)
        row = np.repeat(np.repeat(np.arange(n), t), flat)
        pixel = self.pixel[source]
        coefficient = self.numbers.multiply(np.repeat(codes.ravel(), flat), self.coefficient[source])
        if t > 1:
            row, pixel, coefficient = self._add_alike(row, pixel, coefficient)
        keep = coefficient != 0
        return np.bincount(row[keep], minlength=n), pixel[keep], coefficient[keep]

    def _add_alike(
        self, row: np.ndarray, pixel: np.ndarray, code: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        key = row * np.int64(self.pixels) + pixel
        if (key[1:] > key[:-1]).all():  # the usual case of a plain convolution: nothing to add, nothing to sort
            return row, pixel, code
        order = np.argsort(key, kind="stable")
        key, code = key[order], code[order]
        new = np.ones(len(key), bool)
        new[1:] = key[1:] != key[:-1]
        at = np.flatnonzero(new)
        size = np.diff(np.append(at, len(key)))
        total = code[at]
        for k in range(1, int(size.max()) if len(size) else 0):
            more = np.flatnonzero(size > k)
            total[more] = self.numbers.add(total[more], code[at[more] + k])
        return row[order][at], pixel[order][at], total

    def _append(
        self,
        counts: np.ndarray,
        pixels: list[np.ndarray],
        coefficients: list[np.ndarray],
        constant: np.ndarray,
        reach: Float[np.ndarray, " n"],
        offset: Float[np.ndarray, " n"],
    ) -> None:
        self.start = np.concatenate([self.start, self.start[-1] + np.cumsum(counts)])
        self.pixel = np.concatenate([self.pixel, *pixels])
        self.coefficient = np.concatenate([self.coefficient, *coefficients])
        self.constant = np.concatenate([self.constant, constant])
        self.reach = np.concatenate([self.reach, reach])
        self.offset = np.concatenate([self.offset, offset])

    def _require_room(self, more: int) -> None:
        if len(self.pixel) + more > self.limit:
            raise TooLarge(f"{len(self.pixel) + more} coefficients, more than the limit of {self.limit}")

    def entries(self, ids: Int64[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(place in `ids`, pixel, code) of every coefficient of the given rows, places and pixels ascending."""
        count = self.start[ids + 1] - self.start[ids]
        source = np.repeat(self.start[ids] - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
        return np.repeat(np.arange(len(ids)), count), self.pixel[source], self.coefficient[source]
