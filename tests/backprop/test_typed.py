"""Formulas typed by a person: right ones proved, wrong ones refuted, and nothing but formulas read."""

from __future__ import annotations

import pytest

from mathdnn.backprop import check_exact, derivative_name, typed_formula
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status
from mathdnn.verify import verify

HUGE = "(I" + "*1000" * 7 + ")"  # 10^21: too large for 64 bits
ROUND = "(I + I" + "*512" * 7 + "*2)"  # 1 + 2^64 on the diagonal, which 64 bits take for 1
RIGHT = {
    "dyL/dbL": ["I", "I + 0"],
    "dyL/dyL-1": [
        "A[L]",
        "G[L] @ A[L]",
        "(s[1] @ s[1]) * A[L] - (s[1] @ s[1]) * A[L] + A[L]",
        "A[L] * (s[1] @ s[1] + 1) - (s[1] @ s[1]) * A[L]",
        f"{HUGE} @ A[L] - {HUGE} @ A[L] + A[L]",
    ],
    "dyl/dbl": [
        "diag(s[l])",
        "diag(y[l] + A[l] @ y[l-1] + b[l]) - diag(A[l] @ y[l-1]) - diag(y[l]) - diag(b[l]) + diag(s[l])",
    ],
    "dyl/dyl-1": ["diag(s[l]) @ A[l]", "(A[l].T @ diag(s[l])).T", "(s[l] * A[l].T).T"],
    "dyL/dAL": ["outer(I, y[L-1])"],
    "dyL/dAl": ["outer(G[l] @ diag(s[l]), y[l-1])", "outer(G[l] * s[l], y[l - 1])"],
    "dyL/dbl": ["G[l] @ diag(s[l])", "G[l] * s[l]"],
    "dyL/dx": ["G[1] @ diag(s[1]) @ A[1]"],
}
WRONG = {
    "dyl/dyl-1": ["A[l]", "diag(s[l]) @ A[l] * 2", "-diag(s[l]) @ A[l]"],
    "dyL/dAl": ["outer(G[l], y[l-1])", "outer(G[l] @ diag(s[l]), y[l])"],
    "dyL/dbl": ["G[l]", "diag(s[l]) @ G[l]", f"{ROUND} @ G[l] @ diag(s[l])"],
    "dyL/dbL": [ROUND, "I * 0b_1", "0b_1 + 0b_2"],
    "dyL/dyL-1": [
        f"{ROUND} @ A[L]",
        "A[L] + outer(256*256*256*256, 256*256*256*256) * A[L]",
        "A[L] + (256*256*256*256).T * (256*256*256*256).T * A[L]",
        "A[L] + (256*256*256*256).T * (256*256*256*256).T * A[L] * 7",
        "(l.T*0 + 256*256*256*256*256*256*256*256) * A[L]",
    ],
    "dyL/dAL": [f"outer({ROUND}, y[L-1])"],
}


@pytest.mark.parametrize("widths", [(2, 2, 2, 2), (3, 2, 2, 2)])
@pytest.mark.parametrize(("of", "text"), [(of, text) for of, texts in RIGHT.items() for text in texts])
def test_right_formulas_are_proved(of, text, widths):
    verdict = check_exact(widths, formulas={"mine": typed_formula(text, of)})["mine"]
    assert verdict.status is Status.PROVED
    assert verdict.claim.startswith(f"{of} = {text} for every ")


@pytest.mark.parametrize(("of", "text"), [(of, text) for of, texts in WRONG.items() for text in texts])
def test_wrong_formulas_are_refuted(of, text):
    assert check_exact((2, 2, 2, 2), formulas={"mine": typed_formula(text, of)})["mine"].status is Status.REFUTED


