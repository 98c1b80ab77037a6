"""One verdict out of several: a claim that holds where each of its cases holds."""

from __future__ import annotations

from collections.abc import Sequence

from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Certificate, Counterexample, Status, Verdict

KIND, FAILS = "all-of", "one-of-all-fails"


def all_of(claim: str, verdicts: Sequence[Verdict]) -> Verdict:
    """Proved where every part is proved, with all the certificates; else the first part that is not, under `claim`.

    The assumptions of all parts are kept; the equality is that of the parts where they agree.
    """
    for verdict in verdicts:
        if verdict.status is not Status.PROVED:
            return _first_failure(claim, verdict)
    assumptions = tuple(dict.fromkeys(item for verdict in verdicts for item in verdict.assumptions))
    equalities = {verdict.equality for verdict in verdicts}
    told = _told(verdicts)
    method = f"{len(verdicts)} cases, each proved: {told}" if len(verdicts) > 1 else told
    certificate = Certificate(KIND, method, {"parts": [verdict.to_plain() for verdict in verdicts]})
    equality = equalities.pop() if len(equalities) == 1 else None
    return sealed(Verdict(claim, Status.PROVED, certificate, assumptions, equality))


def _told(verdicts: Sequence[Verdict]) -> str:
    """How the parts were proved, and the largest of their bounds of rounding."""
    found = [verdict.evidence for verdict in verdicts if isinstance(verdict.evidence, Certificate)]
    methods = list(dict.fromkeys(evidence.method for evidence in found))
    alike = len(methods) > 2 and len({method[:30] for method in methods}) == 1
    told = f"{methods[0]}; the others likewise, with numbers of their own" if alike else "; ".join(methods)
    bounds = [evidence.data["rounding"] for evidence in found if evidence.data.get("relation") == "equal"]
    if not bounds or len({(bound["unit_roundoff"], bound["holds_for"]) for bound in bounds}) > 1:
        return told
    from mathdnn.convolution.certificate import rounding_words

    most = {**bounds[0], **{key: max(bound[key] for bound in bounds) for key in ("slope", "offset")}}
    where = "on these sizes" if len(bounds) > 1 else "on this size"
    return f"{told}; {rounding_words({'rounding': most, 'relation': 'equal'}, where)}"


def _first_failure(claim: str, part: Verdict) -> Verdict:
    """The part's own status and evidence; a counterexample takes the part with it, so that it can be checked again."""
    evidence = part.evidence
    if isinstance(evidence, Counterexample):
        data = {"kind": FAILS, "part": part.to_plain()}
        evidence = Counterexample(evidence.statement, evidence.input, evidence.claimed, evidence.found, data)
    return sealed(Verdict(claim, part.status, evidence, part.assumptions, part.equality))
