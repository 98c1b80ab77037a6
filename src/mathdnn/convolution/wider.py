"""Convolutions with unusual strides and paddings on small images: any stride and any padding with zeros, for kernels
no larger than the image, and transposed ones for kernels no larger than the output, or of any length at the strides
that the sizes suggest.

Along an axis, windows no longer than H that begin 2 H - 1 pixels apart touch the image at most once, so that strides
up to that are all there are. A map that does not clash for a pair of strides (`Stencil.clash`) is a convolution with
them; entries with input and output exchanged say the same of a transposed one. (With a stride as long as the output no
two pixels share a tap and any map is a transposed convolution: hence the bounds.)

On an image that border pixels continue, a transposed convolution takes each pixel inside the image as often as on
zeros: entries of these pixels that clash exclude both.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.convolution import transposed
from mathdnn.convolution.recognise import _taps, guesses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from mathdnn.convolution.form import ConvForm
    from mathdnn.convolution.stencil import Stencil

SMALL = 100_000  # entries of a small image, where padding can be larger than it
_PAIRS = 400  # pairs of strides that are looked at


def wider(stencil: Stencil, values: list[Fraction], bias: tuple[Fraction, ...] | None) -> Iterator[ConvForm]:
    """The forms that a map could be. Nothing here is trusted; the prover compares."""
    if not stencil.is_whole or not 0 < len(stencil.code) <= SMALL:
        return
    for strides in _without_clash(stencil, _strides(stencil, 1), _strides(stencil, 2)):
        yield from guesses(stencil, values, bias, strides)
    turned = _turned(stencil)
    every = [sorted({*_strides(turned, axis), *_likely(stencil, axis)}) for axis in (1, 2)]
    for s, t in _without_clash(turned, *every):
        taps = _taps(turned, turned.offsets(1, s), turned.offsets(2, t), np.ones(len(turned.code), bool))
        if taps is not None and (s, t) != (1, 1):
            yield from transposed._forms(stencil, taps[:, [1, 0, 2, 3, 4]], values, bias, (s, t))


def excludes_transposed(stencil: Stencil) -> bool:
    """Whether a map onto more pixels than it takes is no transposed convolution with a stride that the sizes suggest,
    neither on zeros nor on an image that border pixels continue."""
    if stencil.outputs[1] <= stencil.inputs[1] and stencil.outputs[2] <= stencil.inputs[2]:
        return True
    inner = _turned(_inside(stencil))
    left = _without_clash(inner, *(_likely(stencil, axis) for axis in (1, 2)), whole=stencil.is_whole)
    return all(pair == (1, 1) for pair in left)


def _turned(stencil: Stencil) -> Stencil:
    """The map with input and output exchanged."""
    return replace(
        stencil, place=stencil.pixel, pixel=stencil.place, inputs=stencil.outputs, outputs=stencil.inputs,
        kept=(np.arange(stencil.inputs[1]), np.arange(stencil.inputs[2])),
    )  # fmt: skip


def _inside(stencil: Stencil) -> Stencil:
    """The map of the pixels that are not at the border; along one pixel alone all padding is as zeros are."""
    c, height, width = stencil.inputs
    edge = [int(size > 1) for size in (height, width)]
    inside = np.ones(len(stencil.code), bool)
    for axis, size in ((1, height), (2, width)):
        first = edge[axis - 1]
        inside &= (stencil.pixel[axis] >= first) & (stencil.pixel[axis] < size - first)
    o, i, j = (part[inside] for part in stencil.place)
    channel, y, x = (part[inside] for part in stencil.pixel)
    return replace(
        stencil, place=(o, i, j), pixel=(channel, y - edge[0], x - edge[1]), code=stencil.code[inside],
        inputs=(c, max(0, height - 2 * edge[0]), max(0, width - 2 * edge[1])),
    )  # fmt: skip


def _without_clash(
    stencil: Stencil, high: Sequence[int], wide: Sequence[int], *, whole: bool = True
) -> Iterator[tuple[int, int]]:
    """The pairs of strides for which no two entries clash; where not `whole`, entries that are not there say nothing,
    since they may be left out."""

    def clashes(pair: tuple[int | None, int | None]) -> bool:
        clash = stencil.clash(pair, "zeros")
        return clash is not None and (whole or clash[1] is not None)

    tall = [s for s in high if not clashes((s, None))]  # what one axis alone excludes, no pair has
    broad = [t for t in wide if not clashes((None, t))]
    return (pair for pair in itertools.islice(itertools.product(tall, broad), _PAIRS) if not clashes(pair))


def _likely(stencil: Stencil, axis: int) -> range:
    """The strides of a transposed convolution up to the number of outputs for each pixel."""
    return range(1, 1 + max(transposed._factors(stencil, axis), default=1))


def _strides(stencil: Stencil, axis: int) -> list[int]:
    """The strides with which the kernel is no larger than the image along an axis."""
    size = stencil.inputs[axis]
    every = range(1, 2 * size) if stencil.outputs[axis] > 1 else range(1, 2)
    return [s for s in every if np.ptp(stencil.offsets(axis, s)) < size]
