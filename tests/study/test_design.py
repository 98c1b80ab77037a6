"""Designs: paired and interleaved, resumed after a kill without a run twice, one writer at a time."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from mathdnn.errors import InvalidInput, OutputError, RunError
from mathdnn.study import Design, Results, Store, compare, run
from mathdnn.verdict import Status

DESIGN = Design(("table", "full"), (0, 1, 2), "accuracy", margin=0.5, unit="%")


def make(arm):
    shift = {"table": 0.0, "full": 0.1, "worse": -3.0}[arm]
    return lambda seed: 98 + shift + 0.01 * seed**2 + (0.01 * seed if arm != "table" else 0)


def test_arms_run_paired_and_interleaved():
    log = []
    results = run(DESIGN, lambda arm: lambda seed: log.append((arm, seed)) or float(len(log)))
    assert log == [("table", 0), ("full", 0), ("full", 1), ("table", 1), ("table", 2), ("full", 2)]
    assert tuple(log) == DESIGN.order
    assert results.values == {"table": (1, 4, 5), "full": (2, 3, 6)}
    assert all(second >= 0 for seconds in results.seconds.values() for second in seconds)


def test_processes_give_the_same_values(tmp_path):
    heard = []
    parallel = run(DESIGN, make, jobs=2, store=tmp_path / "s", progress=lambda done, total: heard.append((done, total)))
    assert parallel.values == run(DESIGN, make).values
    assert heard == [(done, 6) for done in range(1, 7)]
    assert run(DESIGN, lambda arm: None, store=tmp_path / "s").values == parallel.values  # nothing is run again


def test_an_interrupted_run_goes_on(tmp_path):
    path = tmp_path / "store"

    def failing(arm):
        return lambda seed: make(arm)(seed) if (arm, seed) != ("table", 1) else 1 / 0

    with pytest.raises(ZeroDivisionError, match="division by zero"):
        run(DESIGN, failing, store=path)
    log = []
    results = run(DESIGN, lambda arm: lambda seed: log.append((arm, seed)) or make(arm)(seed), store=path)
    assert log == [("table", 1), ("table", 2), ("full", 2)]
    assert results.values == run(DESIGN, make).values


KILLED = """
import sys, time
from mathdnn.study import Design, run
design = Design(("a", "b"), tuple(range(40)), "m", margin=1.0)
def make(arm):
    def work(seed):
        time.sleep(0.003)
        open(sys.argv[2], "a").write(f"{arm} {seed}\\n")
        return seed + 0.1 * (arm == "a")
    return work
