"""The layer computes the formula in every form, for finite numbers and others, with derivatives of every order."""

from __future__ import annotations

import copy
import pickle
import re

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.autograd.forward_ad as fwd
from hypothesis import given, settings
from tests.oracles.lenet import padded, table_convolution
from tests.saboteurs import lenet as saboteurs
from torch.func import functional_call

from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable, TableConv2d, plan, table_conv2d_literal

ODD = ConnectionTable.parse("01 12 2 012", in_channels=4)  # input map 3 is read by nobody
TABLES = {
    "odd": ODD,
    "square": ConnectionTable.parse("01 12 0"),
    "grouped": ConnectionTable.grouped(4, 6, 2),
    "one to one": ConnectionTable.one_to_one(3),
    "full": ConnectionTable.full(2, 3),
}
GEOMETRIES = [((1, 1), (0, 0), (1, 1)), ((2, 1), (1, 2), (1, 1)), ((1, 2), (2, 1), (2, 1)), ((3, 3), (0, 1), (1, 2))]


def layer_over(table, kernel=(3, 2), seed=0, **more):
    layer = TableConv2d(table, kernel, dtype=torch.float64, **more)
    layer.reset_parameters(torch.Generator().manual_seed(seed))
    return layer


def image(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def dense_of(table, weight):
    kernels = np.zeros((table.out_channels, table.in_channels, *weight.shape[1:]))
    for edge, kernel in zip(table.edges, weight.detach().numpy(), strict=True):
        kernels[edge] = kernel
    return kernels


def by_loops(x, table, weight, bias, stride=(1, 1), padding=(0, 0), dilation=(1, 1), mode="zeros"):
    wide = padded(x.detach().numpy(), padding[0], padding[0], padding[1], padding[1], mode)
    bias = None if bias is None else bias.detach().numpy()
    return torch.from_numpy(table_convolution(wide, table.mask(), dense_of(table, weight), bias, stride, dilation))


def literal(x, weight, bias, mask, stride, padding, dilation):
    return table_conv2d_literal(x, weight, bias, ConnectionTable.from_mask(mask), stride, padding, dilation)


def as_layer(form):
    def compute(x, weight, bias, mask, stride, padding, dilation):
        table = ConnectionTable.from_mask(mask)
        layer = TableConv2d(table, weight.shape[1:], stride, padding, dilation, dtype=weight.dtype, form=form)
        return functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    return compute


def law_of_the_loops(compute):
    """It computes what the loops compute, over tables, strides, paddings and dilations."""
    for name, table in TABLES.items():
        layer = layer_over(table)
        for stride, padding, dilation in GEOMETRIES:
            x = image(2, table.in_channels, 7, 6)
            expected = by_loops(x, table, layer.weight, layer.bias, stride, padding, dilation)
            found = compute(x, layer.weight, layer.bias, table.mask(), stride, padding, dilation)
            assert found.shape == expected.shape, name
            assert torch.allclose(found, expected, rtol=0, atol=1e-12), name


def law_of_infinity(compute):
    """A pixel that is not finite spoils only the maps that read it."""
    layer = layer_over(ODD)
    for bad in (torch.inf, -torch.inf, torch.nan):
        x = image(2, 4, 6, 5)
        x[0, 0, 2, 2] = x[1, 3, 1, 1] = bad
        expected = by_loops(x, ODD, layer.weight, layer.bias)
        found = compute(x, layer.weight, layer.bias, ODD.mask(), (1, 1), (0, 0), (1, 1))
        assert torch.allclose(found, expected, rtol=0, atol=1e-12, equal_nan=True)


RIGHT = {"literal": literal, "auto": as_layer("auto"), "dense": as_layer("dense"), "slow layer": as_layer("literal")}


@pytest.mark.parametrize("compute", RIGHT.values(), ids=RIGHT)
def test_it_computes_what_the_loops_compute(compute):
    law_of_the_loops(compute)


@pytest.mark.parametrize("saboteur", saboteurs.WRONG_VALUES, ids=lambda wrong: wrong.__name__)
def test_wrong_convolutions_are_rejected(saboteur):
    with pytest.raises(AssertionError, match="assert"):
        law_of_the_loops(saboteur)


@pytest.mark.parametrize("compute", [literal, as_layer("auto")], ids=["literal", "auto"])
def test_an_infinite_pixel_spoils_only_the_maps_that_read_it(compute):
    law_of_infinity(compute)


@pytest.mark.parametrize("saboteur", [saboteurs.zeros_meet_infinity, saboteurs.infinity_made_finite])
def test_zeros_off_the_table_that_meet_infinity_are_rejected(saboteur):
    with pytest.raises(AssertionError, match="assert"):
        law_of_infinity(saboteur)


@pytest.mark.parametrize("place", ["input", "slope", "both"])
def test_derivatives_at_infinity_are_those_of_the_literal_form(place):
    layer = layer_over(ODD)
    found = []
    for compute in (literal, as_layer("auto")):
        x = image(2, 4, 6, 5)
        slope = image(2, 4, 4, 4, seed=2)
        if place != "slope":
            x[0, 0, 2, 2] = torch.inf
        if place != "input":
            slope[1, 2, 0, 0] = torch.nan
        leaves = [x.requires_grad_(), *(p.detach().clone().requires_grad_() for p in (layer.weight, layer.bias))]
        y = compute(*leaves, ODD.mask(), (1, 1), (0, 0), (1, 1))
        found.append(torch.autograd.grad(y, leaves, slope))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12, equal_nan=True)
    assert found[0][0][1, 3].eq(0).all()  # the map that nobody reads gets no slope, not nan


