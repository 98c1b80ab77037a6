"""One verdict out of several: a claim that holds where each of its cases holds."""

from __future__ import annotations

from collections.abc import Sequence

from mathdnn.verdict import Certificate, Status, Verdict


def all_of(claim: str, verdicts: Sequence[Verdict]) -> Verdict:
    """Proved where every part is proved, with all the certificates; else the first part that is not, under `claim`.

    The assumptions of all parts are kept; the equality is that of the parts where they agree.
    """
    for verdict in verdicts:
        if verdict.status is not Status.PROVED:
            return Verdict(claim, verdict.status, verdict.evidence, verdict.assumptions, verdict.equality)
    assumptions = tuple(dict.fromkeys(item for verdict in verdicts for item in verdict.assumptions))
    equalities = {verdict.equality for verdict in verdicts}
    methods = list(dict.fromkeys(str(verdict.evidence) for verdict in verdicts))
    method = f"{len(verdicts)} cases, each proved: " + "; ".join(methods[:3]) + ("; ..." if len(methods) > 3 else "")
    certificate = Certificate("all-of", method, {"parts": [verdict.to_plain() for verdict in verdicts]})
    return Verdict(claim, Status.PROVED, certificate, assumptions, equalities.pop() if len(equalities) == 1 else None)
