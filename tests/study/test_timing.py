"""Timing on a clock of the test's own: what slows the machine, or the first call, or the order makes no difference."""

from __future__ import annotations

import json

import pytest
from tests.saboteurs import study as saboteurs

from mathdnn.errors import InvalidInput
from mathdnn.study import Timing, interleaved_timing, machine, versions


class Machine:
    """A clock that the work itself moves on; it slows down, its first calls are dear, and who comes second gains."""

    def __init__(self, slowing=0.0, first=0.0, second=1.0):
        self.now, self.calls, self.log = 0.0, {}, []
        self.slowing, self.first, self.second = slowing, first, second

    def clock(self):
        return self.now

    def arm(self, name, cost):
        def work():
            warm = self.first if name not in self.calls else 0.0
            gain = self.second if len(self.log) % 2 else 1.0
            self.calls[name] = self.calls.get(name, 0) + 1
            self.log.append(name)
            self.now += (cost * gain + warm) * (1 + self.slowing * len(self.log))

        return work


def ratio_on(timing, **faults):
    world = Machine(**faults)
    arms = {"one": world.arm("one", 2.0), "other": world.arm("other", 1.0)}
    return timing(arms, 12, 2, clock=world.clock).ratio("one", "other")


def law_of_slowing(timing):
    assert ratio_on(timing, slowing=0.05).center == pytest.approx(2, rel=0.05)


def law_of_first_calls(timing):
    assert ratio_on(timing, first=100.0).raw == pytest.approx((2,) * 12)


def law_of_the_order(timing):
    assert ratio_on(timing, second=0.5).center == pytest.approx(2, rel=0.3)


LAWS = [law_of_slowing, law_of_first_calls, law_of_the_order]


@pytest.mark.parametrize("law", LAWS)
def test_what_is_not_the_arms_makes_no_difference(law):
    law(interleaved_timing)


@pytest.mark.parametrize(
    ("law", "twin"),
    [
        (law_of_slowing, saboteurs.timing_one_after_the_other),
        (law_of_first_calls, saboteurs.timing_without_warmup),
        (law_of_the_order, saboteurs.timing_in_fixed_order),
    ],
)
def test_the_laws_reject_wrong_timings(law, twin):
    with pytest.raises(AssertionError, match="assert"):
        law(twin)


def test_every_time_is_kept():
    world = Machine()
    timing = interleaved_timing({"a": world.arm("a", 2.0), "b": world.arm("b", 1.0)}, 6, 1, clock=world.clock)
    assert world.log == ["b", "a"] + ["a", "b", "b", "a"] * 3
    assert timing.rounds == 6
    assert timing.median("a") == 2
    assert timing.range("b") == (1, 1)
    assert timing.ratio("a", "b").raw == (2,) * 6
    assert timing.to_plain()["a"] == {"median": 2, "range": [2, 2], "raw": [2] * 6}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: interleaved_timing({}, 3),
            (
                "interleaved_timing: expected an arm, a round and a warm-up of 0 or more, got 0 arms, rounds=3, "
                "warmup=2; give at least these."
            ),
        ),
        (
            lambda: interleaved_timing({"a": int}, 0),
            (
                "interleaved_timing: expected an arm, a round and a warm-up of 0 or more, got 1 arms, rounds=0, "
                "warmup=2; give at least these."
            ),
        ),
        (
            lambda: interleaved_timing({"a": int}, 2.5),
            (
                "interleaved_timing: expected an arm, a round and a warm-up of 0 or more, got 1 arms, rounds=2.5, "
                "warmup=2; give at least these."
            ),
        ),
        (
            lambda: Timing({"a": (1.0,)}).median("b"),
            "Timing: expected one of the arms a, got 'b'; name one of them.",
        ),
        (
            lambda: Timing({"a": (1.0,), "b": (0.0,)}).ratio("a", "b"),
            "Timing.ratio: expected times above 0, got 'b' with 0.0 s; do more work in each call.",
        ),
    ],
)
def test_each_misuse_has_its_sentence(call, words):
    with pytest.raises(InvalidInput, match=r": expected .*, got ") as caught:
        call()
    assert str(caught.value) == words


def test_the_machine_and_versions_travel_as_plain_data():
    found = machine()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {
        "processor",
        "architecture",
        "cores",
        "memory_bytes",
        "instruction_set",
        "kernels",
        "os",
        "python",
    }
    assert found["cores"] >= 1
    assert found["processor"]
    assert {"python", "mathdnn", "torch", "numpy", "scipy", "scikit-learn"} <= set(versions())


@pytest.mark.parametrize("level", [1.0, -1.0, 2.0, float("nan")])
def test_a_ratio_at_a_level_outside_0_to_1_is_refused(level):
    timing = Timing({"a": (1.0,) * 60, "b": (2.0,) * 60})
    with pytest.raises(InvalidInput, match=r"^level: expected a number from 0 to below 1"):
        timing.ratio("a", "b", level)
