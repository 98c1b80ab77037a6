"""What the check of a counterexample may ask for: so much of torch, and so much of exact arithmetic."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from mathdnn.verify import costs, work
from mathdnn.verify.numbers import ROOM, Numbers
from mathdnn.verify.running import Program
from mathdnn.verify.sides import run

_RUNS = 4  # a side is run once for each response: so much more work than of a certificate
_ENCLOSED = ROOM // 4  # numbers in a result, of which intervals hold a dozen arrays at once


class Means:
    """What is left of it, and what random numbers are drawn from."""

    def __init__(self, generator: random.Random) -> None:
        self.generator = generator
        self._last: dict[str, Any] = {}
        self.floats, self.exact = work.Work(costs.MOST), work.Work(_RUNS * work.MOST)

    def run(self, side: dict[str, Any], image: np.ndarray, numbers: Numbers) -> np.ndarray:
        """A side's output for one flat image."""
        again = self._last is side
        self.exact.spend(work.of_side(side) - (work.kept(side) if again else 0))
        self._last = side
        return run(side, image, numbers)[0]

    def program(self, graph: dict[str, Any]) -> Program:
        """A graph that runs at one image."""
        return Program(graph, self.floats.spend)

    def enclosed(self, graph: dict[str, Any], images: int) -> Program:
        """A graph that runs at so many images, and then on intervals around them."""
        times = images * (1 + costs.ENCLOSED)
        return Program(graph, lambda cost: self.floats.spend(times * cost), _ENCLOSED)
