"""Not a convolution: a witness against every way to be one, on one image size.

The ways: strides as in `stride_range`, and for each pair of strides zero padding of any amount; circular padding with a
kernel no larger than the image; reflect or replicate padding up to `margin`. For zeros and circular padding two entries
that must be equal and are not (`Stencil.clash`) exclude all kernels at once. For reflect and replicate padding the
outputs
inside the image show the whole kernel: either two of them differ, or the kernel they show is compared exactly, borders
included. What is not excluded leaves the question open, as does a map onto more pixels that may be a transposed
convolution (`wider`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.convolution import module, witness
from mathdnn.convolution.compare import first_difference
from mathdnn.convolution.recognise import guesses, likely_strides, stride_range
from mathdnn.convolution.side import Settings, Shape, Side, _fits
from mathdnn.convolution.stencil import Stencil
from mathdnn.convolution.wider import excludes_transposed
from mathdnn.verdict import Counterexample, Plain

if TYPE_CHECKING:
    from mathdnn.convolution.form import ConvForm
    from mathdnn.convolution.pool import Pool
    from mathdnn.convolution.witness import Entry

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
        return Outcome("of each image of the batch alone", witness.depends_on_other(side, full, pool, how))
    constant = pool.constant_codes(side.ids)
    if (constant != constant[:1, :, :1, :1]).any():
        return Outcome("with one bias for each output channel", witness.uneven_bias(side, pool, how))
    odd = witness.odd_in_batch(side, full, pool)
    if odd is not None:
        if not 0 <= odd[2] < pool.pixels // full[0]:
            return Outcome("of each image of the batch alone", witness.takes_of_another(odd, side, pool, full, how))
        return Outcome("of every image of the batch alike", witness.unlike_first(odd, side, pool, full, how))
    search = _Search(side, stencil, bias, full, pool, how)
    left = _too_small(stencil) or not excludes_transposed(stencil)
    return Outcome(search.kinds(), None if left else search.run())


def _too_small(stencil: Stencil) -> bool:
    """Whether image or output is too small to exclude a border of one pixel, as a kernel of three has."""
    return any(min(stencil.inputs[axis], stencil.outputs[axis]) > 1 and stencil.margin(axis, 1) == 0 for axis in (1, 2))


class _Search:
    """Excludes pair of strides after pair of strides, remembering what one axis alone excludes.

    `pairs` and `borders` gather what excludes them, for the checker: two entries for each clash; for each kernel that
    the inside shows a place and a pixel where it fails.
    """

    def __init__(
        self, side: Side, stencil: Stencil, bias: tuple[Fraction, ...] | None, full: Shape, pool: Pool, how: Settings
    ) -> None:
        self.side, self.stencil, self.bias, self.full, self.pool, self.how = side, stencil, bias, full, pool, how
        self.known: dict[tuple[int, int, str], tuple[Entry, Entry] | None] = {}
        self.many = len(stride_range(stencil, 1)) * len(stride_range(stencil, 2)) > 25
        self.witness: Counterexample | None = None
        self.pairs: list[tuple[Entry, Entry]] = []
        self.borders: list[dict[str, Plain]] = []

    def kinds(self) -> str:
        ranges = [stride_range(self.stencil, axis) for axis in (1, 2)]
        margin = [min(self.stencil.margin(axis, s) for s in ranges[axis - 1]) for axis in (1, 2)]
        return (
            f"stride up to ({ranges[0][-1]}, {ranges[1][-1]}), with zero padding, with circular padding and a kernel "
            f"no larger than the image, or with reflect or replicate padding up to ({margin[0]}, {margin[1]})"
        )

    def run(self) -> Counterexample | None:
        pairs = list(itertools.product(likely_strides(self.stencil, 1), likely_strides(self.stencil, 2)))
        if len(pairs) > _PAIRS or not all(self._excluded(s, t) for s, t in pairs) or self.witness is None:
            return None
        return witness.with_reason(
            self.witness, "strides", pairs=[list(pair) for pair in self.pairs], borders=self.borders
        )

    def _excluded(self, s: int, t: int) -> bool:
        inside = self._clash(s, t, "inside")
        if inside is not None and not witness.is_out(inside[1], self.stencil):
            zeros: tuple[Entry, Entry] | None = inside  # what differs inside differs with zeros as well
        else:
            zeros = self._clash(s, t, "zeros")
        circular = None if zeros is None else self._clash(s, t, "circular")
        if zeros is None or circular is None or (inside is None and not self._borders_differ(s, t)):
            return False
        self.pairs += [pair for pair in (inside, zeros, circular) if pair is not None and pair not in self.pairs]
        if self.witness is None:
            self.witness = witness.two_pixels(zeros, (s, t), self.side, self.stencil, self.pool, self.how)
        return True

    def _clash(self, s: int, t: int, setting: str) -> tuple[Entry, Entry] | None:
        for axis, stride in ((1, s), (2, t)) if self.many else ():
            key = (axis, stride, setting)
            if key not in self.known:
                self.known[key] = self._pair((s, None) if axis == 1 else (None, t), setting)
            if self.known[key] is not None:
                return self.known[key]
        return self._pair((s, t), setting)

    def _pair(self, strides: tuple[int | None, int | None], setting: str) -> tuple[Entry, Entry] | None:
        clash = self.stencil.clash(strides, setting)
        if clash is None:
            return None
        return witness.pair_of(clash, strides, setting, self.side, self.stencil, self.pool)

    def _borders_differ(self, s: int, t: int) -> bool:
        """Whether the kernel that the inside shows fails at the borders, in reflect and in replicate padding."""
        for form in guesses(self.stencil, self.pool.numbers.values, self.bias, (s, t)):
            if form.padding_mode in ("reflect", "replicate") or not any((*form.padding[0], *form.padding[1])):
                return all(self._border_differs(form, mode) for mode in ("reflect", "replicate"))
        return False

    def _border_differs(self, shown: ConvForm, mode: str) -> bool:
        """In one mode: continued as far as the outputs reach, and compared with all of them."""
        outputs = self.stencil.outputs[1:]
        ends = [s * (n - 1) + span for s, n, span in zip(shown.stride, outputs, shown.extent, strict=True)]
        pads = [
            (low, max(0, end - size - low))
            for (low, _), end, size in zip(shown.padding, ends, self.full[2:], strict=True)
        ]
        form = replace(shown, padding_mode=mode, padding=(pads[0], pads[1]))
        entry: dict[str, Plain] = {"form": form.to_plain()}
        if _fits(form, self.full):  # else torch has no such layer
            made = module.rows(form, self.pool.inputs().reshape(self.full), self.pool)[..., : outputs[0], : outputs[1]]
            inner = self._inner(form) if made.shape == self.side.ids.shape else np.zeros(made.shape, bool)
            place = first_difference(made[inner], self.side.ids[inner], self.pool)
            inside = place is not None
            if place is not None:
                place = int(np.flatnonzero(inner)[place[0]]), place[1]
            else:
                place = first_difference(made, self.side.ids, self.pool)
            if place is None or min(place) < 0:
                return False
            entry |= {"place": place[0], "pixel": place[1]}
            found = self.witness or witness.border(form, made, place, inside, self.side, self.pool, self.how)
            self.witness = found
        self.borders.append(entry)
        return True

    def _inner(self, form: ConvForm) -> np.ndarray:
        """Which outputs have a window inside the image, where padding does nothing."""
        inner = np.ones(self.side.ids.shape, bool)
        for axis in (0, 1):
            start = form.stride[axis] * np.arange(inner.shape[2 + axis]) - form.padding[axis][0]
            lies = (start >= 0) & (start + form.extent[axis] <= self.full[2 + axis])
            inner &= lies[:, None] if axis == 0 else lies
        return inner
