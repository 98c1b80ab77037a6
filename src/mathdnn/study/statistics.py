"""Intervals for a handful of runs, and the verdicts that stand on them.

    x_1 .. x_n    one value a run;  m = mean, s = standard deviation with n - 1
    t             quantile (1 + level) / 2 of Student's distribution with n - 1 degrees of freedom
    mean          m +- t s sqrt(1/n)          (Student 1908)
    one more run  m +- t s sqrt(1 + 1/n)      (Hahn and Meeker, "Statistical Intervals", 1991, section 4.7)
    paired        the interval of the mean of d_i = a_i - b_i
    proportion    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)       (Wilson 1927)

A verdict compares an interval with the region that the claim allows, fixed before the runs: wholly inside is
supported, wholly outside contradicted, across its edge undecided. The interval is that of level 2 * level - 1 (90 % for
95 %): then either error has a probability of at most 1 - level. For the region (-margin, margin) this is the pair of
one-sided tests of Schuirmann (1987), called TOST. A bootstrap interval of five runs covers 84 % where it says 95; hence
Student's.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mathdnn.errors import InvalidInput, as_number, is_whole, sentence
from mathdnn.verdict import Estimate, Status, Verdict, undecided

LARGEST = 1e290  # heuristic: sums, differences and t times deviations of smaller values stay finite


@dataclass(frozen=True)
class Interval:
    """`low` to `high` around `center`, at a coverage of `level`, from the values in `raw`, by `method`."""

    low: float
    high: float
    center: float
    level: float = 0.95
    method: str = ""
    raw: tuple[float, ...] = ()

    @property
    def runs(self) -> int:
        return len(self.raw)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Where the mean over all runs lies. Raises `InvalidInput` for fewer than two values, or none that differ."""
    values = check_values(values, "mean_interval(values)")
    return _t_interval(values, level, 1 / len(values), "t interval of the mean", "mean_interval(values)")


