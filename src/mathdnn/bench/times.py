"""Times of interleaved rounds, and the figures read off them.

    t[a][r]   seconds of one call of arm a in round r        ratio of a to b: median over r of t[a][r] / t[b][r]

Arms that were timed in fewer rounds are compared over the rounds that both were in: the first ones. The interval of a
median (study.median_interval) needs 6 rounds for 95 %; fewer give the widest interval there is, all their ratios, at
the coverage it has: 1 - 2^(1-n).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mathdnn.study import Timing


class Times:
    """Seconds of each arm's calls, in the order of the rounds."""

    def __init__(self, seconds: Mapping[str, Sequence[float]]) -> None:
        self.seconds = {name: tuple(values) for name, values in seconds.items() if values}

    def __contains__(self, arm: object) -> bool:
        return arm in self.seconds

    def median(self, arm: str) -> float:
        return statistics.median(self.seconds[arm])

    def ratio(self, arm: str, to: str) -> tuple[float, float, float, str, tuple[float, ...]]:
        """How many times as long as `to` the arm takes: median, interval, what interval it is, and each round's."""
        n = min(len(self.seconds[arm]), len(self.seconds[to]))
        both = Timing({name: self.seconds[name][:n] for name in (arm, to)})
        interval = both.ratio(arm, to, min(0.95, 1 - 2.0 ** (1 - n)))
        spread = f"{n} round{'s' * (n != 1)}, {interval.method}"
        return interval.center, interval.low, interval.high, spread, interval.raw

    def to_plain(self) -> dict[str, dict[str, Any]]:
        return Timing(self.seconds).to_plain()
