"""What the checkers share about a file: its seal, and its numbers."""

from __future__ import annotations

import hashlib
import re
from fractions import Fraction
from typing import Any

import msgspec

from mathdnn.verdict import Certificate, Counterexample, Verdict

BROKEN = "the seal does not fit: the file was changed"
_DECIMAL = re.compile(r"-?[0-9]{1,200}\.[0-9]{1,200}")
_RATIONAL = re.compile(r"-?[0-9]{1,200}(/[0-9]{1,200})?")


def seal_holds(verdict: Verdict) -> bool:
    """Whether the digest in the evidence's data is that of all else in the verdict."""
    evidence = verdict.evidence
    assert isinstance(evidence, Certificate | Counterexample)
    data = {key: value for key, value in evidence.data.items() if key != "seal"}
    bare = msgspec.structs.replace(verdict, evidence=msgspec.structs.replace(evidence, data=data))
    return bool(hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest() == evidence.data.get("seal"))


def rational(text: Any) -> Fraction:
    """The number written as -3 or 2/7. Raises ValueError for any other text: 1e999999999 would take for ever."""
    if type(text) is not str or not _RATIONAL.fullmatch(text):
        raise ValueError(f"{text!r:.40} is no rational number")
    return Fraction(text)


def number(text: Any) -> Fraction:
    """The number written as -3, 2/7 or 0.01. Raises ValueError for any other text."""
    return Fraction(text) if type(text) is str and _DECIMAL.fullmatch(text) else rational(text)


def quoted(text: str) -> str:
    """Words of a file between quotes, out of which they have no way."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
