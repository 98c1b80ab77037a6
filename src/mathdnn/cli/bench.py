"""`mathdnn bench`: the figures of speed, measured side by side in one run, kept as they come."""

from __future__ import annotations

import json as _json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from mathdnn.cli.named import require_apart, require_place
from mathdnn.cli.output import Flag, Json, MaybeNamed, MaybeWhole, print_json, print_table, say


def bench(
    *work: str,
    quick: Flag = False,
    rounds: Annotated[MaybeWhole, Parameter(show_default=False)] = None,
    out: MaybeNamed = None,
    picture: MaybeNamed = None,
    json: Json = False,
) -> int:
    """Measure speed beside the peers and the machine's limits.

    Parameters
    ----------
    work
        sgd, pairs, lenet, layer, grid, kernels, inference, epochs, growth, reproduce; none means all.
    quick
        Little work, once: shows that it runs, not how fast.
    rounds
        Rounds of each work, at most 10,000, in place of its own number.
    out
        File for every time as JSON, kept after each work.
    picture
        SVG file for the roofline.
    json
        Print the JSON document.
    """
    from mathdnn.bench import Settings, measure, select

    document: dict[str, Any] = {}
    works = select(work)
    settings = Settings(quick=quick, rounds=rounds, threads=_threads())
    require_place(out, "bench --out")
    require_place(picture, "bench --picture")
    require_apart(picture, out, "bench --picture", "--out")
    for document in measure(works, settings, _tell):
        _keep(document, out, picture)
        if not json:
            _show(document["works"][-1])
    if json:
        print_json(document)
    elif document["settings"]["quick"]:
        print("a quick run: its times mean nothing")
    return 0


def _threads() -> int:
    """The two that the figures are stated for, or the one there is."""
    from mathdnn.study import machine

    return min(2, int(machine()["cores"]))


def _tell(words: str) -> None:
    say(f"mathdnn bench: {words}")


def _keep(document: dict[str, Any], out: Path | None, picture: Path | None) -> None:
    """Write the files whole, in place of those of an earlier run."""
    from mathdnn.bench import roofline
    from mathdnn.data.files import replace_file

    if out is not None:
        content = _json.dumps(document, indent=1, allow_nan=False).encode() + b"\n"
        replace_file(out, content, "bench(out=...)")
    if picture is not None:
        replace_file(picture, roofline(document).encode(), "bench(picture=...)")


def _show(work: dict[str, Any]) -> None:
    print(f"\n{work['name']}: {work['title']}")
    rows = [
        [f["what"], _value(f), f"{f['low']:.4g} to {f['high']:.4g}", _wanted(f), _reached(f)] for f in work["figures"]
    ]
    print_table(["figure", "found", "range", "to reach", ""], rows, right=("found",))
    for left in work["left_out"]:
        print(f"left out: {left['name']}: {left['why']}")


def _value(figure: dict[str, Any]) -> str:
    return f"{figure['value']:.4g} {figure['unit']}".rstrip()


def _wanted(figure: dict[str, Any]) -> str:
    limit = figure["limit"]
    return "" if limit is None else f"{figure['quality']} {limit:g} {figure['unit']}".rstrip()


def _reached(figure: dict[str, Any]) -> str:
    return {None: "", True: "reached", False: "missed"}[figure["reached"]]
