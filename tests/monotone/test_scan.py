"""The scan finds every fall, wherever it lies, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.oracles import monotone as oracle
from tests.saboteurs.monotone import SCANS

from mathdnn import commutes_with_max_pool, is_nondecreasing
from mathdnn.errors import InvalidInput
from mathdnn.monotone.floats import FORMATS, bits_at, is_nan
from mathdnn.monotone.functions import Elementwise, elementwise
from mathdnn.monotone.position import positions
from mathdnn.monotone.scan import fill_bits, scan, scan_literal

HALF = FORMATS["float16"]
SUBNORMAL = 300
PLANTED = [HALF.first, -SUBNORMAL, -4, -2, -1, 0, 1, SUBNORMAL, HALF.first + 999, 1999, HALF.infinity - 3]


def table(outputs: np.ndarray, name: str = "table") -> Elementwise:
    """The function on float16 that a table of 65,536 outputs is, by bits."""

    def on_bits(bits):
        return outputs[bits.view(np.uint16)]

    return Elementwise(name, "numpy", "0", "none", HALF, False, on_bits)


def planted(place: int) -> Elementwise:
    """The identity, but for one value that is mapped three steps up: one fall, between `place` and the next."""
    outputs = np.arange(1 << 16, dtype=np.uint16).view(np.int16).copy()
    k = np.array([place])
    outputs[bits_at(k, HALF).view(np.uint16)] = bits_at(np.minimum(k + 3, HALF.infinity), HALF)
    return table(outputs)


@pytest.mark.parametrize("place", PLANTED)
@pytest.mark.parametrize("chunk", [1000, 1 << 17])
def test_one_fall_is_found_wherever_it_lies(place, chunk):
    found = scan(planted(place), chunk=chunk, threads=1)
    assert (found.decreasing, found.first_fall.place, found.worst_fall) == (1, place, found.first_fall)
    assert [(s.first, s.last) for s in found.spans] == [(HALF.first, place), (place + 1, HALF.infinity)]


@pytest.mark.parametrize("saboteur", SCANS)
def test_scans_that_leave_something_out_are_rejected(saboteur):
    found = [saboteur(planted(place).on_bits, HALF) for place in PLANTED]
    assert [[place] for place in PLANTED] != found


def test_random_tables_agree_with_a_slow_count(rng):
    inputs = oracle.all_float16()
    for chunk in (777, 5000, 1 << 17):
        outputs = np.sort(rng.normal(size=1 << 16)).astype(np.float16)
        ordered = outputs[: len(inputs)].copy()
        at = rng.integers(0, len(ordered), 40)
        ordered[at] = rng.normal(size=40)
        ordered[rng.integers(0, len(ordered), 3)] = np.nan
        outputs[inputs.view(np.uint16)] = ordered
        found = scan(table(outputs.view(np.int16)), chunk=chunk, threads=1)
        falls = oracle.falls(ordered)
        assert found.decreasing == len(falls)
        assert found.first_fall.place == HALF.first + falls[0]
        assert found.nan_outputs == int(np.isnan(ordered).sum())
        assert found.first_nan == HALF.first + int(np.flatnonzero(np.isnan(ordered))[0])
        assert max(s.last - s.first + 1 for s in found.spans) == oracle.longest_rise(ordered)


def test_the_literal_form_counts_the_same():
    f = elementwise(torch.nn.functional.gelu, HALF)
    low, high = 0x3000 ^ -0x8000 ^ HALF.magnitude, -1
    places = np.arange(low, high + 1)
    ordered = f.on_bits(np.resize(bits_at(places, HALF), 1 << 17))[: len(places)].view(np.float16)
    assert scan_literal(table_of(f), range(low, high)) == len(oracle.falls(ordered))


def table_of(f: Elementwise) -> Elementwise:
    """f as its vector body has it, one value at a time."""
    return table(f.on_bits(np.arange(1 << 16, dtype=np.uint16).view(np.int16)))


def test_the_places_of_a_chunk_are_filled_in_order_and_padded_with_the_last():
    for form in FORMATS.values():
        for first, last in ((form.first, form.first + 9), (-5, -1), (0, 9), (form.infinity - 3, form.infinity)):
            buffer = np.empty(16, form.integer)
            fill_bits(first, last, np.arange(16, dtype=np.int64), buffer, form)
            wanted = np.minimum(np.arange(first, first + 16), last)
            assert (buffer == bits_at(wanted, form)).all()
            assert not is_nan(buffer, form).any()


def test_stopping_early_is_independent_of_the_threads():
    f = elementwise(torch.nn.functional.gelu, FORMATS["float32"])
    one, two = (scan(f, stop_at_first=True, threads=threads) for threads in (1, 2))
    assert one == two
    assert not one.complete
    assert one.decreasing > 0


def test_progress_ends_at_the_number_of_values():
    seen = []
    scan(elementwise("torch.tanh", HALF), progress=lambda done, total: seen.append((done, total)), chunk=4096)
    assert seen[-1] == (HALF.values, HALF.values)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_the_threads_of_torch_are_as_before():
    before = torch.get_num_threads()
    scan(elementwise("torch.tanh", HALF))
    assert torch.get_num_threads() == before


def test_an_output_that_depends_on_the_position_is_seen():
    def moves(x):
        return x + 1 if x.shape[-1] != 3 else x

    found = positions(elementwise(moves, HALF))
    assert found.complete
    assert found.differing > 0
    assert found.layout == "scalar tail"
    assert positions(elementwise("torch.relu", HALF)).differing == 0


@pytest.mark.parametrize("layout", ["short tensors", "last element"])
def test_a_function_that_looks_at_its_tensors_length_or_end_is_seen(layout):
    def changes_short_ones(x):
        return x if x.numel() > 999 else x + 1

    def changes_the_last(x):
        return torch.cat([x.reshape(-1)[:-1], 1 + x.reshape(-1)[-1:]]).reshape(x.shape) if x.numel() == 4099 else x

    f = changes_short_ones if layout == "short tensors" else changes_the_last
    found = positions(elementwise(f, HALF))
    assert (found.layout, found.compared, found.complete) == (layout, HALF.values, True)
    assert found.differing > 0


def larger_of_neighbours(x):
    return torch.cat([x[..., :1], torch.where(x[..., :-1] > x[..., 1:], x[..., :-1], x[..., 1:])], -1)


@pytest.mark.parametrize(
    "looks", [larger_of_neighbours, lambda x: torch.cummax(x, -1).values, lambda x: x.flip(-1), np.flip]
)
@pytest.mark.parametrize("ask", [is_nondecreasing, commutes_with_max_pool])
def test_a_function_that_looks_at_other_elements_is_refused(looks, ask):
    with pytest.raises(InvalidInput, match="depends on its own input element alone"):
        ask(looks, "float16")


@pytest.mark.parametrize(
    ("looks", "layout"),
    [
        (lambda x: x if x.numel() > 200_000 else -x, "shuffled"),
        (lambda x: x if x.ndim < 3 else -x, "images"),
        (lambda x: x if x.is_contiguous() or x.ndim < 4 else -x, "images"),
        (lambda x: x if x.ndim != 3 else -x, "images"),
        (lambda x: x if x.ndim < 4 or x.shape[0] > 1 else -x, "images"),
        (lambda x: x if x.ndim < 4 or x.shape[1] > 1 else -x, "images"),
        (lambda x: x if torch.get_num_threads() == 1 else -x, "several threads"),
    ],
)
def test_a_function_that_looks_at_more_than_values_is_not_proved(looks, layout):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rises, commutes = is_nondecreasing(looks, "float16"), commutes_with_max_pool(looks, "float16")
    finally:
        torch.set_num_threads(threads)
    assert (rises.status, commutes.status) == ("undecided", "undecided")
    assert f"other bits in the {layout} than in the vector body" in str(rises)


@pytest.mark.slow
def test_every_position_of_relu_over_all_float32():
    found = positions(elementwise("torch.relu", FORMATS["float32"]), exhaustive=True)
    assert (found.complete, found.differing, found.compared) == (True, 0, FORMATS["float32"].values)
