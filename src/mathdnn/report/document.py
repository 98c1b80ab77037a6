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

from typing import Any

import msgspec

from mathdnn.errors import InvalidInput, sentence
from mathdnn.verdict import Verdict


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


class Images(_Part, frozen=True, tag="images", tag_field="kind"):
    images: tuple[Tile, ...]
    columns: int = 4


class Table(_Part, frozen=True, tag="table", tag_field="kind"):
    rows: tuple[tuple[bool, ...], ...]
    row_label: str = ""
    column_label: str = ""

    def __post_init__(self) -> None:
        if not self.rows or len({len(row) for row in self.rows}) != 1:
            raise ValueError("rows must be of equal length, at least one")


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


def check_results(results: Any, who: str = "render(results)") -> Results:
    """The document as frozen values. Raises `InvalidInput` where a field is missing or of another type."""
    try:
        return msgspec.convert(results, Results)
    except (msgspec.MsgspecError, RecursionError) as error:
        got = str(error).rstrip(".")
        raise InvalidInput(
            sentence(who, "a document as mathdnn reproduce writes it", got, "use its results.json unchanged")
        ) from None
