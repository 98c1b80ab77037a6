"""Memory as the kernels read it fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float32

LINE = 64
"""Bytes of a cache line, on every processor that the kernels know."""


def aligned_rows(n: int, d: int) -> Float32[np.ndarray, "n d"]:
    """Room for n rows of d numbers, not yet written, each at the beginning of a cache line.

    A vector that lies across two lines takes two reads: batch-1 SGD over rows of numpy's own memory, 16 bytes behind
    the beginning of a line, takes a quarter longer. Packed where d is a multiple of 16.
    """
    numbers = LINE // 4
    pitch = -(-d // numbers) * numbers
    memory = np.empty(n * pitch + numbers, np.float32)
    first = -memory.ctypes.data % LINE // 4
    return memory[first : first + n * pitch].reshape(n, pitch)[:, :d]
