"""What someone else's function may do: each thing that it should not is one sentence, and a call that hangs ends."""

# ruff: noqa: E501 (sentences are compared whole)

from __future__ import annotations

import re
import time

import numpy as np
import pytest
import torch

from mathdnn.errors import InvalidInput
from mathdnn.monotone import commutes_with_max_pool, is_nondecreasing
from mathdnn.monotone.floats import FORMATS
from mathdnn.monotone.functions import elementwise

CHUNK = "524,288 values of float16"
ASKED = {"is_nondecreasing": is_nondecreasing, "commutes_with_max_pool": commutes_with_max_pool}


def only_few(x):
    if x.numel() > 128:
        raise ValueError("only small tensors,\nplease.")
    return x


def out_of_memory(x):
    return (x[:, None] * torch.ones(10**13))[:, 0]


def spins(x):
    while True:
        pass


def spins_on_many(x):
    while x.numel() > 128:
        pass
    return x


def sleeps_on_many(x):
    if x.numel() > 128:
        time.sleep(1000)
    return x


def doubles_in_place(x):
    return x.mul_(2)


def clips_in_place(x):
    x[x < -2000] = -2000  # the probe's values are all nearer zero
    return x.clone()


def rarely_random(x):
    return torch.where(torch.rand(x.shape) < 1e-3, -x, x) if x.numel() > 128 else x


def random(x):
    return x + torch.rand_like(x)


DO = "give an elementwise function of one format"
STILL = "which was still running; give a function that ends, or a larger time_limit"
SENTENCES = {
    "few": (only_few, ("a function that takes [0-9,]+ values of float16, got only_few raised ValueError: only small "
                      "tensors, please; give an elementwise function")),
    "memory": (out_of_memory, ("a function that takes 128 values of float16, got out_of_memory raised RuntimeError: .*"
                              "allocate.*; give an elementwise function")),
    "spins": (spins, f"an answer within 0.2 s for 128 values of float16, got spins, {STILL}"),
    "spins on many": (spins_on_many, f"an answer within 0.2 s for [0-9,]+ values of float16, got spins_on_many, {STILL}"),
    "sleeps": (sleeps_on_many, f"an answer within 0.2 s for [0-9,]+ values of float16, got sleeps_on_many, {STILL}"),
    "in place": (doubles_in_place, f"a function that leaves its input alone, got doubles_in_place that changes it; {DO}"),
    "in place elsewhere": (clips_in_place, f"a function that leaves its input alone, got clips_in_place that changes it; {DO}"),
    "random": (random, f"the same output twice, got random with two outputs; {DO}"),
    "none": (lambda x: None, f"a torch tensor from a torch tensor, got NoneType; {DO}"),
    "wider": (lambda x: x.double(), f"float16 from float16, got float64; {DO}"),
    "rank": (lambda x: x[None], r"the shape \(128,\) back, got \(1, 128\); " + DO),
    "size": (lambda x: x[:-1], r"the shape \(128,\) back, got \(127,\); " + DO),
    "device": (lambda x: x.to("meta"), ("a function that takes 128 values of float16, got .* raised TypeError: can't "
                                       "convert meta device .*; give an elementwise function")),
}  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("case", SENTENCES)
def test_what_cannot_be_scanned_is_one_sentence_in_time(case, asked):
    f, words = SENTENCES[case]
    start = time.monotonic()
    with pytest.raises(InvalidInput, match=rf"^{asked}\(f=...\): expected {words}\.$"):
        ASKED[asked](f, "float16", time_limit=0.2, threads=2)
    assert time.monotonic() - start < 30  # and not 1000: a bound against hanging, no figure of speed


def test_a_function_that_is_random_on_a_few_values_is_no_counterexample():
    torch.manual_seed(0)
    words = r"the same output twice, got rarely_random with two outputs at .* or the next float16; " + DO
    with pytest.raises(InvalidInput, match=rf"^is_nondecreasing\(f=...\): expected {words}\.$"):
        is_nondecreasing(rarely_random, "float16")


def test_a_nan_that_does_not_come_again_is_no_answer():
    calls = iter(range(1_000_000))

    def nan_in_the_scan(x):
        return torch.where(x == 5, float("nan"), x) if x.numel() == 1 << 19 and next(calls) < 3 else x.clone()

    words = r"the same output twice, got .*nan_in_the_scan with two outputs at 5 \(0x4500\) or the next float16; "
    with pytest.raises(InvalidInput, match=words):
        is_nondecreasing(nan_in_the_scan, "float16")


@pytest.mark.parametrize("seconds", [0, -1, np.nan, np.inf, "5", True, 86_401])
@pytest.mark.parametrize("asked", ASKED)
def test_a_time_limit_is_seconds(seconds, asked):
    words = f"{asked}(time_limit=...): expected seconds from above 0 to 86400, got {seconds!r}; give a time limit."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        ASKED[asked](torch.tanh, "float16", time_limit=seconds)


def test_the_other_thread_computes_the_same_bits():
    def tanh(x):
        return torch.tanh(x)

    bits = np.arange(1 << 15, dtype=np.int16)
    plain = elementwise(torch.tanh, FORMATS["float16"]).on_bits(bits)
    for seconds in (None, 5):
        np.testing.assert_array_equal(elementwise(tanh, FORMATS["float16"], time_limit=seconds).on_bits(bits), plain)


def test_the_other_thread_has_as_many_threads_as_the_caller():
    seen = []

    def f(x):
        seen.append(torch.get_num_threads())
        return x

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        elementwise(f, FORMATS["float16"])
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {3}
