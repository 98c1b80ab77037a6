"""Fourier transforms along an axis: into the coefficients of lines of signals, and back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mathdnn.convolution.fourier.spectrum import NotSpectral, Spectrum, gathered, whole

_ORDER = "it transforms back what are not all coefficients of one signal in their order"


def transformed(z: Spectrum, axis: int, forward: bool) -> Spectrum:
    """The sums over a line of z[j] exp(-+ 2 pi i j k / n), for every k."""
    n = z.shape[axis]
    if n == 1:
        return z
    signal, frequency = np.moveaxis(z.signal, axis, -1), np.moveaxis(z.frequency, axis, -1)
    if (frequency == frequency[..., :1]).all():
        made = _into(z, signal, frequency, n, forward)
    else:
        made = _back(z, signal, frequency, n, forward)
    return replace(made, signal=np.moveaxis(made.signal, -1, axis), frequency=np.moveaxis(made.frequency, -1, axis))


def _into(z: Spectrum, signal: np.ndarray, frequency: np.ndarray, n: int, forward: bool) -> Spectrum:
    """Each different line of signals is a signal of one more axis."""
    lines, place = np.unique(signal.reshape(-1, n), axis=0, return_inverse=True)
    wide = _wide(z, lines)
    made = gathered(z.signals, lines[:, :wide])  # (r, wide, *window)
    signals = made.movedim(1, -1)
    number = np.broadcast_to(place.reshape(signal.shape[:-1])[..., None], signal.shape)
    offset = 0
    if not forward:
        signals, offset = signals.flip(-1), 1 - wide
    none = np.flatnonzero((lines == z.zero).all(1))
    return replace(
        z, sizes=(*z.sizes, n), signal=number, frequency=frequency * n + np.arange(n), signals=signals,
        offset=(*z.offset, offset), zero=int(none[0]) if len(none) else -1,
    )  # fmt: skip


def _wide(z: Spectrum, lines: np.ndarray) -> int:
    """How far the lines of a constant reach before the zeros that were put there; all of any other line."""
    if not z.constant or z.zero < 0:
        return int(lines.shape[1])
    used = np.flatnonzero((lines != z.zero).any(0))
    return int(used[-1]) + 1 if len(used) else 1


def _back(z: Spectrum, signal: np.ndarray, frequency: np.ndarray, n: int, forward: bool) -> Spectrum:
    """Where each line holds one signal's coefficients in their order: n times the signal."""
    at = _axis_of(z, signal, frequency, n)
    z = whole(z)
    size, inner = z.sizes[at], math.prod(z.sizes[at + 1 :])
    signals = z.signals.movedim(at + 1, 1)
    places = np.arange(n) if not forward else -np.arange(n) % n
    number = signal * n + places
    left = frequency // (inner * size) * inner + frequency % inner
    sizes = (*z.sizes[:at], *z.sizes[at + 1 :])
    return replace(
        z, sizes=sizes, signal=number, frequency=np.broadcast_to(left[..., :1], number.shape),
        signals=signals.reshape(-1, *signals.shape[2:]), offset=(0,) * len(sizes), square=z.square * n * n,
        zero=-1,
    )  # fmt: skip


def _axis_of(z: Spectrum, signal: np.ndarray, frequency: np.ndarray, n: int) -> int:
    """The transform whose coefficients the lines run through. Raises `NotSpectral`."""
    if (signal == signal[..., :1]).all():
        for at, size in enumerate(z.sizes):
            inner = math.prod(z.sizes[at + 1 :])
            in_order = size == n and (frequency == frequency[..., :1] + inner * np.arange(n)).all()
            if in_order and (frequency[..., 0] // inner % size == 0).all():
                return at
    raise NotSpectral(_ORDER)


def real_back(z: Spectrum, axis: int, n: int) -> Spectrum:
    """n real numbers from the first n // 2 + 1 coefficients of each line's signal."""
    count = n // 2 + 1
    if n == 1:
        return z
    signal, frequency = np.moveaxis(z.signal, axis, -1), np.moveaxis(z.frequency, axis, -1)
    if signal.shape[-1] < count:
        raise NotSpectral("it transforms back fewer coefficients than the result needs")
    at = next((k for k, size in enumerate(z.sizes) if size == n), None)
    if at is None:
        raise NotSpectral(f"it reads coefficients as those of a signal of {n} numbers, which they are not")
    inner = math.prod(z.sizes[at + 1 :])
    first = signal[..., :1] + np.zeros(n, np.int64)
    steps = frequency[..., :1] + inner * np.arange(n)
    if (signal[..., :count] != first[..., :count]).any() or (frequency[..., :count] != steps[..., :count]).any():
        raise NotSpectral(_ORDER)
    made = _back(z, first, steps, n, False)
    return replace(made, signal=np.moveaxis(made.signal, -1, axis), frequency=np.moveaxis(made.frequency, -1, axis))
