"""What a network gives, computed by the compiled engine: `None` where it cannot, and torch computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from mathdnn import native
from mathdnn.errors import InvalidInput
from mathdnn.training.images import Images
from mathdnn.training.native_layers import Unknown, native_layers
from mathdnn.training.recipe import Recipe
from mathdnn.training.record import Metrics

if TYPE_CHECKING:
    from jaxtyping import Float32

    from mathdnn.native.engine import NativeEngine, Pictures


def native_metrics(model: torch.nn.Module, images: Images, recipe: Recipe) -> Metrics | None:
    """Loss and accuracy over `images`, which hold labels."""
    engine = _engine(model, images, recipe.loss)
    seen = None if engine is None else pictures(images)
    if engine is None or seen is None or not _labels_fit(engine, seen):
        return None
    return metrics(engine, seen)


def native_scores(model: torch.nn.Module, images: Images) -> Float32[np.ndarray, "n k"] | None:
    """What the network gives for each class."""
    engine = _engine(model, images, "cross_entropy")
    return None if engine is None else engine.outputs(pictures(images))


def metrics(engine: NativeEngine, seen: Pictures) -> Metrics:
    """Loss and accuracy of the engine's network; the losses are added in float64."""
    assert seen.labels is not None
    losses, best = engine.losses(seen)
    right, n = int((best == seen.labels).sum()), len(best)
    return Metrics(float(losses.sum(dtype=np.float64)) / n, right / n, right, n)


def load(engine: NativeEngine, tensors: Sequence[torch.Tensor], which: int = 0) -> None:
    """Put tensors in the shapes of torch's layers into the engine."""
    shapes = [p.shape for p in engine.plan.parameters]
    engine.load([t.detach().numpy().reshape(shape) for t, shape in zip(tensors, shapes, strict=True)], which)


def pictures(images: Images) -> Pictures:
    """The same images, seen through the same table, for the kernels."""
    from mathdnn.native.engine import Pictures

    pixels = np.ascontiguousarray(images.pixels.numpy()[:, None])
    labels = images.labels.numpy().astype(np.int32)
    table = np.ascontiguousarray(images.table.float().numpy())
    return Pictures(pixels, table, images.scale.gain, images.scale.offset, labels)


def _engine(model: torch.nn.Module, images: Images, loss: str) -> NativeEngine | None:
    if not native.available() or images.pixels.device.type != "cpu" or images.dtype != torch.float32:
        return None
    from mathdnn.native.engine import NativeEngine, usual_threads
    from mathdnn.native.network import plan_network

    try:
        layers, parameters = native_layers(model, training=False)
        plan = plan_network(layers, (1, *images.pixels.shape[1:]))
    except (Unknown, InvalidInput):
        return None  # torch runs it, or says in its own words why not
    threads = max(1, min(usual_threads(), torch.get_num_threads(), len(images) // 16))
    try:
        engine = NativeEngine(plan, loss=loss, threads=threads)
        load(engine, parameters)
    except ValueError:
        return None  # weights of other sizes than the images ask for, or no memory for a block of them
    return engine


def _labels_fit(engine: NativeEngine, seen: Pictures) -> bool:
    return seen.labels is not None and bool(((seen.labels >= 0) & (seen.labels < engine.plan.classes)).all())
