"""What a network scores on a split: the true mean loss, the sum over the images divided by their number.

A mean of batch means is another number where the last batch is smaller, and a sum of batch means divided by the number
of images is smaller by the batch size: the error behind the average loss of 0.0005 in the published solution.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from mathdnn.errors import InvalidInput, printed, sentence
from mathdnn.training.batches import pixel_scale
from mathdnn.training.images import Arrays, Images, checked_images, checked_split
from mathdnn.training.native_scoring import native_metrics, native_scores
from mathdnn.training.recipe import Recipe
from mathdnn.training.record import Metrics, PixelScale

if TYPE_CHECKING:
    from jaxtyping import Float, Int64, Shaped

_OF_SIZES = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, ZeroDivisionError)
"""What code raises over images of another size than it was written for."""

BATCH = 1000  # heuristic: large enough to keep two cores busy, small enough for their caches; fixed, so bits repeat


def evaluate(
    model: torch.nn.Module, split: Any, recipe: Recipe | None = None, *, scale: PixelScale | None = None
) -> Metrics:
    """The mean loss and the accuracy of `model` on `split`: `images` (n, h, w) as for `scores`, `labels` (n,).

    `recipe` (default: the homework's) names the loss and the pixels. Where it standardises these, `scale` must come
    from training (`Run.scale`), since the constants belong to the training split. Raises `InvalidInput`.
    """
    check_numbers(model, "evaluate(model)")
    recipe = _recipe(recipe, "evaluate")
    held = checked_split(split, "evaluate(split)")
    images = Images(held, scale_of(recipe, scale, "evaluate"), *place_of(model))
    check_classes(model, images, "evaluate", "split")
    return native_metrics(model, images, recipe) or measure(model, images, recipe)


def predict(
    model: torch.nn.Module,
    images: Shaped[np.ndarray, "n h w"],
    recipe: Recipe | None = None,
    *,
    scale: PixelScale | None = None,
) -> Int64[np.ndarray, "n"]:
    """The class with the highest score for each image; the first one of equals. See `scores`."""
    best: Int64[np.ndarray, "n"] = _scores(model, images, recipe, scale, "predict").argmax(axis=1)
    return best


def scores(
    model: torch.nn.Module,
    images: Shaped[np.ndarray, "n h w"],
    recipe: Recipe | None = None,
    *,
    scale: PixelScale | None = None,
) -> Float[np.ndarray, "n k"]:
    """What `model` gives for each class, images (n, h, w), uint8 or floats in [0, 1]; `scale` as for `evaluate`."""
    return _scores(model, images, recipe, scale, "scores")


def _scores(
    model: torch.nn.Module, given: Any, recipe: Recipe | None, scale: PixelScale | None, who: str
) -> Float[np.ndarray, "n k"]:
    check_numbers(model, f"{who}(model)")
    images = checked_images(given, f"{who}(images)")
    unlabelled = Arrays(images, np.zeros(len(images), np.int64))
    held = Images(unlabelled, scale_of(_recipe(recipe, who), scale, who), *place_of(model))
    compiled = native_scores(model, held)
    if compiled is not None:
        return compiled
    _classes(model, held, who)
    found = torch.cat([score for score, _ in _scored(model, held)]).cpu()
    held_by_numpy = found.float() if found.dtype == torch.bfloat16 else found
    known: Float[np.ndarray, "n k"] = held_by_numpy.numpy()
    return known


def measure(model: torch.nn.Module, images: Images, recipe: Recipe) -> Metrics:
    """`evaluate` on images that lie on the device already."""
    n = len(images)
    total = torch.zeros((), dtype=torch.float64, device=images.pixels.device)
    right = torch.zeros((), dtype=torch.int64, device=images.pixels.device)
    for score, labels in _scored(model, images):
        total += losses(recipe, score, labels).double().sum()
        right += (score.argmax(1) == labels).sum()
    return Metrics(total.item() / n, right.item() / n, int(right.item()), n)


def losses(
    recipe: Recipe, score: Float[torch.Tensor, "b k"], labels: Int64[torch.Tensor, "b"]
) -> Float[torch.Tensor, "b"]:
    """The loss of each image: -log softmax(score)[label] in nats, or the sum over k of (score_k - [k = label])^2."""
    if recipe.loss == "cross_entropy":
        return cross_entropy(score, labels, reduction="none")
    return (score - one_hot(labels, score.shape[1])).square().sum(1)


def mean_loss(
    recipe: Recipe, score: Float[torch.Tensor, "b k"], labels: Int64[torch.Tensor, "b"]
) -> Float[torch.Tensor, ""]:
    """The mean of `losses` over a batch: what a step descends."""
    if recipe.loss == "cross_entropy":
        return cross_entropy(score, labels)
    return losses(recipe, score, labels).mean()


def scale_of(recipe: Recipe, scale: PixelScale | None, who: str) -> PixelScale:
    """`scale`, or the one that `recipe` fixes without looking at data."""
    if scale is None and recipe.pixels == "standardised":
        expected = "the scale of the training split"
        raise InvalidInput(sentence(f"{who}(scale=...)", expected, "none", "pass scale=run.scale"))
    if scale is not None and not _is_scale(scale):
        expected = "a PixelScale of two finite numbers, or None"
        raise InvalidInput(sentence(f"{who}(scale=...)", expected, f"{scale!r:.60}", "pass scale=run.scale"))
    return scale or pixel_scale(recipe, np.zeros((1, 1, 1), np.uint8))


def _is_scale(scale: Any) -> bool:
    both: tuple[Any, ...] = (scale.offset, scale.gain) if isinstance(scale, PixelScale) else ("",)
    return all(isinstance(number, numbers.Real) and math.isfinite(number) for number in both)


def _recipe(recipe: Any, who: str) -> Recipe:
    """The homework's where none is given."""
    if recipe is not None and not isinstance(recipe, Recipe):
        do = "build one, or read it with Recipe.from_json"
        raise InvalidInput(sentence(f"{who}(recipe)", "a Recipe, or None", f"a {type(recipe).__name__}", do))
    return Recipe() if recipe is None else recipe


def check_module(model: Any, who: str) -> None:
    """Raise `InvalidInput` unless `model` is a module."""
    if not isinstance(model, torch.nn.Module):
        raise InvalidInput(sentence(who, "a torch.nn.Module", type(model).__name__, "pass the network itself"))


def check_numbers(model: Any, who: str) -> None:
    """Raise `InvalidInput` unless `model` is a module whose parameters and buffers hold numbers."""
    check_module(model, who)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        why, do = numberless(tensor)
        if why:
            raise InvalidInput(sentence(who, "parameters and buffers with numbers", f"{name} {why}", do))


def numberless(tensor: Any) -> tuple[str, str]:
    """Why a parameter or buffer holds no numbers, and what to do; "" and "" where it does."""
    if torch.nn.parameter.is_lazy(tensor):
        return "without a shape", "run the model once before"
    if tensor.is_meta:
        return "on the meta device", "move the model with to_empty(device='cpu') before"
    return "", ""


def check_classes(model: torch.nn.Module, images: Images, who: str, held: str, where: str = "") -> None:
    """Raise `InvalidInput` unless the model gives (n, k) scores and the labels are below k."""
    classes = _classes(model, images, who)
    low, high = int(images.labels.min()), int(images.labels.max())
    if low < 0 or high >= classes:
        got = f"label {low if low < 0 else high}{where}"
        expected = f"labels from 0 to {classes - 1}, the model's classes"
        do = "use a network with as many outputs as classes"
        raise InvalidInput(sentence(f"{who}({held})", expected, got, do))


def _classes(model: torch.nn.Module, images: Images, who: str) -> int:
    """How many scores the model gives an image, at least one. Raises `InvalidInput` where it gives something else."""
    with evaluating(model):
        return score_of(model, images.batch(slice(0, 2))[0], f"{who}(model)").shape[1]


def score_of(
    model: torch.nn.Module, x: Float[torch.Tensor, "b 1 h w"], who: str, mode: str = ""
) -> Float[torch.Tensor, "b k"]:
    """What the model gives for `x`. Raises `InvalidInput` unless that is one score for each image and class."""
    expected = f"scores (n, classes) for images (n, 1, h, w){mode}"
    try:
        score = model(x)
    except torch.OutOfMemoryError:
        raise
    except _OF_SIZES as error:
        got = f"the answer {first_line(error)!r:.200} to images of shape {tuple(x.shape)}"
        do = "use a network for images of this size" + (", or another batch_size" if mode else "")
        raise InvalidInput(sentence(who, expected, got, do)) from error
    if not isinstance(score, torch.Tensor) or score.ndim != 2 or len(score) != len(x) or score.shape[1] < 1:
        got = f"shape {tuple(score.shape)}" if isinstance(score, torch.Tensor) else type(score).__name__
        raise InvalidInput(sentence(who, expected, got, "end the network in one score a class"))
    if not score.is_floating_point() or score.element_size() < 2 or score.layout is not torch.strided:
        got, do = f"{score.layout} of {score.dtype}", "end the network in real numbers, sparse ones made dense"
        raise InvalidInput(sentence(who, f"{expected}, strided and real", got, do))
    return score


def first_line(error: Exception) -> str:
    """What an error says first; its type's name where it says nothing."""
    return next(iter(printed(error).splitlines()), "") or type(error).__name__


def place_of(model: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and floating type of the model's parameters."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return parameter.device, parameter.dtype
    return torch.device("cpu"), torch.float32


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode and without gradients; afterwards each module is in the mode it was in.

    What autocast keeps of weights is forgotten before and after: they may have changed, or need a gradient then.
    """
    with training(model, False), torch.no_grad():
        torch.clear_autocast_cache()
        try:
            yield
        finally:
            torch.clear_autocast_cache()


@contextmanager
def training(model: torch.nn.Module, mode: bool = True) -> Iterator[None]:
    """The model in training mode (or not); afterwards each module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.train(mode)
    try:
        yield
    finally:
        for module, was in modes:
            module.training = was


def _scored(model: torch.nn.Module, images: Images) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for start in range(0, len(images), BATCH):
        with evaluating(model):
            x, labels = images.batch(slice(start, start + BATCH))
            score = model(x)
        yield score, labels
