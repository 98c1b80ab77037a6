"""Which rule reads which complex operation of a graph, and where numbers are real again."""

from __future__ import annotations

import math
import operator
import struct
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot

from mathdnn.convolution import rounding
from mathdnn.convolution.fourier import spectrum, sums, transforms
from mathdnn.convolution.fourier.spectrum import NotSpectral, Spectrum
from mathdnn.convolution.graph import ROUNDED
from mathdnn.convolution.symbols import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY = 1 << 27  # roundings: from here on those of float32 are counted, each 2^29 of float64
_NO_SIGNAL = "complex numbers that are not made from real ones within it, so that no rational weights are known"
_SEVERAL = {"aten.split.Tensor", "aten.split_with_sizes.default", "aten.unbind.int"}  # moves, into several tensors
_MOVES = {
    f"aten.{name}"
    for name in (
        "alias.default", "clone.default", "contiguous.default", "detach.default", "expand.default", "flip.default",
        "index_select.default", "lift_fresh_copy.default", "permute.default", "repeat.default", "reshape.default",
        "roll.default", "select.int", "slice.Tensor", "squeeze.default", "squeeze.dim", "squeeze.dims", "t.default",
        "transpose.int", "_unsafe_view.default", "unsqueeze.default", "view.default",
    )
}  # fmt: skip


def is_complex(node: torch.fx.Node) -> bool:
    """Whether a node's result is complex."""
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_complex()


class Fourier:
    """Reads the complex nodes of a graph that is run. `value_of` gives the tensors of its real nodes; single: whether
    the image is of float32."""

    def __init__(self, of_image: set[torch.fx.Node], value_of: Callable[[torch.fx.Node], Any], single: bool) -> None:
        self.of_image, self.value_of, self.single = of_image, value_of, single
        self.known: dict[torch.fx.Node, Spectrum] = {}

    def run(self, node: torch.fx.Node) -> Any:
        """A node of the image that is complex (a `Spectrum`), or real and made of one that is (a tensor)."""
        try:
            if is_complex(node):
                return self.of(node)
            if str(node.target) in _SEVERAL:
                return None  # read where one of them is taken
            leave = _LEAVES.get(str(node.target))
            if leave is None:
                raise NotSpectral("it turns Fourier coefficients into real numbers")
            return leave(self, node)
        except NotSpectral as error:
            error.op = str(node.target)
            raise

    def of(self, argument: Any) -> Spectrum:
        """A node as the coefficients of known signals, or, where it is real, as signals of one number."""
        if not isinstance(argument, torch.fx.Node):
            raise NotSpectral(f"it computes with {_NO_SIGNAL}")
        if argument not in self.known:
            self.known[argument] = self._read(argument) if is_complex(argument) else self._real(argument)
        return self.known[argument]

    def _read(self, node: torch.fx.Node) -> Spectrum:
        name = str(node.target)
        if name in _MOVES:
            return self._moved(node)
        if node.target is operator.getitem:
            several, at = node.args  # type: Any, Any
            if str(several.target) in _SEVERAL:
                return self._moved(several, at)
        rule = _RULES.get(name)
        if rule is None:
            raise NotSpectral(f"it computes with {_NO_SIGNAL if node.op == 'get_attr' else name}")
        made = rule(self, node)
        if made.signals.dtype is not _kind(node):
            raise NotSpectral("it changes how many digits complex numbers have")
        return made

    def _moved(self, node: torch.fx.Node, at: int | None = None) -> Spectrum:
        """What a step moves; at: which one of several tensors that it makes."""
        first, *more = node.args
        more = [self._places(part) if isinstance(part, torch.fx.Node) else part for part in more]
        if any(isinstance(part, (torch.fx.Node, *SYMBOLS)) for part in _flat(more)):
            raise NotSpectral("it moves Fourier coefficients by sizes or places that are not known")
        target: Any = node.target
        return spectrum.moved(
            self.of(first), lambda places: target(places, *more) if at is None else target(places, *more)[at]
        )

    def _places(self, node: torch.fx.Node) -> torch.Tensor:
        """Places that are known while code is read."""
        value = self.value_of(node)
        if type(value) is not torch.Tensor or node in self.of_image:
            raise NotSpectral("it moves Fourier coefficients by sizes or places that are not known")
        return value

    def _real(self, node: torch.fx.Node) -> Spectrum:
        """What zeros were put around is read without them."""
        if str(node.target) == "aten.constant_pad_nd.default" and node not in self.of_image:
            image, pads, *fill = node.args  # type: Any, Any, Any
            if isinstance(image, torch.fx.Node) and min(pads) >= 0 and not any(fill):
                return spectrum.padded(self._real(image), pads)
        value = self.value_of(node)
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            raise NotSpectral("it computes with what are no floats")
        return spectrum.lifted(value, node not in self.of_image)

    def rounded(self, value: torch.Tensor, roundings: int) -> torch.Tensor:
        """The value, marked with the roundings that transforms count for; all of it is off by what its largest is."""
        if self.single and value.dtype is torch.float64:
            roundings = -(-roundings >> 29)  # in units of the image's floats
        made: torch.Tensor = torch.ops.aten.clone.default(value)
        mode = get_proxy_mode()
        assert mode is not None
        slot: Any = get_proxy_slot(made, mode.tracer)
        many = roundings > _MANY
        slot.proxy.node.meta[ROUNDED] = (-(-roundings >> 29), 29) if many else (roundings, 0)
        return made


