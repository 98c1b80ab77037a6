"""Wrong recognisers: each says "this is a convolution" after a look that is not enough. The corpus must catch every
one.

They probe `op` with torch images and decide with stride 1 or the ratio of the sizes, as a hurried person would.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch


def _response(op: Callable[[Any], Any], shape: tuple[int, ...], place: tuple[int, ...]) -> torch.Tensor:
    image = torch.zeros(1, *shape)
    image[(0, *place)] = 1
    return op(image) - op(torch.zeros(1, *shape))


def no_border_check(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: one border pixel off (it compares shifts of responses in the middle only)."""
    _, h, w = shape
    first, second = _response(op, shape, (0, h // 2, w // 2)), _response(op, shape, (0, h // 2 + 1, w // 2))
    return first.shape[-2:] == (h, w) and torch.equal(first[..., 2:-3, 2:-2], second[..., 3:-2, 2:-2])


def single_channel_probe(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: an operation that is right on its first channel and wrong on its second."""
    first, second = _response(op, shape, (0, 3, 3)), _response(op, shape, (0, 4, 3))
    return torch.equal(first[..., :-1, :], second[..., 1:, :])


def no_linearity_check(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: relu (which answers an image of one positive pixel like the identity)."""
    h = shape[1]
    responses = [_response(op, shape, (0, k, 3)) for k in range(h)]
    return all(torch.equal(a[..., :-1, :], b[..., 1:, :]) for a, b in itertools.pairwise(responses))


def one_size_only_claimed_for_all(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: an operation that is right on 28 pixels only (it asks about 28 and answers for every size)."""
    from mathdnn.convolution import as_conv2d

    return str(as_conv2d(op, (shape[0], 28, 28)).status) == "proved"