def test_second_derivatives_at_infinity_are_those_of_the_literal_form():
    layer = layer_over(ODD)
    found = []
    for compute in (literal, as_layer("auto")):
        leaves = [
            image(1, 4, 5, 4).requires_grad_(),
            *(p.detach().clone().requires_grad_() for p in layer.parameters()),
        ]
        slope = image(1, 4, 3, 3, seed=2).requires_grad_()
        y = compute(*leaves, ODD.mask(), (1, 1), (0, 0), (1, 1))
        (dx,) = torch.autograd.grad(y, leaves[0], slope, create_graph=True)
        direction = image(1, 4, 5, 4, seed=3)
        direction[0, 1, 1, 1] = torch.inf
        found.append(torch.autograd.grad(dx, (slope, leaves[1]), direction))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12, equal_nan=True)
    assert found[1][0].isfinite().any()


@pytest.mark.parametrize("name", TABLES)
def test_slopes_of_first_and_second_order(name):
    layer = layer_over(TABLES[name], (2, 2), stride=2, padding=1)

    def compute(x, weight, bias):
        return functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    leaves = (image(1, layer.in_channels, 4, 3).requires_grad_(), layer.weight, layer.bias)
    assert torch.autograd.gradcheck(compute, leaves)
    assert torch.autograd.gradgradcheck(compute, leaves)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [2, (1, 2)])
def test_padding_modes_are_torchs(mode, padding):
    layer = layer_over(ODD, padding=padding, padding_mode=mode)
    x = image(2, 4, 6, 5)
    pair = (padding, padding) if isinstance(padding, int) else padding
    expected = by_loops(x, ODD, layer.weight, layer.bias, padding=pair, mode=mode)
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("stride", 2, None),
        ("dilation", (1, 2), None),
        ("padding", 1, None),
        ("padding", "same", None),
        ("padding_mode", "circular", None),
        ("form", "literal", None),
        ("stride", 0, "stride"),
        ("padding", "full", "padding"),
        ("padding_mode", "mirror", "padding_mode"),
        ("form", "grouped", "form"),
    ],
)
def test_a_setting_that_is_changed_later_counts_or_is_refused(name, value, message):
    settings_of = {"stride": 1, "padding": (2, 1), "dilation": 1, "padding_mode": "reflect", "form": "auto"}
    late, x = TableConv2d(ODD, 3, **settings_of), image(2, 4, 7, 6).float()
    before = late(x)
    if message:
        with pytest.raises(InvalidInput, match=message):
            setattr(late, name, value)
        assert torch.equal(late(x), before)
        return
    setattr(late, name, value)
    early = TableConv2d(ODD, 3, **{**settings_of, name: value})
    early.load_state_dict(late.state_dict())
    assert torch.equal(late(x), early(x))
    assert str(late) == str(early)
    assert str(late.plan_for((2, 4, 7, 6))) == str(early.plan_for((2, 4, 7, 6)))


