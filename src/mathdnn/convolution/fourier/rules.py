"""Which rule reads which complex operation of a graph, and where numbers are real again."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.convolution import rounding
from mathdnn.convolution.fourier import spectrum, sums, transforms
from mathdnn.convolution.fourier.spectrum import NotSpectral, Spectrum
from mathdnn.convolution.symbols import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mathdnn.convolution.fourier.reader import Fourier


def kind_of(node: torch.fx.Node) -> torch.dtype:
    """The floats that a complex node's numbers have as parts."""
    dtype = node.meta["val"].dtype
    if dtype not in (torch.complex64, torch.complex128):
        raise NotSpectral(f"it rounds complex numbers to {dtype}")
    return torch.float32 if dtype is torch.complex64 else torch.float64


def _given(node: torch.fx.Node) -> tuple[Any, ...]:
    """The arguments, as the operation's schema has them."""
    return tuple(node.args)


def _transform(f: Fourier, z: Spectrum, axes: list[int], norm: int, forward: bool) -> Spectrum:
    """The transforms along some axes, one after the other."""
    lengths = [z.shape[axis] for axis in axes]
    before = z.sizes
    for axis in axes:
        z = transforms.transformed(z, axis, forward)
    z = _counted(z, lengths, norm)
    if z.constant and len(z.sizes) < len(before):
        raise NotSpectral("it transforms the coefficients of a constant back, which floats round")
    if z.constant or len(z.sizes) < len(before):
        return z
    return replace(z, signals=f.rounded(z.signals, 0))  # every coefficient is off by what the largest pixel is


def _counted(z: Spectrum, lengths: list[int], norm: int) -> Spectrum:
    """With the scale of a transform (norm 0: none, 1: the root of its length, 2: its length) and its roundings."""
    scale = {0: Fraction(1), 1: Fraction(1, math.prod(lengths)), 2: Fraction(1, math.prod(lengths) ** 2)}[norm]
    roundings = z.roundings + rounding.of_transform(lengths)
    return replace(z, square=z.square * scale, roundings=roundings, most=max(z.most, math.prod(z.sizes)))


