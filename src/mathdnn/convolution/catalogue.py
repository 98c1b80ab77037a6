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

from mathdnn.convolution.checked import exactly, one_of, values, whole
from mathdnn.convolution.factors import (
    MOST_CHANNELS,
    each,
    pixel_shuffle,
    pixel_unshuffle,
    require_few,
    subsample,
    upsample_bicubic,
    upsample_bilinear,
    upsample_nearest,
    zero_insertion,
)
from mathdnn.convolution.form import ConvForm
from mathdnn.errors import InvalidInput, sentence

Number = int | float | Fraction
_WIDEST = 255  # taps along a side: wider filters are not written down as a kernel (heuristic)
_FARTHEST = 512  # pixels that an image is moved (heuristic)


def _odd(k: Any, who: str) -> int:
    """The width of a kernel that has a middle."""
    if not whole(k, who, 1, _WIDEST) % 2:
        raise InvalidInput(sentence(who, "an odd number", str(k), "give one, so that the kernel has a middle"))
    return int(k)


def _table(given: Any, axes: int, who: str, expected: str) -> Any:
    """Numbers in lists of equal length, with that many axes."""
    array = values(given, who)
    if array.ndim != axes or array.size == 0:
        raise InvalidInput(sentence(who, expected, f"{given!r:.60}", "give those, in lists of equal length"))
    require_few(array.size, who)
    return array.tolist()


