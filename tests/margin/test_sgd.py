"""The literal SGD against torch's autograd, the compiled one against the literal, and everything that is refused."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles.margin import torch_sgd
from tests.saboteurs.margin import RUNS, run

from mathdnn import native
from mathdnn.errors import Diverged, InvalidInput
from mathdnn.margin import LOSSES, SgdRun, agreement_bound, sgd, sgd_many
from mathdnn.margin.agreement import _step, curvature
from mathdnn.margin.run import Settings

NAMES = tuple(LOSSES)
STEP = 0.05
compiled = pytest.mark.skipif(not native.available(), reason="no compiled kernels in this installation")


def problem(rng: np.random.Generator, n: int = 40, d: int = 9, dtype: type = np.float64, epochs: int = 2):
    """Rows in [0, 1], labels, orders and initial weights."""
    X = rng.random((n, d)).astype(dtype)
    y = np.where(rng.random(n) < 0.5, -1, 1).astype(dtype)
    order = np.stack([rng.permutation(n) for _ in range(epochs)])
    return X, y, order, rng.uniform(-1, 1, d).astype(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("decay", "rate"),
    [("constant", lambda t: 1.0), ("inverse", lambda t: 1 / t), ("inverse_sqrt", lambda t: t**-0.5)],
)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_literal_is_what_torch_computes(name, decay, rate, weight_decay, rng):
    X, y, order, w0 = problem(rng)
    found = sgd(X, y, order, loss=name, lr=STEP, w0=w0, weight_decay=weight_decay, decay=decay)
    np.testing.assert_allclose(found, torch_sgd(X, y, order, name, STEP, w0, weight_decay, rate), rtol=1e-12)


@pytest.mark.parametrize("name", RUNS)
def test_saboteurs_are_rejected(name, rng):
    X, y, order, w0 = problem(rng)
    slope = LOSSES["logistic"].derivative
    inverse = RUNS[name].get("inverse", False)
    expected = torch_sgd(X, y, order, "logistic", STEP, w0, rate=lambda t: 1 / t if inverse else 1.0)
    np.testing.assert_allclose(run(X, y, order, slope, STEP, w0, inverse=inverse), expected, rtol=1e-12)
    assert np.abs(run(X, y, order, slope, STEP, w0, **RUNS[name]) - expected).max() > 1e-6


@compiled
@pytest.mark.parametrize("name", ["logistic", "sum_of_squares", "squared_hinge", "exponential"])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.01, "decay": "inverse_sqrt"}])
@pytest.mark.parametrize("d", [1, 31, 100])
def test_compiled_agrees_with_literal_within_the_derived_bound(name, options, d, rng):
    X, y, order, w0 = problem(rng, n=60, d=d, dtype=np.float32)
    settings = {"loss": name, "lr": 0.01, "w0": w0 / d, **options}
    near = sgd(X, y, order, implementation="literal", **settings).astype(np.float64)
    far = sgd(X, y, order, implementation="native", **settings).astype(np.float64)
    bound = agreement_bound(X, y, order, **settings)
    assert np.linalg.norm(far - near) <= bound < 1e-2


@compiled
def test_hinge_agrees_or_the_bound_says_nothing(rng):
    X, y, order, w0 = problem(rng, n=60, d=33, dtype=np.float32)
    settings = {"loss": "hinge", "lr": 0.01, "w0": w0}
    near, far = (sgd(X, y, order, implementation=form, **settings) for form in ("literal", "native"))
    assert np.linalg.norm(far - near) <= agreement_bound(X, y, order, **settings)
    at_the_kink = agreement_bound(
        np.ones((1, 1), np.float32), y[:1] * 0 + 1, np.zeros((1, 1), int), loss="hinge", lr=1, w0=np.ones(1, np.float32)
    )
    assert at_the_kink == np.inf


def one_step(x, y, w, shared, permuted):
    """One float32 step whose dot product is summed in another order."""
    w = w.astype(np.float32)
    z = np.float32(0)
    for j in permuted:
        z += w[j] * x[j]
    return w - np.float32(shared.lr) * y * LOSSES[shared.loss].derivative(y * z) * x


@pytest.mark.parametrize("name", ["logistic", "sum_of_squares", "squared_hinge", "exponential"])
@pytest.mark.parametrize("apart", [0.0, 1e-3, 0.3])
@pytest.mark.parametrize("cancelling", [1.0, 300.0])
def test_each_step_of_the_bound_holds_for_two_runs_already_apart(name, apart, cancelling, rng):
    shared, closest = Settings(name, 0.5), 0.0
    for _ in range(60):
        x = (rng.uniform(0.5, 1, 20) * np.repeat([1, -1], 10)).astype(np.float32)
        w = (cancelling * rng.uniform(0.9, 1, 20)).astype(np.float32)
        w -= (x * np.float32((w @ x - rng.uniform(-2, 2)) / (x @ x))).astype(np.float32)
        v = (w + apart * x / np.linalg.norm(x) * rng.choice([-1, 1])).astype(np.float32)
        distance = float(np.linalg.norm(w.astype(np.float64) - v))
        y = np.float32(rng.choice([-1, 1]))
        ends = [one_step(x, y, start, shared, rng.permutation(20)).astype(np.float64) for start in (w, v)]
        bound = _step(x.astype(np.float64), float(y), w.astype(np.float64), distance, shared, 0)
        found = float(np.linalg.norm(ends[0] - ends[1]))
        assert found <= bound
        closest = max(closest, found / bound)
    if apart == 0.3:  # and it is no empty promise: it comes near what happens
        assert closest > 0.5


@pytest.mark.parametrize("name", NAMES)
@given(low=st.floats(-5, 5), width=st.floats(0, 3))
def test_curvature_holds_all_slopes_of_the_derivative(name, low, width):
    smallest, largest = curvature(name, low, low + width)
    m = np.linspace(low, low + width, 50)
    slope = LOSSES[name].derivative
    for a, b in pairwise(m):
        if b > a:
            assert smallest * (b - a) - 1e-12 <= slope(b) - slope(a) <= largest * (b - a) + 1e-12


@compiled
@given(n=st.integers(1, 8), d=st.integers(1, 70), visits=st.integers(0, 20), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_any_size_agrees(n, d, visits, seed):
    rng = np.random.default_rng(seed)
    X, y, _, w0 = problem(rng, n=n, d=d, dtype=np.float32)
    order = rng.integers(0, n, (1, visits))
    near, far = (
        sgd(X, y, order, loss="logistic", lr=0.1, w0=w0, implementation=form) for form in ("literal", "native")
    )
    np.testing.assert_allclose(far, near, rtol=1e-4, atol=1e-5)


def test_the_initial_weights_and_the_data_are_left_alone(rng):
    for dtype in (np.float32, np.float64):
        X, y, order, w0 = problem(rng, dtype=dtype)
        before = [array.copy() for array in (X, y, order, w0)]
        assert sgd(X, y, order, loss="logistic", lr=STEP, w0=w0).dtype == dtype
        for array, copy in zip((X, y, order, w0), before, strict=True):
            np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("form", ["literal", pytest.param("native", marks=compiled)])
def test_a_run_cut_into_calls_is_the_run_in_one_call(form, rng):
    X, y, order, w0 = problem(rng, dtype=np.float32)
    settings = {"loss": "logistic", "lr": STEP, "decay": "inverse", "implementation": form}
    whole = sgd(X, y, order, w0=w0, **settings)
    half = sgd(X, y, order[:1], w0=w0, **settings)
    np.testing.assert_array_equal(sgd(X, y, order[1:], w0=half, steps_before=order.shape[1], **settings), whole)


@pytest.mark.parametrize("form", ["literal", pytest.param("native", marks=compiled)])
def test_bytes_are_the_floats_they_stand_for(form, rng):
    X = np.arange(256, dtype=np.uint8).reshape(4, 64)
    y, w0, order = np.array([1, -1, 1, -1.0]), rng.uniform(-1, 1, 64), np.array([[3, 1, 0, 2]])
    settings = {"loss": "sum_of_squares", "lr": 0.1, "w0": w0, "implementation": form}
    np.testing.assert_array_equal(sgd(X, y, order, **settings), sgd(X / np.float32(255), y, order, **settings))


@pytest.mark.parametrize("form", ["literal", pytest.param("native", marks=compiled)])
def test_many_runs_are_the_runs_one_by_one_whatever_the_threads(form, rng):
    X, y, _, _ = problem(rng, dtype=np.float32)
    runs = [SgdRun(y, rng.permutation(len(X))[None, : 5 + i], rng.random(X.shape[1])) for i in range(70)]
    one = np.stack([sgd(X, r.y, r.order, loss="logistic", lr=STEP, w0=r.w0, implementation=form) for r in runs])
    for threads in (1, 2, 5):
        many = sgd_many(X, iter(runs), loss="logistic", lr=STEP, threads=threads, implementation=form)
        np.testing.assert_array_equal(many, one)
    assert sgd_many(X, [], loss="logistic", lr=STEP).shape == (0, X.shape[1])


@pytest.mark.parametrize("form", ["literal", pytest.param("native", marks=compiled)])
def test_no_step_gives_the_initial_weights(form):
    X, w0 = np.zeros((0, 3), np.float32), np.array([1.0, -0.0, 2.0], np.float32)
    found = sgd(X, np.zeros(0), np.zeros((1, 0), int), loss="logistic", lr=1, w0=w0, implementation=form)
    assert found.tobytes() == w0.tobytes()


@pytest.mark.parametrize("form", ["literal", pytest.param("native", marks=compiled)])
def test_divergence_says_at_which_step(form):
    X, y = np.full((1, 2), 1e15, np.float32), np.array([-1.0])
    sentence = (
        "sgd(loss='squared_hinge', lr=1): expected weights that stay finite, got a score or weights that are not at "
        "step 2 of 9; take a smaller lr, or scale the data."
    )
    with pytest.raises(Diverged, match=f"^{re.escape(sentence)}$"):
        sgd(X, y, np.zeros((1, 9), int), loss="squared_hinge", lr=1.0, w0=np.ones(2), implementation=form)
    with pytest.raises(Diverged, match=r"not at step 1, the last of 1; take a smaller lr"):
        sgd(X * 1e4, y, np.zeros((1, 1), int), loss="squared_hinge", lr=1.0, w0=np.ones(2), implementation=form)


GOOD = {
    "X": np.zeros((3, 2), np.float32),
    "y": np.array([1.0, -1, 1]),
    "order": np.array([[0, 1, 2]]),
    "loss": "logistic",
    "lr": 0.1,
    "w0": np.zeros(2),
}
NAN = np.array([[0, 1], [np.nan, 1], [1, 1]], np.float32)
INFINITE = np.array([[0, 1], [1, 1], [1, -np.inf]], np.float32)
W0 = "2 floats that are finite in float32"
REFUSED = [
    ("X", [[1.0]], "an array of n rows and d columns", "list", "reshape it"),
    ("X", np.zeros(3), "an array of n rows and d columns", "shape (3,)", "reshape it"),
    ("X", np.zeros((3, 2), int), "float32, float64 or uint8", "dtype int64", "convert it"),
    ("X", NAN, "finite numbers", "nan in row 1, column 0", "remove or replace it"),
    ("X", INFINITE, "finite numbers", "-inf in row 2, column 1", "remove or replace it"),
    ("y", np.ones(2), "3 labels, one a row", "shape (2,)", "give one label a row"),
    ("y", np.array([1.0, 0, 1]), "labels -1 and +1", "0", "map the two classes to -1 and +1"),
    ("y", np.array([1, np.nan, 1]), "labels -1 and +1", "nan", "map the two classes to -1 and +1"),
    ("order", np.array([0, 1]), "whole numbers (epochs, n)", "shape (2,), dtype int64", "reshape it"),
    ("order", np.array([[0.0]]), "whole numbers (epochs, n)", "shape (1, 1), dtype float64", "reshape it"),
    ("order", np.array([[0, 3]]), "rows 0 to 2", "0 to 3", "leave the others out"),
    ("order", np.array([[-1, 2]]), "rows 0 to 2", "-1 to 2", "leave the others out"),
    ("y", ["1", "1", "1"], "labels -1 and +1", "dtype <U1", "map the two classes to -1 and +1"),
    ("y", [[1], [1, 2], 3], "an array", "rows of several lengths", "make them equally long"),
    ("w0", np.zeros(3), W0, "shape (3,), dtype float64", "give one weight a column"),
    ("w0", np.full(2, 1e300), W0, "shape (2,), dtype float64", "give one weight a column"),
    ("lr", 0, "a finite number above 0", "0", "choose a step"),
    ("lr", np.nan, "a finite number above 0", "nan", "choose a step"),
    ("lr", "1", "a finite number above 0", "'1'", "choose a step"),
    ("lr", 10**400, "a finite number above 0", "1" + 39 * "0", "choose a step"),
    ("weight_decay", 10**400, "a finite number from 0", "1" + 39 * "0", "choose another"),
    ("weight_decay", -1.0, "a finite number from 0", "-1.0", "choose another"),
    ("steps_before", -1, "a whole number from 0 to 2^53", "-1", "choose another"),
    ("steps_before", 2**63, "a whole number from 0 to 2^53", str(2**63), "choose another"),
    ("steps_before", True, "a whole number from 0 to 2^53", "True", "choose another"),
    ("decay", "fast", "one of constant, inverse, inverse_sqrt", "'fast'", "choose one of them"),
    ("implementation", "c", "one of auto, native, literal", "'c'", "choose one of them"),
    ("loss", "log", f"one of {', '.join(NAMES)}", "'log'", "choose one of them"),
]


@pytest.mark.parametrize(("name", "value", "expected", "got", "do"), REFUSED)
@pytest.mark.parametrize("form", ["literal", pytest.param("native", marks=compiled)])
def test_what_cannot_be_used_is_refused_in_one_sentence(name, value, expected, got, do, form):
    sentence = f"sgd({name}=...): expected {expected}, got {got}; {do}."
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        sgd(**{"implementation": form, **GOOD, name: value})


@compiled
def test_native_refuses_float64():
    sentence = (
        "sgd(implementation='native'): expected float32 or uint8 rows, got float64; convert X, or take 'literal'."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        sgd(**{**GOOD, "X": np.zeros((3, 2)), "implementation": "native"})


def test_without_the_extension_everything_falls_back_on_the_literal_form(monkeypatch, rng):
    X, y, order, w0 = problem(rng, dtype=np.float32)
    settings = {"loss": "logistic", "lr": STEP, "w0": w0}
    expected = sgd(X, y, order, implementation="literal", **settings)
    monkeypatch.setattr(native, "available", lambda: False)
    np.testing.assert_array_equal(sgd(X, y, order, **settings), expected)
    sentence = (
        "sgd(implementation='native'): expected the compiled kernels, got an installation without; take 'literal'."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        sgd(X, y, order, implementation="native", **settings)


@pytest.mark.parametrize("threads", [0, True, 1.5, 2**70])
def test_threads_are_checked(threads):
    expected = f"expected None or a whole number from 1 to 65,536, got {threads}; choose another."
    with pytest.raises(InvalidInput, match=f"^{re.escape(f'sgd_many(threads=...): {expected}')}$"):
        sgd_many(GOOD["X"], [], loss="logistic", lr=1.0, threads=threads)


@pytest.mark.parametrize(
    ("runs", "got"),
    [
        ([(GOOD["y"], GOOD["order"], GOOD["w0"])], "a tuple; SgdRun(y, order, w0)."),
        ([(GOOD["y"], GOOD["order"])], "a tuple; SgdRun(y, order, w0)."),
        (3, "a int; put them into a list."),
    ],
)
def test_what_is_no_run_is_one_sentence(runs, got):
    sentence = f"sgd_many(runs=...): expected runs that are each a SgdRun, got {got}"
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        sgd_many(GOOD["X"], runs, loss="logistic", lr=1.0)


def test_a_weight_decay_that_is_too_large_is_named():
    with pytest.raises(Diverged, match=r"take a smaller lr or weight_decay, or scale the data\.$"):
        sgd(**{**GOOD, "X": GOOD["X"] + 1, "weight_decay": 1e300, "w0": np.ones(2)})
