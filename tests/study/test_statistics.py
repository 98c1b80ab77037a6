"""Intervals and verdicts agree with SciPy and statsmodels, and cover what they say, by simulation."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings
from tests.oracles import statistics as oracle
from tests.saboteurs import study as saboteurs

from mathdnn.errors import InvalidInput
from mathdnn.study import (
    equivalence,
    judge,
    mean_interval,
    median_interval,
    paired_difference,
    prediction_interval,
    verdict_in_prediction_interval,
    wilson_interval,
)
from mathdnn.verdict import Status, Verdict

RUNS = st.lists(st.floats(-1000, 1000).map(lambda x: round(x, 3)), min_size=3, max_size=12)
LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def close(interval, expected):
    return (interval.low, interval.high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=50)
@given(RUNS, LEVELS)
def test_intervals_of_runs_are_those_of_the_oracles(values, level):
    assume(np.std(values) > 1e-3)
    assert close(mean_interval(values, level), oracle.mean_interval(values, level))
    assert close(prediction_interval(values, level), oracle.prediction_interval(values, level))
    other = [value * (-1) ** index for index, value in enumerate(values)]
    assume(np.std(np.subtract(values, other)) > 1e-3)
    assert close(paired_difference(values, other, level), oracle.paired_interval(values, other, level))


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), LEVELS)
def test_wilson_is_that_of_the_oracle(counts, level):
    interval = wilson_interval(*counts, level)
    assert close(interval, oracle.wilson_interval(*counts, level))
    assert 0 <= interval.low <= interval.center <= interval.high <= 1


@given(st.integers(6, 40), st.integers(0, 2**32))
def test_the_median_interval_is_that_of_the_oracle(n, draw):
    values = np.random.default_rng(draw).lognormal(size=n).tolist()
    interval = median_interval(values)
    assert (interval.low, interval.high) == oracle.median_interval(values, 0.95)
    assert interval.center == np.median(values)


@given(st.integers(0, 2**32), st.floats(0.05, 3), st.floats(-2, 2))
@settings(max_examples=60)
def test_equivalence_is_that_of_the_oracle(draw, margin, shift):
    a, b = np.random.default_rng(draw).normal(size=(2, 6))
    a = a + shift
    status = equivalence(a, b, margin).status
    assert (status is Status.SUPPORTED) == (oracle.equivalence_p(a, b, margin) < 0.05)
    assert (status is Status.CONTRADICTED) == (oracle.outside_p(a, b, margin) < 0.05)


def law_of_coverage(interval, covers_one_more: bool, draws: int = 3000):
    """At five runs and 95 %, the truth lies inside in 95 % of studies, within four standard errors."""
    rng = np.random.default_rng(7)
    runs = rng.normal(3, 2, (draws, 6))
    hits = 0
    for row in runs.tolist():
        truth = row[5] if covers_one_more else 3
        found = interval(row[:5], 0.95)
        hits += found.low <= truth <= found.high
    assert hits / draws == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / draws))


def test_the_mean_is_covered():
    law_of_coverage(mean_interval, covers_one_more=False)


def test_one_more_run_is_covered():
    law_of_coverage(prediction_interval, covers_one_more=True)


def test_a_paired_difference_is_covered_whatever_the_seeds_share():
    shared = np.random.default_rng(8).normal(0, 50, (3000, 5)).tolist()
    rows = iter(shared)

    def interval(values, level):
        common = next(rows)
        return paired_difference([x + c for x, c in zip(values, common, strict=True)], common, level)

    law_of_coverage(interval, covers_one_more=False)


@pytest.mark.parametrize(
    ("twin", "one_more"),
    [
        (saboteurs.mean_interval_normal, False),
        (saboteurs.mean_interval_population, False),
        (saboteurs.mean_interval_of_one_run, False),
        (saboteurs.prediction_interval_of_the_mean, True),
    ],
)
def test_the_law_rejects_wrong_intervals(twin, one_more):
    with pytest.raises(AssertionError, match="assert"):
        law_of_coverage(twin, one_more)


def law_of_errors(question, draws: int = 1500):
    """A true difference at the margin's edge: neither supported nor contradicted more often than in 5 % of studies."""
    rng = np.random.default_rng(9)
    counts = dict.fromkeys(Status, 0)
    for noise in rng.normal(0, 0.3, (draws, 6)):
        base = rng.normal(90, 5, 6)
        counts[question(base + 1 + noise, base, 1.0).status] += 1
    limit = 0.05 * draws + 4 * math.sqrt(0.05 * 0.95 * draws)
    assert counts[Status.SUPPORTED] <= limit
    assert counts[Status.CONTRADICTED] <= limit


