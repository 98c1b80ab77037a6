"""What goes wrong, in one grammar: who (function and argument), what was expected, what came, what to do."""

import math
import numbers
import unicodedata
from typing import Any, TypeGuard


class MathdnnError(Exception):
    """The base of every error that mathdnn raises on purpose."""


class InvalidInput(MathdnnError, ValueError):
    """An argument, a file or a value that cannot be used: misuse, exit code 2 on the command line."""


class DataError(InvalidInput):
    """A data file that is missing, damaged or not what its name says."""


class RunError(InvalidInput):
    """A run folder or checkpoint that cannot be used: foreign, damaged, finished, or from another version."""


class OutputError(MathdnnError, OSError):
    """A result that could not be written; nothing half-written is left behind."""

    def __str__(self) -> str:
        return str(self.args[0])


class Diverged(MathdnnError, ArithmeticError):
    """Training left the finite numbers and was stopped."""


def sentence(who: str, expected: str, got: str, do: str) -> str:
    """The one sentence every error is made of.

    >>> sentence("ConnectionTable(maps=...)", "an input map in every output map", "map 3 with none", "fill it")
    'ConnectionTable(maps=...): expected an input map in every output map, got map 3 with none; fill it.'
    """
    return f"{who}: expected {expected}, got {got}; {do}."


def is_whole(value: object) -> TypeGuard[int]:
    """Whether `value` is one whole number, Python's or NumPy's; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def as_number(value: Any) -> float:
    """`value` as a float where it is one number, Python's, NumPy's or torch's; NaN where it is none (None, text, a list
    of two) or lies past the largest float."""
    try:
        one = value.item() if hasattr(value, "item") else value
        return math.nan if isinstance(one, str | bytes) else float(one)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last is torch's word for more numbers than one
        return math.nan


def shown(text: str) -> str:
    """Text of a file as a terminal may have it, on one line: what moves the cursor, hides or turns text round is
    written out, as \\x1b."""
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in hidden else c for c in text)


def printed(thing: object) -> str:
    """A thing as it prints; its type's name where even that raises."""
    try:
        return str(thing)
    except Exception:  # code of somebody's own
        return type(thing).__name__
