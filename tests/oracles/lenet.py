"""Slow literal truth for the lenet room: loops, counting by hand and by Jacobian. Shares no code with the package."""

from __future__ import annotations

import math

import numpy as np
import torch

TABLE_I = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""


def table_i() -> np.ndarray:
    """Table I as the paper prints it, input maps down and output maps across, turned to (output, input)."""
    return np.array([[mark == "X" for mark in line.split()] for line in TABLE_I.strip().splitlines()]).T


def padded(x, top, bottom, left, right, mode="zeros"):
    """(n, c, h, w) padded on its last two axes."""
    how = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode=how)


def table_convolution(x, mask, kernels, bias, stride=(1, 1), dilation=(1, 1)):
    """Y[n,o,p,q] over an already padded x; `kernels[o, i]` is read only where mask[o, i]. One loop per letter."""
    n, _, height, width = x.shape
    outputs, inputs, kh, kw = kernels.shape
    rows = (height - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (width - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, outputs, rows, columns))
    with np.errstate(invalid="ignore"):
        for o in range(outputs):
            for p in range(rows):
                for q in range(columns):
                    total = np.full(n, 0.0 if bias is None else bias[o])
                    for i in range(inputs):
                        for a in range(kh):
                            for b in range(kw):
                                if mask[o, i]:
                                    pixel = x[:, i, p * stride[0] + a * dilation[0], q * stride[1] + b * dilation[1]]
                                    total = total + kernels[o, i, a, b] * pixel
                    y[:, o, p, q] = total
    return y


def connections_by_jacobian(function, shape):
    """How many (output, input) pairs move together: nonzero entries of the Jacobian at a random point, float64."""
    x = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    return int((torch.autograd.functional.jacobian(function, x) != 0).sum())


def subsampled(x, coefficient, bias):
    """c[m] * (sum of 2 x 2) + b[m], pixel by pixel."""
    n, maps, height, width = x.shape
    y = np.empty((n, maps, height // 2, width // 2))
    for k, m, p, q in np.ndindex(y.shape):
        four = sum(x[k, m, 2 * p + a, 2 * q + b] for a in (0, 1) for b in (0, 1))
        y[k, m, p, q] = coefficient[m] * four + bias[m]
    return y


def rbf_loss(distances, labels, j=None):
    """Equations 8 and 9 of the paper, image by image, on plain numbers."""
    losses = []
    for row, right in zip(distances, labels, strict=True):
        rest = 0.0 if j is None else math.log(math.exp(-j) + sum(math.exp(-y) for y in row))
        losses.append(row[right] + rest)
    return sum(losses) / len(losses)
