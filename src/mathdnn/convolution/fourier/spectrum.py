"""Fourier coefficients of real signals, without a complex number: which signal each belongs to, and at which frequency.

    Z[e] = scale sum_t z[signal[e], t] exp(-2 pi i <frequency[e], t> / sizes)

So moving coefficients about moves two whole numbers each, two of one frequency are multiplied by convolving their
signals around the end (the convolution theorem), and a line that holds one signal's coefficients in their order is
transformed back by naming it. Signals are rows of a real tensor; what is done to them are torch's own real operations,
which the caller traces. A signal may be kept as the window in which it is not 0: places `offset` to `offset` + window,
around the end.

Not read: coefficients times numbers that are not themselves the coefficients of a signal (masks, phases), of which
neither the weights nor their sums are rational.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LARGEST = 1 << 26  # numbers in one array (heuristic): 256 MB of float32


class NotSpectral(Exception):
    """`why` complex numbers are no Fourier coefficients of known signals, and the operation (`op`) where it shows."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why, self.op = why, ""


@dataclass(frozen=True)
class Spectrum:
    """Complex numbers (`signal`, `frequency`: of each), the signals (r, *window), and what floats did to them.

    sizes: the lengths of the transforms, () for real numbers; square: scale^2; constant: whether no pixel enters; zero:
    the signal that is 0, where one is known; roundings: of a coefficient, by transforms and products; most: numbers in
    the largest transform so far.
    """

    sizes: tuple[int, ...]
    signal: np.ndarray
    frequency: np.ndarray
    signals: torch.Tensor
    offset: tuple[int, ...]
    constant: bool
    square: Fraction = Fraction(1)
    zero: int = -1
    roundings: int = 0
    most: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return self.signal.shape

    @property
    def window(self) -> tuple[int, ...]:
        return tuple(self.signals.shape[1:])


def lifted(x: torch.Tensor, constant: bool) -> Spectrum:
    """Real numbers, each a signal of its own."""
    number = math.prod(x.shape)
    places = np.arange(number).reshape(tuple(x.shape))
    return Spectrum((), places, np.zeros_like(places), x.reshape(number), (), constant)


def moved(z: Spectrum, move: Callable[[torch.Tensor], torch.Tensor]) -> Spectrum:
    """Elements moved about, as torch moves their places."""
    with disable_proxy_modes_tracing(), unset_fake_temporarily():
        places = move(torch.arange(z.signal.size).reshape(z.shape)).numpy()
    return replace(z, signal=z.signal.ravel()[places], frequency=z.frequency.ravel()[places])


