"""What is measured, as values: a work has arms that compute the same thing, and figures to reach.

An arm computes `sample()` before anything is timed; a work whose arms disagree is refused, since times of different
computations say nothing. What cannot be measured here is a `LeftOut` with the reason, never silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mathdnn.bench.times import Times

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Shaped

Quality = Literal["at most", "at least", ""]


@dataclass(frozen=True)
class Settings:
    """How thoroughly: `quick` is a smoke run over little work, whose times mean nothing; `rounds` overrides each."""

    quick: bool = False
    rounds: int | None = None
    threads: int = 2


@dataclass(frozen=True)
class Arm:
    """One way of doing the work: `run()` does it `calls` times, and is what is timed.

    `sample()` gives what all arms of a `group` must agree on. A `slow` arm is timed in fewer rounds, on no less work.
    `prepare()` goes before each timing, untimed: what another arm left in caches and memory shall not count.
    `operations` and `bytes` (of one call; memory it cannot do without) place the arm on the roofline; `cores` it uses.
    """

    name: str
    run: Callable[[], object]
    sample: Callable[[], Shaped[np.ndarray, "..."]] | None = None
    group: str = ""
    calls: int = 1
    slow: bool = False
    operations: float | None = None
    bytes: float | None = None
    cores: int = 1
    prepare: Callable[[], object] | None = None


@dataclass(frozen=True)
class LeftOut:
    """An arm or a figure that was not measured, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Figure:
    """A figure of the work with the range or interval of its value; `limit` None where nothing is to reach."""

    what: str
    value: float
    low: float
    high: float
    unit: str
    quality: Quality = ""
    limit: float | None = None
    spread: str = ""
    raw: tuple[float, ...] = ()

    @property
    def reached(self) -> bool | None:
        """Whether the value keeps the limit; None without one."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.quality == "at most" else self.value >= self.limit

    def to_plain(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "reached": self.reached}


@dataclass(frozen=True)
class Built:
    """A work ready to run: its arms, the largest difference between their samples, and what to read off the times.

    `figures(times)` gives what the arms measured so far allow; `facts` are other things worth keeping, as plain data.
    """

    arms: tuple[Arm, ...]
    figures: Callable[[Times], list[Figure]]
    tolerance: float = 0.0
    rounds: int = 15
    slow_rounds: int = 3
    warmup: int = 1
    left_out: tuple[LeftOut, ...] = ()
    facts: Callable[[], Mapping[str, Any]] = field(default=dict)


@dataclass(frozen=True)
class Work:
    """A line or lines of the table: `build` loads what it needs and prepares, timing nothing."""

    name: str
    title: str
    build: Callable[[Settings], Built]
