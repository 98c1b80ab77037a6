"""The one training loop: epochs of steps on an engine, with a curve, checkpoints, and a stop where numbers run away."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import msgspec
import torch

from mathdnn.data import readable
from mathdnn.errors import Diverged, sentence
from mathdnn.training.batches import epoch_order, epoch_shifts, pixel_scale
from mathdnn.training.checkpoint import Position, tensor_digest
from mathdnn.training.checks import (
    check_about,
    check_data,
    check_device,
    check_reports,
    check_run,
    check_scores,
    check_weights,
    checked_seed,
    data_digest,
    machine,
    structure_digest,
    versions,
)
from mathdnn.training.engine import Engine, EngineName, EnginePlan, choose, native_engine
from mathdnn.training.images import Arrays, Images
from mathdnn.training.interrupt import DROPOUT, interrupts, kept, seeded, unchanged, with_gradients
from mathdnn.training.keeper import Keeper
from mathdnn.training.recipe import Recipe, check_recipe, step_size
from mathdnn.training.record import Epoch, Event, Run
from mathdnn.training.scoring import place_of, training
from mathdnn.training.state import frozen
from mathdnn.training.torch_engine import TorchEngine

Progress = Callable[[Event], Any]

CHECK_STEPS = 100  # how often the mean loss is compared with the start; fixed, so that reports change nothing
RUNAWAY = 10.0
"""A mean training loss this many times the one to begin with (of the initial weights, or of all scores zero if that is
larger) has run away: heuristic. LeNet-5 with tanh stays
finite whatever the step; with lr 1 its first epoch has 14 times the loss it began with and never learns, with lr 0.5 a
seventh, and a network that learns stays below its start."""


@with_gradients
def train(
    model: torch.nn.Module,
    data: Any,
    recipe: Recipe | None = None,
    *,
    engine: EngineName = "auto",
    seed: int = 0,
    device: str = "cpu",
    judged: str = "test",
    run: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    about: Mapping[str, str] | None = None,
    report_steps: int = 50,
    checkpoint_seconds: float = 10.0,
) -> Run:
    """Train `model` in place on `data.train` by `recipe` (default: the homework's) and return the record of the run.

    `model`     gives scores (n, classes) for images (n, 1, h, w); its present weights are the start (see `initialise`)
    `data`      holds the splits `train` and `judged`, each with images (n, h, w), uint8 or floats in [0, 1], and labels
    `engine`    "auto", "torch" or "native" (see `plan_engine`)
    `seed`      of the order of the images, their shifts and dropout; not of the weights
    `run`       a new or empty folder: a checkpoint is kept there, written whole at the start, after every epoch, about
                every `checkpoint_seconds`, and on Ctrl-C; `resume=True` goes on from it, to the same bits as a run that
                was never stopped (same versions, processor type and threads): kept are parameters, all buffers, extra
                state that is a tensor, and torch's default generators, but no other attributes of modules
    `progress`  is called with an `Event` about every `report_steps` steps and after each epoch; the model then holds
                the weights of that step, to be looked at: what the call writes there, puts in their place or freezes is
                undone, in buffers, too
    `about`     what to keep of the model beside the run: strings by strings

    Raises `InvalidInput` for what cannot be trained, `RunError` for a folder that cannot be resumed or is taken,
    `OutputError` where it cannot be written, `Diverged` where the loss runs away; Ctrl-C stops it between two steps.
    However it ends, the model holds the weights of the last step, and each module is in the mode it was in.
    """
    recipe = Recipe() if recipe is None else recipe
    check_recipe(recipe, "train(recipe=...)")
    seed = checked_seed(seed, "train(seed=...)")
    check_weights(model)
    check_run(run, resume, model)
    check_reports(progress, report_steps, checkpoint_seconds)
    splits = check_data(data, judged)
    place = check_device(device)
    plan, misfit = choose(model, recipe, engine, place.type, splits[0].images.shape[1:])
    record = _record(model, data, splits, recipe, plan, seed, place, judged, check_about(about))
    where = place_of(model.to(place))
    images, held = (Images(split, record.scale, *where) for split in splits)
    with seeded(seed, DROPOUT, place):  # a model may draw when it is judged, too
        record = msgspec.structs.replace(record, loss_limit=RUNAWAY * check_scores(model, images, held, recipe))
    if misfit is not None and plan.engine == "native":
        raise misfit
    keeper = Keeper.open(run, resume, record, checkpoint_seconds) if run is not None else None
    try:
        with interrupts() as stopped, seeded(seed, DROPOUT, place), _repeatable(place), training(model):
            runner = (native_engine if plan.engine == "native" else TorchEngine)(model, images, held, recipe)
            tell = _quiet(progress, model, place)
            loop = _Loop(record, runner, len(images), keeper, stopped, tell, int(report_steps))
            return loop.run(resume)
    finally:
        if keeper is not None:
            keeper.close()


def _record(
    model: torch.nn.Module,
    data: Any,
    splits: tuple[Arrays, Arrays],
    recipe: Recipe,
    plan: EnginePlan,
    seed: int,
    place: torch.device,
    judged: str,
    about: dict[str, str],
) -> Run:
    return Run(
        recipe=recipe,
        seed=seed,
        engine=plan.engine,
        engine_reason=plan.reason,
        data=readable(str(getattr(data, "name", "data"))),
        data_digest=data_digest(*splits),
        model=structure_digest(model),
        scale=pixel_scale(recipe, splits[0].images),
        judged=judged,
        frozen=frozen(model),
        about=about,
        versions=versions(),
        machine=machine(place),
    )


def _quiet(progress: Progress | None, model: torch.nn.Module, place: torch.device) -> Progress | None:
    """`progress`, whose own random draws and changes of the weights cannot change the run's."""
    if progress is None:
        return None

    def tell(event: Event) -> None:
        with kept(place), unchanged(model):
            progress(event)

    return tell


def _repeatable(place: torch.device) -> Any:
    if place.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


@dataclass
class _Loop:
    record: Run
    engine: Engine
    n: int
    keeper: Keeper | None
    stopped: Callable[[], bool]
    progress: Progress | None
    report_steps: int

    def run(self, resume: bool) -> Run:
        """All epochs that are left; however it ends, the module holds the weights of the last step."""
        try:
            self._epochs(resume)
        finally:
            self.engine.finish()
        if self.stopped():
            raise KeyboardInterrupt("train() had just finished.")
        return self.record

    def _epochs(self, resume: bool) -> None:
        at = Position(epoch=0, step=0, seconds=0.0)
        if self.keeper is not None and resume:
            self.record, at, tensors = self.keeper.saved()
            self.engine.restore(tensors)
        elif self.keeper is not None:
            self.keeper.write(self.record, at, self.engine.tensors())
        for epoch in range(at.epoch, self.record.recipe.epochs):
            self._epoch(at if epoch == at.epoch else Position(epoch=epoch, step=0, seconds=0.0))

    def _epoch(self, at: Position) -> None:
        recipe, seed = self.record.recipe, self.record.seed
        shifts = epoch_shifts(seed, at.epoch, self.n, recipe.shift) if recipe.shift else None
        self.engine.begin_epoch(epoch_order(seed, at.epoch, self.n), shifts)
        per_epoch = self._steps_per_epoch()
        while at.step < per_epoch:
            ends = [(at.step // every + 1) * every for every in (self.report_steps, CHECK_STEPS)]
            at = self._advance(at, min(per_epoch, *ends))
        self._end_epoch(at)

    def _advance(self, at: Position, end: int) -> Position:
        start = at.epoch * self._steps_per_epoch()
        total = self.record.recipe.epochs * self._steps_per_epoch()
        rates = [step_size(self.record.recipe, start + step, total) for step in range(at.step, end)]
        began = time.perf_counter()
        reached = self.engine.advance(at.step, end, rates, start, self.stopped)
        loss = self._loss(msgspec.structs.replace(at, step=reached))  # waits for the device
        done = rates[: reached - at.step]
        at = Position(epoch=at.epoch, step=reached, seconds=at.seconds + time.perf_counter() - began)
        if done:
            self._report(at, loss, done[-1])
        if self.stopped():
            self._interrupt(at)
        if self.keeper is not None and self.keeper.due() and reached < self._steps_per_epoch():
            self.keeper.write(self.record, at, self.engine.tensors())
        return at

    def _loss(self, at: Position) -> float:
        """The mean training loss of this epoch so far; raises `Diverged` where it ran away."""
        loss = self.engine.loss_sum() / max(1, min(at.step * self.record.recipe.batch_size, self.n))
        judge(loss, math.inf, self.record, at, "training")
        if at.step == self._steps_per_epoch() or (at.step and at.step % CHECK_STEPS == 0):
            judge(loss, self.record.loss_limit, self.record, at, "training")
        return loss

    def _report(self, at: Position, loss: float, rate: float) -> None:
        if self.progress is None:
            return
        epochs, per_epoch = self.record.recipe.epochs, self._steps_per_epoch()
        step = at.epoch * per_epoch + at.step
        self.engine.finish()
        try:
            self.progress(Event(at.epoch + 1, epochs, step, epochs * per_epoch, loss, rate))
        except KeyboardInterrupt:
            self._interrupt(at)

    def _interrupt(self, at: Position) -> None:
        where = (
            f"train() stopped after step {at.step} of epoch {at.epoch + 1}; the model holds the weights of that step"
        )
        if self.keeper is None:
            raise KeyboardInterrupt(f"{where}.") from None
        self.keeper.write(self.record, at, self.engine.tensors())
        raise KeyboardInterrupt(f"{where}, and resume=True goes on from {self.keeper.folder}.") from None

    def _end_epoch(self, at: Position) -> None:
        train_loss = self._loss(at)
        metrics = self.engine.measure()
        judge(metrics.loss, math.inf, self.record, at, self.record.judged)
        done = Epoch(at.epoch + 1, train_loss, metrics.loss, metrics.accuracy, at.seconds)
        self.record = msgspec.structs.replace(self.record, curve=(*self.record.curve, done))
        tensors = self.engine.tensors()
        if at.epoch + 1 == self.record.recipe.epochs:
            digest = tensor_digest({k: t for k, t in tensors.items() if k.startswith("model.")})
            self.record = msgspec.structs.replace(self.record, metrics=metrics, digest=digest)
        self.engine.clear_loss()
        at = Position(epoch=at.epoch + 1, step=0, seconds=0.0)
        if self.keeper is not None:
            self.keeper.write(self.record, at, self.engine.tensors())
        self._report_epoch(done)

    def _report_epoch(self, done: Epoch) -> None:
        if self.progress is None:
            return
        epochs, per_epoch = self.record.recipe.epochs, self._steps_per_epoch()
        step, total = done.epoch * per_epoch, epochs * per_epoch
        rate = step_size(self.record.recipe, step - 1, total)
        self.engine.finish()
        self.progress(Event(done.epoch, epochs, step, total, done.train_loss, rate, done))

    def _steps_per_epoch(self) -> int:
        return -(-self.n // self.record.recipe.batch_size)


def judge(loss: float, limit: float, record: Run, at: Position, kind: str) -> None:
    """Raise `Diverged` where `loss` is not finite or above `limit`."""
    if math.isfinite(loss) and loss <= limit:
        return
    expected = "a finite loss"
    if math.isfinite(loss):
        expected = f"a mean loss below {limit:.4g}, {RUNAWAY:g} times the one to begin with"
    where = f"by step {at.step} of epoch {at.epoch + 1} with lr {record.recipe.lr:g}"
    got = f"a mean {kind} loss of {loss:.4g} {where}"
    raise Diverged(sentence("train()", expected, got, "train with a smaller lr, or with smaller initial weights"))
