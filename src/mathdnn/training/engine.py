"""Who computes the steps: the plan as a value, and what an engine must do. The torch engine is in `torch_engine`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mathdnn.errors import InvalidInput, is_whole, sentence
from mathdnn.training.recipe import Recipe, check_recipe
from mathdnn.training.record import Metrics

if TYPE_CHECKING:
    import numpy as np
    import torch
    from jaxtyping import Int64

    from mathdnn.native.network import NetworkPlan

EngineName = Literal["auto", "native", "torch"]
NATIVE = "mathdnn.training.native_engine"


@dataclass(frozen=True)
class EnginePlan:
    """Which engine runs, and why; for the native one, where the images' size was given, its layers and buffers."""

    engine: Literal["native", "torch"]
    reason: str
    network: NetworkPlan | None = None

    def __str__(self) -> str:
        return f"{self.engine}: {self.reason}" + (f"\n{self.network}" if self.network is not None else "")


class Engine(Protocol):
    """What `train` asks of an engine. It owns the weights while it runs; every method leaves it between two steps."""

    def begin_epoch(self, order: Int64[np.ndarray, "n"], shifts: Int64[np.ndarray, "n 2"] | None) -> None:
        """Take the order of the images and how each is moved (row i moves image i of the split)."""

    def advance(self, first: int, end: int, rates: list[float], start: int, stopped: Callable[[], bool]) -> int:
        """Do the steps first .. end - 1 of the epoch, one step size each; its step 0 is step `start` of the run.

        Returns the step reached, which is below `end` where `stopped()` came true between two steps.
        """

    def loss_sum(self) -> float:
        """The sum of the losses of this epoch's images so far."""

    def clear_loss(self) -> None:
        """Start a new epoch's sum."""

    def measure(self) -> Metrics:
        """Loss and accuracy on the judged split."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """All it takes to go on from here: `model.*` and what else the engine keeps."""

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Go back to what `tensors` gave."""

    def finish(self) -> None:
        """Give the weights back to the module."""


def plan_engine(
    model: torch.nn.Module,
    recipe: Recipe,
    engine: EngineName = "auto",
    device: str = "cpu",
    *,
    image_shape: tuple[int, int] | None = None,
) -> EnginePlan:
    """Which engine will train `model` by `recipe` on `device`.

    With `image_shape`, (rows, columns), a native plan lists the layers with their shapes, the bytes of their buffers
    and their multiply-adds, and "auto" takes torch for images that only torch can train on. Raises `InvalidInput` where
    native was asked and cannot, and where the images fit the model on neither.
    """
    from mathdnn.training.scoring import check_module

    check_module(model, "plan_engine(model)")
    check_recipe(recipe, "plan_engine(recipe)")
    if image_shape is not None and not _is_size(image_shape):
        do = "give (28, 28) for MNIST"
        expected = "(rows, columns), two whole numbers from 1"
        raise InvalidInput(sentence("plan_engine(image_shape=...)", expected, repr(image_shape), do))
    plan, misfit = choose(model, recipe, engine, device, image_shape)
    if misfit is not None and (plan.engine == "native" or not _runs(model, image_shape)):
        raise misfit
    return plan


def choose(
    model: torch.nn.Module, recipe: Recipe, engine: EngineName, device: str, image_shape: tuple[int, int] | None
) -> tuple[EnginePlan, InvalidInput | None]:
    """The plan, and what the native engine has against the images' size alone: the model may be for others."""
    if not isinstance(engine, str) or engine not in ("auto", "native", "torch"):
        do = "leave it at 'auto' for the faster one"
        raise InvalidInput(sentence("train(engine=...)", "'auto', 'native' or 'torch'", repr(engine), do))
    if engine == "torch":
        return EnginePlan("torch", "asked for"), None
    refusal = native_refusal(model, recipe, device)
    if refusal and engine == "native":
        expected = "a model that the native engine can train"
        raise InvalidInput(sentence("train(engine='native')", expected, refusal, "use engine='auto' or 'torch'"))
    if refusal:
        return EnginePlan("torch", refusal), None
    plan = EnginePlan("native", "asked for" if engine == "native" else "it runs every layer of this model")
    if image_shape is None:
        return plan, None
    try:
        return replace(plan, network=native_network(model, image_shape)), None
    except InvalidInput as misfit:
        rows, columns = image_shape
        why = f"images of {rows} x {columns}, for which it has no plan ({str(misfit).rstrip('.')})"
        return plan if engine == "native" else EnginePlan("torch", why), misfit


def _runs(model: torch.nn.Module, image_shape: tuple[int, int] | None) -> bool:
    """Whether torch gives such images scores. Asked of tensors without memory, so that no size is too large."""
    import torch

    numberless = {name: tensor.to("meta") for name, tensor in [*model.named_parameters(), *model.named_buffers()]}
    images = torch.empty(1, 1, *map(int, image_shape or ()), device="meta")
    try:
        found = torch.func.functional_call(model, numberless, images)
    except Exception:  # what it does not fit, it says in words of many kinds
        return False
    return isinstance(found, torch.Tensor) and found.ndim == 2 and len(found) == 1 and found.shape[1] > 0


def _is_size(value: object) -> bool:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    return all(is_whole(side) and side >= 1 for side in value)


def native_refusal(model: torch.nn.Module, recipe: Recipe, device: str) -> str:
    """Why the native engine cannot train this, or "" where it can."""
    return str(importlib.import_module(NATIVE).refusal(model, recipe, device))


def native_network(model: torch.nn.Module, image_shape: tuple[int, int]) -> NetworkPlan:
    """What the native engine makes of a model that it can train."""
    made: NetworkPlan = importlib.import_module(NATIVE).network(model, (1, *map(int, image_shape)))
    return made


def native_engine(*arguments: Any) -> Engine:
    """The native engine, with the arguments of `TorchEngine`."""
    made: Engine = importlib.import_module(NATIVE).engine(*arguments)
    return made
