"""What the library says of its arguments, a command says of its options."""

from __future__ import annotations

import pytest

from mathdnn.cli import main
from mathdnn.cli.spoken import spoken

HELD = "expected a new or an empty folder, got one that holds a run"
WRITE = "expected a place to write, got the answer 'Read-only file system'"
LATER = "expected an answer within 1 s, got slow; give a function that ends, or a larger"
NONE = "expected a file, got none of that name; check the path."


@pytest.mark.parametrize(
    ("message", "argv", "said"),
    [
        (
            f"train(run=a): {HELD}; pass resume=True or choose another folder.",
            ["train", "lenet5", "--out", "a"],
            f"train --out a: {HELD}; add --resume or choose another folder.",
        ),
        (
            "train(engine='native'): expected a known module, got X; use engine='torch'.",
            ["train", "lenet5", "--engine=native"],
            "train --engine native: expected a known module, got X; use --engine torch.",
        ),
        (
            "Recipe(weight_decay=...): expected a number, got a; b; change weight_decay.",
            ["train", "lenet5", "--weight-decay", "a; b"],
            "train --weight-decay: expected a number, got a; b; change --weight-decay.",
        ),
        (
            f"train(run=...)(a/checkpoint): {WRITE}; choose a folder.",
            ["train", "lenet5", "--out", "a"],
            f"train --out a/checkpoint: {WRITE}; choose a folder.",
        ),
        (
            f"answer(save=...)(a.json): {WRITE}; choose a folder.",
            ["grade", "conv", "--save", "a.json"],
            f"grade conv --save a.json: {WRITE}; choose a folder.",
        ),
        (
            f"is_nondecreasing(f=...): {LATER} time_limit.",
            ["prove", "monotone", "a:b", "--time-limit", "1"],
            f"prove monotone: {LATER} --time-limit.",
        ),
        (f"read_digit(a(1)=b.png): {NONE}", ["predict", "--json", "r", "a(1)=b.png"], f"predict a(1)=b.png: {NONE}"),
        (
            "load_mnist() of d/labels: expected labels, got 77; relabel.",
            ["train", "lenet5", "--data", "d"],
            "train d/labels: expected labels, got 77; relabel.",
        ),
        (
            "train(run=a): expected a run that was stopped, got a finished one; read it with load_run, or train anew.",
            ["train", "lenet5", "--out", "a", "--resume"],
            "train --out a: expected a run that was stopped, got a finished one; predict with it, or train anew.",
        ),
        (f"read_results(a): {NONE}", ["report", "a"], f"report a: {NONE}"),
        (f"load_run(a): {NONE}", ["predict", "a", "b.png"], f"predict a: {NONE}"),
        (
            "reproduce(problems=...): expected 1, got 9; stop.",
            ["reproduce", "9"],
            "reproduce: expected 1, got 9; stop.",
        ),
        ("equal_maps: expected 1, got 2; stop.", ["grade", "conv", "--"], "grade conv: expected 1, got 2; stop."),
        (
            "ConvForm(stride=...): expected two numbers, got 0; give those.",
            ["grade", "conv", "--stride", "0"],
            "grade conv --stride: expected two numbers, got 0; give those.",
        ),
        (
            "grade(weight): expected 3 channels, got 1; check the shape.",
            ["grade", "conv", "--weight", "[[1]]"],
            "grade conv --weight: expected 3 channels, got 1; check the shape.",
        ),
        (
            "typed_formula(text): expected A[l], got 'A['; write it.",
            ["prove", "gradient", "2-3-1", "--formula", "A["],
            "prove gradient --formula: expected A[l], got 'A['; write it.",
        ),
    ],
)
def test_arguments_become_options(message, argv, said):
    assert spoken(message, argv) == said


@pytest.mark.parametrize(
    ("message", "argv"),
    [
        ("Recipe(lr=...): expected a number, got a; change lr.", []),
        ("Recipe(lr=...): expected a number, got a; change lr.", ["train", "lenet5", "--seed", "1"]),
        ("stopped", ["train", "--lr", "1"]),
        ("predict a: expected a run, got none; train.", ["predict", "a", "b"]),
    ],
)
def test_what_no_option_gave_is_said_as_it_is(message, argv):
    assert spoken(message, argv) == message


def test_a_folder_that_holds_a_run_is_refused_in_options(tmp_path, capsys):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    assert main(["train", "lenet5", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"mathdnn: train --out {tmp_path}: expected a new or an empty folder, got one that holds")
    assert "resume=" not in said
