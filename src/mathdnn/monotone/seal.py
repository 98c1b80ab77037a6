"""A seal over a verdict: a digest of everything in it, so that a changed file is noticed at once.

The seal is no proof (whoever changes a file can seal it again): the checker in `mathdnn.verify` repeats the scan.
"""

from __future__ import annotations

import hashlib

import msgspec

from mathdnn.verdict import Certificate, Counterexample, Verdict


def sealed(verdict: Verdict) -> Verdict:
    """The same verdict with the SHA-256 of its own JSON (keys sorted, the seal left out) in its evidence's data."""
    evidence = verdict.evidence
    if not isinstance(evidence, Certificate | Counterexample):
        return verdict
    digest = hashlib.sha256(msgspec.json.encode(verdict, order="sorted")).hexdigest()
    evidence = msgspec.structs.replace(evidence, data={**evidence.data, "seal": digest})
    return msgspec.structs.replace(verdict, evidence=evidence)
