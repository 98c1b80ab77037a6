"""Complete scans of float32 kept between runs, by function, version, instruction set, processor and version of mathdnn.

A file has no secret in it, so whoever can write it can forge it. A kept scan is used only where its file is this user's
own and no one else may write it, is whole and says nothing that no scan finds, and where the running function gives
what it says: the outputs at the ends of all chunks, the falls that it names, and a sample of whole chunks drawn anew
each time. Anything else is scanned anew; the verdict says where a kept scan was used. Narrower formats take
milliseconds and are never kept. A folder that cannot be written is no error, nor is a user without a home.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import random
import stat
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from mathdnn import __version__
from mathdnn.data.files import open_regular
from mathdnn.errors import InvalidInput
from mathdnn.monotone.floats import Format, bits_at, is_nan, place_of, values_of
from mathdnn.monotone.found import Fall, Part, Scan, Span
from mathdnn.monotone.functions import Elementwise
from mathdnn.monotone.scan import CHUNK, chunk_ends, evaluate, pair_outputs

LARGEST = 1 << 16  # bytes of a file: a scan has about a thousand
SAMPLE = 48  # chunks, 0.6 % of them; heuristic: they take about as long as the ends


def default_folder() -> Path:
    """Where this user's programs keep what they can make again. Raises RuntimeError for one without a home."""
    variable, below = {"win32": ("LOCALAPPDATA", "AppData/Local"), "darwin": ("", "Library/Caches")}.get(
        sys.platform, ("XDG_CACHE_HOME", ".cache")
    )
    return Path(os.environ.get(variable) or Path.home() / below) / "mathdnn" / "scans"


def load(f: Elementwise, cache: str | Path | bool | None) -> Scan | None:
    """The kept scan of f, or None."""
    path = _path(f, cache)
    content = None if path is None else _read(path)
    if content is None:
        return None
    head, _, body = content.partition(b"\n")
    if head != hashlib.sha256(body).hexdigest().encode():
        return None
    try:
        found = msgspec.json.decode(body, type=Scan, strict=True)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return found if possible(found, f.form) and _still_true(f, found) else None


def _read(path: Path) -> bytes | None:
    """The content of a file that is this user's own and that no one else may write, or None."""
    try:
        with open_regular(path, "cache.load") as file:
            status = os.fstat(file.fileno())
            ours = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
            return file.read(LARGEST) if ours and stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST else None
    except (OSError, InvalidInput):
        return None


def save(f: Elementwise, found: Scan, cache: str | Path | bool | None) -> None:
    """Keep a complete scan: written beside, synced, then renamed."""
    path = _path(f, cache)
    if path is None or not found.complete:
        return
    body = msgspec.json.encode(found)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


def possible(found: Scan, form: Format) -> bool:
    """Whether a complete scan of the format can have found this: counts, places and bits that fit together."""
    last, limit = form.infinity, form.magnitude
    falls = [fall for fall in (found.first_fall, found.worst_fall) if fall is not None]
    if (found.values, found.complete, found.chunk) != (form.values, True, CHUNK):
        return False
    if not 0 <= found.decreasing < found.values or len(falls) != (2 if found.decreasing else 0):
        return False
    if any(not form.first <= fall.place < last or not _falls(fall, form) for fall in falls):
        return False
    if found.worst_ulps != (_drop(falls[1], form) if falls else 0) or (falls and falls[0].place > falls[1].place):
        return False
    nans = found.nan_bits
    if not 0 <= found.nan_outputs <= found.values or (found.nan_outputs > 0) != (found.first_nan is not None):
        return False
    if (found.first_nan is not None and not form.first <= found.first_nan <= last) or bool(nans) != (
        found.first_nan is not None
    ):
        return False
    if any(not last < bits & limit <= limit or not -limit - 1 <= bits <= limit for bits in nans) or len(nans) > 2:
        return False
    if not set(found.zero_bits) <= {0, -limit - 1} or len(found.zero_bits) > 2:
        return False
    return _spans_fit(found, form)


def _spans_fit(found: Scan, form: Format) -> bool:
    """Whether the spans lie in the format, in order and apart; and are all of it where nothing falls or is NaN."""
    if not found.decreasing and not found.nan_outputs:
        return found.spans == (Span(form.first, form.infinity),)
    borders = [form.first - 1, *(place for span in found.spans for place in (span.first, span.last)), form.infinity + 1]
    starts, ends = borders[1::2], borders[2::2]
    apart = all(end < start for end, start in zip(borders[::2], starts, strict=True))
    return apart and all(start <= end for start, end in zip(starts[:-1], ends, strict=False)) and len(borders) < 20


