"""Someone else's code with a time limit."""

import functools
import signal
import threading
import time

import pytest

from mathdnn.convolution.limit import OutOfTime, limited


class Slow:
    """Takes its time where Python ignores exceptions."""

    def __del__(self) -> None:
        until = time.perf_counter() + 0.05
        while time.perf_counter() < until:
            pass


def slow_finalizers() -> None:
    for _ in range(12):
        Slow()


def test_a_stop_that_a_finalizer_swallows_is_not_reported(capsys):
    with pytest.raises(OutOfTime, match=r"^it took longer than 0\.1 seconds$"):
        limited(slow_finalizers, 0.1)
    assert capsys.readouterr().err == ""


def test_an_interrupt_stops_the_thread():
    begun, ended = threading.Event(), threading.Event()

    def endless() -> None:
        try:
            begun.set()
            while True:
                pass
        finally:
            ended.set()

    def interrupt() -> None:
        begun.wait(60)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        limited(endless, 600)
    assert ended.is_set()


class SlowToFree:
    """Takes its time while it is freed, in C: a stop waits until Python code runs again."""

    __del__ = functools.partial(time.sleep, 0.25)


def for_ever(_: object) -> None:
    while True:
        pass


def test_a_stop_that_comes_after_another_one_is_not_reported(monkeypatch):
    reported = []
    monkeypatch.setattr("threading.excepthook", lambda seen: reported.append(seen.exc_type))
    with pytest.raises(OutOfTime, match=r"^it took longer than 0\.1 seconds$"):
        limited(lambda: sorted([None, SlowToFree()], key=for_ever), 0.1)
    assert reported == []


def test_an_exception_that_ends_another_thread_is_reported_as_ever(monkeypatch):
    reported = []
    monkeypatch.setattr("threading.excepthook", lambda seen: reported.append(seen.exc_type))
    other = threading.Timer(0.2, int, args=("no number",))
    other.start()
    with pytest.raises(OutOfTime, match=r"^it took longer than 0\.1 seconds$"):
        limited(slow_finalizers, 0.1)
    other.join()
    assert reported == [ValueError]


def test_other_exceptions_that_are_ignored_are_reported_as_ever(monkeypatch):
    reported = []

    class Broken:
        def __del__(self) -> None:
            raise ValueError("its own")

    def broken_then_slow() -> None:
        Broken()
        slow_finalizers()
        Broken()

    monkeypatch.setattr("sys.unraisablehook", lambda seen: reported.append(seen.exc_type))
    with pytest.raises(OutOfTime, match=r"^it took longer than 0\.1 seconds$"):
        limited(broken_then_slow, 0.1)
    assert set(reported) == {ValueError}
