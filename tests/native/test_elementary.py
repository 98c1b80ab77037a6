"""tanh, exp, log and the logistic function of the engine: their error, their order, their strange values."""

from __future__ import annotations

import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
from tests.oracles import elementary_fit

from mathdnn.errors import InvalidInput
from mathdnn.native.engine import elementary, known_set, scan

ALL = ("baseline", "avx2", "avx512")
SETS = ALL[: ALL.index(known_set(None)) + 1]
FUSED = SETS[1:] or SETS
# Largest error in units of the last place over all 2^32 floats (the slow test below): measured, rounded up.
BOUND = {"tanh": 1.01, "exp": 1.05, "log": 0.93, "logistic": 2.5}
EXACT = {
    "tanh": mpmath.tanh,
    "exp": mpmath.exp,
    "log": mpmath.log,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
}
WHERE = {"tanh": (-12, 12), "exp": (-86, 88), "log": (1e-30, 1e30), "logistic": (-100, 20)}


def error(function: str, x: np.ndarray, y: np.ndarray) -> float:
    """In units of the last place of the true value."""
    with mpmath.workprec(100):
        worst = mpmath.mpf(0)
        for argument, value in zip(x.tolist(), y.tolist(), strict=True):
            exact = EXACT[function](mpmath.mpf(argument))
            unit = mpmath.mpf(2) ** (max(mpmath.floor(mpmath.log(abs(exact), 2)), -126) - 23) if exact else 1
            worst = max(worst, abs(value - exact) / unit)
        return float(worst)


@pytest.mark.parametrize("function", EXACT)
@pytest.mark.parametrize("instructions", FUSED)
def test_values_are_within_their_bound_of_the_true_ones(function, instructions, rng):
    low, high = WHERE[function]
    x = rng.uniform(low, high, 500).astype(np.float32)
    small = (rng.choice([-1, 1], 300) * 10.0 ** rng.uniform(-30, 0, 300)).astype(np.float32)
    x = np.concatenate([x, np.abs(small) if function == "log" else small])
    assert error(function, x, elementary(function, x, instruction_set=instructions)) <= BOUND[function]


@pytest.mark.parametrize("function", EXACT)
def test_avx2_and_avx512_give_the_same_bits(function, rng):
    x = rng.integers(0, 2**32, 100_001, dtype=np.uint32).view(np.float32)
    assert len({np.nan_to_num(elementary(function, x, instruction_set=name)).tobytes() for name in FUSED}) == 1


@pytest.mark.parametrize("function", EXACT)
@pytest.mark.parametrize("instructions", FUSED)
def test_every_octave_is_nondecreasing_and_within_the_bound(function, instructions):
    for octave in range(512):  # 4,096 neighbours at the start of each octave, both signs
        start = octave << 23
        worst, where, falls = scan(function, start, start + 4096, instruction_set=instructions)
        assert (falls, worst <= BOUND[function]) == (0, True), (octave, where)


@pytest.mark.slow
@pytest.mark.parametrize("function", EXACT)
def test_all_floats_are_nondecreasing_and_within_the_bound(function):
    worst, where, falls = scan(function)
    assert falls == 0
    assert worst <= BOUND[function], where


HEADER = (Path(__file__).parents[2] / "src/native/elementary.hpp").read_text()


def _numbers(text: str) -> list[float]:
    return [float.fromhex(number) for number in re.findall(r"(-?0x[0-9a-f.]+p[+-]?\d+)f", text)]


def _body(function: str) -> str:
    return HEADER.split(f"INLINE F {function}(F x)")[1].split("\n}")[0]


@pytest.mark.slow
def test_the_numbers_of_tanh_are_those_of_the_fit():
    centers, values = (_numbers(HEADER.split(f"tanh_{name}[16]")[1].split("};")[0]) for name in ("center", "value"))
    in_order = [*zip(centers, values, strict=True)]
    assert in_order[6:] + in_order[:6] == elementary_fit.centers()  # the first interval has place 6 (elementary.hpp)
    coefficients, left = elementary_fit.polynomial()
    assert [*reversed(_numbers(_body("tanh")))] == coefficients
    assert left < 0.12


def test_the_polynomials_of_exp_and_log_leave_a_tenth_of_a_unit():
    fifth = [number for number in _numbers(_body("exp")) if 1e-3 < abs(number) < 0.2]
    assert len(fifth) == 4
    assert 0.01 < elementary_fit.left_by_exp([0.5, *reversed(fifth)]) < 0.1
    eighth = [number for number in _numbers(_body("log").split("const F f")[1]) if 0.05 < abs(number) < 0.51][:9]
    assert 0.01 < elementary_fit.left_by_log([*reversed(eighth)]) < 0.1


SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e38, -3e38, -1.0], np.float32)


@pytest.mark.parametrize("instructions", SETS)
def test_zeros_infinities_nan_and_subnormals(instructions):
    found = {name: elementary(name, SPECIAL, instruction_set=instructions) for name in EXACT}
    one = np.float32(1)
    assert np.array_equal(np.signbit(found["tanh"][:2]), [False, True])
    assert found["tanh"][[2, 3, 7, 8]].tolist() == [1, -1, 1, -1]
    assert np.array_equal(found["tanh"][[5, 6]], SPECIAL[[5, 6]])
    assert found["exp"][[0, 1, 2, 3, 5, 7, 8]].tolist() == [1, 1, np.inf, 0, 1, np.inf, 0]
    assert found["log"][[0, 1, 2]].tolist() == [-np.inf, -np.inf, np.inf]
    assert np.isnan(found["log"][[3, 6, 8, 9]]).all()
    assert found["log"][5] == pytest.approx(np.log(1.401298464324817e-45))
    assert found["logistic"][[0, 2, 3]].tolist() == [0.5, one, 0]
    assert all(np.isnan(values[4]) for values in found.values())


def test_an_unknown_function_is_refused():
    with pytest.raises(
        InvalidInput, match=r"^NativeEngine\(function=...\): expected one of tanh, exp, log, logistic, got"
    ):
        elementary("sin", SPECIAL)
    with pytest.raises(
        InvalidInput, match=r"^NativeEngine\(first, end=...\): expected 0 <= first < end <= 2\^32, got 5, 5"
    ):
        scan("tanh", 5, 5)
