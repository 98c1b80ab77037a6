"""The results document: what a report is drawn from, checked before anything is drawn.

    mathdnn, created      version and time of the run
    settings, machine, versions    mappings, shown as they are
    problems[]            number, title, introduction; may be missing
    claims[]              problem, id, title, statement, published, how, found, status, expected, as_expected,
                          check_again, seconds, verdict, pictures[]: kind, caption, data

The data of a picture by its kind:

    images     images[]: title, pixels (rows of floats), diverging, light, colour;   columns
    table      rows of booleans, row_label, column_label
    curves     x, xlabel, ylabel, logy, series[]: name, runs (one row of y a run);   published: label, value
    intervals  xlabel, rows[]: name, low, high, value, raw, published
    bars       labels, values, xlabel, highlight, low, high
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from mathdnn.errors import InvalidInput, sentence
from mathdnn.verdict import Verdict

# Bounds of what is drawn: tens of times what a run of all problems draws, and drawn in seconds.
MOST_BARS, MOST_ROWS, MOST_SERIES, MOST_IMAGES, MOST_SECONDS = 500, 200, 20, 500, 120
MOST_POINTS = 100_000  # of one picture
MOST_PIXELS = 1 << 22  # of one picture
LEAST, LARGEST = (
    1e-100,
    1e100,
)  # on a logarithmic axis;  of a number that is drawn: sums and squares of a few stay finite
_OTHER, _MISSING = re.compile("^Expected (`.*?`), got (`.*?`)"), re.compile("^Object missing required field")
_CONTROLS = {*range(32)} - {9, 10, 13} | {0xFFFE, 0xFFFF, *range(0xD800, 0xE000)}  # what no page can hold


def _require_drawn(count: int, most: int, what: str, numbers: Iterable[float] = ()) -> None:
    """Raise `ValueError` unless there is at least one of what is drawn, not too many, with numbers in bounds."""
    if not 1 <= count <= most:
        raise ValueError(f"{count:,} {what}, where 1 to {most:,} can be drawn")
    for value in numbers:
        if not abs(value) <= LARGEST:
            raise ValueError(f"the number {value:g}, where those up to {LARGEST:g} can be drawn")


class _Part(msgspec.Struct, frozen=True):
    pass


class Tile(_Part, frozen=True):
    """One small image: `pixels` by rows; `diverging` values have a meaning on both sides of zero.

    `light` values are what a screen shows: 0 is black and 1 white. With `colour` three values in a row, red, green and
    blue, make one pixel.
    """

    title: str
    pixels: tuple[tuple[float, ...], ...]
    diverging: bool = False
    light: bool = False
    colour: bool = False

    def __post_init__(self) -> None:
        if self.colour and self.pixels and len(self.pixels[0]) % 3:
            raise ValueError("pixels in colour must be rows of red, green, blue, red, ...")
        if not self.pixels or not self.pixels[0] or len({len(row) for row in self.pixels}) != 1:
            raise ValueError("pixels must be rows of equal length, at least one pixel")
        _require_drawn(
            len(self.pixels) * len(self.pixels[0]), MOST_PIXELS, "pixels", (v for r in self.pixels for v in r)
        )


class Images(_Part, frozen=True, tag="images", tag_field="kind"):
    images: tuple[Tile, ...]
    columns: int = 4

    def __post_init__(self) -> None:
        _require_drawn(len(self.images), MOST_IMAGES, "images")
        _require_drawn(sum(len(tile.pixels) * len(tile.pixels[0]) for tile in self.images), MOST_PIXELS, "pixels")


class Table(_Part, frozen=True, tag="table", tag_field="kind"):
    rows: tuple[tuple[bool, ...], ...]
    row_label: str = ""
    column_label: str = ""

    def __post_init__(self) -> None:
        if not self.rows or len({len(row) for row in self.rows}) != 1:
            raise ValueError("rows must be of equal length, at least one")
        _require_drawn(len(self.rows) * len(self.rows[0]), MOST_POINTS, "cells")


class Series(_Part, frozen=True):
    name: str
    runs: tuple[tuple[float, ...], ...]


class Mark(_Part, frozen=True):
    label: str
    value: float


class Curves(_Part, frozen=True, tag="curves", tag_field="kind"):
    x: tuple[float, ...]
    series: tuple[Series, ...]
    xlabel: str = ""
    ylabel: str = ""
    logy: bool = False
    published: Mark | None = None

    def __post_init__(self) -> None:
        for series in self.series:
            if not series.runs or any(len(run) != len(self.x) for run in series.runs):
                raise ValueError(f"every run of series {series.name!r} must have {len(self.x)} values, one for each x")
        runs = [run for series in self.series for run in series.runs]
        _require_drawn(len(self.series), MOST_SERIES, "series")
        _require_drawn(len(self.x) * len(runs), MOST_POINTS, "points", (v for run in (self.x, *runs) for v in run))
        if self.published is not None:
            _require_drawn(1, 1, "published value", [self.published.value])
        least = min(v for run in runs for v in run)
        if self.logy and not max(least, LEAST) == least:
            raise ValueError(f"the number {least:g} on a logarithmic axis, where those from {LEAST:g} on can be drawn")


class Row(_Part, frozen=True):
    name: str
    low: float
    high: float
    value: float
    raw: tuple[float, ...] = ()
    published: float | None = None


class Intervals(_Part, frozen=True, tag="intervals", tag_field="kind"):
    rows: tuple[Row, ...]
    xlabel: str = ""

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError("rows must hold at least one interval")
        _require_drawn(len(self.rows), MOST_ROWS, "intervals")
        numbers = [v for r in self.rows for v in (r.low, r.high, r.value, r.published or 0.0, *r.raw)]
        _require_drawn(len(numbers), MOST_POINTS // 5, "numbers", numbers)


class Bars(_Part, frozen=True, tag="bars", tag_field="kind"):
    labels: tuple[str, ...]
    values: tuple[float, ...]
    xlabel: str = ""
    highlight: tuple[str, ...] = ()
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        lengths = {len(part) for part in (self.labels, self.values, self.low, self.high) if part is not None}
        if len(lengths) != 1 or 0 in lengths or (self.low is None) != (self.high is None):
            raise ValueError("labels, values, low and high must be of equal length, at least one")
        numbers = (*self.values, *(self.low or ()), *(self.high or ()))
        _require_drawn(len(self.labels), MOST_BARS, "bars", numbers)


Drawing = Images | Table | Curves | Intervals | Bars


class Picture(_Part, frozen=True):
    kind: str
    caption: str
    data: dict[str, Any]

    @property
    def drawing(self) -> Drawing:
        """The data as the kind's own struct."""
        drawing: Drawing = msgspec.convert({**self.data, "kind": self.kind}, Drawing)
        return drawing

    def __post_init__(self) -> None:
        try:  # drawn once here, so that the error names the place in the document
            _ = self.drawing
        except msgspec.MsgspecError as error:
            raise ValueError(f"data of a picture: {error}") from None


