"""Forged verdicts about activations: resealed so that the seal fits, and rejected for what they say."""

# ruff: noqa: E501 (a case a line)
from __future__ import annotations

import os

import msgspec
import numpy as np
import pytest
import torch
from tests.verify.tampering import replaced, resealed

from mathdnn.errors import InvalidInput
from mathdnn.monotone import commutes_with_max_pool, is_nondecreasing, over_the_reals
from mathdnn.monotone.reals import converse
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Assumption, Verdict, pack_array
from mathdnn.verify import verify
from mathdnn.verify.monotone import check
from mathdnn.verify.reals import _direction

F = torch.nn.functional
MADE = {
    "scan": lambda: is_nondecreasing("torch.tanh", "float16"),
    "moving": lambda: is_nondecreasing("torch.nn.functional.softshrink", "float16"),
    "bitwise": lambda: commutes_with_max_pool("torch.tanh", "float16"),
    "fall": lambda: is_nondecreasing("torch.nn.functional.gelu", "float16"),
    "images": lambda: commutes_with_max_pool("torch.nn.functional.gelu", "bfloat16"),
    "position": lambda: commutes_with_max_pool("torch.sigmoid"),
    "term": lambda: over_the_reals("tanh"),
    "cells": lambda: over_the_reals("abs"),
    "converse": converse,
}
BODY = ", on the vector body"
DATA, INPUT = ("evidence", "data"), ("evidence", "input")
MANY = pack_array(np.zeros(1_000_000, np.float16))
LIES = {
    "converse": ("converse", ("claim",), "a function that commutes with max pooling is constant, so tanh does not", "the evidence is for another claim"),
    "position on the body": ("position", ("claim",), lambda claim: claim + BODY, "the two ways give other outputs than the file says"),
    "term to the bit": ("term", ("equality",), "bitwise", "the equality, the assumptions or the data"),
    "cells to the bit": ("cells", ("equality",), "bitwise", "the equality, the assumptions or the data"),
    "converse to the bit": ("converse", ("equality",), "bitwise", "the equality, the assumptions or the data"),
    "scan to the bit": ("scan", ("equality",), "bitwise", "the assumptions are not those"),
    "fall to the bit": ("fall", ("equality",), "bitwise", "the equality or the assumptions"),
    "images over the reals": ("images", ("equality",), "exact over the reals", "the equality or the assumptions"),
    "images of none": ("images", ("equality",), None, "the equality or the assumptions"),
    "term of pigs": ("term", ("assumptions",), [{"statement": "pigs fly"}], "the equality, the assumptions or the data"),
    "fall of pigs": ("fall", ("assumptions",), [{"statement": "pigs fly"}], "the equality or the assumptions"),
    "images of pigs": ("images", ("assumptions",), [{"statement": "pigs fly"}], "the equality or the assumptions"),
    "more in a term": ("term", (*DATA, "pigs"), "fly", "the equality, the assumptions or the data"),
    "more in a scan": ("scan", (*DATA, "pigs"), "fly", "there is more or less in it"),
    "zeros": ("scan", (*DATA, "at_zero"), "f(-0.0) is 1 (0x3c00) and f(+0.0) is 0 (0x0000)", "the outputs at the zeros are others"),
    "nan": ("scan", (*DATA, "on_nan"), "0 of the 2,046 NaN give NaN", "other NaN give NaN"),
    "known": ("scan", (*DATA, "known"), False, "it is not about the vector body of a function"),
    "path": ("scan", (*DATA, "path"), "scalar tail", "it is not about the vector body of a function"),
    "positions": ("scan", (*DATA, "positions"), "pigs fly", "what it says of other layouts does not fit"),
    "positions compared": ("scan", (*DATA, "positions_compared"), 3, "what it says of other layouts does not fit"),
    "positions complete": ("scan", (*DATA, "positions_complete"), False, "what it says of other layouts does not fit"),
    "positions differing": ("scan", (*DATA, "positions_differing"), 9, "what it says of other layouts does not fit"),
    "positions in words": ("scan", ("assumptions", 2, "because"), "pigs fly", "the assumptions are not those"),
    "positions of a proof": ("bitwise", (*DATA, "positions_differing"), 9, "what it says of other layouts does not fit"),
    "a number that takes for ever": ("cells", INPUT, ["1e99999999", "1"], "the evidence is malformed (ValueError"),
    "a term that takes for ever": ("term", (*DATA, "term"), ["max", "x", "1e99999999"], "the evidence is malformed (ValueError"),
    "a million inputs": ("fall", INPUT, MANY, "the input is neither one value nor two neighbours"),
    "other outputs of cells": ("cells", ("evidence", "claimed", "pooling_first"), -1.0, "the two ways give 0 and 1"),
    "an image in float64": ("images", (*INPUT, "image"), pack_array(np.zeros((1, 1, 1, 2))), "the evidence is malformed (ValueError: an array of float64"),
    "an image of two rows": ("images", (*INPUT, "image"), pack_array(np.zeros((1, 1, 2, 2), np.float32)), "the evidence is malformed (ValueError: an image"),
    "a window of a million": ("images", (*INPUT, "window"), [1, 1_000_000], "the evidence is malformed (ValueError: a window"),
    "no float of the format": ("images", (*INPUT, "image"), pack_array(np.full((1, 1, 1, 2), 0.1, np.float32)), "the evidence is malformed (ValueError: values that are no bfloat16"),
    "another cell": ("images", (*DATA, "cell"), 7, "the two ways agree at the cell that is named"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_lies_are_rejected(case):
    name, path, value, why = LIES[case]
    plain = MADE[name]().to_plain()
    assert verify(resealed(plain)).status == "proved"
    if callable(value):
        value = value(plain["claim"])
    answer, said = check(resealed(replaced(plain, path, value)))
    assert answer is False
    assert said.startswith(why)


def test_outputs_in_another_layout_that_do_not_come_out_are_rejected():
    verdict = MADE["moving"]()
    plain = verdict.to_plain()
    words = verdict.evidence.data["positions"]
    assert words.startswith("other bits in the ")
    assert verify(verdict).status == "proved"
    assert "(0x8000) in the scalar tail" in words
    lie = words.replace("(0x8000) in the scalar tail", "(0x1234) in the scalar tail")
    changed = replaced(replaced(plain, (*DATA, "positions"), lie), ("assumptions", 2, "because"), lie)
    assert check(resealed(changed)) == (False, "what it says of other layouts does not fit")


def test_an_image_with_a_nan_shows_nothing():
    nan = float("nan")
    made = commutes_with_max_pool("torch.sign", "float16", equality="bitwise", path="vector body")
    assert made.status != "undecided"
    f = torch.sign  # sign(nan) is 0: pooling first gives sign(nan), pooling last the number's sign
    image = torch.tensor([[[[nan, 1.0]]]], dtype=torch.float16)
    first, last = f(F.max_pool2d(image, (1, 2))), F.max_pool2d(f(image), (1, 2))
    assert first.item() != last.item()
    data = {**MADE["images"]().evidence.data, "function": "torch.sign", "dtype": "float16", "cell": 0}
    evidence = msgspec.structs.replace(
        MADE["images"]().evidence,
        input={"image": pack_array(image.numpy()), "window": [1, 2]},
        claimed={"pooling_first": pack_array(first.numpy())},
        found={"pooling_last": pack_array(last.numpy())},
        data={key: value for key, value in data.items() if key != "seal"},
    )
    claim = "torch.sign commutes with max pooling over every float16 image without NaN"
    lie = sealed(msgspec.structs.replace(MADE["images"](), claim=claim, evidence=evidence))
    assert check(lie) == (False, "there is a NaN in the image, and the claim is about images without")


SILU = ["mul", "x", ["recip", ["add", "1", ["exp", ["neg", "x"]]]]]
PARTS = {
    "three of a maximum": ["max", "-100", "-100", SILU],
    "three of a minimum": ["min", "100", "100", SILU],
    "none of a sum": ["add"],
    "two of an exponential": ["exp", "x", SILU],
    "an unknown head": ["sort", SILU],
    "more than there is time for": ["add", *["x"] * 1000],
}  # fmt: skip


@pytest.mark.parametrize("case", PARTS)
def test_a_term_has_the_parts_that_its_head_takes(case):
    """The function is not nondecreasing: x / (1 + e^-x) falls below -1.28."""
    plain = over_the_reals("tanh").to_plain()
    plain["claim"] = plain["claim"].replace("tanh", "silu")
    plain = replaced(replaced(plain, (*DATA, "function"), "silu"), (*DATA, "term"), PARTS[case])
    answer, said = check(resealed(plain))
    assert answer is False
    assert said.startswith("the evidence is malformed (ValueError: ")


def test_a_lower_bound_is_not_raised_by_rounding():
    above = ["add", "0.1", "0.2", "-0.3", ["max", "x", "0"]]  # in floats, 0.1 + 0.2 - 0.3 > 0
    assert _direction(above) == (1, 0)
    with pytest.raises(ValueError, match=r"^no rule for recip$"):
        _direction(["recip", above])


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_a_term_that_is_too_deep_is_rejected(depth):
    term = "x"
    for _ in range(depth):
        term = ["neg", term]
    plain = replaced(over_the_reals("tanh").to_plain(), (*DATA, "term"), term)
    answer, said = check(resealed(plain))
    assert answer is False
    assert said.startswith("the evidence is malformed (")


def test_the_evidence_of_the_vector_body_is_of_the_vector_body():
    """Whatever the row's length: the outputs are those of the body, which may be others in a row of two."""
    for name in ("torch.nn.functional.gelu", "torch.nn.functional.silu", "torch.nn.functional.softsign"):
        verdict = commutes_with_max_pool(name, stop_at_first=True, path="vector body")
        assert verdict.status == "refuted"
        assert check(Verdict.from_json(verdict.to_json()))[0] is True


def test_where_subnormals_are_taken_for_zero_nothing_is_checked():
    verdict = MADE["scan"]()
    torch.set_flush_denormal(True)
    try:
        assert check(verdict) == (None, "this process takes subnormals for zero (torch.set_flush_denormal)")
    finally:
        torch.set_flush_denormal(False)
    assert check(verdict) == (True, "")


def test_an_assumption_that_a_scan_was_kept_is_needless():
    verdict = MADE["scan"]()
    because = "its file is this user's own; both ends of every chunk and a sample of whole chunks were evaluated again"
    for said, holds in ((because, True), ("its chunks are", False)):
        kept = Assumption("the scan that an earlier run kept is this function's", said)
        plain = msgspec.structs.replace(verdict, assumptions=(kept, *verdict.assumptions)).to_plain()
        assert check(resealed(plain))[0] is holds


@pytest.mark.parametrize(
    ("place", "got"),
    [
        ("pipe", "a regular file, got something else (a pipe, a device); name the file itself."),
        ("/dev/zero", "a regular file, got something else (a pipe, a device); name the file itself."),
        (".", "a regular file, got a folder; name the file itself."),
        ("none", "a file with a verdict, got "),
        ("nu\0l", "a file with a verdict, got embedded null byte; check the path."),
        (3, "a file with a verdict, got "),
        (None, "a file with a verdict, got "),
    ],
)
def test_what_is_no_file_is_refused_in_one_sentence(tmp_path, monkeypatch, place, got):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(InvalidInput, match=r"^verify\(path\): expected ") as error:
        verify(place)
    assert str(error.value).startswith(f"verify(path): expected {got}")
