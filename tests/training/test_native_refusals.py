"""What the native engine leaves to torch: numbers that torch would not give, by name."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable, LeNet5, TableConv2d
from mathdnn.lenet.paper import DigitDistance, PadTo32, ScaledTanh, Subsample
from mathdnn.native.network import plan_network
from mathdnn.training import Recipe, plan_engine, scores
from mathdnn.training.native_layers import native_layers


def other_weight() -> nn.Module:
    turned = nn.Linear(784, 10)
    turned.weight = nn.Parameter(torch.zeros(784, 10))
    return nn.Sequential(nn.Flatten(), turned)


REFUSED_BY_TORCH = {
    "LeNet5 on another size": (LeNet5, 29, "(n, 1, 28, 28)"),
    "LeNet5 within": (lambda: nn.Sequential(nn.ZeroPad2d(1), LeNet5()), 28, "(n, 1, 28, 28)"),
    "one map of three": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(1152, 10)),
        28,
        "to have 1 channels, but got 3 channels",
    ),
    "a linear layer on maps of one pixel": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 28), nn.Linear(4, 10)),
        28,
        "shapes cannot be multiplied",
    ),
    "a convolution after a linear layer": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Conv2d(10, 10, 1), nn.Flatten()),
        28,
        "Expected 3D",
    ),
    "a padding of three maps": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 1), PadTo32(), nn.Flatten(), nn.Linear(3072, 10)),
        28,
        "(n, 1, 28, 28)",
    ),
    "a weight that was turned": (other_weight, 28, "shapes cannot be multiplied"),
}


@pytest.mark.parametrize("name", REFUSED_BY_TORCH)
def test_no_numbers_for_what_torch_refuses(name):
    make, size, words = REFUSED_BY_TORCH[name]
    with pytest.raises((InvalidInput, RuntimeError), match=re.escape(words)):
        scores(make(), np.zeros((20, size, size), np.uint8))


@pytest.mark.parametrize(
    ("model", "shape", "refusal"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 1, 28), nn.Linear(1, 10)),
            (20, 1, 1, 10),
            "1 (Linear(in_features=1, out_features=10, bias=True)) with no Flatten before it",
        ),
        (nn.Sequential(nn.Conv2d(1, 10, 28)), (20, 10, 1, 1), "maps at the end, with no Flatten"),
        (
            nn.Sequential(nn.Conv2d(1, 84, 28), DigitDistance(), nn.Flatten()),
            None,
            "1 (DigitDistance()) with no Flatten before it",
        ),
    ],
)
def test_without_flatten_torch_gives_its_own_shape(model, shape, refusal):
    images = np.arange(20 * 784, dtype=np.uint32).astype(np.uint8).reshape(20, 28, 28)
    assert plan_engine(model, Recipe()).reason == refusal
    if shape is not None:
        with pytest.raises(InvalidInput, match=re.escape(f"got shape {(2, *shape[1:])}; end the network in one score")):
            scores(model, images)


def test_flattened_maps_of_one_pixel_are_still_computed():
    model = nn.Sequential(nn.Conv2d(1, 4, 28), nn.Flatten(), nn.Linear(4, 10))
    assert plan_engine(model, Recipe(), image_shape=(28, 28)).network.classes == 10
    deep = nn.Sequential(nn.Conv2d(1, 4, 28), nn.Tanh(), nn.Conv2d(4, 10, 1), nn.Flatten())
    assert plan_engine(deep, Recipe(), image_shape=(28, 28)).network.classes == 10


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (
            LeNet5(),
            (1, 31, 29),
            "expected images of shape (1, 28, 28), got (1, 31, 29); give the size that the model was built for.",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(1, 2, 3), nn.Flatten()),
            (1, 5, 5),
            "expected a convolution over the 3 maps there are, got one over 1; match them.",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 3, 1), PadTo32(), nn.Flatten()),
            (1, 28, 28),
            "expected images of one map, got 3; pad before the first convolution.",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Conv2d(10, 10, 1)),
            (1, 28, 28),
            "expected maps, got flattened numbers; put convolutions and pooling before Flatten.",
        ),
    ],
)
def test_a_plan_says_what_does_not_fit(model, shape, message):
    with pytest.raises(InvalidInput, match=f"^{re.escape('plan_network(layers): ' + message)}$"):
        plan_network(native_layers(model)[0], shape)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        plan_engine(model, Recipe(), image_shape=shape[1:])


def changed(kind, **settings) -> nn.Module:
    layer = nn.Conv2d(1, 2, 3) if kind is nn.Conv2d else kind(2)
    for name, value in settings.items():
        setattr(layer, name, value)
    return layer


SIZES = {
    "padding later": (lambda: changed(nn.Conv2d, padding=1), "native"),
    "stride later": (lambda: changed(nn.Conv2d, stride=2), "native"),
    "dilation later": (lambda: changed(nn.Conv2d, dilation=2), "native"),
    "padding, one in a tuple": (lambda: changed(nn.Conv2d, padding=(1,)), "native"),
    "a maximum's window, one in a tuple": (lambda: nn.MaxPool2d((2,)), "native"),
    "an average's window, one in a tuple": (lambda: nn.AvgPool2d((2,)), "native"),
    "a window without a stride": (lambda: changed(nn.MaxPool2d, stride=None), "native"),
    "padding of one axis": (lambda: nn.ZeroPad2d((1, 2)), "torch"),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_is_read_as_torch_reads_it(name):
    make, engine = SIZES[name]
    layer = make()
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(layer(torch.zeros(1, 1, 28, 28)).numel(), 10))
    assert plan_engine(model, Recipe()).engine == engine
    images = np.arange(20 * 784, dtype=np.uint32).astype(np.uint8).reshape(20, 28, 28)
    with torch.no_grad():
        expected = model(torch.from_numpy(images[:, None] / np.float32(255))).numpy()
    np.testing.assert_allclose(scores(model, images), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: changed(nn.Conv2d, padding=-1), "negative padding"),
        (lambda: changed(nn.Conv2d, stride=0), "non-positive stride"),
        (lambda: changed(nn.Conv2d, stride=(1, 2, 3)), "stride"),
        (lambda: changed(nn.MaxPool2d, kernel_size=0), "kernel size should be greater than zero"),
    ],
)
def test_sizes_that_torch_refuses_it_refuses_itself(layer, words):
    model = nn.Sequential(layer(), nn.Flatten(), nn.Linear(4, 10))
    assert plan_engine(model, Recipe()).engine == "torch"
    with pytest.raises(InvalidInput, match=f"got the answer '.*{words}"):
        scores(model, np.zeros((20, 28, 28), np.uint8))


@pytest.mark.parametrize(
    "register",
    [
        nn.modules.module.register_module_forward_hook,
        nn.modules.module.register_module_forward_pre_hook,
        nn.modules.module.register_module_full_backward_hook,
        nn.modules.module.register_module_full_backward_pre_hook,
    ],
)
def test_hooks_on_all_modules_are_left_to_torch(register):
    handle = register(lambda *_: None)
    try:
        assert str(plan_engine(LeNet5(), Recipe())) == "torch: hooks on all modules, which it would not call"
    finally:
        handle.remove()
    assert plan_engine(LeNet5(), Recipe()).engine == "native"


def test_a_hook_on_all_modules_is_seen_in_the_scores():
    images, model = np.zeros((20, 28, 28), np.uint8), LeNet5()
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, _, given: 0 * given if isinstance(module, LeNet5) else None
    )
    try:
        assert not scores(model, images).any()
    finally:
        handle.remove()
    assert scores(model, images).any()


@pytest.mark.parametrize("method", ["_conv_forward", "forward", "_call_impl"])
def test_a_method_of_its_own_is_left_to_torch(method):
    model = LeNet5()
    setattr(model.c1, method, lambda x, *_: torch.zeros(len(x), 6, 28, 28))
    expected = f"torch: c1 with its own {method}, which it would not call"
    assert str(plan_engine(model, Recipe())) == expected
    found = scores(model, np.arange(2 * 784, dtype=np.uint32).astype(np.uint8).reshape(2, 28, 28))
    assert np.array_equal(found[0], found[1])


def everything():
    """One of each kind that the engine takes, on images of 28 x 28."""
    ends = (nn.Flatten(), nn.Linear(675, 84), ScaledTanh(), DigitDistance())
    maps = (PadTo32(), nn.ZeroPad2d(1), nn.ConstantPad2d(1, 0.5), nn.Conv2d(1, 6, 5), TableConv2d(TABLE, 3))
    pools = (nn.MaxPool2d(3, 1), Subsample(3), nn.ZeroPad2d(1), nn.AvgPool2d(2, 1))
    return nn.Sequential(*maps, *pools, nn.Tanh(), nn.ReLU(), nn.Sigmoid(), nn.Identity(), *ends)


TABLE = ConnectionTable.parse("01 2345 05", in_channels=6)
IMAGES = np.arange(20 * 784, dtype=np.uint32).astype(np.uint8).reshape(20, 28, 28)


@pytest.mark.parametrize("place", range(17))
def test_a_forward_replaced_on_the_class_is_left_to_torch(place, monkeypatch):
    model, first = everything(), nn.Module.__call__
    assert plan_engine(model, Recipe()).engine == "native"
    kind = type(model[place])
    before = kind.forward
    monkeypatch.setattr(kind, "forward", lambda self, x: 0 * before(self, x))
    refusal = plan_engine(model, Recipe())
    assert refusal.engine == "torch"
    assert refusal.reason.endswith("whose class has another forward than at first, which it would not call")
    found = scores(model, IMAGES)
    assert np.array_equal(found[0], found[1])
    monkeypatch.undo()
    assert plan_engine(model, Recipe()).engine == "native"
    assert nn.Module.__call__ is first


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (nn.Sequential, "forward"),
        (LeNet5, "forward"),
        (nn.Conv2d, "_conv_forward"),
        (nn.Module, "__call__"),
        (nn.Module, "_call_impl"),
    ],
)
def test_so_is_another_method_that_a_layer_runs_through(kind, method, monkeypatch):
    model, before = LeNet5(), getattr(kind, method)
    monkeypatch.setattr(kind, method, lambda *given: before(*given))
    assert plan_engine(model, Recipe()).reason.endswith(f"another {method} than at first, which it would not call")
    monkeypatch.undo()
    assert plan_engine(model, Recipe()).engine == "native"


def test_within_autocast_torch_computes_in_the_types_that_were_asked_for():
    model = LeNet5()
    with torch.autocast("cpu", torch.bfloat16):
        plan = plan_engine(model, Recipe())
        found = scores(model, IMAGES)
        with torch.no_grad():
            expected = model(torch.from_numpy(IMAGES[:, None] / np.float32(255))).float().numpy()
    assert str(plan) == "torch: an autocast block, where it computes in float32 only"
    assert np.array_equal(found, expected)
    assert plan_engine(model, Recipe()).engine == "native"
    assert not np.array_equal(scores(model, IMAGES), expected)


@pytest.mark.parametrize("engine", ["auto", "native", "torch"])
@pytest.mark.parametrize("shape", [(28.0, 28.0), (28, 0), (28,), (1, 28, 28), 28, "28", (True, 28), {28, 27}])
def test_an_image_has_whole_numbers_of_rows_and_columns(shape, engine):
    words = (
        "plan_engine(image_shape=...): expected (rows, columns), two whole numbers from 1, "
        f"got {shape!r}; give (28, 28) for MNIST."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        plan_engine(LeNet5(), Recipe(), engine, image_shape=shape)


def test_numpys_whole_numbers_are_a_size():
    assert plan_engine(LeNet5(), Recipe(), image_shape=(np.int64(28), 28)).network.classes == 10


@pytest.mark.parametrize("shape", [(1, 28.0, 28), (1, 28, 0), (28, 28)])
def test_a_network_is_planned_for_whole_numbers(shape):
    words = (
        "plan_network(layers): expected images of maps, rows and columns, whole numbers from 1, "
        f"got {shape}; correct the shape."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        plan_network(native_layers(LeNet5())[0], shape)


def _with_weight(weight):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    if not isinstance(weight, nn.Parameter):
        del model[1].weight
    model[1].weight = weight
    return model


class _Marked(nn.Parameter):
    pass


def test_weights_that_are_no_parameters_are_torchs():
    """A tensor in a weight's place is trained by no optimizer, and a subclass may compute something else."""
    tensor = torch.zeros(10, 784, requires_grad=True)
    assert "where it has parameters only" in plan_engine(_with_weight(tensor), Recipe()).reason
    assert "where it has parameters only" in plan_engine(_with_weight(_Marked(torch.zeros(10, 784))), Recipe()).reason


