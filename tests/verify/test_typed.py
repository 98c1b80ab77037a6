"""Typed derivatives are checked by code that evaluates their text again: right ones hold, and nothing else does."""

from __future__ import annotations

import msgspec
import pytest

from mathdnn.backprop import check_exact, polynomial, typed_formula
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Status, Verdict
from mathdnn.verify import verify

RIGHT = {
    "dyL/dbL": "I",
    "dyL/dyL-1": "G[L] @ A[L]",
    "dyl/dbl": "diag(s[l])",
    "dyl/dyl-1": "(A[l].T @ diag(s[l])).T",
    "dyL/dAL": "outer(I, y[L-1])",
    "dyL/dAl": "outer(G[l] * s[l], y[l - 1])",
    "dyL/dbl": "2 * G[l] @ diag(s[l]) - G[l] * s[l]",
    "dyL/dx": "G[1] @ diag(s[1]) @ A[1]",
}
WRONG = {"dyl/dyl-1": "A[l]", "dyL/dbl": "G[l]", "dyL/dAl": "outer(G[l] @ diag(s[l]), y[l])", "dyL/dx": "-G[0]"}


def ask(of, text, widths=(2, 2, 2, 2), sigma=None):
    return check_exact(widths, sigma, formulas={of: typed_formula(text, of)})[of]


def say(verdict, of, text):
    """The certificate of one formula, changed to carry another one, and sealed again."""
    old = verdict.evidence.data
    data = {key: value for key, value in old.items() if key != "seal"} | {"formula": of, "text": f"{of} = {text}"}
    claim = verdict.claim.replace(old["text"], f"{of} = {text}")
    return sealed(
        msgspec.structs.replace(verdict, claim=claim, evidence=msgspec.structs.replace(verdict.evidence, data=data))
    )


@pytest.mark.parametrize("sigma", [None, polynomial(1, 0, -2, 3)])
@pytest.mark.parametrize("of", RIGHT)
def test_right_ones_hold_from_their_file(of, sigma):
    verdict = ask(of, RIGHT[of], sigma=sigma)
    assert verdict.status is Status.PROVED
    assert verify(Verdict.from_json(verdict.to_json())).status is Status.PROVED


def test_the_sources_form_holds_for_one_output():
    assert verify(ask("dyL/dAl", "diag(s[l]) @ G[l].T @ y[l-1].T", (2, 3, 1))).status is Status.PROVED


@pytest.mark.parametrize("of", WRONG)
def test_a_wrong_one_under_a_right_ones_certificate_is_rejected(of):
    answer = verify(say(ask(of, RIGHT[of]), of, WRONG[of]))
    assert answer.status is Status.REFUTED
    assert str(answer.evidence).startswith("the formula is not the derivative for l = ")


HOSTILE = {
    "off by a known prime": "diag(s[l]) + (2" + "*2" * 60 + " - 1) * A[1]",  # 2^61 - 1, the modulus for other formulas
    "code": "__import__('os')",
    "power": "s[l] ** 2",
    "attribute": "s[l].shape",
    "keyword": "diag(v=s[l])",
    "a float": "diag(s[l]) * 1.0",
    "missing": "diag(s[9])",
    "input": "diag(s[0])",
    "broken": "diag(s[l]",
    "long": "diag(s[l])" + " + 0" * 100,
    "large": "outer(" * 30 + "A[1]" + ", A[1])" * 30,
    "negative": "diag(s[-1])",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_formula_is_rejected(case):
    answer = verify(say(ask("dyl/dbl", RIGHT["dyl/dbl"]), "dyl/dbl", HOSTILE[case]))
    assert answer.status is Status.REFUTED
    assert str(answer.evidence).startswith(("the evidence is malformed (", "the formula "))


def test_entries_are_counted():
    verdict = ask("dyl/dbl", "diag(s[l])")
    data = {key: value for key, value in verdict.evidence.data.items() if key != "seal"} | {"entries": 3}
    lie = sealed(msgspec.structs.replace(verdict, evidence=msgspec.structs.replace(verdict.evidence, data=data)))
    assert str(verify(lie).evidence) == "8 entries were compared, not 3"
