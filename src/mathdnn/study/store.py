"""Results of runs in one SQLite file: each is whole or absent after a kill, and only one process writes at a time."""

from __future__ import annotations

import os
import sqlite3
from types import TracebackType

from mathdnn.data import checked_path
from mathdnn.errors import InvalidInput, OutputError, RunError, sentence

_FORMAT = 0x6D646E31  # "mdn1", SQLite's application_id: tells this file from any other database
_TABLE = """CREATE TABLE IF NOT EXISTS result (
    design TEXT NOT NULL, arm TEXT NOT NULL, seed INTEGER NOT NULL, value REAL NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (design, arm, seed)) WITHOUT ROWID"""


class Store:
    """Open or create the file `path`; use it in a `with` statement. Results are keyed by design digest, arm and seed.

    Raises `InvalidInput` for a path that names no file, `RunError` for a file that is something else, damaged, or held
    by another process, `OutputError` where it cannot be created.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        file = checked_path(path, "Store(path)")
        self._who = f"Store({file})"
        if not os.fspath(path) or "\0" in str(file):  # SQLite takes "" for a database that is deleted when closed
            raise InvalidInput(sentence("Store(path)", "a name of a file", repr(path), "choose a name"))
        try:  # absolute, for SQLite keeps nothing of ":memory:"
            self._database = sqlite3.connect(file.absolute(), timeout=0, isolation_level=None)
        except sqlite3.Error as error:
            raise OutputError(
                sentence(self._who, "a place to write", f"the answer '{error}'", "choose a folder that exists")
            ) from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise self._refusal(error) from None
        except RunError:
            self._database.close()
            raise

    def _prepare(self) -> None:
        execute = self._database.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")  # held until closed: one writer
        execute("PRAGMA synchronous = FULL")
        execute("BEGIN IMMEDIATE")
        format_, tables = (execute(f"SELECT {what}").fetchone()[0] for what in _WHAT)
        if format_ != _FORMAT and tables:
            got = "a database of something else"
            raise RunError(sentence(self._who, "a store of results", got, "name another file"))
        execute(f"PRAGMA application_id = {_FORMAT}")
        execute(_TABLE)
        execute("COMMIT")
        (check,) = execute("PRAGMA quick_check(1)").fetchone()
        if check != "ok":
            raise RunError(sentence(self._who, "a sound store", f"the answer {check!r}", "start with a new file"))

    def results(self, design: str) -> dict[tuple[str, int], tuple[float, float]]:
        """(arm, seed) -> (value, seconds) of the design with this digest."""
        query = "SELECT arm, seed, value, seconds FROM result WHERE design = ?"
        try:
            rows = self._database.execute(query, (design,)).fetchall()
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        return {(arm, seed): (value, seconds) for arm, seed, value, seconds in rows}

    def add(self, design: str, arm: str, seed: int, value: float, seconds: float) -> None:
        """Keep one result; it is on the disk when this returns."""
        try:
            self._database.execute("INSERT INTO result VALUES (?, ?, ?, ?, ?)", (design, arm, seed, value, seconds))
        except sqlite3.Error as error:
            raise self._refusal(error) from None

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refusal(self, error: sqlite3.Error) -> Exception:
        message = str(error)
        if "locked" in message:
            do = "wait until it ends, or name another file"
            return RunError(sentence(self._who, "a store that is free", "one that another process holds", do))
        if "full" in message or "readonly" in message or "disk I/O" in message:
            do = "make room, or choose a place that may be written"
            return OutputError(sentence(self._who, "a place to write", f"the answer '{message}'", do))
        return RunError(sentence(self._who, "a store of results", f"the answer '{message}'", "name another file"))


_WHAT = ("application_id FROM pragma_application_id", "count(*) FROM sqlite_master")
