"""The different rows of a map, each once: pixels counted from the row's first, codes of coefficients, a constant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


class TooLarge(MemoryError):
    """More coefficients than the limit allows."""


class Functions:
    """Function f has the coefficients start[f] to start[f] + size[f] of `pixel` and `coefficient`, and `constant[f]`.

    Function 0 is the constant 0, function 1 one pixel; `limit` is the largest number of coefficients held.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.start: Int64[np.ndarray, " f"] = np.array([0, 0], np.int64)
        self.size: Int64[np.ndarray, " f"] = np.array([0, 1], np.int64)
        self.constant: Int32[np.ndarray, " f"] = np.zeros(2, np.int32)
        self.pixel: Int32[np.ndarray, " n"] = np.zeros(1, np.int32)
        self.coefficient: Int32[np.ndarray, " n"] = np.ones(1, np.int32)
        self._known = {
            _key(np.zeros(0, np.int32), np.zeros(0, np.int32), 0): 0,
            _key(self.pixel, self.coefficient, 0): 1,
        }

    def numbers(
        self, counts: np.ndarray, pixels: np.ndarray, codes: np.ndarray, constants: Int32[np.ndarray, " n"]
    ) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """The functions of rows given by their coefficients (pixels ascending), known or new, and each row's first
        pixel (0 where it has none). Raises `TooLarge`."""
        stop = np.cumsum(counts)
        start = stop - counts
        low = np.zeros(len(counts), np.int64)
        low[counts > 0] = pixels[start[counts > 0]]
        pixels, codes = (pixels - np.repeat(low, counts)).astype(np.int32), codes.astype(np.int32)
        made = np.empty(len(counts), np.int64)
        new: list[int] = []
        for k, (a, b, constant) in enumerate(zip(start.tolist(), stop.tolist(), constants.tolist(), strict=True)):
            key = _key(pixels[a:b], codes[a:b], constant)
            at = self._known.setdefault(key, len(self._known))
            made[k] = at
            if at == len(self.size) + len(new):
                new.append(k)
        self._append(np.array(new, np.int64), start, counts, pixels, codes, constants)
        return made, low

    def _append(
        self, new: np.ndarray, start: np.ndarray, counts: np.ndarray, pixels: np.ndarray, codes: np.ndarray,
        constants: np.ndarray,
    ) -> None:  # fmt: skip
        if not len(new):
            return
        size, held = counts[new], len(self.pixel)
        if held + int(size.sum()) > self.limit:
            raise TooLarge(f"{held + int(size.sum())} coefficients, more than the limit of {self.limit}")
        source = np.repeat(start[new] - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
        self.start = np.append(self.start, held + np.cumsum(size) - size)
        self.size = np.append(self.size, size)
        self.pixel, self.coefficient = np.append(self.pixel, pixels[source]), np.append(self.coefficient, codes[source])
        self.constant = np.append(self.constant, constants[new].astype(np.int32))


def _key(pixels: np.ndarray, codes: np.ndarray, constant: int) -> bytes:
    return constant.to_bytes(4, "little") + pixels.tobytes() + codes.tobytes()
