"""Checkpoints: resumed to the same bits from every step, never torn, never loading other weights in silence."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest
import torch
from tests.training.cases import figures, plain_net, tiny_data, tiny_net

from mathdnn.errors import OutputError, RunError
from mathdnn.training import Recipe, load_run, tensor_digest, train
from mathdnn.training.checkpoint import NAME, decode, encode, read

RECIPES = {
    "sgd": Recipe(epochs=2, batch_size=16, momentum=0.9, nesterov=True, schedule="one_cycle", shift=1),
    "adamw": Recipe(epochs=2, batch_size=16, optimizer="adamw", lr=0.01),
    "plain": Recipe(epochs=2, batch_size=16),
}
EVERY = {"report_steps": 1, "checkpoint_seconds": 0.0}


class Stop(Exception):
    """Ends a run as abruptly as an exception can."""


def stopping_at(step, error=Stop):
    def progress(event):
        if event.step == step and event.done is None:
            raise error

    return progress


def start(folder, step, recipe=RECIPES["sgd"], error=Stop, **more):
    with pytest.raises(error):
        train(tiny_net(), tiny_data(), recipe, seed=4, run=folder, progress=stopping_at(step, error), **EVERY, **more)


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
@pytest.mark.parametrize("step", range(1, 11))
def test_resuming_at_every_step_gives_the_uninterrupted_run(tmp_path, step, error):
    expected = figures(train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4))
    start(tmp_path / "run", step, error=error)
    saved = load_run(tmp_path / "run")
    assert not saved.finished
    reached = step if error is KeyboardInterrupt else step - 1
    assert 5 * saved.epoch + saved.step == reached
    model = tiny_net(seed=99)  # its weights give way to those of the run
    run = train(model, tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path / "run", resume=True)
    assert figures(run) == expected
    assert run.notes == ()
    assert load_run(tmp_path / "run").record == run


@pytest.mark.parametrize("name", ["adamw", "plain"])
def test_resuming_keeps_the_state_of_each_optimizer(tmp_path, name):
    expected = figures(train(tiny_net(), tiny_data(), RECIPES[name], seed=4))
    start(tmp_path, 7, RECIPES[name])
    assert figures(train(tiny_net(), tiny_data(), RECIPES[name], seed=4, run=tmp_path, resume=True)) == expected


def test_a_run_stopped_again_and_again_is_still_the_same_run(tmp_path):
    expected = figures(train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4))
    start(tmp_path, 2)
    for step in (4, 5, 8, 10):
        start(tmp_path, step, resume=True)
    assert figures(train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, resume=True)) == expected


def test_the_folder_holds_one_file_and_gives_the_weights_back(tmp_path):
    model = tiny_net()
    run = train(model, tiny_data(), RECIPES["sgd"], run=tmp_path / "a" / "b", about={"network": "tiny"})
    saved = load_run(tmp_path / "a" / "b")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [NAME]
    assert saved.finished
    assert saved.record == run
    assert saved.record.about == {"network": "tiny"}
    other = saved.into(tiny_net(seed=9))
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), model.state_dict().values(), strict=True))
    assert tensor_digest({f"model.{name}": t for name, t in other.state_dict().items()}) == run.digest
    with pytest.raises(
        RunError, match=r"^SavedRun.into\(model\): expected the network of the run \(network tiny\), got ano"
    ):
        saved.into(plain_net())


# What a resumed run must share


CHANGED = {
    "recipe": lambda folder: train(tiny_net(), tiny_data(), RECIPES["plain"], seed=4, run=folder, resume=True),
    "seed": lambda folder: train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=5, run=folder, resume=True),
    "data": lambda folder: train(tiny_net(), tiny_data(seed=1), RECIPES["sgd"], seed=4, run=folder, resume=True),
    "network": lambda folder: train(plain_net(), tiny_data(), RECIPES["sgd"], seed=4, run=folder, resume=True),
    "judged split": lambda folder: train(
        tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=folder, resume=True, judged="train"
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_foreign_run_is_not_resumed(tmp_path, what):
    start(tmp_path, 3)
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(RunError, match=r": expected .*; ") as caught:
        CHANGED[what](tmp_path)
    said = str(caught.value)
    assert said.startswith(f"train(run={tmp_path}): expected the {what} the run began with, ")
    assert said.endswith(f"; resume with the same {what}, or train in a new folder.")
    assert (tmp_path / NAME).read_bytes() == before


def test_a_finished_run_is_not_resumed(tmp_path):
    train(tiny_net(), tiny_data(), RECIPES["sgd"], run=tmp_path)
    with pytest.raises(RunError, match=r": expected .*; ") as caught:
        train(tiny_net(), tiny_data(), RECIPES["sgd"], run=tmp_path, resume=True)
    assert str(caught.value) == (
        f"train(run={tmp_path}): expected a run that was stopped, got one that finished its 2 epochs; "
        "read it with load_run, or train in a new folder."
    )


def test_a_folder_that_holds_a_run_is_not_begun_again(tmp_path):
    start(tmp_path, 3)
    with pytest.raises(RunError, match=r": expected .*; ") as caught:
        train(tiny_net(), tiny_data(), RECIPES["sgd"], run=tmp_path)
    assert str(caught.value) == (
        f"train(run={tmp_path}): expected a new or an empty folder, got one that holds a run; "
        "pass resume=True or choose another folder."
    )


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(
        RunError, match=r"expected a new or an empty folder, got one that holds 'thesis.tex'; choose anoth"
    ):
        train(tiny_net(), tiny_data(), run=tmp_path)
    with pytest.raises(RunError, match=rf"expected a run folder with a {NAME}, got none of that name; check the path"):
        train(tiny_net(), tiny_data(), run=tmp_path, resume=True)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_no_folder_at_all(tmp_path):
    for attempt in (
        lambda: load_run(tmp_path / "no"),
        lambda: train(tiny_net(), tiny_data(), run=tmp_path / "no", resume=True),
    ):
        with pytest.raises(RunError, match=rf"expected a run folder with a {NAME}, got no such folder; check the path"):
            attempt()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_write_left_is_removed(tmp_path):
    start(tmp_path, 3)
    (tmp_path / f".{NAME}.1.abcd.tmp").write_bytes(b"half")
    train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, resume=True)
    assert os.listdir(tmp_path) == [NAME]


def test_two_runs_do_not_share_a_folder(tmp_path):
    def second(event):
        train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, resume=True)

    with pytest.raises(
        RunError, match=r"expected a folder of its own, got one that another process is training in; wait"
    ):
        train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, progress=second)


def test_a_resumed_run_notes_what_changed(tmp_path):
    start(tmp_path, 7)
    record, position, tensors = read(tmp_path, "test")
    record = msgspec.structs.replace(record, versions=record.versions | {"torch": "2.11.0"})
    (tmp_path / NAME).write_bytes(encode(record, position, tensors))
    run = train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, resume=True)
    assert run.notes == (
        (
            f"resumed at epoch 2, step 1 with torch 2.11.0 -> {torch.__version__}: "
            "the bits may differ from an uninterrupted run"
        ),
    )


# Damage


def test_another_format_version_is_named(tmp_path):
    start(tmp_path, 3)
    content = (tmp_path / NAME).read_bytes().replace(b'{\\"format\\":1,', b'{\\"format\\":2,', 1)
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(RunError, match=r": expected .*; ") as caught:
        load_run(tmp_path)
    assert str(caught.value) == (
        f"load_run({tmp_path}): expected a run of format 1, got format 2; "
        "read it with the mathdnn that wrote it, or train again."
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(tiny_net(), tiny_data(), RECIPES["sgd"], run=folder)
    return (folder / NAME).read_bytes()


def mutated(content, rng):
    """One of: flipped bit, changed byte in the header, cut, doubled, zeroed or swapped stretch, inserted byte."""
    bytes_, n = bytearray(content), len(content)
    header = 8 + int.from_bytes(content[:8], "little")
    place = int(rng.integers(n))
    stretch = slice(place, min(n, place + int(rng.integers(1, 200))))
    match int(rng.integers(7)):
        case 0:
            bytes_[place] ^= 1 << int(rng.integers(8))
        case 1:
            bytes_[int(rng.integers(header))] = int(rng.integers(256))
        case 2:
            del bytes_[place:]
        case 3:
            bytes_[stretch] = bytes_[stretch] * 2
        case 4:
            bytes_[stretch] = bytes(stretch.stop - stretch.start)
        case 5:
            digits = [i for i in range(header) if bytes_[i : i + 1].isdigit()]
            bytes_[digits[int(rng.integers(len(digits)))]] = ord(str(rng.integers(10)))
        case 6:
            bytes_.insert(place, int(rng.integers(256)))
    return bytes(bytes_)


def test_of_1000_mutated_checkpoints_none_loads_anything_else(whole, rng):
    record, position, tensors = decode(whole, "test")
    expected, refused = tensor_digest(tensors), 0
    for _ in range(1000):
        content = mutated(whole, rng)
        try:
            found = decode(content, "load_run(x)")
        except RunError:
            refused += 1
        else:
            assert found[:2] == (record, position)
            assert tensor_digest(found[2]) == expected
    assert refused > 900


def test_renamed_tensors_and_other_records_are_noticed(whole):
    names = [b'"model.0.weight"', b'"model.0.biasss"'[:16]]
    assert names[0] in whole
    with pytest.raises(
        RunError, match=r"expected a whole checkpoint.safetensors, got other contents than its digest says"
    ):
        decode(whole.replace(*names), "test")
    with pytest.raises(
        RunError, match=r"expected a whole checkpoint.safetensors, got other contents than its digest says"
    ):
        decode(whole.replace(b'\\"seed\\":0', b'\\"seed\\":1'), "test")


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 7, b"\xff" * 100, b"{}", b"\x02" + b"\x00" * 7 + b"{}", b"\x80\x04N."]
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(RunError, match=r": expected .*; ") as caught:
        load_run(tmp_path)
    assert str(caught.value) == (
        f"load_run({tmp_path}): expected a whole {NAME}, got no header of mathdnn; "
        "it is damaged or not of mathdnn; train again."
    )


def test_a_folder_or_a_pipe_in_the_place_of_the_file(tmp_path):
    (tmp_path / "a" / NAME).mkdir(parents=True)
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / NAME)
    for folder in ("a", "b"):
        with pytest.raises(
            RunError, match=rf"expected a file {NAME}, got something that is no regular file; choose a run"
        ):
            load_run(tmp_path / folder)


# Disks


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_checkpoint_before(tmp_path, monkeypatch, call):
    expected = figures(train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4))
    start(tmp_path, 4)
    before = (tmp_path / NAME).read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OutputError, match=r": expected .*; ") as caught:
            train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, resume=True, **EVERY)
    assert str(caught.value) == (
        f"train(run=...)({tmp_path / NAME}): expected a place to write, got the answer 'No space left on device'; "
        "choose a folder that exists, may be written and has room."
    )
    assert os.listdir(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == before
    assert figures(train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, resume=True)) == expected


def test_a_file_that_may_not_grow_is_not_half_written(tmp_path):
    start(tmp_path, 4)
    before = (tmp_path / NAME).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"expected a place to write, got the answer 'File too large'"):
            train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, resume=True, **EVERY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this machine does not let a file system be mounted")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_keeps_the_checkpoint_before(small_disk):
    start(small_disk / "run", 4)
    before = (small_disk / "run" / NAME).read_bytes()
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "other").write_bytes(bytes(200_000))
    with pytest.raises(OutputError, match=r"got the answer 'No space left on device'; choose a folder"):
        train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=small_disk / "run", resume=True, **EVERY)
    assert os.listdir(small_disk / "run") == [NAME]
    assert (small_disk / "run" / NAME).read_bytes() == before


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        OutputError, match=r"expected a new or an empty folder, got something that is not a folder; choose"
    ):
        train(tiny_net(), tiny_data(), run=tmp_path / "file")
    with pytest.raises(
        OutputError, match=r"expected a folder that can be made, got the answer '.*'; choose a folder that"
    ):
        train(tiny_net(), tiny_data(), run=tmp_path / "file" / "run")
    with pytest.raises(
        OutputError, match=r"expected a folder that can be made, got the answer '.*'; choose a folder that"
    ):
        train(tiny_net(), tiny_data(), run="/proc/mathdnn")


# Kills


KILLS = """
import json, os, sys
import torch
from mathdnn.training import Recipe, train
from tests.training.cases import figures, tiny_data, tiny_net
torch.set_num_threads(1)
recipe = Recipe(epochs=3, batch_size=4, momentum=0.9, shift=1)
data = tiny_data(n=100)
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
    began = time.perf_counter()
    runner.whole(tmp_path / "timed")
    seconds = time.perf_counter() - began
    reached = set()
    for trial in range(kills):
        folder, alive = tmp_path / str(trial), False
        while not alive:
            shutil.rmtree(folder, ignore_errors=True)
            alive = runner.killed(folder, float(rng.random()) * seconds)
            alive = alive and (folder / NAME).exists()  # killed before the first checkpoint there is nothing to resume
        saved = load_run(folder)
        reached.add((saved.epoch, saved.step))
        assert runner.whole(folder, resume=True) == expected
    return reached


def test_twenty_kills_at_random_moments_are_resumed_to_the_same_bits(runner, tmp_path):
    reached = kill_and_resume(runner, tmp_path, 20, np.random.default_rng(20))
    assert len(reached) > 5
