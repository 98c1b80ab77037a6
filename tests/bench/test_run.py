"""What a run does with works: it compares, times, keeps what is finished, and places arms under the roof."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from tests.saboteurs import bench as saboteurs

from mathdnn.bench import Arm, Built, Disagree, Figure, LeftOut, Settings, Work, measure, roofline
from mathdnn.bench.figures import faster, fraction, takes
from mathdnn.bench.limits import Limits
from mathdnn.bench.run import agreement
from mathdnn.bench.times import Times
from mathdnn.cli.bench import _show
from mathdnn.errors import InvalidInput

QUICK = Settings(quick=True, threads=1)


def built(*arms: Arm, **more) -> Built:
    return Built(arms, lambda times: takes(times, arms[0].name), tolerance=1e-3, **more)


@pytest.mark.parametrize("wrong", saboteurs.ALL, ids=lambda wrong: wrong.__name__)
def test_arms_that_compute_something_else_are_refused(wrong):
    with pytest.raises(Disagree, match=r"'honest' and 'wrong', (inf|\d\S*) apart; correct the arm; nothing was timed"):
        agreement("x", built(saboteurs.honest(), wrong()))


def test_arms_of_other_groups_are_not_compared():
    one, two = saboteurs.honest(), saboteurs.fewer_images()
    other = Arm("other", two.run, two.sample, group="other")
    assert [row["reference"] for row in agreement("x", built(one, one, other))] == ["honest", "honest", "other"]


def test_disagreement_says_it_in_one_sentence():
    words = (
        "bench w: expected arms that compute the same within 0.001, got 'honest' and 'wrong', 0.01 apart; "
        "correct the arm; nothing was timed."
    )
    works = [Work("w", "a work", lambda s: built(saboteurs.honest(), saboteurs.another_step()))]
    with pytest.raises(Disagree, match=f"^{re.escape(words)}$"):
        list(measure(works, QUICK))


def test_slow_arms_run_in_fewer_rounds_and_calls_divide(monkeypatch):
    ran = []
    arms = (
        Arm("a", lambda: ran.append("a") or sum(range(10_000)), calls=10**9),
        Arm("b", lambda: ran.append("b"), slow=True),
    )
    settings = Settings(rounds=5, threads=1)
    monkeypatch.setattr("mathdnn.bench.limits.ROUNDS", 1000)
    monkeypatch.setattr("mathdnn.bench.limits.READ_BYTES", 2**16)
    (document,) = measure([Work("w", "a work", lambda s: built(*arms, slow_rounds=2))], settings)
    assert ran == ["a", *"ab", *"ba", *"aaa"]  # one warm-up; the order rotates
    assert {name: len(arm["raw"]) for name, arm in document["works"][0]["arms"].items()} == {"a": 5, "b": 2}
    assert document["works"][0]["arms"]["a"]["median"] < 1e-6  # seconds of one of a thousand million calls


def test_an_interrupt_keeps_the_rounds_that_are_finished():
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    works = [Work("w", "a work", lambda s: built(Arm("a", stop), left_out=(LeftOut("b", "not here"),)))]
    run = measure(works, Settings(quick=True, rounds=9, threads=1))
    document = next(run)
    assert not document["complete"]
    assert not document["works"][0]["complete"]
    assert len(document["works"][0]["arms"]["a"]["raw"]) == 2
    assert document["works"][0]["left_out"] == [{"name": "b", "why": "not here"}]
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        next(run)


def test_an_interrupt_before_the_rounds_leaves_a_work_without_figures(capsys):
    def stop(_: Settings) -> Built:
        raise KeyboardInterrupt

    run = measure([Work("w", "a work", stop)], Settings(quick=True, rounds=1, threads=1))
    document = next(run)
    assert document["works"] == [document["works"][0] | {"figures": [], "left_out": [], "complete": False}]
    _show(document["works"][0])
    assert "w: a work" in capsys.readouterr().out
    assert "<svg" in roofline(document)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        next(run)


@pytest.mark.parametrize("rounds", [0, -1, 10_001, 10**30, 2.5])
def test_rounds_that_are_none_or_days_are_misuse(rounds):
    expected = (
        rf"^bench\(rounds=\.\.\.\): expected a whole number from 1 to 10,000, got {rounds}; ask for some hundreds"
    )
    with pytest.raises(InvalidInput, match=expected):
        next(measure([], Settings(rounds=rounds)))


def test_one_arm_and_one_round_are_no_plurals():
    said = []
    work = Work("w", "a work", lambda s: built(Arm("a", lambda: None)))
    (document,) = measure([work], Settings(quick=True, rounds=1, threads=1), said.append)
    assert said[-2:] == ["w: comparing what 1 arm computes", "w: round 1 of 1, 1 arm"]
    assert document["works"][0]["figures"][0]["spread"] == "range of 1 round"


def test_ratios_pair_the_rounds_both_were_in():
    times = Times({"ours": [1.0, 2.0, 4.0, 100.0], "slow": [3.0, 8.0, 16.0], "slower": [9.0, 9.0, 90.0], "none": []})
    (figure,) = faster(times, "ours", ["slow", "slower", "none"], 3.5)
    assert (figure.what, figure.value, figure.low, figure.high) == ("ours, as fast as slow", 4.0, 3.0, 4.0)
    assert figure.raw == (3.0, 4.0, 4.0)
    assert figure.reached is True
    assert "3 rounds" in figure.spread
    assert "75.0%" in figure.spread
    assert times.ratio("ours", "slow")[0] == 0.25
    assert faster(times, "none", ["slow"], 1) == faster(times, "ours", ["none"], 1) == takes(times, "none") == []


def test_limits_are_kept_or_not():
    times = Times({"a": [1.0, 3.0, 2.0], "b": [2.0, 6.0, 4.0]})
    (share,) = fraction(times, "a", "b", 0.5)
    assert (share.value, share.reached) == (0.5, True)
    assert takes(times, "a", 1.9)[0].reached is False
    assert takes(times, "a")[0].reached is None
    assert Figure("x", 1, 1, 1, "s", "at least", 1.0).reached is True


def test_the_distance_to_the_roof_is_arithmetic():
    limits = Limits({1: (90.0, 100.0, 110.0), 2: (200.0,)}, {1: (10.0,), 2: (15.0,)}, "baseline")
    found = limits.distance(Arm("a", lambda: None, operations=40.0, bytes=10.0), 2.0)
    assert found["intensity"] == 4
    assert found["operations_per_second"] == 20
    assert found["share_of_roof"] == 0.5  # 4 operations a byte times 10 bytes a second
    assert found["share_of_peak"] == pytest.approx(20 / 110)
    assert limits.roof(100.0, 2) == 200
    assert limits.distance(Arm("a", lambda: None), 2.0) == {}


def test_the_picture_has_every_point_and_the_same_bytes():
    arms = (Arm("a", lambda: None, operations=1e6, bytes=1e5), Arm("b", lambda: None))
    *_, document = measure([Work("w", "a work", lambda s: built(*arms))], QUICK)
    plain = json.loads(json.dumps(document, allow_nan=False))
    drawn = roofline(plain)
    assert drawn == roofline(plain)
    assert "w: a, " in drawn
    assert "w: b, " not in drawn
    assert np.isfinite(document["limits"]["bytes_per_second"]["1"]["best"])