@pytest.mark.parametrize("kernel", [(3, 2), (4, 5), (1, 1)])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_padding_by_name_is_torchs(kernel, mode, padding):
    layer = layer_over(ODD, kernel, padding=padding, dilation=(1, 2), padding_mode=mode)
    torchs = torch.nn.Conv2d(4, 4, kernel, padding=padding, dilation=(1, 2), padding_mode=mode, dtype=torch.float64)
    torchs.load_state_dict({"weight": torch.from_numpy(dense_of(ODD, layer.weight)), "bias": layer.bias})
    x = image(2, 4, 9, 10)
    assert torch.allclose(layer(x), torchs(x), rtol=0, atol=1e-12)


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_any_table_any_geometry(inputs, outputs, data):
    table = ConnectionTable.random(inputs, outputs, data.draw(st.integers(1, inputs)), data.draw(st.integers(0, 99)))
    pairs = {name: data.draw(st.tuples(st.integers(low, 3), st.integers(low, 3)))
             for name, low in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1))}  # fmt: skip
    steps = (pairs["stride"], pairs["padding"], pairs["dilation"])
    bias = data.draw(st.booleans())
    layer = layer_over(table, pairs["kernel"], stride=steps[0], padding=steps[1], dilation=steps[2], bias=bias)
    x = image(data.draw(st.integers(0, 2)), inputs, data.draw(st.integers(7, 9)), 8)
    expected = by_loops(x, table, layer.weight, layer.bias, *steps)
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-11)
    slow = table_conv2d_literal(x, layer.weight, layer.bias, table, *steps)
    assert torch.allclose(slow, expected, rtol=0, atol=1e-11)


def test_without_a_batch_empty_and_channels_last():
    layer = layer_over(ODD)
    x = image(3, 4, 6, 5)
    assert layer(x[0]).shape == (4, 4, 4)
    assert torch.allclose(layer(x[0]), layer(x)[0], rtol=0, atol=1e-14)
    assert torch.allclose(layer(x.to(memory_format=torch.channels_last)), layer(x), rtol=0, atol=1e-13)
    empty = image(0, 4, 6, 5).requires_grad_()
    assert layer(empty).shape == (0, 4, 4, 4)
    layer(empty).sum().backward()
    assert layer.weight.grad.eq(0).all()


def test_autocast_gives_what_torch_gives():
    layer = TableConv2d(ODD, 3)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert (y.dtype, x.grad.dtype, layer.weight.grad.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    assert torch.allclose(y.float(), layer(x), rtol=0.02, atol=0.05)


def test_parameters_are_the_edges_and_nothing_else():
    layer = TableConv2d(ConnectionTable.lenet(), 5)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {"weight": (60, 5, 5), "bias": (16,)}
    assert sum(p.numel() for p in layer.parameters()) == 1516
    assert TableConv2d(ODD, 3, bias=False).bias is None


def law_of_the_start(bounds):
    """Every output map starts within the bound of its own fan-in, and reaches it."""
    table = ConnectionTable.parse("0 01 0123 012345")
    layer = layer_over(table, (15, 15))
    claimed, first = bounds(table, 225), 0
    for o, maps in enumerate(table.fan_in):
        largest = layer.weight[first : first + maps].abs().max().item()
        assert 0.98 * claimed[o] < largest <= claimed[o] * (1 + 1e-6), o
        assert abs(layer.bias[o].item()) <= claimed[o]
        first += maps


def test_it_starts_as_the_separate_convolutions_of_torch_would():
    law_of_the_start(lambda table, taps: [(n * taps) ** -0.5 for n in table.fan_in])


@pytest.mark.parametrize("saboteur", saboteurs.WRONG_BOUNDS, ids=lambda wrong: wrong.__name__)
def test_wrong_starts_are_rejected(saboteur):
    with pytest.raises(AssertionError, match="assert"):
        law_of_the_start(saboteur)


def test_copies_and_states_keep_every_bit():
    layer, other = layer_over(ODD), layer_over(ODD, seed=9)
    x = image(2, 4, 6, 5)
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))
    assert sorted(layer.state_dict()) == ["bias", "edge", "weight"]