results = run(design, make, store=sys.argv[1])
assert results.values["a"] == tuple(seed + 0.1 for seed in range(40))
print("done")
"""


def test_kills_lose_at_most_the_run_they_hit(tmp_path, rng):
    store, log = tmp_path / "store", tmp_path / "log"
    command = [sys.executable, "-c", KILLED, str(store), str(log)]
    kills = 0
    for _ in range(8):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        before = log.stat().st_size if log.exists() else 0
        while child.poll() is None and (log.stat().st_size if log.exists() else 0) == before:
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, 0.03)))
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.wait()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "done\n"
    runs = log.read_text().splitlines()
    assert kills >= 4
    assert len(set(runs)) == 80
    assert len(runs) <= 80 + kills


def test_another_design_shares_no_result(tmp_path):
    run(DESIGN, make, store=tmp_path / "store")
    for change in ({"seeds": (0, 1, 2, 3)}, {"margin": 0.4}, {"notes": "other data"}, {"metric": "loss"}):
        other = Design(**{**DESIGN.__dict__, **change})
        assert other.digest != DESIGN.digest
        log = []
        run(other, lambda arm, log=log: lambda seed: log.append(seed) or 1.0, store=tmp_path / "store")
        assert len(log) == len(other.order)


def test_a_run_that_is_not_finite_stops_the_study(tmp_path):
    def nan_at_last(arm):
        return lambda seed: float("nan") if (arm, seed) == ("full", 2) else 1.0

    with pytest.raises(InvalidInput, match=r"^run\(design\)") as caught:
        run(DESIGN, nan_at_last, store=tmp_path / "store")
    assert str(caught.value) == (
        "run(design): expected a finite accuracy, got nan from arm 'full' with seed 2; "
        "find out why; finished runs are kept where a store was given."
    )
    with Store(tmp_path / "store") as store:
        assert len(store.results(DESIGN.digest)) == 5


@pytest.mark.parametrize(
    ("question", "shift", "status"),
    [
        ("equivalent", 0.1, Status.SUPPORTED),
        ("equivalent", 3.0, Status.CONTRADICTED),
        ("greater", 3.0, Status.SUPPORTED),
        ("greater", -3.0, Status.CONTRADICTED),
        ("greater", 0.5, Status.UNDECIDED),
        ("less", -3.0, Status.SUPPORTED),
        ("less", 0.1, Status.CONTRADICTED),
    ],
)
def test_verdicts_of_a_comparison(question, shift, status):
    base = (98.0, 97.0, 99.0)
    other = tuple(x + shift + noise for x, noise in zip(base, (-0.02, 0.0, 0.02), strict=True))
    results = Results(DESIGN, {"table": base, "full": other}, {})
    assert compare(results, "full", "table", question).status is status


def test_a_comparison_in_plain_words():
    assert str(compare(run(DESIGN, make), "full", "table")) == (
        "SUPPORTED: full and table differ by less than 0.5 % in accuracy\n"
        "  full minus table, accuracy: 0.11 %, 90% interval [0.09314, 0.1269] over 3 runs "
        "(paired equivalence test (TOST) at 0.05, margin ±0.5 fixed before the runs)"
    )
    assert compare(run(DESIGN, make), "full", "table", "greater").claim == (
        "accuracy of full is greater than that of table by more than 0.5 %"
    )


def test_seeds_of_64_bits_are_kept(tmp_path):
    design = Design(("a", "b"), (-(2**63), 2**63 - 1), "m", margin=1)
    found = run(design, lambda arm: lambda seed: 1.0 + (seed > 0), store=tmp_path / "s")
    assert run(design, lambda arm: None, store=tmp_path / "s") == found


def test_a_design_is_the_same_whatever_type_its_numbers_have():
    one = Design(("a",), (0, 1), "m", margin=1.0)
    for other in (Design(["a"], range(2), "m", 1), Design(("a",), np.arange(2), "m", np.float32(1), np.float64(0.95))):
        assert other == one
        assert other.digest == one.digest


def test_a_file_named_as_sqlites_memory_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(DESIGN, make, store=":memory:")
    assert run(DESIGN, lambda arm: None, store=":memory:").values == run(DESIGN, make).values


def no_number(value):
    """A study in which one run gives that."""
    return lambda: run(DESIGN, lambda arm: lambda seed: value if (arm, seed) == ("full", 1) else 1.0)


FINITE = "run(design): expected a finite accuracy, got {} from arm 'full' with seed 1; "
FIND_OUT = "find out why; finished runs are kept where a store was given."
RESULTS = Results(DESIGN, {"table": (1.0, 2.0, 3.0), "full": (1.0, 2.5, 3.0)}, {})
BAD = {
    "no arm": (
        lambda: Design((), (1,), "m", 1.0),
        "Design(arms=...): expected arms that differ, at least one, got []; name each once.",
    ),
    "seed twice": (
        lambda: Design(("a",), (1, 1), "m", 1.0),
        "Design(seeds=...): expected seeds that differ, at least one, got [1, 1]; name each once.",
    ),
    "margin": (
        lambda: Design(("a",), (1,), "m", -1.0),
        "Design: expected a margin of 0 or more and a level in (0.5, 1), got margin=-1.0, level=0.95; use 0.95, say.",
    ),
    "text for a margin": (
        lambda: Design(("a",), (1,), "m", "1"),
        "Design: expected a margin of 0 or more and a level in (0.5, 1), got margin='1', level=0.95; use 0.95, say.",
    ),
    "no margin at all": (
        lambda: Design(("a",), (1,), "m", None),
        "Design: expected a margin of 0 or more and a level in (0.5, 1), got margin=None, level=0.95; use 0.95, say.",
    ),
    "letters for arms": (
        lambda: Design("ab", (1,), "m", 1.0),
        "Design(arms=...): expected a list of names, got 'ab'; put it into a list.",
    ),
    "numbers for arms": (
        lambda: Design((1, 2), (1,), "m", 1.0),
        "Design(arms=...): expected a list of names, got 1 in it; choose others.",
    ),
    "parts of seeds": (
        lambda: Design(("a",), (0.2, 1.7), "m", 1.0),
        "Design(seeds=...): expected a list of whole numbers from -2^63 to 2^63 - 1, got 0.2 in it; choose others.",
    ),
    "a seed too large": (
        lambda: Design(("a",), (2**63,), "m", 1.0),
        (
            "Design(seeds=...): expected a list of whole numbers from -2^63 to 2^63 - 1, "
            "got 9223372036854775808 in it; choose others."
        ),
    ),
    "one seed": (
        lambda: Design(("a",), 3, "m", 1.0),
        ("Design(seeds=...): expected a list of whole numbers from -2^63 to 2^63 - 1, got 3; put it into a list."),
    ),
    "no metric": (
        lambda: Design(("a",), (1,), None, 1.0),
        "Design(metric=...): expected text, got None; describe it in words.",
    ),
    "jobs": (
        lambda: run(DESIGN, make, jobs=1.5),
        "run(jobs=...): expected a whole number that is not 0, got 1.5; use 1, or -1 for all cores.",
    ),
    "a run without a value": (no_number(None), FINITE.format("None") + FIND_OUT),
    "a run that gives text": (no_number("98"), FINITE.format("'98'") + FIND_OUT),
    "a run that is infinite": (no_number(math.inf), FINITE.format("inf") + FIND_OUT),
    "a run with two values": (no_number([1, 2]), FINITE.format("[1, 2]") + FIND_OUT),
    "a store without a name": (
        lambda: run(DESIGN, make, store=""),
        "Store(path): expected a name of a file, got ''; choose a name.",
    ),
    "a store with half a name": (
        lambda: run(DESIGN, make, store="a\0b"),
        r"Store(path): expected a name of a file, got 'a\x00b'; choose a name.",
    ),
    "a store that is a number": (
        lambda: run(DESIGN, make, store=5),
        "Store(path): expected a path: text or a Path, got a int; write it as text.",
    ),
    "unknown arm": (
        lambda: compare(RESULTS, "table", "none"),
        (
            "compare(results, a, b, question): expected two of the arms table, full and one of equivalent, greater, "
            "less, got 'table', 'none', 'equivalent'; name these."
        ),
    ),
    "no margin": (
        lambda: compare(Results(Design(("table", "full"), (0, 1, 2), "m", 0.0), RESULTS.values, {}), "full", "table"),
        (
            "compare(question='equivalent'): expected a margin above 0, got a design with 0; "
            "plan the difference that matters before the runs."
        ),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_each_bad_input_has_its_sentence(name):
    call, words = BAD[name]
    with pytest.raises(InvalidInput, match=r": expected .*, got ") as caught:
        call()
    assert str(caught.value) == words


def test_a_store_has_one_writer(tmp_path):
    path = tmp_path / "store"
    with Store(path), pytest.raises(RunError, match=r"^Store") as caught:
        Store(path)
    assert str(caught.value) == (
        f"Store({path}): expected a store that is free, got one that another process holds; "
        "wait until it ends, or name another file."
    )
    Store(path).close()  # free again


def test_files_that_are_no_store(tmp_path):
    (tmp_path / "text").write_text("not a database, but long enough to have a header " * 40)
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    cases = {
        "text": (RunError, "a store of results, got the answer 'file is not a database'; name another file."),
        "other": (RunError, "a store of results, got a database of something else; name another file."),
        "none/store": (
            OutputError,
            "a place to write, got the answer 'unable to open database file'; choose a folder that exists.",
        ),
    }
    for name, (kind, words) in cases.items():
        with pytest.raises(kind, match=r"^Store") as caught:
            Store(tmp_path / name)
        assert str(caught.value) == f"Store({tmp_path / name}): expected {words}"


def test_the_room_loads_neither_torch_nor_scipy():
    code = "import sys, mathdnn.study; print({'torch', 'scipy', 'joblib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
