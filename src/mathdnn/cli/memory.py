"""A limit on memory while a user's code runs: what asks for more than there is fails, and is not killed by the system.

limit = the private memory in use + what the machine (or its control group) has left. It holds on Linux; elsewhere there
is none, and the system decides.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Around a user's code: an allocation beyond what is left raises `MemoryError` (torch: `RuntimeError`)."""
    in_use, left = _kilobytes("/proc/self/status", "VmData"), _left()
    if in_use is None or left is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([in_use + left, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _left() -> int | None:
    """Bytes that can still be used, or None where nothing says so."""
    known = [_kilobytes("/proc/meminfo", "MemAvailable")]
    with contextlib.suppress(OSError, ValueError):  # "max" where the group has no limit of its own
        allowed, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        known.append(max(0, allowed - used))
    return min((size for size in known if size is not None), default=None)


def _kilobytes(path: str, name: str) -> int | None:
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None
