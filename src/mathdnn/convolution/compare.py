"""The one comparison that every proof rests on: are two arrays of rows the same affine functions?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mathdnn.convolution.pool import Pool


def first_difference(
    a: np.ndarray, b: np.ndarray, pool: Pool, table: np.ndarray | None = None, share: float = 0.0
) -> tuple[int, int] | None:
    """None where the rows are the same: exactly, or within `pool.tolerance` where that is set, or every number of the
    second within `share` of the first's.

    Else (output, pixel) of the first difference, pixel -1 for the constant, and (-1, -1) for another shape.
    `table` replaces the codes of the first side before comparing (by their nearest floats, say).
    """
    if a.shape != b.shape:
        return -1, -1
    first, second = a.ravel(), b.ravel()
    constants = [pool.constant_codes(first), pool.constant_codes(second)]
    if table is not None:
        constants[0] = table[constants[0]]
    unequal = np.flatnonzero(_apart(constants[0], constants[1], pool, share))
    if len(unequal):
        return int(unequal[0]), -1
    for place in _candidates(first, second, pool, table is not None):
        pixel = _first_pixel(first[place : place + 1], second[place : place + 1], pool, table, share)
        if pixel is not None:
            return place, pixel
    return None


def _candidates(a: np.ndarray, b: np.ndarray, pool: Pool, every: bool) -> list[int]:
    """The first place of each different pair of rows that are not one row; rows count from their bases."""
    functions, bases = (pool.functions(a), pool.functions(b)), (a & pool.mask, b & pool.mask)
    unlike = (functions[0] != functions[1]) | (bases[0] != bases[1])
    places = np.arange(len(a)) if every else np.flatnonzero(unlike)
    pairs = np.stack([functions[0][places], functions[1][places], (bases[1] - bases[0])[places]])
    return sorted(places[np.unique(pairs, axis=1, return_index=True)[1]].tolist())


def _first_pixel(a: np.ndarray, b: np.ndarray, pool: Pool, table: np.ndarray | None, share: float) -> int | None:
    """The first pixel whose coefficients differ between two rows; a missing coefficient is code 0, the number 0."""
    (_, first, codes), (_, second, others) = pool.entries(a), pool.entries(b)
    every = np.union1d(first, second)
    full = np.zeros((2, len(every)), np.int32)
    full[0, np.searchsorted(every, first)] = codes if table is None else table[codes]
    full[1, np.searchsorted(every, second)] = others
    differ = np.flatnonzero(_apart(full[0], full[1], pool, share))
    return int(every[differ[0]]) if len(differ) else None


def _apart(a: np.ndarray, b: np.ndarray, pool: Pool, share: float) -> np.ndarray:
    """Where two arrays of codes are different numbers."""
    if pool.tolerance == share == 0.0:
        return np.asarray(a != b)
    first, second = pool.numbers.floats(a), pool.numbers.floats(b)
    room = np.maximum(pool.tolerance, share * np.abs(first))
    with np.errstate(invalid="ignore"):  # numbers beyond the floats are apart
        return np.asarray((a != b) & ~((np.abs(first - second) <= room) & (room > 0)))