def _falls(fall: Fall, form: Format) -> bool:
    limit = form.magnitude
    if not all(-limit - 1 <= bits <= limit for bits in (fall.before, fall.after)):
        return False
    bits = np.array([fall.before, fall.after], form.integer)
    before, after = values_of(bits, form)
    return not is_nan(bits, form).any() and bool(after < before)


def _drop(fall: Fall, form: Format) -> int:
    high, low = place_of(np.array([fall.before, fall.after], form.integer), form)
    return int(high - low)


def _still_true(f: Elementwise, found: Scan) -> bool:
    """Whether f gives now what the scan says: at the ends of all chunks, and on a sample of whole chunks."""
    out = live_ends(f)
    if _digest(f.form, out) != found.digest:
        return False
    y = values_of(out, f.form)
    if int((y[2::2] < y[1:-1:2]).sum()) > found.decreasing:  # from the last of a chunk to the first of the next
        return False
    falls = [fall for fall in (found.first_fall, found.worst_fall) if fall is not None]
    if any(pair_outputs(f, fall.place) != (fall.before, fall.after) for fall in falls):
        return False
    if (
        found.first_nan is not None
        and not is_nan(np.array(pair_outputs(f, found.first_nan)[:1], f.form.integer), f.form)[0]
    ):
        return False
    chunks = list(chunk_ends(f.form))
    return all(
        _agrees(part, found) for _, part in evaluate(f, [(i, chunks[i]) for i in _some(found, chunks)], None, CHUNK)
    )


def _some(found: Scan, chunks: list[tuple[int, int]]) -> list[int]:
    """The numbers of the chunks to evaluate again: the ends, both sides of zero, what is named, and a random sample."""
    places = {0, -1, *(place for span in found.spans for place in (span.first, span.last))}
    places |= {fall.place for fall in (found.first_fall, found.worst_fall) if fall is not None}
    places |= {found.first_nan} if found.first_nan is not None else set()
    named = {i for i, (first, last) in enumerate(chunks) for place in places if first <= place <= last}
    return sorted(named | {0, len(chunks) - 1} | set(random.SystemRandom().sample(range(len(chunks)), SAMPLE)))


def _agrees(part: Part, found: Scan) -> bool:
    """Whether a chunk that was evaluated again holds nothing that the scan did not find, and what it found there."""

    inside = any(span.first <= part.first and part.last <= span.last for span in found.spans)
    if part.decreasing > found.decreasing or part.nan_outputs > found.nan_outputs or part.worst_ulps > found.worst_ulps:
        return False
    if inside and (part.decreasing or part.nan_outputs):
        return False
    if part.first_fall is not None and found.first_fall is not None and part.first_fall.place < found.first_fall.place:
        return False
    if part.first_nan is not None and found.first_nan is not None and part.first_nan < found.first_nan:
        return False
    known = set(part.zeros) <= set(found.zero_bits) and (found.nonzero_to_zero or not part.nonzero_to_zero)
    return known and (
        not part.nan_bits or min(found.nan_bits) <= min(part.nan_bits) <= max(part.nan_bits) <= max(found.nan_bits)
    )


def live_ends(f: Elementwise) -> np.ndarray:
    """What f gives now at both ends of every chunk."""
    ends = np.array([place for chunk in chunk_ends(f.form) for place in chunk])
    padded = np.resize(ends, -(-len(ends) // 4096) * 4096)  # so that none lies in a tail
    return f.on_bits(bits_at(padded, f.form))[: len(ends)]


def _digest(form: Format, out: np.ndarray) -> str:
    return hashlib.sha256(out.astype(f"<i{form.width // 8}").tobytes()).hexdigest()


def _processor() -> str:
    """The processor's model: libraries choose their code by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line for line in lines if line.startswith(("vendor_id", "cpu family", "model", "CPU part"))]
    return " ".join([platform.machine(), platform.processor(), *named[:4]])


def _path(f: Elementwise, cache: str | Path | bool | None) -> Path | None:
    if cache is None or cache is False or not f.known or f.form.width == 16:
        return None
    try:
        folder = default_folder() if cache is True else Path(cache)
    except RuntimeError:
        return None
    key = "\n".join((f.name, f.library, f.version, f.instruction_set, f.form.name, __version__, _processor()))
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
