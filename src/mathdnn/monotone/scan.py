"""Every value of a format in order, each compared with its neighbour.

Legend: k the place of a value x_k (see floats), y_k = f(x_k).

    f is nondecreasing   <=>   y_k <= y_{k+1} for every k, and no y_k is NaN

The line of places is cut at zero and then into chunks; each chunk is evaluated as one contiguous tensor, and the pairs
across the borders of chunks are compared afterwards from the chunks' end values.
Convention at ties: -0.0 and +0.0 are neighbours and equal as values, as outputs too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np

from mathdnn.monotone.floats import Format, bits_at, is_nan, place_of, values_of
from mathdnn.monotone.found import Fall, Part, Scan, Span, decided, ends_of, merge, spans_of
from mathdnn.monotone.functions import Elementwise
from mathdnn.monotone.mode import require_mode

# Measured over 2^17..2^21 on two cores with 1 MiB of second-level cache each: larger chunks leave the caches, smaller
# ones hand the interpreter lock to and fro more often.
CHUNK = 1 << 19
TILE = 4096  # a pair repeated this often is evaluated by the vector body
Progress = Callable[[int, int], None]


def scan_literal(f: Elementwise, places: range) -> int:
    """The formula as it reads: how many pairs of neighbours fall. One value at a time; the specification of `scan`."""

    def y(k: int) -> float:
        return float(values_of(f.on_bits(bits_at(np.array([k]), f.form)), f.form)[0])

    return sum(1 for k in places if y(k + 1) < y(k))


def scan(
    f: Elementwise,
    *,
    stop_at_first: bool = False,
    progress: Progress | None = None,
    threads: int | None = None,
    chunk: int = CHUNK,
) -> Scan:
    """Scan every value of f's format; with `stop_at_first`, end soon after something falls or is NaN."""
    chunks = list(chunk_ends(f.form, chunk))
    order = _spread(len(chunks)) if stop_at_first else list(range(len(chunks)))
    parts: dict[int, Part] = {}
    done = 0
    for wave in _waves(order, stop_at_first):
        for index, part in evaluate(f, [(i, chunks[i]) for i in wave], threads, chunk):
            parts[index] = part
            done += part.last - part.first + 1
            if progress is not None:
                progress(done, f.form.values)
        if stop_at_first and decided(list(parts.values())):
            break
    return merge(f.form, [parts[i] for i in sorted(parts)], len(parts) == len(chunks), chunk)


def pair_outputs(f: Elementwise, place: int) -> tuple[int, int]:
    """The output bits at a place and the next one, both in the vector body."""
    out = f.on_bits(np.tile(bits_at(np.array([place, place + 1]), f.form), TILE))
    return int(out[0]), int(out[1])


def chunk_ends(form: Format, chunk: int = CHUNK) -> Iterator[tuple[int, int]]:
    """The first and last place of every chunk, in order; none lies on both sides of zero."""
    for first, last in ((form.first, -1), (0, form.infinity)):
        for start in range(first, last + 1, chunk):
            yield start, min(start + chunk - 1, last)


def _spread(n: int) -> list[int]:
    """0..n-1 in an order that soon touches every region: by the bits reversed."""
    width = max(1, (n - 1).bit_length())
    return [i for i in (int(f"{j:0{width}b}"[::-1], 2) for j in range(1 << width)) if i < n]


def _waves(order: list[int], stop_at_first: bool) -> Iterator[list[int]]:
    size = 64 if stop_at_first else len(order)  # a fixed size, so that the answer does not depend on the threads
    for start in range(0, len(order), size):
        yield order[start : start + size]


def evaluate(
    f: Elementwise, jobs: list[tuple[int, tuple[int, int]]], threads: int | None, chunk: int
) -> Iterator[tuple[int, Part]]:
    """The parts of the numbered chunks (first place, last place), in the order in which they are ready."""
    threads = threads or cores()
    batches = [jobs[i : i + 16] for i in range(0, len(jobs), 16)]
    with quiet_torch(f.library) as quiet, ThreadPoolExecutor(threads, initializer=quiet) as pool:
        waiting: set[Future[list[tuple[int, Part]]]] = {pool.submit(_run_batch, f, batch, chunk) for batch in batches}
        try:
            while waiting:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield from future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class quiet_torch:
    """Within it torch uses one thread for each of ours; afterwards as many as before."""

    def __init__(self, library: str) -> None:
        self._torch = library == "torch"

    def __enter__(self) -> Callable[[], None]:
        if not self._torch:
            return lambda: None
        import torch

        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)
        return lambda: torch.set_num_threads(1)  # each new thread starts with the process's default again

    def __exit__(self, *exc: object) -> None:
        if self._torch:
            import torch

            torch.set_num_threads(self._threads)


