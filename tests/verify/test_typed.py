"""Typed derivatives are checked by code that evaluates their text again: right ones hold, and nothing else does."""

from __future__ import annotations

import msgspec
import pytest

from mathdnn.backprop import check_exact, polynomial, typed_formula
from mathdnn.errors import InvalidInput
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
WRONG = {
    "dyl/dyl-1": "A[l]",
    "dyL/dbl": "G[l]",
    "dyL/dAl": "outer(G[l] @ diag(s[l]), y[l])",
    "dyL/dx": "-G[1] @ diag(s[1]) @ A[1]",
}


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


SOURCE = {
    "dyL/dbL": "1",
    "dyL/dyL-1": "A_L",
    "dyl/dbl": "diag(σ'(A_l y_{l-1} + b_l))",
    "dyl/dyl-1": "diag(σ'(A_l y_{l-1} + b_l)) A_l",
    "dyL/dAL": "y_{L-1}^T",
    "dyL/dAl": "diag(σ'(A_l y_{l-1} + b_l)) (∂y_L/∂y_l)^T y_{l-1}^T",
}


@pytest.mark.parametrize("widths", [(2, 3, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("of", SOURCE)
def test_the_sources_own_words_hold_for_one_output(of, widths):
    verdict = ask(of, SOURCE[of], widths)
    assert verdict.status is Status.PROVED
    assert verify(Verdict.from_json(verdict.to_json())).status is Status.PROVED


ONE_OUTPUT = {
    "a vector beside a column": ("dyL/dAl", "(s[l] * G[l].T) @ y[l-1].T"),
    "a column beside a vector": ("dyL/dbl", "(G[l].T * s[l]).T"),
    "a row on the diagonal": ("dyL/dbl", "s[l] @ diag(G[l])"),
    "columns on the diagonal": ("dyl/dbl", "diag(b[l] + y[l]) - diag(b[l]) - diag(y[l]) + diag(s[l])"),
    "an outer product of vectors": ("dyl/dbl", "2 * outer(s[l], s[l]) - outer(s[l], 2 * s[l]) + diag(s[l])"),
    "a number before an array": ("dyL/dyL-1", "(s[1] @ s[1] + 1) * A[L] - (s[1] @ s[1]) * A[L]"),
}


@pytest.mark.parametrize("widths", [(2, 3, 1), (3, 3, 3, 1)])
@pytest.mark.parametrize("case", ONE_OUTPUT)
def test_what_numpy_reads_otherwise_holds_from_its_file(case, widths):
    verdict = ask(*ONE_OUTPUT[case], widths)
    assert verdict.status is Status.PROVED
    assert verify(Verdict.from_json(verdict.to_json())).status is Status.PROVED


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
    "letters": "0b_1 * diag(s[l])",
    "missing": "diag(s[9])",
    "input": "diag(s[0])",
    "broken": "diag(s[l]",
    "long": "diag(s[l])" + " + 0" * 100,
    "large": "outer(" * 30 + "A[1]" + ", A[1])" * 30,
    "negative": "diag(s[-1])",
    "a large diagonal": "diag(outer(1, outer(A[1], outer(A[1], outer(A[1], outer(A[1], A[1]))))))",
    "a column of another length": "y[l-1] * s[l] + diag(s[l])",
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


REFUTED = [
    *WRONG.items(),
    ("dyl/dyl-1", "A[l].T @ diag(s[l])"),
    ("dyl/dyl-1", "A[l] @ diag(s[l])"),
    ("dyL/dAl", "y[l-1] @ G[l] @ diag(s[l])"),
    ("dyL/dAL", "y[L-1]"),
    ("dyL/dbL", "2"),
    ("dyL/dx", "y[9]"),
    ("dyl/dbl", "diag(b[l])"),
    ("dyl/dbl", "outer(s[l], A[l])"),
    ("dyL/dbL", "I * (1 + 0*(1 @ (s[1] @ s[1])))"),
    ("dyL/dyL-1", "A[L] + outer(256*256*256*256, 256*256*256*256) * A[L]"),
    ("dyL/dyL-1", "A[L] + (256*256*256*256).T * (256*256*256*256).T * A[L]"),
    ("dyL/dAl", "(y[l-1] * s[l]) @ G[l]"),
]


@pytest.mark.parametrize("sigma", [None, polynomial(1, 0, -2, 3)])
@pytest.mark.parametrize("widths", [(2, 3, 1), (2, 2, 2, 2), (2, 3, 2)])
@pytest.mark.parametrize(("of", "text"), REFUTED)
def test_refutations_hold_from_their_file(of, text, widths, sigma):
    verdict = ask(of, text, widths, sigma)
    assert verdict.status is Status.REFUTED
    assert verify(Verdict.from_json(verdict.to_json())).status is Status.PROVED


def lie(verdict, data=None, **changes):
    """The refutation with other data, sealed again."""
    old = {key: value for key, value in verdict.evidence.data.items() if key != "seal"}
    evidence = msgspec.structs.replace(verdict.evidence, data=old | (data or {}), **changes)
    return sealed(msgspec.structs.replace(verdict, evidence=evidence))


ENTRY_LIES = {
    "found": ({}, {"found": "7"}, "the derivative is "),
    "claimed": ({}, {"claimed": "7"}, "the derivative is "),
    "no number": (
        {},
        {"claimed": "1e999999999"},
        "the evidence is malformed (ValueError: '1e999999999' is no rational",
    ),
    "entry": ({"entry": [9, 9]}, {}, "the entry is not one of the Jacobian"),
    "entries": ({"entry": [1]}, {}, "the entry is not one of the Jacobian"),
    "formula": ({"formula": "dyl/dbl"}, {}, "the evidence is for another claim"),
    "standard": ({"text": "dy_l/dy_{l-1} = diag(sigma'(z_l)) A_l"}, {}, "the evidence is for another claim"),
    "widths": ({"widths": [2, 2, 2]}, {}, "the evidence is for another claim"),
    "sigma": ({"coefficients": ["0", "1"]}, {}, "sigma is not the polynomial of these coefficients"),
    "no sigma": ({"coefficients": None}, {}, "numbers need a sigma"),
    "any": ({"any": 1}, {}, "the evidence does not say for which sigma"),
    "given": ({"any": False}, {}, "the evidence is for another claim"),
    "point": ({}, {"input": {"layer": 1, "point": []}}, "the evidence is malformed (AttributeError: "),
    "shape": ({"kind": "a wrong shape"}, {}, "the evidence is malformed (KeyError: 'shape')"),
}


@pytest.mark.parametrize("case", ENTRY_LIES)
def test_lies_about_an_entry_are_rejected(case):
    data, changes, words = ENTRY_LIES[case]
    answer = verify(lie(ask("dyl/dyl-1", "A[l]"), data, **changes))
    assert answer.status is Status.REFUTED
    assert str(answer.evidence).startswith(words)


@pytest.mark.parametrize("layer", [0, 2, 3, -1, True, "1"])
def test_a_layer_of_which_the_formula_does_not_speak_is_rejected(layer):
    verdict = ask("dyl/dyl-1", "A[l]", (2, 3, 1))
    answer = verify(lie(verdict, input={**verdict.evidence.input, "layer": layer}))
    assert answer.status is Status.REFUTED


def test_a_right_formula_is_not_refuted_by_a_lie():
    for text in ("A[l]", "A[l] @ diag(s[l])"):
        verdict = ask("dyl/dyl-1", text, (2, 3, 1))
        right = "diag(s[l]) @ A[l]"
        changed = lie(verdict, {"text": f"dyl/dyl-1 = {right}"})
        changed = lie(msgspec.structs.replace(changed, claim=verdict.claim.replace(f"= {text} for", f"= {right} for")))
        answer = verify(changed)
        assert answer.status is Status.REFUTED
        assert str(answer.evidence).startswith(("the derivative is ", "the formula gives 3 x 2 there"))


SHAPE_LIES = {
    "shape": ({"shape": [3, 2]}, {}, "the formula gives 2 x 3 there, the Jacobian is 3 x 2"),
    "no value": ({"shape": None}, {}, "the formula gives 2 x 3 there, the Jacobian is 3 x 2"),
    "words": ({}, {"found": "2 x 3"}, "the formula gives 2 x 3 there, the Jacobian is 3 x 2"),
}


@pytest.mark.parametrize("case", SHAPE_LIES)
def test_lies_about_a_shape_are_rejected(case):
    data, changes, words = SHAPE_LIES[case]
    answer = verify(lie(ask("dyl/dyl-1", "A[l].T @ diag(s[l])", (2, 3, 1)), data, **changes))
    assert (answer.status, str(answer.evidence)) == (Status.REFUTED, words)


@pytest.mark.parametrize("case", [case for case in HOSTILE if case != "off by a known prime"])
def test_what_is_no_formula_is_not_refuted_either(case):
    """A text that is no formula has no value; only for layers that are not there is this its own refutation."""
    verdict = ask("dyl/dbl", "A[l].T", (2, 3, 1))
    text = HOSTILE[case]
    changed = lie(verdict, {"text": f"dyl/dbl = {text}", "shape": None}, claimed="no value")
    changed = lie(msgspec.structs.replace(changed, claim=verdict.claim.replace("= A[l].T for", f"= {text} for")))
    answer = verify(changed)
    if case in ("missing", "input", "negative", "a column of another length"):
        assert answer.status is Status.PROVED
    else:
        assert answer.status is Status.REFUTED


def test_mutations_of_a_refutation_are_rejected(rng):
    for text in ("A[l]", "A[l].T @ diag(s[l])"):
        verdict = ask("dyl/dyl-1", text, (2, 3, 1))
        whole = verdict.to_json().encode()
        for _ in range(250):
            at = int(rng.integers(0, len(whole)))
            try:
                read = Verdict.from_json(whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :])
            except InvalidInput:
                continue
            assert read == verdict or verify(read).status is not Status.PROVED
