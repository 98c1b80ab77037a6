"""Filters and colour conversions of a library that nobody here wrote; runs where kornia is installed."""

from __future__ import annotations

import warnings

import pytest
import torch

from mathdnn.convolution import as_conv2d, reproduces
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
    "gaussian": lambda x: K.filters.gaussian_blur2d(x, (3, 3), (1.0, 1.0)),
    "gaussian at once": lambda x: K.filters.gaussian_blur2d(x, (5, 3), (1.0, 1.5), separable=False),
    "unsharp mask": lambda x: K.filters.unsharp_mask(x, (3, 3), (1.0, 1.0)),
    "difference of gaussians": lambda x: (
        K.filters.gaussian_blur2d(x, (3, 3), (1.0, 1.0)) - K.filters.gaussian_blur2d(x, (5, 5), (2.0, 2.0))
    ),
    "filter": lambda x: K.filters.filter2d(x, torch.tensor([[[1.0, 2, 1], [0, 0, 0], [-1, -2, -1]]]), normalized=True),
    "separable filter": lambda x: K.filters.filter2d_separable(x, torch.tensor([[1.0, 2]]), torch.ones(1, 3)),
    "second gradient": lambda x: K.filters.spatial_gradient(x, order=2)[:, 1],
    "rgb of yuv": lambda x: K.color.yuv_to_rgb(x),
    "rgb of xyz": lambda x: K.color.xyz_to_rgb(x),
    "bgr to grey": lambda x: K.color.bgr_to_grayscale(x),
    "normalise": lambda x: K.enhance.normalize(x, torch.tensor(0.5), torch.tensor(0.25)),
}
EVERY_SIZE = {
    "blur pool", "spatial gradient", "second gradient", "motion blur", "filter", "separable filter",
    "gaussian at once", "grey", "bgr to grey", "yuv", "rgb of yuv", "xyz", "rgb of xyz", "invert",
}  # fmt: skip
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
    "canny": lambda x: K.filters.canny(x)[0],
    "guided blur": lambda x: K.filters.guided_blur(x, x, 3, 0.1),
    "rgb of ycbcr": lambda x: K.color.ycbcr_to_rgb(x),
    "sepia, rescaled": lambda x: K.color.sepia(x),
    "posterised": lambda x: K.enhance.posterize(x, 4),
    "larger pyramid": lambda x: K.geometry.pyrup(x),
    "resized pyramid": lambda x: K.geometry.pyrdown(x),
}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_its_convolutions_are_found(name):
    verdict = as_conv2d(CONVOLUTIONS[name], (3, 9, 10))
    assert verdict.status is Status.PROVED, str(verdict)
    assert (verdict.evidence.data.get("sizes") is not None) or name not in EVERY_SIZE, str(verdict)
    assert verify(verdict).status is Status.PROVED
    image = torch.rand(1, 3, 9, 10, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(verdict.evidence.form.to_module()(image), CONVOLUTIONS[name](image), atol=1e-5, rtol=0)


LOOKS_AT_PIXELS = {"canny"}


@pytest.mark.parametrize("name", OTHERS)
def test_its_other_operations_are_none(name):
    verdict = as_conv2d(OTHERS[name], (3, 9, 10))
    assert verdict.status is Status.REFUTED, str(verdict)
    assert reproduces(verdict, OTHERS[name]).status is Status.PROVED
    checked = verify(verdict)
    assert checked.status is (Status.UNDECIDED if name in LOOKS_AT_PIXELS else Status.PROVED), str(checked)
