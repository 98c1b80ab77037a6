"""The batch-1 SGD runs that several claims of problem 5 share.

A run is one epoch over one label pair: weights uniform in +-1/sqrt(d), a random order, a step of 255e-4, then the test
loss and the number of right test images. A seed gives both losses the same weights and the same order, so the arms of a
comparison are paired.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.data import label_pair
from mathdnn.errors import DataError, sentence
from mathdnn.margin import LOSSES, SgdRun, right, sgd_many

if TYPE_CHECKING:
    from jaxtyping import Float

    from mathdnn.data import Dataset

LEARNING_RATE = 255e-4  # the homework's step, for both losses
SEEDS = 50  # runs for the intervals of the 4 against 9 problem
PAIR_SEEDS = 10  # runs for each of the 45 pairs
TWO_LOSSES = ("sum_of_squares", "logistic")
CLASSES = 10


@dataclass(frozen=True)
class Outcome:
    """One run's figures on the test images: mean loss, number right, number of images."""

    loss: float
    right: int
    n: int

    @property
    def error(self) -> float:
        """Test error in per cent."""
        return 100 * (1 - self.right / self.n)


class MarginRuns:
    """Runs over seeds, losses and label pairs of one data set, each made once.

    The runs read the bytes of the images (a byte stands for byte / 255), so that all share one array.
    """

    def __init__(self, data: Dataset) -> None:
        self.rows = data.train.images.reshape(len(data.train.images), -1)
        self.labels = data.train.labels
        self.test = data.test

    def seed_run(self, pair: tuple[int, int], seed: int) -> SgdRun:
        """First weights uniform in +-1/sqrt(d) and a random order of the pair's images; the pair's first label is
        -1."""
        for label in pair:
            if label not in self.labels:
                who = f"MarginRuns.seed_run(pair={pair})"
                expected = f"training images of label {label}"
                raise DataError(sentence(who, expected, "none in the split", "choose another label"))
        rng = np.random.default_rng(seed)
        rows = np.flatnonzero(np.isin(self.labels, pair))
        bound = self.rows.shape[1] ** -0.5
        start = rng.uniform(-bound, bound, self.rows.shape[1]).astype(np.float32)
        signs = np.where(self.labels == pair[1], np.float32(1), np.float32(-1))
        return SgdRun(signs, rng.permutation(rows)[None], start)

    def outcomes(self, loss: str, runs: Iterable[tuple[tuple[int, int], int]]) -> list[Outcome]:
        """Train each (pair, seed) for one epoch and judge it on the pair's test images.

        Raises `DataError` where a label of a pair has no images.
        """
        runs = list(runs)
        held = {pair: label_pair(self.test, *pair) for pair, _ in runs[:1]}  # before anything is trained
        weights = sgd_many(self.rows, (self.seed_run(*run) for run in runs), loss=loss, lr=LEARNING_RATE)
        found = []
        for (pair, _), w in zip(runs, weights, strict=True):
            if pair not in held:
                held = {pair: label_pair(self.test, *pair)}  # one at a time: all 45 would take 280 MB
            found.append(self._judge(loss, *held[pair], w))
        return found

    def _judge(
        self, loss: str, images: Float[np.ndarray, "n d"], labels: Float[np.ndarray, " n"], w: Float[np.ndarray, " d"]
    ) -> Outcome:
        scores = (images @ w).astype(np.float64)
        values = LOSSES[loss].value(labels * scores)
        return Outcome(float(values.mean()), int(right(scores, labels).sum()), len(labels))

    @cached_property
    def four_nine(self) -> dict[str, list[Outcome]]:
        """`SEEDS` runs of both losses on 4 against 9, over the same first weights and orders."""
        runs = [((4, 9), seed) for seed in range(SEEDS)]
        return {loss: self.outcomes(loss, runs) for loss in TWO_LOSSES}

    @cached_property
    def all_pairs(self) -> dict[tuple[int, int], tuple[float, ...]]:
        """Test error in per cent for each of the 45 pairs, `PAIR_SEEDS` runs of the logistic loss each."""
        pairs = list(combinations(range(CLASSES), 2))
        runs = [(pair, seed) for pair in pairs for seed in range(PAIR_SEEDS)]
        errors = [outcome.error for outcome in self.outcomes("logistic", runs)]
        return {pair: tuple(errors[place * PAIR_SEEDS : (place + 1) * PAIR_SEEDS]) for place, pair in enumerate(pairs)}
