"""Certificates of resized images: the checker knows one resizing from another, and each factor."""

from __future__ import annotations

import json

import pytest
import torch.nn.functional as F
from tests.verify.tampering import replaced, resealed
from torch import nn

from mathdnn.convolution import as_conv2d
from mathdnn.verdict import Status
from mathdnn.verify import verify

NODE = ("evidence", "data", "left", "graph", "nodes", 1)
OTHERS = (
    "upsample_bilinear2d",
    "upsample_bicubic2d",
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
)


def _halved_inside(x):
    return F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)[..., 1:-1, 1:-1]


@pytest.fixture(scope="module")
def cubic():
    return json.loads(json.dumps(as_conv2d(nn.Upsample(scale_factor=2, mode="bicubic"), (1, 7, 8)).to_plain()))


@pytest.fixture(scope="module")
def antialiased():
    return json.loads(json.dumps(as_conv2d(_halved_inside, (1, 12, 14)).to_plain()))


def test_true_ones_verify(cubic, antialiased):
    assert verify(resealed(cubic)).status is verify(resealed(antialiased)).status is Status.PROVED


@pytest.mark.parametrize("other", OTHERS)
def test_another_resizing_has_other_weights(cubic, antialiased, other):
    for true in (cubic, antialiased):
        if true["evidence"]["data"]["left"]["graph"]["nodes"][1]["op"] == f"aten.{other}.default":
            continue
        assert verify(resealed(replaced(true, (*NODE, "op"), f"aten.{other}.default"))).status is not Status.PROVED


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (2, True),
        (3, 2.0000000000000004),
        (3, None),
        (4, 0.0),
        (4, -2.0),
        (4, 2),
        (4, {"float": "nan"}),
        (4, {"float": "inf"}),
        (3, 1e-320),
    ],
)
def test_another_alignment_or_factor_is_no_proof(cubic, place, value):
    """A factor that is not given follows from the sizes, so that it says the same."""
    changed = verify(resealed(replaced(cubic, (*NODE, "args", place), value)))
    assert (changed.status is Status.PROVED) == (value is None)
