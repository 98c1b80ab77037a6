"""The compiled SGD: the same bits on every instruction set, thread count, layout and cut; its own exp; interrupts."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles.margin import DERIVATIVE, ulps

from mathdnn import native
from mathdnn.errors import InvalidInput

if not native.available():
    pytest.skip("no compiled kernels in this installation", allow_module_level=True)

from mathdnn.native.sgd import DECAYS, LOSSES, derivative, instruction_sets, read_rows, sgd_runs

SETS = instruction_sets()


def rows(n: int, d: int) -> np.ndarray:
    """Whole numbers mixed by a multiplication, over 255: the same everywhere, without a random generator."""
    mixed = (np.arange(n * d, dtype=np.uint32) * np.uint32(2654435761)) >> np.uint32(24)
    return (mixed.reshape(n, d) / np.float32(255)).astype(np.float32)


def run(X, order, labels, w0, **options):
    """One run; returns its weights and where it stopped."""
    w = np.array(w0, np.float32)[None]
    stopped = sgd_runs(X, [np.asarray(order)], [np.asarray(labels, np.float32)], w, **{"lr": 0.05, **options})
    return w[0], stopped[0]


def golden(loss: str, decay: str, instruction_set: str) -> np.ndarray:
    n, d = 97, 205
    order = np.arange(3 * n) * 31 % n
    w0 = (np.arange(d) % 7 - 3).astype(np.float32) / 64
    settings = {"loss": loss, "decay": decay, "weight_decay": 0.0 if decay == "constant" else 0.01, "lr": 1e-3}
    return run(
        rows(n, d), order, np.where(np.arange(n) % 3 == 0, 1, -1), w0, **settings, instruction_set=instruction_set
    )[0]


GOLDEN = {
    ("logistic", "constant"): "ea9f8c3ed4d0be57",
    ("logistic", "inverse"): "631c3ea62adcd8bb",
    ("logistic", "inverse_sqrt"): "4ea4a7c19dc2e608",
    ("sum_of_squares", "constant"): "29bf126e6b12eace",
    ("sum_of_squares", "inverse"): "2029e4529caa645d",
    ("sum_of_squares", "inverse_sqrt"): "aaed8dca4ad2670b",
    ("hinge", "constant"): "4c75d9e479153a43",
    ("hinge", "inverse"): "c0595c8089b1579f",
    ("hinge", "inverse_sqrt"): "a68af0fde6d12787",
    ("squared_hinge", "constant"): "090b9bf9562a6526",
    ("squared_hinge", "inverse"): "28f5177aa27d31dd",
    ("squared_hinge", "inverse_sqrt"): "4b7c9d0e02968745",
    ("exponential", "constant"): "f3ff2c4fe714dc83",
    ("exponential", "inverse"): "04b78a052eaf2f40",
    ("exponential", "inverse_sqrt"): "740e538d320e5696",
}


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_has_its_golden_bits_on_every_instruction_set(loss, decay, instruction_set):
    w = golden(loss, decay, instruction_set)
    assert np.isfinite(w).all()
    assert hashlib.sha256(w.astype("<f4").tobytes()).hexdigest()[:16] == GOLDEN[loss, decay]


@given(
    n=st.integers(1, 9),
    d=st.integers(1, 131),
    visits=st.integers(0, 30),
    as_bytes=st.booleans(),
    loss=st.sampled_from(LOSSES),
    weight_decay=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 9),
)
@settings(max_examples=150)
def test_every_instruction_set_gives_the_same_bits_at_any_size(n, d, visits, as_bytes, loss, weight_decay, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, (n, d)).astype(np.uint8)
    order, labels = rng.integers(0, n, visits), np.sign(rng.random(n) - 0.5)
    w0 = rng.uniform(-1, 1, d) / d
    data = X if as_bytes else X / np.float32(255)
    found = {
        run(data, order, labels, w0, loss=loss, weight_decay=weight_decay, instruction_set=name)[0].tobytes()
        for name in SETS
    }
    found.add(run(X / np.float32(255), order, labels, w0, loss=loss, weight_decay=weight_decay)[0].tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("instruction_set", SETS)
def test_each_byte_is_itself_over_255_rounded(instruction_set):
    # one step of the hinge from w = 0 gives w = lr y x, and lr = 1 shows the bytes as the kernel reads them
    X = np.arange(256, dtype=np.uint8)[None]
    w, _ = run(X, [0], [1], np.zeros(256), loss="hinge", lr=1.0, instruction_set=instruction_set)
    np.testing.assert_array_equal(w, np.arange(256, dtype=np.float32) / np.float32(255))


def layouts(X: np.ndarray) -> dict[str, np.ndarray]:
    """The same numbers, lying differently in memory."""
    n, d = X.shape
    buffer = np.zeros(X.nbytes + 1, np.uint8)
    misaligned = buffer[1:].view(X.dtype).reshape(n, d)
    misaligned[:] = X
    wide = np.zeros((n, d + 5), X.dtype)
    wide[:, 3 : 3 + d] = X
    twice = np.repeat(X, 2, axis=0)
    return {
        "misaligned": misaligned,
        "rows apart": wide[:, 3 : 3 + d],
        "every second row": twice[::2],
        "backwards": np.ascontiguousarray(X[::-1])[::-1],
        "by columns": np.asfortranarray(X),
        "read-only": np.frombuffer(X.tobytes(), X.dtype).reshape(n, d),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_how_the_rows_lie_in_memory_changes_no_bit(dtype, rng):
    X = rng.integers(0, 256, (20, 37)).astype(dtype)
    order, labels, w0 = rng.permutation(20), np.ones(20), rng.random(37)
    expected, _ = run(X, order, labels, w0, loss="logistic", lr=1e-4)
    for name, same in layouts(X).items():
        np.testing.assert_array_equal(same, X)
        found, _ = run(same, order, labels, w0, loss="logistic", lr=1e-4)
        assert found.tobytes() == expected.tobytes(), name


def test_a_long_run_is_cut_into_pieces_without_a_trace(rng):
    # pieces are 1 + 2^23 / (d + 64) steps: 300,000 steps of d = 1 are three of them
    X, order = rng.random((50, 1), np.float32), rng.integers(0, 50, 300_000)
    whole, _ = run(X, order, np.ones(50), [0.5], loss="logistic", decay="inverse_sqrt")
    half, _ = run(X, order[:1234], np.ones(50), [0.5], loss="logistic", decay="inverse_sqrt")
    rest = {"loss": "logistic", "decay": "inverse_sqrt", "steps_before": 1234}
    again, _ = run(X, order[1234:], np.ones(50), half, **rest)
    assert again.tobytes() == whole.tobytes()


def test_the_number_of_threads_changes_no_bit(rng):
    X = rng.random((40, 100), np.float32)
    orders = [rng.integers(0, 40, int(count)) for count in rng.integers(0, 200, 33)]
    labels = [np.sign(rng.random(40) - 0.5).astype(np.float32) for _ in orders]
    start = rng.random((33, 100), np.float32)
    found = set()
    for threads in (1, 2, 3, 64):
        w = start.copy()
        assert sgd_runs(X, orders, labels, w, loss="sum_of_squares", lr=0.1, threads=threads) == [-1] * 33
        found.add(w.tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("instruction_set", SETS)
def test_a_label_counts_only_where_it_is_visited(instruction_set):
    X, labels, w0 = np.eye(3, dtype=np.float32), [1, np.nan, -1], np.zeros(3)
    found, _ = run(X, [0, 2], labels, w0, loss="hinge", lr=1.0, instruction_set=instruction_set)
    assert found.tolist() == [1, 0, -1]


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("d", [1, 31, 70])
def test_the_scores_are_those_before_each_step(d, as_bytes, instruction_set, rng):
    X, order, w0 = rng.integers(0, 3, (20, d)).astype(np.uint8), rng.integers(0, 20, 50), rng.uniform(-1, 1, d)
    X, labels, scores = X if as_bytes else X.astype(np.float32), np.sign(rng.random(20) - 0.5), np.empty(50, np.float32)
    options = {"loss": "logistic", "decay": "inverse", "instruction_set": instruction_set}
    whole, _ = run(X, order, labels, w0, scores=[scores], **options)
    assert whole.tobytes() == run(X, order, labels, w0, **options)[0].tobytes()
    for t, i in enumerate(order):
        before, _ = run(X, order[:t], labels, w0, **options)
        row = X[i] / np.float32(255) if as_bytes else X[i]
        assert scores[t] == pytest.approx(before.astype(np.float64) @ row, abs=1e-5)


def test_flush_to_zero_in_the_caller_changes_no_bit(rng):
    import torch

    X, order, one = np.full((1, 3), 1e-20, np.float32), np.zeros(5, int), np.ones(1)
    expected, _ = run(X, order, one, np.zeros(3), loss="logistic", lr=1e-19)
    assert 0 < expected[0] < np.finfo(np.float32).smallest_normal
    if torch.set_flush_denormal(True):
        try:
            found, _ = run(X, order, one, np.zeros(3), loss="logistic", lr=1e-19)
        finally:
            torch.set_flush_denormal(False)
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_score_that_is_not_finite_stops_the_run(bad, instruction_set):
    X = np.ones((3, 40), np.float32)
    X[2, 39] = bad
    options = {"loss": "logistic", "instruction_set": instruction_set}
    for position in range(4):
        order = np.array([0, 1, 0, 1])
        order[position] = 2
        assert run(X, order, np.ones(3), np.zeros(40), **options)[1] == position
    assert run(X, [0, 1], np.ones(3), np.zeros(40), **options)[1] == -1


@pytest.mark.parametrize("loss", LOSSES)
def test_own_derivative_is_right_to_8_ulp_and_the_same_everywhere(loss, rng):
    edges = np.array([0.0, -0.0, 1.0, 5e-45, 51.5, 88.7, 88.8, 103.9, 104.1, 1e30, 3.4e38], np.float32)
    m = np.concatenate([np.linspace(-110, 110, 3001, dtype=np.float32), edges, -edges])
    found = derivative(loss, m)
    assert ulps(found, m, DERIVATIVE[loss]).max() <= 8
    for name in SETS:
        assert derivative(loss, m, instruction_set=name).tobytes() == found.tobytes()


@pytest.mark.slow
def test_own_derivative_over_every_margin_of_the_logistic_loss():
    """All float32 from 2^-30 to 110, both signs, against float64's exp (good to 1 ulp of a format twice as wide)."""
    first, last = np.array([2.0**-30, 110.0], np.float32).view(np.uint32)
    for start in range(int(first), int(last), 1 << 22):
        m = np.arange(start, min(start + (1 << 22), int(last) + 1), dtype=np.uint32).view(np.float32)
        for margins in (m, -m):
            exact = -1 / (1 + np.exp(margins.astype(np.float64)))
            unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
            assert (np.abs(derivative("logistic", margins) - exact) <= 4 * unit).all()