def test_weights_of_another_table_are_not_loaded():
    layer, foreign = layer_over(ODD), layer_over(ConnectionTable.parse("012 12 0 12", in_channels=4))
    assert layer.weight.shape == foreign.weight.shape
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    with pytest.raises(RuntimeError, match="edge: the weights belong to another connection table"):
        torch.nn.Sequential(layer).load_state_dict(torch.nn.Sequential(foreign).state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        layer.load_state_dict({"weight": layer.weight, "bias": layer.bias})
    assert all(torch.equal(before[name], tensor) for name, tensor in layer.state_dict().items())


def test_the_plan_says_which_way_and_why():
    assert str(plan(ConnectionTable.lenet())) == (
        "guarded: one dense convolution, 36 of 96 kernels zero; edge by edge if not finite"
    )
    assert plan(ConnectionTable.grouped(4, 2, 2)).groups == 2
    assert plan(ConnectionTable.full(4, 2)).way == "grouped"
    assert plan(ODD, exporting=True).way == "literal"
    assert [plan(ODD, form).way for form in ("literal", "dense")] == ["literal", "dense"]


def test_the_layer_says_what_it_is():
    assert repr(TableConv2d(ODD, 3, padding=1, bias=False)) == (
        "TableConv2d(4, 4, edges=8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)"
    )


REFUSED = [
    (lambda: TableConv2d("012", 3),
     ("TableConv2d(table=...): expected a ConnectionTable, got a str; build or parse one.")),
    (lambda: TableConv2d(ODD, 0),
     ("TableConv2d(kernel_size=...): expected a whole number from 1, or two, got 0; "
     "correct it.")),
    (lambda: TableConv2d(ODD, 3, padding=-1),
     ("TableConv2d(padding=...): expected a whole number from 0, or two, got "
     "-1; correct it.")),
    (lambda: TableConv2d(ODD, 3, 2, "same"),
     ("TableConv2d(padding='same'): expected stride 1, got stride (2, 2); give "
     "the padding as numbers.")),
    (lambda: TableConv2d(ODD, 3, padding="full"),
     ("TableConv2d(padding=...): expected a size, 'same' or 'valid', got "
     "'full'; choose one.")),
    (lambda: TableConv2d(ODD, 3, padding_mode="wrap"),
     ("TableConv2d(padding_mode=...): expected zeros or reflect or "
     "replicate or circular, got 'wrap'; choose one.")),
    (lambda: TableConv2d(ODD, 3, form="fast"),
     ("plan(form=...): expected auto, literal, grouped or dense, got 'fast'; "
     "choose one of them.")),
    (lambda: TableConv2d(ODD, 3, form="grouped"),
     ("plan(form='grouped'): expected a table that is exactly groups, got "
     "one that is not; use 'auto'.")),
    (lambda: TableConv2d(ODD, 3)(torch.zeros(1, 3, 5, 5)),
     ("TableConv2d.forward(x): expected (4, h, w) with or without "
     "a batch in front, got shape (1, 3, 5, 5); match the table's input maps.")),
]  # fmt: skip


@pytest.mark.parametrize(("build", "said"), REFUSED, ids=[said[:50] for _, said in REFUSED])
def test_what_does_not_fit_is_refused_in_one_sentence(build, said):
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        build()


def test_an_exported_layer_is_the_literal_form():
    layer = layer_over(ODD).eval()
    x = image(2, 4, 6, 5)
    exported = torch.export.export(layer, (x,))
    x[0, 0, 2, 2] = torch.inf
    assert torch.allclose(exported.module()(x), layer(x), rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch.func.jvp loads its decompositions so
def test_transforms_of_torch_func_go_through_the_literal_form():
    layer = layer_over(ODD)
    x = image(3, 2, 4, 6, 5)
    assert torch.allclose(torch.func.vmap(layer)(x), torch.stack([layer(some) for some in x]), rtol=0, atol=1e-12)
    slope = torch.func.grad(lambda some: layer(some).square().sum())(x[0])
    leaf = x[0].clone().requires_grad_()
    layer(leaf).square().sum().backward()
    assert torch.allclose(slope, leaf.grad, rtol=0, atol=1e-11)
    _, tangent = torch.func.jvp(layer, (x[0],), (x[1],))
    assert torch.allclose(tangent, layer(x[1]) - layer(torch.zeros_like(x[1])), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore")  # tracing warns of itself and of each size it sees
def test_a_traced_layer_computes_and_holds_no_result():
    layer = layer_over(ODD).eval()
    traced = torch.jit.trace(layer, image(2, 4, 6, 5))
    other = image(2, 4, 6, 5, seed=7)
    assert torch.allclose(traced(other), layer(other), rtol=0, atol=1e-12)


def test_a_subclass_of_tensor_is_convolved_by_the_literal_form():
    class Named(torch.Tensor):
        pass

    layer = layer_over(ODD)
    x = image(2, 4, 6, 5)
    assert torch.allclose(layer(x.as_subclass(Named)).as_subclass(torch.Tensor), layer(x), rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_breaks_its_graph_and_stays_right():
    layer = layer_over(ODD)
    model = torch.compile(torch.nn.Sequential(torch.nn.Tanh(), layer), backend="eager")
    x = image(2, 4, 6, 5)
    assert torch.allclose(model(x), layer(torch.tanh(x)), rtol=0, atol=1e-13)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("kernel", [2, 4, 5, (4, 5), (1, 6)])
def test_the_zeros_of_same_padding_make_no_nan_that_torch_does_not_make(kernel):
    table = ConnectionTable.random(3, 4, 2, seed=0)
    layer, x = TableConv2d(table, kernel, padding="same"), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), table_conv2d_literal(x, layer.weight, layer.bias, table, 1, "same"))
        layer.weight[0, 0, 0] = float("inf")
        literal = table_conv2d_literal(x, layer.weight, layer.bias, table, 1, "same")
        assert torch.equal(layer(x).isfinite(), literal.isfinite())


def test_forward_mode_derivatives_are_those_of_the_literal_form():
    table = ConnectionTable.random(3, 4, 2, seed=0)
    layer, x, v = TableConv2d(table, 3, dtype=torch.float64), image(2, 3, 6, 5), image(2, 3, 6, 5)
    with fwd.dual_level():
        found = fwd.unpack_dual(layer(fwd.make_dual(x, v))).tangent
        literal = table_conv2d_literal(fwd.make_dual(x, v), layer.weight, layer.bias, table)
        assert torch.equal(found, fwd.unpack_dual(literal).tangent)
    assert torch.allclose(found, layer(v) - layer(torch.zeros_like(v)), rtol=0, atol=1e-12)


def test_an_array_is_no_tensor():
    with pytest.raises(InvalidInput, match=r"TableConv2d.forward\(x\): expected a tensor \(3, h, w\) .* got a ndarray"):
        TableConv2d(ConnectionTable.random(3, 4, 2, seed=0), 3)(np.ones((1, 3, 6, 6), np.float32))


@pytest.mark.parametrize("build", [torch.nn.utils.skip_init, lambda *a: TableConv2d(*a).to_empty(device="cpu")])
def test_a_layer_whose_memory_is_not_filled_has_the_edges_of_its_table(build):
    table = ConnectionTable.lenet()
    layer = build(TableConv2d, table, 5) if build is torch.nn.utils.skip_init else build(table, 5)
    assert layer.edge.tolist() == [list(edge) for edge in table.edges]
    assert layer.dense_weight().shape == (16, 6, 5, 5)
    TableConv2d(table, 5).load_state_dict(layer.state_dict())


def test_numpy_whole_numbers_are_sizes():
    layer = TableConv2d(ConnectionTable.lenet(), np.int64(5), stride=(np.int32(2), 1))
    assert (layer.kernel_size, layer.stride) == ((5, 5), (2, 1))
    assert {type(side) for side in (*layer.kernel_size, *layer.stride)} == {int}


@pytest.mark.parametrize("shape", [(6,), 6, (6, 14.0, 14)])
def test_a_shape_that_is_no_images_shape_is_refused(shape):
    words = "TableConv2d.plan_for(input_shape): expected (6, h, w) with or without a batch in front, got "
    with pytest.raises(InvalidInput, match=f"^{re.escape(f'{words}{shape!r}')}; give the images' shape\\.$"):
        TableConv2d(ConnectionTable.lenet(), 5).plan_for(shape)


def test_complex_images_are_convolved_without_a_warning():
    layer = TableConv2d(ConnectionTable.parse("01 12 012"), 3, dtype=torch.complex64)
    x = torch.randn(2, 3, 6, 6, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    expected = table_conv2d_literal(x, layer.weight, layer.bias, layer.table)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)
    x[0, 2, 0, 0] = complex(0, torch.inf)
    assert torch.isfinite(torch.view_as_real(layer(x)[:, 0])).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.complex64])
