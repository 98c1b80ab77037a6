"""The layers that the native engine can run, as plain values.

A convolution is always one over a connection table (`maps[l]` are the input maps that output map l reads); groups and
full connections are tables too.
"""

from __future__ import annotations

from dataclasses import dataclass

LANES = 16  # images in a block
ACTIVATIONS = ("none", "tanh", "relu", "sigmoid", "scaled_tanh")  # Activation in kernels.hpp
KINDS = ("convolution", "dense", "average", "maximum", "subsample", "copy", "pad", "distance")  # Kind in program.hpp
Pair = tuple[int, int]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Convolution:
    """Output map l reads the maps `maps[l]`: weight (edges, rows, columns) in that order, bias (maps,) or none.

    `inputs` is how many maps there must be, read or not.
    """

    inputs: int
    maps: tuple[tuple[int, ...], ...]
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    bias: bool = True

    @property
    def edges(self) -> int:
        return sum(len(inputs) for inputs in self.maps)


@dataclass(frozen=True)
class Dense:
    """A linear layer on flattened numbers: weight (outputs, inputs), bias (outputs,) or none."""

    outputs: int
    bias: bool = True


@dataclass(frozen=True)
class Pool:
    """`kind` "average", "maximum" or "subsample" (coefficient times the window's sum plus a bias, one for each map).

    `ceil`, `counts_padding` and `divisor` as in torch: windows that reach beyond the end, what an average divides by.
    """

    kind: str
    window: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil: bool = False
    counts_padding: bool = True
    divisor: float | None = None

    def size(self, shape: Pair) -> Pair:
        """Rows and columns that come out; below 1 where the window does not fit."""
        rows, columns = (self._side(n, axis) for axis, n in enumerate(shape))
        return rows, columns

    def whole(self, shape: Pair) -> bool:
        """Whether every window lies inside."""
        return self.padding == (0, 0) and all(
            (side - 1) * self.stride[axis] + self._reach(axis) <= n
            for axis, (n, side) in enumerate(zip(shape, self.size(shape), strict=True))
        )

    def _reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.window[axis] - 1) + 1

    def _side(self, n: int, axis: int) -> int:
        pad, stride = self.padding[axis], self.stride[axis]
        side = (n + 2 * pad - self._reach(axis) + (stride - 1 if self.ceil else 0)) // stride + 1
        return side - 1 if self.ceil and (side - 1) * stride >= n + pad else side  # the last one begins inside


@dataclass(frozen=True)
class Activation:
    """`kind` from ACTIVATIONS; scaled tanh is amplitude tanh(slope x)."""

    kind: str
    amplitude: float = 1.0
    slope: float = 1.0


@dataclass(frozen=True)
class Flatten:
    """(maps, rows, columns) to (maps rows columns, 1, 1): nothing moves."""


@dataclass(frozen=True)
class Pad:
    """A border of `value`: left, right, above, below. With `to`, only other rows and columns get it, of one map."""

    border: tuple[int, int, int, int]
    value: float = 0.0
    to: Pair | None = None


@dataclass(frozen=True)
class Distance:
    """Minus the squared distance of flattened numbers to each of `points`, (outputs, inputs), which are fixed."""

    points: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Expect:
    """Nothing but a question: (maps, rows, columns) must be `shape` here."""

    shape: tuple[int, ...]


Layer = Convolution | Dense | Pool | Activation | Flatten | Pad | Distance | Expect


def padded(sides: Pair, padding: Pair) -> Pair:
    """Rows and columns with their border."""
    return sides[0] + 2 * padding[0], sides[1] + 2 * padding[1]


def fitting_steps(sides: Pair, window: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Stride and dilation that do the same on an image of padded `sides`, and are no larger than these.

    A stride beyond the side leaves one position, as the side itself does; one tap has no next one.
    """
    return (
        (min(stride[0], sides[0]), min(stride[1], sides[1])),
        (dilation[0] if window[0] > 1 else 1, dilation[1] if window[1] > 1 else 1),
    )
