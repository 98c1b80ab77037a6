"""Closed forms of filters that keep every r-th pixel or make r of each, along rows and columns, with exact weights."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from mathdnn.convolution.checked import whole
from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.resampling import keys
from mathdnn.errors import InvalidInput, sentence

MOST_CHANNELS = 1 << 16  # more than any layer in use has (heuristic)
_MOST = 1 << 20  # numbers in one form: a second of work, and some 100 MB of fractions
_LARGEST = 64  # times smaller or larger (heuristic)


def require_few(numbers: int, who: str) -> None:
    """Raise `InvalidInput` where a form would have more numbers than fit."""
    if numbers > _MOST:
        raise InvalidInput(sentence(who, f"at most {_MOST:,} weights", f"{numbers:,}", "ask for a smaller form"))


def each(kernel: list[list[Any]], channels: int, **more: Any) -> ConvForm:
    """One kernel for every channel on its own."""
    channels = whole(channels, "catalogue(channels=...)", 1, MOST_CHANNELS)
    require_few(channels * len(kernel) * len(kernel[0]), "catalogue(channels=...)")
    return ConvForm.of([[kernel]] * channels, groups=channels, **more)


def _shuffled(r: Any, channels: Any, who: str) -> tuple[int, int]:
    """Factor and channels of a shuffle, which has r^4 weights for each channel."""
    r, channels = whole(r, f"{who}(r)", 1, _LARGEST), whole(channels, f"{who}(channels)", 1, MOST_CHANNELS)
    require_few(r**4 * channels, f"{who}(r)")
    return r, channels


def pixel_unshuffle(r: int, channels: int = 1) -> ConvForm:
    """r x r pixels become r^2 channels: kernel r, stride r, one tap each."""
    r, channels = _shuffled(r, channels, "catalogue.pixel_unshuffle")
    taps = [[[[int((a, b) == (i, j)) for b in range(r)] for a in range(r)]] for i in range(r) for j in range(r)]
    return ConvForm.of(taps * channels, stride=r, groups=channels)


def subsample(r: int, channels: int = 1) -> ConvForm:
    """Every r-th pixel of every r-th row, starting with the first."""
    r = whole(r, "catalogue.subsample(r)", 1, _LARGEST)
    return each([[1]], channels, stride=r)


def upsample_nearest(r: int, channels: int = 1) -> ConvForm:
    """Every pixel r times down and across: no convolution but a transposed one, kernel r, stride r, all ones."""
    r = whole(r, "catalogue.upsample_nearest(r)", 1, _LARGEST)
    return each([[1] * r] * r, channels, stride=r, transposed=True)


def upsample_bilinear(r: int, channels: int = 1) -> ConvForm:
    """Linear interpolation to r times the size (corners not aligned), on an image that its border pixels continue."""
    r = whole(r, "catalogue.upsample_bilinear(r)", 1, _LARGEST)
    below = r // 2 if r % 2 == 0 else (r - 1) // 2
    line = [Fraction(2 * r - abs(2 * (k - below) + 1 - r), 2 * r) for k in range(r + 2 * below)]
    kernel = [[a * b for b in line] for a in line]
    return each(kernel, channels, stride=r, padding=below, padding_mode="replicate", transposed=True)


def upsample_bicubic(r: int, channels: int = 1) -> ConvForm:
    """Cubic interpolation to r times the size (Keys 1981, a = -3/4; corners not aligned), the image continued."""
    r = whole(r, "catalogue.upsample_bicubic(r)", 1, _LARGEST)
    below = (3 * r + 2) // 2 - 1
    line = [keys(abs(Fraction(2 * k + 1 - r, 2 * r)), Fraction(-3, 4)) for k in range(-below, r + below)]
    return each([[a * b for b in line] for a in line], channels, stride=r, padding=below, padding_mode="replicate",
                 transposed=True)  # fmt: skip


def zero_insertion(r: int, channels: int = 1) -> ConvForm:
    """Every pixel followed by r - 1 zeros, along rows and columns."""
    r = whole(r, "catalogue.zero_insertion(r)", 1, _LARGEST)
    return each([[1]], channels, stride=r, transposed=True, output_padding=r - 1)


def pixel_shuffle(r: int, channels: int = 1) -> ConvForm:
    """r^2 channels become r x r pixels: `pixel_unshuffle` the other way."""
    r, channels = _shuffled(r, channels, "catalogue.pixel_shuffle")
    taps = [[[[int((a, b) == (i, j)) for b in range(r)] for a in range(r)]] for i in range(r) for j in range(r)]
    return ConvForm.of(taps * channels, stride=r, groups=channels, transposed=True)
