"""Filters and colour conversions of a library that nobody here wrote; runs where kornia is installed."""

from __future__ import annotations

import warnings

import pytest
import torch

from mathdnn.convolution import as_conv2d
from mathdnn.verdict import Status
from mathdnn.verify import verify

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    K = pytest.importorskip("kornia")

CONVOLUTIONS = {
    "box blur": lambda x: K.filters.box_blur(x, (3, 3)),
    "box blur reflect": lambda x: K.filters.box_blur(x, (3, 3), border_type="reflect"),
    "blur pool": lambda x: K.filters.blur_pool2d(x, 3),
    "spatial gradient": lambda x: K.filters.spatial_gradient(x)[:, 0],
    "motion blur": lambda x: K.filters.motion_blur(x, 3, 90.0, 1.0),
    "grey": lambda x: K.color.rgb_to_grayscale(x),
    "bgr": lambda x: K.color.rgb_to_bgr(x),
    "yuv": lambda x: K.color.rgb_to_yuv(x),
    "ycbcr": lambda x: K.color.rgb_to_ycbcr(x),
    "xyz": lambda x: K.color.rgb_to_xyz(x),
    "sepia": lambda x: K.color.sepia(x, rescale=False),
    "invert": lambda x: K.enhance.invert(x),
    "normalise": lambda x: K.enhance.normalize(x, torch.tensor(0.5), torch.tensor(0.25)),
}
OTHERS = {
    "sobel magnitude": lambda x: K.filters.sobel(x),
    "median": lambda x: K.filters.median_blur(x, (3, 3)),
    "bilateral": lambda x: K.filters.bilateral_blur(x, (3, 3), 0.1, (1.0, 1.0)),
    "max blur pool": lambda x: K.filters.max_blur_pool2d(x, 3),
    "hsv": lambda x: K.color.rgb_to_hsv(x),
    "lab": lambda x: K.color.rgb_to_lab(x),
    "linear rgb": lambda x: K.color.rgb_to_linear_rgb(x),
    "dilation": lambda x: K.morphology.dilation(x, torch.ones(3, 3)),
    "erosion": lambda x: K.morphology.erosion(x, torch.ones(3, 3)),
    "flip": lambda x: K.geometry.hflip(x),
    "clamped brightness": lambda x: K.enhance.adjust_brightness(x, 0.1),
    "resized pyramid": lambda x: K.geometry.pyrdown(x),
}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_its_convolutions_are_found(name):
    verdict = as_conv2d(CONVOLUTIONS[name], (3, 9, 10))
    assert verdict.status is Status.PROVED, str(verdict)
    assert verify(verdict).status is Status.PROVED


@pytest.mark.parametrize("name", OTHERS)
def test_its_other_operations_are_none(name):
    assert as_conv2d(OTHERS[name], (3, 9, 10)).status is Status.REFUTED
