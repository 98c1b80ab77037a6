"""Rounded weights that few images show: what they say is what fractions say, and a wrong guess says nothing."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.verify.tampering import replaced

from mathdnn.convolution import as_conv2d, equal_maps
from mathdnn.convolution.trace import trace
from mathdnn.verdict import Status
from mathdnn.verify import chances, rounded, verify, weights
from mathdnn.verify.numbers import Modular, is_sparse
from mathdnn.verify.sides import pixels, run, several
from mathdnn.verify.twofold import Twofold

NINTH = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float32)
THIRD = float(np.float32(1 / 3))


def flattened(x):
    return F.conv2d(x.reshape(2, 6, 6)[None], torch.tensor([[[[0.1, 0.7]], [[0.3, 0.9]]]], dtype=x.dtype)) / 3


OPERATIONS = {
    "box": (lambda x: F.avg_pool2d(x, 3, 1), (2, 6, 6)),
    "mean": (lambda x: x.mean((2, 3), keepdim=True), (2, 6, 6)),
    "shifted": (lambda x: F.avg_pool2d(x, 3, 2) / 7 + 0.3, (1, 7, 7)),
    "transposed": (lambda x: F.conv_transpose2d(x, NINTH.to(x.dtype) / 3, stride=2), (1, 4, 4)),
    "around": (lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), NINTH.to(x.dtype) / 3), (1, 5, 5)),
    "one image at a time": (flattened, (2, 6, 6)),
    "ties": (lambda x: F.conv2d(F.conv2d(x, NINTH.to(x.dtype)[..., :1]), NINTH.to(x.dtype)[..., :1, :]), (1, 6, 6)),
}  # fmt: skip


def sides_of(name, module=False):
    operation, shape = OPERATIONS[name]
    form = as_conv2d(operation, shape).evidence.form.rounded("float32")
    verdict = equal_maps(operation, form.to_module() if module else form, shape, rounded=True)
    assert verdict.status is Status.PROVED
    return verdict.evidence.data["left"], verdict.evidence.data["right"]


def said(left, right, most=rounded.MOST):
    return weights.stand_for(left, right, "float32", random.Random(0), most)


@pytest.mark.parametrize("module", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
def test_true_ones_are_seen_in_few_images(name, module):
    left, right = sides_of(name, module)
    assert said(left, right)
    assert rounded.rounds(left, right, "float32", range(-1, pixels(left)))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_float_beside_the_nearest_is_seen(name):
    left, right = sides_of(name)
    for key, k in (("weight", 0), ("weight", -1), ("bias", 0)):
        values = right["form"]["weight"]["values"] if key == "weight" else right["form"]["bias"]
        if values is None:
            continue
        value = np.float32(float(Fraction(values[k])))
        for end in (-np.inf, np.inf):
            beside = str(Fraction(float(np.nextafter(value, np.float32(end)))))
            place = ("form", "weight", "values", k % len(values)) if key == "weight" else ("form", "bias", k)
            wrong = replaced(right, place, beside)
            assert not said(left, wrong)
            assert not rounded.all_round(left, wrong, "float32", random.Random(0))


def traced(operation, shape):
    return {"graph": trace(operation, (1, *shape)).to_plain(), "input": [1, *shape]}


@pytest.mark.parametrize(("by", "holds"), [(2.0**-40, True), (2.0**-10, False)])
@pytest.mark.parametrize("pixel", [0, 7, 35])
def test_one_coefficient_that_is_another_is_seen(pixel, by, holds):
    """Where it rounds to the same float, no number stands for that float everywhere: each coefficient is looked at."""
    more = torch.zeros(36)
    more[pixel] = by
    left = traced(lambda x: x / 3 + x * more.reshape(6, 6).to(x.dtype), (1, 6, 6))
    right = traced(lambda x: F.conv2d(x, torch.full((1, 1, 1, 1), THIRD, dtype=x.dtype)), (1, 6, 6))
    assert not said(left, right)
    assert rounded.all_round(left, right, "float32", random.Random(0)) is holds


def test_a_graph_that_does_more_than_its_layer_is_not_taken_for_it():
    left = traced(lambda x: x / 1.5, (1, 6, 6))
    right = traced(lambda x: F.conv2d(x, torch.full((1, 1, 1, 1), THIRD, dtype=x.dtype)) * 2, (1, 6, 6))
    assert not said(left, right)
    assert rounded.all_round(left, right, "float32", random.Random(0))
    assert not said(traced(lambda x: x / 3, (1, 6, 6)), right)


@pytest.mark.parametrize("name", OPERATIONS)
def test_images_that_are_run_at_once_are_only_a_guess(name, monkeypatch):
    """A graph that would give others for several images, and one that gives none, say the same or nothing."""
    left, right = sides_of(name)
    monkeypatch.setattr(weights, "several", lambda side, number: side)  # cannot be run
    assert said(left, right)
    other = traced(lambda x: OPERATIONS[name][0](x) * 0.9, OPERATIONS[name][1])
    monkeypatch.setattr(weights, "several", lambda side, number: several(other, number))
    assert not said(left, right)
    monkeypatch.setattr(weights, "several", lambda side, number: several(left, number))
    assert not said(other, right)


def test_several_images_give_what_each_gives(rng):
    for name in OPERATIONS:
        left, _ = sides_of(name)
        field = Modular(2**31 - 1)
        images = rng.integers(0, field.prime, (3, pixels(left)))
        if name in ("one image at a time", "around"):
            with pytest.raises(ValueError, match=r"^cannot reshape array of size 216|^operands could not be broadcast"):
                run(several(left, 3), images, field)
            continue
        made = run(several(left, 3), images, field)[0]
        assert np.array_equal(made, np.concatenate([run(left, image, field)[0] for image in images]))


def test_a_layer_that_would_take_too_many_images_is_left_to_others():
    kernel = torch.arange(1, 37, dtype=torch.float32).reshape(1, 1, 6, 6)
    operation = lambda x: F.conv2d(x, kernel.to(x.dtype)) / 3  # noqa: E731
    form = as_conv2d(operation, (1, 6, 6)).evidence.form.rounded("float32")
    data = equal_maps(operation, form, (1, 6, 6), rounded=True).evidence.data
    assert said(data["left"], data["right"], 36 * 36)
    assert not said(data["left"], data["right"], 36 * 35)


def row_of(values, **changes):
    form = {"stride": [1, 1], "padding": [[0, 0], [0, 0]], "padding_mode": "zeros", "dilation": [1, 1], "groups": 1}
    weight = {"shape": [1, 1, 1, len(values)], "values": [str(value) for value in values]}
    return {"form": form | {"bias": None, "weight": weight} | changes, "input": [1, 1, 3, 6]}


def test_what_only_seems_to_be_in_the_middle_is_seen():
    """2^-200 beside the middle of two floats: some 100 bits do not tell, a prime does."""
    middle, more = 1 + Fraction(1, 2**24), Fraction(1, 2**200)
    for value, nearest, other in ((middle + more, 1 + Fraction(1, 2**23), 1), (middle, 1, 1 + Fraction(1, 2**23))):
        assert rounded.all_round(row_of([value]), row_of([nearest]), "float32", random.Random(0))
        assert not rounded.all_round(row_of([value]), row_of([other]), "float32", random.Random(0))
        assert said(row_of([value]), row_of([nearest])) is (value == middle)
        assert not said(row_of([value]), row_of([other]))


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_sums_of_rounded_weights_are_not_rounded_sums(mode):
    thirds = [Fraction(1, 3), Fraction(1, 7), Fraction(1, 10)]
    floats = [Fraction(float(np.float32(float(value)))) for value in thirds]
    around = {"padding_mode": mode, "padding": [[0, 0], [1, 1]]}
    left, right = row_of(thirds, **around), row_of(floats, **around)
    assert not said(left, right)
    assert not rounded.all_round(left, right, "float32", random.Random(0))
    assert not rounded.rounds(left, right, "float32", range(-1, 18))


def test_the_points_count_guesses_and_what_is_guessed(monkeypatch):
    """Each guess beside a middle is another chance to be wrong: as many more bits are asked for."""
    asked = []

    def counted(bits, sure):
        asked.append((bits, sure))
        return points(bits, sure)

    points = chances.points_for
    monkeypatch.setattr(weights, "points_for", counted)
    exact = [1 + Fraction(1, 2**24), 1 + Fraction(3, 2**24), Fraction(3)]
    left, right = row_of(exact), row_of([Fraction(float(np.float32(float(value)))) for value in exact])
    assert said(left, right)
    assert {sure for _, sure in asked} == {chances.SURE + 3}  # 2 guesses, the side, a graph
    numbers = chances.Measured(2**31 - 1)
    run(left, np.zeros(18, np.int64), numbers)
    assert all(bits >= 2 * numbers.bits + 64 for bits, _ in asked)


def test_few_numbers_are_added_up_as_all_are(rng):
    terms = [np.where(rng.random((5, 7)) < 0.03, rng.integers(1, 2**31 - 1, (5, 7)), 0) for _ in range(9)]
    assert is_sparse(terms)
    assert not is_sparse([term + 1 for term in terms])
    for count in (1, 6):
        a = rng.integers(0, 2**31 - 1, (count, 9))
        exact = np.tensordot(a.astype(object), np.stack(terms).astype(object), 1)
        assert (Modular(2**31 - 1).dot(a, terms) == exact % (2**31 - 1)).all()
        made = Twofold().dot(a.astype(complex), [term.astype(complex) for term in terms])
        whole = made.real.astype(np.int64).astype(object) + made.imag.astype(np.int64)
        assert (whole == exact).all()


def test_a_certificate_with_many_weights_takes_few_images(monkeypatch, rng):
    shown = []
    read = weights._Shown._read

    def counted(self, numbers, dtype):
        shown.append(len(self.images))
        return read(self, numbers, dtype)

    kernel = torch.tensor(rng.normal(size=(4, 3, 5, 5)), dtype=torch.float32)
    operation = lambda x: F.conv2d(x, kernel.to(x.dtype), padding=2) / 3  # noqa: E731
    form = as_conv2d(operation, (3, 24, 24)).evidence.form.rounded("float32")
    verdict = equal_maps(operation, form, (3, 24, 24), rounded=True)
    monkeypatch.setattr(weights._Shown, "_read", counted)
    monkeypatch.setattr(rounded, "_Nearest", None)
    assert verify(verdict).status is Status.PROVED
    assert set(shown) == {2}  # zeros, and one with a pixel of each channel
