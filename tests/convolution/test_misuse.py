"""Operations that cannot be asked about: one clear sentence each, and nothing hangs."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.convolution import as_conv2d
from mathdnn.convolution.pool import Pool
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status
from mathdnn.verify import verify


class Counting:
    """Does something else on every call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x * self.calls


def _raises(x):
    raise RuntimeError("no such luck\nsecond line")


def _forever(x):
    while True:
        pass


def _huge(x):
    return torch.zeros(1 << 50)


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(1, 1, 4, 4))

    def forward(self, x):
        self.last.copy_(x)
        return x + 0 * self.last


BAD = {
    "raises": (
        _raises,
        "an operation that runs on a torch.float32 image of shape (1, 1, 4, 4), got RuntimeError: no such luck",
    ),
    "in place": (lambda x: x.mul_(2), "an operation that leaves its input alone, got one that writes into it"),
    "random": (lambda x: x + torch.rand(1), "the same output at every call, got random numbers from aten.rand.default"),
    "python random": (Counting(), "the same output at every call, got two outputs for one image"),
    "dtype": (lambda x: x.double(), "the image's own dtype torch.float32 back, got torch.float64"),
    "rank": (lambda x: x.sum(), "an image for an image, and a batch for a batch of the same length, got shape ()"),
    "five axes": (lambda x: x[None, None], "an image for an image"),
    "tuple": (lambda x: (x, x), "a tensor back, got a tuple"),
    "number": (lambda x: 3.0, "a tensor back, got a float"),
    "nan": (lambda x: x * float("nan"), "finite numbers for finite pixels, got NaN or infinity"),
    "empty": (lambda x: x[..., :0], "an image for an image"),
    "memory": (_huge, "an operation that runs on a torch.float32 image"),
    "not callable": (3, "a callable or an nn.Module, got a int"),
    "meta device": (lambda x: x.to("meta"), "a result on the cpu, got one on meta"),
    "meta weights": (
        nn.Sequential(nn.Conv2d(1, 1, 3, device="meta")),
        "a module whose weights have values, got one with weights on device meta; build it on the cpu, or load its",
    ),
    "training": (nn.Dropout(), "the same output at every call, got random numbers from aten.bernoulli"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_sentence(name):
    op, words = BAD[name]
    with pytest.raises(InvalidInput, match=re.escape(words)) as caught:
        as_conv2d(op, (1, 4, 4))
    text = str(caught.value)
    assert text.startswith("as_conv2d: expected ")
    assert "\n" not in text


def test_a_time_limit_ends_what_runs_for_ever():
    with pytest.raises(
        InvalidInput, match=r"^as_conv2d: expected an operation that ends within 0.2 seconds, got one that"
    ):
        as_conv2d(_forever, (1, 4, 4), seconds=0.2)


@pytest.mark.parametrize("shape", [(), (4,), (1, 0, 4), (1, -1, 4), (1, 2.0, 4), "1,4,4", (1, 2, 3, 4, 5), None])
def test_shapes_that_are_none(shape):
    with pytest.raises(InvalidInput, match=r"^as_conv2d\(input_shape=...\): expected \(H, W\), \(C, H, W\) or"):
        as_conv2d(nn.ReLU(), shape)


def test_a_huge_shape_is_refused_before_anything_runs():
    with pytest.raises(
        InvalidInput, match=r"^as_conv2d\(input_shape=...\): expected at most 67108864 values, got 3 x 1000000"
    ):
        as_conv2d(_forever, (3, 1_000_000, 1_000_000))


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, "float8", "int32"])
def test_dtypes_without_exact_weights_are_refused(dtype):
    with pytest.raises(InvalidInput, match=r"^as_conv2d\(dtype=...\): expected torch.float32 or torch.float64, got"):
        as_conv2d(nn.Identity(), (1, 4, 4), dtype=dtype)


def test_a_layer_that_keeps_what_it_saw_is_not_proved():
    assert as_conv2d(Remembering(), (1, 4, 4)).status is Status.UNDECIDED


def test_numpy_inside_is_not_mistaken_for_a_constant():
    verdict = as_conv2d(lambda x: torch.from_numpy(x.detach().numpy() * 2), (1, 4, 4))
    assert verdict.status is Status.UNDECIDED
    assert "it leaves torch for NumPy" in str(verdict)


