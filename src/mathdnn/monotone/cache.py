"""Complete scans kept between runs, by function, version, instruction set, processor and version of mathdnn.

A kept scan is used only when its file is whole and the running function still gives the outputs at the ends of all
chunks that the scan's digest was taken over; anything else is scanned anew. A folder that cannot be written is no
error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from mathdnn import __version__
from mathdnn.monotone.floats import bits_at
from mathdnn.monotone.found import Scan
from mathdnn.monotone.functions import Elementwise
from mathdnn.monotone.scan import CHUNK, chunk_ends


def default_folder() -> Path:
    """Where this user's programs keep what they can make again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "mathdnn" / "scans"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mathdnn" / "scans"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mathdnn" / "scans"


def load(f: Elementwise, cache: str | Path | bool | None) -> Scan | None:
    """The kept scan of f, or None."""
    path = _path(f, cache)
    if path is None:
        return None
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        found = msgspec.json.decode(body, type=Scan, strict=True)
    except (OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    whole = head == hashlib.sha256(body).hexdigest().encode() and found.complete and found.chunk == CHUNK
    return found if whole and found.values == f.form.values and live_digest(f) == found.digest else None


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


def live_digest(f: Elementwise) -> str:
    """The digest of what f gives now at both ends of every chunk."""
    ends = np.array([place for chunk in chunk_ends(f.form) for place in chunk])
    padded = np.resize(ends, -(-len(ends) // 4096) * 4096)  # so that none lies in a tail
    out = f.on_bits(bits_at(padded, f.form))[: len(ends)]
    return hashlib.sha256(out.astype(f"<i{f.form.width // 8}").tobytes()).hexdigest()


def _processor() -> str:
    """The processor's model: libraries choose their code by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line for line in lines if line.startswith(("vendor_id", "cpu family", "model", "CPU part"))]
    return " ".join([platform.machine(), platform.processor(), *named[:4]])


def _path(f: Elementwise, cache: str | Path | bool | None) -> Path | None:
    if cache is None or cache is False or not f.known:
        return None
    folder = default_folder() if cache is True else Path(cache)
    key = "\n".join((f.name, f.library, f.version, f.instruction_set, f.form.name, __version__, _processor()))
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
