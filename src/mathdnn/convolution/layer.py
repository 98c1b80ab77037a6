"""A `ConvForm` from a torch layer, where the layer computes what its attributes say and nothing else.

A layer is one of torch's, or of a class that only adds to it: the calls that lead from `layer(image)` to torch's
convolution are torch's own, no hook is called on the way, and the weight is read as that convolution reads it, so that
parametrizations (weight norm, spectral norm) are in it.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mathdnn.convolution import transposed
from mathdnn.convolution.checked import whole
from mathdnn.convolution.compose import padded
from mathdnn.convolution.form import ConvForm
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from mathdnn.convolution.form import Pair

_WHO = "ConvForm.from_module(layer)"
_PADS = {
    nn.ZeroPad2d: "zeros",
    nn.ReflectionPad2d: "reflect",
    nn.ReplicationPad2d: "replicate",
    nn.CircularPad2d: "circular",
}
_WAY = ("__call__", "_call_impl", "_wrapped_call_impl", "forward", "_conv_forward", "_output_padding", "__getattr__")
_MOST = 1 << 20  # pixels of padding: more is a mistake (heuristic)


def from_module(layer: nn.Module) -> ConvForm:
    """The exact form of a layer, or of a pad, a layer and a crop one after the other: its float weights as the
    rationals they are. Raises `InvalidInput`."""
    if not isinstance(layer, nn.Sequential):
        return _of_layer(layer)
    _require_plain(layer, nn.Sequential)
    steps = list(layer)
    at = next((k for k, step in enumerate(steps) if isinstance(step, (nn.Conv2d, nn.ConvTranspose2d))), None)
    if at is None or at > 1 or len(steps) > at + 2:
        raise _refuse(f"a Sequential of {', '.join(type(step).__name__ for step in steps) or 'nothing'}")
    form, pad, crop = _of_layer(steps[at]), steps[:at], steps[at + 1 :]
    if form.transposed:
        return _around(form, *map(_pads, pad), crop=_pads(crop[0]) if crop else None)
    if crop:
        raise _refuse(f"a Conv2d with a {type(crop[0]).__name__} behind")
    if not pad:
        return form
    ((top, bottom), (left, right)), mode = _pads(pad[0])
    return padded(form, top, bottom, left, right, mode)


def _refuse(got: str, do: str = "ask as_conv2d, which reads what any operation computes") -> InvalidInput:
    expected = "an nn.Conv2d or nn.ConvTranspose2d, or a Sequential of a pad, one of these and a crop"
    return InvalidInput(sentence(_WHO, expected, got, do))


def _require_plain(layer: nn.Module, kind: type[nn.Module]) -> None:
    """Raise where a call of the layer runs code that is not torch's own for that kind."""
    name = type(layer).__name__
    own = [way for way in _WAY if way in vars(layer) or getattr(type(layer), way, None) is not getattr(kind, way, None)]
    if own:
        raise _refuse(f"a {name} with its own {own[0]}")
    if layer._forward_hooks or layer._forward_pre_hooks:
        do = "remove them (old weight_norm and pruning are such hooks), or ask as_conv2d, which reads what it computes"
        raise _refuse(f"a {name} with forward hooks", do)


def _of_layer(layer: Any) -> ConvForm:
    kind = next((kind for kind in (nn.Conv2d, nn.ConvTranspose2d) if isinstance(layer, kind)), None)
    if kind is None:
        raise _refuse("None" if layer is None else f"a {type(layer).__name__}")
    if any(map(nn.parameter.is_lazy, layer._parameters.values())):
        raise _refuse(f"a {type(layer).__name__} without weights yet", "call it on an image before")
    _require_plain(layer, kind)
    weight, bias = _weights(layer)
    more: dict[str, Any] = {}
    if kind is nn.ConvTranspose2d:
        more = {"transposed": True, "output_padding": layer.output_padding}
    return ConvForm.of(
        weight,
        bias,
        stride=layer.stride,
        padding=_own_padding(layer),
        padding_mode=layer.padding_mode,
        dilation=layer.dilation,
        groups=layer.groups,
        **more,
    )


