"""The pool of exact rows against sums written out with fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathdnn.convolution.compare import first_difference
from mathdnn.convolution.grouping import grouped
from mathdnn.convolution.pool import Pool, TooLarge
from mathdnn.convolution.side import float_values

PIXELS = 6
Row = tuple[dict[int, Fraction], Fraction]


def _written_out(pool: Pool, ids: np.ndarray) -> list[Row]:
    rows = [({}, pool.numbers.values[code]) for code in pool.constant_codes(ids).tolist()]
    for place, pixel, code in zip(*(part.tolist() for part in pool.entries(ids)), strict=True):
        rows[place][0][pixel] = pool.numbers.values[code]
    return rows


def _sum(rows: list[Row], weights: list[Fraction], constant: Fraction) -> Row:
    pixels = sorted({pixel for row, _ in rows for pixel in row})
    total = {
        p: sum((w * row.get(p, 0) for w, (row, _) in zip(weights, rows, strict=True)), Fraction(0)) for p in pixels
    }
    return {p: v for p, v in total.items() if v}, constant + sum(
        (w * c for w, (_, c) in zip(weights, rows, strict=True)), Fraction(0)
    )


VALUES = st.sampled_from([Fraction(n, d) for n in (-2, -1, 0, 1, 3) for d in (1, 3)])
STEPS = st.lists(st.tuples(st.lists(st.integers(0, 30), min_size=6, max_size=6), VALUES, VALUES, VALUES), max_size=5)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_sums_of_rows_are_the_sums_written_out(steps):
    pool = Pool(PIXELS)
    held = np.concatenate([pool.inputs(), pool.constants(pool.numbers.codes([Fraction(0), Fraction(2)]))])
    for places, first, second, constant in steps:
        terms = held[np.array(places) % len(held)].reshape(2, 3)
        codes = pool.numbers.codes([first, second])
        made = pool.combine(terms, codes[None], pool.numbers.codes([constant]))[0]
        expected = [
            _sum([a, b], [first, second], constant)
            for a, b in zip(*(_written_out(pool, part) for part in terms), strict=True)
        ]
        assert _written_out(pool, made) == expected
        scaled = pool.scale(made, pool.numbers.codes([first, second, Fraction(0)]))
        assert _written_out(pool, scaled) == [
            _sum([row], [weight], Fraction(0))
            for row, weight in zip(expected, (first, second, Fraction(0)), strict=True)
        ]
        held = np.concatenate([held, made, scaled])
    rows = _written_out(pool, held)
    for k in range(len(held)):  # one row, one function and base; different rows, different ones
        assert (first_difference(held[k : k + 1], held[-1:], pool) is None) == (rows[k] == rows[-1])


def test_what_is_alike_is_computed_once():
    pool = Pool(10_000)
    image = pool.inputs().reshape(100, 100)
    made = pool.combine([image[1:, :], image[:-1, :]], pool.numbers.codes([Fraction(1), Fraction(-1)])[None])[0]
    assert len(np.unique(pool.functions(made))) == 1
    assert len(pool.table.pixel) == 1 + 2


def test_columns_with_one_mix_are_told_apart(monkeypatch):
    """The mix of terms only saves time: with the worst of mixes the groups are the same."""
    from mathdnn.convolution import grouping

    pool = Pool(50)
    terms = [np.roll(pool.inputs(), k).reshape(5, 10) for k in (0, 3)] + [np.zeros((5, 10), np.int64)]
    right = grouped(terms, pool.mask)
    monkeypatch.setattr(grouping, "_FACTOR", np.int64(0))
    wrong = grouped(terms, pool.mask)
    assert len(right.ids) == len(wrong.ids) == 2
    same = [groups.place[:, None] == groups.place for groups in (right, wrong)]
    np.testing.assert_array_equal(*same)


def test_few_sums_of_many_terms_are_grouped_too():
    pool = Pool(200)
    terms = pool.inputs().reshape(2, 100).T  # 100 terms at 2 places
    groups = grouped(terms, pool.mask)
    assert groups.ids.shape == (1, 100)


def test_a_pool_has_a_limit():
    pool = Pool(100, limit=50)
    with pytest.raises(TooLarge, match=r"^101 coefficients, more than the limit of 50$"):
        pool.combine(pool.inputs()[:, None], np.ones((1, 100), np.int32))


def test_losses_belong_to_the_way_a_row_was_computed():
    pool = Pool(3)
    ids = pool.inputs()
    there = pool.scale(ids, pool.numbers.codes([Fraction(1000)]))
    back = pool.scale(there, pool.numbers.codes([Fraction(1, 1000)]))
    assert first_difference(ids, back, pool) is None
    assert pool.losses(ids)[0].tolist() == [1.0] * 3
    away = pool.combine([there, there], pool.numbers.codes([Fraction(1), Fraction(-1)])[None])[0]
    assert first_difference(away, np.zeros(3, np.int64), pool) is None
    assert (pool.losses(away)[0] >= 2000).all()
    both = np.concatenate([ids, back])  # one function, two ways of computing it
    np.testing.assert_allclose(float_values(both, pool, np.array([1.0, 2.0, 4.0])), [1, 2, 4, 1, 2, 4])
