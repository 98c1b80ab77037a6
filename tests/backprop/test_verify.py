"""The checker of the formulas: true certificates pass, changed ones do not."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from tests.saboteurs.backprop import FORMULAS_THAT_ARE_WRONG
from tests.verify.tampering import resealed

from mathdnn.backprop import FORMULAS, check_exact, polynomial, typed_formula
from mathdnn.errors import InvalidInput
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Assumption, Equality, Verdict
from mathdnn.verify.backprop import check


@pytest.mark.parametrize("sigma", [None, polynomial(1, Fraction(-1, 2), 3)])
@pytest.mark.parametrize("widths", [(1, 1, 1), (2, 3, 2, 2), (3, 2, 1)])
def test_every_proof_passes_from_its_file(widths, sigma):
    for verdict in check_exact(widths, sigma).values():
        assert check(Verdict.from_json(verdict.to_json())) == (True, "")


@pytest.mark.parametrize("name", FORMULAS)
def test_a_certificate_of_one_formula_does_not_carry_another(name):
    verdicts = check_exact((2, 2, 2, 2))
    for other in FORMULAS:
        if other == name:
            continue
        data = {k: v for k, v in verdicts[other].evidence.data.items() if k != "seal"} | {"formula": name}
        lie = msgspec.structs.replace(
            verdicts[other], evidence=msgspec.structs.replace(verdicts[other].evidence, data=data)
        )
        assert check(sealed(lie)) == (False, "the evidence is for another claim")


@pytest.mark.parametrize("name", FORMULAS_THAT_ARE_WRONG)
def test_a_wrong_formula_that_is_code_cannot_be_checked_from_its_file(name):
    verdict = check_exact((2, 2, 2, 2), formulas={name: FORMULAS_THAT_ARE_WRONG[name]})[name]
    assert verdict.claim.split(" for every ")[0].endswith(" (computed by code of yours)")
    assert check(Verdict.from_json(verdict.to_json())) == (None, "the formula is code, which the file does not hold")


LIES = {
    "entries": ({"entries": 1}, "8 entries were compared, not 1"),
    "widths": ({"widths": [2, 2, 2]}, "the evidence is for another claim"),
    "large": ({"widths": [90, 90, 90]}, "the widths [90, 90, 90] are not those of a small network"),
    "sigma": ({"coefficients": ["0", "1"]}, "the evidence is for another claim"),
    "unknown": ({"formula": "mine"}, "'mine' is not a formula that the checker knows"),
    "text": ({"text": "dy = 0"}, "the evidence is for another claim"),
    "zero": ({"coefficients": ["1/0"]}, "the evidence is malformed (ZeroDivisionError"),
}


@pytest.mark.parametrize("case", LIES)
def test_lies_that_are_sealed_again_are_rejected(case):
    changes, why = LIES[case]
    verdict = check_exact((2, 2, 2, 2))["dyl/dyl-1"]
    data = {k: v for k, v in verdict.evidence.data.items() if k != "seal"} | changes
    answer, said = check(
        sealed(msgspec.structs.replace(verdict, evidence=msgspec.structs.replace(verdict.evidence, data=data)))
    )
    assert answer is not True
    assert said.startswith(why)


@pytest.mark.parametrize("text", [None, "A[l]"])
@pytest.mark.parametrize(
    "lie",
    [{"equality": Equality.BITWISE}, {"equality": None}, {"assumptions": (Assumption("pi is 3"),)}],
    ids=["bitwise", "none", "pi"],
)
def test_more_than_was_checked_is_rejected(lie, text):
    formulas = {"mine": typed_formula(text, "dyl/dyl-1")} if text else FORMULAS
    verdict = next(iter(check_exact((2, 2, 1), formulas=formulas).values()))
    assert check(verdict)[0] is True
    said = "the equality or the assumptions are not what the evidence rests on"
    assert check(resealed(msgspec.structs.replace(verdict, **lie).to_plain())) == (False, said)


def test_mutations_are_rejected(rng):
    verdict = check_exact((2, 2, 1))["dyL/dAl"]
    whole = verdict.to_json().encode()
    for _ in range(500):
        at = int(rng.integers(0, len(whole)))
        try:
            read = Verdict.from_json(whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :])
        except InvalidInput:
            continue
        assert read == verdict or check(read)[0] is not True
