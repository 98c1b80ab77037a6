"""Affine forms of an image's pixels, exactly: arrays of row numbers ("ids") over a pool of different shapes of rows.

    row of id (r, b):   value(x) = constant_r + sum_k coefficient_{r,k} x[b + pixel_{r,k}]

A convolution does the same everywhere but for the place, and so do the operations it is made of. So a row is a
*template* r and a *base* b, the first pixel that it has: id = 2^bits r + b + 1 (+ 0 where it has no pixel). An array
in the middle of a computation is an array of ids, so moving elements about (views, pads, flips, shuffles) moves ids and
copies no row. New rows come only from `combine` and `scale`, where numbers meet:

    combine(ids, weights)[m, n] = sum_t  value(weights[m,t]) * row(ids[t,n])  +  value(constants[m])

Places n whose terms are the same templates at the same distances make one group (`grouping`): the arithmetic is done
once for each group, so a map costs what its different rows cost, the inside once and each kind of border once, however
large the image. Nothing is assumed about borders, periods or sizes: what is not alike is a group of its own.

Template 0 is the constant 0. Coefficients are codes of `Rationals`; no coefficient 0 is ever stored, pixels ascend from
0 within a template, and the same data is given the same number (its *function*), so two rows are the same exactly where
function and base are.

Beside each template runs what its evaluation in floats can lose at most (N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., 2002, lemma 3.1): `reach` = sum of |weights| over all paths from pixels, `offset` the
same from constants. They belong to the way a row was computed, so one function may have several templates. With n
roundings on the longest path (counted by `evaluate`), unit roundoff u and gamma_n = n u / (1 - n u),
|computed - exact| <= gamma_n (reach max|x| + offset), barring overflow and underflow, sums in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.convolution.grouping import grouped
from mathdnn.convolution.rational import Rationals
from mathdnn.convolution.table import Functions, TooLarge

if TYPE_CHECKING:
    from jaxtyping import Float, Int32, Int64

__all__ = ["Pool", "TooLarge"]

_SLACK = 1 + 1e-9  # covers the rounding of these sums themselves: n 2^-53 for up to 10^6 terms
_CHUNK = 1 << 21  # terms merged at once: keeps the working memory under about 100 MB


class Pool:
    """Rows over `pixels` inputs; `limit` is the largest number of coefficients held."""

    def __init__(self, pixels: int, limit: int = 50_000_000) -> None:
        self.numbers = Rationals()
        self.pixels = pixels
        self.bits = pixels.bit_length()
        self.mask = (1 << self.bits) - 1
        self.tolerance = 0.0  # how far coefficients may be apart and count as one: 0 but for opaque operations
        self.table = Functions(limit)
        self.function = np.array([0, 1])
        self.reach, self.offset = np.array([0.0, 1.0]), np.zeros(2)
        self._templates: dict[tuple[int, float, float], int] = {(0, 0.0, 0.0): 0, (1, 1.0, 0.0): 1}

    def inputs(self) -> Int64[np.ndarray, " p"]:
        """The ids of the pixels themselves."""
        return (1 << self.bits) + np.arange(1, self.pixels + 1, dtype=np.int64)

    def constants(self, codes: Int32[np.ndarray, "*s"]) -> Int64[np.ndarray, "*s"]:
        """Ids of constant rows."""
        different, place = np.unique(codes, return_inverse=True)
        none = np.zeros((len(different), 0), np.int64)
        made, _ = self._build(none, np.zeros(len(different), np.int64), none.astype(np.int32), different)
        return np.asarray((made << self.bits)[place.reshape(np.shape(codes))])

    def functions(self, ids: np.ndarray) -> Int64[np.ndarray, "*s"]:
        """The function's number of every id; with the base (`id & mask`) it is the whole row."""
        return np.asarray(self.function[ids >> self.bits])

    def constant_codes(self, ids: np.ndarray) -> Int32[np.ndarray, "*s"]:
        """The code of every row's constant."""
        return np.asarray(self.table.constant[self.functions(ids)])

    def last_pixels(self, ids: np.ndarray) -> Int64[np.ndarray, "*s"]:
        """The last pixel of every row, -1 where it has none."""
        function = self.functions(ids)
        last = self.table.pixel[np.maximum(self.table.start + self.table.size - 1, 0)]
        return np.where(self.table.size[function] > 0, (ids & self.mask) - 1 + last[function], -1)

    def count(self, ids: np.ndarray) -> int:
        """The coefficients of all the given rows."""
        return int(self.table.size[self.functions(ids)].sum())

    def losses(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(reach, offset) of every id."""
        template = ids >> self.bits
        return self.reach[template], self.offset[template]

    def combine(
        self,
        ids: Sequence[np.ndarray] | np.ndarray,
        weights: Int32[np.ndarray, "m t"],
        constants: Int32[np.ndarray, " m"] | None = None,
    ) -> Int64[np.ndarray, "m *s"]:
        """Ids of new rows, for each of m lists of weights: the sum over t of weights[m,t] times row ids[t] (arrays of
        one shape), plus constants[m]."""
        groups = grouped(ids, self.mask)
        made = np.empty((len(weights), len(groups.place)), np.int64)
        for m, codes in enumerate(weights):
            given = np.broadcast_to(codes, groups.ids.shape)
            more = np.full(len(given), 0 if constants is None else constants[m], np.int32)
            template, low = self._build(groups.ids, groups.anchor, given, more)
            pixels = self.table.size[self.function[template]] > 0
            fixed = (template << self.bits) + np.where(pixels, low, 0)
            made[m] = fixed[groups.place] + np.where(pixels[groups.place], groups.anchors, 0)
        return made.reshape(len(weights), *groups.shape)

    def scale(self, ids: Int64[np.ndarray, "*s"], codes: Int32[np.ndarray, "*s"]) -> Int64[np.ndarray, "*s"]:
        """Ids of the rows times a number each."""
        ids, codes = np.broadcast_arrays(ids, codes)
        template, width = ids >> self.bits, int(codes.max(initial=0)) + 1
        different, place = np.unique(template * width + codes, return_inverse=True)
        known, code = different // width, (different % width).astype(np.int32)
        anchor = (self.table.size[self.function[known]] > 0).astype(np.int64)
        made, _ = self._build(((known << self.bits) + anchor)[:, None], anchor, code[:, None], np.zeros_like(code))
        chosen = made[place.reshape(ids.shape)]
        pixels = self.table.size[self.function[chosen]] > 0
        return np.asarray((chosen << self.bits) + np.where(pixels, ids & self.mask, 0))

    def rows(
        self, counts: np.ndarray, pixels: np.ndarray, codes: np.ndarray, constant: np.ndarray,
        reach: Float[np.ndarray, " n"], offset: Float[np.ndarray, " n"],
    ) -> Int64[np.ndarray, " n"]:  # fmt: skip
        """Ids of rows given by their coefficients: how many in each, their pixels ascending, their codes."""
        function, low = self.table.numbers(counts, pixels, codes, constant)
        return (self._with_losses(function, reach, offset) << self.bits) + np.where(counts > 0, low + 1, 0)

    def raised(
        self, ids: Int64[np.ndarray, "*s"], reach: Float[np.ndarray, "*#s"], offset: Float[np.ndarray, "*#s"]
    ) -> Int64[np.ndarray, "*s"]:
        """Ids of the same rows whose losses are at least the given ones."""
        least = [np.broadcast_to(loss, ids.shape) for loss in (reach, offset)]
        own, made = self.losses(ids), ids.copy()
        low = (own[0] < least[0]) | (own[1] < least[1])
        template = ids[low] >> self.bits
        table = np.stack([template, *(np.maximum(a[low], b[low]) for a, b in zip(own, least, strict=True))])
        different, place = np.unique(table, axis=1, return_inverse=True)
        new = self._with_losses(self.function[different[0].astype(np.int64)], different[1], different[2])
        made[low] = (new[place.ravel()] << self.bits) + (ids[low] & self.mask)
        return made

    def _build(
        self, ids: Int64[np.ndarray, "n t"], anchor: np.ndarray, codes: Int32[np.ndarray, "n t"], constants: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The templates of weighted sums, and how far from the anchor each starts."""
        lengths = self.table.size[self.functions(ids)].sum(1) + ids.shape[1] + 1
        step = max(1, _CHUNK // int(lengths.max(initial=1)))
        made = [
            self._part(ids[at : at + step], anchor[at : at + step], codes[at : at + step], constants[at : at + step])
            for at in range(0, len(ids), step)
        ]
        return np.concatenate([part[0] for part in made]), np.concatenate([part[1] for part in made])

    def _part(
        self, ids: np.ndarray, anchor: np.ndarray, codes: np.ndarray, constants: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        terms, weights = ids >> self.bits, self.numbers.magnitudes(codes)
        with np.errstate(over="ignore"):
            reach = (weights * self.reach[terms]).sum(1) * _SLACK
            offset = ((weights * self.offset[terms]).sum(1) + self.numbers.magnitudes(constants)) * _SLACK
        own = self.table.constant[self.function[terms]]
        for t in np.flatnonzero(own.any(0)):
            constants = self.numbers.add(constants, self.numbers.multiply(codes[:, t], own[:, t]))
        count, pixel, code = self._merge(ids, anchor, codes)
        function, low = self.table.numbers(count, pixel, code, constants)
        return self._with_losses(function, reach, offset), low

    def _merge(
        self, ids: Int64[np.ndarray, "n t"], anchor: np.ndarray, codes: Int32[np.ndarray, "n t"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients of the sums: (how many in each, pixels from the anchor, codes), like pixels added, no zeros."""
        n, t = ids.shape
        function = self.functions(ids).ravel()
        size = self.table.size[function]
        source = np.repeat(self.table.start[function] - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
        row = np.repeat(np.repeat(np.arange(n), t), size)
        pixel = self.table.pixel[source] + np.repeat(((ids & self.mask) - anchor[:, None]).ravel(), size)
        coefficient = self.numbers.multiply(np.repeat(codes.ravel(), size), self.table.coefficient[source])
        if t > 1:
            row, pixel, coefficient = self._add_alike(row, pixel, coefficient)
        keep = coefficient != 0
        return np.bincount(row[keep], minlength=n), pixel[keep], coefficient[keep]

    def _add_alike(
        self, row: np.ndarray, pixel: np.ndarray, code: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        key = row * np.int64(2 * self.pixels) + (pixel + self.pixels)
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

    def _with_losses(self, functions: np.ndarray, reach: np.ndarray, offset: np.ndarray) -> Int64[np.ndarray, " n"]:
        """The templates of functions that were computed with such losses, known or new."""
        known, made = self._templates, np.empty(len(functions), np.int64)
        new: list[int] = []
        for k, key in enumerate(zip(functions.tolist(), reach.tolist(), offset.tolist(), strict=True)):
            made[k] = known.setdefault(key, len(known))
            if made[k] == len(self.function) + len(new):
                new.append(k)
        self.function = np.append(self.function, functions[new])
        self.reach, self.offset = np.append(self.reach, reach[new]), np.append(self.offset, offset[new])
        if len(known) << self.bits > 1 << 53:
            raise TooLarge(f"{len(known)} different rows on {self.pixels} pixels")
        return made

    def entries(self, ids: Int64[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(place in `ids`, pixel, code) of every coefficient of the given rows, places and pixels ascending."""
        function = self.functions(ids)
        size = self.table.size[function]
        source = np.repeat(self.table.start[function] - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
        pixel = np.repeat((ids & self.mask) - 1, size) + self.table.pixel[source]
        return np.repeat(np.arange(len(ids)), size), pixel, self.table.coefficient[source]
