"""New memory for large results.

The system clears every page of new memory when it is first written, one interruption a page. With pages of 4 KiB that
takes most of the time of a large Jacobian (measured: 400 MB are written in 151 ms, with huge pages of 2 MiB in 23 ms,
into memory that is used again in 14 ms). So what is needed together is taken as one piece, and

    below 32 MiB    by torch: the C library keeps one such piece for the next that asks (glibc: M_MMAP_THRESHOLD grows
                    to at most 32 MiB, and twice of it is what may lie free at the end), several at once it gives back;
    from there on   in huge pages, where the system gives them to those who ask (Linux).
"""

from __future__ import annotations

import itertools
import math
import mmap
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    import torch

PAGE = 1 << 21  # bytes of a huge page (x86-64, and ARM with base pages of 4 KiB)
KEPT = 1 << 25  # bytes that the C library keeps, see above
LINE = 64  # bytes of a cache line, at which every tensor starts


def empty(shapes: Sequence[tuple[int, ...]], like: torch.Tensor) -> list[torch.Tensor]:
    """Uninitialised contiguous tensors of these shapes with the dtype and device of `like`, in one piece of memory."""
    step = LINE // like.element_size()
    places = [0, *itertools.accumulate(-(-math.prod(shape) // step) * step for shape in shapes)]
    whole = _piece(places[-1], like)
    return [whole[at : at + math.prod(shape)].view(shape) for at, shape in zip(places, shapes, strict=False)]


def _piece(count: int, like: torch.Tensor) -> torch.Tensor:
    import torch

    size = count * like.element_size()
    if like.device.type == "cpu":
        require(size, "jacobians(x)", "take fewer samples at once, or leave the outer products as factors")
    if size < KEPT or like.device.type != "cpu" or not hasattr(mmap, "MADV_HUGEPAGE"):
        return like.new_empty(count)
    try:
        memory = mmap.mmap(-1, -(-size // PAGE) * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # no such memory, or a system without huge pages: torch says what is so
        return like.new_empty(count)
    return torch.frombuffer(memory, dtype=like.dtype, count=count)


def require(size: int, who: str, do: str) -> None:
    """Raise `InvalidInput` for more bytes than are free: the system promises them, and ends the program on the way."""
    free = available() if size >= KEPT else None
    if free is not None and size > free:
        raise InvalidInput(
            sentence(who, f"at most the {free / 1e9:.1f} GB of memory that are free", f"{size / 1e9:.1f} GB", do)
        )


def available() -> int | None:
    """Bytes of memory that are free for use, where the system says so (Linux)."""
    try:
        with open("/proc/meminfo") as lines:
            found = re.search(r"^MemAvailable: *([0-9]+) kB", lines.read(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
