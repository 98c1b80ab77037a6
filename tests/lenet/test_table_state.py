"""Complex weights, states that are loaded, and the literal form's arguments."""

from __future__ import annotations

import re

import pytest
import torch

from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable, TableConv2d, table_conv2d_literal

TABLE = ConnectionTable.parse("01 12 2 012", in_channels=4)


@pytest.mark.parametrize("table", [TABLE, ConnectionTable.grouped(4, 6, 2)], ids=["odd", "groups"])
def test_complex_weights_have_the_literal_forms_numbers_and_derivatives(table):
    found = []
    for form in ("auto", "literal"):
        torch.manual_seed(0)
        layer = TableConv2d(table, 3, padding=1, dtype=torch.complex64, form=form)
        x = torch.randn(2, 4, 6, 6, dtype=torch.complex64, requires_grad=True)
        y = layer(x)
        y.abs().square().sum().backward()
        found.append((y, x.grad, layer.weight.grad, layer.bias.grad))
    for ours, literal in zip(*found, strict=True):
        assert torch.equal(ours, literal)
    assert TableConv2d(table, 3).plan_for((2, 4, 6, 6), torch.complex64).way == "literal"


def test_edges_that_are_a_list_or_on_meta_are_left_to_torch():
    layer = TableConv2d(TABLE, 3)
    state = layer.state_dict()
    with pytest.raises(RuntimeError, match=r"copying the parameter named \"edge\", expected torch.Tensor"):
        layer.load_state_dict({**state, "edge": [1]})
    with pytest.raises(RuntimeError, match=r"copying the parameter named \"edge\", whose dimensions"):
        layer.load_state_dict({**state, "edge": state["edge"].to("meta")})


@pytest.mark.parametrize(
    "kind", [lambda edge: edge.double(), lambda edge: edge.to_sparse(), lambda edge: edge.to("meta")], ids=range(3)
)
def test_edges_that_are_put_in_are_still_the_tables(kind):
    layer = TableConv2d(TABLE, 3)
    state = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    expected = layer.dense_weight()
    layer.load_state_dict({**state, "edge": kind(state["edge"])}, assign=True)
    assert (layer.edge.dtype, layer.edge.device.type, layer.edge.layout) == (torch.int64, "cpu", torch.strided)
    assert torch.equal(layer.dense_weight(), expected)


def test_edges_of_another_table_are_refused_in_any_layout():
    layer = TableConv2d(TABLE, 3)
    with pytest.raises(RuntimeError, match="edge: the weights belong to another connection table"):
        layer.load_state_dict({"edge": layer.edge.flip(0).to_sparse()}, strict=False, assign=True)


def test_a_layer_without_numbers_gets_them_all_by_assign():
    layer, full = TableConv2d(TABLE, 3, device="meta"), TableConv2d(TABLE, 3)
    layer.load_state_dict(full.state_dict(), assign=True)
    assert torch.equal(layer.dense_weight(), full.dense_weight())


FIT = "table_conv2d_literal: expected images of 4 maps, weights (8, rows, columns) and biases (4,), got "
X, W, B = torch.zeros(1, 4, 5, 5), torch.zeros(8, 3, 3), torch.zeros(4)
WRONG = {
    "weights of shape (9, 3, 3)": (X, torch.zeros(9, 3, 3), B),
    "weights of shape (7, 3, 3)": (X, torch.zeros(7, 3, 3), None),
    "weights of shape (8, 9)": (X, torch.zeros(8, 9), B),
    "images of shape (1, 5, 5, 5)": (torch.zeros(1, 5, 5, 5), W, B),
    "images of shape (5, 5)": (torch.zeros(5, 5), W, B),
    "biases of shape (5,)": (X, W, torch.zeros(5)),
}


@pytest.mark.parametrize("got", WRONG)
def test_numbers_that_belong_to_no_edge_are_refused(got):
    assert len(TABLE.edges) == 8
    with pytest.raises(InvalidInput, match=f"^{re.escape(FIT + got)}; match the table"):
        table_conv2d_literal(*WRONG[got], TABLE)
