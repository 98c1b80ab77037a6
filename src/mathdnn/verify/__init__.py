"""The independent checker: takes a verdict or its file, and says whether the evidence holds. Loads nothing of the
provers.

A file is hostile data: it is read as plain JSON, nothing in it runs, and whatever does not fit is rejected. What the
checker confirms, it says in its own words, for a sentence in a file is only a sentence.
"""

from __future__ import annotations

import importlib
import os
import stat
import sys
import types

from mathdnn.errors import InvalidInput, sentence, shown
from mathdnn.verdict import Certificate, Counterexample, Estimate, Undecided, Verdict, proved, refuted, undecided

__all__ = ["verify"]

_CHECKERS = ("convolution", "counterexamples", "monotone", "backprop", "homework")  # each has KINDS, and check(verdict)
_LARGEST = 1 << 29  # bytes of a file
CLAIM = "the evidence holds for: "  # what is claimed of a verdict, before what it says


def verify(certificate: Verdict | str | os.PathLike[str]) -> Verdict:
    """Check the evidence of a verdict, or of the file that it was saved to.

    proved: the evidence holds; refuted: it does not, and why; undecided: there is no checker for it, or this machine
    cannot run it. Raises `InvalidInput` for a file that cannot be read or holds no verdict.
    """
    verdict = certificate if isinstance(certificate, Verdict) else _read(certificate)
    claim = shown(f"{CLAIM}{verdict.claim}")
    if isinstance(verdict.evidence, Estimate):
        return undecided(claim, "it rests on runs, which a file cannot repeat", "repeating them")
    if isinstance(verdict.evidence, Undecided):
        return undecided(claim, "nothing was decided", "what the verdict names")
    kind = _kind(verdict)
    for name in _CHECKERS:
        checker = importlib.import_module(f"mathdnn.verify.{name}")
        if kind not in checker.KINDS:
            continue
        holds, words = _checked(checker, verdict)
        if holds and hasattr(checker, "sentence_of"):
            claim = shown(f"{CLAIM}{checker.sentence_of(verdict)}")
        if holds is None:
            return undecided(claim, words, "a machine and versions that can run it")
        if not holds:
            return refuted(claim, Counterexample(words, kind, str(verdict.status), "rejected"))
        method = f"checked again by code of its own: {words}" if words else "checked again by code of its own"
        return proved(claim, Certificate("verify", method, {"kind": kind}), equality=verdict.equality)
    what = f"evidence of the kind {kind!r:.60}" if kind else "evidence like this, which names no kind"
    return undecided(claim, f"no checker knows {what}", "a checker for it")


def _checked(checker: types.ModuleType, verdict: Verdict) -> tuple[bool | None, str]:
    """What a checker says. A file can be wrong in more ways than a checker foresees."""
    try:
        holds, words = checker.check(verdict)
    except ImportError:  # it is the machine that lacks something
        raise
    except MemoryError:
        holds, words = None, "it takes more memory than there is"
    except Exception as error:
        holds, words = False, f"the evidence is malformed ({type(error).__name__}: {str(error)[:120]})"
    return holds, shown(words)


class _Checker(types.ModuleType):
    """This module, which is called like the function: `mathdnn.verify` names both, whichever was imported first."""

    def __call__(self, certificate: Verdict | str | os.PathLike[str]) -> Verdict:
        return verify(certificate)


sys.modules[__name__].__class__ = _Checker


def _kind(verdict: Verdict) -> str:
    evidence = verdict.evidence
    if isinstance(evidence, Certificate):
        return evidence.kind
    return str(evidence.data.get("kind", "")) if isinstance(evidence, Counterexample) else ""


def _read(path: str | os.PathLike[str]) -> Verdict:
    who = "verify(path)"
    if not isinstance(path, str | os.PathLike):
        raise InvalidInput(
            sentence(who, "a file with a verdict", f"a {type(path).__name__}", "give a path, or the Verdict itself")
        )
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:  # of what was opened: a pipe would never end
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                kind = "a folder" if stat.S_ISDIR(status.st_mode) else "something else (a pipe, a device)"
                raise InvalidInput(sentence(who, "a regular file", kind, "name the file itself"))
            if status.st_size > _LARGEST:
                expected = f"a file of at most {_LARGEST} bytes"
                raise InvalidInput(sentence(who, expected, "a larger one", "check the file"))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(_LARGEST + 1) or b""  # a file of the system may answer with nothing
        finally:
            os.close(descriptor)
    except InvalidInput:
        raise
    except (OSError, ValueError) as error:
        raise InvalidInput(sentence(who, "a file with a verdict", str(error), "check the path")) from None
    return Verdict.from_json(content)
