"""The derived bound on floats holds where torch computes more in floats than sums: positions, narrower floats."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from tests.verify.tampering import replaced, resealed
from torch import nn

from mathdnn.convolution import as_conv2d, equal_maps
from mathdnn.convolution.rounding import too_many
from mathdnn.verdict import Status
from mathdnn.verify import verify

SLOPE = ("evidence", "data", "rounding", "slope")


def _up(*factors, **more):
    return nn.Upsample(scale_factor=factors, mode="bilinear", **more)


def _narrow_copy(x):
    made = torch.empty_like(x, dtype=torch.float32)
    made[:] = x
    return x + 1e-6 * made.double()


def _zeros_between(x):
    """Pixels with nothing around them: what is read beside the right place is not small against what is there."""
    spread = F.conv_transpose2d(x, torch.ones(1, 1, 1, 1), stride=(1, 4))
    return F.interpolate(spread, size=(x.shape[-2], 3 * spread.shape[-1]), mode="bilinear")[..., 1::3]


def _resized(*factors, mode, **more):
    return lambda x: F.interpolate(x, scale_factor=factors, mode=mode, **more)


def _without_ends(factor, mode, cut):
    return lambda x: _resized(1, factor, mode=mode, antialias=True)(x)[..., cut:-cut]


BILINEAR = {
    "1 x 3 of a long row": (_up(1, 3), (1, 2, 4000), "float32"),
    "3 x 3": (_up(3, 3), (1, 30, 3000), "float32"),
    "1 x 6": (_up(1, 6), (1, 2, 3000), "float32"),
    "in double precision": (_up(1, 3), (1, 2, 2000), "float64"),
    "after a convolution": (nn.Sequential(nn.Conv2d(1, 1, 1), _up(1, 5)), (1, 2, 1500), "float32"),
    "on a line of zeros but a few": (_zeros_between, (1, 2, 700), "float32"),
}
CUBIC = {
    "cubic, 1 x 3 of a long row": (_resized(1, 3, mode="bicubic"), (1, 2, 4000), "float32"),
    "cubic, 3 x 5": (_resized(3, 5, mode="bicubic"), (1, 30, 900), "float32"),
    "cubic, in double precision": (_resized(1, 3, mode="bicubic"), (1, 2, 2000), "float64"),
    "cubic, 2 x 2": (_resized(2, 2, mode="bicubic"), (1, 20, 21), "float32"),
    "cubic, long fractions": (lambda x: _resized(1, 64, mode="bicubic")(x)[..., 29::64], (1, 2, 90), "float32"),
    "linear, to a third": (_resized(1, 1 / 3, mode="bilinear"), (1, 2, 3000), "float32"),
    "cubic, to a third": (_resized(1, 1 / 3, mode="bicubic"), (1, 2, 3000), "float32"),
    "antialiased, to a half": (_without_ends(0.5, "bilinear", 2), (1, 2, 120), "float32"),
    "antialiased, to a third": (_without_ends(1 / 3, "bilinear", 2), (1, 2, 900), "float32"),
    "antialiased, to a fifth, cubic": (_without_ends(0.2, "bicubic", 3), (1, 2, 1500), "float32"),
    "antialiased, three times, cubic": (_without_ends(3, "bicubic", 6), (1, 2, 500), "float32"),
}
NARROW = {
    "a cast": (lambda x: x + 1e-6 * x.float().double(), (1, 12, 14), "float64"),
    "a product": (lambda x: x + 1e-6 * (x.float() * 0.3).double(), (1, 12, 14), "float64"),
    "mixed": (lambda x: x + 1e-6 * x.float(), (1, 12, 14), "float64"),
    "a copy": (_narrow_copy, (1, 12, 14), "float64"),
}


def _images(shape, dtype, rng):
    """Random, of random signs, stripes, a single edge far out: with the last two every neighbour differs by 2."""
    yield torch.from_numpy(rng.uniform(-1, 1, (1, *shape))).to(dtype)
    yield torch.from_numpy(rng.choice([-1.0, 1.0], (1, *shape))).to(dtype)
    stripes = (1 - 2 * (torch.arange(shape[-1]) % 2)).to(dtype)
    yield stripes.expand(1, *shape).clone()
    yield (stripes.expand(1, *shape) * 1e-12).clone()
    edge = torch.ones(1, *shape, dtype=dtype)
    edge[..., -2:] = -1
    yield edge


@pytest.mark.parametrize("name", [*BILINEAR, *CUBIC, *NARROW])
def test_the_bound_holds_on_random_and_extreme_images(name, rng):
    op, shape, dtype = {**BILINEAR, **CUBIC, **NARROW}[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        verdict = as_conv2d(op, shape, dtype=dtype)
    assert verdict.status is Status.PROVED, verdict
    bound, exact = verdict.evidence.data["rounding"], verdict.evidence.form.to_module(torch.float64)
    for image in _images(shape, getattr(torch, dtype), rng):
        most = bound["slope"] * float(image.abs().max()) + bound["offset"]
        with torch.no_grad():
            own = exact.double()(image.double())
            assert float((op(image).double() - own).abs().max()) <= most + 1e-14 * (dtype == "float32")
    assert bound["slope"] < 1e-2
    assert verify(verdict).status is Status.PROVED


def test_positions_that_are_floats_add_nothing_and_others_grow_with_the_image():
    slopes = {
        (k, width): as_conv2d(_up(1, k), (1, 2, width)).evidence.data["rounding"]["slope"]
        for k in (3, 4) for width in (50, 1000)
    }  # fmt: skip
    assert slopes[4, 50] == slopes[4, 1000] < 2e-6
    assert slopes[3, 1000] > 15 * slopes[3, 50]


def test_a_bound_that_depends_on_the_size_is_said_of_this_size():
    verdict = as_conv2d(_up(1, 3), (1, 2, 1000))
    assert "every width of at least" in verdict.claim
    assert re.search(r"computed in float32 on this size, the two differ by at most 4\.\de-4 times", str(verdict))


@pytest.mark.parametrize(
    "name",
    ["1 x 3 of a long row", "in double precision", "cubic, 3 x 5", "antialiased, to a third", *NARROW],
)
def test_a_bound_without_these_roundings_is_rejected(name):
    op, shape, dtype = {**BILINEAR, **CUBIC, **NARROW}[name]
    true = as_conv2d(op, shape, dtype=dtype).to_plain()
    unit = 2.0**-24 if dtype == "float32" else 2.0**-53
    slope = true["evidence"]["data"]["rounding"]["slope"]
    assert verify(resealed(replaced(true, SLOPE, slope))).status is Status.PROVED
    for less in (20 * unit, 0.5 * slope):
        assert verify(resealed(replaced(true, SLOPE, less))).status is not Status.PROVED


def test_a_line_of_zeros_but_a_few_has_the_bound_of_the_few_for_the_checker_too():
    """Both sides fall on a zero exactly; torch reads a bit of the pixel beside it."""
    verdict = equal_maps(_zeros_between, _zeros_between, (1, 2, 700))
    plain, slope = verdict.to_plain(), verdict.evidence.data["rounding"]["slope"]
    assert verify(verdict).status is Status.PROVED
    assert verify(resealed(replaced(plain, SLOPE, slope * 0.9))).status is not Status.PROVED


@pytest.mark.parametrize("forged", ["float64", "float32"])
def test_a_cast_that_says_another_dtype_than_its_node_is_rejected(forged):
    true = as_conv2d(NARROW["a cast"][0], (1, 4, 5), dtype="float64").to_plain()
    nodes = true["evidence"]["data"]["left"]["graph"]["nodes"]
    narrow = next(k for k, node in enumerate(nodes) if node["dtype"] == "float32")
    place = narrow if forged == "float64" else narrow + 1
    changed = replaced(true, ("evidence", "data", "left", "graph", "nodes", place, "dtype"), forged)
    assert verify(resealed(changed)).status is not Status.PROVED


def test_more_roundings_than_a_bound_allows_are_too_many():
    """gamma_n = n u / (1 - n u) is negative for n u > 1, where any bound would do."""
    assert [too_many(n, "float32") for n in (1 << 23, (1 << 23) + 1, 1 << 25)] == [False, True, True]


@pytest.mark.parametrize(
    "cancels",
    [lambda x: x + (x - x) * x, lambda x: x + (3 * x - x - 2 * x) * x, lambda x: x / (x * 0 + 2)],
)
def test_a_factor_in_which_pixels_cancel_has_no_linear_bound_and_no_proof(cancels):
    assert as_conv2d(cancels, (1, 6, 7)).status != "proved"


def test_a_factor_that_no_pixel_enters_is_a_constant():
    assert as_conv2d(lambda x: x * torch.ones_like(x), (1, 6, 7)).status == "proved"


@pytest.mark.parametrize(
    "cancels",
    [
        lambda x: torch.fft.irfft2(torch.fft.rfft2(x + 1e6), s=x.shape[-2:]) - 1e6,
        lambda x: torch.sinc(x * 0) * ((x + 1e7) - 1e7),
    ],
)
def test_rounding_of_what_cancels_refutes_nothing_over_the_reals(cancels):
    assert as_conv2d(cancels, (1, 12, 14)).status != "refuted"


@pytest.mark.parametrize("bends", [torch.relu, lambda x: x + 1e-2 * x * x, lambda x: x.half().float().round()])
def test_what_is_not_linear_is_refuted_as_before(bends):
    assert as_conv2d(bends, (1, 6, 7)).status == "refuted"
