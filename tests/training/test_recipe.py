"""Recipes: strict JSON, every field with its sentence, the schedule of torch, the pixels of the training split."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from tests.oracles.training import one_cycle_steps

from mathdnn.errors import InvalidInput
from mathdnn.training import PixelScale, Recipe, step_size
from mathdnn.training.batches import epoch_order, epoch_shifts, pixel_scale, pixel_table

RECIPES = st.sampled_from(["sgd", "adamw"]).flatmap(
    lambda optimizer: st.builds(
        Recipe,
        epochs=st.integers(1, 100_000),
        batch_size=st.integers(1, 1_000_000),
        lr=st.floats(0, 1e30, exclude_min=True),
        optimizer=st.just(optimizer),
        momentum=st.floats(0, 1, exclude_max=True) if optimizer == "sgd" else st.just(0.0),
        weight_decay=st.floats(0, 1e30),
        schedule=st.sampled_from(["constant", "one_cycle"]),
        loss=st.sampled_from(["cross_entropy", "squared"]),
        pixels=st.sampled_from(["unit", "standardised", "lecun1998"]),
        shift=st.integers(0, 64),
    )
)


@given(RECIPES)
def test_json_and_back_loses_nothing(recipe):
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_defaults_are_the_homework():
    assert Recipe() == Recipe(epochs=10, batch_size=100, lr=0.1, optimizer="sgd", momentum=0.0, pixels="unit")
    assert Recipe.from_json("{}") == Recipe()


def test_the_best_recipe():
    assert Recipe.best().to_json() == (
        '{"epochs":10,"batch_size":100,"lr":0.1,"optimizer":"sgd","momentum":0.9,"nesterov":true,'
        '"weight_decay":0.0005,"schedule":"one_cycle","loss":"cross_entropy","pixels":"standardised","shift":0}'
    )


def test_numbers_of_numpy_are_numbers():
    """As in a sweep over np.logspace; the recipe holds Python's, which it is kept and compared with."""
    swept = Recipe(lr=np.logspace(-3, -1, 3)[2], momentum=np.float64(0.9), epochs=np.int64(3), shift=np.uint8(1))
    plain = Recipe(lr=0.1, momentum=0.9, epochs=3, shift=1)
    assert swept == plain
    assert swept.to_json() == plain.to_json()
    assert [type(value) for value in (swept.lr, swept.momentum, swept.epochs, swept.shift)] == [float, float, int, int]


WRONG = [
    ("epochs", 0, "a whole number from 1 to 100,000"),
    ("epochs", 2.0, "a whole number from 1 to 100,000"),
    ("epochs", True, "a whole number from 1 to 100,000"),
    ("batch_size", 0, "a whole number from 1 to 1,000,000"),
    ("lr", 0.0, "a step size above 0, at most 1e30"),
    ("lr", -0.1, "a step size above 0, at most 1e30"),
    ("lr", float("nan"), "a step size above 0, at most 1e30"),
    ("lr", float("inf"), "a step size above 0, at most 1e30"),
    ("lr", 1e300, "a step size above 0, at most 1e30"),
    ("lr", True, "a step size above 0, at most 1e30"),
    ("lr", "0.1", "a step size above 0, at most 1e30"),
    ("optimizer", "adam", "one of sgd, adamw"),
    ("momentum", 1.0, "a momentum of at least 0 and below 1"),
    ("weight_decay", -1.0, "a weight decay from 0 to 1e30"),
    ("schedule", None, "one of constant, one_cycle"),
    ("loss", "kl", "one of cross_entropy, squared"),
    ("pixels", "raw", "one of unit, standardised, lecun1998"),
    ("shift", -1, "a whole number from 0 to 64"),
    ("nesterov", 1, "true or false"),
]


@pytest.mark.parametrize(("field", "value", "expected"), WRONG)
def test_a_wrong_field_is_named_with_its_value(field, value, expected):
    with pytest.raises(InvalidInput, match=r": expected .*; ") as caught:
        Recipe(**{field: value})
    assert str(caught.value) == f"Recipe({field}=...): expected {expected}, got {value!r}; change {field}."


def test_fields_that_do_not_go_together():
    with pytest.raises(
        InvalidInput, match=r"^Recipe\(momentum=...\): expected momentum above 0 where nesterov is true, got 0\.0"
    ):
        Recipe(nesterov=True)
    with pytest.raises(
        InvalidInput, match=r"^Recipe\(momentum=...\): expected momentum 0 with adamw, which has its own"
    ):
        Recipe(optimizer="adamw", momentum=0.9)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"epoch": 1}', '{"epochs": "10"}', '{"epochs": 1.5}', '{"lr": 1e400}', '{"lr": NaN}', "\x00",
     '{"lr": -1}', b"\xff", "[" * 100_000, '{"nesterov": 1}'],
)  # fmt: skip
def test_what_is_no_recipe_is_refused_in_one_sentence(text):
    with pytest.raises(
        InvalidInput, match=r"^Recipe.from_json\(text\): expected a recipe as one JSON object, got .*; cor"
    ):
        Recipe.from_json(text)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 10, 37, 600])
def test_one_cycle_takes_the_steps_of_torch(steps):
    recipe = Recipe(schedule="one_cycle", lr=0.3)
    mine = [step_size(recipe, step, steps) for step in range(steps)]
    np.testing.assert_allclose(mine, one_cycle_steps(0.3, steps), rtol=1e-12, atol=1e-18)


@given(st.integers(0, 2**63 - 1), st.integers(0, 1000), st.integers(1, 300))
def test_every_epoch_sees_every_image_once(seed, epoch, n):
    order = epoch_order(seed, epoch, n)
    assert sorted(order.tolist()) == list(range(n))


def test_the_draws_are_those_of_every_machine():
    assert epoch_order(0, 0, 10).tolist() == [0, 8, 9, 3, 7, 5, 1, 2, 6, 4]
    assert epoch_shifts(0, 0, 4, 2).tolist() == [[0, 2], [2, 0], [-1, -2], [0, 2]]


def test_epochs_and_seeds_draw_differently():
    drawn = {tuple(epoch_order(seed, epoch, 20).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(drawn) == 25


def test_shifts_are_uniform_within_their_reach():
    shifts = epoch_shifts(3, 1, 50_000, 1)
    counts = np.bincount((shifts[:, 0] + 1) * 3 + shifts[:, 1] + 1, minlength=9)
    assert abs(counts - 50_000 / 9).max() < 5 * (50_000 / 9) ** 0.5


def test_unit_pixels_are_the_rounded_quotient():
    table = pixel_table(PixelScale())
    np.testing.assert_array_equal(table, np.arange(256, dtype=np.float32) / np.float32(255))


def test_lecun_pixels_run_from_background_to_ink():
    table = pixel_table(pixel_scale(Recipe(pixels="lecun1998"), np.zeros((1, 2, 2), np.uint8)))
    assert (table[0], table[255]) == (np.float32(-0.1), np.float32(1.175))


def test_standardised_pixels_have_mean_zero_and_variance_one(rng):
    images = rng.integers(0, 256, (5000, 4, 4)).astype(np.uint8)
    scaled = pixel_table(pixel_scale(Recipe(pixels="standardised"), images))[images].astype(np.float64)
    assert abs(scaled.mean()) < 1e-6
    assert abs(scaled.std() - 1) < 1e-6


def test_images_all_alike_are_centred_only():
    assert pixel_scale(Recipe(pixels="standardised"), np.full((2, 2, 2), 51, np.uint8)) == PixelScale(-0.2, 1.0)