def test_errors_of_equivalence():
    law_of_errors(equivalence)


@pytest.mark.parametrize("twin", [saboteurs.equivalence_by_no_difference, saboteurs.equivalence_of_means])
def test_the_law_rejects_wrong_equivalence(twin):
    with pytest.raises(AssertionError, match="assert"):
        law_of_errors(twin, draws=300)


def test_a_verdict_in_plain_words():
    verdict = equivalence([98.2, 98.4, 98.1], [98.25, 98.2, 98.15], 0.5, quantity="accuracy", unit="points")
    assert str(verdict) == (
        "SUPPORTED: the difference is less than 0.5 points\n"
        "  accuracy: 0.03333 points, 90% interval [-0.21, 0.2767] over 3 runs "
        "(paired equivalence test (TOST) at 0.05, margin ±0.5 fixed before the runs)"
    )
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_undecided_says_what_would_decide():
    verdict = equivalence([1.0, 3.0, 2.5], [1.5, 2.0, 2.5], 1.0)
    assert verdict.status is Status.UNDECIDED
    assert str(verdict.evidence) == (
        "mean difference: 0.1667, 90% interval [-1.121, 1.454] over 3 runs (paired equivalence test (TOST) at 0.05, "
        "margin ±1 fixed before the runs); it would be decided by a new study with about 9 runs, if difference and "
        "spread stay as they are"
    )


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ([98.2, 98.3, 98.1, 98.25], Status.SUPPORTED),
        ([97.0, 97.1, 97.05, 97.02], Status.CONTRADICTED),
        ([98.26], Status.UNDECIDED),
        ([98.2, 98.2, 98.2], Status.UNDECIDED),
    ],
)
def test_a_published_figure(values, status):
    verdict = verdict_in_prediction_interval("98.26 %", 98.26, values, "accuracy", "%")
    assert verdict.status is status
    if status is not Status.UNDECIDED:
        assert verdict.evidence.published == 98.26
        assert verdict.evidence.raw == tuple(values)


@pytest.mark.parametrize(
    ("region", "status"),
    [
        ((0.5, math.inf), Status.SUPPORTED),
        ((1.5, math.inf), Status.CONTRADICTED),
        ((-math.inf, 0.5), Status.CONTRADICTED),
        ((1.0, math.inf), Status.UNDECIDED),
        ((-math.inf, math.inf), Status.SUPPORTED),
    ],
)
def test_regions_with_one_end(region, status):
    assert judge("c", [0.9, 1.0, 1.1, 1.05, 0.95], region, quantity="q").status is status


def test_rounded_decimals_are_no_spread():
    verdict = equivalence([98.3, 98.2, 0.3], [98.2, 98.1, 0.2], 0.2)
    assert verdict.status is Status.UNDECIDED
    assert str(verdict.evidence) == (
        "the same value, 0.1, from each of 3 runs, which says nothing of the spread; "
        "it would be decided by more runs with seeds of their own"
    )
    assert judge("c", [0.1 + 0.2, 0.3], (0, 1), quantity="q").status is Status.UNDECIDED
    assert verdict_in_prediction_interval("c", 0.3, [0.1 + 0.2, 0.3], "q").status is Status.UNDECIDED


