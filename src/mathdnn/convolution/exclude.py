"""Not a convolution: a witness against every way to be one, on one image size.

The ways: strides as in `stride_range`, and for each pair of strides zero padding of any amount; circular padding with a
kernel no larger than the image; reflect or replicate padding up to `margin`. For zeros and circular padding two entries
that must be equal and are not (`Stencil.clash`) exclude all kernels at once. For reflect and replicate padding the
outputs
inside the image show the whole kernel: either two of them differ, or the kernel they show is compared exactly, borders
included. What is not excluded leaves the question open.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch

from mathdnn.convolution import module
from mathdnn.convolution.compare import first_difference
from mathdnn.convolution.recognise import guesses, likely_strides, stride_range
from mathdnn.convolution.side import Settings, Shape, Side, _fits, run
from mathdnn.convolution.stencil import Stencil
from mathdnn.verdict import Counterexample, Plain, pack_array

if TYPE_CHECKING:
    from mathdnn.convolution.form import ConvForm
    from mathdnn.convolution.pool import Pool

_PAIRS = 2500  # pairs of strides that are excluded one by one; more only occur for outputs two pixels wide


@dataclass(frozen=True)
class Outcome:
    """`counterexample` where every way is excluded; `kinds` says which ways there are."""

    kinds: str
    counterexample: Counterexample | None


def exclude(
    side: Side, stencil: Stencil | None, bias: tuple[Fraction, ...] | None, full: Shape, pool: Pool, how: Settings
) -> Outcome:
    """Look for a witness against every way to be a convolution."""
    if stencil is None:
        return Outcome("of each image of the batch alone", _depends_on_other(side, full, pool, how))
    constant = pool.constant_codes(side.ids)
    if (constant != constant[:1, :, :1, :1]).any():
        return Outcome("with one bias for each output channel", _uneven_bias(side, pool, how))
    odd = _odd_in_batch(side, full, pool)
    if odd is not None:
        return Outcome("of every image of the batch alike", _unlike_first(odd, side, pool, full, how))
    search = _Search(side, stencil, bias, full, pool, how)
    return Outcome(search.kinds(), search.run())


class _Search:
    """Excludes pair of strides after pair of strides, remembering what one axis alone excludes."""

    def __init__(
        self, side: Side, stencil: Stencil, bias: tuple[Fraction, ...] | None, full: Shape, pool: Pool, how: Settings
    ) -> None:
        self.side, self.stencil, self.bias, self.full, self.pool, self.how = side, stencil, bias, full, pool, how
        self.known: dict[tuple[int, int, str], tuple[int, int | None] | None] = {}
        self.many = len(stride_range(stencil, 1)) * len(stride_range(stencil, 2)) > 25
        self.witness: Counterexample | None = None

    def kinds(self) -> str:
        ranges = [stride_range(self.stencil, axis) for axis in (1, 2)]
        margin = [min(self.stencil.margin(axis, s) for s in ranges[axis - 1]) for axis in (1, 2)]
        return (
            f"stride up to ({ranges[0][-1]}, {ranges[1][-1]}), with zero padding, with circular padding and a kernel "
            f"no larger than the image, or with reflect or replicate padding up to ({margin[0]}, {margin[1]})"
        )

    def run(self) -> Counterexample | None:
        pairs = list(itertools.product(likely_strides(self.stencil, 1), likely_strides(self.stencil, 2)))
        if len(pairs) > _PAIRS:
            return None
        return self.witness if all(self._excluded(s, t) for s, t in pairs) else None

    def _excluded(self, s: int, t: int) -> bool:
        inside = self._clash(s, t, "inside")
        if inside is not None:
            self._remember(inside, s, t)
        zeros = self._clash(s, t, "zeros")
        if zeros is None or self._clash(s, t, "circular") is None:
            return False
        if inside is None and not self._borders_differ(s, t):
            return False
        self._remember(zeros, s, t)
        return True

    def _clash(self, s: int, t: int, setting: str) -> tuple[int, int | None] | None:
        for axis, stride in ((1, s), (2, t)) if self.many else ():
            key = (axis, stride, setting)
            if key not in self.known:
                self.known[key] = self.stencil.clash((s, None) if axis == 1 else (None, t), setting)
            if self.known[key] is not None:
                return self.known[key]
        return self.stencil.clash((s, t), setting)

    def _borders_differ(self, s: int, t: int) -> bool:
        """Whether the kernel that the inside shows fails at the borders, in reflect and in replicate padding."""
        seen = set()
        for form in guesses(self.stencil, self.pool.numbers.values, self.bias, (s, t)):
            if not any((*form.padding[0], *form.padding[1])):
                return True  # without padding every mode is the zeros mode, which is excluded already
            if form.padding_mode not in ("reflect", "replicate"):
                continue
            seen.add(form.padding_mode)
            if not _fits(form, self.full):
                continue  # torch has no such layer
            made = module.rows(form, self.pool.inputs().reshape(self.full), self.pool)
            place = first_difference(made, self.side.ids, self.pool)
            if place is None:
                return False
            if place[0] < 0:
                continue  # another output size, which no padding of this mode gives
            self.witness = self.witness or _border(form, made, place, self.side, self.pool, self.how)
        return seen == {"reflect", "replicate"}

    def _remember(self, clash: tuple[int, int | None], s: int, t: int) -> None:
        if self.witness is None:
            self.witness = _two_pixels(clash, (s, t), self.side, self.stencil, self.full, self.pool, self.how)


def _coefficient(ids: np.ndarray, place: int, pixel: int, pool: Pool) -> Fraction:
    _, pixels, codes = pool.entries(ids.ravel()[place : place + 1])
    at = np.flatnonzero(pixels == pixel)
    return pool.numbers.values[codes[at[0]]] if len(at) else Fraction(0)


def _impulse(pixel: int, side: Side, how: Settings) -> torch.Tensor:
    image = torch.zeros(side.called.shape, dtype=how.dtype)
    image.view(-1)[pixel] = 1
    return image


def _where(index: int, shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(int(part)) for part in np.unravel_index(index, shape)) + ")"


def _witness(
    said: str, claimed: Fraction, pixels: list[int], places: list[int], side: Side, how: Settings
) -> Counterexample:
    images = [_impulse(pixel, side, how) for pixel in pixels]
    outputs = [run(side.called.call, image, how) for image in images]
    inputs: dict[str, Plain] = {name: pack_array(image.numpy()) for name, image in zip("xy", images, strict=False)}
    found: dict[str, Plain] = {name: pack_array(output.numpy()) for name, output in zip("xy", outputs, strict=False)}
    return Counterexample(said, inputs, str(claimed), found, {"output_places": list(places)})


def _border(
    form: ConvForm, made: np.ndarray, where: tuple[int, int], side: Side, pool: Pool, how: Settings
) -> Counterexample:
    place, pixel = where
    would = _coefficient(made, place, pixel, pool) if made.shape == side.ids.shape else None
    has = _coefficient(side.ids, place, pixel, pool)
    said = (
        f"Inside the image it is a convolution, at the border it is none: output {_where(place, side.ids.shape[1:])} "
        f"takes pixel {_where(pixel, side.called.shape)} {_text(has)} times, with {form.padding_mode} padding it "
        f"would take it {'' if would is None else _text(would)} times; zeros, circular and the other padding fail "
        "as well."
    )
    return _witness(said, has, [pixel], [place], side, how)


def _two_pixels(
    clash: tuple[int, int | None],
    strides: tuple[int, int],
    side: Side,
    stencil: Stencil,
    full: Shape,
    pool: Pool,
    how: Settings,
) -> Counterexample:
    """Two pixels and two outputs, one pair the other shifted, with different weights."""
    first = clash[0]
    second = clash[1] if clash[1] is not None else None
    start = [int(part[first]) for part in (*stencil.place, *stencil.pixel)]
    moved = _moved(start, strides, side, stencil, full, pool) if second is None else None
    if second is not None:
        moved = [int(part[second]) for part in (*stencil.place, *stencil.pixel)]
    assert moved is not None
    places = [int(np.ravel_multi_index(entry[:3], stencil.outputs)) for entry in (start, moved)]
    pixels = [int(np.ravel_multi_index(entry[3:], stencil.inputs)) for entry in (start, moved)]
    has = [_coefficient(side.ids, place, pixel, pool) for place, pixel in zip(places, pixels, strict=True)]
    said = (
        f"Two responses are not shifts of each other: with 1 at pixel {tuple(start[3:])} the output "
        f"{tuple(start[:3])} changes by {_text(has[0])}, and with 1 at {tuple(moved[3:])} the output "
        f"{tuple(moved[:3])}, as far away at stride "
        f"{strides}, changes by {_text(has[1])}."
    )
    return _witness(said, has[0], pixels, places, side, how)


def _text(value: Fraction) -> str:
    return str(value) if value.denominator < 10_000 else repr(float(value))


def _moved(
    start: list[int], strides: tuple[int, int], side: Side, stencil: Stencil, full: Shape, pool: Pool
) -> list[int] | None:
    """Where the entry is missing: an output inside the image whose shifted pixel has another weight."""
    o, i, j, c, y, x = start
    has = _coefficient(side.ids, _flat(stencil.outputs, o, i, j), _flat(stencil.inputs, c, y, x), pool)
    lines = []
    for axis, stride in ((1, strides[0]), (2, strides[1])):
        kept, inside = stencil.kept[axis - 1].tolist(), stencil.inside(axis, stride)
        lines.append([k for k in kept if k in inside] + kept)
    rows, columns = lines
    for k, m in itertools.product(dict.fromkeys([i, *rows]), dict.fromkeys([j, *columns])):
        to = (y + strides[0] * (k - i), x + strides[1] * (m - j))
        if 0 <= to[0] < stencil.inputs[1] and 0 <= to[1] < stencil.inputs[2]:
            pixel = _flat(stencil.inputs, c, *to)
            if _coefficient(side.ids, _flat(stencil.outputs, o, k, m), pixel, pool) != has:
                return [o, k, m, c, *to]
    return [o, i, j, c, y, x]


def _flat(shape: tuple[int, int, int], *place: int) -> int:
    return int(np.ravel_multi_index(place, shape))


def _uneven_bias(side: Side, pool: Pool, how: Settings) -> Counterexample:
    constant = pool.constant_codes(side.ids)
    at = np.unravel_index(int(np.argmax((constant != constant[:1, :, :1, :1]).ravel())), constant.shape)
    first, other = (pool.numbers.values[int(constant[index])] for index in ((0, at[1], 0, 0), at))
    said = (
        f"For the image of zeros, output channel {int(at[1])} is {_text(first)} at (0, 0) and {_text(other)} at "
        f"({int(at[2])}, {int(at[3])}): no bias does that."
    )
    image = torch.zeros(side.called.shape, dtype=how.dtype)
    output = run(side.called.call, image, how)
    return Counterexample(said, {"x": pack_array(image.numpy())}, str(first), {"x": pack_array(output.numpy())})


def _depends_on_other(side: Side, full: Shape, pool: Pool, how: Settings) -> Counterexample | None:
    ids, each = side.ids[0].ravel(), pool.pixels // full[0]
    place = int(np.flatnonzero(pool.last_pixels(ids) >= each)[0])
    _, pixels, _ = pool.entries(ids[place : place + 1])
    pixel = int(pixels[pixels >= each][0])
    said = f"The first image's output depends on pixel {_where(pixel, full)} of another image of the batch."
    return _witness(said, _coefficient(side.ids, place, pixel, pool), [pixel], [place], side, how)


def _odd_in_batch(side: Side, full: Shape, pool: Pool) -> tuple[int, int, int] | None:
    """(image, output, pixel) where an image of the batch is treated unlike the first; pixels counted in one image."""
    each, outputs = pool.pixels // full[0], side.ids[0].size
    first = side.ids[0].ravel()
    for n in range(1, full[0]):
        ids = side.ids[n].ravel()
        back = np.where(ids & pool.mask, n * each, 0)
        unlike = (pool.functions(ids) != pool.functions(first)) | ((ids & pool.mask) - back != first & pool.mask)
        if unlike.any():
            place = int(np.flatnonzero(unlike)[0])
            entries = []
            for k, rows in ((0, first), (n, ids)):
                _, pixel, code = pool.entries(rows[place : place + 1])
                entries.append(set(zip((pixel - k * each).tolist(), code.tolist(), strict=True)))
            return n, place % outputs, min(entries[0] ^ entries[1])[0]
    return None


def _unlike_first(odd: tuple[int, int, int], side: Side, pool: Pool, full: Shape, how: Settings) -> Counterexample:
    n, place, pixel = odd
    each, outputs = pool.pixels // full[0], side.ids[0].size
    pixels, places = [pixel, pixel + n * each], [place, place + n * outputs]
    has = [_coefficient(side.ids, at, p, pool) for at, p in zip(places, pixels, strict=True)]
    said = (
        f"The images of a batch are not treated alike: output {place} takes pixel {pixel} {_text(has[0])} times "
        "in image 0 "
        f"and {_text(has[1])} times in image {n}."
    )
    return _witness(said, has[0], pixels, places, side, how)
