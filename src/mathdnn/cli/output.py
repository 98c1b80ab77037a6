"""What commands print: one JSON document, plain lines and tables on standard output, progress on standard error."""

from __future__ import annotations

import json as _json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import CoercionError, Parameter, convert

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""The type of a flag that is off unless it is given."""

Json = Flag
"""The type of a command's `--json` flag."""


def _whole(kind: Any, tokens: Any) -> Any:
    """What cyclopts makes of it, which rounds 1.5 to 2: here that is misuse."""
    if "." in tokens[0].value:
        raise CoercionError(token=tokens[0], target_type=int)
    return convert(kind, tokens)


Whole = Annotated[int, Parameter(converter=_whole)]
"""The type of a whole number."""

MaybeWhole = Annotated[int | None, Parameter(converter=_whole)]
"""The type of a whole number that may be left out."""


def _named(kind: Any, tokens: Any) -> Any:
    """What cyclopts makes of it, which takes an empty name for the current folder: here that is misuse."""
    if not tokens[0].value:
        raise CoercionError(token=tokens[0], target_type=Path)
    return convert(kind, tokens)


Named = Annotated[Path, Parameter(converter=_named)]
"""The type of a file or a folder."""

MaybeNamed = Annotated[Path | None, Parameter(converter=_named)]
"""The type of a file or a folder that may be left out."""

COLOUR = {"proved": "green", "supported": "cyan", "refuted": "red", "contradicted": "magenta", "undecided": "yellow"}


def say(words: str) -> None:
    """A line on standard error; where that is full or nobody reads it, nowhere from then on: no result is lost."""
    try:
        print(words, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def print_json(document: Any) -> None:
    """Print one JSON document (finite numbers only), and nothing else."""
    print(_json.dumps(document, ensure_ascii=True, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table: ruled and coloured on a terminal, plain elsewhere. `right` names the columns of figures."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=COLOUR.get(cell.split(" ")[0], "")) for cell in row))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


@contextmanager
def live(total: float) -> Iterator[tuple[Progress, TaskID] | None]:
    """A progress line on standard error where that is a terminal, and None where it is not."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield progress, progress.add_task("", total=total, state="")


def seconds(value: float) -> str:
    """Seconds as a person reads them: 0.04 s, 12.3 s, 3 min 20 s."""
    if value >= 59.95:
        whole = round(value)
        return f"{whole // 60} min {whole % 60} s"
    return f"{value:.1f} s" if value >= 0.995 else f"{value:.2f} s"
