"""Someone else's code with a time limit."""

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
