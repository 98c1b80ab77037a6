"""A `ConvForm` from a torch layer, and to plain data and back."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.convolution.form import ConvForm
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    import torch

    from mathdnn.verdict import Plain


def from_module(layer: torch.nn.Conv2d | torch.nn.ConvTranspose2d) -> ConvForm:
    """The exact form of a layer: its float weights as the rationals they are."""
    import torch

    padding: Any = layer.padding
    if padding == "valid":
        padding = (0, 0)
    elif padding == "same":
        total = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        padding = tuple((all_ // 2, all_ - all_ // 2) for all_ in total)
    more: dict[str, Any] = {}
    if isinstance(layer, torch.nn.ConvTranspose2d):
        more = {"transposed": True, "output_padding": (layer.output_padding[0], layer.output_padding[1])}
    return ConvForm.of(
        layer.weight,
        layer.bias,
        stride=(layer.stride[0], layer.stride[1]),
        padding=padding,
        padding_mode=layer.padding_mode,
        dilation=(layer.dilation[0], layer.dilation[1]),
        groups=layer.groups,
        **more,
    )


def to_plain(form: ConvForm) -> dict[str, Plain]:
    """Plain data; rationals as text ("1/9"), so nothing is lost."""
    shape = [len(form.exact), len(form.exact[0]), *form.kernel_size]
    plain: dict[str, Plain] = {
        "weight": {"shape": shape, "values": [str(value) for value in form.flat()]},
        "bias": None if form.exact_bias is None else [str(value) for value in form.exact_bias],
        "stride": list(form.stride),
        "padding": [list(side) for side in form.padding],
        "padding_mode": form.padding_mode,
        "dilation": list(form.dilation),
        "groups": form.groups,
    }
    return {**plain, "transposed": True, "output_padding": list(form.output_padding)} if form.transposed else plain


def from_plain(plain: dict[str, Plain]) -> ConvForm:
    """Read back what `to_plain` wrote. Raises `InvalidInput` for anything else."""
    try:
        values = [Fraction(value) for value in plain["weight"]["values"]]
        weight = np.array(values, dtype=object).reshape(plain["weight"]["shape"])
        return ConvForm.of(
            weight,
            None if plain["bias"] is None else [Fraction(value) for value in plain["bias"]],
            stride=tuple(plain["stride"]),
            padding=(tuple(plain["padding"][0]), tuple(plain["padding"][1])),
            padding_mode=plain["padding_mode"],
            dilation=tuple(plain["dilation"]),
            groups=plain["groups"],
            transposed=plain.get("transposed", False) is True,
            output_padding=tuple(plain.get("output_padding", (0, 0))),
        )
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, AttributeError) as error:
        raise InvalidInput(
            sentence("ConvForm.from_plain(plain)", "a form as to_plain writes it", f"{error!r:.100}", "check the file")
        ) from None
