"""Figures read off the times: how long, how many times as fast, which share. None where an arm was not measured."""

from __future__ import annotations

from collections.abc import Sequence

from mathdnn.bench.times import Times
from mathdnn.bench.work import Figure, Quality


def takes(times: Times, arm: str, limit: float | None = None, what: str = "") -> list[Figure]:
    """The median seconds of `arm` with their range, at most `limit`."""
    if arm not in times:
        return []
    raw = times.seconds[arm]
    quality: Quality = "" if limit is None else "at most"
    spread = f"range of {len(raw)} round{'s' * (len(raw) != 1)}"
    return [Figure(what or f"{arm} takes", times.median(arm), min(raw), max(raw), "s", quality, limit, spread, raw)]


def faster(times: Times, arm: str, than: Sequence[str], limit: float | None = None) -> list[Figure]:
    """How many times as fast `arm` is as the fastest of the peers `than` that were measured, at least `limit`."""
    peers = [name for name in than if name in times]
    if arm not in times or not peers:
        return []
    best = min(peers, key=lambda peer: times.ratio(peer, arm)[0])
    value, low, high, spread, raw = times.ratio(best, arm)
    quality: Quality = "" if limit is None else "at least"
    return [Figure(f"{arm}, as fast as {best}", value, low, high, "x", quality, limit, spread, raw)]


def fraction(times: Times, arm: str, of: str, limit: float) -> list[Figure]:
    """The share of the time of `of` that `arm` takes, at most `limit`."""
    if arm not in times or of not in times:
        return []
    value, low, high, spread, raw = times.ratio(arm, of)
    return [Figure(f"{arm}, part of the time of {of}", value, low, high, "", "at most", limit, spread, raw)]
