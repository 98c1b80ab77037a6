"""Curves, intervals and bars as SVG: the same bytes for the same data, in colours that follow the page.

matplotlib draws with stand-in colours, and these become the page's own CSS variables, so that a figure fits a light
page, a dark one and paper. Text stays text.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.report.document import Bars, Curves, Intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE, PUBLISHED = "#010203", "#040506", "#070809", "#0a0b0c"
SERIES = ("#110102", "#110203", "#110304", "#110405")
VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", PUBLISHED: "--published"} | {
    colour: f"--series-{place}" for place, colour in enumerate(SERIES, 1)
}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
WIDTH = 4.7  # inches of 72 units: 338 units, which a telephone shows nearly one to one
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mathdnn",
    "font.size": 10.5,
    "font.family": "DejaVu Sans",  # matplotlib's own, so that every machine lays out alike
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a dollar is a dollar
    "axes.unicode_minus": True,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
}


def draw(drawing: Curves | Intervals | Bars, prefix: str) -> str:
    """The drawing as one `<svg>` element; `prefix` keeps its ids apart from another's on the same page."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label without room or without a glyph is drawn as well as it can be
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(WIDTH, _height(drawing)), layout="constrained")
        axes = figure.add_subplot()
        if isinstance(drawing, Curves):
            _curves(axes, drawing)
        elif isinstance(drawing, Intervals):
            _intervals(axes, drawing)
        else:
            _bars(axes, drawing)
        return _svg(figure, prefix)


def _height(drawing: Curves | Intervals | Bars) -> float:
    if isinstance(drawing, Curves):
        return 3.0
    if isinstance(drawing, Intervals):
        return 0.75 + 0.55 * len(drawing.rows)
    return 0.65 + 0.24 * len(drawing.labels)


def _curves(axes: Axes, drawing: Curves) -> None:
    """The mean of the runs as a line, from the lowest to the highest as a band."""
    for place, series in enumerate(drawing.series):
        colour, runs = SERIES[place % len(SERIES)], np.array(series.runs)
        if len(runs) > 1:
            axes.fill_between(drawing.x, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.18, linewidth=0)
        style = ("-", (0, (6, 2)), (0, (2, 1.5)), "-.")[place % 4]
        axes.plot(drawing.x, runs.mean(axis=0), color=colour, linewidth=1.9, linestyle=style)
    if drawing.published is not None:
        axes.axhline(drawing.published.value, color=PUBLISHED, linewidth=1.2, linestyle=(0, (1.5, 2.5)))
    if drawing.logy:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _place: power_of_ten(value))
    if len(drawing.x) <= 12:
        axes.set_xticks(drawing.x)
    axes.grid(axis="y", linewidth=0.6)
    axes.margins(x=0.02)
    axes.set_xlabel(_cut(drawing.xlabel, 50))
    axes.set_ylabel(_cut(drawing.ylabel, 34))


def _intervals(axes: Axes, drawing: Intervals) -> None:
    """A whisker from low to high, the value a dot on it, the runs fine ticks below, the published figure a diamond."""
    for place, row in enumerate(drawing.rows):
        y = -float(place)
        axes.plot([row.low, row.high], [y, y], color=SERIES[0], linewidth=2.2, solid_capstyle="round")
        axes.vlines([row.low, row.high], y - 0.11, y + 0.11, color=SERIES[0], linewidth=1.6)
        axes.plot([row.value], [y], "o", color=SERIES[0], markersize=7)
        if row.raw:
            axes.vlines(row.raw, y - 0.34, y - 0.2, color=MUTED, linewidth=0.8, alpha=0.75)
        if row.published is not None:
            axes.plot([row.published], [y + 0.22], "D", color=PUBLISHED, markersize=6.5)
            axes.vlines([row.published], y - 0.16, y + 0.22, color=PUBLISHED, linewidth=1.4)
    axes.set_yticks([-float(place) for place in range(len(drawing.rows))], [_cut(row.name) for row in drawing.rows])
    axes.set_ylim(-len(drawing.rows) + 0.45, 0.5)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.07)
    axes.set_xlabel(_cut(drawing.xlabel, 50))
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)


def _bars(axes: Axes, drawing: Bars) -> None:
    """Horizontal bars from the first at the top, the highlighted ones in the colour of published figures."""
    y = [-float(place) for place in range(len(drawing.labels))]
    colours = [PUBLISHED if label in drawing.highlight else SERIES[0] for label in drawing.labels]
    axes.barh(y, drawing.values, height=0.62, color=colours, alpha=0.8)
    if drawing.low is not None and drawing.high is not None:
        axes.hlines(y, drawing.low, drawing.high, color=INK, linewidth=1.1)
    axes.set_yticks(y, [_cut(label) for label in drawing.labels])
    axes.set_ylim(-len(y) + 0.4, 0.6)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(_cut(drawing.xlabel, 50))


def power_of_ten(value: float) -> str:
    """A tick of a logarithmic axis: 10⁻⁸, and 1 or 0.1 as they are."""
    exponent = math.floor(math.log10(value) + 1e-9)
    if not math.isclose(value, 10.0**exponent):
        return f"{value:g}"
    return f"{value:g}" if -2 <= exponent <= 3 else "10" + str(exponent).translate(SUPERSCRIPT)


def _cut(text: str, length: int = 22) -> str:
    """A label that leaves room for the figure; the words beside it carry the whole."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _svg(figure: Figure, prefix: str) -> str:
    """The `<svg>` element alone, without the file's prologue, metadata, sizes in points and comments."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true" focusable="false">', text, count=1
    )
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = text.replace("url(#", f"url(#{prefix}-").replace('xlink:href="#', f'href="#{prefix}-')
    text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text.strip()
