"""What a graph gives over the reals lies in the checker's intervals, and laws fail only where these are apart."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.verify.operations import OPERATIONS, SHAPE
from tests.verify.tampering import rejected, resealed

from mathdnn.convolution import as_conv2d, reproduces
from mathdnn.convolution.trace import trace
from mathdnn.verdict import Status, pack_array
from mathdnn.verify import verify
from mathdnn.verify.enclosing import apart
from mathdnn.verify.enclosing.intervals import Interval
from mathdnn.verify.enclosing.run import RULES, Enclosing
from mathdnn.verify.running import ALLOWED, Open, Program, widened

WITHOUT = {"arange", "mode"}  # it reads nothing; and what comes most often is no matter of size


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_an_operation_gives_lies_within(name, rng):
    """On images drawn from intervals of many widths, run in float64: also where numbers are equal, or 0."""
    graph = trace(OPERATIONS[name], SHAPE).to_plain()
    enclosing, program, told = Enclosing(graph), Program(widened(graph)), 0
    for trial in range(16):
        scale, share = (1, 0.1, 10, 3)[trial % 4], (0, 1e-9, 1e-3, 0.3)[trial // 4]
        middle = (rng.random(SHAPE) - 0.5) * 2 * scale
        middle = np.round(middle * 2) / 2 if trial % 3 == 0 else middle
        low, high = middle - share * scale * rng.random(SHAPE), middle + share * scale * rng.random(SHAPE)
        try:
            found = enclosing.at(_between(low, high))
        except Open:
            continue
        told += 1
        for k in range(6):
            way = rng.random(SHAPE) if k % 2 else np.round(rng.random(SHAPE))
            image = np.clip(low + (high - low) * way, low, high)
            value = torch.from_numpy(program.at(image)).double()
            lost = 2.0**-48 * value.abs()  # of the image's own run
            assert ((value >= found.low - lost) & (value <= found.high + lost) | value.isnan()).all(), (trial, k)
    assert told


def _between(low, high):
    ends = torch.from_numpy(low), torch.from_numpy(high)
    return Interval(ends[0], ends[0]) if (low == high).all() else Interval(*ends)


EXACT = {
    "tanh": (torch.tanh, mpmath.tanh), "exp": (torch.exp, mpmath.exp), "erf": (torch.erf, mpmath.erf),
    "erfc": (torch.erfc, mpmath.erfc), "log1p": (lambda x: torch.log1p(x.abs()), lambda x: mpmath.log1p(abs(x))),
    "sigmoid": (torch.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))), "sin": (torch.sin, mpmath.sin),
    "gelu": (F.gelu, mpmath.ncdf), "expm1": (torch.expm1, mpmath.expm1), "sinh": (torch.sinh, mpmath.sinh),
    "softplus": (F.softplus, None), "elu": (F.elu, lambda x: x if x > 0 else mpmath.expm1(x)),
    "tan": (lambda x: (x / 16).tan(), lambda x: mpmath.tan(x / 16)),
    "cosh": (torch.cosh, mpmath.cosh), "atan": (torch.atan, mpmath.atan),
    "log": (lambda x: x.abs().log(), lambda x: mpmath.log(abs(x))),
    "cube": (lambda x: x**3, lambda x: x**3), "third": (lambda x: x / 3, lambda x: x / 3), "silu": (F.silu, None),
    "square": (torch.square, lambda x: x * x), "rsqrt": (lambda x: x.abs().rsqrt(), lambda x: 1 / mpmath.sqrt(abs(x))),
    "root": (lambda x: x.abs() ** 0.3, lambda x: abs(x) ** mpmath.mpf(0.3)),
    "exp2": (torch.exp2, lambda x: mpmath.mpf(2) ** x),
}  # fmt: skip
LONGER = {
    "gelu": lambda x: x * mpmath.ncdf(x),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)) if x <= 20 else x,  # torch's own, beyond its threshold
}


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_value_lies_within(name, rng):
    """At single numbers, against arithmetic of 60 digits."""
    operation, exact = EXACT[name][0], LONGER.get(name, EXACT[name][1])
    numbers = np.concatenate([rng.standard_normal(60) * np.repeat([1e-12, 1e-3, 1, 8], 15), [0.5, -1.5, 2.0, 1.0]])
    image = np.ascontiguousarray(numbers.reshape(1, 8, 8).astype(np.float32).astype(np.float64))
    found = Enclosing(trace(operation, (1, 8, 8)).to_plain()).at(_between(image, image))
    with mpmath.workdps(60):
        for x, low, high in zip(image.ravel(), found.low.flatten(), found.high.flatten(), strict=True):
            assert mpmath.mpf(low.item()) <= exact(mpmath.mpf(float(x))) <= mpmath.mpf(high.item()), x
            assert high - low <= 2.0**-40 * (1 + abs(low)), x


def test_every_operation_that_a_file_may_have_run_has_bounds():
    assert ALLOWED - RULES.keys() == WITHOUT
    assert set(RULES) <= ALLOWED


def _noise(x):
    """0 over the reals, and what float64 rounds at most."""
    return (x + 2.0**60) - 2.0**60 - x


NOISE = {  # each is affine over the reals, and in floats the square, or the size, of x
    "not 0": lambda x: x * x * (_noise(x) != 0),
    "square above 0": lambda x: x * x * (_noise(x).square() > 0),
    "sum of squares": lambda x: x.abs() * (_noise(x).square().sum() > 0),
    "sign of a size": lambda x: x * x * _noise(x).abs().sign(),
    "quotient": lambda x: x * x * (_noise(x) / (_noise(x) + 1e-30)),
    "rounded up": lambda x: x.abs() * (_noise(x).abs().clamp(max=1)).ceil(),
    "larger than another": lambda x: torch.where(_noise(x).abs() > _noise(x).abs() / 2, x * x, x),
    "place": lambda x: x.abs() * torch.stack([_noise(x), 0 * x]).abs().argmin(0),
}


@pytest.mark.parametrize("name", NOISE)
def test_what_rounding_makes_of_a_step_is_no_refutation(name, monkeypatch):
    assert as_conv2d(NOISE[name], (1, 3, 4)).status is Status.UNDECIDED
    monkeypatch.setattr("mathdnn.convolution.nonlinear._lasts", lambda *_: True)
    verdict = as_conv2d(NOISE[name], (1, 3, 4))
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is not Status.PROVED, str(verify(verdict))


WITHOUT_A_VALUE_AT_ZERO = {
    "reciprocal": lambda x: 1 / x,
    "logarithm": torch.log,
    "shares": lambda x: x / x.sum(),
    "unit length": lambda x: x / x.norm(),
    "standardised": lambda x: (x - x.mean()) / x.std(),
    "from 0 to 1": lambda x: (x - x.amin()) / (x.amax() - x.amin()),
    "step at 0": lambda x: torch.floor((x + 1) / 3 * 3),
    "power": lambda x: x**x,
}


@pytest.mark.parametrize("name", WITHOUT_A_VALUE_AT_ZERO)
def test_what_has_no_value_at_0_is_refuted_around_another_image(name):
    verdict = as_conv2d(WITHOUT_A_VALUE_AT_ZERO[name], (1, 3, 4))
    assert verdict.status is Status.REFUTED
    assert verdict.evidence.data["law"] == "f(z + 2 x) = 2 f(z + x) + -1 f(z)"
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


CHANGED = {
    "a law around 0": {"law": "f(2 x) = 2 f(x) + -1 f(0)"},
    "a law of sums": {"law": "f(z + x + y) = f(z + x) + f(z + y) - f(z)"},
    "a law of sums, and its factor": {"law": "f(z + x + y) = f(z + x) + f(z + y) - f(z)", "factor": None},
    "another factor": {"law": "f(z + 3 x) = 3 f(z + x) + -2 f(z)", "factor": 3},
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_law_around_an_image_is_no_other_law(name):
    plain = as_conv2d(torch.log, (1, 3, 4)).to_plain()
    plain["evidence"]["data"] |= CHANGED[name]
    assert rejected(resealed(plain).to_json())


@pytest.mark.parametrize("other", ["another size", "no numbers", "a fourth image", "none"])
def test_the_images_of_a_law_are_those_that_it_names(other):
    plain = as_conv2d(torch.log, (1, 3, 4)).to_plain()
    images = plain["evidence"]["input"]
    if other == "none":
        del images["z"]
    else:
        shape, kind = (1, 1, 1) if other == "another size" else (1, 3, 4), int if other == "no numbers" else np.float32
        images["w" if other == "a fourth image" else "z"] = pack_array(np.ones(shape, kind))
    assert rejected(resealed(plain).to_json())


def test_affine_operations_keep_every_law(rng):
    """Whatever floats make of them."""
    graphs = [
        trace(operation, (1, 4, 4)).to_plain()
        for operation in (
            lambda x: F.avg_pool2d(x, 3, 1, 1) * 0.1 + 0.3,
            lambda x: (x + 1e8) - 1e8,
            lambda x: F.interpolate(x[None], size=(7, 5), mode="bicubic")[0],
            lambda x: torch.maximum(x, x) / 3,
            lambda x: (x / 3).abs() - (x / 3).abs() + x,
        )
    ]
    for graph in graphs:
        for factor in (None, 2, -1):
            images = {name: rng.standard_normal((1, 4, 4)).astype(np.float32) for name in "xyz"}
            assert not apart(graph, images, factor)


def test_sums_of_images_are_exact():
    """x + y rounds to y in float64: a step between the two is not passed."""
    graph = trace(lambda x: (x > 1).float(), (1, 1, 1), torch.float64).to_plain()
    one, tiny = np.ones((1, 1, 1)), np.full((1, 1, 1), 2.0**-60)
    assert not apart(graph, {"x": tiny, "y": one}, None)
    assert apart(graph, {"x": one, "y": one}, None)


def test_what_comes_most_often_is_known_where_nothing_was_rounded():
    verdict = as_conv2d(lambda x: x.mode(-1)[0][..., None] ** 2, (1, 3, 4))
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is Status.PROVED


def test_where_no_bounds_are_known_the_file_alone_does_not_tell(monkeypatch):
    monkeypatch.setattr("mathdnn.convolution.nonlinear._lasts", lambda *_: True)
    verdict = as_conv2d(lambda x: (x / 3).mode(-1)[0][..., None] ** 2, (1, 3, 4))
    checked = verify(verdict)
    assert checked.status is Status.UNDECIDED
    assert "(no bounds over the reals are known for aten.mode), so it has to be run itself" in str(checked)


def test_truth_values_and_places_beside_a_number_are_verified():
    """torch makes float32 of them, in float64 graphs too."""
    for operation in (lambda x: (x > 0) * 0.3, lambda x: x.argmax(-1, keepdim=True) * 0.1, lambda x: (x > 0) / 3):
        verdict = as_conv2d(operation, (1, 3, 4))
        assert verdict.status is Status.REFUTED
        assert verify(verdict).status is Status.PROVED, str(verify(verdict))


def test_a_law_around_an_image_is_run_again_on_the_operation():
    verdict = as_conv2d(torch.log, (1, 3, 4))
    assert reproduces(verdict, torch.log).status is Status.PROVED
    assert reproduces(verdict, torch.log2).status is Status.REFUTED
    assert reproduces(as_conv2d(lambda x: x / x.sum(), (1, 3, 4), opaque=True), lambda x: x / x.sum()).status is (
        Status.PROVED
    )