SAME = "got the same value, 2, from each of 3 runs, which says nothing of the spread; add runs with other seeds."
ONE = "got a single run, 2, which says nothing of the spread; add runs with other seeds."
BAD = {
    "mean one": (lambda: mean_interval([2]), f"mean_interval(values): expected at least two values that differ, {ONE}"),
    "mean same": (
        lambda: mean_interval([2, 2, 2]),
        f"mean_interval(values): expected at least two values that differ, {SAME}",
    ),
    "prediction one": (
        lambda: prediction_interval([2]),
        f"prediction_interval(values): expected at least two values that differ, {ONE}",
    ),
    "paired same": (
        lambda: paired_difference([3, 4, 5], [1, 2, 3]),
        f"paired_difference(a, b): expected at least two values that differ, {SAME}",
    ),
    "none": (
        lambda: mean_interval([]),
        "mean_interval(values): expected at least one value, got none; give one value a run.",
    ),
    "NaN": (
        lambda: prediction_interval([1, math.nan]),
        (
            "prediction_interval(values): expected finite values, got nan at position 1; "
            "find out why that run failed; leaving it out would bias the rest."
        ),
    ),
    "infinite published": (
        lambda: verdict_in_prediction_interval("c", math.inf, [1, 2], "q"),
        (
            "verdict_in_prediction_interval(published): expected finite values, got inf at position 0; "
            "find out why that run failed; leaving it out would bias the rest."
        ),
    ),
    "lengths": (
        lambda: equivalence([1, 2], [1, 2, 3], 1),
        "equivalence(a, b): expected pairs, got 2 and 3 values; run both arms with the same seeds.",
    ),
    "margin": (
        lambda: equivalence([1, 2], [1, 3], 0),
        "equivalence(a, b): expected a finite margin above 0, got margin=0; fix one before the runs.",
    ),
    "level": (
        lambda: mean_interval([1, 2], 95),
        "level: expected a number between 0 and 1, got 95; use 0.95, say.",
    ),
    "level without a quantile": (
        lambda: wilson_interval(1, 2, 1 - 2**-53),
        "level: expected a number between 0 and 1, got 0.9999999999999999; use 0.95, say.",
    ),
    "too large to add": (
        lambda: paired_difference([1e308, 1], [-1e308, 1]),
        (
            "paired_difference(a, b): expected values of at most 1e+290, got 1e+308 at position 0; "
            "give it in a larger unit, or its logarithm."
        ),
    ),
    "level of a verdict": (
        lambda: equivalence([1, 2], [1, 3], 1, level=0.5),
        "level: expected a number between 0.5 and 1, got 0.5; use 0.95, say.",
    ),
    "successes": (
        lambda: wilson_interval(5, 4),
        (
            "wilson_interval(successes=5, trials=4): expected whole numbers, 0 <= successes <= trials, with at "
            "least one trial, got these; check the count."
        ),
    ),
    "half a success": (
        lambda: wilson_interval(1.5, 3),
        (
            "wilson_interval(successes=1.5, trials=3): expected whole numbers, 0 <= successes <= trials, with at "
            "least one trial, got these; check the count."
        ),
    ),
    "region of NaN": (
        lambda: judge("c", [1, 2], (math.nan, 1), quantity="q"),
        ("judge(region): expected two numbers in order, got (nan, 1); give the smaller first; an end may be infinite."),
    ),
    "region turned round": (
        lambda: judge("c", [1, 2], (5, -5), quantity="q"),
        ("judge(region): expected two numbers in order, got (5, -5); give the smaller first; an end may be infinite."),
    ),
    "region of one": (
        lambda: judge("c", [1, 2], 5, quantity="q"),
        "judge(region): expected two numbers in order, got 5; give the smaller first; an end may be infinite.",
    ),
    "text for a margin": (
        lambda: equivalence([1, 2], [1, 3], "1"),
        "equivalence(a, b): expected a finite margin above 0, got margin='1'; fix one before the runs.",
    ),
    "no level": (
        lambda: equivalence([1, 2], [1, 3], 1, level=None),
        "level: expected a number between 0.5 and 1, got None; use 0.95, say.",
    ),
    "widest of NaN": (
        lambda: verdict_in_prediction_interval("c", 1, [1, 2], "q", widest=math.nan),
        (
            "verdict_in_prediction_interval(widest): expected a number above 0, or infinity, got nan; "
            "fix one before the runs."
        ),
    ),
    "no number": (
        lambda: mean_interval([1, None]),
        (
            "mean_interval(values): expected finite values, got None at position 1; "
            "find out why that run failed; leaving it out would bias the rest."
        ),
    ),
    "no list": (
        lambda: mean_interval(1.5),
        "mean_interval(values): expected a list of values, got 1.5; give one value a run.",
    ),
    "rounds": (
        lambda: median_interval([1, 2, 3, 4, 5]),
        "median_interval(values): expected at least 6 values for 95%, got 5; add rounds.",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_each_bad_input_has_its_sentence(name):
    call, words = BAD[name]
    with pytest.raises(InvalidInput, match=r": expected .*, got ") as caught:
        call()
    assert str(caught.value) == words


def test_a_prediction_interval_that_holds_nearly_anything_supports_nothing():
    values = (67.7, 77.0)
    assert verdict_in_prediction_interval("as published", 98.26, values, "accuracy").status is Status.SUPPORTED
    verdict = verdict_in_prediction_interval("as published", 98.26, values, "accuracy", widest=2.0)
    assert verdict.status is Status.UNDECIDED
    assert verdict.evidence.why.endswith(
        "an interval that reaches further than 2 to either side and holds nearly anything"
    )
    assert verdict_in_prediction_interval("x", 900.0, values, "accuracy", widest=2.0).status is Status.CONTRADICTED
    narrow = (98.5, 98.6, 98.4)
    assert verdict_in_prediction_interval("x", 98.26, narrow, "accuracy", widest=2.0).status is Status.SUPPORTED
