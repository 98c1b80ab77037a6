"""Disks that are full or closed: the checkpoint before stays whole."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess

import pytest
from tests.training.cases import EVERY, RECIPES, figures, start, tiny_data, tiny_net

from mathdnn.errors import OutputError, RunError
from mathdnn.training import load_run, train
from mathdnn.training.checkpoint import NAME


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


def test_a_run_that_could_keep_nothing_leaves_no_folder(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "old").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for name in ("new", "old"):
            with pytest.raises(OutputError, match=r"got the answer 'No space left on device'; choose a folder"):
                train(tiny_net(), tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path / name)
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        OutputError, match=r"expected a new or an empty folder, got something that is not a folder; choose"
    ):
        train(tiny_net(), tiny_data(), run=tmp_path / "file")
    with pytest.raises(
        OutputError, match=r"expected a folder to keep the run in, got the answer '.*'; choose a folder"
    ):
        train(tiny_net(), tiny_data(), run=tmp_path / "file" / "run")
    with pytest.raises(
        OutputError, match=r"expected a folder to keep the run in, got the answer '.*'; choose a folder"
    ):
        train(tiny_net(), tiny_data(), run="/proc/mathdnn")
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(
            OutputError, match=r"expected a folder to keep the run in, got the answer '.*'; choose a folder"
        ):
            train(tiny_net(), tiny_data(), run=tmp_path / name)
        with pytest.raises(
            RunError, match=r"expected a readable checkpoint.safetensors, got the answer '.*'; check its p"
        ):
            load_run(tmp_path / name)