def prediction_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Where one more run lies. Raises `InvalidInput` for fewer than two values, or none that differ."""
    values = check_values(values, "prediction_interval(values)")
    method = "t prediction interval of one more run"
    return _t_interval(values, level, 1 + 1 / len(values), method, "prediction_interval(values)")


def paired_difference(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Where the mean of a - b lies, pair by pair (`a[i]` and `b[i]` share a seed); `raw` holds the differences.

    Raises `InvalidInput` for unequal lengths, fewer than two pairs, or differences that are all the same.
    """
    differences = paired_values(a, b, "paired_difference(a, b)")
    return _t_interval(differences, level, 1 / len(differences), "paired t interval", "paired_difference(a, b)")


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Where the probability of a success lies. Raises `InvalidInput` unless 0 <= successes <= trials, trials >= 1."""
    if not (is_whole(successes) and is_whole(trials)) or trials < 1 or not 0 <= successes <= trials:
        who = f"wilson_interval(successes={successes!r}, trials={trials!r})"
        expected = "whole numbers, 0 <= successes <= trials, with at least one trial"
        raise InvalidInput(sentence(who, expected, "these", "check the count"))
    z = statistics.NormalDist().inv_cdf((1 + _check_level(level)) / 2)
    p, n = successes / trials, trials
    middle, scale = p + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == trials else (middle + half) / scale
    return Interval(low, high, p, level, "Wilson interval")


def equivalence(
    a: Sequence[float],
    b: Sequence[float],
    margin: float,
    level: float = 0.95,
    *,
    claim: str = "",
    quantity: str = "mean difference",
    unit: str = "",
) -> Verdict:
    """Do `a` and `b`, paired, differ by less than `margin` on average? `margin` is to be fixed before the runs.

    Supported, contradicted or undecided; one pair, or differences that are all the same, leave it undecided.
    Raises `InvalidInput` for unequal lengths, values that are not finite, or a margin that is not positive.
    """
    who = "equivalence(a, b)"
    if not 0 < as_number(margin) < math.inf:
        raise InvalidInput(sentence(who, "a finite margin above 0", f"margin={margin!r}", "fix one before the runs"))
    level = _check_level(level, above=0.5)
    claim = claim or f"the difference is less than {margin:g}{' ' * bool(unit)}{unit}"
    method = f"paired equivalence test (TOST) at {1 - level:.2g}"
    return judge(claim, paired_values(a, b, who), (-margin, margin), level, quantity=quantity, unit=unit, method=method)


def verdict_in_prediction_interval(
    claim: str,
    published: float,
    values: Sequence[float],
    quantity: str,
    unit: str = "",
    level: float = 0.95,
    widest: float = math.inf,
) -> Verdict:
    """Is `published` what one more run would give? Supported where the prediction interval of `values` holds it.

    An interval that reaches further than `widest` (fixed before the runs) to either side holds nearly anything, and
    supports nothing: undecided, like one value, or values that are all the same. Raises `InvalidInput` for values not
    finite, or a `widest` that is not above 0.
    """
    values = check_values(values, "verdict_in_prediction_interval(values)")
    (published,) = check_values([published], "verdict_in_prediction_interval(published)")
    if not as_number(widest) > 0:
        expected, do = "a number above 0, or infinity", "fix one before the runs"
        raise InvalidInput(sentence("verdict_in_prediction_interval(widest)", expected, f"{widest!r:.80}", do))
    why_not = _no_spread(values)
    if why_not:
        return undecided(claim, why_not, "more runs with seeds of their own")
    interval = prediction_interval(values, level)
    evidence = _estimate(interval, interval.method, quantity, unit, published=published)
    if published not in interval:
        return Verdict(claim, Status.CONTRADICTED, evidence)
    if interval.high - interval.center > widest:
        why = f"{evidence}, an interval that reaches further than {widest:g} to either side and holds nearly anything"
        return undecided(claim, why, "more runs with seeds of their own")
    return Verdict(claim, Status.SUPPORTED, evidence)


def judge(
    claim: str,
    values: Sequence[float],
    region: tuple[float, float],
    level: float = 0.95,
    *,
    quantity: str,
    unit: str = "",
    method: str = "t interval of the mean",
) -> Verdict:
    """Does the mean lie in the open `region` that the claim allows? An end may be infinite; see the module's top.

    Raises `InvalidInput` for values that are not finite, a region whose ends are not two numbers in order, or a level
    outside (0.5, 1).
    """
    values = check_values(values, "judge(values)")
    ends = [as_number(end) for end in region] if isinstance(region, Iterable) else []
    if len(ends) != 2 or not ends[0] < ends[1]:
        do = "give the smaller first; an end may be infinite"
        raise InvalidInput(sentence("judge(region)", "two numbers in order", f"{region!r:.80}", do))
    low_end, high_end = region = (ends[0], ends[1])
    why_not = _no_spread(values)
    if why_not:
        return undecided(claim, why_not, "more runs with seeds of their own")
    interval = mean_interval(values, 2 * _check_level(level, above=0.5) - 1)
    finite = [abs(end) for end in region if math.isfinite(end)]
    estimate = _estimate(interval, method, quantity, unit, margin=max(finite, default=None))
    if low_end < interval.low and interval.high < high_end:
        return Verdict(claim, Status.SUPPORTED, estimate)
    if interval.high < low_end or high_end < interval.low:
        return Verdict(claim, Status.CONTRADICTED, estimate)
    return undecided(claim, str(estimate), _what_would_decide(interval, region))


def check_values(values: Sequence[float], who: str) -> tuple[float, ...]:
    """The values as floats. Raises `InvalidInput` for none at all, or one that is not a finite number."""
    if not isinstance(values, Iterable):
        raise InvalidInput(sentence(who, "a list of values", f"{values!r:.80}", "give one value a run"))
    given = tuple(values)
    found = tuple(as_number(value) for value in given)
    if not found:
        raise InvalidInput(sentence(who, "at least one value", "none", "give one value a run"))
    for index, value in enumerate(found):
        if not math.isfinite(value):
            do = "find out why that run failed; leaving it out would bias the rest"
            raise InvalidInput(sentence(who, "finite values", f"{given[index]!r:.80} at position {index}", do))
        if abs(value) > LARGEST:
            got, do = f"{value:g} at position {index}", "give it in a larger unit, or its logarithm"
            raise InvalidInput(sentence(who, f"values of at most {LARGEST:g}", got, do))
    return found


def paired_values(a: Sequence[float], b: Sequence[float], who: str) -> tuple[float, ...]:
    """a - b, pair by pair. Raises `InvalidInput` for unequal lengths or values that are not finite."""
    first, second = check_values(a, who), check_values(b, who)
    if len(first) != len(second):
        got = f"{len(first)} and {len(second)} values"
        raise InvalidInput(sentence(who, "pairs", got, "run both arms with the same seeds"))
    differences = tuple(x - y for x, y in zip(first, second, strict=True))
    return differences[:1] * len(differences) if _same(differences, first + second) else differences


def _estimate(
    interval: Interval,
    method: str,
    quantity: str,
    unit: str,
    *,
    margin: float | None = None,
    published: float | None = None,
) -> Estimate:
    ends = {"value": interval.center, "low": interval.low, "high": interval.high, "level": interval.level}
    return Estimate(
        quantity,
        runs=interval.runs,
        method=method,
        unit=unit,
        margin=margin,
        published=published,
        raw=interval.raw,
        **ends,
    )


def _t_interval(values: tuple[float, ...], level: float, factor: float, method: str, who: str) -> Interval:
    """m +- t s sqrt(factor)"""
    why_not = _no_spread(values)
    if why_not:
        raise InvalidInput(sentence(who, "at least two values that differ", why_not, "add runs with other seeds"))
    from scipy.special import stdtrit  # scipy.stats would take three times as long to import

    mean = statistics.fmean(values)
    t = float(stdtrit(len(values) - 1, (1 + _check_level(level)) / 2))
    half = t * statistics.stdev(values) * math.sqrt(factor)
    return Interval(mean - half, mean + half, mean, level, method, values)


def _no_spread(values: tuple[float, ...]) -> str:
    """Why these values say nothing of their spread, or nothing where they do."""
    if len(values) == 1:
        return f"a single run, {values[0]:g}, which says nothing of the spread"
    if _same(values, values):
        return f"the same value, {values[0]:g}, from each of {len(values)} runs, which says nothing of the spread"
    return ""


def _same(values: tuple[float, ...], computed_from: tuple[float, ...]) -> bool:
    """98.2 - 98.1 and 98.3 - 98.2 differ in their last bits only: decimals are rounded, and that is no spread."""
    return max(values) - min(values) <= 4 * sys.float_info.epsilon * max(map(abs, computed_from))


def _check_level(level: float, above: float = 0.0) -> float:
    if not above < as_number(level) or (1 + as_number(level)) / 2 >= 1:  # rounded to 1, it has no quantile
        raise InvalidInput(sentence("level", f"a number between {above:g} and 1", repr(level), "use 0.95, say"))
    return as_number(level)


def _what_would_decide(interval: Interval, region: tuple[float, float]) -> str:
    """The half width shrinks like 1/sqrt(n): n' = n (half / distance to the region's edge)^2. Heuristic, said so."""
    half = (interval.high - interval.low) / 2
    distance = min(abs(interval.center - end) for end in region)
    if distance < half / 100:
        return "a new study with over ten thousand times as many runs, or a margin less close to the difference"
    runs = math.ceil(interval.runs * (half / distance) ** 2) + 1
    return f"a new study with about {runs} runs, if difference and spread stay as they are"