def test_the_source_writes_one_output_without_its_index():
    source = {
        "dyL/dAL": "y[L-1].T",
        "dyL/dAl": "diag(s[l]) @ G[l].T @ y[l-1].T",
        "dyL/dbL": "1 * I",
    }
    formulas = {of: typed_formula(text, of) for of, text in source.items()}
    assert {v.status for v in check_exact((2, 3, 2, 1), formulas=formulas).values()} == {Status.PROVED}


ONE_OUTPUT = {
    "dyL/dAl": [
        "(sigma'(z_l) ⊙ (dy_L/dy_l)^T) y_{l-1}^T",
        "((dy_L/dy_l)^T ⊙ σ'(z_l)) y_{l-1}^T",
        "(s[l] - s[l] + G[l].T * s[l]) @ y[l-1].T",
    ],
    "dyL/dbl": ["((dy_L/dy_l)^T ⊙ σ'(z_l))^T", "dy_L/dy_l diag(s_l)", "s[l] * G[l]", "s[l] @ diag(G[l])"],
}


@pytest.mark.parametrize("widths", [(2, 3, 1), (3, 3, 3, 1), (1, 1, 2, 1)])
@pytest.mark.parametrize(("of", "text"), [(of, text) for of, texts in ONE_OUTPUT.items() for text in texts])
def test_sigma_prime_is_a_column_beside_a_column(of, text, widths):
    assert check_exact(widths, formulas={"mine": typed_formula(text, of)})["mine"].status is Status.PROVED


def test_a_wrong_outer_product_with_one_output_is_refuted():
    transposed = {"mine": typed_formula("y[l-1] @ G[l] @ diag(s[l])", "dyL/dAl")}
    assert check_exact((2, 3, 1), formulas=transposed)["mine"].status is Status.REFUTED


