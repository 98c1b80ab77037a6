"""How a command that decides one claim ends: words or JSON on standard output, a file where asked for, an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mathdnn.cli.output import print_json

if TYPE_CHECKING:
    from mathdnn.verdict import Verdict

HOLDS, FAILS = 0, 1


def answer(verdict: Verdict, *, json: bool = False, save: Path | None = None, words: str = "") -> int:
    """Print and save a verdict. 0 for proved and supported; 1 for refuted, contradicted and undecided."""
    try:
        if save is not None:
            from mathdnn.data.files import replace_file

            replace_file(save, verdict.to_json().encode(), "answer(save=...)")
    finally:  # what took hours is said also where the disk is full by now
        print_json(verdict.to_plain()) if json else print(words or str(verdict))
    if save is not None and not json:
        print(f"saved: {save}; check it with mathdnn verify {save}")
    return HOLDS if verdict.status.value in ("proved", "supported") else FAILS


def marked(verdict: Verdict, *, json: bool, save: Path | None) -> int:
    """Print and save a verdict on something handed in, with RIGHT or WRONG at its head."""
    mark = {"proved": "RIGHT", "refuted": "WRONG"}.get(verdict.status.value, verdict.status.value.upper())
    lines = [f"{mark}: {verdict.claim}", f"  {verdict.evidence}"]
    return answer(verdict, json=json, save=save, words="\n".join(lines))
