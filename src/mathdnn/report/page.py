"""One self-contained HTML page from the results document: no network, no script, figures inline."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mathdnn.report.document import (
    Bars,
    ClaimEntry,
    Curves,
    Drawing,
    Images,
    Intervals,
    Picture,
    ProblemEntry,
    Results,
    check_results,
)
from mathdnn.report.pixels import Shown, show
from mathdnn.report.words import (
    alternative,
    counterexample_tiles,
    duration,
    machine_line,
    maths,
    moment,
    verdict_json,
)
from mathdnn.verdict import Status

MARKS = {
    Status.PROVED: "✓",
    Status.SUPPORTED: "≈",
    Status.REFUTED: "✗",
    Status.CONTRADICTED: "≠",
    Status.UNDECIDED: "?",
}


@dataclass(frozen=True)
class Figure:
    """A picture ready for the template."""

    kind: str
    caption: str
    alt: str
    drawing: Drawing
    svg: str = ""
    tiles: tuple[Shown, ...] = ()
    columns: int = 1


@dataclass(frozen=True)
class Card:
    """A claim ready for the template."""

    claim: ClaimEntry
    anchor: str
    figures: tuple[Figure, ...]
    counterexample: Figure | None
    json: str
    seconds: str


@dataclass(frozen=True)
class Section:
    """A problem and its cards."""

    problem: ProblemEntry
    cards: tuple[Card, ...]
    counts: tuple[tuple[str, int], ...]


def render(results: dict[str, Any]) -> str:
    """The page for a results document; equal documents give equal pages. Raises `InvalidInput` for another document."""
    import jinja2

    document = check_results(results)
    folder = importlib.resources.files("mathdnn.report")
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in ("page.html.jinja", "cards.html.jinja")}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["maths"] = maths
    return environment.get_template("page.html.jinja").render(
        results=document,
        sections=_sections(document),
        counts=_counts(document.claims),
        marks={status.value: mark for status, mark in MARKS.items()},
        machine=machine_line(document.machine),
        created=moment(document.created),
        defaults={"problems": "all", "data": "MNIST"},
        seconds=duration(sum(claim.seconds for claim in document.claims)),
        surprises=[claim for claim in document.claims if not claim.as_expected],
        style=(folder / "page.css").read_text(encoding="utf-8"),
    )


def _counts(claims: Sequence[ClaimEntry]) -> tuple[tuple[str, int], ...]:
    """How many claims ended in each status, those that none ended in left out."""
    numbers = {status: sum(claim.verdict.status is status for claim in claims) for status in MARKS}
    return tuple((status.value, number) for status, number in numbers.items() if number)


def _sections(document: Results) -> list[Section]:
    known = {problem.number: problem for problem in document.problems}
    sections = []
    for number in sorted({claim.problem for claim in document.claims}):
        claims = [claim for claim in document.claims if claim.problem == number]
        problem = known.get(number, ProblemEntry(number, f"Problem {number}"))
        cards = tuple(_card(claim, f"c{number}-{place}") for place, claim in enumerate(claims, 1))
        sections.append(Section(problem, cards, _counts(claims)))
    return sections


def _card(claim: ClaimEntry, anchor: str) -> Card:
    figures = tuple(_figure(picture, f"{anchor}-{place}") for place, picture in enumerate(claim.pictures, 1))
    tiles = counterexample_tiles(claim.verdict)
    example = None if tiles is None else _images(tiles, "The counterexample.")
    return Card(claim, anchor, figures, example, verdict_json(claim.verdict), duration(claim.seconds))


def _figure(picture: Picture, prefix: str) -> Figure:
    drawing = picture.drawing
    if isinstance(drawing, Images):
        return _images(drawing, picture.caption)
    alt = alternative(drawing)
    if isinstance(drawing, Curves | Intervals | Bars):
        from mathdnn.report.figures import draw

        return Figure(picture.kind, picture.caption, alt, drawing, svg=draw(drawing, prefix))
    return Figure(picture.kind, picture.caption, alt, drawing)


def _images(drawing: Images, caption: str) -> Figure:
    tiles = tuple(show(drawing))
    kind = "kernels" if all(tile.cells for tile in tiles) else "images"
    return Figure(kind, caption, alternative(drawing), drawing, tiles=tiles, columns=max(1, min(drawing.columns, 12)))
