"""Intervals and tests as SciPy and statsmodels compute them."""

from __future__ import annotations

import numpy as np
import scipy.stats
import statsmodels.api as sm
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired


def mean_interval(values, level):
    return DescrStatsW(np.asarray(values)).tconfint_mean(1 - level)


def prediction_interval(values, level):
    """A regression on a constant alone: its interval for one more observation."""
    fit = sm.OLS(np.asarray(values), np.ones(len(values))).fit()
    (interval,) = fit.get_prediction([1.0]).conf_int(obs=True, alpha=1 - level)
    return tuple(interval)


def paired_interval(a, b, level):
    result = scipy.stats.ttest_rel(a, b).confidence_interval(level)
    return result.low, result.high


def wilson_interval(successes, trials, level):
    return proportion_confint(successes, trials, 1 - level, method="wilson")


def equivalence_p(a, b, margin):
    return ttost_paired(np.asarray(a), np.asarray(b), -margin, margin)[0]


def outside_p(a, b, margin):
    """The smaller p of 'the mean difference is at most margin' and 'at least -margin'."""
    difference = np.asarray(a) - np.asarray(b)
    above = scipy.stats.ttest_1samp(difference, margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(difference, -margin, alternative="less").pvalue
    return min(above, below)


def median_interval(values, level):
    interval = scipy.stats.quantile_test(values, q=0, p=0.5).confidence_interval(level)
    return interval.low, interval.high