class ClaimEntry(_Part, frozen=True):
    problem: int
    id: str
    title: str
    statement: str
    published: str
    how: str
    found: str
    status: str
    expected: str
    as_expected: bool
    check_again: str
    seconds: float
    verdict: Verdict
    pictures: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        if self.status != self.verdict.status.value:
            raise ValueError(f"status {self.status!r:.40} is not the verdict's own, {self.verdict.status.value!r}")
        if self.as_expected is not (self.expected in ("", self.status)):
            said = "true" if self.as_expected else "false"
            raise ValueError(f"as_expected {said} where {self.expected!r:.40} was expected and {self.status!r} found")
        if not 0 <= self.seconds <= 1e9:
            raise ValueError(f"{self.seconds:g} seconds")


class ProblemEntry(_Part, frozen=True):
    number: int
    title: str
    introduction: str = ""


class Results(_Part, frozen=True):
    """The whole document, checked."""

    mathdnn: str
    created: str
    claims: tuple[ClaimEntry, ...]
    machine: dict[str, Any]
    versions: dict[str, str]
    settings: dict[str, Any] = {}
    problems: tuple[ProblemEntry, ...] = ()

    def __post_init__(self) -> None:
        seconds = sum(_seconds(picture.drawing) for claim in self.claims for picture in claim.pictures)
        if seconds > MOST_SECONDS:
            raise ValueError(f"pictures that take about {seconds:,.0f} s to draw, where {MOST_SECONDS} are allowed")


def _seconds(drawing: Drawing) -> float:
    """About how long a picture takes to draw, measured on two cores at 2.5 GHz."""
    if isinstance(drawing, Bars):
        return 0.3 + 0.007 * len(drawing.labels)
    if isinstance(drawing, Intervals):
        return 0.3 + 0.02 * len(drawing.rows) + 0.0002 * sum(len(row.raw) for row in drawing.rows)
    if isinstance(drawing, Curves):
        return 0.3 + 1e-5 * len(drawing.x) * sum(len(series.runs) for series in drawing.series)
    if isinstance(drawing, Images):
        return sum(0.002 + 1e-6 * len(tile.pixels) * len(tile.pixels[0]) for tile in drawing.images)
    return 1e-5 * len(drawing.rows) * len(drawing.rows[0])


def check_results(results: Any, who: str = "render(results)") -> Results:
    """The document as frozen values. Raises `InvalidInput` where a field is missing or of another type."""
    try:
        _require_text_and_numbers(results)
        return msgspec.convert(results, Results)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        got = _MISSING.sub("an object without the field", _OTHER.sub(r"\2 in place of \1", str(error).rstrip(".")))
        raise InvalidInput(
            sentence(who, "a document as mathdnn reproduce writes it", got, "use its results.json unchanged")
        ) from None


def _require_text_and_numbers(value: Any) -> None:
    """Raise `ValueError` for a number that is not finite or not of 64 bits, and for text that no page can hold."""
    if isinstance(value, str):
        if not value.isprintable() and (wrong := _CONTROLS & set(map(ord, value))):
            raise ValueError(f"a text with the character U+{min(wrong):04X}")
    elif isinstance(value, dict):
        for key, item in value.items():
            _require_text_and_numbers(key)
            _require_text_and_numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_text_and_numbers(item)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"the number {value}, which JSON does not have")
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("a whole number of more than 64 bits")
