"""Training with torch: the literal loop, with the images on the device and no step waiting for the host.

x, y = images, labels at order[t b : (t + 1) b]        L = mean over the batch of loss(model(x), y)
gradients of L;   one step of the optimizer;           loss_sum += L |batch|  in float64, on the device
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from mathdnn.errors import InvalidInput, sentence
from mathdnn.training.checkpoint import damaged, model_part
from mathdnn.training.checks import check_resumed
from mathdnn.training.images import Images
from mathdnn.training.optimizers import new_state, update
from mathdnn.training.recipe import Recipe
from mathdnn.training.record import Metrics
from mathdnn.training.scoring import first_line, mean_loss, measure, score_of
from mathdnn.training.state import put, tensors_of

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int64


class TorchEngine:
    """An `Engine` on torch, any device. The module holds the weights all the time."""

    def __init__(self, model: torch.nn.Module, images: Images, judged: Images, recipe: Recipe) -> None:
        self.model, self.images, self.judged, self.recipe = model, images, judged, recipe
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.state = new_state(recipe, self.parameters)
        self.device = images.pixels.device
        self.classes = 1 + int(images.labels.max())
        self.total = torch.zeros((), dtype=torch.float64, device=self.device)
        self.order: torch.Tensor | None = None
        self.shifts: torch.Tensor | None = None

    def begin_epoch(self, order: Int64[np.ndarray, "n"], shifts: Int64[np.ndarray, "n 2"] | None) -> None:
        self.order = torch.from_numpy(order).to(self.device)
        self.shifts = None if shifts is None else torch.from_numpy(shifts).to(self.device)

    def advance(self, first: int, end: int, rates: list[float], start: int, stopped: Callable[[], bool]) -> int:
        assert self.order is not None
        self.model.train()
        b = self.recipe.batch_size
        for step in range(first, end):
            if stopped():
                return step
            self._step(self.order[step * b : (step + 1) * b], start + step, rates[step - first])
        return end

    @torch.enable_grad()
    def _step(self, index: torch.Tensor, step: int, rate: float) -> None:
        shifts = None if self.shifts is None else self.shifts[index]
        x, y = self.images.batch(index, shifts, self.recipe.shift)
        for p in self.parameters:
            p.grad = None
        torch.clear_autocast_cache()  # within one autocast block torch would go on with the weights of its first step
        score = score_of(self.model, x, "train(model)", " in training mode")
        if not score.requires_grad or score.shape[1] < self.classes:
            raise InvalidInput(self._no_loss(score))
        loss = mean_loss(self.recipe, score, y)
        _descend(loss)
        update(self.recipe, self.parameters, self.state, step, rate)
        self.total += loss.detach().double() * len(index)

    def _no_loss(self, score: torch.Tensor) -> str:
        expected = f"{self.classes} or more scores that depend on the weights in training mode"
        got = f"{score.shape[1]}" + ("" if score.requires_grad else " without gradients")
        return sentence("train(model)", expected, got, "let training mode give what evaluation mode gives")

    def loss_sum(self) -> float:
        return self.total.item()

    def clear_loss(self) -> None:
        self.total.zero_()

    def measure(self) -> Metrics:
        return measure(self.model, self.judged, self.recipe)

    def tensors(self) -> dict[str, torch.Tensor]:
        kept = {f"model.{name}": tensor for name, tensor in tensors_of(self.model).items()}
        for name, tensors in self.state.items():
            kept |= {f"optimizer.{name}.{index}": tensor for index, tensor in enumerate(tensors)}
        kept["loss_sum"] = self.total
        kept["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            kept["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return kept

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        own = self.tensors()
        check_resumed(self.model, own, tensors, "model and device")
        try:  # before anything is changed
            torch.set_rng_state(tensors["random.cpu"])
            if self.device.type == "cuda":
                torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        except RuntimeError as error:
            got = f"a state of the random draws at which torch answers {str(error).splitlines()[0]!r:.80}"
            raise damaged("train(resume=True)", got) from None
        put(self.model, model_part(tensors))
        for name, tensor in own.items():
            if not name.startswith(("model.", "random.")):
                tensor.copy_(tensors[name])

    def finish(self) -> None:
        for p in self.parameters:
            p.grad = None


def _descend(loss: torch.Tensor) -> None:
    """The gradients of the loss. Raises `InvalidInput` where a module wrote over what they need."""
    try:
        torch.autograd.backward(loss)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        expected, got = "a loss whose gradients torch can compute", f"the answer {first_line(error)!r:.200}"
        raise InvalidInput(
            sentence("train(model)", expected, got, "write over nothing they need: inplace=False")
        ) from error
