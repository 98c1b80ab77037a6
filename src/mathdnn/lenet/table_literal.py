"""The convolution over a connection table by its definition, one output map after the other (see `table_conv`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from mathdnn.errors import InvalidInput, sentence
from mathdnn.lenet.sizes import Size
from mathdnn.lenet.table import ConnectionTable

if TYPE_CHECKING:
    from jaxtyping import Float


def table_conv2d_literal(
    x: Float[Tensor, "*n in_c h w"],
    weight: Float[Tensor, "edges kh kw"],
    bias: Float[Tensor, " out_c"] | None,
    table: ConnectionTable,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
) -> Float[Tensor, "*n out_c oh ow"]:
    """One convolution per output map over the input maps it reads, as the formula says; zero padding.

    Raises `InvalidInput` for images or weights that do not belong to the table.
    """
    _require_fit(x, weight, bias, table)
    outputs, first = [], 0
    for o, inputs in enumerate(table.maps):
        w = weight[None, first : first + len(inputs)]  # 1, maps read, kh, kw
        b = None if bias is None else bias[o : o + 1]
        outputs.append(F.conv2d(x[..., list(inputs), :, :], w, b, stride, padding, dilation))  # *n, 1, oh, ow
        first += len(inputs)
    return torch.cat(outputs, dim=-3)


def _require_fit(x: Tensor, weight: Tensor, bias: Tensor | None, table: ConnectionTable) -> None:
    edges, biases = len(table.edges), (table.out_channels,)
    wrong = ""
    if x.ndim not in (3, 4) or x.shape[-3] != table.in_channels:
        wrong = f"images of shape {tuple(x.shape)}"
    elif weight.ndim != 3 or len(weight) != edges:
        wrong = f"weights of shape {tuple(weight.shape)}"
    elif bias is not None and bias.shape != biases:
        wrong = f"biases of shape {tuple(bias.shape)}"
    if wrong:
        expected = f"images of {table.in_channels} maps, weights ({edges}, rows, columns) and biases {biases}"
        raise InvalidInput(sentence("table_conv2d_literal", expected, wrong, "match the table"))
