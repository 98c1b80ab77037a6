"""What a figure or a verdict says, in words: for eyes that skip pictures, and for those that cannot see them."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

from mathdnn.errors import InvalidInput
from mathdnn.report.document import Bars, Curves, Drawing, Images, Intervals, Table, Tile
from mathdnn.report.pixels import CELLS
from mathdnn.verdict import Counterexample, Plain, Verdict, unpack_array

if TYPE_CHECKING:
    from markupsafe import Markup

SHOWN_JSON = 20_000  # characters of a verdict's JSON on the page; results.json holds all of it


def alternative(drawing: Drawing) -> str:
    """The drawing in a few sentences."""
    if isinstance(drawing, Curves):
        ends = [f"{series.name} ends at {_range([run[-1] for run in series.runs])}" for series in drawing.series]
        mark = [] if drawing.published is None else [f"{drawing.published.label}: {drawing.published.value:g}"]
        return f"{drawing.ylabel} by {drawing.xlabel}. " + "; ".join([*ends, *mark]) + "."
    if isinstance(drawing, Intervals):
        return f"{drawing.xlabel}. " + " ".join(
            f"{row.name}: {row.value:.4g}, from {row.low:.4g} to {row.high:.4g}"
            + ("." if row.published is None else f"; published {row.published:g}.")
            for row in drawing.rows
        )
    if isinstance(drawing, Bars):
        pairs = zip(drawing.labels, drawing.values, strict=True)
        return f"{drawing.xlabel}. " + ", ".join(f"{label}: {value:.4g}" for label, value in pairs) + "."
    if isinstance(drawing, Table):
        edges = sum(map(sum, drawing.rows))
        return f"{len(drawing.rows)} by {len(drawing.rows[0])} table with {_counted(edges, 'connection')}."
    return f"{_counted(len(drawing.images), 'image')}."


def _counted(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def counterexample_tiles(verdict: Verdict) -> Images | None:
    """The counterexample's arrays as images, where it has any that are small enough to read."""
    if not isinstance(verdict.evidence, Counterexample):
        return None
    tiles: list[Tile] = []
    for name, value in (
        ("input", verdict.evidence.input),
        ("claimed", verdict.evidence.claimed),
        ("found", verdict.evidence.found),
    ):
        tiles += _tiles(name, value)
    return Images(tuple(tiles), columns=4) if 0 < len(tiles) <= 9 else None


def verdict_json(verdict: Verdict) -> str:
    """The verdict as JSON, cut where it is long."""
    text = verdict.to_json()
    if len(text) <= SHOWN_JSON:
        return text
    return f"{text[:SHOWN_JSON]}\n... {len(text) - SHOWN_JSON:,} more characters in results.json"


def maths(text: object) -> Markup:
    """Text for the page, where y_l, A_{l-1} and s^2 become letters with an index or a power; 2-3-1 and 3.6 % stay on a
    line."""
    from markupsafe import Markup, escape

    html = re.sub(r"(?<=\w)_(?:\{([^{}<>]{1,12})\}|([A-Za-z0-9])(?!\w))", r"<sub>\1\2</sub>", str(escape(str(text))))
    html = re.sub(r"(?<=\d) (?=(?:%|ms|s|min)(?![\w^]))", "\N{NO-BREAK SPACE}", html)
    html = re.sub(r"(?<![\w-])\d{1,5}(?:-\d{1,5}){2,7}(?![\w-])", r'<span class="nowrap">\g<0></span>', html)
    return Markup(re.sub(r"(?<=[\w)>])\^(?:\{([^{}<>]{1,12})\}|(-?(?:\d+|[A-Za-z](?!\w))))", r"<sup>\1\2</sup>", html))


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds >= 59.95:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60} s"
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.001 else "under 1 ms"


def moment(created: str) -> str:
    """The time of a run, to the minute, where it is one; else the text as it is."""
    try:
        time = datetime.datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{time:%Y-%m-%d %H:%M} {time.tzname() or ''}".strip()


def machine_line(machine: dict[str, Any]) -> str:
    """The machine in one line: processor, cores, memory, vector instructions, operating system."""
    memory, vectors = machine.get("memory_bytes"), machine.get("instruction_set")
    parts = [
        machine.get("processor"),
        _counted(machine["cores"], "core") if machine.get("cores") else None,
        f"{memory / 2**30:.0f} GiB" if isinstance(memory, int | float) and memory else None,
        ", ".join(map(str, vectors)) if isinstance(vectors, list) else vectors,
        machine.get("os"),
    ]
    return " · ".join(str(part) for part in parts if part)


def _tiles(name: str, value: Plain) -> list[Tile]:
    if not isinstance(value, dict) or not {"dtype", "shape", "bits"} <= value.keys():
        return []
    try:
        array = unpack_array(value).astype("float64")
    except InvalidInput:
        return []
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    planes = [array] if array.ndim == 2 else list(array) if array.ndim == 3 else []
    if not planes or not array.size or max(planes[0].shape) > 4 * CELLS or not bool((abs(array) < float("inf")).all()):
        return []
    titles = [name] if len(planes) == 1 else [f"{name}, map {place}" for place in range(1, len(planes) + 1)]
    return [
        Tile(title, tuple(map(tuple, plane.tolist())), diverging=True)
        for title, plane in zip(titles, planes, strict=True)
    ]


def _range(values: list[float]) -> str:
    return f"{values[0]:.4g}" if len(values) == 1 else f"{min(values):.4g} to {max(values):.4g}"
