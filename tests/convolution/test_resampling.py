"""Resized lines in float64: torch takes the whole part of a place from its float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.verify.tampering import replaced, resealed

from mathdnn.convolution import as_conv2d
from mathdnn.verdict import Status
from mathdnn.verify import verify

SLOPE = ("evidence", "data", "rounding", "slope")


def _to_one_pixel(mode, below):
    """The only place lies a little below 3, and float32 makes it 3."""
    return lambda x: F.interpolate(x, scale_factor=1 / (7 - below), mode=mode)


@pytest.mark.parametrize(("mode", "below"), [("bilinear", 2.8e-14), ("bicubic", 4.4e-14)])
def test_the_bound_holds_where_float32_takes_a_place_up(mode, below):
    operation = _to_one_pixel(mode, below)
    verdict = as_conv2d(operation, (1, 8, 8), dtype="float64")
    assert verdict.status is Status.PROVED, str(verdict)
    exact, slope = verdict.evidence.form.to_module(torch.float64), verdict.evidence.data["rounding"]["slope"]
    generator = torch.Generator().manual_seed(0)
    signs = torch.rand(2000, 1, 8, 8, generator=generator, dtype=torch.float64).sub(0.5).sign()
    worst = float((operation(signs) - exact(signs)).abs().max())
    assert worst > 5e-14
    assert worst <= slope
    assert verify(verdict).status is Status.PROVED
    forged = replaced(verdict.to_plain(), SLOPE, slope / 2)
    assert verify(resealed(forged)).status is not Status.PROVED
