"""Wrong twins of the study room, each a mistake found in print. The docstring names the law that must reject it."""

from __future__ import annotations

import math
import statistics

from scipy.special import stdtrit

from mathdnn.study import Interval


def mean_interval_normal(values, level=0.95):
    """Rejected by: coverage (1.96 instead of Student's quantile)."""
    mean, s, n = statistics.fmean(values), statistics.stdev(values), len(values)
    half = statistics.NormalDist().inv_cdf((1 + level) / 2) * s / math.sqrt(n)
    return Interval(mean - half, mean + half, mean)


def mean_interval_population(values, level=0.95):
    """Rejected by: coverage (standard deviation with n)."""
    mean, s, n = statistics.fmean(values), statistics.pstdev(values), len(values)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * s / math.sqrt(n)
    return Interval(mean - half, mean + half, mean)


def mean_interval_of_one_run(values, level=0.95):
    """Rejected by: coverage (forgets the square root of n, and so covers too much)."""
    mean, s, n = statistics.fmean(values), statistics.stdev(values), len(values)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * s
    return Interval(mean - half, mean + half, mean)


def prediction_interval_of_the_mean(values, level=0.95):
    """Rejected by: coverage of one more run (the interval of the mean in its place)."""
    from mathdnn.study import mean_interval

    return mean_interval(values, level)


def equivalence_by_no_difference(a, b, margin, level=0.95):
    """Rejected by: errors of equivalence ('no significant difference' taken for 'the same')."""
    from mathdnn.study import paired_difference
    from mathdnn.verdict import Status

    class Answer:
        status = Status.SUPPORTED if 0 in paired_difference(a, b, level) else Status.CONTRADICTED

    return Answer


def equivalence_of_means(a, b, margin, level=0.95):
    """Rejected by: errors of equivalence (the two means compared without their spread)."""
    from mathdnn.verdict import Status

    near = abs(statistics.fmean(a) - statistics.fmean(b)) < margin

    class Answer:
        status = Status.SUPPORTED if near else Status.CONTRADICTED

    return Answer


def timing_one_after_the_other(arms, rounds, warmup, *, clock):
    """Rejected by: a machine that slows down is no difference between arms."""
    from mathdnn.study import Timing

    seconds = {}
    for name, function in arms.items():
        seconds[name] = ()
        for _ in range(rounds):
            start = clock()
            function()
            seconds[name] += (clock() - start,)
    return Timing(seconds)


def timing_without_warmup(arms, rounds, warmup, *, clock):
    """Rejected by: what the first call costs is not counted."""
    from mathdnn.study import interleaved_timing

    return interleaved_timing(arms, rounds, 0, clock=clock)


def timing_in_fixed_order(arms, rounds, warmup, *, clock):
    """Rejected by: the order rotates."""
    from mathdnn.study import Timing

    seconds = dict.fromkeys(arms, ())
    for index in range(-warmup, rounds):
        for name, function in arms.items():
            start = clock()
            function()
            if index >= 0:
                seconds[name] += (clock() - start,)
    return Timing(seconds)
