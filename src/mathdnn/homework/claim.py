"""A claim of the homework as data, and what deciding it gives.

A `Claim` holds the statement, the published figure, how it is decided and the status that the mathematics, or an
earlier measurement, leads one to expect. `decide` does the work on a `Resources` and returns a `Finding`. Nothing else
is needed to add a claim: write it into its problem's `CLAIMS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathdnn.verdict import Plain, Status, Verdict, require_plain

if TYPE_CHECKING:
    from mathdnn.homework.resources import Resources

SIGNS = "Red is above 0, blue below."  # how the report draws pixels of either sign


@dataclass(frozen=True)
class Picture:
    """Something a person would rather look at: `kind` names how it is drawn, `data` is plain and holds all of it.

    The kinds are images, table, curves, intervals and bars; `mathdnn.report` documents the data of each.
    """

    kind: str
    caption: str
    data: dict[str, Plain]

    def __post_init__(self) -> None:
        require_plain(self.data, f"Picture({self.kind!r}, data=...)")

    def to_plain(self) -> dict[str, Plain]:
        return {"kind": self.kind, "caption": self.caption, "data": self.data}


@dataclass(frozen=True)
class Finding:
    """What deciding a claim gave: a sentence with the figures, the verdict, pictures."""

    found: str
    verdict: Verdict
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One claim. `id` is the problem's number and a slug; `published` is what the source says, in its own figures."""

    problem: int
    id: str
    title: str
    statement: str
    published: str
    how: str
    expected: Status
    decide: Callable[[Resources], Finding]
    check_again: str = ""
    on_mnist: bool = False  # the published figure speaks of MNIST; on other data there is nothing to expect


def numbered(
    problem: int,
    slug: str,
    title: str,
    statement: str,
    published: str,
    how: str,
    expected: Status,
    decide: Callable[[Resources], Finding],
    *,
    on_mnist: bool = False,
) -> Claim:
    """A claim whose id is its problem's number and the slug; a problem's file fixes the first by `partial`."""
    return Claim(problem, f"{problem}.{slug}", title, statement, published, how, expected, decide, on_mnist=on_mnist)


@dataclass(frozen=True)
class Decided:
    """A claim with its finding and the seconds that deciding took; `elsewhere` names the data where it is not MNIST."""

    claim: Claim
    finding: Finding
    seconds: float
    elsewhere: str = ""

    @property
    def expected(self) -> Status | None:
        """The status to expect: none where the figure was published for MNIST and other data were taken."""
        return None if self.claim.on_mnist and self.elsewhere else self.claim.expected

    @property
    def found(self) -> str:
        """The finding's sentence, which names the data where they are not MNIST."""
        return f"on {self.elsewhere}: {self.finding.found}" if self.expected is None else self.finding.found

    def to_plain(self) -> dict[str, Any]:
        """The entry of `claims` in results.json."""
        claim, verdict = self.claim, self.finding.verdict
        return {
            "problem": claim.problem,
            "id": claim.id,
            "title": claim.title,
            "statement": claim.statement,
            "published": claim.published,
            "how": claim.how,
            "found": self.found,
            "status": verdict.status.value,
            "expected": "" if self.expected is None else self.expected.value,
            "as_expected": self.expected in (None, verdict.status),
            "check_again": claim.check_again or f"mathdnn reproduce {claim.problem}",
            "seconds": round(self.seconds, 3),
            "verdict": verdict.to_plain(),
            "pictures": [picture.to_plain() for picture in self.finding.pictures],
        }
