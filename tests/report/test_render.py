"""The page: whole, well-formed, self-contained, the same for the same document, and deaf to hostile text."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import pytest
from tests.report.example import document

from mathdnn.errors import InvalidInput
from mathdnn.report import render

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects what a browser would see; raises where a tag closes that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.words += data

    def attributes(self, name: str) -> list[str]:
        return [found[name] or "" for _, found in self.tags if name in found]


@pytest.fixture(scope="module")
def text() -> str:
    return render(document())


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_every_tag_is_closed(page):
    assert page.open == []


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    targets = [link[1:] for link in page.attributes("href") if link.startswith("#")]
    assert set(targets) <= set(ids)
    assert len(targets) > 12


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(text, page):
    assert all(source.startswith("data:image/png;base64,") for source in page.attributes("src"))
    assert all(link.startswith("#") for link in page.attributes("href"))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not re.search(r"@import|url\((?!#)", text)


def test_equal_documents_give_equal_bytes(text):
    assert render(document()) == text


def test_every_image_and_figure_has_words(page):
    assert all(found.get("alt") for tag, found in page.tags if tag == "img")
    assert all(found.get("aria-label") for _, found in page.tags if found.get("role") == "img")


def test_the_page_carries_each_claim(page):
    for claim in document()["claims"]:
        for field in ("title", "statement", "published", "how", "found", "check_again", "status", "id"):
            assert claim[field] in " ".join(page.words.split()), claim["id"]


@pytest.mark.parametrize(
    "words",
    [
        "1 proved",
        "1 undecided.",
        "1 came out otherwise than expected: KL is faster to train.",
        "Otherwise than expected, which was: contradicted.",
        "1 min 15 s",
        "A processor · 2 cores · 8 GiB · avx2",
        "torch 2.13.0",
        "2026-01-02 03:04 UTC",
        "the table is Table I (read from the paper)",
        "bitwise",
        "published, after ten epochs: 98.26",
        "published: 1927",
    ],
)
def test_the_page_says(page, words):
    assert words in " ".join(page.words.split())


def test_every_kind_of_picture_is_drawn(text, page):
    assert sum(tag == "svg" for tag, _ in page.tags) == 3
    assert sum(tag == "img" for tag, _ in page.tags) == 6 + 16
    assert sum(found.get("class") == "kernel" for _, found in page.tags) == 2 + 5  # the counterexample draws five
    assert sum(found.get("class") == "edge" for _, found in page.tags) == 60


def test_a_kernel_is_read_out_by_rows(page):
    assert "w₁ (rows), 3 by 3, by rows: −1 0 0; 1 0 0; 0 0 0" in page.attributes("aria-label")


def test_figures_follow_the_colours_of_the_page(text):
    assert "var(--series-1)" in text
    assert "var(--published)" in text
    assert not re.search(r"#(0[1-9a-f]){3}\b", text)


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=y>&amp;{{ 7 * 7 }}"


def hostile(value):
    """Every text in the document that is free, replaced."""
    fixed = {"kind", "status", "expected", "type", "verdict", "diverging", "created"}
    if isinstance(value, dict):
        return {key: item if key in fixed else hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def test_hostile_text_stays_text(page):
    found = Page(render(hostile(document())))
    assert found.open == []
    assert [tag for tag, _ in found.tags if tag != "span"].count("img") == 22
    assert "script" not in {tag for tag, _ in found.tags}
    assert not [attributes for _, attributes in found.tags if any(name.startswith("on") for name in attributes)]
    assert HOSTILE in found.words


def test_an_introduction_may_be_missing():
    bare = document()
    del bare["problems"], bare["settings"]
    assert "Problem 1" in Page(render(bare)).words


def without(path):
    changed = copy.deepcopy(document())
    *place, last = path
    part = changed
    for key in place:
        part = part[key]
    del part[last]
    return changed


def replaced(path, value):
    changed = without(path)
    *place, last = path
    part = changed
    for key in place:
        part = part[key]
    if isinstance(part, list):
        part.insert(last, value)
    else:
        part[last] = value
    return changed


CURVES = ("claims", 5, "pictures", 0, "data")


@pytest.mark.parametrize(
    ("changed", "got"),
    [
        (without(["claims"]), "an object without the field `claims`"),
        (without(["claims", 0, "verdict"]), "an object without the field `verdict` - at `$.claims[0]`"),
        (replaced(["claims", 1, "seconds"], "fast"), "`str` in place of `float` - at `$.claims[1].seconds`"),
        (
            replaced(["claims", 0, "status"], "proved"),
            "status 'proved' is not the verdict's own, 'refuted' - at `$.claims[0]`",
        ),
        (
            replaced(["claims", 0, "pictures", 0, "kind"], "film"),
            "data of a picture: Invalid value 'film' - at `$.kind` - at `$.claims[0].pictures[0]`",
        ),
        (
            replaced([*CURVES, "x"], [1, 2]),
            "every run of series 'table' must have 2 values, one for each x - at `$.claims[5].pictures[0]`",
        ),
        ([], "`array` in place of `object`"),
    ],
)
def test_a_document_that_cannot_be_drawn_is_refused_in_one_sentence(changed, got):
    with pytest.raises(InvalidInput, match=r"^render\(results\): expected a document as mathdnn reproduce writes") as e:
        render(changed)
    assert got in str(e.value)
    assert str(e.value).endswith("; use its results.json unchanged.")
