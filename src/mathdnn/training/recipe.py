"""How a network is trained, as a frozen value, and the size of each step.

    t   the step, 0 .. T-1, T = epochs * ceil(n / batch_size)      eta(t)   the step size
    u   the end of the rise, 0.3 T - 1                             T-1      the end of the fall
    c(a, b, p) = b + (a - b) (1 + cos(pi p)) / 2                   half a cosine from a (p = 0) to b (p = 1)

    constant     eta(t) = lr
    one_cycle    eta(t) = c(lr / 25, lr, t / u)                              t <= u
                        = c(lr, lr / 250,000, (t - u) / (T - 1 - u))         t >  u

Source: Smith and Topin, "Super-convergence" (2018), section 3; the cosine, 0.3, 25 and 250,000 = 25 x 10,000 are the
defaults of fastai (Howard, Gugger 2018) and of torch's `OneCycleLR`, whose steps these are. Momentum is not cycled.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from mathdnn.errors import InvalidInput, is_whole, sentence

RISE, START, END = 0.3, 25.0, 250_000.0

_CHOICES = {
    "optimizer": ("sgd", "adamw"),
    "schedule": ("constant", "one_cycle"),
    "loss": ("cross_entropy", "squared"),
    "pixels": ("unit", "standardised", "lecun1998"),
}
_WHOLE = {"epochs": (1, 100_000), "batch_size": (1, 1_000_000), "shift": (0, 64)}
_REAL: dict[str, tuple[Callable[[float], bool], str]] = {
    "lr": (lambda x: x > 0, "a step size above 0, at most 1e30"),
    "momentum": (lambda x: 0 <= x < 1, "a momentum of at least 0 and below 1"),
    "weight_decay": (lambda x: x >= 0, "a weight decay from 0 to 1e30"),
}


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to train. The defaults are the homework's: plain SGD with steps of 0.1, batches of 100, ten epochs.

    `epochs`         passes over the training images
    `batch_size`     images a step; the last batch of an epoch may be smaller and weighs as its own mean
    `lr`             the step size, with one_cycle the largest one
    `optimizer`      "sgd", or "adamw" (0.9, 0.999, 1e-8) which takes no momentum
    `momentum`       of SGD; `nesterov` looks ahead and needs momentum
    `weight_decay`   on every parameter: added to SGD's gradient, decoupled in AdamW
    `schedule`       "constant" or "one_cycle" (see the module)
    `loss`           "cross_entropy" (nats an image), or "squared": the sum over classes of (score - [class is right])^2
    `pixels`         "unit": u / 255; "standardised": mean 0 and variance 1 over the training split;
                     "lecun1998": -0.1 (background) .. 1.175 (ink)
    `shift`          each image, each epoch, is moved by up to this many pixels each way, the border filled with 0

    Raises `InvalidInput` for a value outside its range, `from_json` also for unknown names and other types.
    """

    epochs: int = 10
    batch_size: int = 100
    lr: float = 0.1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: Literal["constant", "one_cycle"] = "constant"
    loss: Literal["cross_entropy", "squared"] = "cross_entropy"
    pixels: Literal["unit", "standardised", "lecun1998"] = "unit"
    shift: int = 0

    def __post_init__(self) -> None:
        for name, values in _CHOICES.items():
            _require(name, getattr(self, name), getattr(self, name) in values, f"one of {', '.join(values)}")
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            right = is_whole(value) and low <= value <= high
            _require(name, value, right, f"a whole number from {low:,} to {high:,}")
            msgspec.structs.force_setattr(self, name, int(value))
        for name, (holds, expected) in _REAL.items():
            value = getattr(self, name)
            real = isinstance(value, numbers.Real) and not isinstance(value, bool)
            right = real and abs(value) <= 1e30 and holds(value)
            _require(name, value, right, expected)
            msgspec.structs.force_setattr(self, name, float(value))
        _require("nesterov", self.nesterov, type(self.nesterov) is bool, "true or false")
        ahead = self.momentum > 0 or not self.nesterov
        _require("momentum", self.momentum, ahead, "momentum above 0 where nesterov is true")
        plain = self.optimizer == "sgd" or (self.momentum == 0 and not self.nesterov)
        _require("momentum", self.momentum, plain, "momentum 0 with adamw, which has its own")

    @classmethod
    def best(cls) -> Recipe:
        """The best recipe measured for LeNet-5 without distortions: 99.2 % mean test accuracy with the table."""
        return cls(momentum=0.9, nesterov=True, weight_decay=5e-4, lr=0.1, schedule="one_cycle", pixels="standardised")

    def to_json(self) -> str:
        """The recipe as one JSON object."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Recipe:
        """Read a recipe strictly; names left out take their defaults. Raises `InvalidInput` for anything else."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, RecursionError, UnicodeError, TypeError) as error:
            got = str(error).rstrip(".")
            raise InvalidInput(
                sentence("Recipe.from_json(text)", "a recipe as one JSON object", got, "correct the file")
            ) from None


def check_recipe(recipe: Any, who: str) -> None:
    """Raise `InvalidInput` unless `recipe` is one."""
    if not isinstance(recipe, Recipe):
        do = "build one, or read it with Recipe.from_json"
        raise InvalidInput(sentence(who, "a Recipe", type(recipe).__name__, do))


def step_size(recipe: Recipe, step: int, steps: int) -> float:
    """The step size eta(t) of `step` (0 .. steps - 1) among `steps` in the whole run. `InvalidInput` for others."""
    check_recipe(recipe, "step_size(recipe)")
    if not (is_whole(step) and is_whole(steps) and 0 <= step < steps):
        got, do = f"step {step!r:.40} of {steps!r:.40}", "count steps from 0, and at least one of them"
        raise InvalidInput(sentence("step_size(step, steps)", "a whole step from 0 to steps - 1", got, do))
    if recipe.schedule == "constant":
        return recipe.lr
    rise, end = RISE * steps - 1, steps - 1
    if step <= rise:
        return _half_cosine(recipe.lr / START, recipe.lr, step / rise)
    return _half_cosine(recipe.lr, recipe.lr / END, (step - rise) / (end - rise))


def _half_cosine(a: float, b: float, p: float) -> float:
    return b + (a - b) * (1 + math.cos(math.pi * p)) / 2


def _require(name: str, value: Any, right: bool, expected: str) -> None:
    if not right:
        raise InvalidInput(sentence(f"Recipe({name}=...)", expected, f"{value!r:.60}", f"change {name}"))
