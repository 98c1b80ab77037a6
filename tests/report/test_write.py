"""The page and the results on disk: whole or not at all."""

from __future__ import annotations

import json
import os

import pytest
from tests.report.example import document

from mathdnn.errors import DataError, InvalidInput, OutputError
from mathdnn.report import prepare_output, read_results, render, write_report


def test_both_files_are_written_and_read_back(tmp_path):
    page = write_report(document(), tmp_path / "deep" / "folder")
    assert page == tmp_path / "deep" / "folder" / "index.html"
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html", "results.json"]
    assert page.read_text(encoding="utf-8") == render(document())
    assert read_results(page.with_name("results.json")) == json.loads(json.dumps(document()))


def test_a_document_that_cannot_be_drawn_leaves_the_old_page(tmp_path):
    write_report(document(), tmp_path)
    before = (tmp_path / "index.html").read_bytes()
    with pytest.raises(InvalidInput, match="without the field `mathdnn`"):
        write_report({}, tmp_path)
    assert (tmp_path / "index.html").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    write_report(document(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OutputError, match=r"^write_report\(.*results\.json\): expected a place to write, got .*No space"
    ):
        write_report(document() | {"created": "later"}, tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("mine")
    path = tmp_path / "taken"
    sentence = (
        f"prepare_output(folder={path}): expected a folder, got something that is not a folder; "
        "choose a folder that may be written."
    )
    with pytest.raises(OutputError, match="expected a folder") as error:
        prepare_output(path)
    assert str(error.value) == sentence
    assert path.read_text() == "mine"


def test_an_output_below_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OutputError, match="expected a folder that may be written, got the answer 'Not a directory'"):
        prepare_output(tmp_path / "taken" / "below")


def test_preparing_leaves_no_trace(tmp_path):
    assert prepare_output(tmp_path / "new") == tmp_path / "new"
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\x80\x81", "decode"),
        (b'{"mathdnn": NaN}', "the number NaN, which JSON does not have"),
        (b"[" * 100_000, "recursion"),
        (b'{"mathdnn": "1", "mathdnn": "2"}', "the key 'mathdnn' twice"),
        (b"{}", "without the field `mathdnn`"),
    ],
    ids=["empty", "cut", "not text", "nan", "deep", "twice", "another document"],
)
def test_results_that_are_none_are_refused(tmp_path, content, got):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=got):
        read_results(path)


def test_results_that_are_missing_are_refused(tmp_path):
    with pytest.raises(DataError, match="expected a file, got none of that name; check the path"):
        read_results(tmp_path / "results.json")
