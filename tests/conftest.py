"""What every test gets: a fixed seed that can be swept, quiet threads, and shapes checked at run time."""

from __future__ import annotations

import os
import signal

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("default", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("sweep", deadline=None, print_blob=True, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it to what it runs behind other work
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sweep", type=int, default=1, help="run every test that draws with this many seeds (default 1)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--sweep")))


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """An explicit generator; its seed is fixed by default, and `--sweep 100` runs 0..99."""
    return np.random.default_rng(seed)
