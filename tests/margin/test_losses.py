"""The losses against 60 digits of mpmath, the homework's own formulas, and wrong twins."""

from __future__ import annotations

import re

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles.margin import DERIVATIVE, VALUE, ulps
from tests.saboteurs.margin import (
    squares_derivative_without_sigma,
    squares_without_the_factor,
    textbook_sigma_of_minus,
)

from mathdnn.errors import InvalidInput
from mathdnn.margin.losses import LOSSES, margin_loss, right, sigmoid, softplus, specification

NAMES = tuple(LOSSES)
# m, and what the textbook forms lose: sigma(-m) at 37 and 745 (the last above 0), 1 + e^-m at -710, the kink at 1
EDGES = [0.0, -0.0, 1.0, 5e-324, 17.0, 37.0, 43.5, 51.5, 88.0, 103.5, 354.0, 372.0, 709.0, 745.0, 746.0, 1e5, 1e308]


def margins(dtype: type) -> np.ndarray:
    """A dense set around 0 and an extreme one, both signs."""
    extreme = np.array([m for m in EDGES if m <= float(np.finfo(dtype).max)], dtype)
    near = np.nextafter(dtype(1), dtype([0, 2]))
    dense = np.linspace(-120, 120, 2403, dtype=dtype)
    return np.concatenate([dense, extreme, -extreme, near])


# Few ulp, with what numpy's own float32 exp (up to 2.6) and squaring (doubles a relative error) take of them.
LIMIT = {
    ("value", np.float64): 6,
    ("derivative", np.float64): 8,
    ("value", np.float32): 8,
    ("derivative", np.float32): 8,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_value_and_derivative_are_right_to_a_few_ulp_everywhere(name, dtype):
    m = margins(dtype)
    for kind, truth in (("value", VALUE[name]), ("derivative", DERIVATIVE[name])):
        found = getattr(LOSSES[name], kind)(m)
        assert found.dtype == dtype
        off = ulps(found, m, truth)
        assert off.max() <= LIMIT[kind, dtype], (kind, off.max(), m[off.argmax()])


@pytest.mark.parametrize("name", ["logistic", "sum_of_squares", "hinge"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bounded_losses_stay_finite_for_every_finite_score(name, dtype):
    largest = np.finfo(dtype).max
    m = np.array([-largest, largest], dtype)
    assert np.isfinite(LOSSES[name].value(m)).all()
    assert np.isfinite(LOSSES[name].derivative(m)).all()


@given(st.floats(-745, 745), st.sampled_from(["logistic", "sum_of_squares", "hinge"]))
def test_derivative_keeps_its_bound_and_its_sign(m, name):
    slope = float(LOSSES[name].derivative(np.float64(m)))
    assert -LOSSES[name].bound * (1 + 1e-15) <= slope <= 0


def test_the_bounds_are_reached():
    at = {"logistic": -50.0, "sum_of_squares": -np.log(2), "hinge": 0.0}
    for name, m in at.items():
        assert -LOSSES[name].derivative(np.float64(m)) == pytest.approx(LOSSES[name].bound, rel=1e-15)
    assert LOSSES["squared_hinge"].bound == LOSSES["exponential"].bound == np.inf


def test_squares_vanish_where_badly_wrong():
    assert LOSSES["sum_of_squares"].derivative(np.float64(-800)) == 0
    assert LOSSES["logistic"].derivative(np.float64(-800)) == -1


@pytest.mark.parametrize("name", ["hinge", "squared_hinge"])
def test_at_the_kink_the_derivative_is_zero(name):
    assert LOSSES[name].derivative(np.float64(1)) == 0
    assert LOSSES[name].derivative(np.nextafter(1.0, 0.0)) < 0


@pytest.mark.parametrize("name", ["logistic", "sum_of_squares"])
@pytest.mark.parametrize("y", [-1, 1])
def test_value_is_the_homeworks_own_formula(name, y):
    for z in np.linspace(-20, 20, 101):
        expected = specification(name, float(z), y)
        assert LOSSES[name].value(np.float64(y * z)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_derivative_is_that_of_the_value(name):
    for m in (-3.0, -0.5, 0.25, 2.0):
        slope = float(mpmath.diff(VALUE[name], m))
        assert LOSSES[name].derivative(np.float64(m)) == pytest.approx(slope, rel=1e-12)


def test_saboteurs_are_rejected():
    m = np.array([40.0])
    assert ulps(textbook_sigma_of_minus(m), m, DERIVATIVE["logistic"]).max() > 1e10
    assert squares_without_the_factor(0.5) != pytest.approx(specification("sum_of_squares", 0.5, 1), rel=1e-6)
    slope = float(mpmath.diff(VALUE["sum_of_squares"], 0.5))
    assert squares_derivative_without_sigma(0.5) != pytest.approx(slope, rel=1e-3)


def test_sigmoid_and_softplus_are_the_logistic_family():
    z = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(sigmoid(z) + sigmoid(-z), 1, rtol=1e-15)
    np.testing.assert_allclose(softplus(z) - softplus(-z), z, atol=1e-14)


def test_a_tie_is_right_for_both_labels():
    z, y = np.array([0.0, -0.0, 1.0, 1.0]), np.array([-1.0, 1.0, 1.0, -1.0])
    assert right(z, y).tolist() == [True, True, True, False]


def test_unknown_names_are_refused():
    sentence = (
        "margin_loss(loss): expected one of logistic, sum_of_squares, hinge, squared_hinge, exponential, "
        "got 'log'; choose one of them."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        margin_loss("log")
    sentence = "specification(name): expected logistic or sum_of_squares, got 'hinge'; choose one of them."
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        specification("hinge", 0.0, 1)
