"""What the library says of its arguments, a command says of its options."""

from __future__ import annotations

import pytest

from mathdnn.cli import main
from mathdnn.cli.spoken import spoken

HELD = "expected a new or an empty folder, got one that holds a run"
WRITE = "expected a place to write, got the answer 'Read-only file system'"
LATER = "is_nondecreasing(f=...): expected an answer within 1 s, got slow; give a function that ends, or a larger"


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
        (f"{LATER} time_limit.", ["prove", "monotone", "a:b", "--time-limit", "1"], f"{LATER} --time-limit."),
    ],
)
def test_arguments_become_options(message, argv, said):
    assert spoken(message, argv) == said


@pytest.mark.parametrize(
    ("message", "argv"),
    [
        ("Recipe(lr=...): expected a number, got a; change lr.", []),
        ("Recipe(lr=...): expected a number, got a; change lr.", ["train", "lenet5", "--seed", "1"]),
        ("read_digit(a.png): expected a file, got none; check the path.", ["predict", "--json", "a.png"]),
        ("stopped", ["train", "--lr", "1"]),
        ("ConvForm(stride=...): expected two numbers, got 0; give those.", ["grade", "conv", "--stride", "0"]),
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
