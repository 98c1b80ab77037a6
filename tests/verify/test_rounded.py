"""Rounded weights: every coefficient is compared, from few images, as fractions would have it."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.verify.tampering import replaced

from mathdnn.convolution import as_conv2d, equal_maps
from mathdnn.verdict import Status
from mathdnn.verify import rounded, verify
from mathdnn.verify.numbers import Modular
from mathdnn.verify.sides import pixels

KERNELS = {
    "drawn": lambda rng, k: rng.normal(size=(k, k)),
    "ties": lambda rng, k: rng.integers(-(2**13), 2**13, (k, k)) / 2**13,  # products of 26 bits
    "zeros": lambda rng, k: rng.integers(-1, 2, (k, k)),  # sums that cancel
    "far apart": lambda rng, k: np.ldexp(rng.normal(size=(k, k)), rng.integers(-40, 40, (k, k))),
    "subnormal": lambda rng, k: np.ldexp(rng.normal(size=(k, k)), -70),
}


def chain(kernels, bias, divisor):
    first, second = (torch.tensor(kernel)[None, None] for kernel in kernels)

    def operation(x):
        return F.conv2d(F.conv2d(x, first.to(x.dtype), bias.to(x.dtype), padding=1) / divisor, second.to(x.dtype))

    return operation


def compared(operation, shape, dtype):
    merged = as_conv2d(operation, shape, dtype=dtype).evidence.form.rounded(dtype)
    verdict = equal_maps(operation, merged, shape, dtype=dtype, rounded=True)
    assert verdict.status is Status.PROVED
    return verdict


def said(left, right, dtype, monkeypatch):
    """What the checker says, what it says without looking for a layer, and what fractions say, pixel by pixel."""
    exactly = rounded.rounds(left, right, dtype, range(-1, pixels(left)))
    answers = [rounded.all_round(left, right, dtype, random.Random(0))]
    with monkeypatch.context() as patched:
        patched.setattr(rounded, "stand_for", lambda *_: False)
        answers.append(rounded.all_round(left, right, dtype, random.Random(0)))
    return {*answers, exactly}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.filterwarnings("ignore:overflow|underflow|invalid:RuntimeWarning")
def test_the_checker_says_what_fractions_say(kind, dtype, rng, monkeypatch):
    kernels = [KERNELS[kind](rng, k).astype(dtype) for k in (2, 3)]
    data = compared(chain(kernels, torch.tensor([0.3]), 3 if kind == "drawn" else 1), (1, 5, 6), dtype).evidence.data
    assert said(data["left"], data["right"], dtype, monkeypatch) == {True}
    values = data["right"]["form"]["weight"]["values"]
    for k in rng.choice(len(values), 3, replace=False):
        value = np.array(float(Fraction(values[k])), dtype)
        for end in (-np.inf, np.inf):
            beside = str(Fraction(float(np.nextafter(value, np.array(end, dtype)))))
            wrong = replaced(data["right"], ("form", "weight", "values", int(k)), beside)
            assert said(data["left"], wrong, dtype, monkeypatch) == {False}


def test_a_chain_against_what_is_no_layer_takes_one_image_for_each_pixel_of_its_kernel(rng, monkeypatch):
    operation = chain([rng.normal(size=(3, 3)).astype("float32") for _ in range(2)], torch.zeros(1), 1)
    layer = as_conv2d(operation, (1, 32, 32)).evidence.form.to_module()
    verdict = equal_maps(operation, lambda x: layer(x * 2) / 2, (1, 32, 32), rounded=True)
    assert verdict.status is Status.PROVED
    images = []
    computed = rounded._Nearest._computed

    def counted(self, image):
        images.append(image)
        return computed(self, image)

    monkeypatch.setattr(rounded._Nearest, "_computed", counted)
    monkeypatch.setattr(rounded, "exactly", None)  # no fractions
    assert verify(verdict).status is Status.PROVED
    assert len(images) == 26  # a kernel of 5 x 5, and the constants


def test_more_coefficients_than_can_be_compared_are_told(monkeypatch):
    verdict = equal_maps(lambda x: x / 3, lambda x: x * (1 / 3), (1, 4, 4), rounded=True)
    assert verify(verdict).status is Status.PROVED
    monkeypatch.setattr("mathdnn.verify.rounded.MOST", 30)
    answer = verify(verdict)
    assert answer.status is Status.UNDECIDED
    assert "it has 32 coefficients, and up to 30 are compared one by one" in str(answer)


def test_more_fractions_than_can_be_compared_are_told(monkeypatch):
    tiny = torch.full((1, 1, 1, 1), 2.0**-600, dtype=torch.float64)  # floats might lose products of such
    verdict = equal_maps(
        lambda x: F.conv2d(x, tiny), lambda x: F.conv2d(x, tiny), (1, 4, 4), rounded=True, dtype="float64"
    )
    assert verify(verdict).status is Status.PROVED
    monkeypatch.setattr("mathdnn.verify.rounded.EXACTLY", 30)
    answer = verify(verdict)
    assert answer.status is Status.UNDECIDED
    assert "more than 30 of its coefficients would have to be compared in fractions" in str(answer)


def test_floats_become_remainders_as_fractions_do(rng):
    values = np.ldexp(rng.normal(size=200), rng.integers(-1070, 1000, 200))
    special = np.array([0.0, -0.0, 5e-324, 1.7e308, 2.0**53 + 2, -1.0])
    wide, field = np.array([2**64 - 1, 2**63], np.uint64), Modular(1_073_741_827)
    for some in (values, special, special[:3].astype(np.float32), wide, wide.astype(np.int64), np.array([True])):
        assert field.array(some).tolist() == [field.fraction(Fraction(value)) for value in some.tolist()]
    wider = [np.ones(1, np.longdouble)] * (np.dtype(np.longdouble).itemsize > 8)
    for bad in (np.array([np.nan]), np.array([np.inf]), *wider):
        with pytest.raises(ValueError, match=r"^a constant that is not finite, or no float64$"):
            field.array(bad)
