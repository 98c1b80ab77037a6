"""The probe does the work it says: sums are right, counts are the formula's, and wrong arrays never reach a pointer."""

from __future__ import annotations

import numpy as np
import pytest

from mathdnn import native
from mathdnn.errors import InvalidInput

pytestmark = pytest.mark.skipif(not native.available(), reason="the compiled kernels are not built")


def sets():
    from mathdnn.native.engine import INSTRUCTION_SETS

    return INSTRUCTION_SETS[: INSTRUCTION_SETS.index(native.instruction_set()) + 1] if native.available() else ()


@pytest.mark.parametrize("name", sets())
def test_every_float_is_read(name):
    from mathdnn.native.probe import aligned_floats, read_memory

    values = aligned_floats(1024)
    values[:] = np.arange(1024)
    assert read_memory(values, instruction_set=name) == 1023 * 512


@pytest.mark.parametrize("name", sets())
def test_operations_are_two_a_multiply_add(name):
    from mathdnn.native.probe import multiply_add

    assert multiply_add(0, instruction_set=name) == 0
    assert multiply_add(10, instruction_set=name) == 10 * 2 * 12 * {"baseline": 4, "avx2": 8, "avx512": 16}[name]


def test_a_convolution_counts_its_operations():
    from mathdnn.native.probe import DIRECTIONS, ConvolutionProbe

    probe = ConvolutionProbe(((0,), (0, 1)), (2, 6, 7), (3, 2))
    assert probe.operations == 2 * 3 * 6 * (4 * 6) * 16
    assert probe.bytes == 4 * (16 * (2 * 42 + 2 * 24) + 18)
    for direction in DIRECTIONS:
        probe.run(direction, 2)


def test_arrays_that_do_not_fit_are_refused():
    from mathdnn.native.probe import ConvolutionProbe, aligned_floats, multiply_add, read_memory

    sentence = (
        r"read_memory\(values\): expected a multiple of 256 float32, aligned to 64 bytes, got float32 of shape \(%d,\)"
    )
    with pytest.raises(InvalidInput, match=sentence % 255):
        read_memory(aligned_floats(512)[:255])
    with pytest.raises(InvalidInput, match=sentence % 256):
        read_memory(aligned_floats(512)[1:257])
    with pytest.raises(
        InvalidInput, match=r"multiply_add\(rounds=\.\.\.\): expected a whole number from 0 to 2\^40, got -1"
    ):
        multiply_add(-1)
    with pytest.raises(InvalidInput, match="expected edges from maps there are, and a filter within the image"):
        ConvolutionProbe(((2,),), (2, 6, 7), (3, 2))
    with pytest.raises(
        InvalidInput, match=r"ConvolutionProbe\.run: expected forward or input gradient or weight gradient"
    ):
        ConvolutionProbe(((0,),), (2, 6, 7), (3, 2)).run("backward", 1)
