"""What a tensor without values cannot give, and torch's modes do not see: noted while code is read, and refused.

Methods that ask no mode (`numpy` in another thread, all where the code turns modes off), the text of a tensor, scripts
that read pixels into a list, and memory that is handed over as a capsule; the last two would end the process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses import FakeTensor

if TYPE_CHECKING:
    from collections.abc import Callable

_BY_ITSELF = ("numpy", "apply_", "map_", "map2_", "__reduce_ex__", "__dlpack__")
_TORCHS_OWN = ("untyped_storage", "storage", "_typed_storage", "data_ptr")  # torch's code looks at fake memory, too
_NUMPY, _MEMORY = "it leaves torch for NumPy", "it looks at the memory of what it computes"


class NotTraced(Exception):
    """The graph could not be read; the message says why, in words that fit after "because"."""


class Reading:
    """One run of an operation's code: the first error that it met, whether or not somebody caught it."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None

    def note(self, error: Exception) -> None:
        self.trouble = self.trouble or error

    def refused(self, why: str, what: str) -> Exception:
        """Notes why, and gives the error to raise, which is as torch's own."""
        self.note(NotTraced(why))
        return RuntimeError(f"a tensor without values has no {what}")


_lock = threading.Lock()
_readings: dict[int, Reading] = {}  # by the thread that reads
_replaced: list[tuple[Any, str, Any]] = []  # what to put back when the last reading ends


@contextmanager
def watched(reading: Reading) -> Iterator[None]:
    """While code is read, note what shows what a fake tensor has not, in whatever thread."""
    thread = threading.get_ident()
    with _lock:
        before = _readings.get(thread)
        _readings[thread] = reading
        if not _replaced:
            _replace()
    try:
        yield
    finally:
        with _lock:
            if before is None:
                del _readings[thread]
            else:
                _readings[thread] = before
            if not _readings:
                _put_back()


def _replace() -> None:
    for name in (*_BY_ITSELF, *_TORCHS_OWN):
        _put(FakeTensor, name, _method(name))
    for name in ("_str", "_str_intern"):
        _put(torch._tensor_str, name, _text(getattr(torch._tensor_str, name)))
    for kind in (torch._C.ScriptFunction, torch._C.ScriptMethod):
        _put(kind, "__call__", _script(kind.__call__))
    _put(torch._C, "_from_dlpack", _capsule(torch._C._from_dlpack))


def _put(owner: Any, name: str, new: Any) -> None:
    _replaced.append((owner, name, vars(owner).get(name)))
    setattr(owner, name, new)


def _put_back() -> None:
    while _replaced:
        owner, name, own = _replaced.pop()
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _method(name: str) -> Callable[..., Any]:
    def method(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        reading = getattr(tensor.fake_mode, "reading", None)
        if reading is None or (name in _TORCHS_OWN and _of_torch(sys._getframe(1))):
            return getattr(torch.Tensor, name)(tensor, *args, **kwargs)
        raise reading.refused(_NUMPY if name == "numpy" else _MEMORY, name)

    return method


def _of_torch(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("torch.")


def _text(own: Callable[..., Any]) -> Callable[..., Any]:
    def text(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        reading = getattr(tensor.fake_mode, "reading", None) if isinstance(tensor, FakeTensor) else None
        if reading is not None:
            raise reading.refused("it looks at the text of what it computes", "text")
        return own(tensor, *args, **kwargs)

    return text


def _script(own: Callable[..., Any]) -> Callable[..., Any]:
    def call(script: Any, *args: Any, **kwargs: Any) -> Any:
        modes = [argument.fake_mode for argument in args if isinstance(argument, FakeTensor)]
        reading = next(filter(None, (getattr(mode, "reading", None) for mode in modes)), None)
        if reading is not None:
            graph = script.graph.copy()
            torch._C._jit_pass_inline(graph)
            if "prim::tolist" in str(graph):
                raise reading.refused("its script reads pixels into a list", "list")
        return own(script, *args, **kwargs)

    return call


def _capsule(own: Callable[..., Any]) -> Callable[..., Any]:
    def from_dlpack(capsule: Any) -> Any:
        reading = _readings.get(threading.get_ident())
        if reading is not None:
            raise reading.refused(_MEMORY, "memory")
        return own(capsule)

    return from_dlpack
