"""Decide claims one after the other, and gather them into the document that the report is drawn from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mathdnn.errors import Diverged, InvalidInput, is_whole, sentence
from mathdnn.homework.claim import Claim, Decided, Finding
from mathdnn.homework.problems import CLAIMS, PROBLEMS
from mathdnn.homework.resources import Resources
from mathdnn.verdict import undecided

MOST_SEEDS = 1000  # runs an arm: a seed is 20 epochs of 1 to 2 s, a thousand take hours, more are a slip (a heuristic)


def select(problems: Iterable[int] = ()) -> tuple[Claim, ...]:
    """The claims of the given problems (all, where none is given). Raises `InvalidInput` for another number."""
    wanted = set(problems) or {problem.number for problem in PROBLEMS}
    for number in wanted:
        if number not in {problem.number for problem in PROBLEMS}:
            raise InvalidInput(
                sentence("reproduce(problems=...)", "numbers from 1 to 7", str(number), "name problems of the homework")
            )
    return tuple(claim for claim in CLAIMS if claim.problem in wanted)


def reproduce(
    problems: Iterable[int] = (),
    *,
    seeds: int = 3,
    data_root: Path | None = None,
    progress: Callable[[str, float], Any] | None = None,
) -> Iterator[Decided]:
    """Decide every claim of `problems` (all, where none is given), in order, yielding each as it is decided.

    `seeds` is the number of LeNet-5 runs an arm (at least 2, since one run has no spread, at most 1,000); `data_root` a
    folder of IDX files; `progress(text, fraction)` hears of long work. Data are read and checked before anything is
    decided. Raises `InvalidInput` for other problems or seeds, `DataError` for data that cannot be read.
    """
    claims = select(problems)
    if not is_whole(seeds) or seeds < 2:
        do = "ask for 2 or more, an interval needs a spread"
        raise InvalidInput(sentence("reproduce(seeds=...)", "at least 2 runs", f"{seeds!r:.40}", do))
    if seeds > MOST_SEEDS:
        do = "ask for fewer: a thousand take hours"
        raise InvalidInput(sentence("reproduce(seeds=...)", f"at most {MOST_SEEDS:,} runs", f"{seeds:,}", do))
    resources = Resources(seeds=seeds, data_root=data_root, progress=progress)
    if data_root is not None or any(claim.on_mnist for claim in claims):
        _ = resources.data
    return _decide(claims, resources)


def _decide(claims: tuple[Claim, ...], resources: Resources) -> Iterator[Decided]:
    elsewhere = "" if resources.data_root is None else resources.data.name
    for claim in claims:
        start = time.perf_counter()
        finding = _finding(claim, resources)
        yield Decided(claim, finding, time.perf_counter() - start, elsewhere)


def _finding(claim: Claim, resources: Resources) -> Finding:
    """What deciding gives. Data that are not MNIST may not do for a claim (a label without images, say): undecided."""
    if resources.data_root is None or not claim.on_mnist:
        return claim.decide(resources)
    try:
        return claim.decide(resources)
    except (InvalidInput, Diverged) as error:
        why = f"these data do not do for it: {str(error).rstrip('.')}"
        return Finding(f"not decided; {why}", undecided(claim.statement.rstrip("."), why, "other data"))


def results_document(decided: Iterable[Decided], settings: dict[str, Any], created: str) -> dict[str, Any]:
    """What results.json holds: the claims, the problems' introductions, the machine and the versions.

    `settings` says how the run was asked for; `created` is the time, in ISO 8601.
    """
    from mathdnn import __version__
    from mathdnn.study import machine, versions

    claims = [item.to_plain() for item in decided]
    numbers = {claim["problem"] for claim in claims}
    introductions = [
        {"number": problem.number, "title": problem.title, "introduction": problem.introduction}
        for problem in PROBLEMS
        if problem.number in numbers
    ]
    return {
        "mathdnn": __version__,
        "created": created,
        "settings": settings,
        "problems": introductions,
        "claims": claims,
        "machine": machine(),
        "versions": versions(),
    }
