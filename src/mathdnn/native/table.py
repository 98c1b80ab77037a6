"""The compiled convolution over a connection table, on arrays: the face of src/native/bind_table.cpp.

    Y[n,l,y,x] = bias[l] + sum over the edges e = (l, g), a, b of  w[e,a,b] X[n,g,S y + D a - P,S x + D b - P]

Only edges are computed, so an infinite pixel spoils no output map that does not read it. The same bits for every number
of threads, and for AVX2 and AVX-512.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from jaxtyping import Float, Int64

Pair = tuple[int, int]
MOST_THREADS = 1024


@dataclass(frozen=True)
class TableGeometry:
    """`maps[l]` are the input maps of output map l; `shape` (in maps, rows, columns) of an image."""

    maps: tuple[tuple[int, ...], ...]
    shape: tuple[int, int, int]
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @property
    def output(self) -> tuple[int, int, int]:
        """(out maps, rows, columns); a side below 1 where the filter is larger than the padded image."""
        sides = [
            (size + 2 * pad - gap * (taps - 1) - 1) // step + 1
            for size, taps, step, pad, gap in zip(
                self.shape[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        ]
        return (len(self.maps), sides[0], sides[1])

    @property
    def edges(self) -> int:
        return sum(len(inputs) for inputs in self.maps)

    @property
    def countable(self) -> bool:
        """Whether the kernels can count its positions: each size in 32 bits, and no more numbers than memory holds."""
        sides = [size + 2 * pad for size, pad in zip(self.shape[1:], self.padding, strict=True)]
        sizes = (*sides, *self.output, self.shape[0], *self.kernel, *self.stride, *self.dilation)
        numbers = self.shape[0] * math.prod(sides) + math.prod(self.output) + self.edges * math.prod(self.kernel)
        return max(sizes) < 1 << 31 and numbers < 1 << 40


class TableKernel:
    """The three maps for arrays of one geometry, float32 or float64, on `threads` threads. Raises `InvalidInput`."""

    def __init__(
        self, geometry: TableGeometry, dtype: Any, threads: int = 1, instruction_set: str | None = None
    ) -> None:
        import mathdnn.native._native as kernels
        from mathdnn.native.engine import known_set

        self.geometry, self.dtype = geometry, np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            _refuse("dtype", "float32 or float64", str(dtype), "convert the arrays")
        if min(geometry.output) < 1 or min(*geometry.stride, *geometry.dilation, *geometry.kernel, *geometry.shape) < 1:
            _refuse("geometry", "a filter within the padded image", f"{geometry}", "pad or shrink")
        if min(geometry.padding) < 0 or any(not 0 <= g < geometry.shape[0] for m in geometry.maps for g in m):
            _refuse("geometry", "a padding from 0 and edges from maps there are", f"{geometry}", "correct the table")
        if not geometry.countable:
            _refuse("geometry", "padded sides below 2^31 and below 2^40 numbers an image", f"{geometry}", "shrink it")
        if type(threads) is not int or not 1 <= threads <= MOST_THREADS:
            words = f"a whole number from 1 to {MOST_THREADS}"
            _refuse("threads", words, repr(threads), "choose the number of cores")
        begin = np.cumsum([0, *(len(inputs) for inputs in geometry.maps)]).tolist()
        table = [g for inputs in geometry.maps for g in inputs]
        sizes = [*geometry.shape, *geometry.output, *geometry.kernel, *geometry.stride]
        sizes += [*geometry.padding, *geometry.dilation]
        self._output, self._biases = geometry.output, (len(geometry.maps),)
        self._weights = (geometry.edges, *geometry.kernel)
        make = kernels.TableFloat if self.dtype == np.float32 else kernels.TableDouble
        self._kernel = make(begin, table, sizes, threads, known_set(instruction_set))

    def forward(
        self, x: Float[np.ndarray, "n g h w"], w: Float[np.ndarray, "e a b"], bias: Float[np.ndarray, "l"] | None
    ) -> Float[np.ndarray, "n l p q"]:
        """conv(X, w) + bias."""
        if bias is not None:
            bias = self._take(bias, "bias", self._biases)
        y: np.ndarray = self._kernel.forward(self._images(x), self._weight(w), bias)
        return y

    def backward(
        self,
        x: Float[np.ndarray, "n g h w"] | None,
        g: Float[np.ndarray, "n l p q"],
        w: Float[np.ndarray, "e a b"] | None,
        wanted: tuple[bool, bool, bool] = (True, True, True),
    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """The derivatives of <G, conv(X, w) + bias> in X, w and bias, those that are `wanted`, in one go.

        `x` is needed for the derivative in w, and `w` for that in x; either may be None otherwise.
        """
        g = self._take(g, "g", (len(g), *self._output))
        w = self._weight(w) if wanted[0] and w is not None else None
        x = self._images(x) if wanted[1] and x is not None else None
        if (wanted[0] and w is None) or (wanted[1] and x is None):
            _refuse("x, w", "w for the derivative in x, and x for that in w", "None", "give it")
        if x is not None and len(x) != len(g):
            _refuse("x, g", "as many images in both", f"{len(x)} and {len(g)}", "match them")
        found: tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None] = self._kernel.backward(x, g, w, *wanted)
        return found

    def fill(self, images: int) -> float:
        """The part of the lanes that hold something when so many images are computed."""
        return float(self._kernel.fill(images))

    def bytes(self, images: int) -> int:
        """What the lanes of a block's input and output take; a core's second-level cache should hold them."""
        return int(self._kernel.bytes(images))

    @property
    def threads_are_torchs(self) -> bool:
        """Whether the work runs on the threads that torch keeps for the calling one."""
        return bool(self._kernel.shared)

    def _images(self, x: np.ndarray) -> np.ndarray:
        return self._take(x, "x", (len(x), *self.geometry.shape))

    def _weight(self, w: np.ndarray) -> np.ndarray:
        return self._take(w, "w", self._weights)

    def _take(self, array: np.ndarray, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if array.shape != shape or array.dtype != self.dtype:
            _refuse(
                name, f"{self.dtype} of shape {shape}", f"{array.dtype} of shape {array.shape}", "match the geometry"
            )
        packed = array.flags.c_contiguous and array.flags.aligned
        return array if packed else np.require(array, requirements=["C", "A"])


class Places:
    """Where filters lie among `total`: copied there with zeros between them, and back. Checked once, here."""

    def __init__(self, at: Int64[np.ndarray, " e"], total: int) -> None:
        if at.dtype != np.int64 or at.ndim != 1 or (at.size and not 0 <= int(at.min()) <= int(at.max()) < total):
            got = f"{at.dtype} {at.shape}"
            raise InvalidInput(sentence("Places(at=...)", f"places in 0..{total - 1}, int64", got, "correct them"))
        import mathdnn.native._native as kernels

        self._of = {np.dtype(np.float32): kernels.TableFloat, np.dtype(np.float64): kernels.TableDouble}
        self.at, self.total = np.array(at), total
        self.at.setflags(write=False)  # nobody moves a place after the check

    def scattered(self, filters: Float[np.ndarray, "e a b"]) -> Float[np.ndarray, "total a b"]:
        """`total` filters, zeros but for those given."""
        kind = self._kind(filters, len(self.at))
        found: np.ndarray = kind.scattered(np.require(filters, None, ["C", "A"]), self.at, self.total)
        return found

    def gathered(self, filters: Float[np.ndarray, "total a b"]) -> Float[np.ndarray, "e a b"]:
        """The filters at the places."""
        kind = self._kind(filters, self.total)
        found: np.ndarray = kind.gathered(np.require(filters, None, ["C", "A"]), self.at)
        return found

    def _kind(self, filters: np.ndarray, count: int) -> Any:
        kind = self._of.get(filters.dtype)
        if kind is None or filters.ndim != 3 or len(filters) != count:
            expected = f"float32 or float64, ({count}, rows, columns)"
            got = f"{filters.dtype} {filters.shape}"
            raise InvalidInput(sentence("Places(filters=...)", expected, got, "convert or choose them"))
        return kind


@lru_cache(maxsize=16)
def table_kernel(geometry: TableGeometry, dtype: str, threads: int) -> TableKernel:
    """The kernel for `geometry`, kept with its threads for the next call; it holds no memory between calls."""
    return TableKernel(geometry, dtype, threads)


def _refuse(name: str, expected: str, got: str, do: str) -> None:
    raise InvalidInput(sentence(f"TableKernel({name}=...)", expected, got, do))