def test_what_behaves_differently_while_it_is_read_is_not_proved():
    """An operation that shows the reader a convolution, and is none."""
    from torch._subclasses import FakeTensor

    def two_faced(x):
        return x if isinstance(x, FakeTensor) else x.flip(-1)

    verdict = as_conv2d(two_faced, (1, 4, 4))
    assert verdict.status is Status.UNDECIDED
    assert "a real call gave another result than its graph" in str(verdict)


ASKS_FOR_GRADIENTS = {
    "the image": lambda x: x * 3 if x.requires_grad else x * 2,
    "what is made of it": lambda x: x.flip(-1) if (x * 2).grad_fn is not None else x,
    "a leaf alone": lambda x: x * 3 if x.is_leaf and x.requires_grad else x * 2,
    "a shape": lambda x: x[..., :3] if x.requires_grad else x,
}


@pytest.mark.parametrize("name", ASKS_FOR_GRADIENTS)
def test_what_does_another_thing_with_an_image_that_requires_gradients_is_not_proved(name):
    verdict = as_conv2d(ASKS_FOR_GRADIENTS[name], (1, 4, 4))
    assert verdict.status is Status.UNDECIDED
    assert "with gradients enabled gave another result" in str(verdict)


def test_what_cannot_take_an_image_that_requires_gradients_is_still_read():
    def into(x):
        return torch.add(x, x, out=x.new_zeros(x.shape))  # torch refuses that with gradients

    assert as_conv2d(into, (1, 4, 4)).status is Status.PROVED


def test_uninitialised_memory_is_never_a_weight():
    try:
        found = str(as_conv2d(lambda x: x + 0 * torch.empty_like(x), (1, 4, 4)).status)
    except InvalidInput as error:
        found = str(error)
    assert found in ("refuted", "undecided") or "finite numbers" in found  # which the memory may happen not to hold


def test_half_precision_inside_is_not_read_as_exact():
    assert as_conv2d(lambda x: x.half().float(), (1, 4, 4)).status is not Status.PROVED


def test_whole_numbers_inside_are_not_linear():
    assert as_conv2d(lambda x: x.int().float(), (1, 4, 4)).status is Status.REFUTED


@pytest.mark.parametrize("opaque", [False, True])
def test_both_readings_of_an_operation_are_told_apart(opaque):
    if opaque:
        assert as_conv2d(lambda a: a[1:] - a[:-1], (4, 5), opaque=True).status is Status.PROVED
        return
    verdict = as_conv2d(lambda x: x[:, 1:] - x[:, :-1], (3, 4, 5))
    assert "batched=False" in str(verdict.assumptions[-1])
    single = as_conv2d(lambda x: x[:, 1:] - x[:, :-1], (3, 4, 5), batched=False)
    assert single.evidence.form.kernel_size == (2, 1)


def test_opaque_operations_have_a_limit_on_pixels():
    with pytest.raises(InvalidInput, match=r"^as_conv2d\(opaque=True\): expected at most 20000 pixels, one call each"):
        as_conv2d(np.flip, (200, 200), opaque=True)


def test_opaque_says_that_linearity_is_assumed():
    verdict = as_conv2d(lambda a: 2 * a, (4, 4), opaque=True)
    assert verdict.equality is None
    assert str(verdict.assumptions[0]).startswith("the operation is affine (not shown, as its code was not read")


def test_an_opaque_operation_wrong_at_one_value_keeps_its_assumption():
    """Probing cannot see it; the verdict must not hide that."""
    verdict = as_conv2d(lambda a: np.where(a == 0.123456, 0, a), (4, 4), opaque=True)
    assert verdict.assumptions


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr("mathdnn.convolution.prove.Pool", lambda pixels: Pool(pixels, limit=100))


def test_what_is_too_large_to_multiply_out_is_refuted_where_it_is_not_affine(little_memory):
    verdict = as_conv2d(lambda x: (x - x.mean()) / x.std(), (1, 8, 8))
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is Status.PROVED


def test_what_is_affine_and_too_large_to_multiply_out_is_one_sentence(little_memory):
    with pytest.raises(
        InvalidInput, match=r"^as_conv2d: expected a map that fits in memory, got \d+ coefficients, more"
    ):
        as_conv2d(lambda x: x - x.mean(), (1, 8, 8))
