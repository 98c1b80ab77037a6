"""Closed forms of the linear filters that everybody uses, with exact weights.

Every function returns a `ConvForm`; `CATALOGUE` names them for the command line, with one image channel where a filter
takes any number. Sources: I. Sobel and G. Feldman 1968; H. Scharr 2000; J. Prewitt 1970; L. Roberts 1963; ITU-R BT.601
(luma 0.299, 0.587, 0.114); BT.709 (0.2126, 0.7152, 0.0722).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.resampling import keys
from mathdnn.errors import InvalidInput, sentence

Number = int | Fraction


def _each(kernel: list[list[Any]], channels: int, **more: Any) -> ConvForm:
    """One kernel for every channel on its own."""
    if channels < 1:
        raise InvalidInput(
            sentence("catalogue(channels=...)", "at least one channel", str(channels), "give a positive number")
        )
    return ConvForm.of([[kernel]] * channels, groups=channels, **more)


def _same(kernel: list[list[Any]], channels: int, padding_mode: str = "zeros") -> ConvForm:
    """The kernel with the padding that keeps the size (odd sizes)."""
    return _each(kernel, channels, padding=(len(kernel) // 2, len(kernel[0]) // 2), padding_mode=padding_mode)


def finite_differences() -> ConvForm:
    """Y1[i,j] = X[i+1,j] - X[i,j], Y2[i,j] = X[i,j+1] - X[i,j], zeros outside: 3x3 kernels with zero padding 1."""
    down = [[0, 0, 0], [0, -1, 0], [0, 1, 0]]
    right = [[0, 0, 0], [0, -1, 1], [0, 0, 0]]
    return ConvForm.of([[down], [right]], padding=1)


def average_pool(k: int, channels: int = 1) -> ConvForm:
    """AvgPool2d(k): kernel k, stride k, every weight 1/k^2, each channel on its own."""
    return _each([[Fraction(1, k * k)] * k] * k, channels, stride=k)


def box(k: int, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The mean of k x k pixels around each pixel (k odd)."""
    return _same([[Fraction(1, k * k)] * k] * k, channels, padding_mode)


