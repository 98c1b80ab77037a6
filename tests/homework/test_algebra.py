"""Identities are proved only where they hold."""

from __future__ import annotations

from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mathdnn.homework import problem5_algebra
from mathdnn.homework.algebra import derivative, letter, power, prove_identity, written
from mathdnn.homework.combine import all_of
from mathdnn.homework.problem5_algebra import along_z, sigma, sum_of_squares
from mathdnn.verdict import Status

SMALL = st.lists(st.integers(-3, 3), min_size=1, max_size=4)


def polynomial(coefficients, name="s"):
    return sum(c * power(letter(name), k) for k, c in enumerate(coefficients))


@given(SMALL, SMALL)
def test_an_identity_is_proved_exactly_where_the_coefficients_agree(left, right):
    pad = max(len(left), len(right))
    same = left + [0] * (pad - len(left)) == right + [0] * (pad - len(right))
    verdict = prove_identity("left = right", polynomial(left), polynomial(right))
    assert verdict.status is (Status.PROVED if same else Status.REFUTED)


@given(SMALL, SMALL)
def test_a_counterexample_is_one(left, right):
    verdict = prove_identity("left = right", polynomial(left), polynomial(right))
    if verdict.status is Status.REFUTED:
        s = Fraction(verdict.evidence.input.get("s", 0))
        values = [sum(c * s**k for k, c in enumerate(side)) for side in (left, right)]
        assert values[0] != values[1]
        assert [str(value) for value in values] == [verdict.evidence.found, verdict.evidence.claimed]


@given(SMALL)
def test_the_derivative_is_that_of_calculus(coefficients):
    slopes = [k * c for k, c in enumerate(coefficients)][1:] or [0]
    assert derivative(polynomial(coefficients) * 1, "s") == polynomial(slopes) * 1


@pytest.mark.parametrize("factor", [3, 5])
def test_a_wrong_closed_form_is_refuted(factor):
    for y in (-1, 1):
        wrong = Fraction(factor, 2) * power(sigma(-y, letter("s")), 2)
        assert prove_identity("", sum_of_squares(y, letter("s")), wrong).status is Status.REFUTED


def test_a_derivative_with_the_wrong_sign_is_refuted():
    s = letter("s")
    wrong = 4 * power(sigma(-1, s), 2) * sigma(1, s)
    assert prove_identity("", along_z(sum_of_squares(1, s)), wrong).status is Status.REFUTED


def test_a_bound_that_is_too_small_has_no_factors():
    assert problem5_algebra.decide_bounds(None).verdict.status is Status.PROVED
    t = letter("t")
    factored = power(t - Fraction(1, 3), 2) * (Fraction(16, 3) - 4 * t)
    assert prove_identity("", Fraction(15, 27) - 4 * t * power(1 - t, 2), factored).status is Status.REFUTED


def test_one_part_that_fails_fails_the_whole():
    right = prove_identity("s = s", letter("s"), letter("s"))
    wrong = prove_identity("s = 1", letter("s"), 1)
    assert all_of("both", [right, right]).status is Status.PROVED
    assert all_of("both", [right, wrong]).status is Status.REFUTED


def test_polynomials_are_written_as_by_hand():
    s, k, q = letter("s"), letter("k"), letter("q")
    assert written((2 - 4 * s + 11 * s * s - s * s * s).value) == "2 - 4 s + 11 s^2 - s^3"
    assert written((k * q - k).value) == "-k + k q"
    assert written((Fraction(1, 255) * s - 1).value) == "-1 + 1/255 s"
