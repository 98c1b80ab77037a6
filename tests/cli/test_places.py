"""Where results go: a name that is none, or a place that takes no file, is told before any work; no answer is lost."""

from __future__ import annotations

import errno
import json
import os

import pytest
from tests.report.example import document

from mathdnn.cli import main
from mathdnn.verdict import Status, Verdict

CONV = ["prove", "conv", "odd:moved", "--shape", "1,4,4"]
GRADE = ["grade", "conv", "--target", "identity", "--weight", "[[1]]"]
WORK = {
    "train": ["train", "lenet5", "--out"],
    "train data": ["train", "lenet5", "--data"],
    "reproduce": ["reproduce", "3", "--out"],
    "reproduce data": ["reproduce", "3", "--data"],
    "report": ["report", "results.json", "--out"],
    "bench": ["bench", "sgd", "--quick", "--out"],
    "bench picture": ["bench", "sgd", "--quick", "--picture"],
    "prove conv": [*CONV, "--save"],
    "prove monotone": ["prove", "monotone", "torch.tanh", "--save"],
    "prove monotone cache": ["prove", "monotone", "torch.tanh", "--cache"],
    "prove gradient": ["prove", "gradient", "2-2-1", "--save"],
    "prove gradient picture": ["prove", "gradient", "2-2-1", "--picture"],
    "grade conv": [*GRADE, "--save"],
    "grade count": ["grade", "count", "1", "--of", "lenet5", "--save"],
    "grade derivative": ["grade", "derivative", "dyL/dbL", "I", "--save"],
}
READ = {
    "verify": (["verify", ""], "FILE"),
    "report": (["report", ""], "RESULTS"),
    "predict a run": (["predict", "", "digit.png"], "RUN"),
    "predict an image": (["predict", "run", "digit.png", ""], "IMAGE"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current directory: empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(argv, capsys):
    """What is said of misuse: one sentence, nothing on standard output, no file that was not there."""
    before = sorted(os.listdir())
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), sorted(os.listdir())) == ("", 1, before)
    return err


def named(argv):
    """The command's own name, of two words in a group."""
    return " ".join(argv[: 2 if argv[0] in ("prove", "grade") else 1])


@pytest.mark.parametrize("command", WORK)
def test_an_empty_name_is_not_the_current_folder(command, capsys):
    argv = WORK[command]
    said = f'mathdnn: Invalid value for {argv[-1]}: unable to convert "" into Path. See mathdnn {named(argv)} --help.\n'
    assert refused([*argv, ""], capsys) == said


@pytest.mark.parametrize("case", READ)
def test_an_empty_name_is_no_file_to_read(case, capsys):
    argv, name = READ[case]
    said = f'mathdnn: Invalid value for {name}: unable to convert "" into Path. See mathdnn {named(argv)} --help.\n'
    assert refused(argv, capsys) == said


SAVING = [name for name, argv in WORK.items() if argv[-1] in ("--save", "--picture") or name == "bench"]


@pytest.mark.parametrize("command", SAVING)
def test_a_folder_that_takes_no_file_is_told_before_any_work(command, capsys):
    """In /proc nobody can make a file, though root has the right to write there."""
    argv = [*WORK[command], "/proc/x.json"]
    who = " ".join(argv[: 1 if argv[0] == "bench" else 2])
    assert refused(argv, capsys) == (
        f"mathdnn: {who} {argv[-2]} /proc/x.json: expected a file in a folder that may be written, "
        "got the answer 'No such file or directory'; name another file.\n"
    )


def test_a_cache_that_could_keep_nothing_is_told_before_the_scan(capsys):
    assert refused([*WORK["prove monotone cache"], "/proc/x/y"], capsys) == (
        "mathdnn: prove monotone --cache /proc/x/y: expected a folder, or a place for one, "
        "got the answer 'No such file or directory'; name another folder.\n"
    )


@pytest.mark.parametrize("name", ["index.html", "results.json"])
def test_a_folder_in_the_place_of_a_result_is_told_before_any_claim_is_decided(name, folder, capsys):
    (folder / "out" / name).mkdir(parents=True)
    assert refused(["reproduce", "3", "--out", "out"], capsys) == (
        "mathdnn: reproduce --out out: expected a folder for files of the names index.html and results.json, "
        f"got something else of the name {name}; choose a folder that may be written.\n"
    )
    assert os.listdir("out") == [name]


def test_a_page_that_cannot_be_replaced_leaves_the_results_as_they_were(folder, capsys):
    assert main(["reproduce", "3", "--out", "first"]) == 0
    (folder / "out" / "index.html").mkdir(parents=True)
    (folder / "out" / "results.json").write_text("mine")
    capsys.readouterr()
    assert "of the name index.html" in refused(["report", "first/results.json", "--out", "out"], capsys)
    assert (folder / "out" / "results.json").read_text() == "mine"


