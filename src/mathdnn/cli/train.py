"""`mathdnn train`: train LeNet-5 by a recipe, with checkpoints where a folder is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mathdnn.cli.output import Flag, Json, MaybeNamed, Whole, live, print_json, say, seconds
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from mathdnn.data import Dataset
    from mathdnn.training import Event, Recipe, Run
    from mathdnn.training.engine import EngineName

SIDE = 28  # pixels of the images that LeNet-5 takes


def train(
    network: Literal["lenet5"],
    /,
    *,
    c3: Literal["table", "full"] = "table",
    epochs: Whole = 10,
    lr: float = 0.1,
    batch_size: Whole = 100,
    optimizer: Literal["sgd", "adamw"] = "sgd",
    momentum: float = 0.0,
    nesterov: Flag = False,
    weight_decay: float = 0.0,
    schedule: Literal["constant", "one_cycle"] = "constant",
    loss: Literal["cross_entropy", "squared"] = "cross_entropy",
    pixels: Literal["unit", "standardised", "lecun1998"] = "unit",
    shift: Whole = 0,
    seed: Whole = 0,
    engine: Literal["auto", "torch", "native"] = "auto",
    data: MaybeNamed = None,
    out: MaybeNamed = None,
    resume: Flag = False,
    plan: Flag = False,
    json: Json = False,
) -> int:
    """Train LeNet-5 on MNIST, or on any data in its format. The defaults are the homework's recipe.

    Parameters
    ----------
    network
        The network.
    c3
        Connections of the third layer: Table I, or all.
    epochs
        Passes over the training images.
    lr
        Step size; with one_cycle the largest.
    batch_size
        Images a step.
    optimizer
        Plain or momentum SGD, or AdamW.
    momentum
        Of SGD, at least 0 and below 1.
    nesterov
        Look ahead; needs momentum.
    weight_decay
        On every parameter.
    schedule
        How the step size goes.
    loss
        What is minimised.
    pixels
        How the network sees 0 to 255.
    shift
        Move each image by up to this many pixels.
    seed
        Of the first weights and of the order.
    engine
        What computes.
    data
        Folder with four IDX files, in place of MNIST.
    out
        New folder for the run; without it nothing is kept.
    resume
        Go on from the last checkpoint in --out.
    plan
        Print the engine with its layers, buffers and multiply-adds; train nothing.
    json
        Print the record of the run as one JSON document.
    """
    if resume and out is None:
        raise InvalidInput(sentence("train --resume", "the folder of the run", "none", "add --out RUN"))
    if plan and json:
        raise InvalidInput(sentence("train --plan", "a plan, which is text", "--json", "leave --json out"))
    from mathdnn.training import Recipe

    recipe = Recipe(
        epochs=epochs, lr=lr, batch_size=batch_size, optimizer=optimizer, momentum=momentum, nesterov=nesterov,
        weight_decay=weight_decay, schedule=schedule, loss=loss, pixels=pixels, shift=shift,
    )  # fmt: skip
    if plan:
        return _plan(c3, recipe, engine, data)
    kept = {"engine": engine, "seed": seed, "run": out, "resume": resume, "about": {"network": network, "c3": c3}}
    run = _train(c3, recipe, data, epochs, **kept)
    if json:
        import msgspec

        print_json(msgspec.to_builtins(run))
    else:
        _show(run, out)
    return 0


def _plan(c3: Literal["table", "full"], recipe: Recipe, engine: EngineName, data: Path | None) -> int:
    from mathdnn.lenet import LeNet5
    from mathdnn.training import plan_engine

    if data is not None:
        _load(data)
    print(plan_engine(LeNet5(c3), recipe, engine, image_shape=(SIDE, SIDE)))
    return 0


def _load(data: Path | None) -> Dataset:
    """The images. Raises `InvalidInput` for those of another size than the network takes."""
    from mathdnn.data import load_mnist

    images = load_mnist(data)
    rows, columns = images.train.images.shape[1:]
    if (rows, columns) != (SIDE, SIDE):
        expected, got = f"images of {SIDE} x {SIDE} pixels, which LeNet-5 takes", f"{rows} x {columns}"
        raise InvalidInput(sentence(f"train --data {data}", expected, got, "resize them"))
    return images


def _train(c3: Literal["table", "full"], recipe: Any, data: Path | None, epochs: int, **more: Any) -> Run:
    from mathdnn.lenet import LeNet5
    from mathdnn.training import initialise
    from mathdnn.training import train as train_model
    from mathdnn.training.checkpoint import NAME

    images = _load(data)
    model = initialise(LeNet5(c3), more["seed"])
    try:
        with live(1.0) as line:
            run: Run = train_model(model, images, recipe, progress=_listener(line), **more)
    except KeyboardInterrupt:
        if more["run"] is not None and (more["run"] / NAME).is_file():
            say(f"mathdnn: the run is kept in {more['run']}; --resume goes on from there")
        raise
    return run


def _listener(line: Any) -> Any:
    """What hears of the run: the live line, or nobody."""
    if line is None:
        return None
    progress, task = line

    def hear(event: Event) -> None:
        words = f"epoch {event.epoch} of {event.epochs}"
        progress.update(task, description=words, completed=event.fraction, state=f"training loss {event.loss:.4f}")
        if event.done is not None:
            progress.console.print(_epoch(event.done), markup=False, highlight=False)

    return hear


def _epoch(epoch: Any) -> str:
    accuracy = f"{epoch.test_accuracy:.2%} of the test images right"
    return f"epoch {epoch.epoch:>3}  test loss {epoch.test_loss:.4f}  {accuracy}  {seconds(epoch.seconds)}"


def _show(run: Run, out: Path | None) -> None:
    for epoch in run.curve:
        print(_epoch(epoch))
    for note in run.notes:
        say(f"mathdnn: {note}")
    if run.metrics is not None:
        right, n = run.metrics.right, run.metrics.n
        print(f"{right:,} of {n:,} test images right ({run.metrics.accuracy:.2%}), trained in {seconds(run.seconds)}")
    print("nothing kept: name a folder with --out" if out is None else f"the run is in {out}")
