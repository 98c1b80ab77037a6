"""Around someone else's function: each call ends within a time limit, and whatever it raises becomes one sentence.

A function that its name alone finds again (torch.tanh, numpy.tanh, onnx:Tanh) is called directly: it ends, and a scan
calls it thousands of times. Any other is called in a thread of its own, which costs about 0.1 ms a call; see
`mathdnn.convolution.limit` for how it is stopped. One thing cannot be: a call into C that keeps the interpreter's lock.
It is called by one thread at a time, since it may keep memory of its own, and with torch's modes as they are where the
question is asked: whether autograd records, inference mode, autocast.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mathdnn.errors import InvalidInput, printed, sentence

if TYPE_CHECKING:
    import numpy as np

    from mathdnn.monotone.functions import Elementwise, Evaluate

LONGEST = (
    60.0  # seconds for one call, which is of at most 2^19 values: heuristic, a scan of float32 makes 8,160 of them
)


def require_time_limit(seconds: float | None, who: str) -> None:
    """Raise `InvalidInput` unless `seconds` is None or a number above 0 and at most a day."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (number and 0 < seconds <= 86_400 and not math.isnan(seconds)):
        raise InvalidInput(sentence(who, "seconds from above 0 to 86400", f"{seconds!r:.40}", "give a time limit"))


def require_options(asked: str, *, progress: Any, cache: Any, threads: Any) -> None:
    """Raise `InvalidInput` unless the options of the question `asked` are what they must be."""

    def require(true: bool, name: str, value: Any, expected: str) -> None:
        if not true:
            raise InvalidInput(sentence(f"{asked}({name}=...)", expected, f"{value!r:.40}", "leave it out"))

    whole = isinstance(threads, int) and not isinstance(threads, bool)
    require(threads is None or (whole and 1 <= threads <= 1024), "threads", threads, "None or 1 to 1024")
    require(progress is None or callable(progress), "progress", progress, "None or a function of values done and all")
    place = isinstance(cache, str | os.PathLike) and isinstance(os.fspath(cache), str)
    place = place and os.fspath(cache) != "" and "\0" not in os.fspath(cache)
    require(cache is None or isinstance(cache, bool) or place, "cache", cache, "None, True, False or a folder's path")


def guarded(f: Elementwise, who: str, time_limit: float | None) -> Elementwise:
    """f, with `InvalidInput` for a call that raises, and for one that takes longer than `time_limit` seconds."""
    call = f.on_bits if f.known or time_limit is None else _within(time_limit, f, who)
    alone = contextlib.nullcontext() if f.known else threading.RLock()

    def on_bits(bits: np.ndarray) -> np.ndarray:
        try:
            with alone:
                return call(bits)
        except InvalidInput:
            raise
        except Exception as error:  # a user's function raises what it likes
            words = " ".join(printed(error).split()).removesuffix(".")
            words = words if len(words) <= 160 else f"{words[:160]}..."
            got = f"{f.name} raised {type(error).__name__}: {words}"
            expected = f"a function that takes {bits.size:,} values of {f.form.name}"
            raise InvalidInput(sentence(who, expected, got, "give an elementwise function")) from error

    return dataclasses.replace(f, on_bits=on_bits)


def modes_here() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """A context for any thread: whether autograd records, inference mode and autocast as they are here and now."""
    import torch

    records, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    casts, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    @contextlib.contextmanager
    def as_there() -> Iterator[None]:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(records),
            torch.autocast("cpu", dtype=dtype, enabled=casts),
        ):
            yield

    return as_there


def _within(seconds: float, f: Elementwise, who: str) -> Evaluate:
    from mathdnn.convolution.limit import OutOfTime, limited

    def on_bits(bits: np.ndarray) -> np.ndarray:
        try:
            return limited(_as_here(f, bits), seconds)
        except OutOfTime:
            expected = f"an answer within {seconds:g} s for {bits.size:,} values of {f.form.name}"
            do = "give a function that ends, or a larger time_limit"
            raise InvalidInput(sentence(who, expected, f"{f.name}, which was still running", do)) from None

    return on_bits


def _as_here(f: Elementwise, bits: np.ndarray) -> Callable[[], np.ndarray]:
    """The call, for another thread: torch uses as many threads there as here, for their number can change bits."""
    if f.library != "torch":
        return lambda: f.on_bits(bits)
    import torch

    threads = torch.get_num_threads()

    def call() -> np.ndarray:
        torch.set_num_threads(threads)
        return f.on_bits(bits)

    return call
