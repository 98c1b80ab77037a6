"""`mathdnn reproduce` with small claims of its own: what is printed, what is written, and what a failure leaves."""

from __future__ import annotations

import importlib
import json

import pytest

from mathdnn.cli import main
from mathdnn.errors import Diverged
from mathdnn.homework import Claim, Finding
from mathdnn.report import render
from mathdnn.verdict import Certificate, Counterexample, Status, proved, refuted


def right(bench):
    bench.progress("half way", 0.5)
    return Finding("equal", proved("1 + 1 = 2", Certificate("sum", "added")))


def wrong(bench):
    return Finding(f"differs, {bench.seeds} seeds", refuted("1 + 1 = 3", Counterexample("1 + 1 is 2", [1, 1], 3, 2)))


def stop(bench):
    raise KeyboardInterrupt


def diverge(bench):
    raise Diverged("train(...): stopped.")


def claim(number, slug, decide, expected):
    return Claim(number, f"{number}.{slug}", slug, f"{slug}.", "as is", "by adding", expected, decide)


@pytest.fixture
def claims(monkeypatch):
    module = importlib.import_module("mathdnn.homework.reproduce")

    def use(*more):
        some = (claim(1, "right", right, Status.PROVED), claim(2, "wrong", wrong, Status.PROVED), *more)
        monkeypatch.setattr(module, "CLAIMS", some)

    use()
    return use


def test_all_decided_is_zero_though_one_is_refuted(claims, tmp_path, capsys):
    assert main(["reproduce", "--out", str(tmp_path), "--seeds", "4"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert lines[0] == ["claim", "verdict", "found"]
    assert lines[2] == ["1.right", "proved", "equal"]
    assert lines[3] == ["2.wrong", "refuted", "(expected:", "proved)", "differs,", "4", "seeds"]
    assert out.splitlines()[-1] == f"2 claims decided, 1 otherwise than expected. The page: {tmp_path / 'index.html'}"
    assert [line.split(" (")[0].split() for line in err.splitlines()] == [["proved", "1.right"], ["refuted", "2.wrong"]]
    assert "\x1b" not in out + err


def test_json_is_the_document_that_is_written(claims, tmp_path, capsys):
    assert main(["reproduce", "2", "--out", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    results = json.loads(out)
    assert results == json.loads((tmp_path / "results.json").read_text())
    assert render(results) == (tmp_path / "index.html").read_text()
    assert [entry["id"] for entry in results["claims"]] == ["2.wrong"]
    assert results["settings"] == {"problems": [2], "seeds": 3, "data": None}


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["8"], "reproduce: expected numbers from 1 to 7, got 8; name problems of the homework."),
        (
            ["--seeds", "1"],
            "reproduce --seeds: expected at least 2 runs, got 1; ask for 2 or more, an interval needs a spread.",
        ),
    ],
)
def test_misuse_decides_nothing(claims, argv, sentence, tmp_path, capsys):
    assert main(["reproduce", *argv, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr() == ("", f"mathdnn: {sentence}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("decide", "code", "said"), [(stop, 130, "interrupted"), (diverge, 2, "train(...): stopped.")])
def test_a_run_that_is_stopped_writes_nothing(claims, decide, code, said, tmp_path, capsys):
    claims(claim(3, "last", decide, Status.PROVED))
    assert main(["reproduce", "--out", str(tmp_path)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"mathdnn: {said}"
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_empty_folder_behind(claims, tmp_path, capsys):
    assert main(["reproduce", "8", "--out", str(tmp_path / "new")]) == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").mkdir()
    assert main(["reproduce", "8", "--out", str(tmp_path / "old")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
