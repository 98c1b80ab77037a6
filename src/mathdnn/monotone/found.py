"""What a scan found: each chunk's part, and the parts put together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from mathdnn.monotone.floats import Format, place_of, values_of

LONGEST = 4  # intervals kept of a function that falls again and again


@dataclass(frozen=True)
class Fall:
    """A pair of neighbours on which f falls: the places k and k+1 and the bits of both outputs."""

    place: int
    before: int
    after: int


@dataclass(frozen=True)
class Span:
    """Places first..last on which f is nondecreasing and not NaN."""

    first: int
    last: int


@dataclass(frozen=True)
class Scan:
    """What a scan found. `digest` is over the outputs at both ends of every chunk, in order.

    `nan_bits`: the least and the greatest bits of NaN that came out (one where they are the same).
    """

    values: int
    complete: bool
    decreasing: int
    first_fall: Fall | None
    worst_fall: Fall | None
    worst_ulps: int
    nan_outputs: int
    first_nan: int | None
    nan_bits: tuple[int, ...]
    zero_bits: tuple[int, ...]
    nonzero_to_zero: bool
    spans: tuple[Span, ...]
    chunk: int
    digest: str


@dataclass(frozen=True)
class Part:
    """One chunk's part of a scan."""

    first: int
    last: int
    y_first: int
    y_last: int
    decreasing: int = 0
    first_fall: Fall | None = None
    worst_fall: Fall | None = None
    worst_ulps: int = 0
    nan_outputs: int = 0
    first_nan: int | None = None
    nan_bits: tuple[int, ...] = ()
    zeros: frozenset[int] = frozenset()
    nonzero_to_zero: bool = False
    spans: tuple[Span, ...] = ()


def spans_of(first: int, last: int, falls: np.ndarray, nans: np.ndarray) -> tuple[Span, ...]:
    """The first, the last, and the longest nondecreasing intervals of one chunk, in order."""
    starts = np.unique(np.concatenate([[0], falls + 1, nans, nans + 1]))
    ends = np.append(starts[1:] - 1, last - first)
    inside = (starts <= ends) & ~np.isin(starts, nans)
    starts, ends = starts[inside], ends[inside]
    keep = np.unique(np.concatenate([[0, len(starts) - 1], np.argsort(starts - ends, kind="stable")[:LONGEST]]))
    return tuple(Span(first + int(starts[i]), first + int(ends[i])) for i in keep if 0 <= i < len(starts))


def merge(form: Format, parts: list[Part], complete: bool, chunk: int) -> Scan:
    seen: list[Fall] = []
    spans: list[Span] = []
    worst: Fall | None = None
    worst_ulps = extra = 0
    for before, part in zip([None, *parts[:-1]], parts, strict=True):
        crossing = None if before is None or before.last + 1 != part.first else _crossing(form, before, part)
        joined = before is not None and before.last + 1 == part.first and crossing is None
        falls = [crossing] if crossing else []
        extra += len(falls)
        for fall, ulps in [(f, _ulps(f, form)) for f in falls] + [(part.worst_fall, part.worst_ulps)]:
            if fall is not None and ulps > worst_ulps:
                worst, worst_ulps = fall, ulps
        seen += [*falls, *([part.first_fall] if part.first_fall else [])]
        spans = _join(spans, list(part.spans), joined)
    nans = [p.first_nan for p in parts if p.first_nan is not None]
    return Scan(
        values=sum(p.last - p.first + 1 for p in parts),
        complete=complete,
        decreasing=extra + sum(p.decreasing for p in parts),
        first_fall=min(seen, key=lambda fall: fall.place, default=None),
        worst_fall=worst,
        worst_ulps=worst_ulps,
        nan_outputs=sum(p.nan_outputs for p in parts),
        first_nan=min(nans, default=None),
        nan_bits=ends_of([bits for p in parts for bits in p.nan_bits]),
        zero_bits=tuple(sorted(frozenset[int]().union(*(p.zeros for p in parts)))),
        nonzero_to_zero=any(p.nonzero_to_zero for p in parts),
        spans=_best(spans),
        chunk=chunk,
        digest=_digest(form, parts),
    )


def ends_of(bits: Any) -> tuple[int, ...]:
    """The least and the greatest of some bits, one where they are the same, none where there are none."""
    return tuple(sorted({int(min(bits)), int(max(bits))})) if len(bits) else ()


def _crossing(form: Format, before: Part, part: Part) -> Fall | None:
    """The pair across the border of two chunks, where f falls on it."""
    left, right = values_of(np.array([before.y_last, part.y_first], form.integer), form)
    return Fall(before.last, before.y_last, part.y_first) if right < left else None


def _ulps(fall: Fall, form: Format) -> int:
    high, low = place_of(np.array([fall.before, fall.after], form.integer), form)
    return int(high - low)


def _join(spans: list[Span], more: list[Span], joined: bool) -> list[Span]:
    if joined and spans and more and spans[-1].last + 1 == more[0].first:
        more = [Span(spans[-1].first, more[0].last), *more[1:]]
        spans = spans[:-1]
    return [*_best(spans), *more]


def _best(spans: list[Span]) -> tuple[Span, ...]:
    """The longest few, and always the first and the last, in order."""
    longest = sorted(spans, key=lambda span: span.first - span.last)[:LONGEST]
    return tuple(sorted({*longest, *spans[:1], *spans[-1:]}, key=lambda span: span.first))


def _digest(form: Format, parts: list[Part]) -> str:
    ends = np.array([[p.y_first, p.y_last] for p in parts], dtype=f"<i{form.width // 8}")
    return hashlib.sha256(ends.tobytes()).hexdigest()


def decided(parts: list[Part]) -> bool:
    """Whether something falls, or a number follows a NaN (NaN at the upper end alone may be harmless)."""
    first_nan = min((p.first_nan for p in parts if p.first_nan is not None), default=None)
    top = max((p.spans[-1].last for p in parts if p.spans), default=None)
    return any(p.decreasing for p in parts) or (first_nan is not None and top is not None and first_nan < top)
