"""The gradient's norm layer by layer between its bounds, and every factor's singular values, as one SVG."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

from mathdnn.backprop.flow import Flow, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "mathdnn", "font.family": "DejaVu Sans", "font.size": 9}
NORM, BOUND, SINGULAR = "#1b6ca8", "#8a8a8a", "#c0562b"


def flow_picture(flow: Flow) -> str:
    """An SVG, the same bytes for the same flow: |dy_L/dy_l| over l on the left, s_max and s_min of F_l on the right."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(9, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        _norms(left, flow)
        _factors(right, flow)
        figure.suptitle("\n".join(textwrap.wrap(str(flow), 110)), fontsize=8)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _norms(axes: Axes, flow: Flow) -> None:
    data = flow.picture()
    lines = {"product of greatest": "--", "product of least": ":", "bound by the weights alone": "-."}
    for series in data["series"]:
        name = series["name"]
        style = {"color": BOUND, "linestyle": lines[name]} if name in lines else {"color": NORM, "marker": "o", "ms": 3}
        axes.plot(data["x"], series["runs"][0], label=name, **style)
    axes.legend(frameon=False, fontsize=7)
    axes.set(yscale="log", xlabel="layer l", ylabel="spectral norm of dy_L/dy_l")
    axes.grid(which="major", linewidth=0.3)


def _factors(axes: Axes, flow: Flow) -> None:
    layers = list(range(1, len(flow.greatest) + 1))
    low, high = drawable(flow.least), drawable(flow.greatest)
    axes.vlines(layers, low, high, color=SINGULAR, linewidth=3, alpha=0.6)
    axes.plot(layers, high, "^", color=SINGULAR, markersize=4)
    axes.plot(layers, low, "v", color=SINGULAR, markersize=4)
    axes.axhline(1.0, color=BOUND, linewidth=0.8)
    axes.set(yscale="log", xlabel="layer l", ylabel="singular values of F_l, least and greatest")
    axes.grid(which="major", linewidth=0.3)
