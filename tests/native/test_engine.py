"""The compiled engine: torch's numbers to rounding, its own numbers to the bit."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable, LeNet5, LeNet5_1998, TableConv2d
from mathdnn.lenet.paper import ScaledTanh, Subsample
from mathdnn.native.engine import FIRST, PARAMETERS, NativeEngine, Pictures, known_set
from mathdnn.native.network import plan_network
from mathdnn.training.native_layers import Unknown, native_layers

TABLE = (np.arange(256) / 255).astype(np.float32)
ALL = ("baseline", "avx2", "avx512")
SETS = ALL[1 : ALL.index(known_set(None)) + 1]  # those with fused multiply-add


def drawn(model: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        with torch.no_grad():
            parameter.uniform_(-0.3, 0.3, generator=generator)
    return model


def pictures(rng: np.random.Generator, n: int, shape: tuple[int, int, int], classes: int) -> Pictures:
    images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    return Pictures(images, TABLE, labels=rng.integers(0, classes, n).astype(np.int32))


def build(model: nn.Module, shape: tuple[int, int, int], **options) -> NativeEngine:
    layers, parameters = native_layers(model)
    engine = NativeEngine(plan_network(layers, shape), **options)
    put(engine, parameters)
    return engine


def put(engine: NativeEngine, parameters) -> None:
    shapes = [p.shape for p in engine.plan.parameters]
    engine.load([p.detach().float().numpy().reshape(s) for p, s in zip(parameters, shapes, strict=True)])


def digest(arrays: list[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


NETWORKS = {
    "LeNet-5, Table I": (lambda: LeNet5("table"), (1, 28, 28), 10),
    "LeNet-5, full": (lambda: LeNet5("full"), (1, 28, 28), 10),
    "linear": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (1, 3, 4), 3),
    "linear without bias": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 20, bias=False), nn.Sigmoid(), nn.Linear(20, 3, bias=False)),
        (1, 3, 4),
        3,
    ),
    "one pixel": (lambda: nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(1, 2)), (1, 1, 1), 2),
    "padded, two deep": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(5 * 15 * 4, 4),
        ),
        (2, 31, 9),
        4,
    ),
    "strides, dilation, groups": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 2), groups=2, bias=False),
            nn.Tanh(),
            nn.Conv2d(6, 3, 2, dilation=2),
            nn.Sigmoid(),
            nn.Flatten(),
            nn.Linear(48, 5),
        ),
        (4, 11, 13),
        5,
    ),
    "1998 layers": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 5),
            ScaledTanh(),
            Subsample(3),
            ScaledTanh(),
            TableConv2d(ConnectionTable.parse("01 12 012"), 3),
            ScaledTanh(),
            Subsample(3),
            nn.Flatten(),
            nn.Linear(12, 4),
            ScaledTanh(),
        ),
        (1, 16, 16),
        4,
    ),
    "overlapping pools": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3),
            nn.Tanh(),
            nn.MaxPool2d(3, 2),
            nn.AvgPool2d((2, 3), (1, 2)),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, 3),
        ),
        (1, 14, 14),
        3,
    ),
    "LeNet-5 of 1998, 28 x 28": (LeNet5_1998, (1, 28, 28), 10),
    "LeNet-5 of 1998, 32 x 32": (LeNet5_1998, (1, 32, 32), 10),
    "padded pools": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.Tanh(),
            nn.AvgPool2d(3, 2, padding=1),
            nn.AvgPool2d((3, 2), 2, padding=1, count_include_pad=False),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Flatten(),
            nn.Linear(3 * 2 * 2, 3),
        ),
        (1, 15, 13),
        3,
    ),
    "pools with ceil": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3),
            nn.Sigmoid(),
            nn.AvgPool2d(3, 2, padding=1, ceil_mode=True),
            nn.Tanh(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
            nn.Flatten(),
            nn.Linear(3 * 2 * 1, 3),
        ),
        (2, 16, 9),
        3,
    ),
    "dilated maximum, fixed divisor": (
        lambda: nn.Sequential(
            nn.MaxPool2d(2, 1, dilation=(2, 3)),
            nn.Conv2d(1, 2, 3),
            nn.ReLU(),
            nn.AvgPool2d(2, padding=1, divisor_override=3),
            nn.Flatten(),
            nn.Linear(2 * 4 * 4, 3),
        ),
        (1, 11, 12),
        3,
    ),
    "zeros and a constant around, same for an even filter": (
        lambda: nn.Sequential(
            nn.ConstantPad2d((0, 1, 2, 0), 0.5),
            nn.Conv2d(1, 2, (2, 4), padding="same"),
            nn.Tanh(),
            nn.ZeroPad2d((1, 0, 0, 2)),
            nn.Sigmoid(),
            nn.Conv2d(2, 4, (3, 8)),
            nn.ReLU(),
            nn.Conv2d(4, 5, (4, 1)),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(5, 3),
        ),
        (1, 2, 6),
        3,
    ),
    "border around a filter that covers its whole input": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, (3, 2)),
            nn.Tanh(),
            nn.Conv2d(4, 3, (1, 2), padding=(1, 2)),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(3 * 3 * 4, 3),
        ),
        (1, 3, 2),
        3,
    ),
    "pool first, activations in a row": (
        lambda: nn.Sequential(
            nn.AvgPool2d(2),
            nn.Tanh(),
            nn.Sigmoid(),
            nn.Conv2d(1, 2, 3, padding=2),
            nn.Tanh(),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * 9 * 9, 3),
        ),
        (1, 15, 14),
        3,
    ),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradient_are_those_of_torch_in_float64(name, loss, rng):
    make, shape, classes = NETWORKS[name]
    model = drawn(make(), 1)
    seen = pictures(rng, 37, shape, classes)
    gradients, total = build(model, shape, loss=loss).gradient(seen)
    double = make().double()
    double.load_state_dict(model.state_dict())
    scores = double(torch.from_numpy(TABLE[seen.images]).double())
    labels = torch.from_numpy(seen.labels).long()
    if loss == "cross_entropy":
        exact = nn.functional.cross_entropy(scores, labels)
    else:
        exact = (scores - nn.functional.one_hot(labels, classes)).square().sum(1).mean()
    exact.backward()
    assert total / 37 == pytest.approx(exact.item(), rel=2e-6)
    ordered = native_layers(make())[1]
    found = {id(p): g for p, g in zip(native_layers(model)[1], gradients, strict=True)}
    assert len(ordered) == len(gradients)
    for ours, exactly in zip(model.parameters(), double.parameters(), strict=True):
        scale = exactly.grad.abs().max().item()
        error = np.abs(found[id(ours)].reshape(ours.shape) - exactly.grad.numpy()).max()
        assert error <= 5e-6 * scale


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits_for_every_number_of_threads_and_for_avx2_and_avx512(name, rng):
    make, shape, classes = NETWORKS[name]
    model = drawn(make(), 2)
    seen = pictures(rng, 100, shape, classes)
    order = rng.permutation(100)
    found = set()
    for threads, instructions, half_blocks in product((1, 2, 3), SETS, (False, True)):
        engine = build(
            model,
            shape,
            momentum=0.9,
            nesterov=True,
            weight_decay=1e-3,
            threads=threads,
            instruction_set=instructions,
            half_blocks=half_blocks,
        )
        engine.train(seen, order, 100, [0.1])
        engine.train(seen, order, 23, [0.1, 0.05, 0.02, 0.01, 0.1])
        found.add(digest([*engine.state(), *engine.state(FIRST), engine.outputs(seen)]))
    assert len(found) == 1


def test_a_short_training_run_has_the_golden_bits(rng):
    if not SETS:
        pytest.skip("a processor without fused multiply-add has its own bits")
    images = (np.arange(200 * 784, dtype=np.uint32) * 2654435761 >> 24).astype(np.uint8).reshape(200, 1, 28, 28)
    seen = Pictures(images, TABLE, labels=np.arange(200, dtype=np.int32) % 10)
    engine = NativeEngine(plan_network(native_layers(LeNet5("table"))[0], (1, 28, 28)), momentum=0.9)
    weights = [
        ((np.arange(np.prod(p.shape)) % 17 - 8) / 64).astype(np.float32).reshape(p.shape)
        for p in engine.plan.parameters
    ]
    engine.load(weights)
    reached, _ = engine.train(seen, np.arange(200)[::-1], 64, [0.1, 0.1, 0.1, 0.1])
    assert reached == 4
    assert digest(engine.state()) == GOLDEN


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 17, 24, 25, 56, 264])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_half_a_block_changes_no_bit_of_any_batch(size, kind, rng):
    make, shape, classes = NETWORKS["1998 layers"]
    seen = pictures(rng, size, shape, classes)
    seen = replace(seen, images=seen.images.astype(kind), gain=1 / 255)
    shifts = rng.integers(-2, 3, (size, 2))
    found = set()
    for half_blocks, instructions, threads in product((False, True), SETS, (1, 2)):
        settings = {"half_blocks": half_blocks, "instruction_set": instructions, "threads": threads}
        engine = build(drawn(make(), 3), shape, **settings)
        engine.train(seen, np.arange(size), size, [0.1], shifts=shifts)
        found.add(digest([*engine.state(), engine.outputs(seen), *engine.losses(seen)]))
    assert len(found) == 1


def test_without_kernels_for_half_a_block_whole_ones_are_taken(rng):
    make, shape, classes = NETWORKS["1998 layers"]
    seen = pictures(rng, 20, shape, classes)
    found = set()
    for half_blocks in (False, True):
        engine = build(drawn(make(), 3), shape, half_blocks=half_blocks, instruction_set="baseline")
        engine.train(seen, np.arange(20), 20, [0.1])
        found.add(digest([*engine.state(), engine.outputs(seen)]))
    assert len(found) == 1


def two_pixels(**options) -> NativeEngine:
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(2, 2))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)
    return build(model, (1, 1, 2), loss="squared", **options)


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize("count", [5, 8, 11])
def test_lanes_that_are_left_over_bring_nothing_infinite_into_a_gradient(count, instructions):
    table = TABLE.copy()
    table[0] = -np.inf  # and no image has a byte 0
    seen = Pictures(np.ones((count, 1, 1, 2), np.uint8), table, labels=np.zeros(count, np.int32))
    found = set()
    for half_blocks in (False, True):
        gradients, _ = two_pixels(half_blocks=half_blocks, instruction_set=instructions).gradient(seen)
        assert all(np.isfinite(g).all() for g in gradients)
        found.add(digest(gradients))
    assert len(found) == 1


@pytest.mark.parametrize("instructions", SETS)
def test_half_a_block_has_the_zeros_of_a_whole_one(instructions):
    tiny = np.full((8, 1, 1, 2), 1e-30, np.float32)
    seen = Pictures(tiny, TABLE, labels=np.zeros(8, np.int32))
    found = set()
    for half_blocks in (False, True):
        engine = two_pixels(half_blocks=half_blocks, instruction_set=instructions)
        engine.load(
            [
                np.full(p.shape, 1e-3 if p.shape == (1, 1, 1) else 1e-20 * (len(p.shape) > 1), np.float32)
                for p in engine.plan.parameters
            ]
        )
        found.add(digest(engine.gradient(seen)[0]))
    assert len(found) == 1


# Changed with the tanh whose first interval is a product (other last bits below 5/64), and when pooling began to sum
# the bias gradients of the convolution under it, window by window.
GOLDEN = "df3a0e1250434a1b"


def test_a_last_batch_may_be_cut_into_more_pieces_than_the_full_ones(rng):
    model = drawn(NETWORKS["linear"][0](), 4)
    seen, order = pictures(rng, 384 + 360, (1, 3, 4), 3), rng.permutation(384 + 360)
    whole, parts = (build(model, (1, 3, 4), threads=2) for _ in range(2))
    whole.train(seen, order, 384, [0.1, 0.1])
    parts.train(seen, order[:384], 384, [0.1])
    parts.train(seen, order[384:], 360, [0.1])
    assert digest(whole.state()) == digest(parts.state())


def test_adamw_goes_on_after_any_number_of_steps_as_if_it_had_never_stopped(rng):
    model = drawn(NETWORKS["linear"][0](), 5)
    seen, order = pictures(rng, 64, (1, 3, 4), 3), rng.permutation(64)
    whole, parts = (build(model, (1, 3, 4), optimizer="adamw", weight_decay=0.01) for _ in range(2))
    whole.train(seen, order, 8, [0.01] * 8)
    parts.train(seen, order, 8, [0.01] * 3)
    parts.train(seen, order, 8, [0.01] * 5, first=3, done=3)
    assert digest(whole.state()) == digest(parts.state())


def test_a_filter_that_covers_its_whole_input_is_a_dense_layer():
    plan = plan_network(native_layers(LeNet5_1998())[0], (1, 28, 28))
    kinds = [operation.kind for operation in plan.operations]
    assert kinds == ["pad", "convolution", "subsample", "convolution", "subsample", "dense", "dense", "distance"]
    assert plan.operations[5].weight.shape == (120, 400)
    assert plan_network(native_layers(LeNet5_1998())[0], (1, 32, 32)).operations[0].kind == "convolution"


def test_parameters_come_back_as_they_went_in():
    model = drawn(LeNet5("table"), 3)
    engine = build(model, (1, 28, 28))
    back = engine.state(PARAMETERS)
    assert all(
        np.array_equal(a.detach().numpy().reshape(b.shape), b) for a, b in zip(model.parameters(), back, strict=True)
    )
    assert engine.state(FIRST) == []


def test_the_plan_prints_layers_bytes_and_multiply_adds():
    text = str(plan_network(native_layers(LeNet5("table"))[0], (1, 28, 28)))
    assert "convolution        16x10x10 tanh           102,400        150,000" in text
    assert text.endswith(
        "583,552 bytes a block of 16 images, 326,520 multiply-adds an image, 264,000 bytes of parameters"
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Dropout(0.5)),
            "2 (Dropout(p=0.5, inplace=False)), which it cannot run",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="circular", padding=1)),
            "0 (Conv2d with padding_mode=circular), which it cannot run",
        ),
        (
            nn.Sequential(nn.Sequential(nn.MaxPool2d(3, padding=1, dilation=2))),
            "0.0 (MaxPool2d(kernel_size=3, stride=3, padding=1, dilation=2, ceil_mode=False)), which it cannot run",
        ),
        (nn.Linear(3, 2).double(), "weights of torch.float64, where it has float32 only"),
        (nn.Tanh(), "no convolution and no linear layer"),
    ],
)
def test_what_it_cannot_run_it_names(model, message):
    with pytest.raises(Unknown, match=f"^{re.escape(message)}$"):
        native_layers(model)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (1, 30, 30),
            (
                "plan_network(layers): expected images of (32, 32) pixels, or such as become that, got (30, 30); "
                "resize them."
            ),
        ),
    ],
)
def test_images_that_fit_no_layer_are_refused(shape, message):
    with pytest.raises(InvalidInput, match=f"^{re.escape(message)}$"):
        plan_network(native_layers(LeNet5_1998())[0], shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": np.array([0, 10], np.int32)},
            "NativeEngine(labels=...): expected classes 0 to 9, got 0 to 10; correct them.",
        ),
        (
            {"labels": np.zeros(3, np.int32)},
            (
                "NativeEngine(labels=...): expected a whole number for each image, "
                "got int32 of shape (3,); give one an image."
            ),
        ),
        (
            {"images": np.zeros((2, 1, 28, 27), np.uint8)},
            (
                "NativeEngine(images=...): expected packed uint8 or float32 of shape (n, 1, 28, 28), "
                "got uint8 of shape (2, 1, 28, 27); convert them."
            ),
        ),
        (
            {"images": np.zeros((2, 1, 28, 56), np.uint8)[..., ::2]},
            (
                "NativeEngine(images=...): expected packed uint8 or float32 of shape (n, 1, 28, 28), "
                "got uint8 of shape (2, 1, 28, 28), not packed; convert them."
            ),
        ),
        (
            {"table": np.zeros(255, np.float32)},
            "NativeEngine(table=...): expected 256 packed float32, got float32 of (255,); convert it.",
        ),
    ],
)
def test_sizes_are_checked_before_anything_is_computed(change, message):
    engine = build(LeNet5("table"), (1, 28, 28))
    good = {"images": np.zeros((2, 1, 28, 28), np.uint8), "table": TABLE, "labels": np.zeros(2, np.int32)}
    with pytest.raises(InvalidInput, match=f"^{re.escape(message)}$"):
        engine.train(Pictures(**{**good, **change}), np.arange(2), 2, [0.1])


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize("half", [False, True])
def test_an_infinite_weight_makes_no_nan_of_padding(instructions, half, rng):
    model = drawn(nn.Sequential(nn.Conv2d(1, 3, 5, padding=2), nn.Flatten()), 0)
    with torch.no_grad():
        model[0].weight[0, 0, 0, 4] = torch.inf  # meets padding alone
        model[0].weight[1, 0, 2, 2] = torch.inf
    engine = build(model, (1, 1, 1), instruction_set=instructions, half_blocks=half, threads=1)
    found = engine.outputs(Pictures(rng.integers(1, 256, (20, 1, 1, 1), dtype=np.uint8), TABLE))
    assert np.isfinite(found[:, [0, 2]]).all()
    assert np.isposinf(found[:, 1]).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("answer", [None, 0, np.bool_(False), []])
def test_any_answer_to_the_question_whether_to_stop_is_taken_as_python_takes_it(answer, threads, rng):
    engine = build(drawn(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), 0), (1, 3, 4), threads=threads)
    seen = pictures(rng, 40, (1, 3, 4), 3)
    expected = build(drawn(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), 0), (1, 3, 4), threads=1)
    for _ in range(2):
        found = engine.train(seen, np.arange(40), 10, [0.1] * 4, stopped=lambda: answer)
        assert found == expected.train(seen, np.arange(40), 10, [0.1] * 4)
    assert engine.train(seen, np.arange(40), 10, [0.1] * 4, stopped=lambda: np.bool_(True))[0] == 1
    with pytest.raises(ZeroDivisionError, match="zero"):
        engine.train(seen, np.arange(40), 10, [0.1] * 4, stopped=lambda: 1 // 0)