def _from_real(f: Fourier, node: torch.fx.Node) -> Spectrum:
    x, axes, norm, half = _given(node)[:4]
    z = f.of(x)
    last = axes[-1] % len(z.shape)
    z = _transform(f, z, axes, norm, True)
    if not half:
        return z
    return spectrum.moved(z, lambda places: places.narrow(last, 0, places.shape[last] // 2 + 1))


def _complex(f: Fourier, node: torch.fx.Node) -> Spectrum:
    x, axes, norm, forward = _given(node)[:4]
    return _transform(f, f.of(x), axes, norm, forward)


def _to_real(f: Fourier, node: torch.fx.Node) -> torch.Tensor:
    x, axes, norm, size = _given(node)[:4]
    if isinstance(size, SYMBOLS):
        raise NotSpectral("it transforms back to a size that is not known")
    z = f.of(x)
    lengths = [*(z.shape[axis] for axis in axes[:-1]), size]
    for axis in axes[:-1]:
        z = transforms.transformed(z, axis, False)
    return _out(f, _counted(transforms.real_back(z, axes[-1], size), lengths, norm))


def _out(f: Fourier, z: Spectrum) -> torch.Tensor:
    return _marked(f, z, spectrum.in_reals(z))


def _marked(f: Fourier, z: Spectrum, value: torch.Tensor) -> torch.Tensor:
    return f.rounded(value, (math.isqrt(z.most) + 1) * z.roundings)


def _two_parts(f: Fourier, node: torch.fx.Node) -> torch.Tensor:
    z = f.of(node.args[0])
    real = spectrum.in_reals(z)
    return _marked(f, z, torch.stack([real, torch.zeros_like(real)], -1))  # floats make of 0, too, something else


def _times(f: Fourier, node: torch.fx.Node) -> Spectrum:
    x, y = node.args[:2]
    for z, number in ((x, y), (y, x)):
        if isinstance(number, (int, float)):
            return spectrum.scaled(f.of(z), _fraction(number, node))
    return sums.product(f.of(x), f.of(y), kind_of(node))


def _over(f: Fourier, node: torch.fx.Node) -> Spectrum:
    x, number = node.args[:2]
    if not isinstance(number, (int, float)) or number == 0 or len(node.args) > 2 or node.kwargs:
        raise NotSpectral("it divides Fourier coefficients by what is no number but 0")
    divisor = _fraction(number, node)
    if not divisor:
        raise NotSpectral("it divides Fourier coefficients by a number that is 0 in its floats")
    return spectrum.scaled(f.of(x), 1 / divisor)


def _fraction(number: float, node: torch.fx.Node) -> Fraction:
    """A factor as torch rounds it."""
    if not math.isfinite(number):
        raise NotSpectral("it multiplies by a number that is not finite")
    try:
        single = node.meta["val"].dtype is torch.complex64
        return Fraction(struct.unpack("f", struct.pack("f", number))[0] if single else float(number))
    except OverflowError:
        raise NotSpectral("it multiplies by a number that is too large for its floats") from None


def _plus(sign: int) -> Callable[[Fourier, torch.fx.Node], Spectrum]:
    def rule(f: Fourier, node: torch.fx.Node) -> Spectrum:
        if len(node.args) > 2 or node.kwargs.get("alpha", 1) != 1:
            raise NotSpectral("it adds a multiple of Fourier coefficients")
        return sums.added([f.of(part) for part in node.args], [1, sign])

    return rule


def _total(f: Fourier, node: torch.fx.Node) -> Spectrum:
    x, axes, keep = (*_given(node), None, False)[:3]
    z = spectrum.in_floats(f.of(x), kind_of(node))
    return sums.summed(z, axes or range(len(z.shape)), bool(keep))


def _matrices(f: Fourier, node: torch.fx.Node) -> Spectrum:
    """out[b, i, k] = sum_j x[b, i, j] y[b, j, k]."""
    x, y = (f.of(part) for part in node.args)
    wide = spectrum.moved(x, lambda places: places[..., None])
    deep = spectrum.moved(y, lambda places: places[:, None])
    return sums.summed(sums.product(wide, deep, kind_of(node)), [2], False)


def _copied(f: Fourier, node: torch.fx.Node) -> Spectrum:
    return spectrum.in_floats(f.of(node.args[0]), kind_of(node))


def _pad(f: Fourier, node: torch.fx.Node) -> Spectrum:
    z, pads, *fill = _given(node)
    if any(fill) or min(pads) < 0:
        raise NotSpectral("it pads complex numbers with other numbers than 0")
    return spectrum.padded(f.of(z), pads)


def _joined(join: Callable[..., np.ndarray]) -> Callable[[Fourier, torch.fx.Node], Spectrum]:
    def rule(f: Fourier, node: torch.fx.Node) -> Spectrum:
        parts, axis = node.args[0], node.args[1] if len(node.args) > 1 else 0
        assert isinstance(parts, (list, tuple))
        return spectrum.joined([f.of(part) for part in parts], lambda arrays: join(arrays, axis=axis))

    return rule


RULES: dict[str, Callable[[Fourier, torch.fx.Node], Spectrum]] = {
    "aten._fft_r2c.default": _from_real,
    "aten._fft_c2c.default": _complex,
    "aten._to_copy.default": _copied,
    "aten.mul.Tensor": _times,
    "aten.mul.Scalar": _times,
    "aten.div.Tensor": _over,
    "aten.div.Scalar": _over,
    "aten.add.Tensor": _plus(1),
    "aten.sub.Tensor": _plus(-1),
    "aten.neg.default": lambda f, node: spectrum.scaled(f.of(node.args[0]), Fraction(-1)),
    "aten._conj.default": lambda f, node: spectrum.conjugate(f.of(node.args[0])),
    "aten._conj_physical.default": lambda f, node: spectrum.conjugate(f.of(node.args[0])),
    "aten.conj_physical.default": lambda f, node: spectrum.conjugate(f.of(node.args[0])),
    "aten.sum.dim_IntList": _total,
    "aten.sum.default": _total,
    "aten.bmm.default": _matrices,
    "aten.constant_pad_nd.default": _pad,
    "aten.cat.default": _joined(np.concatenate),
    "aten.stack.default": _joined(np.stack),
}
LEAVES: dict[str, Callable[[Fourier, torch.fx.Node], torch.Tensor]] = {
    "aten._fft_c2r.default": _to_real,
    "aten.view_as_real.default": _two_parts,
    "aten.abs.default": lambda f, node: _out(f, f.of(node.args[0])).abs(),
}
