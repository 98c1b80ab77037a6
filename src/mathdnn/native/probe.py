"""What this processor can do, and how fast the engine's convolutions run on one core: the face of bind_probe.cpp.

Work is given back as a number of floating-point operations (a multiply-add is two) or bytes; time it from outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mathdnn.errors import InvalidInput, sentence
from mathdnn.native.engine import known_set

if TYPE_CHECKING:
    from jaxtyping import Float32

DIRECTIONS = ("forward", "input gradient", "weight gradient")
LANES = 16  # images in a block, see kernels.hpp
READ = 256  # floats that the probe reads at a time, at most


def multiply_add(rounds: int, *, instruction_set: str | None = None) -> float:
    """Fused multiply-adds on registers of the calling thread's core; returns the operations done. Lets others run."""
    import mathdnn.native._native as kernels

    if type(rounds) is not int or not 0 <= rounds <= 2**40:
        _refuse("multiply_add(rounds=...)", "a whole number from 0 to 2^40", repr(rounds), "choose fewer")
    return kernels.multiply_add(rounds, known_set(instruction_set))


def read_memory(values: Float32[np.ndarray, "n"], *, instruction_set: str | None = None) -> float:
    """Their sum in float32, read as fast as one core can; 64-byte aligned (`aligned_floats`). Lets others run."""
    import mathdnn.native._native as kernels

    right = values.dtype == np.float32 and values.ndim == 1 and values.flags.c_contiguous
    if not right or len(values) % READ or values.ctypes.data % 64:
        got = f"{values.dtype} of shape {values.shape}"
        _refuse("read_memory(values)", f"a multiple of {READ} float32, aligned to 64 bytes", got, "use aligned_floats")
    return kernels.read_memory(values, known_set(instruction_set))


def aligned_floats(count: int) -> Float32[np.ndarray, "count"]:
    """`count` float32 ones on an address that is a multiple of 64."""
    room = np.ones(count + 16, np.float32)
    first = -room.ctypes.data % 64 // 4
    return room[first : first + count]


class ConvolutionProbe:
    """The kernels of one convolution (stride 1, unpadded) on a block of 16 images that stays in the cache.

    `maps[l]` are the input maps of output map l, `shape` (in maps, rows, columns), `kernel` (rows, columns).
    """

    def __init__(
        self,
        maps: tuple[tuple[int, ...], ...],
        shape: tuple[int, int, int],
        kernel: tuple[int, int],
        instruction_set: str | None = None,
    ) -> None:
        import mathdnn.native._native as kernels

        inside = all(0 <= g < shape[0] for inputs in maps for g in inputs)
        if not inside or min(kernel) < 1 or kernel[0] > shape[1] or kernel[1] > shape[2] or not maps:
            got = f"{shape} and {kernel}"
            _refuse("ConvolutionProbe", "edges from maps there are, and a filter within the image", got, "correct it")
        begin = np.cumsum([0, *(len(inputs) for inputs in maps)]).tolist()
        table = [g for inputs in maps for g in inputs]
        self._kernels = kernels.Convolutions(begin, table, [*shape, len(maps), *kernel], known_set(instruction_set))
        rows, columns = shape[1] - kernel[0] + 1, shape[2] - kernel[1] + 1
        self.operations = 2 * len(table) * kernel[0] * kernel[1] * rows * columns * LANES
        floats = LANES * (shape[0] * shape[1] * shape[2] + len(maps) * rows * columns)
        self.bytes = 4 * (floats + len(table) * kernel[0] * kernel[1])

    def run(self, direction: str, repeats: int) -> None:
        """Compute "forward", "input gradient" or "weight gradient" so many times; `operations` each."""
        if direction not in DIRECTIONS or type(repeats) is not int or repeats < 0:
            _refuse("ConvolutionProbe.run", " or ".join(DIRECTIONS), f"{direction!r}, {repeats!r}", "choose one")
        self._kernels.run(DIRECTIONS.index(direction), repeats)


def _refuse(who: str, expected: str, got: str, do: str) -> None:
    raise InvalidInput(sentence(who, expected, got, do))
