"""The machine's limits, measured in the same run, and how far an arm is from them.

    peak       floating-point operations a second in fused multiply-adds on registers, one core and all used
    bandwidth  bytes a second read from an array much larger than the caches
    of both the best time counts, being a limit
    roof(I) = min(peak, I bandwidth) at I operations a byte        share = (operations / seconds) / roof

Source: Williams, Waterman, Patterson, "Roofline: an insightful visual performance model" (2009).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mathdnn.bench.work import Arm, Settings

READ_BYTES = 2**28  # heuristic: eight times the last-level cache of the processors this was tried on
ROUNDS = 4_000_000  # of 12 multiply-adds: some milliseconds


@dataclass(frozen=True)
class Limits:
    """Each with its raw values, by the number of cores: operations a second, and bytes a second."""

    peak: dict[int, tuple[float, ...]]
    bandwidth: dict[int, tuple[float, ...]]
    instruction_set: str

    def roof(self, intensity: float, cores: int) -> float:
        """Operations a second that `cores` can reach at `intensity` operations a byte."""
        return min(self._of(self.peak, cores), intensity * self._of(self.bandwidth, cores))

    def distance(self, arm: Arm, seconds: float) -> dict[str, Any]:
        """Operations a second, intensity, and the shares of the peak and of the roof that `arm` reaches."""
        if arm.operations is None or arm.bytes is None:
            return {}
        rate, intensity = arm.operations / seconds, arm.operations / arm.bytes
        return {
            "operations": arm.operations,
            "bytes": arm.bytes,
            "operations_per_second": rate,
            "intensity": intensity,
            "share_of_peak": rate / self._of(self.peak, arm.cores),
            "share_of_roof": rate / self.roof(intensity, arm.cores),
        }

    def to_plain(self) -> dict[str, Any]:
        def each(values: dict[int, tuple[float, ...]]) -> dict[str, Any]:
            return {
                str(cores): {
                    "best": max(raw),
                    "median": statistics.median(raw),
                    "range": [min(raw), max(raw)],
                    "raw": list(raw),
                }
                for cores, raw in values.items()
            }

        return {
            "instruction_set": self.instruction_set,
            "operations_per_second": each(self.peak),
            "bytes_per_second": each(self.bandwidth),
        }

    def _of(self, values: dict[int, tuple[float, ...]], cores: int) -> float:
        return max(values[max(known for known in values if known <= cores)])


def measure_limits(settings: Settings) -> Limits:
    """Peak and bandwidth of one core, and of all `settings.threads` at once."""
    from mathdnn.native import instruction_set
    from mathdnn.native.probe import aligned_floats, multiply_add, read_memory

    rounds = 20_000 if settings.quick else ROUNDS
    times = 3 if settings.quick else 11
    array = aligned_floats((2**20 if settings.quick else READ_BYTES) // 4)

    def adds(_: int) -> float:
        return multiply_add(rounds)

    def reads(_: int) -> float:
        read_memory(array)
        return float(array.nbytes)

    cores = sorted({1, settings.threads})
    return Limits(
        {n: _rate(adds, n, times) for n in cores}, {n: _rate(reads, n, times) for n in cores}, instruction_set()
    )


def _rate(work: Callable[[int], float], cores: int, times: int) -> tuple[float, ...]:
    found = []
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, range(cores)))
        for _ in range(times):
            start = time.perf_counter()
            done = sum(pool.map(work, range(cores)))
            found.append(done / (time.perf_counter() - start))
    return tuple(found)


@contextmanager
def usable_threads(threads: int) -> Iterator[None]:
    """torch on so many threads, and as it was afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
