"""A comparison planned before it is run: arms, seeds, metric and margin are one frozen value.

    value[arm][i]    metric of the run of `arm` with seeds[i]; the same seed in every arm makes a pair

Seed by seed, every arm runs once, in an order that rotates: what changes while the study runs (heat, other work) meets
all arms alike. Adding a seed after looking is another design, with another digest, and shares no result with the first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mathdnn.errors import InvalidInput, as_number, is_whole, sentence
from mathdnn.study.statistics import judge, paired_values
from mathdnn.study.store import Store
from mathdnn.verdict import Verdict

Arm = Callable[[int], float]
Outcome = tuple[str, int, float | str, float]  # arm, seed, value or the words for what is no number, seconds


@dataclass(frozen=True)
class Design:
    """What will be compared, fixed before the first run.

    `metric` names what a run gives, `unit` its unit, `margin` the difference that matters (0 where any does), `level`
    one minus the probability of either error, `notes` whatever else tells this study from another (recipe, data).
    Raises `InvalidInput` for arms that are no names, seeds that are no whole numbers of 64 bits, either missing or
    named twice, a margin or level out of range, or other fields that are no text.
    """

    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    metric: str
    margin: float
    level: float = 0.95
    unit: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        arms = _listed(self.arms, "arms", lambda arm: isinstance(arm, str), "names")
        seeds = _listed(self.seeds, "seeds", _is_seed, "whole numbers from -2^63 to 2^63 - 1")
        margin, level = as_number(self.margin), as_number(self.level)
        if not (math.isfinite(margin) and margin >= 0 and 0.5 < level < 1):
            got = f"margin={self.margin!r}, level={self.level!r}"
            raise InvalidInput(
                sentence("Design", "a margin of 0 or more and a level in (0.5, 1)", got, "use 0.95, say")
            )
        for name in ("metric", "unit", "notes"):
            if not isinstance(getattr(self, name), str):
                got = f"{getattr(self, name)!r:.80}"
                raise InvalidInput(sentence(f"Design({name}=...)", "text", got, "describe it in words"))
        # as the digest is taken: 1 and 1.0, or NumPy's 3 and Python's, are one design
        fixed = {"arms": arms, "seeds": tuple(map(int, seeds)), "margin": margin, "level": level}
        for name, value in fixed.items():
            object.__setattr__(self, name, value)

    @property
    def digest(self) -> str:
        """SHA-256 of all fields, in hexadecimal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def order(self) -> tuple[tuple[str, int], ...]:
        """(arm, seed) in the order in which they run."""
        turns = (self.arms[i % len(self.arms) :] + self.arms[: i % len(self.arms)] for i in range(len(self.seeds)))
        return tuple((arm, seed) for seed, turn in zip(self.seeds, turns, strict=True) for arm in turn)


@dataclass(frozen=True)
class Results:
    """`values` and `seconds` of each arm, one a seed, in the order of the design's seeds."""

    design: Design
    values: Mapping[str, tuple[float, ...]]
    seconds: Mapping[str, tuple[float, ...]]


