"""Someone else's code with a time limit: it runs in a thread of its own, which is told to stop when the time is over.

Python code stops at its next instruction; a call into C that never returns is left behind, as nothing can end it.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
_ASKED = 10  # times within a second that a thread is told to stop: it may be where exceptions are swallowed


class OutOfTime(Exception):
    """The time limit was reached."""


class _Stop(BaseException):
    """Raised inside the thread when its time is over."""


def limited(function: Callable[[], T], seconds: float) -> T:
    """The result of `function()`, or its exception, or `OutOfTime` after `seconds`.

    An exception that is no `Exception` (but for KeyboardInterrupt) comes as a `RuntimeError`: a `SystemExit` of someone
    else's code does not end the caller's program."""
    box: dict[str, Any] = {}
    over = threading.Event()  # and no join: one that is interrupted takes the thread for ended (Python 3.11)

    def work() -> None:
        try:
            box["result"] = function()
        except BaseException as error:
            box["error"] = error
        finally:
            over.set()

    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
        in_time = over.wait(seconds)
    except BaseException:  # Ctrl-C: at its end Python ends threads by force, and in C++ that ends in abort()
        _stop(thread, over)
        raise
    if not in_time:
        _stop(thread, over)
        raise OutOfTime(f"it took longer than {seconds:g} seconds")
    error = box.get("error")
    if isinstance(error, Exception | KeyboardInterrupt):
        raise error
    if error is not None:
        raise RuntimeError(f"{type(error).__name__} {error}".strip()) from error
    result: T = box["result"]
    return result


def _stop(thread: threading.Thread, over: threading.Event) -> None:
    with _stops_unreported():
        for _ in range(_ASKED):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop))
            if over.wait(1.0 / _ASKED) or not thread.is_alive():
                return


@contextmanager
def _stops_unreported() -> Iterator[None]:
    """Python reports an exception that a finalizer or a callback of the garbage collector leaves, and one that ends a
    thread: a stop that comes while the one before is on its way through large objects that are freed. Not our own here.
    """
    report, report_thread = sys.unraisablehook, threading.excepthook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not _Stop:
            report(unraisable)

    def thread_hook(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is not _Stop:
            report_thread(ended)

    sys.unraisablehook, threading.excepthook = hook, thread_hook
    try:
        yield
    finally:
        sys.unraisablehook, threading.excepthook = report, report_thread
