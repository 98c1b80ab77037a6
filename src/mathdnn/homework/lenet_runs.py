"""The LeNet-5 runs that several claims of problem 7 share: both arms over the same seeds, interleaved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

    from mathdnn.data import Dataset
    from mathdnn.training import Run

Arm = Literal["table", "full"]
ARMS: tuple[Arm, Arm] = ("table", "full")


@dataclass(frozen=True)
class LeNetRuns:
    """`runs[arm][seed]` is the record of a run; `model` the trained table network of seed 0."""

    runs: dict[Arm, tuple[Run, ...]]
    model: torch.nn.Module

    def accuracies(self, arm: Arm) -> list[float]:
        """Test accuracy in per cent after the last epoch, one a seed."""
        return [100 * run.curve[-1].test_accuracy for run in self.runs[arm]]

    def losses(self, arm: Arm) -> list[float]:
        """Mean test loss in nats an image after the last epoch, one a seed."""
        return [run.curve[-1].test_loss for run in self.runs[arm]]

    def seconds(self, arm: Arm) -> list[float]:
        """Seconds of training, one a seed."""
        return [sum(epoch.seconds for epoch in run.curve) for run in self.runs[arm]]


def train_both(data: Dataset, seeds: int, progress: Callable[[str, float], Any]) -> LeNetRuns:
    """Train LeNet-5 with the table and with full connections by the homework's recipe, arm after arm for each seed."""
    runs: dict[Arm, list[Run]] = {arm: [] for arm in ARMS}
    first = None
    for seed in range(seeds):
        for place, arm in enumerate(ARMS):
            done, share = (seed * len(ARMS) + place) / (seeds * len(ARMS)), 1 / (seeds * len(ARMS))
            model, run = _train_one(data, arm, seed, _part_of(progress, done, share))
            runs[arm].append(run)
            first = first or model
    assert first is not None
    return LeNetRuns({arm: tuple(items) for arm, items in runs.items()}, first)


def _part_of(progress: Callable[[str, float], Any], done: float, share: float) -> Callable[[str, float], Any]:
    """Progress of one run as progress of them all."""
    return lambda text, fraction: progress(text, done + fraction * share)


def _train_one(
    data: Dataset, arm: Arm, seed: int, progress: Callable[[str, float], Any]
) -> tuple[torch.nn.Module, Run]:
    from mathdnn.lenet import LeNet5
    from mathdnn.training import Recipe, initialise, train

    recipe = Recipe()
    model = initialise(LeNet5(c3=arm), seed)

    def report(event: Any) -> None:
        progress(f"LeNet-5, {arm}, seed {seed}, epoch {event.epoch}", event.fraction)

    return model, train(model, data, recipe, seed=seed, progress=report)
