"""Times that can be compared: warmed up, interleaved, in rotating order, every one of them kept.

    t[a][r]    seconds of arm a in round r;  ratio of a to b: the median over r of t[a][r] / t[b][r]
    interval   x_(k) .. x_(n-k+1) of the sorted ratios, k the largest with 2 P(Binomial(n, 1/2) < k) <= 1 - level

Rounds are pairs: what slows the machine for a while slows both. The interval of the median assumes nothing of the
distribution (Hahn and Meeker, "Statistical Intervals", 1991, section 5.2); it needs 6 rounds for 95 %.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mathdnn.errors import InvalidInput, as_number, is_whole, sentence
from mathdnn.study.statistics import Interval, check_values


@dataclass(frozen=True)
class Timing:
    """Seconds of each arm, one a round, in the order of the rounds."""

    seconds: Mapping[str, tuple[float, ...]]

    @property
    def rounds(self) -> int:
        return len(next(iter(self.seconds.values())))

    def median(self, arm: str) -> float:
        """Median seconds."""
        return statistics.median(self._of(arm))

    def range(self, arm: str) -> tuple[float, float]:
        """Shortest and longest time, in seconds."""
        return min(self._of(arm)), max(self._of(arm))

    def ratio(self, arm: str, to: str, level: float = 0.95) -> Interval:
        """How many times as long as `to` the arm takes: median of the rounds' ratios; `raw` holds each.

        Raises `InvalidInput` for an unknown arm, too few rounds, or a time too short for the clock.
        """
        for name in (arm, to):
            if min(self._of(name)) <= 0:
                got = f"{name!r} with {min(self._of(name))} s"
                raise InvalidInput(sentence("Timing.ratio", "times above 0", got, "do more work in each call"))
        pairs = zip(self._of(arm), self._of(to), strict=True)
        return median_interval([first / second for first, second in pairs], level)

    def to_plain(self) -> dict[str, dict[str, object]]:
        """Median, range and raw values of each arm, in seconds, as plain data."""
        return {
            arm: {"median": self.median(arm), "range": list(self.range(arm)), "raw": list(raw)}
            for arm, raw in self.seconds.items()
        }

    def _of(self, arm: str) -> tuple[float, ...]:
        if arm not in self.seconds:
            got = f"{arm!r}"
            raise InvalidInput(
                sentence("Timing", f"one of the arms {', '.join(self.seconds)}", got, "name one of them")
            )
        return self.seconds[arm]


def interleaved_timing(
    arms: Mapping[str, Callable[[], object]],
    rounds: int = 15,
    warmup: int = 2,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time each arm once a round, after `warmup` rounds that do not count; the order rotates from round to round.

    `clock` gives seconds. Raises `InvalidInput` without arms or rounds, or for parts of rounds; what an arm raises
    passes through.
    """
    if not arms or not (is_whole(rounds) and rounds >= 1) or not (is_whole(warmup) and warmup >= 0):
        got = f"{len(arms)} arms, rounds={rounds!r}, warmup={warmup!r}"
        raise InvalidInput(
            sentence("interleaved_timing", "an arm, a round and a warm-up of 0 or more", got, "give at least these")
        )
    names = list(arms)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in range(-warmup, rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            start = clock()
            arms[name]()
            elapsed = clock() - start
            if index >= 0:
                seconds[name].append(elapsed)
    return Timing({name: tuple(values) for name, values in seconds.items()})


def median_interval(values: list[float], level: float = 0.95) -> Interval:
    """The median and an interval of at least that level for it, whatever the distribution.

    Level 0 is the narrowest one. Raises `InvalidInput` for a level below 0 or from 1 on, or where even the smallest and
    the largest value do not make such an interval.
    """
    if not 0 <= as_number(level) < 1:
        raise InvalidInput(sentence("level", "a number from 0 to below 1", repr(level), "use 0.95, say"))
    raw = check_values(values, "median_interval(values)")
    n, k, tail = len(raw), 0, 0.0
    outside = (1 - level) * (1 + 1e-9)  # the last factor absorbs rounding
    while k < n and 2 * (tail + math.comb(n, k) / 2**n) <= outside:
        tail += math.comb(n, k) / 2**n
        k += 1
    if k == 0:
        needed = math.ceil(1 - math.log2(1 - level))
        who = "median_interval(values)"
        raise InvalidInput(sentence(who, f"at least {needed} values for {level:.0%}", f"{n}", "add rounds"))
    ordered = sorted(raw)
    method = f"distribution-free interval of the median, coverage {1 - 2 * tail:.1%}"
    return Interval(ordered[k - 1], ordered[n - k], statistics.median(raw), level, method, raw)
