"""A table convolution and its two derivatives, summed edge by edge and tap by tap in float64."""

from __future__ import annotations

import itertools

import numpy as np


def forward_sum(x, w, bias, geometry):
    y = np.zeros((len(x), *geometry.output)) + bias.astype(np.float64)[:, None, None]
    for e, left, g, a, b, window in _terms(geometry):
        y[:, left] += w[e, a, b].astype(np.float64) * _padded(x, geometry)[:, g][window]
    return y


def back_sum(grad, w, geometry):
    rows, columns = geometry.padding
    _, height, width = geometry.shape
    dx = _padded(np.zeros((len(grad), *geometry.shape)), geometry)
    for e, left, g, a, b, window in _terms(geometry):
        dx[:, g][window] += w[e, a, b].astype(np.float64) * grad[:, left]
    return dx[:, :, rows : rows + height, columns : columns + width]


def filters_sum(x, grad, geometry):
    edges = sum(len(inputs) for inputs in geometry.maps)
    dw = np.zeros((edges, *geometry.kernel))
    for e, left, g, a, b, window in _terms(geometry):
        dw[e, a, b] = (_padded(x, geometry)[:, g][window] * grad[:, left].astype(np.float64)).sum()
    return dw


def _padded(x, geometry):
    rows, columns = geometry.padding
    return np.pad(x.astype(np.float64), ((0, 0), (0, 0), (rows, rows), (columns, columns)))


def _terms(geometry):
    """(edge, output map, input map, tap, the pixels of the padded input map that the tap meets)."""
    _, rows, columns = geometry.output
    edges = ((left, g) for left, inputs in enumerate(geometry.maps) for g in inputs)
    for e, (left, g) in enumerate(edges):
        for a, b in itertools.product(*map(range, geometry.kernel)):
            down, right = a * geometry.dilation[0], b * geometry.dilation[1]
            steps = geometry.stride
            window = (
                slice(None),
                slice(down, down + (rows - 1) * steps[0] + 1, steps[0]),
                slice(right, right + (columns - 1) * steps[1] + 1, steps[1]),
            )
            yield e, left, g, a, b, window
