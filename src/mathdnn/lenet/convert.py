"""A table convolution's weights in two other forms, to the bit: a `Conv2d` per output map, and one masked `Conv2d`.

e = (o, i)  edge      separate[o].weight[0, k] = w[e] where i = maps[o][k]      masked.weight[o, i] = w[e], else 0
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NoReturn

import torch
from torch import nn

from mathdnn.errors import InvalidInput, sentence
from mathdnn.lenet.table import ConnectionTable
from mathdnn.lenet.table_conv import TableConv2d


@torch.no_grad()
def to_separate_convolutions(layer: TableConv2d) -> nn.ModuleList:
    """One `nn.Conv2d` per output map, over the maps `layer.table.maps[o]`, in that order. Copies of the weights."""
    _require_kind("to_separate_convolutions(layer)", layer, TableConv2d, "from_masked_conv2d makes one of an nn.Conv2d")
    parts: list[nn.Conv2d] = []
    for (first, last), inputs in zip(_spans(layer.table), layer.table.maps, strict=True):
        part = nn.Conv2d(len(inputs), 1, **_geometry(layer), **_kind(layer.weight))
        part.weight.copy_(layer.weight[None, first:last])
        if part.bias is not None and layer.bias is not None:
            part.bias.copy_(layer.bias[len(parts) : len(parts) + 1])
        parts.append(part)
    return nn.ModuleList(parts)


@torch.no_grad()
def from_separate_convolutions(
    table: ConnectionTable, convolutions: Sequence[nn.Conv2d] | nn.ModuleList
) -> TableConv2d:
    """The layer that one `nn.Conv2d` per output map makes; `convolutions[o]` reads `table.maps[o]` in ascending order.

    Raises `InvalidInput` for another number of them, of input maps, or geometry that differs among them.
    """
    who = "from_separate_convolutions(convolutions)"
    _require_kind("from_separate_convolutions(table)", table, ConnectionTable, "build or parse one")
    if not isinstance(convolutions, Iterable):
        _refuse(who, f"{table.out_channels} convolutions", f"a {type(convolutions).__name__}", "give a list of them")
    parts: list[Any] = list(convolutions)
    if len(parts) != table.out_channels:
        _refuse(who, f"{table.out_channels} convolutions, one per output map", f"{len(parts)}", "match the table")
    for o, (part, inputs) in enumerate(zip(parts, table.maps, strict=True)):
        if not isinstance(part, nn.Conv2d):
            _refuse(who, "nn.Conv2d", f"a {type(part).__name__} for output map {o}", "convert it first")
        _require_shape(who, part)
        if (part.in_channels, part.out_channels, part.groups) != (len(inputs), 1, 1):
            got = f"{part.in_channels} to {part.out_channels} maps in {part.groups} groups for output map {o}"
            _refuse(who, f"{len(inputs)} input maps to 1", got, "match the table")
        if (_geometry(part), _kind(part.weight)) != (_geometry(parts[0]), _kind(parts[0].weight)):
            _refuse(who, f"the geometry of the first, {parts[0]}", f"{part} for output map {o}", "use one geometry")
    layer = TableConv2d(table, **_geometry(parts[0]), **_kind(parts[0].weight))
    layer.weight.copy_(torch.cat([part.weight[0] for part in parts]))
    if layer.bias is not None:
        layer.bias.copy_(torch.cat([part.bias for part in parts]))
    return layer


@torch.no_grad()
def to_masked_conv2d(layer: TableConv2d) -> nn.Conv2d:
    """The ordinary `nn.Conv2d` with zeros off the table. A copy: training it would fill the zeros."""
    _require_kind("to_masked_conv2d(layer)", layer, TableConv2d, "a Conv2d is one already")
    masked = nn.Conv2d(layer.in_channels, layer.out_channels, **_geometry(layer), **_kind(layer.weight))
    masked.weight.copy_(layer.dense_weight())
    if masked.bias is not None and layer.bias is not None:
        masked.bias.copy_(layer.bias)
    return masked


@torch.no_grad()
def from_masked_conv2d(convolution: nn.Conv2d, table: ConnectionTable | None = None) -> TableConv2d:
    """The layer over `table` equal to a `nn.Conv2d` whose weights are zero off it.

    Without a `table`, the edges are the kernels that hold a number other than zero. Raises `InvalidInput` where a
    weight off the table is not zero, for groups, for channels that do not fit, and for any other kind of layer.
    """
    who = "from_masked_conv2d(convolution)"
    _require_kind(who, convolution, nn.Conv2d, "convert it first")
    if table is not None:
        _require_kind("from_masked_conv2d(table=...)", table, ConnectionTable, "build or parse one")
    _require_shape(who, convolution)
    if convolution.weight.is_meta:
        _refuse(who, "weights with numbers", "those of the meta device", "move them with to_empty and load them")
    if convolution.groups != 1:
        _refuse(who, "groups=1", f"groups={convolution.groups}", "use ConnectionTable.grouped and copy the weights")
    used = (convolution.weight != 0).any(dim=3).any(dim=2)
    table = ConnectionTable.from_mask(used.cpu().numpy()) if table is None else table
    if tuple(used.shape) != (table.out_channels, table.in_channels):
        expected = f"{table.in_channels} input and {table.out_channels} output maps"
        _refuse(who, expected, f"{convolution.in_channels} and {convolution.out_channels}", "match the table")
    outside = (used.cpu() & ~torch.from_numpy(table.mask())).nonzero()
    if len(outside):
        o, i = outside[0].tolist()
        got = f"weights other than zero from input map {i} to output map {o}"
        _refuse(who, "zeros off the table", got, "add the edge to the table or set the weights to zero")
    layer = TableConv2d(table, **_geometry(convolution), **_kind(convolution.weight))
    layer.weight.copy_(convolution.weight[layer.edge[:, 0], layer.edge[:, 1]])
    if layer.bias is not None and convolution.bias is not None:
        layer.bias.copy_(convolution.bias)
    return layer


def _require_kind(who: str, given: Any, kind: type, do: str) -> None:
    if not isinstance(given, kind):
        _refuse(who, f"a {kind.__name__}", f"a {type(given).__name__}", do)


def _require_shape(who: str, convolution: Any) -> None:
    if nn.parameter.is_lazy(convolution.weight):
        _refuse(who, "weights that have a shape", f"a {type(convolution).__name__}", "run it once before")


def _spans(table: ConnectionTable) -> list[tuple[int, int]]:
    return list(pairwise(accumulate(table.fan_in, initial=0)))


def _geometry(layer: Any) -> dict[str, Any]:
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    return {**{name: getattr(layer, name) for name in names}, "bias": layer.bias is not None}


def _kind(weight: torch.Tensor) -> dict[str, Any]:
    return {"device": weight.device, "dtype": weight.dtype}


def _refuse(who: str, expected: str, got: str, do: str) -> NoReturn:
    raise InvalidInput(sentence(who, expected, got, do))
