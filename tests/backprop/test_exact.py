"""The formulas, proved exactly, and every wrong twin refuted with numbers that can be checked by hand."""

# ruff: noqa: E501 (a case a line, a sentence a line)
from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
import sympy
from hypothesis import given
from tests.oracles.backprop import symbolic_network
from tests.saboteurs.backprop import FORMULAS_THAT_ARE_WRONG, SLOPE_WITHOUT_THE_TWO, SQUARE

from mathdnn.backprop import FORMULAS, check_exact, polynomial
from mathdnn.backprop.exact import layers_of, seeds, symbolic
from mathdnn.backprop.polynomials import Polynomial
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Equality, Status, Verdict

SHAPES = [(1, 1, 1), (2, 2, 1), (2, 3, 2, 2), (3, 1, 2, 1, 2)]


@pytest.mark.parametrize("widths", SHAPES)
def test_every_formula_is_proved_for_any_sigma(widths):
    for name, verdict in check_exact(widths).items():
        assert (verdict.status, verdict.equality) == (Status.PROVED, Equality.REALS), name
        assert verdict.evidence.data["entries"] > 0
        assert Verdict.from_json(verdict.to_json()) == verdict


@pytest.mark.parametrize("sigma", [SQUARE, polynomial(1, Fraction(1, 2), 3), polynomial(0, 1, 0, Fraction(-1, 3))])
def test_every_formula_is_proved_for_a_polynomial_sigma(sigma):
    assert {v.status for v in check_exact((2, 2, 2, 1), sigma).values()} == {Status.PROVED}


def test_the_source_with_one_output():
    verdict = check_exact((2, 2, 1))["dyL/dAl"]
    assert str(verdict) == (
        "PROVED: dy_L[i]/dA_l[j,k] = (dy_L/dy_l)[i,j] sigma'(z_l)[j] y_{l-1}[k] for every 2-2-1 perceptron and every "
        "differentiable sigma\n"
        "  both sides were written out as polynomials in the weights, biases and inputs, and sigma and sigma' of every "
        "unit: all 4 entries are the same polynomials\n"
        "  equality: exact over the reals\n"
        "  assuming: this is about the given widths (every index of the formula occurs in them)"
    )


@pytest.mark.parametrize("name", FORMULAS_THAT_ARE_WRONG)
def test_wrong_formulas_are_refuted(name):
    formula = FORMULAS_THAT_ARE_WRONG[name]
    verdict = check_exact((2, 2, 2, 2), formulas={name: formula})[name]
    assert verdict.status is Status.REFUTED
    if "point" in verdict.evidence.input:
        assert verdict.evidence.claimed != verdict.evidence.found
        assert "the formula says" in str(verdict.evidence)
    else:
        assert str(verdict.evidence) == "in a 2-2-2-2 network the formula is 3 x 3 for l = 3; the Jacobian is 2 x 2"


def test_a_wrong_slope_is_refuted_by_a_given_sigma():
    verdicts = check_exact((2, 2, 1), SLOPE_WITHOUT_THE_TWO)
    wrong = {name for name, v in verdicts.items() if v.status is Status.REFUTED}
    assert wrong == {"dyl/dbl", "dyl/dyl-1", "dyL/dAl", "dyL/dbl", "dyL/dx"}


@pytest.mark.parametrize("name", [f.id for f in FORMULAS.values() if f.output == "L" and f.by != "y"])
def test_the_literal_form_is_what_sympy_differentiates(name):
    """With sigma(t) = t^3 - t, the closed forms against sympy's diff of the whole network."""
    formula, widths = FORMULAS[name], (2, 2, 2)
    v = symbolic(widths, polynomial(0, -1, 0, 1))
    y, A, b, x = symbolic_network(widths, lambda t: t**3 - t)
    for layer in layers_of(formula, v.L):
        closed = formula.closed(v, layer)
        by = {"A": A[layer - 1], "b": b[layer - 1], "x": x}[formula.by]
        for seed in seeds(formula.by, layer, widths):
            symbol = by[seed.index if formula.by == "A" else (seed.index[0], 0)]
            for i in range(len(y)):
                ours = sympy.sympify(
                    "+".join(
                        f"({c})*" + "*".join([f"{n}**{k}" for n, k in m] or ["1"])
                        for m, c in Polynomial.of(closed[(i, *seed.index)]).terms.items()
                    )
                    or "0"
                )
                hidden = {f"z1_{j + 1}": z for j, z in enumerate(A[0] * x + b[0])}
                assert sympy.expand(ours.subs(hidden) - sympy.diff(y[i], symbol)) == 0


RATIONALS = st.fractions(min_value=-3, max_value=3, max_denominator=4)


@st.composite
def polynomials(draw):
    total = Polynomial({})
    for _ in range(draw(st.integers(0, 4))):
        term = Polynomial.of(draw(RATIONALS))
        for name in draw(st.lists(st.sampled_from("abc"), max_size=3)):
            term = term * Polynomial.unknown(name)
        total = total + term
    return total


@given(polynomials(), polynomials(), st.fixed_dictionaries(dict.fromkeys("abc", RATIONALS)))
def test_polynomials_are_a_ring_and_evaluate_as_one(p, q, point):
    assert (p + q).at(point) == p.at(point) + q.at(point)
    assert (p * q).at(point) == p.at(point) * q.at(point)
    assert (p - q).at(point) == p.at(point) - q.at(point)
    assert p - p == 0
    assert p * q == q * p
    assert hash(p + q) == hash(q + p)
    assert (3 - p).at(point) == 3 - p.at(point)


