"""A results.json made to hurt: one sentence, exit code 2 and no page."""

from __future__ import annotations

import json

import pytest
from tests.report.example import document, picture
from tests.verify.tampering import replaced

from mathdnn.cli import main
from mathdnn.errors import InvalidInput
from mathdnn.report import render

FIRST = ("claims", 0, "pictures", 0)
INFINITE = 1e999


def curves(y, **more):
    series = [{"name": "s", "runs": [y, y]}]
    return picture("curves", "c", **{"x": list(range(len(y))), "series": series, **more})


def bars(number, value=1.0):
    return picture("bars", "c", labels=[str(k) for k in range(number)], values=[value] * number)


def rows(number, **more):
    row = {"name": "a", "low": 1.0, "high": 2.0, "value": 1.5, **more}
    return picture("intervals", "c", rows=[row] * number)


HOSTILE = {
    "infinite seconds": (("claims", 0, "seconds"), INFINITE, "the number inf, which JSON does not have"),
    "infinite setting": (("settings", "more"), [INFINITE], "the number inf, which JSON does not have"),
    "infinite evidence": (
        ("claims", 1, "verdict", "evidence", "low"),
        -INFINITE,
        "the number -inf, which JSON does not",
    ),
    "a number of 400 digits": (("machine", "memory_bytes"), 10**400, "a whole number of more than 64 bits"),
    "a million years": (("claims", 0, "seconds"), 1e14, "1e+14 seconds"),
    "no x": (FIRST, curves([]), "0 points, where 1 to 100,000 can be drawn"),
    "no series": (FIRST, picture("curves", "c", x=[1], series=[]), "0 series, where 1 to 20 can be drawn"),
    "a high curve": (FIRST, curves([1e308, 0.0]), "the number 1e+308, where those up to 1e+100 can be drawn"),
    "a low curve": (FIRST, curves([-1e308, 0.0]), "the number -1e+308, where those up to 1e+100 can be drawn"),
    "a high bar": (FIRST, bars(2, 1e308), "the number 1e+308, where those up to 1e+100 can be drawn"),
    "a high interval": (FIRST, rows(1, raw=[1e308]), "the number 1e+308, where those up to 1e+100 can be drawn"),
    "nothing logarithmic": (
        FIRST,
        curves([1.0, 0.0], logy=True),
        "the number 0 on a logarithmic axis, where those from",
    ),
    "no images": (FIRST, picture("images", "c", images=[]), "0 images, where 1 to 500 can be drawn"),
    "no cells": (FIRST, picture("table", "c", rows=[[]]), "0 cells, where 1 to 100,000 can be drawn"),
    "bars": (FIRST, bars(20_000), "20,000 bars, where 1 to 500 can be drawn"),
    "intervals": (FIRST, rows(20_000), "20,000 intervals, where 1 to 200 can be drawn"),
    "runs": (FIRST, rows(200, raw=[1.0] * 500), "100,800 numbers, where 1 to 20,000 can be drawn"),
    "pictures": (("claims", 0, "pictures"), [bars(500)] * 40, "pictures that take about 153 s to draw, where 120 are"),
    "half a character": (("claims", 0, "title"), "\ud800", "a text with the character U+D800"),
    "half a character as key": (("settings", "\ud800"), 1, "a text with the character U+D800"),
    "a zero in a label": (FIRST, picture("bars", "c", labels=["a\0"], values=[1]), "a text with the character U+0000"),
    "as expected": (
        ("claims", 4, "expected"),
        "refuted",
        "as_expected true where 'refuted' was expected and 'proved' fo",
    ),
    "not as expected": (("claims", 4, "as_expected"), False, "as_expected false where 'proved' was expected and 'prov"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_document_is_refused_in_one_sentence(case, tmp_path, capsys):
    path, value, got = HOSTILE[case]
    text = json.dumps(replaced(document(), path, value)).replace("Infinity", "1e999")
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    assert main(["report", str(tmp_path / "results.json"), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("mathdnn: report ")
    assert f"got {got}" in line or f"data of a picture: {got}" in line
    assert not (tmp_path / "out").exists()


def test_a_deep_document_is_refused_in_one_sentence():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput, match=r"^render\(results\): expected a document as mathdnn reproduce writes it"):
        render(document() | {"settings": {"deep": deep}})


@pytest.mark.parametrize(
    "drawn",
    [curves([1e100, -1e100]), curves([1e-100, 1e100], logy=True), bars(1, 1e100), rows(1, raw=[1e100]), bars(3, 0.0)],
    ids=["curve", "logarithmic", "bar", "interval", "zeros"],
)
def test_what_is_within_the_bounds_is_drawn(drawn):
    assert "<svg" in render(replaced(document(), FIRST, drawn))


def test_an_expectation_may_be_missing():
    assert render(replaced(document(), ("claims", 4, "expected"), ""))