BAD = {
    "brackets": ("diag(s[l]", "dyl/dbl", r"expected a formula, got 'diag\(s\[l\]'; check the brackets\.$"),
    "name": ("z[l]", "dyl/dbl", r"got 'z' in 'z\[l\]'; write it with these\.$"),
    "no layer": ("A", "dyl/dbl", r"got 'A' in 'A'; write it with these\.$"),
    "no brackets": ("diag", "dyl/dbl", r"got 'diag' in 'diag'; write it with these\.$"),
    "call": ("__import__('os')", "dyl/dbl", r"got \"__import__\('os'\)\" in "),
    "attribute": ("A[l].shape", "dyl/dbl", r"got 'A\[l\].shape' in 'A\[l\].shape'; write"),
    "power": ("A[l]**2", "dyl/dbl", r"got 'Pow' in 'A\[l\]\*\*2'; write it with these\.$"),
    "arity": ("diag(s[l], 1)", "dyl/dbl", r"got 'diag\(s\[l\], 1\)' in "),
    "number": ("I * 0.5", "dyL/dbL", r"got '0.5' in 'I \* 0.5'; write it with these\.$"),
    "an entry": ("y[l-1][0]", "dyL/dx", r"got 'y\[l - 1\]\[0\]' in 'y\[l-1\]\[0\]'; write it with these\.$"),
    "an entry of I": ("I[0]", "dyL/dbL", r"got 'I\[0\]' in 'I\[0\]'; write it with these\.$"),
    "an entry of a number": ("1[l] * I", "dyL/dbL", r"got '1\[l\]' in '1\[l\] \* I'; write it with these\.$"),
    "itself": ("G[0]", "dyL/dx", r"expected an answer in other terms than the question, got G\[0\], which is dyL/dx"),
    "itself, within": ("2 * G[L - 1] - G[L-1]", "dyL/dyL-1", r"got G\[L - 1\], which is dyL/dyL-1 itself, in "),
    "a number in letters": ("0x1 * I", "dyL/dbL", r"got '0x' in '0x1 \* I'; write it with these\.$"),
    "a number in parts": ("1_0 * I", "dyL/dbL", r"got '1_' in '1_0 \* I'; write it with these\.$"),
    "comment": ("I # right", "dyL/dbL", r"got '#' in 'I # right'; write the formula alone\.$"),
    "empty": ("", "dyl/dbl", r"expected a formula of at most 400 characters, got ''; write one\.$"),
    "blank": ("  ", "dyl/dbl", r"expected a formula of at most 400 characters, got '  '; write one\.$"),
    "long": ("I + " * 200 + "I", "dyL/dbL", r"expected a formula of at most 400 characters, got 'I \+ "),
    "of": (
        "I",
        "dx",
        r"^typed_formula\(of=...\): expected one of dyL/dbL, .*, got 'dx'; say which derivative it is\.$",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_formula_is_refused(case):
    text, of, message = BAD[case]
    with pytest.raises(InvalidInput, match=message):
        typed_formula(text, of)


MISFITS = {
    "A[l] @ A[l] @ A[l-1]": "A[l] is 3 x 2 and A[l] is 3 x 2, which @ does not take",
    "y[9]": "y[9] is not there",
    "diag(s[l]) @ G[l] @ y[l-1]": "diag(s[l]) is 3 x 3 and G[l] is 2 x 3, which @ does not take",
    "s[0]": "s[0] is not there",
    "A[0]": "A[0] is not there",
    "diag(s[L])": "s[2] is not there",
    "diag(l)": "l is one number, which diag does not take",
    "A[I]": "A[...] is not there",
    "1 @ (s[1] @ s[1])": "1 is one number and s[1] @ s[1] is one number, which @ does not take",
    "y[l-1] * s[l]": "y[l - 1] is 2 x 1 and s[l] is 3, which * does not take",
    "s[l] * A[l]": "s[l] is 3 and A[l] is 3 x 2, which * does not take",
}


@pytest.mark.parametrize("text", MISFITS)
def test_shapes_that_do_not_fit_refute(text):
    verdict = check_exact((2, 3, 2), formulas={"mine": typed_formula(text, "dyl/dyl-1")})["mine"]
    assert verdict.status is Status.REFUTED
    words = f"in a 2-3-2 network the formula has no value for l = 1: {MISFITS[text]}"
    assert (str(verdict.evidence), verdict.evidence.claimed, verdict.evidence.found) == (words, "no value", "3 x 2")


SHAPES = {
    (
        "dyl/dyl-1",
        "A[l].T @ diag(s[l])",
    ): "2 x 3 for l = 1; the Jacobian is 3 x 2. It is the transpose of the right answer",
    ("dyL/dAL", "y[L-1]"): "3 x 1 for l = 2; the Jacobian is 1 x 1 x 3, or 1 x 3 without the index of the output. "
    "It is the transpose of the right answer",
    ("dyl/dyl-1", "diag(b[l])"): "3 x 3 for l = 1; the Jacobian is 3 x 2",
    ("dyl/dyl-1", "diag(G[l])"): "3 x 3 for l = 1; the Jacobian is 3 x 2",
    ("dyl/dyl-1", "1"): "one number for l = 1; the Jacobian is 3 x 2",
}
HINTS = {
    ("dyl/dyl-1", "A[l]"): " It leaves out sigma'",
    ("dyl/dyl-1", "-diag(s[l]) @ A[l]"): " It is minus the right answer",
    ("dyL/dAl", "2 * diag(s[l]) @ G[l].T @ y[l-1].T"): " It is 2 times the right answer",
    ("dyL/dAl", "G[l].T @ y[l-1].T"): " It leaves out sigma'",
    ("dyL/dbl", "G[l] @ diag(s[l]) + G[l]"): "",
}


@pytest.mark.parametrize(("of", "text"), SHAPES)
def test_wrong_shapes_are_said(of, text):
    verdict = check_exact((2, 3, 1), formulas={"mine": typed_formula(text, of)})["mine"]
    assert str(verdict.evidence) == f"in a 2-3-1 network the formula is {SHAPES[of, text]}"


@pytest.mark.parametrize(("of", "text"), HINTS)
def test_what_a_wrong_answer_would_be_right_for_is_said(of, text):
    said = str(check_exact((2, 3, 1), formulas={"mine": typed_formula(text, of)})["mine"].evidence)
    assert said.partition(". It")[1] == (". It" if HINTS[of, text] else "")
    assert said.endswith(HINTS[of, text])


def test_arrays_that_grow_without_end_are_refused():
    text = "outer(A[1], outer(A[1], outer(A[1], outer(A[1], outer(A[1], outer(A[1], A[1]))))))"
    with pytest.raises(
        InvalidInput, match=r"^typed_formula\(text\): expected products of at most 65,536 numbers, got more"
    ):
        check_exact((3, 3, 1), formulas={"mine": typed_formula(text, "dyl/dbl")})
    large = typed_formula("diag(outer(1, outer(A[1], outer(A[1], s[1]))))", "dyl/dbl")
    with pytest.raises(InvalidInput, match=r"^typed_formula\(text\): expected products of at most 65,536 numbers"):
        check_exact((4, 4, 1), formulas={"mine": large})


COLUMNS = {
    "dyL/dAl": [
        "outer(diag(s[l]) @ G[l].T, y[l-1])",
        "outer(s[l] * G[l].T, y[l-1])",
        r"(\sigma'(z_l) \odot G_l^T) \otimes y_{l-1}",
        "outer(G[l] @ diag(s[l]), y[l-1])",  # a row
    ],
    "dyL/dAL": ["outer(I, y[L-1])", "outer(y[L-1], I).T"],
}
TURNED = ["outer(y[l-1], diag(s[l]) @ G[l].T)", "outer(G[l].T, y[l-1])", "outer(y[l], y[l-1])"]


@pytest.mark.parametrize("widths", [(2, 3, 1), (3, 3, 1), (2, 1, 1), (1, 3, 1), (1, 1, 2, 1), (2, 2, 3, 1)])
def test_the_outer_product_of_two_columns_is_their_table(widths):
    for of, texts in COLUMNS.items():
        for text in texts:
            verdict = check_exact(widths, formulas={"mine": typed_formula(text, of)})["mine"]
            assert (verdict.status, verify(verdict).status) == (Status.PROVED, Status.PROVED), text
    for text in TURNED:
        verdict = check_exact(widths, formulas={"mine": typed_formula(text, "dyL/dAl")})["mine"]
        assert (verdict.status, verify(verdict).status) == (Status.REFUTED, Status.PROVED), text


@pytest.mark.parametrize("widths", [(2, 1, 2), (2, 1, 3), (3, 3, 1, 2), (2, 2, 2), (2, 3, 2)])
def test_a_layer_of_one_unit_below_several_outputs_has_a_table_of_one_column(widths):
    right = typed_formula("outer(G[l] @ diag(s[l]), y[l-1])", "dyL/dAl")
    verdict = check_exact(widths, formulas={"mine": right})["mine"]
    assert (verdict.status, verify(verdict).status) == (Status.PROVED, Status.PROVED)
    turned = typed_formula("outer(diag(s[l]) @ G[l].T, y[l-1])", "dyL/dAl")
    assert check_exact(widths, formulas={"mine": turned})["mine"].status is Status.REFUTED


@pytest.mark.parametrize("of", [[], {}, None, 3, ["dyL/dx"]])
def test_a_derivative_is_named_by_a_text(of):
    for ask in (derivative_name, lambda name: typed_formula("A[l]", name)):
        with pytest.raises(InvalidInput, match=r"^typed_formula\(of=...\): expected one of dyL/dbL, .*, got "):
            ask(of)


@pytest.mark.parametrize("formulas", [None, [1], typed_formula("I", "dyL/dbL")])
def test_formulas_come_with_their_names(formulas):
    with pytest.raises(
        InvalidInput, match=r"^check_exact\(formulas=...\): expected a Formula for each name, got .*; w"
    ):
        check_exact((2, 2, 1), formulas=formulas)