@pytest.mark.parametrize("option", ["--weight", "--bias"])
def test_a_verdict_never_takes_the_place_of_what_was_handed_in(option, folder, capsys):
    (folder / "mine.json").write_text("[[1]]")
    other = "--bias" if option == "--weight" else "--weight"
    argv = ["grade", "conv", "--target", "identity", option, "mine.json", other, "[1]", "--save", "./mine.json"]
    said = f"expected another file than {option}, got mine.json; give each a name of its own."
    assert refused(argv, capsys) == f"mathdnn: grade conv --save: {said}\n"
    assert (folder / "mine.json").read_text() == "[[1]]"


def test_links_that_lead_nowhere_keep_no_traceback(folder, capsys):
    (folder / "loop").symlink_to("loop")
    assert "got a file; name another folder" in refused([*WORK["prove monotone cache"], "loop"], capsys)
    assert main(["prove", "gradient", "2-2-1", "--save", "kept.json", "--picture", "loop"]) == 0
    assert (folder / "loop").read_text().startswith("<?xml")


def test_a_failure_leaves_no_empty_folders_behind(capsys):
    assert "expected numbers from 1 to 7" in refused(["reproduce", "8", "--out", "a/b/c"], capsys)


def test_a_page_that_is_interrupted_leaves_no_empty_folder(folder, monkeypatch):
    (folder / "results.json").write_text(json.dumps(document()))

    def stop(document, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("mathdnn.report.write_report", stop, raising=False)
    assert main(["report", "results.json", "--out", "new/page"]) == 130
    assert os.listdir() == ["results.json"]


def test_completion_that_finds_no_place_is_one_sentence(folder, monkeypatch, capsys):
    (folder / "taken").write_text("")
    assert main(["--install-completion", "--shell", "bash", "--output", "taken/file"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(
        "mathdnn: --install-completion: expected files and folders that can be used, got the answer '"
    )


def test_runs_without_number_are_refused_before_the_first(capsys):
    assert refused(["reproduce", "7", "--seeds", "99999999999999999999"], capsys) == (
        "mathdnn: reproduce --seeds: expected at most 1,000 runs, got 99,999,999,999,999,999,999; "
        "ask for fewer: a thousand take hours.\n"
    )


@pytest.fixture
def full(monkeypatch):
    """No room on the disk for any file."""

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mathdnn.data.files.os.fsync", fsync)


NO_ROOM = (
    "expected a place to write, got the answer 'No space left on device'; "
    "choose a folder that exists, may be written and has room.\n"
)


@pytest.mark.parametrize("json_too", [False, True])
@pytest.mark.parametrize("argv", [["prove", "gradient", "2-2-1"], GRADE], ids=["prove", "grade"])
def test_an_answer_that_finds_the_disk_full_is_said_all_the_same(argv, json_too, full, capsys):
    assert main([*argv, "--save", "kept.json", *(["--json"] if json_too else [])]) == 2
    out, err = capsys.readouterr()
    assert err == f"mathdnn: {' '.join(argv[:2])} --save kept.json: {NO_ROOM}"
    assert os.listdir() == []
    assert Verdict.from_json(out).status is Status.PROVED if json_too else out.startswith(("PROVED", "RIGHT"))
    assert "saved" not in out


def test_a_picture_or_a_page_that_finds_the_disk_full_is_named_by_its_option(folder, full, capsys):
    (folder / "results.json").write_text(json.dumps(document()))
    assert main(["report", "results.json", "--out", "out"]) == 2
    assert capsys.readouterr() == ("", f"mathdnn: report --out out/results.json: {NO_ROOM}")
    assert main(["prove", "gradient", "2-2-1", "--picture", "flow.svg"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("PROVED")
    assert err == f"mathdnn: prove gradient --picture flow.svg: {NO_ROOM}"
    assert not (folder / "flow.svg").exists()


def test_a_file_that_is_no_document_is_told_in_words_of_one_sentence(folder, capsys):
    (folder / "results.json").write_text("[1,")
    assert refused(["report", "results.json"], capsys) == (
        "mathdnn: report results.json: expected one JSON document, got something else (Expecting value: line 1 "
        "column 4 (char 3)); name a results.json of mathdnn reproduce.\n"
    )


def test_one_is_no_plural_on_the_page(folder, capsys):
    results = document()
    results["machine"]["cores"] = 1
    (folder / "results.json").write_text(json.dumps(results))
    assert main(["report", "results.json", "--out", "out"]) == 0
    assert " · 1 core · " in (folder / "out" / "index.html").read_text()


def test_an_empty_operation_is_named_without_a_gap(capsys):
    assert refused(["prove", "conv", "", "--shape", "1,7,8"], capsys).startswith(
        "mathdnn: prove conv: expected MODULE:"
    )
    assert refused(["prove", "gradient", ""], capsys).startswith("mathdnn: prove gradient: expected whole numbers")
