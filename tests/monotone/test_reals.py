"""The real-number side: every term is the function it stands for, and its direction is right."""

from __future__ import annotations

import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from tests.oracles.monotone import FUNCTIONS

from mathdnn.monotone import over_the_reals
from mathdnn.monotone.reals import FALLING, TERMS, canonical, converse, direction
from mathdnn.verdict import Equality, Status


def evaluate(term, x):
    """A term at x, in mpmath."""
    if term == "x":
        return x
    if isinstance(term, str):
        value = Fraction(term)
        return mpmath.mpf(value.numerator) / value.denominator
    head, *rest = term
    args = [evaluate(t, x) for t in rest]
    one = {
        "neg": lambda a: -a,
        "recip": lambda a: 1 / a,
        "exp": mpmath.exp,
        "log": mpmath.log,
        "erf": mpmath.erf,
        "atan": mpmath.atan,
        "floor": mpmath.floor,
    }
    two = {"add": lambda a, b: a + b, "mul": lambda a, b: a * b, "scale": lambda a, b: a * b, "max": max, "min": min}
    return one[head](*args) if head in one else two[head](*args)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_the_function_of_that_name_and_rises(name):
    points = [mpmath.mpf(k) / 8 for k in range(-80, 81)]
    values = [evaluate(TERMS[name][0], x) for x in points]
    for x, y in zip(points, values, strict=True):
        assert mpmath.almosteq(y, FUNCTIONS[name](x), 1e-12, 1e-12)
    assert all(a <= b for a, b in itertools.pairwise(values))
    assert direction(TERMS[name][0])[0] == 1
    verdict = over_the_reals(name)
    assert (verdict.status, verdict.equality) == (Status.PROVED, Equality.REALS)


@pytest.mark.parametrize("name", FALLING)
def test_two_points_show_a_fall(name):
    f, _, a, b, _ = FALLING[name]
    assert float(a) < float(b)
    assert f(float(a)) > f(float(b)) + 1e-3
    assert abs(f(float(a)) - float(FUNCTIONS[name](mpmath.mpf(a)))) < 1e-12
    assert over_the_reals(name).status is Status.REFUTED


@pytest.mark.parametrize(
    ("term", "why"),
    [
        (["add", "x", ["neg", "x"]], "a sum of a rising and a falling term"),
        (["mul", "x", "x"], "a product whose factors are not both nonnegative"),
        (["recip", "x"], "the reciprocal of what is not known to be positive"),
        (["recip", ["exp", "x"]], "the reciprocal of what is not known to be positive"),
        (["log", ["max", "x", "0"]], "the logarithm of what is not known to be positive"),
    ],
)
def test_what_the_rules_do_not_say_is_not_said(term, why):
    with pytest.raises(ValueError, match=why):
        direction(term)


def test_names_of_all_libraries_meet():
    import torch

    names = ["tanh", "torch.tanh", "onnx:Tanh", "numpy.tanh", torch.tanh, np.tanh, torch.nn.Tanh(), "nn.Tanh()"]
    assert {canonical(name) for name in names} == {"tanh"}
    assert canonical("onnx:LeakyRelu") == canonical(torch.nn.functional.leaky_relu) == "leakyrelu"
    unknown = over_the_reals("torch.frobnicate")
    assert unknown.status is Status.UNDECIDED
    assert unknown.evidence.why.startswith("'frobnicate' is not a function known here (")


def test_the_converse():
    assert converse().status is Status.PROVED
