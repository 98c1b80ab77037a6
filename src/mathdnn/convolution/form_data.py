"""A `ConvForm` to plain data and back."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.convolution.form import ConvForm
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from mathdnn.verdict import Plain


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
