"""What a user names on the command line: code as `MODULE:NAME`, sizes as `1,28,28`, and a place for a file.

Code is imported as Python imports it, with the current directory first, and is the user's own: it may do anything. What
it prints goes to standard error, so that standard output holds the answer alone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import mathdnn
from mathdnn.cli.memory import limited_memory
from mathdnn.errors import DataError, InvalidInput, MathdnnError, OutputError, sentence

_NOT_THEIRS = [
    Path(mathdnn.__file__).parent,
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
]
_LONGER = 30  # characters: a file is first written under a longer name


@contextlib.contextmanager
def foreign(who: str) -> Iterator[None]:
    """Around a user's code: its output goes to standard error; its wish to exit, and to have more memory than there is,
    are errors like others."""
    try:
        with _printing_aside(), limited_memory():
            yield
    except MemoryError:
        raise InvalidInput(
            sentence(who, "a question that fits in memory", "one that needs more than there is", "ask a smaller one")
        ) from None
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):
            raise
        raise InvalidInput(
            sentence(who, "code that returns", f"SystemExit({stop.code!r:.40})", "let it return")
        ) from None
    except (MathdnnError, KeyboardInterrupt):
        raise
    except BaseException as error:
        place = _place_of_theirs(error)
        if place is None:
            raise
        raise InvalidInput(
            sentence(who, "code that runs without an error", f"{_words(error)} ({place})", "mend the code")
        ) from error


@contextlib.contextmanager
def _printing_aside() -> Iterator[None]:
    """What is printed goes to standard error, also past Python: by compiled code, or a process that is started."""
    with contextlib.ExitStack() as after, contextlib.redirect_stdout(sys.stderr):
        if sys.__stdout__ is not None:  # else descriptor 1 may be anything
            with contextlib.suppress(OSError):  # one of the two is closed
                kept = os.dup(1)
                after.callback(os.close, kept)
                os.dup2(2, 1)
                after.callback(os.dup2, kept, 1)
        yield


def _place_of_theirs(error: BaseException) -> str | None:
    """Where the user's own code raised it; None where mathdnn or a library did, which may be a defect of mathdnn."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    file = "" if frame is None else frame.tb_frame.f_code.co_filename
    if frame is None or not os.path.isfile(file) or any(Path(file).is_relative_to(root) for root in _NOT_THEIRS):
        return None
    return f"{os.path.basename(file)}, line {frame.tb_lineno}"


def _words(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())[:160].removesuffix(".")
    except Exception:  # the exception is the user's own class, and what it says is code
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def load(name: str, who: str) -> Any:
    """What `MODULE:NAME` names; NAME may have dots. Raises `InvalidInput`, also for code that fails on import."""
    module, _, attribute = name.partition(":")
    if not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", name):
        raise InvalidInput(sentence(who, "MODULE:NAME", repr(name), "write it as in filters:blur"))
    with _current_directory_first(), foreign(who):
        found = _import(module, who)
    with foreign(who):  # a module's __getattr__ is code
        try:
            return reduce(getattr, attribute.split("."), found)
        except AttributeError:
            got = f"the module {module} without {attribute}"
            raise InvalidInput(sentence(who, f"{attribute} in {module}", got, "check the name")) from None


def load_operation(name: str, who: str) -> Any:
    """What `MODULE:NAME` names, which is no class. Raises `InvalidInput`."""
    found = load(name, who)
    with foreign(who):
        is_class = isinstance(found, type)
    if is_class:
        do = "name a function, or an object made from the class"
        raise InvalidInput(sentence(who, "an operation", f"the class {found.__name__}", do))
    return found


def require_time_limit(seconds: float, who: str) -> None:
    """Raise `InvalidInput` unless it is a time limit."""
    if not 0 < seconds <= 86_400:
        raise InvalidInput(sentence(who, "seconds from above 0 to 86400", f"{seconds:g}", "give a time limit"))


def _import(module: str, who: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if isinstance(error.name, str) and (module == error.name or module.startswith(error.name + ".")):
            do = "check the name, or run in the folder that holds it"
            raise InvalidInput(sentence(who, "a module that Python can import", f"no module {module}", do)) from None
        raise _fails(module, error, who) from error
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise _fails(module, error, who) from error


def _fails(module: str, error: BaseException, who: str) -> InvalidInput:
    got = f"{module}, which raises {_words(error)}"
    return InvalidInput(sentence(who, "a module that imports without an error", got, "mend the module"))


@contextlib.contextmanager
def _current_directory_first() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(here)


def sizes(text: str, who: str, example: str, separator: str = ",") -> tuple[int, ...]:
    """Whole numbers, as in `1,28,28`. Raises `InvalidInput`."""
    parts = text.split(separator)
    if not all(re.fullmatch(r" *[0-9]{1,9} *", part) for part in parts):
        raise InvalidInput(sentence(who, f"whole numbers, as in {example}", repr(text[:60]), "write them so"))
    return tuple(int(part) for part in parts)


@contextlib.contextmanager
def reading(who: str) -> Iterator[None]:
    """Around the reading of a file: where the system refuses (a damaged disk, a file that is none), a `DataError`."""
    try:
        yield
    except OSError as error:
        got = f"the answer {error.strerror or str(error)!r}"
        raise DataError(sentence(who, "a readable file", got, "check the path and the disk")) from None


def require_apart(one: Path | None, other: Path | None, who: str, whose: str) -> None:
    """Raise `InvalidInput` where an output would be the same file as another one, or as what is read."""
    if one is not None and other is not None and os.path.realpath(one) == os.path.realpath(other):
        raise InvalidInput(sentence(who, f"another file than {whose}", str(one), "give each a name of its own"))


def require_place(path: Path | None, who: str) -> None:
    """Raise `OutputError` before any work where a file cannot be written later."""
    if path is None:
        return
    folder = path.parent
    if os.path.isdir(path):
        got = "a folder"
    elif os.path.exists(path) and not os.path.isfile(path):
        got = "something that is not a regular file (a pipe, a device)"
    elif not os.path.isdir(folder):
        got = f"no folder {folder}"
    elif (answer := refusal(path.with_name(path.name + "x" * _LONGER)) or no_room(folder)) is not None:
        got = f"the answer {answer!r}"
    else:
        return
    raise OutputError(sentence(f"{who} {path}", "a file in a folder that may be written", got, "name another file"))


def no_room(folder: Path) -> str | None:
    """Why the system makes no file in a folder, or None. A file is made there: of root, rights alone say nothing."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


@contextlib.contextmanager
def no_empty_folders(folder: Path) -> Iterator[None]:
    """Around work that makes `folder`: where the work fails, the folders that it made and left empty are gone."""
    new = [made for made in (folder, *folder.parents) if not os.path.lexists(made)]
    try:
        yield
    except BaseException:
        for made in new:
            with contextlib.suppress(OSError):  # not empty: it holds what was written whole
                made.rmdir()
        raise


def refusal(path: Path) -> str | None:
    """Why the system takes no such name (it is too long, say), or None."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # a ValueError where the name holds a zero byte
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    return None
