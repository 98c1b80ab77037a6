"""The complex nodes of a graph, one after the other, as the coefficients of known signals."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot

from mathdnn.convolution.fourier import spectrum
from mathdnn.convolution.fourier.rules import LEAVES, RULES, kind_of
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
            leave = LEAVES.get(str(node.target))
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
        rule = RULES.get(name)
        if rule is None:
            raise NotSpectral(f"it computes with {_NO_SIGNAL if node.op == 'get_attr' else name}")
        made = rule(self, node)
        if made.signals.dtype is not kind_of(node):
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


def _flat(argument: Any) -> list[Any]:
    return [leaf for part in argument for leaf in _flat(part)] if isinstance(argument, (list, tuple)) else [argument]
