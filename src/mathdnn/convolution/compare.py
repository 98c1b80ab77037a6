"""The one comparison that every proof rests on: are two arrays of rows the same affine functions?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mathdnn.convolution.pool import Pool


def first_difference(
    a: np.ndarray, b: np.ndarray, pool: Pool, table: np.ndarray | None = None
) -> tuple[int, int] | None:
    """None where the rows are the same: exactly, or within `pool.tolerance` where that is set.

    Else (output, pixel) of the first difference, pixel -1 for the constant, and (-1, -1) for another shape.
    `table` replaces the codes of the first side before comparing (by their nearest floats, say).
    """
    if a.shape != b.shape:
        return -1, -1
    flat = a.ravel(), b.ravel()
    constants = [pool.constant[ids] for ids in flat]
    if table is not None:
        constants[0] = table[constants[0]]
    unequal = np.flatnonzero(_apart(constants[0], constants[1], pool))
    if len(unequal):
        return int(unequal[0]), -1
    entries = [pool.entries(ids) for ids in flat]
    keys = [place.astype(np.int64) * pool.pixels + pixel for place, pixel, _ in entries]
    codes = [code for _, _, code in entries]
    if table is not None:
        codes[0] = table[codes[0]]
    if np.array_equal(keys[0], keys[1]) and not _apart(codes[0], codes[1], pool).any():
        return None
    every = np.union1d(keys[0], keys[1])
    full = [
        np.zeros(len(every), np.int32),
        np.zeros(len(every), np.int32),
    ]  # a missing coefficient is code 0, the number 0
    for k in (0, 1):
        full[k][np.searchsorted(every, keys[k])] = codes[k]
    differ = np.flatnonzero(_apart(full[0], full[1], pool))
    return None if not len(differ) else (int(every[differ[0]]) // pool.pixels, int(every[differ[0]]) % pool.pixels)


def _apart(a: np.ndarray, b: np.ndarray, pool: Pool) -> np.ndarray:
    """Where two arrays of codes are different numbers."""
    if pool.tolerance == 0.0:
        return np.asarray(a != b)
    return np.asarray(np.abs(pool.numbers.floats(a) - pool.numbers.floats(b)) > pool.tolerance)