def _weights(layer: Any) -> tuple[Any, Any]:
    """Weight and bias as a call reads them. Raises where two calls in a row would read different ones."""
    if not nn.utils.parametrize.is_parametrized(layer):
        return layer.weight, layer.bias
    apart = copy.deepcopy(layer)  # reading may move what a parametrization keeps
    with torch.no_grad():
        first, second = ((apart.weight, apart.bias) for _ in range(2))
    if any(a is not None and not torch.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise _refuse(f"a {type(layer).__name__} with other weights at each call", "call .eval() on it before")
    return first


def _own_padding(layer: Any) -> Any:
    """The padding that a call applies: for a border mode the one that the layer worked out when it was built."""
    if layer.padding_mode != "zeros":
        left, right, top, bottom = layer._reversed_padding_repeated_twice
        return (top, bottom), (left, right)
    if layer.padding == "valid":
        return (0, 0)
    if layer.padding == "same":
        total = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        return tuple((all_ // 2, all_ - all_ // 2) for all_ in total)
    return layer.padding


def _pads(layer: Any) -> tuple[tuple[Pair, Pair], str]:
    """((top, bottom), (left, right)) of a pad, and its mode."""
    kind = next((kind for kind in _PADS if isinstance(layer, kind)), None)
    if kind is None or getattr(layer, "value", 0) != 0:
        raise _refuse(f"a Sequential with a {type(layer).__name__}")
    _require_plain(layer, kind)
    left, right, top, bottom = (whole(n, f"{_WHO}, padding of {kind.__name__}", -_MOST, _MOST) for n in layer.padding)
    return ((top, bottom), (left, right)), _PADS[kind]


def _around(
    form: ConvForm,
    pad: tuple[tuple[Pair, Pair], str] = (((0, 0), (0, 0)), "zeros"),
    *,
    crop: tuple[tuple[Pair, Pair], str] | None,
) -> ConvForm:
    """A transposed form with a pad before and a crop behind, on the image that goes on as the pad's mode says.

    A pad by m moves the result by s m, which the padding p - s m + crop takes back. It has to reach as far as the
    result looks: then it does not matter that the image ends behind it.
    """
    more, mode = pad
    cut, crop_mode = crop or (((0, 0), (0, 0)), "zeros")
    if mode == "zeros" and any(map(any, more)):
        raise _refuse("a ConvTranspose2d with a ZeroPad2d before", "leave the pad out, and set the layer's padding")
    if crop_mode != "zeros" or any(n > 0 for side in cut for n in side) or any(n < 0 for side in more for n in side):
        raise _refuse("a ConvTranspose2d with a crop before or a pad behind")
    if pad[1] == "zeros" and crop is None:
        return form
    (top, bottom, more_rows), (left, right, more_columns) = (_taken_back(form, axis, more, cut) for axis in (0, 1))
    sides = ((top, bottom), (left, right))
    made = replace(form, padding=sides, padding_mode=mode, output_padding=(more_rows, more_columns))
    if any(
        n > m for sides, own in zip(transposed.halo(made), more, strict=True) for n, m in zip(sides, own, strict=True)
    ):
        raise _refuse("a pad before the ConvTranspose2d that is narrower than what it reads")
    return made


def _taken_back(form: ConvForm, axis: int, more: tuple[Pair, Pair], cut: tuple[Pair, Pair]) -> tuple[int, int, int]:
    """Padding before and after along an axis, and output padding, with a pad's pixels and a crop's in them."""
    s, (before, after) = form.stride[axis], form.padding[axis]
    first = before - s * more[axis][0] - cut[axis][0]
    last = after - s * more[axis][1] - cut[axis][1] - form.output_padding[axis]
    if first < 0:
        raise _refuse("a pad before the ConvTranspose2d that is not cropped behind it")
    return first, max(0, last), max(0, -last)
