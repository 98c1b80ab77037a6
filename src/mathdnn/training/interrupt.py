"""Ctrl-C between two steps, and what leaves the caller's generators or the run's weights as they were."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import UInt8

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


@contextmanager
def unchanged(model: torch.nn.Module) -> Iterator[None]:
    """The model's tensors as they were, whatever is written to them inside.

    Copied and compared as bytes by numpy: torch would wake its threads for that, 4 ms a tensor on a busy machine.
    """
    held = [(tensor, _bytes(tensor).copy()) for tensor in model.state_dict().values()]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, was in held:
                if not np.array_equal(_bytes(tensor), was):
                    tensor.copy_(torch.from_numpy(was).view(tensor.dtype).view(tensor.shape))


def _bytes(tensor: torch.Tensor) -> UInt8[np.ndarray, "bytes"]:
    found: UInt8[np.ndarray, "bytes"] = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return found