def padded(z: Spectrum, pads: Sequence[int]) -> Spectrum:
    """Zeros around, last axis first, along axes on which the frequency stays."""
    sides = [(0, 0)] * (len(z.shape) - len(pads) // 2)
    sides += [(pads[2 * k], pads[2 * k + 1]) for k in reversed(range(len(pads) // 2))]
    if not z.signal.size or any(
        any(side) and (z.frequency != z.frequency.take([0], axis=axis)).any() for axis, side in enumerate(sides)
    ):
        raise NotSpectral("it puts zeros around Fourier coefficients")
    require_room(*(n + low + high for n, (low, high) in zip(z.shape, sides, strict=True)))
    zero = len(z.signals)
    signals = torch.cat([z.signals, z.signals.new_zeros(1, *z.window)])
    signal = np.pad(z.signal, sides, constant_values=zero)
    return replace(z, signal=signal, frequency=np.pad(z.frequency, sides, mode="edge"), signals=signals, zero=zero)


def joined(parts: Sequence[Spectrum], join: Callable[[Sequence[np.ndarray]], np.ndarray]) -> Spectrum:
    """Several arrays of coefficients in one."""
    parts = alike([whole(part) for part in parts])
    first = np.cumsum([0, *(len(part.signals) for part in parts[:-1])])
    signal = join([part.signal + at for part, at in zip(parts, first, strict=True)])
    made = replace(parts[0], signal=signal, frequency=join([part.frequency for part in parts]))
    signals = torch.cat([part.signals for part in parts])
    return replace(
        made, signals=signals, zero=-1, roundings=max(part.roundings for part in parts),
        most=max(part.most for part in parts),
    )  # fmt: skip


def conjugate(z: Spectrum) -> Spectrum:
    """The coefficients of the signal that runs the other way."""
    axes = list(range(1, 1 + len(z.sizes)))
    offset = tuple(1 - at - w for at, w in zip(z.offset, z.window, strict=True))
    return replace(z, signals=z.signals.flip(axes), offset=offset) if axes else z


def scaled(z: Spectrum, factor: Fraction) -> Spectrum:
    """Times a number."""
    if factor == 0:
        return replace(z, signals=torch.zeros_like(z.signals))
    signals = -z.signals if factor < 0 else z.signals
    roundings = z.roundings + (8 if abs(factor) != 1 else 0)  # a quotient of complex numbers has the most
    return replace(z, signals=signals, square=z.square * factor * factor, roundings=roundings)


def whole(z: Spectrum) -> Spectrum:
    """The signals at all of their places."""
    signals = z.signals
    if z.window != z.sizes:
        pads = [side for n, w in zip(reversed(z.sizes), reversed(z.window), strict=True) for side in (0, n - w)]
        signals = torch.nn.functional.pad(signals, pads)
    turns = [(at % n, axis) for axis, (at, n) in enumerate(zip(z.offset, z.sizes, strict=True), 1) if at % n]
    if turns:
        signals = signals.roll([turn for turn, _ in turns], [axis for _, axis in turns])
    return replace(z, signals=signals, offset=(0,) * len(z.sizes))


def in_floats(z: Spectrum, kind: torch.dtype) -> Spectrum:
    """Converted; a rounding of float32 counts as 2^29 of float64."""
    if z.signals.dtype is kind:
        return z
    wider = z.signals.dtype is torch.float32
    if z.constant and not wider:
        raise NotSpectral("it rounds the coefficients of a constant to complex64")
    return replace(z, signals=z.signals.to(kind), roundings=z.roundings << 29 if wider else z.roundings + 1)


def gathered(signals: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """Rows of the signals by their numbers, in the numbers' shape."""
    flat, number = rows.ravel(), len(signals)
    require_room(flat.size, *signals.shape[1:])
    wide = int(rows[0, 1] - rows[0, 0]) if rows.ndim == 2 and rows.shape[1] > 1 else 0
    if wide > 1 and number == rows.size and number % (wide * rows.shape[1]) == 0:
        planes = np.arange(number).reshape(-1, rows.shape[1], wide)
        if np.array_equal(rows, planes.swapaxes(1, 2).reshape(rows.shape)):  # columns: no table of places is needed
            turned = signals.reshape(*planes.shape, *signals.shape[1:]).transpose(1, 2)
            return turned.reshape(*rows.shape, *signals.shape[1:])
    if not np.array_equal(flat, np.arange(number)):
        with disable_proxy_modes_tracing(), unset_fake_temporarily():
            places = torch.from_numpy(flat.copy())
        signals = signals.index_select(0, places)
    return signals.reshape(*rows.shape, *signals.shape[1:])


def in_reals(z: Spectrum) -> torch.Tensor:
    """Real numbers as a tensor. Raises `NotSpectral` where they are coefficients."""
    if z.sizes:
        raise NotSpectral("it looks at Fourier coefficients")
    return _times(gathered(z.signals, z.signal), _root(z.square))


def _times(signals: torch.Tensor, scale: Fraction) -> torch.Tensor:
    """Times a number that is a float over a whole number."""
    divisor = scale.denominator // (scale.denominator & -scale.denominator)
    factor = scale * divisor
    if not all(_is_float(number, signals.dtype) for number in (factor, Fraction(divisor))):
        raise NotSpectral("what its transforms are scaled by is no float")
    made = signals if factor == 1 else signals * float(factor)
    return made if divisor == 1 else made / divisor


def _is_float(number: Fraction, kind: torch.dtype) -> bool:
    """Whether a number above 0, over a power of two, is a float, and no subnormal one."""
    digits, most = (24, 127) if kind is torch.float32 else (53, 1023)
    odd = number.numerator // (number.numerator & -number.numerator)
    return odd.bit_length() <= digits and Fraction(1, 2 ** (most - 1)) <= number < 2**most


def _root(square: Fraction) -> Fraction:
    """The square root of a scale. Raises `NotSpectral` where it is not rational."""
    top, bottom = math.isqrt(square.numerator), math.isqrt(square.denominator)
    if top * top != square.numerator or bottom * bottom != square.denominator:
        raise NotSpectral("what its transforms are scaled by is not rational")
    return Fraction(top, bottom)


def alike(parts: Sequence[Spectrum]) -> list[Spectrum]:
    """The parts with one scale. Raises `NotSpectral` where they are of other transforms."""
    first = parts[0]
    if any(part.sizes != first.sizes for part in parts):
        raise NotSpectral("it adds up coefficients of transforms of other sizes")
    if any(part.constant != first.constant or part.signals.dtype != first.signals.dtype for part in parts):
        raise NotSpectral("it puts coefficients of a constant, or in other floats, together with those of the image")
    if first.constant and any(part.square != first.square for part in parts):
        raise NotSpectral("it puts together the coefficients of constants, differently scaled")
    return [
        part
        if part.square == first.square
        else replace(part, signals=_times(part.signals, _root(part.square / first.square)), square=first.square)
        for part in parts
    ]


def require_room(*sizes: int) -> None:
    if math.prod(sizes) > _LARGEST:
        raise NotSpectral(f"its transforms would take arrays of more than {_LARGEST:,} numbers")
