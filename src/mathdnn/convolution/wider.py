"""Convolutions with unusual strides and paddings on small images: any stride and any padding with zeros, for kernels
no larger than the image, and transposed ones for kernels no larger than the output.

Along an axis, windows no longer than H that begin 2 H - 1 pixels apart touch the image at most once, so that strides
up to that are all there are. A map that does not clash for a pair of strides (`Stencil.clash`) is a convolution with
them; entries with input and output exchanged say the same of a transposed one.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.convolution import transposed
from mathdnn.convolution.recognise import _taps, guesses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from mathdnn.convolution.form import ConvForm
    from mathdnn.convolution.stencil import Stencil

SMALL = 100_000  # entries of a small image, where padding can be larger than it
_PAIRS = 400  # pairs of strides that are looked at


def wider(stencil: Stencil, values: list[Fraction], bias: tuple[Fraction, ...] | None) -> Iterator[ConvForm]:
    """The forms that a map could be. Nothing here is trusted; the prover compares."""
    if not stencil.is_whole or not 0 < len(stencil.code) <= SMALL:
        return
    for strides in _without_clash(stencil):
        yield from guesses(stencil, values, bias, strides)
    turned = replace(
        stencil, place=stencil.pixel, pixel=stencil.place, inputs=stencil.outputs, outputs=stencil.inputs,
        kept=(np.arange(stencil.inputs[1]), np.arange(stencil.inputs[2])),
    )  # fmt: skip
    for s, t in _without_clash(turned):
        taps = _taps(turned, turned.offsets(1, s), turned.offsets(2, t), np.ones(len(turned.code), bool))
        if taps is not None and (s, t) != (1, 1):
            yield from transposed._forms(stencil, taps[:, [1, 0, 2, 3, 4]], values, bias, (s, t))


def _without_clash(stencil: Stencil) -> Iterator[tuple[int, int]]:
    pairs = itertools.product(_strides(stencil, 1), _strides(stencil, 2))
    return (pair for pair in itertools.islice(pairs, _PAIRS) if stencil.clash(pair, "zeros") is None)


def _strides(stencil: Stencil, axis: int) -> list[int]:
    """The strides with which the kernel is no larger than the image along an axis."""
    size = stencil.inputs[axis]
    every = range(1, 2 * size) if stencil.outputs[axis] > 1 else range(1, 2)
    return [s for s in every if np.ptp(stencil.offsets(axis, s)) < size]