def test_a_negated_view_and_groups_that_do_not_divide_are_torchs(rng):
    model = _with_weight(nn.Parameter(torch._neg_view(torch.rand(10, 784))))
    assert "a negated view" in plan_engine(model, Recipe()).reason
    images = rng.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    before = scores(model, images)
    model[1].weight = nn.Parameter(model[1].weight.detach().resolve_neg())
    assert scores(model, images) == pytest.approx(before, rel=1e-5)
    grouped = nn.Conv2d(2, 4, 28, groups=2)
    grouped.in_channels = 5  # torch reads it no more
    model = nn.Sequential(nn.Conv2d(1, 2, 1), grouped, nn.Flatten())
    assert plan_engine(model, Recipe(), image_shape=(28, 28)).engine == "torch"


def test_sparse_weights_and_one_bias_for_all_are_torchs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its own layout a beta
        sparse = nn.Parameter(torch.zeros(10, 784).to_sparse_csr(), requires_grad=False)
    assert "layout torch.sparse_csr" in plan_engine(_with_weight(sparse), Recipe()).reason
    model = _with_weight(nn.Parameter(torch.zeros(10, 784)))
    model[1].bias = nn.Parameter(torch.zeros(1))
    assert plan_engine(model, Recipe()).engine == "torch"
    maps = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(1352, 10))
    maps[0].bias = nn.Parameter(torch.zeros(1))
    assert plan_engine(maps, Recipe()).engine == "torch"
