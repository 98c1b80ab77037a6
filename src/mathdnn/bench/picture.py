"""The roofline: where each arm lies below what the machine can do. Drawn from the document alone, the same bytes again.

horizontal   I, operations a byte of memory that the work cannot do without
vertical     operations a second      roofs   min(peak, I bandwidth) of one core and of all used
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from mathdnn.bench.convolution import PEAK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "mathdnn", "font.family": "DejaVu Sans", "font.size": 9}
COLOURS = ("#1b6ca8", "#c0562b", "#3f8f4f", "#7b5aa6", "#8a6d1b", "#b03060", "#4a4a4a")


def roofline(document: dict[str, Any]) -> str:
    """One SVG with a point for each arm that names its operations and bytes, numbered, and a legend of the numbers."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(9.5, 5.2), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="operations a second")
        _points(axes, document)
        _roofs(axes, document["limits"])
        axes.grid(which="major", linewidth=0.4)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _points(axes: Axes, document: dict[str, Any]) -> None:
    drawn: list[tuple[float, float]] = []
    for colour, work in zip(COLOURS * 2, document["works"], strict=False):
        for name, arm in work.get("arms", {}).items():
            # the grid alone would fill the picture, and the peak is the roof itself
            if "intensity" not in arm or work["name"] == "grid" or name == PEAK:
                continue
            at, share = (arm["intensity"], arm["operations_per_second"]), arm["share_of_roof"]
            words = f"{len(drawn) + 1}  {work['name']}: {name}, {share:.0%} of the roof"
            axes.plot(*at, "o", color=colour, markersize=5, label=words)
            beside = sum(_near(at, other) for other in drawn)  # numbers of points that lie together stand in a row
            place = (4 + 13 * beside, 3)
            axes.annotate(str(len(drawn) + 1), at, xytext=place, textcoords="offset points", fontsize=8, color=colour)
            drawn.append(at)


def _near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Within a factor of 1.5 in both directions: closer than the height of a number."""
    return all(abs(math.log(a / b)) < math.log(1.5) for a, b in zip(one, other, strict=True))


def _roofs(axes: Axes, limits: dict[str, Any]) -> None:
    low, high = axes.get_xlim() if axes.lines else (0.1, 1000.0)
    for (cores, peak), style in zip(limits["operations_per_second"].items(), ("-", "--"), strict=False):
        top, wide = peak["best"], limits["bytes_per_second"][cores]["best"]
        knee = top / wide
        x = sorted({max(1e-2, min(low, knee / 10)), knee, max(high, knee * 10)})
        words = f"{cores} core{'s' if cores != '1' else ''}: {top / 1e9:.0f} G/s, {wide / 1e9:.1f} GB/s"
        axes.plot(x, [min(top, at * wide) for at in x], style, color="black", linewidth=1, label=words)
