"""Functions of NumPy arrays: what is asked of them, and what rounding hides."""

from __future__ import annotations

import pytest

from mathdnn import as_conv2d
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status


def test_outputs_of_several_sizes_are_refused_in_a_sentence():
    message = r"^as_conv2d\(opaque=True\): expected outputs of one shape for images of one, got \(1, 5, 5\) and \(1, 3,"
    with pytest.raises(InvalidInput, match=message):
        as_conv2d(lambda a: a[:, :3] if 0 < a.sum() < 2 and a.max() == 1 else a, (1, 5, 5), opaque=True)


@pytest.mark.parametrize(("constant", "status"), [(1e9, Status.PROVED), (1e12, Status.UNDECIDED)])
def test_responses_that_drown_in_the_rounding_of_a_constant_prove_nothing(constant, status):
    verdict = as_conv2d(lambda a: a + constant, (1, 5, 5), opaque=True)
    assert verdict.status is status
    if status is Status.UNDECIDED:
        assert "the responses are no larger than what rounding may do to them" in str(verdict)


@pytest.mark.parametrize("bent", [lambda a: a * abs(a), lambda a: a.clip(-2, 2)], ids=["squared", "clipped"])
@pytest.mark.parametrize("constant", [1e7, 1e9])
def test_a_constant_does_not_hide_that_random_images_disagree(bent, constant):
    verdict = as_conv2d(lambda a: bent(a) + constant, (1, 5, 5), opaque=True)
    assert verdict.status is not Status.PROVED
