"""Weights go to sixteen convolutions or a masked one and come back with the same bits."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.lenet import (
    ConnectionTable,
    TableConv2d,
    from_masked_conv2d,
    from_separate_convolutions,
    to_masked_conv2d,
    to_separate_convolutions,
)

ODD = ConnectionTable.parse("01 12 2", in_channels=4)


def bits(layer):
    return {name: tensor.numpy().tobytes() for name, tensor in layer.state_dict().items()}


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(1, 5), st.booleans(), st.data())
def test_there_and_back_keeps_every_bit(inputs, outputs, bias, data):
    table = ConnectionTable.random(inputs, outputs, data.draw(st.integers(1, inputs)), data.draw(st.integers(0, 99)))
    layer = TableConv2d(table, (3, 2), stride=2, padding=(1, 2), dilation=(1, 2), bias=bias, padding_mode="circular")
    parts, masked = to_separate_convolutions(layer), to_masked_conv2d(layer)
    assert bits(from_separate_convolutions(table, parts)) == bits(layer)
    assert bits(from_masked_conv2d(masked, table)) == bits(layer)
    x = torch.randn(2, inputs, 8, 7)
    one_by_one = torch.cat([part(x[:, list(maps)]) for part, maps in zip(parts, table.maps, strict=True)], dim=1)
    assert torch.allclose(one_by_one, layer(x), rtol=0, atol=1e-5)
    assert torch.allclose(masked(x), layer(x), rtol=0, atol=1e-5)


def test_the_table_is_read_off_the_zeros():
    layer = TableConv2d(ODD, 3)
    assert from_masked_conv2d(to_masked_conv2d(layer)).table == ODD


def test_the_forms_are_copies():
    layer = TableConv2d(ODD, 3)
    before = bits(layer)
    for form in (to_separate_convolutions(layer), to_masked_conv2d(layer)):
        for parameter in form.parameters():
            parameter.data.zero_()
    assert bits(layer) == before


def test_c3_as_the_solution_holds_it_is_sixteen_convolutions():
    parts = to_separate_convolutions(TableConv2d(ConnectionTable.lenet(), 5))
    assert [part.in_channels for part in parts] == [3] * 6 + [4] * 9 + [6]
    assert sum(p.numel() for p in parts.parameters()) == 1516


def off_the_table():
    masked = to_masked_conv2d(TableConv2d(ODD, 3))
    with torch.no_grad():
        masked.weight[2, 0, 1, 1] = 1e-30
    return from_masked_conv2d(masked, ODD)


WHO, MASKED = "from_separate_convolutions(convolutions): expected ", "from_masked_conv2d(convolution): expected "
REFUSED = [
    (off_the_table,
     (MASKED + "zeros off the table, got weights other than zero from input map 0 to output map 2; "
     "add the edge to the table or set the weights to zero.")),
    (lambda: from_masked_conv2d(nn.Conv2d(4, 4, 3, groups=2)),
     (MASKED + "groups=1, got groups=2; use "
     "ConnectionTable.grouped and copy the weights.")),
    (lambda: from_masked_conv2d(nn.Conv2d(3, 4, 3), ODD),
     (MASKED + "4 input and 3 output maps, got 3 and 4; match the "
     "table.")),
    (lambda: from_separate_convolutions(ODD, []),
     (WHO + "3 convolutions, one per output map, got 0; match the table.")),
    (lambda: from_separate_convolutions(ODD, [nn.Conv2d(2, 1, 3)] * 3),
     (WHO + "1 input maps to 1, got 2 to 1 maps in 1 "
     "groups for output map 2; match the table.")),
    (lambda: from_separate_convolutions(ODD, [nn.Linear(2, 1)] * 3),
     (WHO + "nn.Conv2d, got a Linear for output map 0; "
     "convert it first.")),
    (lambda: from_separate_convolutions(None, []),
     "from_separate_convolutions(table): expected a ConnectionTable, got a NoneType; build or parse one."),
    (lambda: from_separate_convolutions(ODD, 3),
     WHO + "3 convolutions, got a int; give a list of them."),
    (lambda: from_separate_convolutions(ODD, [nn.LazyConv2d(1, 3)] * 3),
     WHO + "weights that have a shape, got a LazyConv2d; run it once before."),
    (lambda: to_separate_convolutions(nn.Conv2d(3, 5, 3)),
     ("to_separate_convolutions(layer): expected a TableConv2d, got a Conv2d; "
      "from_masked_conv2d makes one of an nn.Conv2d.")),
    (lambda: to_masked_conv2d(nn.Conv2d(3, 5, 3)),
     "to_masked_conv2d(layer): expected a TableConv2d, got a Conv2d; a Conv2d is one already."),
    (lambda: from_masked_conv2d(nn.ConvTranspose2d(4, 4, 3)),
     MASKED + "a Conv2d, got a ConvTranspose2d; convert it first."),
    (lambda: from_masked_conv2d(nn.Conv1d(3, 5, 3)),
     MASKED + "a Conv2d, got a Conv1d; convert it first."),
    (lambda: from_masked_conv2d(nn.Linear(3, 4)),
     MASKED + "a Conv2d, got a Linear; convert it first."),
    (lambda: from_masked_conv2d(nn.Conv2d(4, 3, 3), "full"),
     "from_masked_conv2d(table=...): expected a ConnectionTable, got a str; build or parse one."),
    (lambda: from_masked_conv2d(nn.LazyConv2d(4, 3)),
     MASKED + "weights that have a shape, got a LazyConv2d; run it once before."),
    (lambda: from_masked_conv2d(nn.Conv2d(4, 3, 3, device="meta")),
     MASKED + "weights with numbers, got those of the meta device; move them with to_empty and load them."),
]  # fmt: skip


@pytest.mark.parametrize(("convert", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_refused_in_one_sentence(convert, said):
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        convert()


def test_geometry_that_differs_is_refused():
    parts = [nn.Conv2d(2, 1, 3), nn.Conv2d(2, 1, 3, padding=1), nn.Conv2d(1, 1, 3)]
    with pytest.raises(InvalidInput, match=r"expected the geometry of the first, Conv2d\(2, 1, .* for output map 1;"):
        from_separate_convolutions(ODD, parts)
