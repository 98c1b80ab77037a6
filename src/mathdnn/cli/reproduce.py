"""`mathdnn reproduce`: every claim of the homework, decided, told as it goes, and written as a page."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathdnn.cli.named import no_empty_folders
from mathdnn.cli.output import Json, MaybeNamed, Named, Whole, live, print_json, print_table, say, seconds

if TYPE_CHECKING:
    from mathdnn.homework import Decided


def reproduce(
    *problem: Whole, out: Named = Path("reproduction"), seeds: Whole = 3, data: MaybeNamed = None, json: Json = False
) -> int:
    """Check every claim of the homework; write a page and results.json.

    Parameters
    ----------
    problem
        Numbers from 1 to 7; none means all.
    out
        Folder for index.html and results.json.
    seeds
        Runs of LeNet-5 for each variant, 2 to 1,000.
    data
        Folder with four IDX files, in place of MNIST.
    json
        Print results.json on standard output, and nothing else.
    """
    from mathdnn.homework import results_document
    from mathdnn.report import prepare_output, write_report

    with no_empty_folders(out):
        prepare_output(out)
        decided = _decide(problem, seeds, data, quiet=json)
        settings = {"problems": sorted(set(problem)), "seeds": seeds, "data": None if data is None else _name(data)}
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        results = results_document(decided, settings, created)
        page = write_report(results, out)
    print_json(results) if json else _show(results["claims"], page)
    return 0


def _name(folder: Path) -> str:
    """A folder's name as the page may hold it, whatever bytes and characters are in it."""
    from mathdnn.data import readable
    from mathdnn.errors import shown

    return shown(readable(folder.resolve().name))


def _decide(problems: Sequence[int], seeds: int, data: Path | None, *, quiet: bool) -> list[Decided]:
    """Decide the claims, telling of each on standard error: a live line on a terminal, plain lines elsewhere."""
    import mathdnn.homework
    from mathdnn.homework.reproduce import select

    claims, decided = select(problems), []
    with live(len(claims)) as line:
        state = _State(line, len(claims))
        state.begin(claims[0].title)
        for item in mathdnn.homework.reproduce(problems, seeds=seeds, data_root=data, progress=state.hear):
            decided.append(item)
            if line is not None or not quiet:
                state.tell(f"{item.finding.verdict.status:<13}{item.claim.id} ({seconds(item.seconds)})")
            if len(decided) < len(claims):
                state.begin(claims[len(decided)].title)
    return decided


class _State:
    """The live line: which claim, which part of it, how far."""

    def __init__(self, line: Any, total: int) -> None:
        self._line, self._total, self._begun = line, total, -1

    def begin(self, title: str) -> None:
        self._begun += 1
        self._update(title, 0.0)

    def hear(self, text: str, fraction: float) -> None:
        self._update(text, fraction)

    def tell(self, words: str) -> None:
        if self._line is None:
            say(words)
        else:
            self._line[0].console.print(words, markup=False, highlight=False)

    def _update(self, text: str, fraction: float) -> None:
        if self._line is not None:
            state = f"{self._begun + 1} of {self._total}"
            completed = self._begun + min(max(fraction, 0.0), 1.0)
            self._line[0].update(self._line[1], description=text[:40], completed=completed, state=state)


def _show(claims: list[dict[str, Any]], page: Path) -> None:
    print_table(("claim", "verdict", "found"), [(c["id"], _word(c), c["found"]) for c in claims])
    surprises = sum(not claim["as_expected"] for claim in claims)
    decided = "1 claim" if len(claims) == 1 else f"{len(claims)} claims"
    print(f"{decided} decided, {surprises or 'none'} otherwise than expected. The page: {page}")


def _word(claim: dict[str, Any]) -> str:
    return str(claim["status"]) if claim["as_expected"] else f"{claim['status']} (expected: {claim['expected']})"
