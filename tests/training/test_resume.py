"""Run folders: resumed to the same bits from every step, and what may not be resumed."""

from __future__ import annotations

import os

import msgspec
import pytest
import torch
from tests.training.cases import EVERY, RECIPES, Stop, figures, plain_net, start, stopping_at, tiny_data, tiny_net

from mathdnn.errors import RunError
from mathdnn.lenet import LeNet5_1998
from mathdnn.training import Recipe, initialise, load_run, tensor_digest, train
from mathdnn.training.checkpoint import NAME, encode, read


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
    "network": lambda folder: train(
        plain_net(), tiny_data(), RECIPES["sgd"], seed=4, run=folder, resume=True, engine="torch"
    ),
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
        f"train(run={tmp_path}): expected a run that was stopped, got one that finished its last epoch, number 2; "
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
    missing = rf"expected a run folder with a {NAME}, got no such folder; check the path"
    with pytest.raises(RunError, match=rf"{missing}\.$"):
        load_run(tmp_path / "no")
    with pytest.raises(RunError, match=rf"{missing}, or begin a run there without resume\.$"):
        train(tiny_net(), tiny_data(), run=tmp_path / "no", resume=True)
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_told_as_such(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunError, match=r"got something that is no folder; check the path"):
        load_run(tmp_path / "run")


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


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_constants_that_the_run_kept_are_those_it_goes_on_with(engine, tmp_path):
    def net(scale):
        made = initialise(LeNet5_1998(), 0)
        made.output.codes.mul_(scale)
        return made

    data, again, recipe = tiny_data(size=28), net(1), Recipe(epochs=2, batch_size=16, lr=0.001)
    expected = figures(train(net(0.5), data, recipe, engine=engine, seed=4))
    with pytest.raises(Stop, match=r"^$"):
        train(net(0.5), data, recipe, engine=engine, seed=4, run=tmp_path, progress=stopping_at(3), **EVERY)
    run = train(again, data, recipe, engine=engine, seed=4, run=tmp_path, resume=True)
    assert figures(run) == expected
    assert torch.equal(again.output.codes, net(0.5).output.codes)
