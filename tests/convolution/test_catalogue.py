"""The catalogue of filters says in one sentence what it cannot make."""

from __future__ import annotations

import pytest

from mathdnn.convolution import ConvForm, catalogue
from mathdnn.errors import InvalidInput

SIZED = (
    "average_pool", "box", "gaussian", "motion_blur", "pixel_unshuffle", "pixel_shuffle", "subsample",
    "upsample_nearest", "upsample_bilinear", "upsample_bicubic", "zero_insertion",
)  # fmt: skip
NO_SIZE = {
    "text": "3",
    "none": None,
    "zero": 0,
    "negative": -3,
    "huge": 10**12,
    "bool": True,
    "float": 3.0,
    "list": [3],
}


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("kind", NO_SIZE)
def test_a_size_is_a_whole_number_within_reason(name, kind):
    with pytest.raises(
        InvalidInput, match=rf"^catalogue\.{name}\([kr]\): expected a whole number from 1 to \d+, got .+\.$"
    ):
        getattr(catalogue, name)(NO_SIZE[kind])


@pytest.mark.parametrize("name", [*SIZED, "identity", "sobel", "laplacian", "channel_mean"])
@pytest.mark.parametrize("channels", ["3", None, 0, -1, 10**12, True, 1.0])
def test_channels_are_a_whole_number_within_reason(name, channels):
    size = (3,) if name in SIZED else ()
    with pytest.raises(InvalidInput, match=r"channels.*: expected a whole number from 1 to 65536, got .+\.$"):
        getattr(catalogue, name)(*size, channels=channels)


@pytest.mark.parametrize("name", ["sobel", "prewitt", "scharr", "central_difference", "second_difference"])
@pytest.mark.parametrize("axis", [2, -1, "x", None, True, 1.0])
def test_an_axis_is_0_or_1(name, axis):
    with pytest.raises(InvalidInput, match=r"axis.*: expected 0 or 1, got .+; choose one of these\.$"):
        getattr(catalogue, name)(axis)


CALLS = {
    "even": (lambda c: c.box(4), r"^catalogue\.box\(k\): expected an odd number, got 4"),
    "too many numbers": (lambda c: c.pixel_shuffle(64), r"pixel_shuffle\(r\): expected at most 1,048,576 weights"),
    "many channels": (lambda c: c.box(255, 1000), r"expected at most 1,048,576 weights, got 65,025,000"),
    "blur axis": (lambda c: c.motion_blur(3, 3), r"motion_blur\(axis\): expected 0 or 1 or 2, got 3"),
    "neighbours": (lambda c: c.laplacian(6), r"laplacian\(neighbours\): expected 4 or 8, got 6"),
    "amount": (lambda c: c.unsharp("much"), r"unsharp\(amount\): expected finite numbers, got 'much'"),
    "no amount": (lambda c: c.unsharp(None), r"unsharp\(amount\): expected finite numbers, got None"),
    "endless amount": (lambda c: c.unsharp(float("inf")), r"unsharp\(amount\): expected finite numbers, got inf"),
    "shift": (lambda c: c.shift(1.5, 0), r"shift\(down\): expected a whole number from -512 to 512, got 1\.5"),
    "far": (lambda c: c.shift(0, 10**9), r"shift\(right\): expected a whole number from -512 to 512"),
    "even kernels": (lambda c: c.depthwise([[[1, 2], [3, 4]]]), r"height and width: expected an odd number, got 2"),
    "two colours": (lambda c: c.grey([1, 2]), r"grey\(weights\): expected a list of three numbers, got 2"),
    "flat kernels": (lambda c: c.depthwise([[1, 2]]), r"depthwise\(kernels\): expected a kernel"),
    "no kernels": (lambda c: c.depthwise(None), r"depthwise\(kernels\): expected a kernel"),
    "uneven kernels": (lambda c: c.depthwise([[[1]], [[1, 2, 3]]]), r"depthwise\(kernels\): expected a kernel"),
    "flat matrix": (lambda c: c.channel_mix([1, 2]), r"channel_mix\(matrix\): expected a row of numbers"),
    "matrix of text": (lambda c: c.channel_mix("abc"), r"channel_mix\(matrix\): expected a row of numbers"),
    "one number": (lambda c: c.grey(0.5), r"grey\(weights\): expected a list of three numbers, got 0\.5"),
    "order": (lambda c: c.swap_channels((0, 2)), r"swap_channels\(order\): expected a whole number from 0 to 1, got 2"),
    "no order": (lambda c: c.swap_channels(None), r"swap_channels\(order\): expected a list of channels, got None"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_be_made_is_one_sentence(name):
    make, words = CALLS[name]
    with pytest.raises(InvalidInput, match=words):
        make(catalogue)


def test_a_float_amount_is_the_number_that_it_stands_for():
    assert catalogue.unsharp(0.5) == ConvForm.of(
        [[[[f"{'13/9' if a == b == 1 else '-1/18'}" for b in range(3)] for a in range(3)]]], padding=1
    )