def test_autocast_leaves_alone_what_torch_leaves_alone(dtype):
    layer, torchs = TableConv2d(ODD, 3, dtype=dtype), torch.nn.Conv2d(4, 4, 3, dtype=dtype)
    x = torch.randn(2, 4, 6, 6, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torchs(x).dtype


@pytest.mark.parametrize("name", ["table", "in_channels", "out_channels", "kernel_size"])
def test_what_the_weights_belong_to_is_not_changed_later(name):
    layer = layer_over(ConnectionTable(2, ((0,), (1,))))
    x = image(1, 2, 5, 5)
    before, value = layer(x), getattr(layer, name)
    said = f"TableConv2d.{name}: expected the one it was built with, got another; build a layer with that one."
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        setattr(layer, name, ConnectionTable(2, ((1,), (0,))) if name == "table" else 3)
    assert getattr(layer, name) is value
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x), before)


@pytest.mark.parametrize("convert", [torch.Tensor.to_mkldnn, torch.Tensor.to_sparse], ids=["mkldnn", "sparse"])
def test_images_that_are_not_strided_are_refused_in_one_sentence(convert):
    with pytest.raises(
        InvalidInput, match=r"^TableConv2d\.forward\(x\): expected a strided tensor, got layout torch\."
    ):
        TableConv2d(ODD, 3)(convert(torch.randn(2, 4, 6, 6)))


