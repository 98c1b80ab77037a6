"""Rows that begin with a cache line."""

import numpy as np
import pytest

from mathdnn.native.memory import aligned_rows


@pytest.mark.parametrize(("n", "d"), [(0, 5), (1, 1), (3, 16), (7, 17), (2, 785)])
def test_each_row_begins_with_a_line_and_rows_do_not_overlap(n, d):
    rows = aligned_rows(n, d)
    assert (rows.shape, rows.dtype) == ((n, d), np.float32)
    assert rows.flags.writeable
    for k in range(n):
        assert rows[k].ctypes.data % 64 == 0
        rows[k] = k
    assert (rows == np.arange(n)[:, None]).all()


def test_rows_of_whole_lines_are_packed():
    assert aligned_rows(3, 32).flags.c_contiguous
    assert not aligned_rows(3, 33).flags.c_contiguous