def _kind(node: torch.fx.Node) -> torch.dtype:
    """The floats that a complex node's numbers have as parts."""
    dtype = node.meta["val"].dtype
    if dtype not in (torch.complex64, torch.complex128):
        raise NotSpectral(f"it rounds complex numbers to {dtype}")
    return torch.float32 if dtype is torch.complex64 else torch.float64


def _flat(argument: Any) -> list[Any]:
    return [leaf for part in argument for leaf in _flat(part)] if isinstance(argument, (list, tuple)) else [argument]


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
    x, axes, norm, half = node.args[:4]  # type: Any, Any, Any, Any
    z = f.of(x)
    last = axes[-1] % len(z.shape)
    z = _transform(f, z, axes, norm, True)
    if not half:
        return z
    return spectrum.moved(z, lambda places: places.narrow(last, 0, places.shape[last] // 2 + 1))


def _complex(f: Fourier, node: torch.fx.Node) -> Spectrum:
    x, axes, norm, forward = node.args[:4]  # type: Any, Any, Any, Any
    return _transform(f, f.of(x), axes, norm, forward)


def _to_real(f: Fourier, node: torch.fx.Node) -> torch.Tensor:
    x, axes, norm, size = node.args[:4]  # type: Any, Any, Any, Any
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
    return sums.product(f.of(x), f.of(y), _kind(node))


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
    x, axes, keep = (*node.args, None, False)[:3]  # type: Any, Any, Any
    z = spectrum.in_floats(f.of(x), _kind(node))
    return sums.summed(z, axes or range(len(z.shape)), bool(keep))


def _matrices(f: Fourier, node: torch.fx.Node) -> Spectrum:
    """out[b, i, k] = sum_j x[b, i, j] y[b, j, k]."""
    x, y = (f.of(part) for part in node.args)
    wide = spectrum.moved(x, lambda places: places[..., None])
    deep = spectrum.moved(y, lambda places: places[:, None])
    return sums.summed(sums.product(wide, deep, _kind(node)), [2], False)


def _copied(f: Fourier, node: torch.fx.Node) -> Spectrum:
    return spectrum.in_floats(f.of(node.args[0]), _kind(node))


def _pad(f: Fourier, node: torch.fx.Node) -> Spectrum:
    z, pads, *fill = node.args  # type: Any, Any, Any
    if any(fill) or min(pads) < 0:
        raise NotSpectral("it pads complex numbers with other numbers than 0")
    return spectrum.padded(f.of(z), pads)


def _joined(join: Callable[..., np.ndarray]) -> Callable[[Fourier, torch.fx.Node], Spectrum]:
    def rule(f: Fourier, node: torch.fx.Node) -> Spectrum:
        parts, axis = node.args[0], node.args[1] if len(node.args) > 1 else 0
        assert isinstance(parts, (list, tuple))
        return spectrum.joined([f.of(part) for part in parts], lambda arrays: join(arrays, axis=axis))

    return rule


_RULES: dict[str, Callable[[Fourier, torch.fx.Node], Spectrum]] = {
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
_LEAVES: dict[str, Callable[[Fourier, torch.fx.Node], torch.Tensor]] = {
    "aten._fft_c2r.default": _to_real,
    "aten.view_as_real.default": _two_parts,
    "aten.abs.default": lambda f, node: _out(f, f.of(node.args[0])).abs(),
}
