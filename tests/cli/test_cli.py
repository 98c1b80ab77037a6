"""The command line: what it prints where, its exit codes, and one sentence for each misuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.report.example import document

from mathdnn import __version__
from mathdnn.cli import main
from mathdnn.cli.app import COMMANDS
from mathdnn.cli.output import seconds
from mathdnn.data import write_idx
from mathdnn.report import write_report

COMMAND = [sys.executable, "-m", "mathdnn.cli"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder in MNIST's format with 200 + 50 images: the class is the place of a bright bar."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name, n in (("train", 200), ("t10k", 50)):
        labels = (np.arange(n) % 10).astype(np.uint8)
        images = rng.integers(0, 60, (n, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 4 : 2 * label + 6, 4:24] = 255
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "lenet5", "--data", str(data), "--epochs", "1", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def digit(tmp_path) -> Path:
    page = np.full((90, 70), 250, np.uint8)
    page[15:75, 30:38] = 20
    Image.fromarray(page).save(tmp_path / "one.png")
    return tmp_path / "one.png"


@pytest.mark.parametrize("argv", [[], ["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_fits_a_screen_and_has_examples(argv, capsys):
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "Examples:\n\nmathdnn" in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("\n") < 60


def test_every_command_has_its_file():
    folder = Path(sys.modules[main.__module__].__file__).parent
    assert {f"{name}.py" for name in COMMANDS} <= {path.name for path in folder.iterdir()}


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"{__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "parameters", "multiply_adds"),
    [
        (["lenet5"], 60_806, 326_520),
        (["lenet5", "--c3", "full"], 61_706, 416_520),
        (["lenet5-1998"], 60_000, None),
    ],
    ids=["table", "full", "1998"],
)
def test_count_as_json(argv, parameters, multiply_adds, capsys):
    assert main(["count", *argv, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    totals = json.loads(out)["totals"]
    assert totals["parameters"] == parameters
    assert multiply_adds in (None, totals["multiply_adds"])


def test_count_as_a_table(capsys):
    assert main(["count", "lenet5"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["total", "60,806", "339,342", "326,520"]


def test_train_as_json_prints_one_document(data, capsys):
    argv = [
        "train",
        "lenet5",
        "--data",
        str(data),
        "--epochs",
        "1",
        "--c3",
        "full",
        "--lr",
        "0.05",
        "--seed",
        "3",
        "--json",
    ]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert err == ""
    assert (record["seed"], record["recipe"]["lr"], record["metrics"]["n"]) == (3, 0.05, 50)
    assert record["about"] == {"network": "lenet5", "c3": "full"}


def test_train_plan_prints_the_layers_and_trains_nothing(tmp_path, capsys):
    assert main(["train", "lenet5", "--plan", "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("native: it runs every layer of this model\n")
    assert "convolution        16x10x10 tanh" in printed
    assert not (tmp_path / "run").exists()
    assert main(["train", "lenet5", "--plan", "--engine", "torch"]) == 0
    assert capsys.readouterr().out == "torch: asked for\n"


def test_train_in_words(data, capsys):
    assert main(["train", "lenet5", "--data", str(data), "--epochs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["epoch", "epoch"] or lines[0].startswith(
        "epoch   1  test loss"
    )
    assert "of 50 test images right" in lines[2]
    assert lines[3] == "nothing kept: name a folder with --out"


def test_predict_reads_a_run(run, digit, capsys):
    assert main(["predict", str(run), str(digit), str(digit), "--json"]) == 0
    out, err = capsys.readouterr()
    first, second = json.loads(out)["images"]
    assert err == ""
    assert first == second
    assert first["digit"] == int(np.argmax(first["probabilities"]))
    assert sum(first["probabilities"]) == pytest.approx(1)
    assert main(["predict", str(run), str(digit)]) == 0
    assert capsys.readouterr().out.startswith(f"{digit}: {first['digit']} (")
    turned = digit.with_name("a\u202eb\n.png")
    turned.write_bytes(digit.read_bytes())
    assert main(["predict", str(run), str(turned)]) == 0
    assert capsys.readouterr().out.startswith(f"{digit.parent}/a\\u202eb\\n.png: {first['digit']} (")


def test_report_draws_again(tmp_path, capsys):
    page = write_report(document(), tmp_path / "first")
    assert main(["report", str(tmp_path / "first" / "results.json"), "--out", str(tmp_path / "again")]) == 0
    assert capsys.readouterr().out == f"the page: {tmp_path / 'again' / 'index.html'}\n"
    assert (tmp_path / "again" / "index.html").read_bytes() == page.read_bytes()


MISUSE = [
    (["dance"], f'Unknown command "dance". Available commands: {", ".join([*COMMANDS][:8])}, ... See mathdnn --help.'),
    (["count"], 'Command "count" parameter NETWORK requires an argument. See mathdnn count --help.'),
    (
        ["count", "alexnet"],
        (
            'Invalid value "alexnet" for NETWORK. Choose from: "lenet5", "lenet5-1998". Did you mean "lenet5"? '
            "See mathdnn count --help."
        ),
    ),
    (
        ["count", "lenet5-1998", "--c3", "full"],
        (
            "count lenet5-1998 --c3: expected the table, which the paper's network always has, got full; "
            "leave --c3 out, or count lenet5."
        ),
    ),
    (
        ["train", "lenet5", "--lr", "fast"],
        'Invalid value for --lr: unable to convert "fast" into float. See mathdnn train --help.',
    ),
    (
        ["train", "lenet5", "--lr", "-1"],
        "train --lr: expected a step size above 0, at most 1e30, got -1.0; change --lr.",
    ),
    (["train", "lenet5", "--lr=nan"], "train --lr: expected a step size above 0, at most 1e30, got nan; change --lr."),
    (
        ["train", "lenet5", "--epochs", "0"],
        "train --epochs: expected a whole number from 1 to 100,000, got 0; change --epochs.",
    ),
    (["train", "lenet5", "--resume"], "train --resume: expected the folder of the run, got none; add --out RUN."),
    (
        ["train", "lenet5", "--data", "{here}/none"],
        (
            "train --data {here}/none: expected a folder with four IDX files, got no folder of that name; "
            "check the path."
        ),
    ),
    (["predict", "run"], 'Command "predict" parameter IMAGE requires an argument. See mathdnn predict --help.'),
    (
        ["predict", "run", "{here}/none.png"],
        "predict {here}/none.png: expected a file, got none of that name; check the path.",
    ),
    (["report", "{here}/none"], "report {here}/none: expected a file, got none of that name; check the path."),
    (
        ["reproduce", "one"],
        'Invalid value for PROBLEM: unable to convert "one" into int. See mathdnn reproduce --help.',
    ),
    (
        ["reproduce", "--out", "{here}/taken"],
        (
            "reproduce --out {here}/taken: expected a folder, got something that is not a folder; "
            "choose a folder that may be written."
        ),
    ),
]


@pytest.mark.parametrize(("argv", "sentence"), MISUSE, ids=[" ".join(argv) for argv, _ in MISUSE])
def test_misuse_is_one_sentence_and_exit_code_two(argv, sentence, tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    assert main([word.format(here=tmp_path) for word in argv]) == 2
    assert capsys.readouterr() == ("", f"mathdnn: {sentence.format(here=tmp_path)}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("plan", [[], ["--plan"]], ids=["train", "plan"])
def test_images_of_another_size_are_told_as_such(plan, tmp_path, capsys):
    for name in ("train", "t10k"):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", np.zeros((10, 20, 24), np.uint8))
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", np.arange(10, dtype=np.uint8))
    assert main(["train", "lenet5", "--data", str(tmp_path), *plan]) == 2
    assert capsys.readouterr() == (
        "",
        (
            f"mathdnn: train --data {tmp_path}: expected images of 28 x 28 pixels, which LeNet-5 takes, got 20 x 24; "
            "resize them.\n"
        ),
    )


def test_a_run_that_is_none(digit, tmp_path, capsys):
    assert main(["predict", str(tmp_path / "run"), str(digit)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mathdnn: predict {tmp_path / 'run'}: expected ")
    assert err.count("\n") == 1


def test_a_finished_run_is_not_resumed(run, data, capsys):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert main(["train", "lenet5", "--data", str(data), "--epochs", "1", "--out", str(run), "--resume"]) == 2
    assert "expected a run that was stopped, got one that finished its last epoch, number 1" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_step_so_large_that_training_diverges(data, tmp_path, capsys):
    assert main(["train", "lenet5", "--data", str(data), "--lr", "1e29", "--epochs", "3"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("mathdnn: train")
    assert err.count("\n") == 1


def test_an_interrupt_is_said_and_counted(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mathdnn.lenet.accounting.count", stop)
    monkeypatch.setattr("mathdnn.lenet.count", stop)
    assert main(["count", "lenet5"]) == 130
    assert capsys.readouterr() == ("", "mathdnn: interrupted\n")


@pytest.mark.parametrize("kept", [False, True])
def test_an_interrupted_run_says_that_it_is_kept_only_where_it_is(kept, data, tmp_path, monkeypatch, capsys):
    def stop(*_, run, **__):
        if kept:
            (run / "checkpoint.safetensors").write_bytes(b"")
        raise KeyboardInterrupt

    monkeypatch.setattr("mathdnn.training.train", stop)
    assert main(["train", "lenet5", "--data", str(data), "--out", str(tmp_path)]) == 130
    said = f"mathdnn: the run is kept in {tmp_path}; --resume goes on from there\n" if kept else ""
    assert capsys.readouterr().err == f"{said}mathdnn: interrupted\n"


def test_an_interrupt_while_the_modules_are_loaded_is_said_and_counted():
    code = (
        "import sys, mathdnn.cli\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'cyclopts': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "sys.exit(mathdnn.cli.main(['count', 'lenet5']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mathdnn: interrupted\n")


def test_standard_output_that_is_closed_is_no_defect():
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m mathdnn.cli count lenet5 >&-"], stderr=subprocess.PIPE, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_plan_is_no_json(capsys):
    assert main(["train", "lenet5", "--plan", "--json"]) == 2
    expected = "mathdnn: train --plan: expected a plan, which is text, got --json; leave --json out.\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.04, "0.04 s"),
        (0.999, "1.0 s"),
        (12.3, "12.3 s"),
        (59.96, "1 min 0 s"),
        (119.7, "2 min 0 s"),
        (200, "3 min 20 s"),
    ],
)
def test_seconds_are_rounded_before_they_are_split(value, words):
    assert seconds(value) == words


def test_a_defect_keeps_its_traceback(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("mathdnn.lenet.count", fail)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        main(["count", "lenet5"])


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from mathdnn.cli import main; main(['--help']); "
        "print([n for n in ('torch', 'numpy', 'scipy', 'matplotlib', 'mathdnn.cli.train') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_leaves_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, "--help"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_standard_output_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "--version"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "mathdnn: standard output: No space left on device; give it room.\n"


def test_piped_output_has_no_colours(tmp_path):
    done = subprocess.run([*COMMAND, "report", str(tmp_path / "none")], capture_output=True, text=True)
    assert done.returncode == 2
    assert "\x1b" not in done.stdout + done.stderr
