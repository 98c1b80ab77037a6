"""What claims are decided with: the data, the number of seeds, and the runs that several claims share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathdnn.data import Dataset
    from mathdnn.homework.lenet_runs import LeNetRuns
    from mathdnn.homework.margin_runs import MarginRuns


class Resources:
    """Holds what the claims share, each made once, when it is first asked for.

    `seeds` is the number of LeNet-5 runs an arm; `data_root` a folder of IDX files (None: the embedded MNIST);
    `progress(text, fraction)` is told how far a long claim has come.
    """

    def __init__(
        self,
        *,
        seeds: int = 3,
        data_root: Path | None = None,
        progress: Callable[[str, float], Any] | None = None,
    ) -> None:
        self.seeds = seeds
        self.data_root = data_root
        self.progress = progress or (lambda _text, _fraction: None)

    @cached_property
    def data(self) -> Dataset:
        from mathdnn.data import load_mnist

        return load_mnist(self.data_root)

    @cached_property
    def margin(self) -> MarginRuns:
        """The batch-1 SGD runs of problem 5, over seeds, losses and label pairs."""
        from mathdnn.homework.margin_runs import MarginRuns

        return MarginRuns(self.data)

    @cached_property
    def lenet(self) -> LeNetRuns:
        """The LeNet-5 runs of problem 7, both arms over the same seeds, interleaved."""
        from mathdnn.homework.lenet_runs import train_both

        return train_both(self.data, self.seeds, self.progress)
