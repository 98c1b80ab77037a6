"""Convolution as the formula reads, in loops; the whole matrix of an operation, one call for each pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

_PAD = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    padding_mode: str = "zeros",
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Y[l,i,j] = b[l] + sum_{g,a,b} w[l,g,a,b] X[g, s i + d a, t j + e b] of one padded image (C, H, W)."""
    x = np.pad(x, [(0, 0), *padding], mode=_PAD[padding_mode])
    out, share, kh, kw = w.shape
    height = (x.shape[1] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    width = (x.shape[2] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((out, height, width))
    for l, i, j in np.ndindex(y.shape):  # noqa: E741
        first = l // (out // groups) * share
        for g, a, c in np.ndindex(share, kh, kw):
            y[l, i, j] += w[l, g, a, c] * x[first + g, stride[0] * i + dilation[0] * a, stride[1] * j + dilation[1] * c]
        y[l, i, j] += 0.0 if b is None else b[l]
    return y


def matrix(op: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(M, c) with op(x) = M x + c, if op is affine: `op` takes and returns float64 arrays."""
    constant = np.asarray(op(np.zeros(shape)), dtype=np.float64).ravel()
    columns = []
    for k in range(int(np.prod(shape))):
        image = np.zeros(shape)
        image.flat[k] = 1
        columns.append(np.asarray(op(image), dtype=np.float64).ravel() - constant)
    return np.stack(columns, axis=1), constant
