"""Measuring works one after another: samples compared, warmed up, rounds interleaved, every time kept.

The machine's limits are measured first, in the same run; where a share of the peak is to be reached ("kernels"), the
peak is an arm of the rounds too. A stop (Ctrl-C) gives what the finished rounds hold.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mathdnn.bench.limits import Limits, measure_limits, usable_threads
from mathdnn.bench.times import Times
from mathdnn.bench.work import Arm, Built, Settings, Work
from mathdnn.errors import InvalidInput, MathdnnError, is_whole, sentence
from mathdnn.study import interleaved_timing, machine, versions

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Shaped

Tell = Callable[[str], object]
MOST_ROUNDS = 10_000  # a round takes 10 ms to a minute: more take days, and are a slip (a heuristic)


class Disagree(MathdnnError):
    """Arms of a work that do not compute the same thing: nothing is timed."""


def measure(works: Sequence[Work], settings: Settings, tell: Tell = lambda words: None) -> Iterator[dict[str, Any]]:
    """The document after each work; the last one is whole. `tell` hears what goes on.

    A work that is interrupted gives its finished rounds, marked incomplete, and then the interrupt is raised.
    Raises `Disagree`, and `InvalidInput` where the compiled kernels are missing or `settings` cannot be.
    """
    from mathdnn import native

    rounds = settings.rounds
    if rounds is not None and not (is_whole(rounds) and 1 <= rounds <= MOST_ROUNDS):
        expected = f"a whole number from 1 to {MOST_ROUNDS:,}"
        raise InvalidInput(sentence("bench(rounds=...)", expected, f"{rounds!r:.40}", "ask for some hundreds at most"))
    if not native.available():
        do = "install mathdnn where a C++ compiler is"
        raise InvalidInput(sentence("bench", "the compiled kernels", "an installation without them", do))
    with usable_threads(settings.threads):
        tell("the machine's limits")
        limits = measure_limits(settings)
        document = _document(works, settings, limits)
        for work in works:
            result: dict[str, Any] = {"name": work.name, "title": work.title, "complete": False}
            document["works"].append(result)
            try:
                _measure(work, settings, limits, result, tell)
            except KeyboardInterrupt:
                yield document
                raise
            document["complete"] = len(document["works"]) == len(works)
            yield document


def _document(works: Sequence[Work], settings: Settings, limits: Limits) -> dict[str, Any]:
    from mathdnn import __version__

    return {
        "mathdnn": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "complete": False,
        "settings": {"works": [work.name for work in works], "quick": settings.quick, "rounds": settings.rounds,
                     "threads": settings.threads},
        "limits": limits.to_plain(),
        "works": [],
        "machine": machine(),
        "versions": versions(),
    }  # fmt: skip


def _measure(work: Work, settings: Settings, limits: Limits, result: dict[str, Any], tell: Tell) -> None:
    result |= {"left_out": [], "agreement": [], "arms": {}, "figures": [], "facts": {}}  # until there are rounds
    tell(f"{work.name}: preparing")
    built = work.build(settings)
    result["left_out"] = [{"name": left.name, "why": left.why} for left in built.left_out]
    tell(f"{work.name}: comparing what {_arms_of(built.arms)} compute{'s' * (len(built.arms) == 1)}")
    result["agreement"] = agreement(work.name, built)
    seconds: dict[str, list[float]] = {arm.name: [] for arm in built.arms}
    try:
        _rounds(work.name, built, settings, seconds, tell)
        result["complete"] = True
    finally:
        times = Times(seconds)
        result["arms"] = _arms(built.arms, times, limits)
        result["figures"] = _figures(built, times, settings) if times.seconds else []
        result["facts"] = dict(built.facts())


def _figures(built: Built, times: Times, settings: Settings) -> list[dict[str, Any]]:
    """As plain data; of a quick run nothing is said to be reached or missed."""
    found = [figure.to_plain() for figure in built.figures(times)]
    return [figure | {"reached": None} for figure in found] if settings.quick else found


def _rounds(name: str, built: Built, settings: Settings, seconds: dict[str, list[float]], tell: Tell) -> None:
    rounds = settings.rounds or (1 if settings.quick else built.rounds)
    slow = 1 if settings.quick else min(rounds, built.slow_rounds)
    fast = [arm for arm in built.arms if not arm.slow]
    for _ in range(built.warmup if fast and not settings.quick else 0):
        interleaved_timing({arm.name: arm.run for arm in fast}, 1, 0)
    for index in range(rounds):
        arms = built.arms if index < slow else fast
        if not arms:
            return
        tell(f"{name}: round {index + 1} of {rounds}, {_arms_of(arms)}")
        turn = index % len(arms)
        for arm in (*arms[turn:], *arms[:turn]):
            if arm.slow:
                tell(f"{name}: round {index + 1} of {rounds}: {arm.name}")
            if arm.prepare is not None:
                arm.prepare()
            took = interleaved_timing({arm.name: arm.run}, 1, 0).seconds[arm.name][0]
            seconds[arm.name].append(took / arm.calls)


def _arms_of(arms: Sequence[Arm]) -> str:
    return "1 arm" if len(arms) == 1 else f"{len(arms)} arms"


def agreement(name: str, built: Built) -> list[dict[str, Any]]:
    """Compare each arm's sample with that of its group's first arm. Raises `Disagree` beyond the work's tolerance."""
    first: dict[str, tuple[str, Shaped[np.ndarray, "..."]]] = {}
    found = []
    for arm in built.arms:
        if arm.sample is None:
            continue
        sample = arm.sample()
        reference, wanted = first.setdefault(arm.group, (arm.name, sample))
        apart = _apart(wanted, sample)
        if not apart <= built.tolerance:
            expected = f"arms that compute the same within {built.tolerance:g}"
            got = f"{reference!r} and {arm.name!r}, {apart:.3g} apart"
            raise Disagree(sentence(f"bench {name}", expected, got, "correct the arm; nothing was timed"))
        found.append({"arm": arm.name, "reference": reference, "difference": apart, "tolerance": built.tolerance})
    return found


def _apart(a: Shaped[np.ndarray, "..."], b: Shaped[np.ndarray, "..."]) -> float:
    """The largest difference relative to the largest of `a`; infinite for other shapes or numbers that are not."""
    import numpy as np

    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    if not a.size:
        return 0.0
    return float(np.abs(a.astype(np.float64) - b).max() / max(float(np.abs(a).max()), 1e-30))


def _arms(arms: Sequence[Arm], times: Times, limits: Limits) -> Mapping[str, Any]:
    plain = times.to_plain() if times.seconds else {}
    for arm in arms:
        if arm.name in plain:
            plain[arm.name] |= {"slow": arm.slow, "cores": arm.cores, **limits.distance(arm, times.median(arm.name))}
    return plain
