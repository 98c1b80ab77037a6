"""Training: recipes, the loop, checkpoints, evaluation. What needs torch is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import Any

from mathdnn.training.recipe import Recipe, step_size
from mathdnn.training.record import Epoch, Event, Metrics, PixelScale, Run

_HOME = {
    "train": "loop",
    "initialise": "initial",
    "evaluate": "scoring",
    "predict": "scoring",
    "scores": "scoring",
    "EnginePlan": "engine",
    "plan_engine": "engine",
    "SavedRun": "checkpoint",
    "load_run": "checkpoint",
    "tensor_digest": "checkpoint",
}

__all__ = ["Epoch", "Event", "Metrics", "PixelScale", "Recipe", "Run", "step_size", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mathdnn.training' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mathdnn.training.{_HOME[name]}"), name)
    globals()[name] = value
    return value
