"""Streams that are closed, narrow or hold few characters, two outputs in one place, and names of any bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mathdnn.cli import main
from mathdnn.cli.reproduce import _name

COMMAND = [sys.executable, "-c", "import sys; from mathdnn.cli import main; sys.exit(main(sys.argv[1:]))"]
TRUE = ["prove", "gradient", "2-3-1/tanh"]


def test_two_outputs_that_would_be_one_file_are_refused_before_any_work(tmp_path, capsys):
    place = tmp_path / "same.svg"
    same = [str(place), str(tmp_path / "." / "same.svg")]
    assert main(["prove", "gradient", "2-3-1", "--save", same[0], "--picture", same[1]]) == 2
    assert "expected another file than --save" in capsys.readouterr().err
    assert main(["bench", "sgd", "--out", same[0], "--picture", same[1]]) == 2
    assert "expected another file than --out" in capsys.readouterr().err
    assert not place.exists()


def test_a_closed_standard_error_changes_no_answer():
    without = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND]  # the shell closes it: a fork of these threads may not
    closed = subprocess.run([*without, *TRUE], stdout=subprocess.PIPE, check=False)
    assert closed.returncode == 0
    assert closed.stdout.startswith(b"SUPPORTED")
    refused = subprocess.run([*without, "verify", "nowhere", "--json"], stdout=subprocess.PIPE, check=False)
    assert (refused.returncode, refused.stdout) == (2, b"")


def test_what_standard_output_cannot_hold_is_written_out():
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    found = subprocess.run([*COMMAND, *TRUE], capture_output=True, env=plain, check=False)
    assert (found.returncode, found.stderr) == (0, b"")
    assert b"\\xb1" in found.stdout


@pytest.mark.parametrize("full", ["2>/dev/full", "2> >(exec 0<&-; sleep 0.2)"], ids=["full", "nobody reads"])
def test_a_full_standard_error_loses_nothing(full, tmp_path):
    call = f"{sys.executable} -m mathdnn.cli"
    command = f"sleep 0.1; {call} reproduce 3 --out {tmp_path}/a >/dev/null && {call} count x; echo $?"
    run = subprocess.run(["bash", "-c", f"exec {full}; {command}"], capture_output=True, text=True, check=True)
    assert run.stdout == "2\n"
    assert (tmp_path / "a" / "index.html").is_file()


def test_columns_that_nobody_knows_are_eighty(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "0")
    assert main(["count", "--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) == 80


def test_help_ends_in_one_column():
    narrow = {**os.environ, "COLUMNS": "1"}
    assert subprocess.run([*COMMAND, "train", "--help"], env=narrow, capture_output=True, timeout=60).returncode == 0


def test_no_networks_to_grade_on_is_no_option(capsys):
    assert main(["grade", "derivative", "dyl/dyl-1", "diag(s[l]) @ A[l]", "--empty-widths"]) == 2
    assert "--empty-widths" in capsys.readouterr().err


def test_a_folders_name_is_text_that_a_page_can_hold(tmp_path, monkeypatch):
    assert _name(Path(os.fsdecode(b"na\x01me\xff"))) == "na\\x01me\\udcff"
    monkeypatch.chdir(tmp_path)
    assert _name(Path(".")) == tmp_path.name


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a\u2028b", "\u202egnp"])
def test_a_name_of_any_characters_is_said_on_one_line(name, capsys):
    assert main(["verify", name]) == 2
    written = name.encode("unicode_escape").decode()
    said = f"mathdnn: verify {written}: expected a file, got none of that name; check the path.\n"
    assert capsys.readouterr() == ("", said)
    for argv in ([name], ["count", name], ["prove", "gradient", name]):
        assert main(argv) == 2
        assert capsys.readouterr().err[:-1].isprintable()


@pytest.mark.parametrize(
    "argv", [["count", "lenet5"], ["prove", "conv", "a:b", "--shape", "1,7,8"], ["reproduce", "3"]]
)
def test_a_current_folder_that_is_gone_is_one_sentence(argv, tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "mathdnn: the current folder: expected one that exists, got the answer 'No such file or directory'; "
        "go to another.\n"
    )
