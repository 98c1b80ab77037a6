"""Training killed at random moments goes on to the same bits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from mathdnn.training import load_run
from mathdnn.training.checkpoint import NAME

KILLS = """
import json, os, sys
import torch
from mathdnn.training import Recipe, train
from tests.training.cases import figures, tiny_data, tiny_net
torch.set_num_threads(1)
recipe = Recipe(epochs=3, batch_size=4, momentum=0.9, shift=1)
data = tiny_data(n=60)
every = {"report_steps": 1, "checkpoint_seconds": 0}
for line in sys.stdin:  # each line: a folder, and whether to resume; each run has a process of its own
    folder, resume = json.loads(line)
    child = os.fork()
    if child == 0:
        try:
            run = train(tiny_net(), data, recipe, run=folder or None, resume=resume, **every)
            said = repr(figures(run))
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        print(json.dumps(said), flush=True)
        os._exit(0)
    print(json.dumps(child), flush=True)
    status = os.waitpid(child, 0)[1]
    print(json.dumps(status), flush=True)
"""


class Runner:
    """Runs training in processes that can be killed."""

    def __init__(self):
        self.host = subprocess.Popen(
            [sys.executable, "-c", KILLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
        )

    def say(self, folder, resume=False):
        self.host.stdin.write(json.dumps([str(folder), resume]) + "\n")
        self.host.stdin.flush()
        return self.read()

    def read(self):
        return json.loads(self.host.stdout.readline())

    def whole(self, folder, resume=False):
        """A run to its end: what it says."""
        self.say(folder, resume)
        said = self.read()
        assert self.read() == 0
        return said

    def killed(self, folder, seconds, resume=False):
        """A run killed after so many seconds; whether it was still running."""
        child = self.say(folder, resume)
        try:
            time.sleep(seconds)
            os.kill(child, 9)
        except ProcessLookupError:
            pass
        answer = self.read()
        if isinstance(answer, str):
            assert self.read() in (0, 9)
            return False
        assert answer == 9
        return True

    def close(self):
        self.host.stdin.close()
        self.host.stdout.close()
        self.host.wait(10)


@pytest.fixture(scope="module")
def runner():
    made = Runner()
    yield made
    made.close()


def kill_and_resume(runner, tmp_path, kills, rng):
    expected = runner.whole("")
    assert expected.startswith("([(1, "), expected  # figures, not an error
    began = time.perf_counter()
    runner.whole(tmp_path / "timed")
    seconds = time.perf_counter() - began
    reached = set()
    for trial in range(kills):
        folder, alive = tmp_path / str(trial), False
        while not alive:
            shutil.rmtree(folder, ignore_errors=True)
            alive = runner.killed(folder, float(rng.random()) * seconds)
            # Before the first checkpoint and after the last one there is nothing to resume.
            alive = alive and (folder / NAME).exists() and not load_run(folder).finished
        saved = load_run(folder)
        reached.add((saved.epoch, saved.step))
        assert runner.whole(folder, resume=True) == expected
    return reached


def test_twenty_kills_at_random_moments_are_resumed_to_the_same_bits(runner, tmp_path):
    reached = kill_and_resume(runner, tmp_path, 20, np.random.default_rng(20))
    assert len(reached) > 5
