"""The plan of the native engine: buffers, operations and parameters, as plain values.

    positions of a buffer = maps (rows + 2 pad) (columns + 2 pad), 16 images each, 4 bytes a number

A plan is made before anything is computed, can be printed, and holds everything the kernels rely on. An activation lies
in the buffer of the layer before it; a convolution that covers its whole input is a dense layer.

Numbers are flat after Flatten, Dense and Distance, and nowhere else: maps of one pixel are still maps, as in torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NoReturn

from mathdnn.errors import InvalidInput, sentence
from mathdnn.native.layers import (
    ACTIVATIONS,
    LANES,
    Activation,
    Convolution,
    Dense,
    Distance,
    Expect,
    Layer,
    Pad,
    Pair,
    Pool,
    Shape,
    fitting_steps,
    padded,
)

_NONE = Activation("none")
_MOST = 2**31 - 1  # positions of a buffer: the kernels count them, and with them every size, in 32 bits


@dataclass(frozen=True)
class Buffer:
    """What a layer gives: (maps, rows, columns) with the border that the next convolution pads."""

    shape: Shape
    padding: Pair = (0, 0)
    activation: Activation = _NONE

    @property
    def positions(self) -> int:
        return self.shape[0] * math.prod(padded(self.shape[1:], self.padding))

    @property
    def bytes(self) -> int:
        return 4 * LANES * self.positions


@dataclass(frozen=True)
class Parameter:
    """Where a tensor of `shape` lies among the parameters; with a `pitch` transposed, rows that apart."""

    shape: tuple[int, ...]
    offset: int
    pitch: int = 0


@dataclass(frozen=True)
class Operation:
    """One step of the network, from buffer `source` to `source + 1`."""

    layer: Convolution | Dense | Pool | Pad | Distance | None  # None copies: an activation after an activation
    source: int
    weight: Parameter | None = None
    bias: Parameter | None = None
    multiply_adds: int = 0
    divisor: float = 1.0

    @property
    def kind(self) -> str:
        if isinstance(self.layer, Pool):
            return self.layer.kind
        return type(self.layer).__name__.lower() if self.layer else "copy"


@dataclass(frozen=True)
class NetworkPlan:
    """Buffers, operations and the number of parameter floats (with the gaps that alignment leaves)."""

    buffers: tuple[Buffer, ...]
    operations: tuple[Operation, ...]
    floats: int

    @property
    def classes(self) -> int:
        return self.buffers[-1].shape[0]

    @property
    def multiply_adds(self) -> int:
        """Of one forward pass of one image."""
        return sum(operation.multiply_adds for operation in self.operations)

    @property
    def bytes(self) -> int:
        """Of a block's activations: what should fit a core's second-level cache."""
        return sum(buffer.bytes for buffer in self.buffers)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """In the order of the layers, weight before bias."""
        return tuple(p for operation in self.operations for p in (operation.weight, operation.bias) if p is not None)

    def __str__(self) -> str:
        lines = [f"{'layer':12} {'output':>14} {'activation':12} {'bytes':>9} {'multiply-adds':>14}"]
        lines.append(_row("images", self.buffers[0], 0))
        lines += [_row(op.kind, self.buffers[op.source + 1], op.multiply_adds) for op in self.operations]
        total = f"{self.bytes:,} bytes a block of {LANES} images, {self.multiply_adds:,} multiply-adds an image"
        return "\n".join([*lines, f"{total}, {4 * self.floats:,} bytes of parameters"])


def _row(name: str, buffer: Buffer, multiply_adds: int) -> str:
    shape = "x".join(str(side) for side in buffer.shape)
    return f"{name:12} {shape:>14} {buffer.activation.kind:12} {buffer.bytes:9,} {multiply_adds:14,}"


def plan_network(layers: tuple[Layer, ...], shape: Shape) -> NetworkPlan:
    """The plan for images of `shape` (maps, rows, columns). Raises `InvalidInput` where sizes do not fit together."""
    if len(shape) != 3 or any(type(side) is not int or side < 1 for side in shape):
        _refuse("images of maps, rows and columns, whole numbers from 1", f"{tuple(shape)}", "correct the shape")
    draft = _Draft([_require_countable(Buffer(shape))])
    for layer in layers:
        draft.add(layer)
    shape, expected = draft.buffers[-1].shape, "a last layer that gives one number a class"
    if shape[1:] != (1, 1) or draft.buffers[-1].padding != (0, 0):
        _refuse(expected, f"shape {shape}", "end with a dense layer")
    if shape[0] < 1:
        _refuse(expected, "no class", "give it one output a class")
    if not draft.flat:
        _refuse(expected, f"maps of shape {shape}", "put a Flatten at the end")
    if not draft.operations:
        _refuse("at least one layer besides activations", "none", "add a dense layer")
    return NetworkPlan(tuple(draft.buffers), tuple(draft.operations), draft.floats)


@dataclass
class _Draft:
    buffers: list[Buffer]
    operations: list[Operation] = field(default_factory=list)
    floats: int = 0
    flat: bool = False

    def add(self, layer: Layer) -> None:
        if isinstance(layer, Activation):
            self._activate(layer)
        elif isinstance(layer, Convolution):
            self._convolution(layer)
        elif isinstance(layer, Dense):
            self._dense(layer)
        elif isinstance(layer, Pool):
            self._pool(layer)
        elif isinstance(layer, Pad):
            self._pad(layer)
        elif isinstance(layer, Distance):
            self._distance(layer)
        elif isinstance(layer, Expect):
            if self.flat or self.buffers[-1].shape != layer.shape:
                got = "flattened numbers" if self.flat else f"{self.buffers[-1].shape}"
                _refuse(f"images of shape {layer.shape}", got, "give the size that the model was built for")
        else:
            self.flat = True

    def _activate(self, activation: Activation) -> None:
        if activation.kind not in ACTIVATIONS:
            _refuse(f"one of {', '.join(ACTIVATIONS)}", repr(activation.kind), "choose one")
        last = self.buffers[-1]
        if not self.operations or last.activation.kind != "none":
            self._append(None, last.shape)
            last = self.buffers[-1]
        self.buffers[-1] = Buffer(last.shape, last.padding, activation)

    def _convolution(self, layer: Convolution) -> None:
        maps, rows, columns = self._image()
        if layer.inputs != maps:
            _refuse(f"a convolution over the {maps} maps there are", f"one over {layer.inputs}", "match them")
        if any(not 0 <= g < maps for inputs in layer.maps for g in inputs):
            _refuse(f"edges from the {maps} maps there are", f"{layer.maps!r:.60}", "correct the table")
        full = padded((rows, columns), layer.padding)
        _require_countable(Buffer((maps, *full)))
        sides = [
            (size - gap * (kernel - 1) - 1) // stride + 1
            for size, gap, kernel, stride in zip(full, layer.dilation, layer.kernel, layer.stride, strict=True)
        ]
        if min(sides) < 1:
            _refuse(
                f"a filter within {rows} x {columns} pixels and their padding", f"{layer.kernel}", "pad or shrink it"
            )
        stride, dilation = fitting_steps(full, layer.kernel, layer.stride, layer.dilation)
        if max(step * gap for step, gap in zip(stride, dilation, strict=True)) > _MOST:
            _refuse("strides times dilations below 2^31", f"{stride} and {dilation}", "take smaller ones")
        layer = replace(layer, stride=stride, dilation=dilation)
        whole = tuple(tuple(range(maps)) for _ in layer.maps)
        if layer.kernel == (rows, columns) and layer.padding == (0, 0) and layer.maps == whole:
            self._sums(len(layer.maps), layer.bias)  # the same, over (maps, rows, columns) in this order
            return
        if layer.padding != (0, 0) and self.operations and isinstance(self.operations[-1].layer, Dense):
            self._append(None, self.buffers[-1].shape)  # a dense layer leaves no room for a border
        before = self.buffers[-1]
        self.buffers[-1] = Buffer(before.shape, layer.padding, before.activation)
        weight = self._take((layer.edges, *layer.kernel))
        bias = self._take((len(layer.maps),)) if layer.bias else None
        work = layer.edges * layer.kernel[0] * layer.kernel[1] * sides[0] * sides[1]
        self._append(layer, (len(layer.maps), sides[0], sides[1]), weight, bias, work)

    def _dense(self, layer: Dense) -> None:
        self._flattened("a dense layer")
        self._sums(layer.outputs, layer.bias)

    def _sums(self, outputs: int, biased: bool) -> None:
        maps, rows, columns = self.buffers[-1].shape
        inputs, pitch = maps * rows * columns, -(-outputs // LANES) * LANES
        weight = Parameter((outputs, inputs), self.floats, pitch)
        bias = Parameter((outputs,), self.floats + inputs * pitch)  # the row after the weights
        self.floats += (inputs + 1) * pitch
        self._append(Dense(outputs, biased), (outputs, 1, 1), weight, bias if biased else None, inputs * outputs)

    def _pool(self, layer: Pool) -> None:
        maps, rows, columns = self._image()
        if max(*layer.window, *layer.stride, *layer.padding, *layer.dilation) > _MOST:  # torch refuses them too
            _refuse("a window, strides, padding and dilation below 2^31", f"{layer}", "take smaller ones")
        full = padded((rows, columns), layer.padding)
        _require_countable(Buffer((maps, *full)))
        sides = layer.size((rows, columns)) if min(layer.stride) > 0 else (0, 0)
        if min(sides) < 1:
            _refuse(f"a window within {rows} x {columns} pixels", f"{layer.window}", "shrink it")
        stride, dilation = fitting_steps(full, layer.window, layer.stride, layer.dilation)
        layer = replace(layer, stride=stride, dilation=dilation)
        own = layer.kind == "subsample"
        weight, bias = (self._take((maps,)), self._take((maps,))) if own else (None, None)
        work = maps * sides[0] * sides[1] if own else 0
        divisor = 1.0
        if layer.kind == "average":
            area = layer.window[0] * layer.window[1] if layer.whole((rows, columns)) else 0  # 0: counted at each window
            divisor = float(area if layer.divisor is None else layer.divisor)
        self._append(layer, (maps, sides[0], sides[1]), weight, bias, work, divisor)

    def _pad(self, layer: Pad) -> None:
        maps, rows, columns = self._image()
        if layer.to is not None and maps != 1:
            _refuse("images of one map", f"{maps}", "pad before the first convolution")
        if layer.to == (rows, columns):
            return
        left, right, above, below = layer.border
        sides = (rows + above + below, columns + left + right)
        if layer.to not in (None, sides):
            _refuse(f"images of {layer.to} pixels, or such as become that", f"{(rows, columns)}", "resize them")
        self._append(layer, (maps, *sides))

    def _distance(self, layer: Distance) -> None:
        self._flattened("distances")
        maps, rows, columns = self.buffers[-1].shape
        if len(layer.points[0]) != maps * rows * columns:
            _refuse(f"points of {maps * rows * columns} numbers", f"{len(layer.points[0])}", "correct them")
        self._append(layer, (len(layer.points), 1, 1), work=len(layer.points) * len(layer.points[0]))

    def _image(self) -> Shape:
        if self.flat:
            _refuse("maps", "flattened numbers", "put convolutions and pooling before Flatten")
        return self.buffers[-1].shape

    def _flattened(self, of: str) -> None:
        if not self.flat:
            _refuse(f"flattened input of {of}", f"shape {self.buffers[-1].shape}", "put a Flatten before it")

    def _take(self, shape: tuple[int, ...]) -> Parameter:
        parameter = Parameter(shape, self.floats)
        self.floats += -(-math.prod(shape) // LANES) * LANES
        return parameter

    def _append(
        self,
        layer: Convolution | Dense | Pool | Pad | Distance | None,
        shape: Shape,
        weight: Parameter | None = None,
        bias: Parameter | None = None,
        work: int = 0,
        divisor: float = 1.0,
    ) -> None:
        self.operations.append(Operation(layer, len(self.buffers) - 1, weight, bias, work, divisor))
        self.buffers.append(_require_countable(Buffer(shape)))


def _require_countable(buffer: Buffer) -> Buffer:
    if buffer.positions > _MOST:
        got = f"{buffer.positions:,} for {buffer.shape[0]} of {padded(buffer.shape[1:], buffer.padding)}"
        _refuse("maps with fewer than 2^31 pixels together, padding and all", got, "shrink or cut the images")
    return buffer


def _refuse(expected: str, got: str, do: str) -> NoReturn:
    raise InvalidInput(sentence("plan_network(layers)", expected, got, do))