def run(
    design: Design,
    make: Callable[[str], Arm],
    jobs: int = 1,
    store: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Results:
    """Run every arm with every seed, in the design's order; `make(arm)` gives the function from a seed to the metric.

    `jobs` processes share the work (joblib; -1 for all cores), this one alone writes. With a `store`, a file, finished
    runs are kept as they end and are not run again after an interruption. `progress(done, total)` hears of each.
    Raises `InvalidInput` for a run whose metric is not one finite number, or jobs that are none; what an arm raises
    passes through.
    """
    if not is_whole(jobs) or jobs == 0:
        got, do = f"{jobs!r:.40}", "use 1, or -1 for all cores"
        raise InvalidInput(sentence("run(jobs=...)", "a whole number that is not 0", got, do))
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(Store(store)) if store is not None else None
        found = kept.results(design.digest) if kept else {}
        todo = [task for task in design.order if task not in found]
        for arm, seed, value, seconds in _outcomes(todo, make, jobs):
            if isinstance(value, str) or not math.isfinite(value):
                got = f"{value} from arm {arm!r} with seed {seed}"
                do = "find out why; finished runs are kept where a store was given"
                raise InvalidInput(sentence("run(design)", f"a finite {design.metric}", got, do))
            if kept:
                kept.add(design.digest, arm, seed, value, seconds)
            found[arm, seed] = (value, seconds)
            if progress:
                progress(len(found), len(design.order))
    rows = {arm: [found[arm, seed] for seed in design.seeds] for arm in design.arms}
    values, seconds_of = ({arm: tuple(row[i] for row in rows[arm]) for arm in rows} for i in (0, 1))
    return Results(design, values, seconds_of)


def compare(
    results: Results,
    a: str,
    b: str,
    question: Literal["equivalent", "greater", "less"] = "equivalent",
    claim: str = "",
) -> Verdict:
    """Is arm `a` equivalent to `b`, or greater or less by more than the design's margin, on average and paired?

    The verdict is supported, contradicted or undecided (see `mathdnn.study.statistics`). Raises `InvalidInput` for an
    arm that is not in the design, another question, or equivalence with a margin of 0, which no data can show.
    """
    design, margin = results.design, results.design.margin
    regions = {"equivalent": (-margin, margin), "greater": (margin, math.inf), "less": (-math.inf, -margin)}
    if a not in design.arms or b not in design.arms or a == b or question not in regions:
        got = f"{a!r}, {b!r}, {question!r}"
        expected = f"two of the arms {', '.join(design.arms)} and one of {', '.join(regions)}"
        raise InvalidInput(sentence("compare(results, a, b, question)", expected, got, "name these"))
    if question == "equivalent" and margin == 0:
        do = "plan the difference that matters before the runs"
        raise InvalidInput(sentence("compare(question='equivalent')", "a margin above 0", "a design with 0", do))
    differences = paired_values(results.values[a], results.values[b], "compare(results, a, b)")
    quantity = f"{a} minus {b}, {design.metric}"
    method = "paired equivalence test (TOST)" if question == "equivalent" else "paired one-sided t test"
    method = f"{method} at {1 - design.level:.2g}"
    words = claim or _claim(a, b, question, design)
    return judge(
        words, differences, regions[question], design.level, quantity=quantity, unit=design.unit, method=method
    )


def _claim(a: str, b: str, question: str, design: Design) -> str:
    margin = f"{design.margin:g}{' ' * bool(design.unit)}{design.unit}"
    if question == "equivalent":
        return f"{a} and {b} differ by less than {margin} in {design.metric}"
    more = f" by more than {margin}" if design.margin else ""
    return f"{design.metric} of {a} is {question} than that of {b}{more}"


def _outcomes(todo: list[tuple[str, int]], make: Callable[[str], Arm], jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        return (_one(make, arm, seed) for arm, seed in todo)
    return _parallel(todo, make, jobs)


def _parallel(todo: list[tuple[str, int]], make: Callable[[str], Arm], jobs: int) -> Iterator[Outcome]:
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=jobs, return_as="generator_unordered")
    outcomes: Iterable[Outcome] = pool(delayed(_one)(make, arm, seed) for arm, seed in todo)
    yield from outcomes


def _one(make: Callable[[str], Arm], arm: str, seed: int) -> Outcome:
    function = make(arm)
    start = time.perf_counter()
    given = function(seed)
    value = as_number(given)
    seconds = time.perf_counter() - start
    return arm, seed, f"{given!r:.80}" if math.isnan(value) else value, seconds


def _listed(values: Any, name: str, fits: Callable[[Any], bool], what: str) -> tuple[Any, ...]:
    """The values as a tuple. Raises `InvalidInput` unless there is one, all fit and all differ."""
    who, expected = f"Design({name}=...)", f"a list of {what}"
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidInput(sentence(who, expected, f"{values!r:.80}", "put it into a list"))
    found = tuple(values)
    for value in found:
        if not fits(value):
            raise InvalidInput(sentence(who, expected, f"{value!r:.80} in it", "choose others"))
    if not found or len(set(found)) < len(found):
        expected = f"{name} that differ, at least one"
        raise InvalidInput(sentence(who, expected, f"{list(found)}", "name each once"))
    return found


def _is_seed(value: Any) -> bool:
    return is_whole(value) and -(2**63) <= value < 2**63  # what a store can keep
