"""Someone else's code with a time limit."""

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
    with pytest.raises(OutOfTime, match=r"^$"):
        limited(slow_finalizers, 0.1)
    assert capsys.readouterr().err == ""


def test_a_stop_that_comes_after_another_one_is_not_reported(monkeypatch):
    """What the first stop leaves behind takes longer to be freed than the time to the second one."""
    reported = []
    monkeypatch.setattr("threading.excepthook", lambda seen: reported.append(seen.exc_type))
    with pytest.raises(OutOfTime, match=r"^$"):
        limited(lambda: sorted(range(4_000_000), key=lambda i: {i: [i]}), 0.5)
    assert reported == []


def test_another_exception_that_ends_a_thread_is_reported_as_ever(monkeypatch):
    reported = []

    def broken_then_slow() -> None:
        time.sleep(0.2)  # the time is over; a thread of its own ends while this one is told to stop
        broken = threading.Thread(target=int, args=("its own",))
        try:
            slow_finalizers()
        finally:
            broken.start()
            broken.join()

    monkeypatch.setattr("threading.excepthook", lambda seen: reported.append(seen.exc_type))
    with pytest.raises(OutOfTime, match=r"^$"):
        limited(broken_then_slow, 0.1)
    assert set(reported) == {ValueError}


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
    with pytest.raises(OutOfTime, match=r"^$"):
        limited(broken_then_slow, 0.1)
    assert set(reported) == {ValueError}
