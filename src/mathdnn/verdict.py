"""The one answer that every question ends in: a claim, its status, the evidence, and what the evidence rests on.

| status                   | evidence         |
| ------------------------ | ---------------- |
| proved                   | `Certificate`    |
| refuted                  | `Counterexample` |
| supported / contradicted | `Estimate`       |
| undecided                | `Undecided`      |

A verdict prints as plain words, and goes to JSON and back without loss. Evidence holds plain data only (strings, whole
numbers, finite floats, lists, dictionaries, None), so a file can never run anything; arrays travel as `pack_array`.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from mathdnn.errors import InvalidInput, sentence
from mathdnn.plain import Plain as Plain
from mathdnn.plain import pack_array as pack_array
from mathdnn.plain import require_plain as require_plain
from mathdnn.plain import require_readable
from mathdnn.plain import unpack_array as unpack_array


class Status(enum.StrEnum):
    """How a question ended."""

    PROVED = "proved"
    REFUTED = "refuted"
    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


class Equality(enum.StrEnum):
    """How equal two functions are; the three are never mixed."""

    BITWISE = "bitwise"
    REALS = "exact over the reals"
    VALUES = "equal as values"


class _Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Assumption(_Frozen, frozen=True):
    """What was not shown, and why it is believed."""

    statement: str
    because: str = ""

    def __str__(self) -> str:
        return f"{self.statement} ({self.because})" if self.because else self.statement


class Certificate(_Frozen, frozen=True, tag="certificate", tag_field="type"):
    """Evidence of a proof: `kind` names the checker, `method` says how in a sentence, `data` is what checking takes."""

    kind: str
    method: str
    data: dict[str, Plain] = {}

    def __post_init__(self) -> None:
        require_plain(self.data, "Certificate(data=...)")

    def __eq__(self, other: object) -> bool:
        """By content: a prover's own kind of certificate equals the plain one that is read back from its file."""
        if not isinstance(other, Certificate):
            return NotImplemented
        return (self.kind, self.method, self.data) == (other.kind, other.method, other.data)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.method


class Counterexample(_Frozen, frozen=True, tag="counterexample", tag_field="type"):
    """Evidence of a refutation: the smallest input found, what was claimed there, and what came out.

    `statement` says it in one sentence; `input`, `claimed` and `found` are plain data (arrays by `pack_array`).
    """

    statement: str
    input: Plain
    claimed: Plain
    found: Plain
    data: dict[str, Plain] = {}

    def __post_init__(self) -> None:
        for name in ("input", "claimed", "found", "data"):
            require_plain(getattr(self, name), f"Counterexample({name}=...)")

    def __str__(self) -> str:
        return self.statement


class Estimate(_Frozen, frozen=True, tag="estimate", tag_field="type"):
    """Evidence from runs: an effect with its interval. Everything but `value`, `low`, `high`, `raw` was fixed before.

    `level` is the interval's coverage (0.95), `runs` the number of independent runs, `method` the interval or test,
    `margin` the equivalence margin in units of `quantity`, `raw` one value a run.
    """

    quantity: str
    value: float
    low: float
    high: float
    level: float
    runs: int
    method: str
    unit: str = ""
    margin: float | None = None
    published: float | None = None
    raw: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("value", "low", "high", "level"):
            require_plain(getattr(self, name), f"Estimate({name}=...)")
        require_plain(list(self.raw), "Estimate(raw=...)")

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        level = f"{100 * self.level:.4g}% interval" if self.level < 1 else "range"
        interval = f"{self.quantity}: {self.value:.4g}{unit}, {level} [{self.low:.4g}, {self.high:.4g}]"
        margin = "" if self.margin is None else f", margin ±{self.margin:g} fixed before the runs"
        published = "" if self.published is None else f", published {self.published:g}"
        return f"{interval} over {self.runs} run{'s' * (self.runs != 1)} ({self.method}{margin}{published})"


class Undecided(_Frozen, frozen=True, tag="undecided", tag_field="type"):
    """Why there is no answer, and what would decide it."""

    why: str
    would_decide: str

    def __str__(self) -> str:
        return f"{self.why}; it would be decided by {self.would_decide}"


Evidence = Certificate | Counterexample | Estimate | Undecided

_EVIDENCE_OF = {
    Status.PROVED: Certificate,
    Status.REFUTED: Counterexample,
    Status.SUPPORTED: Estimate,
    Status.CONTRADICTED: Estimate,
    Status.UNDECIDED: Undecided,
}


class Verdict(_Frozen, frozen=True):
    """The answer to one question.

    `claim` is a sentence, `status` how it ended, `evidence` what fits the status (see the module), `equality` which of
    the three equalities is meant where two functions are compared, `assumptions` what was not shown.
    """

    claim: str
    status: Status
    evidence: Evidence
    assumptions: tuple[Assumption, ...] = ()
    equality: Equality | None = None

    def __post_init__(self) -> None:
        expected = _EVIDENCE_OF[self.status]
        if not isinstance(self.evidence, expected):
            raise InvalidInput(
                sentence(
                    "Verdict(evidence=...)",
                    f"a {expected.__name__} for the status {self.status!s}",
                    f"a {type(self.evidence).__name__}",
                    "give the evidence that the status stands on",
                )
            )

    def __bool__(self) -> bool:
        raise TypeError(
            sentence(
                "bool(Verdict)",
                "a look at .status",
                "a truth test",
                "compare with Status.PROVED and so on, since undecided is neither true nor false",
            )
        )

    def __str__(self) -> str:
        lines = [f"{self.status.upper()}: {self.claim}", f"  {self.evidence}"]
        if self.equality is not None:
            lines.append(f"  equality: {self.equality!s}")
        lines += [f"  assuming: {assumption}" for assumption in self.assumptions]
        return "\n".join(lines)

    def to_plain(self) -> dict[str, Plain]:
        """The verdict as plain data, ready for `json.dumps`."""
        plain: dict[str, Plain] = msgspec.json.decode(msgspec.json.encode(self))
        return plain

    def to_json(self, *, indent: int = 2) -> str:
        """The verdict as one JSON document (UTF-8 text)."""
        return msgspec.json.format(msgspec.json.encode(self), indent=indent).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Verdict:
        """Read back what `to_json` wrote. Raises `InvalidInput` for anything else."""
        try:
            require_readable(text)
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise InvalidInput(
                sentence("Verdict.from_json(text)", "a verdict as to_json writes it", str(error), "check the file")
            ) from None


def proved(claim: str, evidence: Certificate, **more: Any) -> Verdict:
    """A verdict with the status proved; `more` takes `assumptions` and `equality`."""
    return Verdict(claim, Status.PROVED, evidence, **more)


def refuted(claim: str, evidence: Counterexample, **more: Any) -> Verdict:
    """A verdict with the status refuted; `more` takes `assumptions` and `equality`."""
    return Verdict(claim, Status.REFUTED, evidence, **more)


def undecided(claim: str, why: str, would_decide: str, **more: Any) -> Verdict:
    """A verdict with the status undecided; `more` takes `assumptions` and `equality`."""
    return Verdict(claim, Status.UNDECIDED, Undecided(why, would_decide), **more)
