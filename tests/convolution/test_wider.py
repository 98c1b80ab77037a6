"""Layers with unusual strides and paddings on small images: they are found, or left open, and never said to be none."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mathdnn.convolution import as_conv2d, equal_maps, form_of
from mathdnn.verdict import Status
from mathdnn.verify import verify


def _layer(cls, *args, **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(94)
        return cls(*args, **kwargs).requires_grad_(False)


LAYERS = {
    "padding beyond the image": (_layer(nn.Conv2d, 2, 1, (1, 3), (2, 2), (3, 0), (2, 1)), (2, 2, 6)),
    "padding beyond the image, by 5": (_layer(nn.Conv2d, 1, 2, 2, 3, 5), (1, 3, 4)),
    "windows far apart": (_layer(nn.Conv2d, 1, 1, 3, 7, 6), (1, 4, 5)),
    "transposed and cut": (_layer(nn.ConvTranspose2d, 1, 1, 3, 2, 5, 1), (1, 8, 8)),
    "transposed and cut, in groups": (_layer(nn.ConvTranspose2d, 2, 4, 3, 3, 4, groups=2), (2, 6, 5)),
    "transposed with a long kernel": (
        _layer(nn.ConvTranspose2d, 2, 1, 4, 4, (1, 0), (0, 3), dilation=(4, 1)),
        (2, 7, 7),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_with_unusual_parameters_is_found(name):
    layer, shape = LAYERS[name]
    verdict = as_conv2d(layer, shape)
    assert verdict.status is Status.PROVED, str(verdict)
    assert verify(verdict).status is Status.PROVED
    assert equal_maps(layer, form_of(verdict), shape).status is Status.PROVED


@pytest.mark.parametrize("mode", ["replicate", "reflect"])
def test_a_border_on_an_image_of_two_rows_is_not_excluded(mode):
    layer = _layer(nn.Conv2d, 1, 1, 3, padding=1, padding_mode=mode)
    assert as_conv2d(layer, (1, 2, 7)).status is not Status.REFUTED


LONG = [(9, 2, 4, 1), (12, 2, 5, 0), (16, 4, 6, 0), (11, 2, 5, 1), (41, 2, 20, 1), (41, 2, 10, 0)]


@pytest.mark.parametrize(("kernel", "stride", "padding", "more"), LONG)
@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 5, 9)])
def test_a_transposed_layer_with_a_kernel_longer_than_the_output_shows_is_found(kernel, stride, padding, more, shape):
    layer = _layer(nn.ConvTranspose2d, 1, 1, kernel, stride, padding, more, bias=False)
    verdict = as_conv2d(layer, shape)
    assert verdict.status is Status.PROVED, str(verdict)[:300]
    assert form_of(verdict).transposed
    assert verify(verdict).status is Status.PROVED


@pytest.mark.parametrize("size", [3, 4])
def test_a_long_transposed_kernel_on_border_pixels_is_not_excluded(size):
    weight = torch.arange(1.0, 145.0).reshape(1, 1, 12, 12)

    def operation(x):
        whole = F.conv_transpose2d(F.pad(x, (2,) * 4, mode="replicate"), weight, stride=2)
        return whole[..., 9 : 9 + 2 * size, 9 : 9 + 2 * size]

    assert as_conv2d(operation, (1, size, size)).status is not Status.REFUTED


NONE = {
    "one pixel off": lambda x: torch.cat([F.avg_pool2d(x, 3, 1, 1)[..., :-1], x[..., -1:]], -1),
    "flip": lambda x: x.flip(-1),
    "upsampled and flipped": lambda x: F.interpolate(x, scale_factor=2).flip(-1),
    "upsampled, one pixel off": lambda x: (
        F.pad(F.interpolate(x, scale_factor=2)[..., 1:-1, 1:-1], (1, 1, 1, 1), value=0)
        * (1 + torch.eye(2 * x.shape[-2], 2 * x.shape[-1]))
    ),
    "every second one doubled": lambda x: x * (1 + torch.arange(x.shape[-1]) % 2),
}


@pytest.mark.parametrize("name", NONE)
@pytest.mark.parametrize("shape", [(1, 4, 5), (1, 6, 7)])
def test_what_is_no_convolution_is_still_none(name, shape):
    verdict = as_conv2d(NONE[name], shape)
    assert verdict.status is Status.REFUTED, str(verdict)
    assert verify(verdict).status is Status.PROVED


@pytest.mark.parametrize(
    ("k", "s", "p", "more"), [(12, 2, 5, 0), (9, 2, 4, 1), (16, 4, 6, 0), (7, 2, 3, 1), (11, 2, 5, 1)]
)
@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (5, 9)])
def test_a_transposed_layer_on_a_small_image_is_not_refuted(k, s, p, more, shape):
    layer = torch.nn.ConvTranspose2d(1, 1, k, stride=s, padding=p, output_padding=more, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(1.0, k * k + 1).reshape(1, 1, k, k))
    verdict = as_conv2d(layer, (1, *shape))
    assert verdict.status is not Status.REFUTED, str(verdict)
    assert shape != (5, 9) or verdict.status is Status.PROVED, str(verdict)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize(
    ("kernel", "stride", "shape"),
    [((3, 4), (1, 3), (1, 6, 7)), ((1, 4), (1, 3), (2, 4, 5)), ((3, 1), (3, 1), (1, 5, 6))],
)
def test_a_layer_with_a_border_and_outputs_two_pixels_wide_is_never_said_to_be_none(mode, kernel, stride, shape):
    layer = _layer(nn.Conv2d, shape[0], 1, kernel, stride, 1, padding_mode=mode)
    verdict = as_conv2d(layer, shape)
    assert verdict.status is not Status.REFUTED, str(verdict)
