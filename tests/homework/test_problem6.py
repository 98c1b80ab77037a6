"""What is said to have been proved of the derivatives is what was proved."""

from __future__ import annotations

import pytest

from mathdnn.backprop import polynomial
from mathdnn.backprop.activations import written
from mathdnn.homework.problem6 import CLAIMS

EXACT = [claim for claim in CLAIMS if claim.id != "6.autograd"]


@pytest.mark.parametrize("claim", EXACT, ids=lambda claim: claim.id)
def test_the_networks_that_are_named_are_those_that_ran(claim):
    finding = claim.decide(None)
    anything, given = [], []
    for part in finding.verdict.evidence.data["parts"]:
        data = part["evidence"]["data"]
        widths = "-".join(map(str, data["widths"]))
        if data["coefficients"] is None:
            anything.append(widths)
        else:
            given.append(f"{widths} with σ(t) = {written(polynomial(*map(int, data['coefficients'])))}")
    assert finding.found == (
        f"the same polynomials, entry by entry, for widths {', '.join(anything)} with any differentiable σ, and for "
        f"{' and '.join(given)}"
    )
    assert given == ["2-2-1 with σ(t) = 1 - 2 t^2 + 3 t^3", "1-2-1-1 with σ(t) = 1 - 2 t + 3 t^2"]