def _same(kernel: list[list[Any]], channels: int, padding_mode: str = "zeros") -> ConvForm:
    """The kernel with the padding that keeps the size (odd sizes)."""
    return each(kernel, channels, padding=(len(kernel) // 2, len(kernel[0]) // 2), padding_mode=padding_mode)


def finite_differences() -> ConvForm:
    """Y1[i,j] = X[i+1,j] - X[i,j], Y2[i,j] = X[i,j+1] - X[i,j], zeros outside: 3x3 kernels with zero padding 1."""
    down = [[0, 0, 0], [0, -1, 0], [0, 1, 0]]
    right = [[0, 0, 0], [0, -1, 1], [0, 0, 0]]
    return ConvForm.of([[down], [right]], padding=1)


def average_pool(k: int, channels: int = 1) -> ConvForm:
    """AvgPool2d(k): kernel k, stride k, every weight 1/k^2, each channel on its own."""
    k = whole(k, "catalogue.average_pool(k)", 1, _WIDEST)
    return each([[Fraction(1, k * k)] * k] * k, channels, stride=k)


def box(k: int, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The mean of k x k pixels around each pixel (k odd)."""
    k = _odd(k, "catalogue.box(k)")
    return _same([[Fraction(1, k * k)] * k] * k, channels, padding_mode)


def gaussian(k: int, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The binomial approximation of a Gaussian with k x k taps (k odd), which is exact in rationals."""
    k = _odd(k, "catalogue.gaussian(k)")
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
    one_of(axis, "catalogue(axis=...)", (0, 1))
    kernel = [[-s, 0, s] for s in smooth]
    return _same(kernel if axis == 1 else [list(row) for row in zip(*kernel, strict=True)], channels, padding_mode)


def laplacian(neighbours: int = 4, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The sum of the 4 or 8 neighbours less as many times the pixel."""
    corner = int(one_of(neighbours, "catalogue.laplacian(neighbours)", (4, 8)) == 8)
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
    taken = exactly(amount, "catalogue.unsharp(amount)") / 9
    kernel = [[1 + 8 * taken if a == b == 1 else -taken for b in range(3)] for a in range(3)]
    return _same(kernel, channels, padding_mode)


def motion_blur(k: int, axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """The mean of k pixels in a row (axis 1), a column (axis 0) or down the diagonal (axis 2); k odd."""
    k = _odd(k, "catalogue.motion_blur(k)")
    if one_of(axis, "catalogue.motion_blur(axis)", (0, 1, 2)) == 2:
        return _same([[Fraction(int(a == b), k) for b in range(k)] for a in range(k)], channels, padding_mode)
    return _same([[Fraction(1, k)] * k] if axis == 1 else [[Fraction(1, k)]] * k, channels, padding_mode)


def central_difference(axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """(X[j+1] - X[j-1]) / 2 along the rows (axis 1) or the columns (axis 0)."""
    return _line([-Fraction(1, 2), 0, Fraction(1, 2)], axis, channels, padding_mode)


def second_difference(axis: int = 1, channels: int = 1, padding_mode: str = "zeros") -> ConvForm:
    """X[j+1] - 2 X[j] + X[j-1] along the rows (axis 1) or the columns (axis 0)."""
    return _line([1, -2, 1], axis, channels, padding_mode)


def _line(taps: list[Any], axis: int, channels: int, padding_mode: str) -> ConvForm:
    one_of(axis, "catalogue(axis=...)", (0, 1))
    return _same([taps] if axis == 1 else [[tap] for tap in taps], channels, padding_mode)


def depthwise(kernels: list[list[list[Any]]], padding_mode: str = "zeros") -> ConvForm:
    """A kernel of its own for every channel, with the padding that keeps the size (odd sizes)."""
    who = "catalogue.depthwise(kernels)"
    kernels = _table(kernels, 3, who, "a kernel (h, w) for each channel, all of one size")
    for side in (len(kernels[0]), len(kernels[0][0])):
        _odd(side, f"{who}, height and width")
    sizes = (len(kernels[0]) // 2, len(kernels[0][0]) // 2)
    return ConvForm.of([[kernel] for kernel in kernels], groups=len(kernels), padding=sizes, padding_mode=padding_mode)


def identity(channels: int = 1) -> ConvForm:
    """Every pixel as it is."""
    return each([[1]], channels)


def shift(down: int, right: int, channels: int = 1) -> ConvForm:
    """The image moved down and to the right (negative: up, left), zeros coming in."""
    down = whole(down, "catalogue.shift(down)", -_FARTHEST, _FARTHEST)
    right = whole(right, "catalogue.shift(right)", -_FARTHEST, _FARTHEST)
    height, width = abs(down) + 1, abs(right) + 1
    kernel = [[0] * width for _ in range(height)]
    kernel[0 if down > 0 else -1][0 if right > 0 else -1] = 1
    pads = ((max(0, down), max(0, -down)), (max(0, right), max(0, -right)))
    return each(kernel, channels, padding=pads)


def channel_mix(matrix: list[list[Any]], bias: list[Any] | None = None) -> ConvForm:
    """A 1x1 convolution: out channel l is sum_g matrix[l][g] times channel g."""
    rows = _table(matrix, 2, "catalogue.channel_mix(matrix)", "a row of numbers for each output channel")
    return ConvForm.of([[[[value]] for value in row] for row in rows], bias)


def grey(weights: tuple[Any, Any, Any] | None = None) -> ConvForm:
    """Red, green, blue to grey: 299/1000, 587/1000, 114/1000 exactly, unless other weights are given."""
    if weights is None:
        weights = (Fraction(299, 1000), Fraction(587, 1000), Fraction(114, 1000))
    who, expected = "catalogue.grey(weights)", "a list of three numbers"
    numbers = _table(weights, 1, who, expected)
    if len(numbers) != 3:
        raise InvalidInput(sentence(who, expected, f"{len(numbers)}", "give one for red, green and blue each"))
    return channel_mix([numbers])


def grey_bt709() -> ConvForm:
    """Red, green, blue to luma after BT.709: 0.2126, 0.7152, 0.0722 as decimal fractions."""
    return grey((Fraction(2126, 10000), Fraction(7152, 10000), Fraction(722, 10000)))


def rgb_to_yuv() -> ConvForm:
    """Red, green, blue to luma and two colour differences after BT.601, with its decimal fractions."""
    rows = [(299, 587, 114), (-147, -289, 436), (615, -515, -100)]
    return channel_mix([[Fraction(value, 1000) for value in row] for row in rows])


def channel_mean(channels: int = 3) -> ConvForm:
    """The mean of all channels."""
    channels = whole(channels, "catalogue.channel_mean(channels)", 1, MOST_CHANNELS)
    return channel_mix([[Fraction(1, channels)] * channels])


def swap_channels(order: tuple[int, ...]) -> ConvForm:
    """Out channel l is channel order[l]."""
    order = tuple(_table(order, 1, "catalogue.swap_channels(order)", "a list of channels"))
    require_few(len(order) ** 2, "catalogue.swap_channels(order)")
    for source in order:
        whole(source, "catalogue.swap_channels(order)", 0, len(order) - 1)
    return channel_mix([[int(g == source) for g in range(len(order))] for source in order])


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
