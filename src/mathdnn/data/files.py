"""Files opened with care and replaced whole: what is read is a regular file, what is written appears whole or not."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from mathdnn.errors import DataError, InvalidInput, OutputError, sentence


def checked_path(path: Any, who: str) -> Path:
    """`path` as a Path. Raises `InvalidInput` for what names no file: None, a number, bytes."""
    try:
        return Path(path)
    except TypeError:
        got = "None" if path is None else f"a {type(path).__name__}"
        raise InvalidInput(sentence(who, "a path: text or a Path", got, "write it as text")) from None


def open_regular(path: str | os.PathLike[str], who: str) -> BinaryIO:
    """Open a regular file for reading. A missing path, a folder, a pipe or a device is a `DataError`, never a hang."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb")
    except FileNotFoundError:
        raise DataError(sentence(who, "a file", "none of that name", "check the path")) from None
    except (OSError, ValueError) as error:  # a ValueError where the name holds a zero byte
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(
            sentence(who, "a readable file", f"the answer {reason!r}", "check the path and its permissions")
        ) from None
    kind = "a folder" if stat.S_ISDIR(mode) else "something that is not a regular file (a pipe, a device)"
    raise DataError(sentence(who, "a regular file", kind, "name the file itself"))


def replace_file(path: str | os.PathLike[str], content: bytes | memoryview, who: str = "replace_file") -> None:
    """Write `content` to `path` so that a crash leaves the old file or the new one, never a part of either.

    A temporary file in the same folder is written, synced and renamed, then the folder is synced. Raises `OutputError`.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a device would be lost
        kind = "a folder" if path.is_dir() else "something that is not a regular file (a pipe, a device)"
        raise OutputError(sentence(f"{who}({path})", "a regular file, or none yet", kind, "name another file"))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except (OSError, ValueError) as error:  # a ValueError where the name holds a zero byte
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise OutputError(
            sentence(
                f"{who}({path})",
                "a place to write",
                f"the answer {reason!r}",
                "choose a folder that exists, may be written and has room",
            )
        ) from error


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and the rename is durable by itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
