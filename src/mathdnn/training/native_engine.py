"""Training on the compiled engine: the same steps as the torch engine, to rounding, and many times as fast.

Its bits depend on neither the number of threads nor the processor's vector width; the torch engine's do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from mathdnn import native
from mathdnn.errors import InvalidInput, sentence
from mathdnn.native.engine import FIRST, SECOND, NativeEngine, usual_threads
from mathdnn.native.layers import Shape
from mathdnn.native.network import NetworkPlan, plan_network
from mathdnn.training.checkpoint import model_part
from mathdnn.training.checks import check_resumed
from mathdnn.training.images import Images
from mathdnn.training.native_layers import Unknown, native_layers
from mathdnn.training.native_scoring import load, metrics, pictures
from mathdnn.training.recipe import Recipe
from mathdnn.training.record import Metrics
from mathdnn.training.state import put, tensors_of

if TYPE_CHECKING:
    from jaxtyping import Int64


def refusal(model: torch.nn.Module, recipe: Recipe, device: str) -> str:
    """Why the native engine cannot train this, or "" where it can."""
    if not native.available():
        return "an installation without the compiled kernels"
    if str(device).partition(":")[0] != "cpu":  # "cpu:0" is the processor, too
        return f"a run on {device}, where it has the processor only"
    try:
        native_layers(model)
    except Unknown as unknown:
        return str(unknown)
    return ""


def network(model: torch.nn.Module, shape: Shape) -> NetworkPlan:
    """The plan for images of `shape` (maps, rows, columns). Raises `InvalidInput` where the weights do not fit it."""
    layers, own = native_layers(model)
    plan = plan_network(layers, shape)
    for planned, weight in zip(plan.parameters, own, strict=True):
        if math.prod(planned.shape) != weight.numel():
            size = " x ".join(str(side) for side in shape[1:])
            got = f"{size}, which asks for a weight of shape {planned.shape} where the model has {tuple(weight.shape)}"
            do = "give the size that the model was built for"
            raise InvalidInput(sentence("plan_engine(image_shape=...)", "images that fit the model", got, do))
    return plan


def engine(model: torch.nn.Module, images: Images, judged: Images, recipe: Recipe) -> TrainingEngine:
    """The engine for a model that `refusal` had nothing against."""
    return TrainingEngine(model, images, judged, recipe)


class TrainingEngine:
    """An `Engine` on the compiled kernels. It owns the weights; the module gets them with `tensors` and `finish`."""

    def __init__(self, model: torch.nn.Module, images: Images, judged: Images, recipe: Recipe) -> None:
        self.model, self.recipe = model, recipe
        self.images, self.judged = pictures(images), pictures(judged)
        self._take_model()
        self.names = {"adamw": ("first", "second"), "sgd": ("momentum",)}[recipe.optimizer]
        self.total = 0.0
        self.order: np.ndarray | None = None
        self.shifts: np.ndarray | None = None

    def _take_model(self) -> None:
        """A new engine for what the module holds: its weights, and the constants that are part of the plan."""
        layers, self.parameters = native_layers(self.model)
        self.engine = NativeEngine(
            plan_network(layers, self.images.images.shape[1:]),
            loss=self.recipe.loss,
            optimizer=self.recipe.optimizer,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.nesterov,
            weight_decay=self.recipe.weight_decay,
            threads=min(usual_threads(), torch.get_num_threads()),
        )
        load(self.engine, list(self.parameters))

    def begin_epoch(self, order: Int64[np.ndarray, "n"], shifts: Int64[np.ndarray, "n 2"] | None) -> None:
        self.order, self.shifts = order, shifts

    def advance(self, first: int, end: int, rates: list[float], start: int, stopped: Callable[[], bool]) -> int:
        assert self.order is not None
        if first == end or stopped():
            return first
        reached, loss = self.engine.train(
            self.images,
            self.order,
            self.recipe.batch_size,
            rates[: end - first],
            first=first,
            done=start + first,
            shifts=self.shifts,
            stopped=stopped,
        )
        self.total += loss
        return reached

    def loss_sum(self) -> float:
        return self.total

    def clear_loss(self) -> None:
        self.total = 0.0

    def measure(self) -> Metrics:
        return metrics(self.engine, self.judged)

    def tensors(self) -> dict[str, torch.Tensor]:
        self.finish()
        kept = {f"model.{name}": tensor for name, tensor in tensors_of(self.model).items()}
        for which, name in zip((FIRST, SECOND), self.names, strict=False):
            state = self.engine.state(which)
            kept |= {f"optimizer.{name}.{index}": torch.from_numpy(array) for index, array in enumerate(state)}
        kept["loss_sum"] = torch.tensor(self.total, dtype=torch.float64, device="cpu")
        return kept

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        own = self.tensors()
        check_resumed(self.model, own, tensors, "model and engine")
        put(self.model, model_part(tensors))
        self._take_model()
        for which, name in zip((FIRST, SECOND), self.names, strict=False):
            held = [tensors[key] for key in own if key.startswith(f"optimizer.{name}.")]
            if held:
                load(self.engine, held, which)
        self.total = tensors["loss_sum"].item()

    def finish(self) -> None:
        for parameter, array in zip(self.parameters, self.engine.state(), strict=True):
            np.copyto(parameter.detach().numpy(), array.reshape(parameter.shape))  # torch would wake its threads
            torch.autograd.graph.increment_version(parameter)
            parameter.grad = None
