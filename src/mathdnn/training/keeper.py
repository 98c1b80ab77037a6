"""The folder of a run: who may write there, what may be resumed, and checkpoints that appear whole or not at all."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mathdnn.data import replace_file
from mathdnn.errors import MathdnnError, OutputError, RunError, sentence
from mathdnn.training.checkpoint import NAME, Position, encode, read
from mathdnn.training.record import Run

if TYPE_CHECKING:
    import torch

SAME = {
    "recipe": "recipe",
    "seed": "seed",
    "engine": "engine",
    "judged": "judged split",
    "data_digest": "data",
    "model": "network",
    "frozen": "frozen parameters",
}
"""What a resumed run must share with the one that began, and how a sentence calls it."""

_BEGIN = "check the path, or begin a run there without resume"


class Keeper:
    """Writes the checkpoints of one run into one folder, which it keeps locked against other processes."""

    def __init__(self, folder: Path, lock: int | None, seconds: float, state: Any = None, new: bool = False) -> None:
        self.folder, self.lock, self.seconds, self.new = folder, lock, seconds, new
        self.state, self.written = state, time.monotonic()

    @classmethod
    def open(cls, run: str | os.PathLike[str], resume: bool, record: Run, seconds: float) -> Keeper:
        """Take the folder. Raises `RunError` where it may not be used for `record`, `OutputError` where it cannot."""
        who = f"train(run={os.fspath(run)!s})"
        try:
            return cls._open(Path(run), who, resume, record, seconds)
        except MathdnnError:
            raise
        except (OSError, ValueError) as error:
            got = f"the answer {(error.strerror if isinstance(error, OSError) else None) or str(error)!r}"
            do = "choose a folder that may be read and written"
            raise OutputError(sentence(who, "a folder to keep the run in", got, do)) from error

    @classmethod
    def _open(cls, folder: Path, who: str, resume: bool, record: Run, seconds: float) -> Keeper:
        new = not folder.exists()
        if not resume:
            _require_vacant(folder, who)
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.is_dir():
            read(folder, who, _BEGIN)  # says what is missing
        lock = _lock(folder, who)
        try:
            if not resume:
                _require_vacant(folder, who)
            state = _resumable(folder, record, who) if resume else None
            _remove_parts(folder)
        except BaseException:
            _unlock(lock)
            raise
        return cls(folder, lock, seconds, state, new)

    def saved(self) -> tuple[Run, Position, dict[str, torch.Tensor]]:
        """What the folder held when it was opened to resume."""
        state, self.state = self.state, None
        taken: tuple[Run, Position, dict[str, torch.Tensor]] = state
        return taken

    def due(self) -> bool:
        """Whether the last checkpoint is old enough for a new one."""
        return time.monotonic() - self.written >= self.seconds

    def write(self, record: Run, position: Position, tensors: dict[str, torch.Tensor]) -> None:
        """Replace the checkpoint. A kill at any moment leaves the one before or this one. Raises `OutputError`."""
        replace_file(self.folder / NAME, encode(record, position, tensors), "train(run=...)")
        self.written = time.monotonic()

    def close(self) -> None:
        """Let others use the folder; one that was made for this run, and in which nothing could be kept, goes."""
        if self.new:
            with suppress(OSError):  # it holds a checkpoint
                self.folder.rmdir()
        _unlock(self.lock)
        self.lock = None


def _require_vacant(folder: Path, who: str) -> None:
    if not folder.exists():
        return
    expected = "a new or an empty folder"
    if not folder.is_dir():
        raise OutputError(sentence(who, expected, "something that is not a folder", "choose another path"))
    held = sorted(path.name for path in folder.iterdir() if not _is_part(path))
    if NAME in held:
        raise RunError(sentence(who, expected, "one that holds a run", "pass resume=True or choose another folder"))
    if held:
        got = f"one that holds {held[0]!r:.80}" + (f" and {len(held) - 1} more" if held[1:] else "")
        raise RunError(sentence(who, expected, got, "choose another folder"))


def _resumable(folder: Path, record: Run, who: str) -> tuple[Run, Position, dict[str, torch.Tensor]]:
    saved, position, tensors = read(folder, who, _BEGIN)
    if saved.finished:
        got = f"one that finished its last epoch, number {saved.recipe.epochs}"
        raise RunError(sentence(who, "a run that was stopped", got, "read it with load_run, or train in a new folder"))
    for field, name in SAME.items():
        was, now = getattr(saved, field), getattr(record, field)
        if was != now:
            expected = f"the {name} the run began with, {_short(was)}"
            do = f"resume with the same {name}, or train in a new folder"
            raise RunError(sentence(who, expected, _short(now), do))
    return _noted(saved, record, position), position, tensors


def _short(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return msgspec.json.encode(value).decode()
    return f"{value[:12]}..." if isinstance(value, str) and len(value) == 64 else repr(value)


def _noted(saved: Run, record: Run, position: Position) -> Run:
    """`saved` with a note of every version and part of the machine that changed, since bits may then differ."""
    changed = [
        f"{key} {was.get(key)} -> {now.get(key)}"
        for was, now in ((saved.versions, record.versions), (saved.machine, record.machine))
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key)
    ]
    if not changed:
        return saved
    where = f"resumed at epoch {position.epoch + 1}, step {position.step}"
    note = f"{where} with {', '.join(changed)}: the bits may differ from an uninterrupted run"
    return msgspec.structs.replace(saved, notes=(*saved.notes, note))


def _is_part(path: Path) -> bool:
    return path.name.startswith(f".{NAME}.") and path.name.endswith(".tmp")


def _remove_parts(folder: Path) -> None:
    """Remove what a killed write left behind; the lock says that nobody is writing."""
    for path in folder.iterdir():
        if _is_part(path):
            path.unlink(missing_ok=True)


def _lock(folder: Path, who: str) -> int | None:
    """An open descriptor that holds the lock, or None where the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        got = "one that another process is training in"
        raise RunError(sentence(who, "a folder of its own", got, "wait for it or choose another folder")) from None
    except OSError:  # a file system without locks: two writers are then the user's care
        os.close(descriptor)
        return None
    return descriptor


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
