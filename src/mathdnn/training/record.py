"""What is kept of a run: its curve, its final figures, and everything needed to judge or repeat it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from mathdnn.training.recipe import Recipe


class _Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Metrics(_Frozen, frozen=True):
    """Figures over `n` images: `loss` is the true mean an image, `accuracy` = `right` / `n`."""

    loss: float
    accuracy: float
    right: int
    n: int


class Epoch(_Frozen, frozen=True):
    """One epoch of the curve, numbered from 1.

    `train_loss` is the mean over the epoch's images at the time of their step, `test_loss` and `test_accuracy` are
    measured after the epoch on the judged split, `seconds` is the wall clock of the steps, without that measurement.
    """

    epoch: int
    train_loss: float
    test_loss: float
    test_accuracy: float
    seconds: float


class PixelScale(_Frozen, frozen=True):
    """What the network sees of a pixel u of 0..255: offset + gain u / 255."""

    offset: float = 0.0
    gain: float = 1.0


class Run(_Frozen, frozen=True, kw_only=True):
    """The record of a run.

    `recipe`, `seed`    what was asked; the seed governs the order of the images, their shifts, and dropout
    `engine`            "torch" or "native", and `engine_reason` why
    `data`, `data_digest`    name and SHA-256 of the data; `judged` names the split the curve was measured on
    `model`             SHA-256 of the network's structure; `about` what the caller says of it
    `frozen`            names of the parameters that were not trained
    `scale`             what the network sees of a pixel
    `loss_limit`        a mean training loss above this counts as run away (see `loop.RUNAWAY`)
    `curve`, `metrics`  one `Epoch` an epoch, and the figures after the last one (None while unfinished)
    `digest`            SHA-256 of the final tensors ("" while unfinished)
    `versions`, `machine`    where it ran; `notes` what may keep it from being repeated to the bit
    """

    recipe: Recipe
    seed: int
    engine: str
    engine_reason: str
    data: str
    data_digest: str
    model: str
    scale: PixelScale
    loss_limit: float = 0.0
    judged: str = "test"
    frozen: tuple[str, ...] = ()
    about: dict[str, str] = {}
    curve: tuple[Epoch, ...] = ()
    metrics: Metrics | None = None
    digest: str = ""
    versions: dict[str, str] = {}
    machine: dict[str, str] = {}
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done."""
        return self.metrics is not None

    @property
    def seconds(self) -> float:
        """Wall clock of all steps, without the measurements between them."""
        return sum(epoch.seconds for epoch in self.curve)

    def to_json(self) -> str:
        """The record as one JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()


@dataclass(frozen=True)
class Event:
    """How far a run is: sent between steps to `train(progress=...)`.

    `epoch` counts from 1 of `epochs`, `step` counts the steps done of `steps` in the whole run, `loss` is the mean
    training loss of the epoch so far, `lr` the last step size; `done` is the finished epoch where one has just ended.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    done: Epoch | None = None

    @property
    def fraction(self) -> float:
        """Steps done over steps in all."""
        return self.step / self.steps
