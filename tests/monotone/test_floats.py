"""Floats as ordered integers: a bijection that keeps the order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles.monotone import all_float16

from mathdnn.errors import InvalidInput
from mathdnn.monotone.floats import FORMATS, bits_at, float_format, is_nan, place, place_of, text, value_at, values_of


def test_float16_in_order_is_what_a_sort_gives():
    form = FORMATS["float16"]
    places = np.arange(form.first, form.infinity + 1)
    ours = bits_at(places, form).view(np.float16)
    assert ours.tobytes() == all_float16().tobytes()
    assert len(places) == form.values
    assert (place_of(ours.view(np.int16), form) == places).all()


@pytest.mark.parametrize("name", FORMATS)
def test_every_bit_pattern_is_a_value_or_a_nan(name):
    form = FORMATS[name]
    assert form.values + form.nans == 1 << form.width
    if form.width == 16:
        bits = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
        assert int(is_nan(bits, form).sum()) == form.nans
        assert (np.isnan(values_of(bits, form)) == is_nan(bits, form)).all()


@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_float32_places_are_ordered_as_the_values(a, b):
    form = FORMATS["float32"]
    bits = np.array([a, b], np.float32).view(np.int32)
    one, other = place_of(bits, form)
    assert (bits_at(np.array([one, other]), form) == bits).all()
    if a < b:
        assert one < other
    if one < other:
        assert a <= b


def test_bfloat16_is_the_upper_half_of_float32():
    form = FORMATS["bfloat16"]
    bits = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    theirs = torch.from_numpy(bits.copy()).view(torch.bfloat16).float().numpy()
    assert values_of(bits, form).tobytes() == theirs.tobytes()


def test_the_two_zeros_and_the_infinities_have_their_places():
    for form in FORMATS.values():
        assert [place(v, form) for v in (0.0, float("inf"), float("-inf"))] == [0, form.infinity, form.first]
        assert place(-0.0, form) == -1
        assert value_at(1, form) > 0 > value_at(-2, form)


def test_a_value_reads_with_its_bits():
    assert text(-1, FORMATS["float32"]) == "nan (0xffffffff)"
    assert text(0, FORMATS["float16"]) == "0 (0x0000)"
    assert text(-32768, FORMATS["float16"]) == "-0 (0x8000)"


@pytest.mark.parametrize("dtype", ["float16", np.float16, np.dtype("float16"), torch.float16])
def test_a_format_goes_by_its_name_in_three_libraries(dtype):
    assert float_format(dtype) is FORMATS["float16"]


def test_what_cannot_be_scanned_is_refused():
    with pytest.raises(
        InvalidInput,
        match=r"^float_format\(dtype=...\): expected one of float16, bfloat16, float32, got 'float64'; "
        r"choose a format that can be scanned in full\.$",
    ):
        float_format("float64")
    with pytest.raises(InvalidInput, match=r"^place\(value=...\): expected a float16 that is not NaN, got 0.1; round"):
        place(0.1, FORMATS["float16"])
