"""Verdicts: the evidence fits the status, and JSON loses nothing."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from mathdnn.errors import InvalidInput
from mathdnn.verdict import (
    Assumption,
    Certificate,
    Counterexample,
    Equality,
    Estimate,
    Status,
    Undecided,
    Verdict,
    pack_array,
    unpack_array,
)

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
EVIDENCE = {
    Status.PROVED: st.builds(Certificate, st.text(), st.text(), st.dictionaries(st.text(), PLAIN, max_size=3)),
    Status.REFUTED: st.builds(Counterexample, st.text(), PLAIN, PLAIN, PLAIN),
    Status.SUPPORTED: st.builds(
        Estimate, st.text(), *[st.floats(allow_nan=False, allow_infinity=False)] * 4, st.integers(0, 100), st.text()
    ),
    Status.UNDECIDED: st.builds(Undecided, st.text(), st.text()),
}
VERDICTS = st.sampled_from(list(EVIDENCE)).flatmap(
    lambda status: st.builds(
        Verdict,
        st.text(),
        st.just(status),
        EVIDENCE[status],
        st.lists(st.builds(Assumption, st.text(), st.text()), max_size=2).map(tuple),
        st.sampled_from([None, *Equality]),
    )
)


@given(VERDICTS)
def test_json_and_back_loses_nothing(verdict):
    assert Verdict.from_json(verdict.to_json()) == verdict


@given(
    arrays.arrays(
        st.sampled_from(["float16", "float32", "float64", "int64", "uint8", "bool"]), arrays.array_shapes(min_side=0)
    )
)
def test_arrays_keep_every_bit(array):
    back = unpack_array(pack_array(array))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "change",
    [{"dtype": "9" * 5000}, {"dtype": "i4,f4"}, {"dtype": "object"}, {"dtype": ["i4"]}, {"shape": [float("inf")]}],
    ids=str,
)
def test_an_array_that_was_never_packed_is_refused(change):
    packed = {**pack_array(np.eye(2)), **change}
    with pytest.raises(
        InvalidInput, match=r"^unpack_array\(packed\): expected dtype, shape and bits that fit together"
    ):
        unpack_array(packed)


def test_evidence_must_fit_the_status():
    with pytest.raises(
        InvalidInput, match=r"^Verdict\(evidence=...\): expected a Certificate for the status proved, got a Unde"
    ):
        Verdict("1 = 1", Status.PROVED, Undecided("no time", "time"))


def test_a_verdict_has_no_truth_value():
    with pytest.raises(TypeError, match="undecided is neither true nor false"):
        bool(Verdict("1 = 1", Status.UNDECIDED, Undecided("no time", "time")))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**64, np.float32(1), (1, 2), {1: 2}])
def test_evidence_that_json_would_lose_is_refused(value):
    with pytest.raises(InvalidInput, match=r"^Certificate\(data=...\): expected plain JSON data, got"):
        Certificate("kind", "method", {"value": value})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"claim": 1}', "\x00", "[" * 100_000, b"\xff"])
def test_what_is_no_verdict_is_refused_in_one_sentence(text):
    with pytest.raises(InvalidInput, match=r"^Verdict.from_json\(text\): expected a verdict as to_json writes it, got"):
        Verdict.from_json(text)


def test_plain_words():
    verdict = Verdict(
        "tanh is nondecreasing",
        Status.PROVED,
        Certificate("scan", "every float32 was compared with its neighbour"),
        (Assumption("the scan ran on avx512"),),
        Equality.BITWISE,
    )
    assert str(verdict) == (
        "PROVED: tanh is nondecreasing\n"
        "  every float32 was compared with its neighbour\n"
        "  equality: bitwise\n"
        "  assuming: the scan ran on avx512"
    )
