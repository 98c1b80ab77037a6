"""Ctrl-C between two steps, and what leaves the caller's generators or the run's weights as they were."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from types import FrameType
from typing import ParamSpec, TypeVar

import numpy as np
import torch

from mathdnn.training.state import remembered

P = ParamSpec("P")
T = TypeVar("T")

INITIAL, DROPOUT = 2, 3  # purposes beside those of `batches`


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a question that is true from then on; a second one interrupts at once.

    Only where Python's own handler is in place and this is the main thread; otherwise the host's handling stays.
    """
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if seen:
            signal.default_int_handler(number, frame)
        seen.append(number)

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(seen)
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def seeded(seed: int, purpose: int, device: torch.device | None = None) -> Iterator[None]:
    """Torch's own generators (initial weights, dropout) seeded for a while, then put back as they were."""
    with kept(device):
        torch.manual_seed(int(np.random.SeedSequence([seed, purpose]).generate_state(1, np.uint64)[0] >> 1))
        yield


def kept(device: torch.device | None = None) -> AbstractContextManager[None]:
    """Torch's own generators as they were, whatever is drawn inside."""
    manager: AbstractContextManager[None] = torch.random.fork_rng(
        [device] if device is not None and device.type == "cuda" else []
    )
    return manager


def with_gradients(function: Callable[P, T]) -> Callable[P, T]:
    """`function` as it runs outside of inference mode, in which nothing that is made can be trained."""

    @wraps(function)
    def outside(*arguments: P.args, **named: P.kwargs) -> T:
        with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
            return function(*arguments, **named)

    return outside


@contextmanager
def unchanged(model: torch.nn.Module) -> Iterator[None]:
    """The model's tensors as they were, whatever is written to them or put in their place inside."""
    restore = remembered(model)
    try:
        yield
    finally:
        restore()