@pytest.mark.parametrize("d", [3, 32])
def test_a_run_that_diverges_leaves_nothing_behind_for_the_next(d):
    X = np.array([[1.0] * d, [0.001] * d], np.float32)
    w = np.zeros((2, d), np.float32)
    w[0] = -200
    orders, labels = [np.array([0, 0]), np.array([1, 1])], [np.ones(2, np.float32)] * 2
    assert sgd_runs(X, orders, labels, w, loss="exponential", lr=1e-3, threads=1) == [1, -1]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_stops_within_a_moment(threads):
    code = f"""
import numpy as np
from mathdnn.native.sgd import sgd_runs
X, order = np.ones((1000, 784), np.uint8), np.tile(np.arange(1000), 50_000)
labels = np.ones(1000, np.float32)
w = np.zeros((2, 784), np.float32)
print("running", flush=True)
try:
    sgd_runs(X, [order, order], [labels, labels], w, loss="logistic", lr=1e-3, threads={threads})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == "running\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"  # uninterrupted it would run on for several seconds
        assert child.wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("instruction_set", "flags"),
    [("baseline", []), ("avx2", ["-march=x86-64-v3"]), ("avx512", ["-march=x86-64-v4", "-mprefer-vector-width=512"])],
)
def test_sanitizers_find_nothing_at_any_size(instruction_set, flags, tmp_path):
    here, compiler = Path(__file__).parent, shutil.which("g++") or shutil.which("c++")
    if compiler is None or instruction_set not in SETS:
        pytest.skip(f"no compiler, or no {instruction_set} on this processor")
    source = here.parents[1] / "src" / "native"
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ffp-contract=off", "-Wno-psabi"]
    program = tmp_path / "sanitized"
    files = [str(source / "sgd.cpp"), str(here / "sgd_sanitized.cpp")]
    build = [compiler, "-std=c++20", "-O1", "-g", *checks, *flags, f"-DISA={instruction_set}", f"-I{source}", *files]
    built = subprocess.run([*build, "-o", str(program)], capture_output=True, text=True)
    if "sanitize" in built.stderr or "asan" in built.stderr:
        pytest.skip("this compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([str(program)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


GOOD = {"X": np.zeros((3, 2), np.float32), "orders": [np.arange(3)], "labels": [np.ones(3, np.float32)]}
FROZEN = np.zeros((1, 2), np.float32)
FROZEN.flags.writeable = False
ONE_SCORE = "a writeable float32 array a run, one score a step"
REFUSED = [
    ({"X": np.zeros((3, 2))}, "X", "a matrix of float32 or uint8", "shape (3, 2), dtype float64"),
    ({"X": np.zeros((3, 2), ">f4")}, "X", "a matrix of float32 or uint8", "shape (3, 2), dtype >f4"),
    ({"w": np.zeros((2, 2), np.float32)}, "w", "a writeable float32 array of (1, 2)", "shape (2, 2), dtype float32"),
    ({"w": FROZEN}, "w", "a writeable float32 array of (1, 2)", "shape (1, 2), dtype float32"),
    ({"labels": []}, "labels", "1 runs", "0"),
    ({"labels": [np.ones(2, np.float32)]}, "labels", "3, one a row", "shape (2,)"),
    ({"labels": [np.array([1, 0, 1], np.float32)]}, "labels", "-1 and +1", "0"),
    ({"labels": [np.array([1, 1, np.nan], np.float32)]}, "labels", "-1 and +1", "nan"),
    ({"labels": [np.array([1, np.inf, -1], np.float32)]}, "labels", "-1 and +1", "inf"),
    ({"orders": [np.zeros((1, 2), int)]}, "orders", "one row index a step", "shape (1, 2), dtype int64"),
    ({"orders": [np.array([0, 2**63 - 1, 2])]}, "orders", "rows 0 to 2", "0 to 9223372036854775807"),
    ({"orders": [np.array([0, -(2**63), 2])]}, "orders", "rows 0 to 2", "-9223372036854775808 to 2"),
    ({"scores": [np.zeros(2, np.float32)]}, "scores", ONE_SCORE, "1 arrays"),
    ({"scores": [np.zeros(3)]}, "scores", ONE_SCORE, "1 arrays"),
    ({"scores": [np.zeros(3, np.float32)] * 2}, "scores", ONE_SCORE, "2 arrays"),
    ({"orders": [np.array([0, 1, 3])]}, "orders", "rows 0 to 2", "0 to 3"),
    ({"orders": [np.array([0, -1, 2])]}, "orders", "rows 0 to 2", "-1 to 2"),
    ({"loss": "log"}, "loss", f"one of {', '.join(LOSSES)}", "'log'"),
    ({"decay": "no"}, "decay", f"one of {', '.join(DECAYS)}", "'no'"),
    ({"lr": 0.0}, "lr, weight_decay", "a finite step above 0 and a finite decay from 0", "0.0 and 0.0"),
    ({"threads": 0}, "threads, steps_before", "at least 1 and 0", "0 and 0"),
]


@pytest.mark.parametrize(("change", "name", "expected", "got"), REFUSED)
def test_nothing_reaches_a_pointer_unchecked(change, name, expected, got):
    arguments = {**GOOD, "w": np.zeros((1, 2), np.float32), "loss": "logistic", "lr": 0.1, **change}
    sentence = f"sgd_runs({name}=...): expected {expected}, got {got}; see mathdnn.margin.sgd."
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        sgd_runs(**arguments)


def test_reading_alone_reads_what_is_visited(rng):
    X, order = rng.integers(0, 9, (30, 200)).astype(np.float32), rng.integers(0, 30, 100)
    assert read_rows(X, order) == X[order, :192].sum()  # whole blocks of 64, and whole numbers: exact in any order
    assert read_rows(X[:, ::2], order) == X[order, :128:2].sum()
    assert read_rows(X, order[:0]) == 0
    sentence = "sgd_runs(X, order=...): expected float32 rows that exist, got float32, rows 0 to 30 of 30"
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}; see mathdnn.margin.sgd.$"):
        read_rows(X, np.array([0, 30]))


def test_unknown_instruction_sets_and_losses_are_refused():
    sentence = f"sgd(instruction_set=...): expected one of {', '.join(SETS)}, got 'mmx'; choose one."
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        derivative("logistic", np.zeros(1, np.float32), instruction_set="mmx")
    sentence = f"derivative(loss=...): expected one of {', '.join(LOSSES)}, got 'log'; choose one."
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        derivative("log", np.zeros(1, np.float32))