def _run_batch(f: Elementwise, batch: list[tuple[int, tuple[int, int]]], chunk: int) -> list[tuple[int, Part]]:
    steps = np.arange(chunk, dtype=np.int64 if f.form.width == 16 else f.form.integer)
    buffer, flags = np.empty(chunk, f.form.integer), np.empty(chunk, np.bool_)
    return [(i, _part(f, first, last, steps, buffer, flags)) for i, (first, last) in batch]


def fill_bits(first: int, last: int, steps: np.ndarray, buffer: np.ndarray, form: Format) -> None:
    """The bits of the places first..last, which lie on one side of zero, in the buffer; the rest repeats the last.

    So the buffer is always evaluated at its full length, and no value of a short chunk lies in a scalar tail.
    """
    n = last - first + 1
    if first >= 0:
        np.add(steps[:n], first, out=buffer[:n], casting="unsafe")
    else:  # k xor magnitude = (first xor magnitude) - step
        np.subtract(first ^ form.magnitude, steps[:n], out=buffer[:n], casting="unsafe")
    buffer[n:] = buffer[n - 1]


def _part(f: Elementwise, first: int, last: int, steps: np.ndarray, buffer: np.ndarray, flags: np.ndarray) -> Part:
    fill_bits(first, last, steps, buffer, f.form)
    out = f.on_bits(buffer)[: last - first + 1]
    require_mode()  # in this thread, after f, which may have changed it
    y = values_of(out, f.form)
    rises = np.greater_equal(y[1:], y[:-1], out=flags[: len(y) - 1])
    plain = bool(rises.all()) and y[0] == y[0]
    spans = (Span(first, last),)
    part = Part(first, last, int(out[0]), int(out[-1]), spans=spans)
    if plain and (y[0] > 0 or y[-1] < 0):
        return part
    zeros, nonzero = _zeros(out, y, first, plain)
    if plain:
        return Part(first, last, part.y_first, part.y_last, zeros=zeros, nonzero_to_zero=nonzero, spans=spans)
    return _falling(f.form, first, last, out, y, rises, zeros, nonzero)


def _zeros(out: np.ndarray, y: np.ndarray, first: int, plain: bool) -> tuple[frozenset[int], bool]:
    """Which zeros come out, and whether an input other than zero gives one. `plain`: y never falls, and has no NaN."""
    if plain and y[0] == 0 and y[-1] == 0:  # all that lies between is zero
        return frozenset((int(out.min()), int(out.max()))), first < -1 or first + len(y) > 1
    at = np.flatnonzero(y == 0)
    if not len(at):
        return frozenset(), False
    low, high = int(out[at].min()), int(out[at].max())
    places = first + at[[0, -1]]
    return frozenset((low, high)), bool((places < -1).any() or (places > 0).any())


def _falling(
    form: Format,
    first: int,
    last: int,
    out: np.ndarray,
    y: np.ndarray,
    rises: np.ndarray,
    zeros: frozenset[int],
    nonzero: bool,
) -> Part:
    falls = np.flatnonzero(y[1:] < y[:-1])
    nans = np.flatnonzero(is_nan(out, form))
    fall = worst = None
    ulps = 0
    if len(falls):
        drops = place_of(out[falls], form) - place_of(out[falls + 1], form)
        at = int(falls[int(drops.argmax())])
        fall, worst, ulps = fall_at(first, int(falls[0]), out), fall_at(first, at, out), int(drops.max())
    return Part(
        first, last, int(out[0]), int(out[-1]), len(falls), fall, worst, ulps, len(nans),
        first + int(nans[0]) if len(nans) else None, ends_of(out[nans]), zeros, nonzero,
        spans_of(first, last, falls, nans),
    )  # fmt: skip


def fall_at(first: int, at: int, out: np.ndarray) -> Fall:
    return Fall(first + at, int(out[at]), int(out[at + 1]))
