"""Study: honest comparison. Intervals for a few runs, paired designs that resume, times that can be compared."""

from mathdnn.study.design import Design, Results, compare, run
from mathdnn.study.machine import machine, versions
from mathdnn.study.statistics import (
    Interval,
    equivalence,
    judge,
    mean_interval,
    paired_difference,
    prediction_interval,
    verdict_in_prediction_interval,
    wilson_interval,
)
from mathdnn.study.store import Store
from mathdnn.study.timing import Timing, interleaved_timing, median_interval

__all__ = [
    "Design",
    "Interval",
    "Results",
    "Store",
    "Timing",
    "compare",
    "equivalence",
    "interleaved_timing",
    "judge",
    "machine",
    "mean_interval",
    "median_interval",
    "paired_difference",
    "prediction_interval",
    "run",
    "verdict_in_prediction_interval",
    "versions",
    "wilson_interval",
]