@pytest.mark.parametrize("widths", [(2,), (2, 2), (2, 0, 2), (2, 2.0, 2), (20, 20, 20), (1,) * 8])
def test_shapes_that_are_not_small_networks_are_refused(widths):
    with pytest.raises(
        InvalidInput, match=r"^check_exact\(widths=...\): expected n_0..n_L with 2 <= L <= 5, each at le"
    ):
        check_exact(widths)


def test_a_formula_that_is_only_written_otherwise_is_not_refuted():
    square = dataclasses.replace(
        FORMULAS["dyl/dbl"],
        closed=lambda v, l: np.diag(2 * (v.A[l] @ v.y[l - 1] + v.b[l])),  # noqa: E741
    )
    verdict = check_exact((2, 2, 1), SQUARE, formulas={"mine": square})["mine"]
    assert verdict.status is Status.UNDECIDED
    assert str(verdict.evidence) == (
        "entry [1,1] for l = 1 is written otherwise, but agrees at 200 points; it would be decided by writing the formula "
        "with y and sigma'(z) alone"
    )


@pytest.mark.parametrize("name", ["no diag in dyL/dAl", "A_L transposed", "diag on the wrong side"])
def test_the_numbers_of_a_refutation_are_those_of_the_network(name):
    """Run the network of the counterexample in rationals and take the difference quotient's limit by hand."""
    verdict = check_exact((2, 2, 2, 2), SQUARE, formulas={name: FORMULAS_THAT_ARE_WRONG[name]})[name]
    again = Verdict.from_json(verdict.to_json()).evidence
    point = {k: Fraction(v) for k, v in again.input["point"].items()}
    formula, l = FORMULAS_THAT_ARE_WRONG[name], again.input["layer"]  # noqa: E741
    output, (i, *index) = (3 if formula.output == "L" else l), again.data["entry"]

    def y(shift):
        moved, values = dict(point), [point["x_1"], point["x_2"]]
        if formula.by == "A":
            moved[f"A{l}_{index[0]}_{index[1]}"] += shift
        for m in range(1, output + 1):
            if formula.by == "y" and m == l:
                values[index[0] - 1] += shift
            z = [sum(moved[f"A{m}_{j}_{k}"] * values[k - 1] for k in (1, 2)) + moved[f"b{m}_{j}"] for j in (1, 2)]
            values = z if m == 3 else [t * t for t in z]
        return values[i - 1]

    h = Fraction(1, 10**12)
    slope = (y(h) - y(-h)) / (2 * h)
    assert abs(slope - Fraction(again.found)) < Fraction(1, 10**6)
    assert Fraction(again.claimed) != Fraction(again.found)


@pytest.mark.parametrize("one", [np.float32(0.5), np.float64(1.5), 0.1, np.float16(1.25)])
def test_a_formula_that_is_code_is_compared_as_it_computes(one):
    """1.5 and 0.5 are not cut off to whole numbers, which could be right."""
    rounded = dataclasses.replace(FORMULAS["dyL/dbL"], closed=lambda v, l: np.array([[one]], dtype=object))  # noqa: E741
    verdict = check_exact((1, 1, 1), formulas={"mine": rounded})["mine"]
    assert (verdict.status, verdict.evidence.claimed) == (Status.REFUTED, str(Fraction(float(one))))


@pytest.mark.parametrize("one", [1, np.int64(1), np.uint8(1), np.float32(1), 1.0, True, np.True_, Fraction(1)])
def test_a_formula_that_is_code_may_give_numbers_of_any_kind(one):
    whole = dataclasses.replace(FORMULAS["dyL/dbL"], closed=lambda v, l: np.array([[one]], dtype=object))  # noqa: E741
    assert check_exact((1, 1, 1), formulas={"mine": whole})["mine"].status is Status.PROVED


@pytest.mark.parametrize("one", ["1", math.nan, math.inf, np.float32(math.nan), 1j, None, b"1"])
def test_a_formula_that_is_code_and_gives_no_numbers_is_refused(one):
    none = dataclasses.replace(FORMULAS["dyL/dbL"], closed=lambda v, l: np.array([[one]], dtype=object))  # noqa: E741
    words = (
        r"^Polynomial.of\(value\): expected polynomials, whole numbers, fractions or finite floats, got .*; give one of"
    )
    with pytest.raises(InvalidInput, match=words):
        check_exact((1, 1, 1), formulas={"mine": none})


def test_a_polynomial_beside_an_array_meets_each_of_its_entries():
    p, array = Polynomial.unknown("a"), np.array([Polynomial.unknown("b"), Polynomial.of(2)], dtype=object)
    for left, right in ((p * array, array * p), (p + array, array + p), (p - array, -(array - p))):
        assert left.shape == (2,)
        assert (left == right).all()
    assert ((p * array)[1], (p - array)[1], p == "a") == (2 * p, p - 2, False)


def test_a_formula_of_your_own():
    mine = {"mine": FORMULAS["dyL/dbL"]}
    assert check_exact((1, 1, 1), formulas=mine)["mine"].status is Status.PROVED
    assert np.asarray(FORMULAS["dyL/dbL"].closed(symbolic((1, 1, 2), None), 2)).shape == (2, 2)