@pytest.mark.parametrize("shape", [(2**70, 6, 9, 9), (-1, 6, 9, 9), (1, 5, 9, 9), (1, 6, 9, 2**63)])
def test_a_shape_that_no_images_have_is_refused(shape):
    words = f"TableConv2d.plan_for(input_shape): expected (6, h, w) with or without a batch in front, got {shape}"
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}; give the images' shape\\.$"):
        TableConv2d(ConnectionTable.lenet(), 5).plan_for(shape)


def batched_laws(name, derive):
    """A layer, its leaves, and derivatives in a batch beside those one by one."""
    layer = layer_over(TABLES[name], (2, 3), stride=(2, 1), padding=1)
    leaves = (image(2, layer.in_channels, 4, 3).requires_grad_(), layer.weight, layer.bias)
    y = layer(leaves[0])
    slopes = image(3, *y.shape, seed=2)
    each = [torch.autograd.grad(y, leaves, slope, retain_graph=True, create_graph=True) for slope in slopes]
    return leaves, derive(y, leaves, slopes), [torch.stack(some) for some in zip(*each, strict=True)]


@pytest.mark.parametrize("name", TABLES)
def test_derivatives_in_a_batch_are_those_one_by_one(name):
    def at_once(y, leaves, slopes):
        return torch.autograd.grad(y, leaves, slopes, is_grads_batched=True, retain_graph=True, create_graph=True)

    def by_vmap(y, leaves, slopes):
        return torch.func.vmap(lambda slope: torch.autograd.grad(y, leaves, slope, retain_graph=True))(slopes)

    for derive in (at_once, by_vmap):
        leaves, found, expected = batched_laws(name, derive)
        for one, other in zip(found, expected, strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-12)
    leaves, found, expected = batched_laws(name, at_once)
    second = [torch.autograd.grad(sum(s.square().sum() for s in some), leaves[:2]) for some in (found, expected)]
    for one, other in zip(*second, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["odd", "grouped", "one to one"])
def test_vectorized_jacobians_and_hessians_are_those_of_the_literal_form(name):
    layer = layer_over(TABLES[name], (2, 2), padding=1)
    x = image(1, layer.in_channels, 3, 2)

    def expected(some):
        return table_conv2d_literal(some, layer.weight, layer.bias, layer.table, 1, 1)

    jacobian, hessian = torch.autograd.functional.jacobian, torch.autograd.functional.hessian
    assert torch.allclose(jacobian(layer, x, vectorize=True), jacobian(expected, x), rtol=0, atol=1e-12)
    curved = hessian(lambda some: layer(some).pow(3).sum(), x, vectorize=True)
    assert torch.allclose(curved, hessian(lambda some: expected(some).pow(3).sum(), x), rtol=0, atol=1e-10)
    assert torch.autograd.gradcheck(layer, x.requires_grad_(), check_batched_grad=True)
    assert torch.autograd.gradgradcheck(layer, x, check_batched_grad=True)
