"""The checker: true evidence passes, changed evidence does not, whether or not it was sealed again."""

# ruff: noqa: E501 (a case a line)
from __future__ import annotations

import hashlib
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import torch

from mathdnn.errors import InvalidInput
from mathdnn.monotone import commutes_with_max_pool, is_nondecreasing, over_the_reals
from mathdnn.monotone.reals import FALLING, TERMS, converse
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Equality, Verdict
from mathdnn.verify.monotone import KINDS, check

F = torch.nn.functional
MADE = {
    "scan": lambda: is_nondecreasing(torch.tanh, "float16"),
    "numpy scan": lambda: is_nondecreasing(np.tanh, "float16"),
    "bitwise": lambda: commutes_with_max_pool(torch.tanh, "bfloat16"),
    "values": lambda: commutes_with_max_pool(torch.relu, "bfloat16"),
    "body": lambda: commutes_with_max_pool(torch.relu, "float16", path="vector body"),
    "fall": lambda: is_nondecreasing(F.gelu, "float16"),
    "nan": lambda: is_nondecreasing(torch.log, "float16"),
    "images": lambda: commutes_with_max_pool(F.gelu, "bfloat16"),
    "signs of zero": lambda: commutes_with_max_pool(torch.relu, "float16", equality="bitwise"),
    "position": lambda: commutes_with_max_pool(torch.sigmoid),
    "position, as values": lambda: commutes_with_max_pool(torch.sigmoid, equality="equal as values"),
    "signs of zero in the tail": lambda: commutes_with_max_pool(F.softshrink, "float16"),
    "signs of zero, body": lambda: commutes_with_max_pool(F.softshrink, "float16", path="vector body"),
    "signs of zero, bitwise": lambda: commutes_with_max_pool(F.softshrink, "float16", equality="bitwise"),
    "term": lambda: over_the_reals("tanh"),
    "two cells": lambda: over_the_reals("gelu"),
    "converse": converse,
}


@pytest.mark.parametrize("name", MADE)
def test_true_evidence_passes_from_its_file(name):
    assert check(Verdict.from_json(MADE[name]().to_json())) == (True, "")


@pytest.mark.parametrize("name", [*TERMS, *FALLING])
def test_every_known_function_over_the_reals_passes(name):
    assert check(over_the_reals(name)) == (True, "")


@pytest.mark.parametrize("name", ["scan", "values", "images", "term"])
def test_mutations_are_rejected(name, rng):
    verdict = MADE[name]()
    whole = verdict.to_json().encode()
    for _ in range(150):
        at = int(rng.integers(0, len(whole)))
        changed = whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :]
        try:
            read = Verdict.from_json(changed)
        except InvalidInput:
            continue
        assert read == verdict or check(read)[0] is not True


def again(verdict: Verdict, **changes) -> Verdict:
    """The verdict with changes to its evidence's data (or `claim`, `equality`), sealed again as if it were true."""
    data = {k: v for k, v in verdict.evidence.data.items() if k != "seal"}
    top = {k: changes.pop(k) for k in ("claim", "equality", "status", "assumptions") if k in changes}
    evidence = msgspec.structs.replace(verdict.evidence, data={**data, **changes})
    return sealed(msgspec.structs.replace(verdict, evidence=evidence, **top))


LIES = {
    "another claim": ("scan", {"claim": "torch.sin is nondecreasing"}, "the evidence is for another claim"),
    "another function": ("scan", {"function": "torch.sin"}, "the evidence is for another claim"),
    "another digest": ("scan", {"digest": hashlib.sha256(b"").hexdigest()}, "the outputs are not those of the certif"),
    "another count": ("scan", {"values": 1}, "the format does not have 1 values"),
    "a fall conceded": ("scan", {"decreasing": 3}, "the outputs are not those of the certificate"),
    "a chunk of tails": ("scan", {"chunk": 3}, "a chunk of 3 values reaches a scalar tail"),
    "another format": ("scan", {"dtype": "float8"}, "'torch.tanh' is not in the list of functions"),
    "another version": ("scan", {"version": "1.0"}, "here runs torch"),
    "no function": ("scan", {"function": "os.system"}, "'os.system' is not in the list of functions"),
    "another term": ("term", {"term": ["exp", "x"]}, "the term falls, or is another function"),
    "a falling term": ("term", {"term": ["neg", "x"]}, "the term falls, or is another function"),
    "no rule": ("term", {"term": ["add", "x", ["neg", "x"]]}, "the evidence is malformed"),
    "no name": ("term", {"function": "nope"}, "the evidence is for another claim"),
    "no assumption": ("scan", {"assumptions": ()}, "the assumptions are not those"),
    "no pool": ("bitwise", {"assumptions": ()}, "the assumptions are not those"),
    "a fall of another": ("fall", {"claim": "1 + 1 = 2"}, "the evidence is for another claim"),
    "other bits in the tail": (
        "signs of zero, body",
        {
            "claim": "torch.nn.functional.softshrink commutes with max pooling over every float16 image without NaN, to the bit"
        },
        "23,552 of the values tried give other bits",
    ),
    "images of another": ("images", {"claim": "1 + 1 = 2"}, "the evidence is for another claim"),
    "cases": ("converse", {"commutes": []}, "the three orders are not as listed"),
}


