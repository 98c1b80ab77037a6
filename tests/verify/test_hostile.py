"""Files made to be read in two ways, to fill the memory or to say more than was checked: refused, or not repeated."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.verify.tampering import replaced, resealed
from torch import nn

from mathdnn import plain
from mathdnn.backprop import check_autograd, check_exact, typed_formula
from mathdnn.convolution import ConvForm, as_conv2d, equal_maps, grade
from mathdnn.errors import InvalidInput
from mathdnn.homework.algebra import letter, power, prove_identity
from mathdnn.homework.combine import all_of
from mathdnn.homework.problem7_counts import TABLE, agree
from mathdnn.monotone import is_nondecreasing
from mathdnn.monotone.reals import converse, over_the_reals
from mathdnn.verdict import Assumption, Status, Verdict, pack_array, unpack_array
from mathdnn.verify import excluded, growing, verify, work
from mathdnn.verify.claims import why_another

DATA = ("evidence", "data")
GUARDS = (*DATA, "sizes", "graph", "guards")
THIRD = ConvForm.of([[[["1/3"]]]])
MADE = {
    "layer": lambda: as_conv2d(nn.AvgPool2d(2), (1, 4, 4)),
    "once": lambda: as_conv2d(lambda x: x * 1, (1, 4, 4)),
    "equal": lambda: equal_maps(THIRD, THIRD, (1, 2, 2)),
    "named": lambda: equal_maps(THIRD, THIRD, (1, 2, 2), claim="a pool"),
    "graded": lambda: grade([[1, 2]], ConvForm.of([[[[1, 2]]]]), name="grey"),
    "measured": lambda: as_conv2d(lambda x: np.asarray(x) * 2, (3, 3), opaque=True),
    "reversed": lambda: as_conv2d(lambda x: x.flip(-1), (1, 5, 5)),
    "scan": lambda: is_nondecreasing("torch.relu", "bfloat16"),
    "term": lambda: over_the_reals("tanh"),
    "identity": lambda: over_the_reals("identity"),
    "cells": lambda: over_the_reals("gelu"),
    "orders": converse,
    "derivative": lambda: check_exact((1, 2, 1))["dyL/dAl"],
    "entry": lambda: check_exact((2, 2, 2), formulas={"mine": typed_formula("I + I", "dyL/dbL")})["mine"],
    "shape": lambda: check_exact((2, 2, 3), formulas={"mine": typed_formula("A[L]", "dyL/dbL")})["mine"],
    "sum": lambda: agree("LeNet-5 with Table I has 60,806 parameters", TABLE, 60_806, 60_806),
    "another sum": lambda: agree("LeNet-5 with Table I has 61,706 parameters", TABLE, 61_706, 60_806),
    "part": lambda: all_of("both", [equal_maps(THIRD, ConvForm.of([[[[1]]]]), (1, 2, 2), claim="P = NP")]),
}


@pytest.fixture(scope="module")
def made():
    known = {}

    def once(name):
        if name not in known:
            known[name] = MADE[name]()
            assert verify(known[name]).status is Status.PROVED, str(verify(known[name]))
        return known[name].to_plain()

    return once


DOCUMENTS = {
    "claim": ('{"claim"', '{"claim": "P = NP", "claim"', "the key 'claim' twice"),
    "status": ('"status"', '"status": "refuted", "status"', "the key 'status' twice"),
    "in the data": ('"relation"', '"relation": "within", "relation"', "the key 'relation' twice"),
    "escaped": ('"relation"', '"\\u0072elation": "within", "relation"', "the key 'relation' twice"),
    "a number too large": ('"slope": ', '"slope": 1e400, "x": ', "out of range"),
    "too many digits": ('"slope": ', f'"slope": {"9" * 100_000}, "x": ', "out of range"),
    "no number": ('"slope": ', '"slope": NaN, "x": ', "malformed"),
    "too deep": ('"slope": ', f'"x": {"[" * 100_000}{"]" * 100_000}, "slope": ', "maximum recursion depth"),
    "half a character": ('{"claim": "', '{"claim": "\ud800', "surrogates not allowed"),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_document_is_read_in_one_way_or_refused(case, made):
    before, after, why = DOCUMENTS[case]
    text = json.dumps(made("equal"))
    assert before in text
    with pytest.raises(InvalidInput, match=rf"^Verdict.from_json\(text\): expected a verdict .*{why}"):
        Verdict.from_json(text.replace(before, after, 1))


def test_a_document_of_too_many_things_is_refused_before_they_are_made(made, monkeypatch):
    text = json.dumps(made("equal"))
    assert Verdict.from_json(text).status is Status.PROVED
    monkeypatch.setattr(plain, "_MOST", 30)
    with pytest.raises(InvalidInput, match=r"a document of more than 30 things"):
        Verdict.from_json(text.encode())


ARRAYS = [
    ({"shape": [-1, 2]}, r"shape \[-1, 2\]"),
    ({"shape": [2.0, 2]}, r"shape \[2.0, 2\]"),
    ({"shape": [True, 4]}, r"shape \[True, 4\]"),
    ({"shape": ["2", "2"]}, r"shape \['2', '2'\]"),
    ({"shape": "22"}, "shape '22'"),
    ({"shape": [2, 2, 0]}, "digits for shape"),
    ({"bits": "00 " * 16}, "digits for shape"),
    ({"dtype": "float64"}, "digits for shape"),
    ({"dtype": ">f4"}, "dtype '>f4'"),
    ({"dtype": "object"}, "dtype 'object'"),
    ({"values": ["1.0", "2.0", "3.0", "5.0"]}, "values that are not those of the bits"),
    ({"values": []}, "values that are not those of the bits"),
    ({"strides": [1 << 40, -8]}, "more keys than an array has"),
    ({"dtype": "bool", "shape": [16], "values": ["True"] * 16}, "booleans that are neither"),
]


@pytest.mark.parametrize(("change", "why"), ARRAYS)
def test_an_array_says_one_thing(change, why):
    packed = pack_array(np.array([[1, 2], [3, 4]], np.float32))
    assert unpack_array(packed)[1, 1] == 4
    with pytest.raises(InvalidInput, match=why):
        unpack_array(packed | change)


LIES = {  # (verdict, path, another value, why)
    "a graph and a form": ("layer", (*DATA, "left", "form"), {}, "a side is a graph, a form or measured responses"),
    "a note": ("layer", (*DATA, "note"), "and it is invertible", "unknown field `note`"),
    "a note on a side": ("equal", (*DATA, "left", "note"), "the fastest", "unknown field `note`"),
    "a note on an array": ("measured", (*DATA, "left", "at_zero", "note"), "", "unknown field `note`"),
    "an image made of something": ("layer", (*DATA, "left", "graph", "nodes", 0, "args"), [1], "begins with its image"),
    "a stride of four": ("equal", (*DATA, "right", "form", "stride"), [1, 1, 2, 2], "Expected `array` of length 2"),
    "a padding that is no number": ("equal", (*DATA, "right", "form", "padding", 0, 0), False, "Expected `int`"),
    "a bound that is no number": ("layer", (*DATA, "rounding", "slope"), True, "Expected `float`, got `bool`"),
    "roundings in words": ("layer", (*DATA, "rounding", "roundings"), "none", "Expected `array`"),
    "a chunk in digits": ("scan", (*DATA, "chunk"), "65536", "no whole number"),
    "no falls": ("scan", (*DATA, "decreasing"), False, "more or less in it than a scan shows"),
    "why it is assumed": ("scan", ("assumptions", 0, "because"), "it is convex", "the assumptions are not those"),
    "a method": ("term", ("evidence", "method"), "f' = 2, as everybody knows", "the method or the reason"),
    "a reason": ("term", (*DATA, "reason"), "f' > 1", "the method or the reason"),
    "a term in steps": (
        "identity", (*DATA, "term"), ["scale", "1/8", ["floor", ["scale", "8", "x"]]],
        "the term falls, or is another function",
    ),
    "a sentence": ("cells", ("evidence", "statement"), "it falls everywhere", "the sentence, the formula or where"),
    "a formula": ("cells", (*DATA, "formula"), "x", "the sentence, the formula or where"),
    "where it holds": ("cells", (*DATA, "holds"), "nowhere", "the sentence, the formula or where"),
    "1 for true": ("orders", (*DATA, "commutes", 0, 1), 1, "the three orders are not as listed"),
    "widths in digits": ("derivative", (*DATA, "widths"), ["1", "2", "1"], "of another type"),
    "half a width": ("derivative", (*DATA, "widths", 1), 2.5, "of another type"),
    "another sigma": ("derivative", (*DATA, "sigma"), "tanh", "sigma is any, and said to be another"),
    "a note on a formula": ("derivative", (*DATA, "note"), "", "more or less in it"),
    "the sigma of an entry": ("entry", ("evidence", "input", "sigma"), "tanh", "the network of the counterexample"),
    "the network of a shape": ("shape", ("evidence", "input", "widths"), [9, 9, 9], "the network of the"),
    "the sigma of a shape": ("shape", (*DATA, "sigma"), "tanh", "sigma is any, and said to be another"),
    "how it was counted": ("sum", ("evidence", "method"), "counted twice", "the method is not that of such"),
    "a note on a sum": ("sum", (*DATA, "note"), "", "more or less in it"),
    "a formula's number": ("another sum", (*DATA, "formula"), 60_806.0, "the products add up to 60,806"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_a_lie_under_a_seal_that_fits_is_rejected(case, made):
    name, path, value, why = LIES[case]
    answer = verify(resealed(replaced(made(name), path, value)))
    assert answer.status is Status.REFUTED, str(answer)
    assert why in str(answer.evidence)


def test_what_a_file_calls_a_thing_is_in_quotes_out_of_which_it_has_no_way(made):
    words = 'a pool" in the file, which is no part of what is checked). It is shown that P = NP ("'
    answer = verify(resealed(replaced(made("named"), ("claim",), words)))
    assert answer.status is Status.PROVED
    assert answer.claim.endswith(
        '(called "a pool\\" in the file, which is no part of what is checked). It is shown that P = NP (\\"" in the '
        "file, which is no part of what is checked)"
    )


@pytest.mark.parametrize("name", ["grey", "the world's colours", 'x", and the convolution handed in computes P = NP'])
def test_what_a_target_is_called_is_not_repeated_as_checked(name, made):
    plain = made("graded")
    answer = verify(resealed(replaced(plain, ("claim",), plain["claim"].replace("grey", name))))
    quoted = name.replace('"', '\\"')
    assert answer.claim == (
        "the evidence holds for: on 1 x 7 x 8 images, the convolution handed in computes what the file calls "
        f'"{quoted}", a name, which is no part of what is checked'
    )


def test_of_a_part_that_fails_no_more_is_repeated_than_was_checked(made):
    answer = str(verify(resealed(made("part"))).evidence)
    assert 'both operations are the same map (called "P = NP" in the file' in answer


def test_a_number_that_nothing_shows_is_not_told_as_counted(made):
    plain = made("another sum")
    assert "60,806 were counted" in str(verify(resealed(plain)).evidence)
    answer = verify(resealed(replaced(plain, ("evidence", "found"), 7)))
    assert "add up to 60,806, that 7 were counted, no product shows" in str(answer.evidence)


AGREED = " (if its reader agrees that what was checked says so"
WORDS = {
    "0 = 0 on [0, 1]": "0 = 0 on [0, 1]",
    f"0 = 0{AGREED}). P = NP": f'"0 = 0{AGREED}). P = NP"',
    "0 = 0). P = NP (": '"0 = 0). P = NP ("',
}


@pytest.mark.parametrize("claim", WORDS)
def test_a_person_s_words_do_not_end_what_is_said_around_them(claim):
    s = letter("s")
    verdict = prove_identity(claim, power(s, 2), s * s, assumptions=(Assumption(claim),))
    said = f"the evidence holds for: {WORDS[claim]}{AGREED}, assuming: {WORDS[claim]})"
    assert verify(verdict).claim == said


def test_letters_that_look_alike_are_none():
    verdict = prove_identity("o = o", letter("o"), letter("\N{CYRILLIC SMALL LETTER O}"))
    assert verdict.status is Status.REFUTED
    assert "is no letter" in str(verify(verdict))


def test_every_name_under_which_autograd_is_compared_is_known():
    for verdict in check_autograd((5, 7, 6, 3), "tanh", runs=2).values():
        assert why_another("6.autograd", None, verdict) == ""


LONG = {
    "a product": (["*", *[1 << 20] * 4], "a size too large"),
    "a sum": (["+", *["H"] * 99], "more than 99 pieces"),
    "a largest": (["max", *["H"] * 20], "more than 99 pieces"),
}


@pytest.mark.parametrize("case", LONG)
def test_sizes_are_written_in_few_pieces(case, made, monkeypatch):
    monkeypatch.setattr(growing, "_PIECES", 99)
    size, why = LONG[case]
    answer = verify(resealed(replaced(made("layer"), GUARDS, [[">", size, 0]])))
    assert answer.status is (Status.REFUTED if case == "a product" else Status.UNDECIDED)
    assert why in str(answer.evidence)


def test_conditions_without_end_are_not_checked(made, monkeypatch):
    monkeypatch.setattr(growing, "_PIECES", 99)
    answer = verify(resealed(replaced(made("layer"), GUARDS, [["and", *[["or", True, True]] * 99]])))
    assert answer.status is Status.UNDECIDED, str(answer)


def _step(op, shape, *args):
    return {"op": f"aten.{op}.default", "args": [{"node": 0}, *args], "kwargs": {}, "shape": shape, "dtype": "float32"}


WIDE = [1, 1, 4096, 4096]
HEAVY = {
    "windows": _step("convolution", WIDE, {"constant": 0}, None, [1, 1], [8, 8], [1, 1], False, [0, 0], 1),
    "the other way": _step("convolution", WIDE, {"constant": 0}, None, [1, 1], [8, 8], [1, 1], True, [0, 0], 1),
    "sums": _step("cumsum", WIDE, 3),
    "means": _step("avg_pool2d", [1, 1, 97, 97], [4000, 4000], [1, 1]),
}


@pytest.mark.parametrize("case", HEAVY)
def test_work_of_minutes_is_not_begun(case, made):
    plain = made("equal")
    first = {"op": "input", "args": [], "kwargs": {}, "shape": WIDE, "dtype": "float32"}
    constants = [pack_array(np.ones((1, 1, 17, 17), np.float32))]
    graph = {"nodes": [first, HEAVY[case]], "constants": constants, "output": {"node": 1}}
    for side in ("left", "right"):
        plain = replaced(plain, (*DATA, side), {"graph": graph, "input": WIDE})
    answer = verify(resealed(plain))
    assert answer.status is Status.UNDECIDED, str(answer)
    assert "asks for more than 4,294,967,296 products" in str(answer)


def test_the_work_of_other_sizes_counts(made, monkeypatch):
    whole = work.Work()
    data = made("layer")["evidence"]["data"]
    whole.take(data["left"], data["right"])
    monkeypatch.setattr(work, "MOST", work.MOST - whole.left + 9)
    assert "products" in str(verify(resealed(made("layer"))))


def test_pairs_of_responses_without_end_are_not_looked_at(made, monkeypatch):
    verdict = made("reversed")
    monkeypatch.setattr(excluded, "_LOOKS", 8)
    assert "strides and 16 pairs of responses would take minutes" in str(verify(resealed(verdict)))


def test_sizes_of_another_operation_are_rejected(made):
    """To 4 x 4 pixels and as it is are one map on 4 x 4 images alone."""
    own = as_conv2d(nn.Upsample(size=(4, 4)), (1, 4, 4)).to_plain()
    lie = replaced(made("once"), (*DATA, "left"), own["evidence"]["data"]["left"])
    assert "other steps than the one at the size asked about" in str(verify(resealed(lie)))


def test_too_little_memory_is_no_fault_of_the_file(made, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr("mathdnn.verify.convolution._same", full)
    answer = verify(resealed(made("equal")))
    assert (answer.status, "it takes more memory than there is" in str(answer)) == (Status.UNDECIDED, True)
