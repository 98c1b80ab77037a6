"""What a refutation says of the place where an operation is no convolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mathdnn import as_conv2d, verify
from mathdnn.verdict import Status

AT_ONE_PIXEL = torch.ones(5, 5)
AT_ONE_PIXEL[2, 3] = 2
INSIDE = {
    "another weight at one pixel": (lambda x: x * AT_ONE_PIXEL, (1, 5, 5)),
    "mirrored": (lambda x: x.flip(-1), (1, 7, 7)),
    "transposed": (lambda x: x.transpose(-1, -2), (1, 7, 7)),
    # the first output that differs is at the border here, and others inside differ as well
    "wrong at the border and inside": (
        lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1), value=0), torch.ones(1, 1, 3, 3)) * F.pad(AT_ONE_PIXEL, (1, 1, 1, 1)),
        (1, 7, 7),
    ),
}


@pytest.mark.parametrize("name", INSIDE)
def test_an_output_whose_window_lies_inside_the_image_is_not_said_to_be_at_its_border(name):
    operation, shape = INSIDE[name]
    verdict = as_conv2d(operation, shape)
    said = verdict.evidence.statement
    assert verdict.status is Status.REFUTED
    assert said.startswith("In the middle of the image it is a convolution, and elsewhere another or none: output (0, ")
    assert said.endswith(" times, whatever the padding.")
    assert verify(verdict).status is Status.PROVED


def test_a_border_of_its_own_is_said_to_be_one():
    def mean(x):  # around the border there are fewer pixels, and torch divides by their number
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    verdict = as_conv2d(mean, (1, 7, 7))
    assert verdict.evidence.statement.startswith("Inside the image it is a convolution, at the border it is none:")
    assert verify(verdict).status is Status.PROVED


def test_the_same_of_an_opaque_operation():
    verdict = as_conv2d(lambda a: a * AT_ONE_PIXEL.numpy().astype(np.float64), (1, 5, 5), opaque=True)
    words = (
        "output (0, 2, 3), whose window lies inside the image, takes pixel (0, 2, 3) 2 times, where the middle's kernel"
    )
    assert words in verdict.evidence.statement