@pytest.mark.parametrize("case", LIES)
def test_lies_that_are_sealed_again_are_rejected(case):
    name, changes, why = LIES[case]
    answer, said = check(again(MADE[name](), **changes))
    assert answer is not True
    assert said.startswith(why)


COUNTS = {
    "falls": ("fall", {"decreasing": 2}, "other pairs fall, or other values give NaN"),
    "worst": ("fall", {"worst_ulps": 99}, "other pairs fall, or other values give NaN"),
    "worst pair": ("fall", {"worst": None}, "other pairs fall, or other values give NaN"),
    "nan": ("nan", {"nan_outputs": 1}, "other pairs fall, or other values give NaN"),
    "regions": (
        "fall",
        {"regions": ["nondecreasing on [-65504, inf], 63,489 values"]},
        "it does not rise where it says",
    ),
    "not all": ("fall", {"complete": False}, "it looked at another number of values"),
    "zeros": ("fall", {"at_zero": "f(-0.0) is 1 (0x3c00) and f(+0.0) is 0 (0x0000)"}, "the outputs at the zeros are o"),
    "on nan": ("images", {"positions": "pigs fly"}, "what it says of other layouts does not fit"),
    "short": ("position", {"positions": "pigs fly"}, "what it says of other layouts does not fit"),
    "more": ("fall", {"pigs": "fly"}, "there is more or less in it than a scan shows"),
    "more in an image": ("position", {"pigs": "fly"}, "there is more or less in it than such an image shows"),
    "no count": ("fall", {"decreasing": True}, "a count is no whole number"),
}


@pytest.mark.parametrize("case", COUNTS)
def test_a_counterexample_says_no_more_than_what_is_so(case):
    name, changes, why = COUNTS[case]
    answer, said = check(again(MADE[name](), **changes))
    assert answer is False
    assert said.startswith(why)


@pytest.mark.parametrize("name", ["fall", "nan", "images", "signs of zero", "position"])
def test_the_sentence_of_a_counterexample_is_written_again(name):
    verdict = MADE[name]()
    lie = msgspec.structs.replace(verdict.evidence, statement=f"{verdict.evidence.statement}, and pigs fly")
    lie = again(msgspec.structs.replace(verdict, evidence=lie))
    assert check(lie) == (False, "the sentence is not that of such a counterexample")


def test_of_float32_the_checker_says_what_it_did_not_count():
    verdict = is_nondecreasing("torch.nn.functional.gelu", stop_at_first=True)
    answer, said = check(verdict)
    assert answer is True
    assert said.startswith(verdict.evidence.statement.partition(";")[0])
    assert said.endswith("; but how many fall, by how much, and where it rises, was not counted again")


def test_relu_is_not_bitwise_whoever_seals_it():
    values = MADE["values"]()
    claim = values.claim.replace("as values (the sign of a zero may differ)", "to the bit")
    data = {**values.evidence.data, "equality": "bitwise"}
    lie = msgspec.structs.replace(values, evidence=msgspec.structs.replace(values.evidence, data=data))
    answer, said = check(again(lie, claim=claim, equality=Equality.BITWISE))
    assert (answer, said) == (False, "zeros of both signs come out, and not from the two zeros alone")


def test_a_function_that_falls_is_not_proved_whoever_seals_it():
    scan = MADE["scan"]()
    name = "torch.nn.functional.silu"
    lie = again(scan, claim=scan.claim.replace("torch.tanh", name), function=name)
    answer, said = check(lie)
    assert answer is False
    assert said.endswith("pairs of neighbours fall or are NaN")


def test_a_position_that_moves_a_value_is_not_proved_whoever_seals_it():
    bitwise = commutes_with_max_pool(torch.tanh, "float16")
    name = "torch.nn.functional.gelu"
    lie = again(bitwise, claim=bitwise.claim.replace("torch.tanh", name), function=name)
    answer, said = check(lie)
    assert answer is False
    assert said.endswith("of the values tried give other bits in short rows than in a long one")


def test_the_checker_loads_nothing_of_the_prover():
    code = "import mathdnn.verify.monotone, mathdnn.verify.backprop, sys; print([m for m in sys.modules if m.startswith('mathdnn') or m == 'torch'])"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not any(room in names for room in ("mathdnn.monotone", "mathdnn.backprop", "'torch'"))
    assert "two orders of pooling" in KINDS
