"""Sums and products of Fourier coefficients that have one frequency."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mathdnn.convolution.fourier.spectrum import (
    NotSpectral,
    Spectrum,
    alike,
    gathered,
    in_floats,
    require_room,
    whole,
)

_AXES = 3  # that torch convolves along


def product(z: Spectrum, w: Spectrum, kind: torch.dtype) -> Spectrum:
    """Products of coefficients of one frequency: those of the signals, convolved around the end."""
    if z.constant and w.constant:
        raise NotSpectral("it multiplies the coefficients of two constants, which floats round")
    z, w = (w, z) if z.constant else (z, w)
    z, w = (w, z) if w.sizes and not z.sizes and not w.constant else (z, w)  # numbers of the image come second
    z, w = in_floats(z, kind), in_floats(w, kind)
    shape = np.broadcast_shapes(z.shape, w.shape)
    require_room(*shape)
    if z.sizes and not w.sizes:
        return _by_numbers(z, w, shape)
    w = _in_order_of(z, w)
    frequency = np.broadcast_to(z.frequency, shape)
    number = len(w.signals)
    keys, place = np.unique(z.signal * number + w.signal, return_inverse=True)
    pairs = np.stack([keys // number, keys % number], axis=1)
    return replace(
        z, signal=place.reshape(shape), frequency=frequency, signals=_around(whole(z), w, pairs),
        offset=(0,) * len(z.sizes), square=z.square * w.square, zero=-1, roundings=z.roundings + w.roundings + 4,
        most=max(z.most, w.most),
    )  # fmt: skip


def _by_numbers(z: Spectrum, w: Spectrum, shape: tuple[int, ...]) -> Spectrum:
    """Coefficients times real numbers, one for all frequencies of a signal."""
    signal, frequency, factor = (np.broadcast_to(part, shape) for part in (z.signal, z.frequency, w.signal))
    for axis in range(len(shape)):
        first = [part.take([0], axis=axis) for part in (frequency, factor)] if shape[axis] else []
        if first and (frequency != first[0]).any() and (factor != first[1]).any():
            raise NotSpectral("it multiplies coefficients of different frequencies by numbers of their own")
    keys, place = np.unique(signal * len(w.signals) + factor, return_inverse=True)
    images, numbers = gathered(z.signals, keys // len(w.signals)), gathered(w.signals, keys % len(w.signals))
    signals = images * numbers.reshape(-1, *[1] * len(z.window))
    return replace(
        z, signal=place.reshape(shape), frequency=frequency, signals=signals, zero=-1, square=z.square * w.square,
        roundings=z.roundings + w.roundings + 4,
    )  # fmt: skip


def _in_order_of(z: Spectrum, w: Spectrum) -> Spectrum:
    """w with the axes of its transform in an order in which coefficients that meet have one frequency."""
    if sorted(z.sizes) != sorted(w.sizes):
        raise NotSpectral("it multiplies coefficients by numbers that are no coefficients of such a transform")
    for order in itertools.permutations(range(len(w.sizes))):
        sizes = tuple(w.sizes[axis] for axis in order)
        parts = np.unravel_index(w.frequency, w.sizes) if w.sizes else ()
        frequency = sum((parts[axis] * math.prod(sizes[k + 1 :]) for k, axis in enumerate(order)), 0 * w.frequency)
        if sizes == z.sizes and not (z.frequency - frequency).any():
            signals = w.signals.permute(0, *(1 + axis for axis in order))
            offset = tuple(w.offset[axis] for axis in order)
            return replace(w, sizes=sizes, frequency=frequency, signals=signals, offset=offset)
    raise NotSpectral("it multiplies coefficients of different frequencies")


def _around(z: Spectrum, w: Spectrum, pairs: np.ndarray) -> torch.Tensor:
    """For each pair of signals, of z and of w: out[t] = sum_s w[s] z[t - offset - s], places taken around the end.

    So for a w that depends on the image, too, and is seen to be not affine in real numbers.
    """
    images, number = np.unique(pairs[:, 0], return_counts=True)
    if not z.sizes or (number != number[0]).any():
        images, number = pairs[:, 0], np.ones(len(pairs), int)
    image, kernel = gathered(z.signals, images), gathered(w.signals, pairs[:, 1])
    if not z.sizes:
        return image * kernel
    axes = list(range(1, 1 + len(z.sizes)))
    if len(axes) > _AXES:
        raise NotSpectral(f"it multiplies coefficients of transforms along more than {_AXES} axes")
    if not w.constant:
        require_room(len(pairs), math.prod(z.sizes), math.prod(w.window))  # products, for each image that may refute it
    require_room(len(pairs), *(n + size for n, size in zip(z.sizes, w.window, strict=True)))
    if any(w.offset):
        image = image.roll(w.offset, axes)
    for axis, size in zip(axes, w.window, strict=True):
        if size > 1:
            image = torch.cat([image.narrow(axis, image.shape[axis] - size + 1, size - 1), image], axis)
    steps = ([1] * len(axes), [0] * len(axes), [1] * len(axes), False, [0] * len(axes), len(images))
    made: torch.Tensor = torch.ops.aten.convolution.default(image[None], kernel.flip(axes)[:, None], None, *steps)
    return made[0]


def added(parts: Sequence[Spectrum], signs: Sequence[int]) -> Spectrum:
    """Coefficients of one frequency, added."""
    for part in parts:
        _require_of_image(part)
    parts = alike([whole(part) for part in parts])
    shape = np.broadcast_shapes(*(part.shape for part in parts))
    frequency = [np.broadcast_to(part.frequency, shape) for part in parts]
    if any((other != frequency[0]).any() for other in frequency[1:]):
        raise NotSpectral("it adds up coefficients of different frequencies")
    table = np.stack([np.broadcast_to(part.signal, shape).ravel() for part in parts], axis=1)
    lines, place = np.unique(table, axis=0, return_inverse=True)
    total: Any = None
    for k, (part, sign) in enumerate(zip(parts, signs, strict=True)):
        term = gathered(part.signals, lines[:, k])
        total = term if total is None else total + term if sign > 0 else total - term
    roundings = max(part.roundings for part in parts) + len(parts)
    return replace(
        parts[0], signal=place.reshape(shape), frequency=frequency[0], signals=total, zero=-1, roundings=roundings,
        most=max(part.most for part in parts),
    )  # fmt: skip


def summed(z: Spectrum, axes: Sequence[int], keep: bool) -> Spectrum:
    """Sums over axes along which the frequency stays."""
    _require_of_image(z)
    z = whole(z)
    axes = sorted(axis % len(z.shape) for axis in axes)
    terms = math.prod(z.shape[axis] for axis in axes)
    signal, frequency = (
        np.moveaxis(part, axes, range(-len(axes), 0)).reshape(*_left(z.shape, axes), terms)
        for part in (z.signal, z.frequency)
    )
    if terms == 0 or (frequency != frequency[..., :1]).any():
        raise NotSpectral("it adds up coefficients of different frequencies")
    lines, place = np.unique(np.sort(signal.reshape(-1, terms), axis=1), axis=0, return_inverse=True)
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(z.shape)) if keep else signal.shape[:-1]
    signals = gathered(z.signals, lines).sum(1)
    return replace(
        z, signal=place.reshape(shape), frequency=frequency[..., 0].reshape(shape), signals=signals, zero=-1,
        roundings=z.roundings + terms,
    )  # fmt: skip


def _left(shape: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def _require_of_image(z: Spectrum) -> None:
    if z.constant:
        raise NotSpectral("it computes with the coefficients of a constant, which floats round, before the image's")
