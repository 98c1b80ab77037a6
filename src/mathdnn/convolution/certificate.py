"""The certificate of a convolution: both sides as data, so that a checker can do everything again.

`data`: "left" and "right" are {"graph": ..., "input": shape} or {"form": ..., "input": shape}; "rounding" bounds the
difference of the two float computations.
"""

from __future__ import annotations

import hashlib
from decimal import ROUND_CEILING, Context
from typing import Any

import msgspec

from mathdnn.convolution.form import ConvForm
from mathdnn.errors import InvalidInput, sentence
from mathdnn.verdict import Certificate, Plain, Verdict, proved

KIND = "convolution"


class ConvCertificate(Certificate, frozen=True, tag="certificate", tag_field="type"):
    """A certificate that two maps are one, at least one of them a `ConvForm` where `.form` is asked for."""

    def __str__(self) -> str:
        words = rounding_words(self.data)
        return f"{self.method}\n  {words}" if words else self.method

    @property
    def form(self) -> ConvForm:
        """The convolution that was found or compared with. Raises `InvalidInput` where neither side is a form."""
        return form_of(self)


def rounding_words(data: dict[str, Plain], where: str = "on this size") -> str:
    """What the certificate says about floats, in a line; both numbers are rounded up. Empty where it says nothing."""
    bound = data.get("rounding")
    if not isinstance(bound, dict) or data.get("relation") != "equal":
        return ""
    dtype = "float32" if bound["unit_roundoff"] == 2.0**-24 else "float64"
    plus = f" plus {_up(bound['offset'])}" if bound["offset"] else ""
    most = f"{_up(bound['slope'])} times the largest pixel{plus}"
    return f"computed in {dtype} {where}, the two differ by at most {most} ({bound['holds_for']})"


def _up(value: float) -> str:
    """Two digits, never less than the value."""
    return f"{Context(prec=2, rounding=ROUND_CEILING).create_decimal_from_float(value):.1e}" if value else "0"


def form_of(evidence: Certificate | Verdict) -> ConvForm:
    """The form in a certificate or in a verdict, also after reading it from a file. Raises `InvalidInput`."""
    certificate = getattr(evidence, "evidence", evidence)
    data = getattr(certificate, "data", {})
    for side in ("right", "left"):
        if isinstance(data, dict) and isinstance(data.get(side), dict) and "form" in data[side]:
            return ConvForm.from_plain(data[side]["form"])
    raise InvalidInput(
        sentence(
            "form_of(evidence)",
            "a certificate with a form on one side",
            f"a {type(certificate).__name__}",
            "ask as_conv2d",
        )
    )


def certified(claim: str, method: str, data: dict[str, Plain], **more: Any) -> Verdict:
    """A proved verdict whose certificate carries a seal: the SHA-256 of all else in the verdict."""
    bare = proved(claim, Certificate(KIND, method, data), **more)
    seal = hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()
    return proved(claim, ConvCertificate(KIND, method, {**data, "seal": seal}), **more)
