"""Which images a step takes and how they are moved and scaled, from explicit generators that depend on no library.

    e   epoch, from 0      i   image, 0 .. n-1      w_e(i)   i-th 64-bit word of Philox keyed by (seed, e, purpose)

    order_e  = argsort_i w_e(i), stable                              a uniform permutation
    shift_e(i) = (w_e(2i), w_e(2i + 1)) mod (2 s + 1)  -  s          down, right; uniform to 2^-57
    x = float32(offset + gain u / 255)                               u a pixel of 0..255

Each epoch has its own generator, so resuming needs no state of it, and every machine draws the same. Words are taken
raw, since numpy keeps the stream of a bit generator for ever, but not that of `permutation` (NEP 19).
Source: Salmon and others, "Parallel random numbers: as easy as 1, 2, 3" (2011); LeCun and others (1998): -0.1..1.175.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mathdnn.training.recipe import Recipe
from mathdnn.training.record import PixelScale

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64, Shaped, UInt64

ORDER, SHIFT = 0, 1


def epoch_order(seed: int, epoch: int, n: int) -> Int64[np.ndarray, "n"]:
    """The order in which `epoch` (from 0) visits the n training images."""
    return np.argsort(_words(seed, epoch, ORDER, n), kind="stable")


def epoch_shifts(seed: int, epoch: int, n: int, shift: int) -> Int64[np.ndarray, "n 2"]:
    """How many pixels each image moves down and right in `epoch`, each in -shift .. shift."""
    words = _words(seed, epoch, SHIFT, 2 * n) % np.uint64(2 * shift + 1)
    return words.astype(np.int64).reshape(n, 2) - shift


def _words(seed: int, epoch: int, purpose: int, count: int) -> UInt64[np.ndarray, "count"]:
    return np.random.Philox(np.random.SeedSequence([seed, epoch, purpose])).random_raw(count)


def pixel_scale(recipe: Recipe, images: Shaped[np.ndarray, "n h w"]) -> PixelScale:
    """The scale that `recipe.pixels` asks for; "standardised" takes its constants from `images`, the training split."""
    if recipe.pixels == "unit":
        return PixelScale()
    if recipe.pixels == "lecun1998":
        return PixelScale(-0.1, 1.275)
    mean, deviation = _mean_and_deviation(images)
    return PixelScale(-mean / deviation, 1 / deviation) if deviation else PixelScale(-mean, 1.0)


def _mean_and_deviation(images: Shaped[np.ndarray, "n h w"]) -> tuple[float, float]:
    """Mean and population deviation in units of 255; from whole-number sums, so exact up to the last division."""
    if images.dtype != np.uint8:
        return float(images.mean(dtype=np.float64)), float(images.std(dtype=np.float64))
    pieces = range(0, len(images), 4096)  # bincount widens what it counts to 64 bits
    counts = np.sum([np.bincount(images[i : i + 4096].ravel(), minlength=256) for i in pieces], axis=0).tolist()
    n = images.size
    total = sum(u * count for u, count in enumerate(counts))
    squares = sum(u * u * count for u, count in enumerate(counts))
    return total / n / 255, (n * squares - total * total) ** 0.5 / n / 255


def pixel_table(scale: PixelScale) -> Float32[np.ndarray, "256"]:
    """What the network sees of each pixel value."""
    return (scale.offset + scale.gain * (np.arange(256) / 255)).astype(np.float32)