def gaussian(k: int, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The binomial approximation of a Gaussian with k x k taps (k odd), which is exact in rationals."""
    line = [math.comb(k - 1, a) for a in range(k)]
    return _same([[Fraction(a * b, 4 ** (k - 1)) for b in line] for a in line], channels, padding_mode)


def sobel(axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """Smoothed central difference along the rows (axis 1) or the columns (axis 0)."""
    return _along(axis, [1, 2, 1], channels, padding_mode)


def prewitt(axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """Like `sobel` with weights 1, 1, 1."""
    return _along(axis, [1, 1, 1], channels, padding_mode)


def scharr(axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """Like `sobel` with weights 3, 10, 3."""
    return _along(axis, [3, 10, 3], channels, padding_mode)


def _along(axis: int, smooth: list[int], channels: int, padding_mode: str) -> ConvForm:
    kernel = [[-s, 0, s] for s in smooth]
    return _same(kernel if axis == 1 else [list(row) for row in zip(*kernel, strict=True)], channels, padding_mode)


def laplacian(neighbours: int = 4, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The sum of the 4 or 8 neighbours less as many times the pixel."""
    corner = int(neighbours == 8)
    kernel = [[corner, 1, corner], [1, -neighbours, 1], [corner, 1, corner]]
    return _same(kernel, channels, padding_mode)


def sharpen(channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The pixel less its Laplacian."""
    return _same([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], channels, padding_mode)


def roberts() -> ConvForm:
    """The two diagonal differences of 2 x 2 pixels."""
    return ConvForm.of([[[[1, 0], [0, -1]]], [[[0, 1], [-1, 0]]]])


def emboss(channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """Light from the upper left: a diagonal difference added to the pixel."""
    return _same([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], channels, padding_mode)


def laplacian_of_gaussian(channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The usual 5 x 5 whole numbers for the Laplacian of a Gaussian ("Mexican hat", here positive in the middle)."""
    kernel = [[0, 0, -1, 0, 0], [0, -1, -2, -1, 0], [-1, -2, 16, -2, -1], [0, -1, -2, -1, 0], [0, 0, -1, 0, 0]]
    return _same(kernel, channels, padding_mode)


def unsharp(amount: Number = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The pixel and `amount` times what a 3 x 3 box blur takes from it."""
    centre = 1 + Fraction(amount) * Fraction(8, 9)
    return _same(
        [[centre if a == b == 1 else -Fraction(amount, 9) for b in range(3)] for a in range(3)], channels, padding_mode
    )


def motion_blur(k: int, axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The mean of k pixels in a row (axis 1), a column (axis 0) or down the diagonal (axis 2); k odd."""
    if axis == 2:
        return _same([[Fraction(int(a == b), k) for b in range(k)] for a in range(k)], channels, padding_mode)
    return _same([[Fraction(1, k)] * k] if axis == 1 else [[Fraction(1, k)]] * k, channels, padding_mode)


def central_difference(axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """(X[j+1] - X[j-1]) / 2 along the rows (axis 1) or the columns (axis 0)."""
    return _line([-Fraction(1, 2), 0, Fraction(1, 2)], axis, channels, padding_mode)


def second_difference(axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """X[j+1] - 2 X[j] + X[j-1] along the rows (axis 1) or the columns (axis 0)."""
    return _line([1, -2, 1], axis, channels, padding_mode)


def _line(taps: list[Any], axis: int, channels: int, padding_mode: str) -> ConvForm:
    return _same([taps] if axis == 1 else [[tap] for tap in taps], channels, padding_mode)


def depthwise(kernels: list[list[list[Any]]], padding_mode: str = "zeros") -> ConvForm:
    """A kernel of its own for every channel, with the padding that keeps the size (odd sizes)."""
    sizes = (len(kernels[0]) // 2, len(kernels[0][0]) // 2)
    return ConvForm.of([[kernel] for kernel in kernels], groups=len(kernels), padding=sizes, padding_mode=padding_mode)


def identity(channels: int = 1) -> ConvForm:
    """Every pixel as it is."""
    return _each([[1]], channels)


def shift(down: int, right: int, channels: int = 1) -> ConvForm:
    """The image moved down and to the right (negative: up, left), zeros coming in."""
    height, width = abs(down) + 1, abs(right) + 1
    kernel = [[0] * width for _ in range(height)]
    kernel[0 if down > 0 else -1][0 if right > 0 else -1] = 1
    pads = ((max(0, down), max(0, -down)), (max(0, right), max(0, -right)))
    return _each(kernel, channels, padding=pads)


def channel_mix(matrix: list[list[Any]], bias: list[Any] | None = None) -> ConvForm:
    """A 1x1 convolution: out channel l is sum_g matrix[l][g] times channel g."""
    return ConvForm.of([[[[value]] for value in row] for row in matrix], bias)


def grey(weights: tuple[Any, Any, Any] | None = None) -> ConvForm:
    """Red, green, blue to grey: 299/1000, 587/1000, 114/1000 exactly, unless other weights are given."""
    return channel_mix([list(weights or (Fraction(299, 1000), Fraction(587, 1000), Fraction(114, 1000)))])


def grey_bt709() -> ConvForm:
    """Red, green, blue to luma after BT.709: 0.2126, 0.7152, 0.0722 as decimal fractions."""
    return grey((Fraction(2126, 10000), Fraction(7152, 10000), Fraction(722, 10000)))


def rgb_to_yuv() -> ConvForm:
    """Red, green, blue to luma and two colour differences after BT.601, with its decimal fractions."""
    rows = [(299, 587, 114), (-147, -289, 436), (615, -515, -100)]
    return channel_mix([[Fraction(value, 1000) for value in row] for row in rows])


def channel_mean(channels: int = 3) -> ConvForm:
    """The mean of all channels."""
    return channel_mix([[Fraction(1, channels)] * channels])


def swap_channels(order: tuple[int, ...]) -> ConvForm:
    """Out channel l is channel order[l]."""
    return channel_mix([[int(g == source) for g in range(len(order))] for source in order])


def pixel_unshuffle(r: int, channels: int = 1) -> ConvForm:
    """r x r pixels become r^2 channels: kernel r, stride r, one tap each."""
    taps = [[[[int((a, b) == (i, j)) for b in range(r)] for a in range(r)]] for i in range(r) for j in range(r)]
    return ConvForm.of(taps * channels, stride=r, groups=channels)


def subsample(r: int, channels: int = 1) -> ConvForm:
    """Every r-th pixel of every r-th row, starting with the first."""
    return _each([[1]], channels, stride=r)


def upsample_nearest(r: int, channels: int = 1) -> ConvForm:
    """Every pixel r times down and across: no convolution but a transposed one, kernel r, stride r, all ones."""
    return _each([[1] * r] * r, channels, stride=r, transposed=True)


def upsample_bilinear(r: int, channels: int = 1) -> ConvForm:
    """Linear interpolation to r times the size (corners not aligned), on an image that its border pixels continue."""
    below = r // 2 if r % 2 == 0 else (r - 1) // 2
    line = [Fraction(2 * r - abs(2 * (k - below) + 1 - r), 2 * r) for k in range(r + 2 * below)]
    kernel = [[a * b for b in line] for a in line]
    return _each(kernel, channels, stride=r, padding=below, padding_mode="replicate", transposed=True)


def upsample_bicubic(r: int, channels: int = 1) -> ConvForm:
    """Cubic interpolation to r times the size (Keys 1981, a = -3/4; corners not aligned), the image continued."""
    below = (3 * r + 2) // 2 - 1
    line = [keys(abs(Fraction(2 * k + 1 - r, 2 * r)), Fraction(-3, 4)) for k in range(-below, r + below)]
    return _each([[a * b for b in line] for a in line], channels, stride=r, padding=below, padding_mode="replicate",
                 transposed=True)  # fmt: skip


def zero_insertion(r: int, channels: int = 1) -> ConvForm:
    """Every pixel followed by r - 1 zeros, along rows and columns."""
    return _each([[1]], channels, stride=r, transposed=True, output_padding=r - 1)


def pixel_shuffle(r: int, channels: int = 1) -> ConvForm:
    """r^2 channels become r x r pixels: `pixel_unshuffle` the other way."""
    taps = [[[[int((a, b) == (i, j)) for b in range(r)] for a in range(r)]] for i in range(r) for j in range(r)]
    return ConvForm.of(taps * channels, stride=r, groups=channels, transposed=True)


CATALOGUE: Mapping[str, Callable[[], ConvForm]] = MappingProxyType(
    {
        "finite-difference": finite_differences,
        "average-pool-2": lambda: average_pool(2),
        "average-pool-3": lambda: average_pool(3),
        "box-3": lambda: box(3),
        "box-5": lambda: box(5),
        "gaussian-3": lambda: gaussian(3),
        "gaussian-5": lambda: gaussian(5),
        "sobel-x": lambda: sobel(1),
        "sobel-y": lambda: sobel(0),
        "prewitt-x": lambda: prewitt(1),
        "prewitt-y": lambda: prewitt(0),
        "scharr-x": lambda: scharr(1),
        "scharr-y": lambda: scharr(0),
        "laplacian-4": lambda: laplacian(4),
        "laplacian-8": lambda: laplacian(8),
        "sharpen": sharpen,
        "unsharp": unsharp,
        "emboss": emboss,
        "laplacian-of-gaussian": laplacian_of_gaussian,
        "motion-blur-x": lambda: motion_blur(3, 1),
        "motion-blur-y": lambda: motion_blur(3, 0),
        "motion-blur-diagonal": lambda: motion_blur(3, 2),
        "central-difference-x": lambda: central_difference(1),
        "central-difference-y": lambda: central_difference(0),
        "second-difference-x": lambda: second_difference(1),
        "second-difference-y": lambda: second_difference(0),
        "roberts": roberts,
        "identity": identity,
        "grey": grey,
        "grey-bt709": grey_bt709,
        "pixel-unshuffle-2": lambda: pixel_unshuffle(2),
        "rgb-to-yuv": rgb_to_yuv,
        "channel-mean": channel_mean,
        "subsample-2": lambda: subsample(2),
        "pixel-shuffle-2": lambda: pixel_shuffle(2),
        "upsample-nearest-2": lambda: upsample_nearest(2),
        "upsample-nearest-3": lambda: upsample_nearest(3),
        "upsample-bilinear-2": lambda: upsample_bilinear(2),
        "upsample-bilinear-3": lambda: upsample_bilinear(3),
        "upsample-bicubic-2": lambda: upsample_bicubic(2),
        "upsample-bicubic-3": lambda: upsample_bicubic(3),
        "zero-insertion-2": lambda: zero_insertion(2),
    }
)
"""Names for the command line."""
