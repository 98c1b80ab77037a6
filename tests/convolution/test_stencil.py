"""Layers of many channels: few of their outputs are looked at, and nothing of what is there is missed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mathdnn.convolution import as_conv2d
from mathdnn.convolution.pool import Pool
from mathdnn.convolution.side import read, settings
from mathdnn.convolution.stencil import Stencil
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status
from mathdnn.verify import verify

SHAPE = (32, 24, 24)  # with 3 x 3 filters more than five million coefficients
WEIGHT = torch.randn(32, 32, 3, 3, generator=torch.Generator().manual_seed(0))


def layer(x):
    return F.conv2d(x, WEIGHT, padding=1)


def one_other_pixel(x):
    y = layer(x).clone()
    y[..., 15, 18] = y[..., 15, 18] + x[..., 0, 0]
    return y


def test_few_outputs_of_many_channels_are_looked_at():
    pool = Pool(32 * 24 * 24)
    ids = read(layer, SHAPE, pool, settings("as_conv2d", None, None, 60.0)).ids
    stencil = Stencil.of(ids, pool, (1, *SHAPE))
    assert len(stencil.code) < pool.count(ids) / 4
    assert not stencil.is_whole


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (layer, Status.PROVED),
        (lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), WEIGHT), Status.PROVED),
        (lambda x: layer(x)[..., 1::3, ::2], Status.PROVED),
        (one_other_pixel, Status.REFUTED),
        (lambda x: layer(x.flip(-1)), Status.REFUTED),
    ],
    ids=["padding", "reflect", "strides", "another pixel", "mirrored"],
)
def test_what_is_left_out_hides_nothing(operation, status):
    verdict = as_conv2d(operation, SHAPE)
    assert verdict.status is status, str(verdict)
    assert verify(verdict).status is Status.PROVED


def test_more_memory_than_there_is_while_looking_is_one_sentence(monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(Stencil, "of", full)
    with pytest.raises(
        InvalidInput, match=r"^as_conv2d: expected a map that fits in memory, got one that does not; ask"
    ):
        as_conv2d(layer, SHAPE)
