"""An operation of the plan as `program` in src/native/bind_engine.cpp takes it: numbers in a fixed order."""

from __future__ import annotations

from mathdnn.native.layers import KINDS, Convolution, Distance, Pad, Pool
from mathdnn.native.network import Operation


def numbers(operation: Operation) -> tuple[list[int], float, list[int], list[int], list[float]]:
    """Whole numbers, the divisor, the table's begin and its maps, and what is fixed."""
    layer, weight, bias = operation.layer, operation.weight, operation.bias
    kernel, stride, dilation = (1, 1), (1, 1), (1, 1)
    begin, table, border, counts = [0], [], (0, 0), True
    fixed: list[float] = []
    if isinstance(layer, Convolution):
        kernel, stride, dilation = layer.kernel, layer.stride, layer.dilation
        for inputs in layer.maps:
            table += list(inputs)
            begin.append(len(table))
    elif isinstance(layer, Pool):
        kernel, stride, dilation, border = layer.window, layer.stride, layer.dilation, layer.padding
        counts = layer.counts_padding
    elif isinstance(layer, Pad):
        border, fixed = (layer.border[2], layer.border[0]), [layer.value]
    elif isinstance(layer, Distance):
        fixed = [number for point in layer.points for number in point]
    at = [-1 if p is None else p.offset for p in (weight, bias)]
    pitch = weight.pitch if weight is not None else 0
    where = [KINDS.index(operation.kind), operation.source, operation.source + 1]
    whole = [*where, *at, *kernel, *stride, *dilation, pitch, *border, int(counts)]
    return whole, operation.divisor, begin, table, fixed
