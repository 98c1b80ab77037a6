"""Does a function commute with max pooling: f(pool(X)) = pool(f(X)) for every image X?

Legend: f an implemented function on floats of one format, x and x' values, pool a max pooling that compares values and
returns the first of equal ones (torch's does; the two zeros are equal), windows of two or more cells.

    f nondecreasing  =>  f(max x_i) = max f(x_i)            as values
    f(x) > f(x'), x < x'  =>  X = [x, x'] : pooling first gives f(x'), pooling last gives f(x)

Bits: two results that are equal as values are zeros of two signs or the same bits. If only the two zeros give zeros,
both ways pick the same cell; if all zeros that come out have one sign, the bits agree too; otherwise a nonzero x and a
z with f(x), f(z) zeros of two signs show a difference, put in one order or the other. So the bits agree in exactly
these two cases. A NaN that comes out of numbers is harmless only if everything above it gives NaN too.
An implementation whose output depends on where a value lies in the tensor does not commute to the bit: the pooled image
is shorter, so values move. Source: homework 4, problem 4, and its converse.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mathdnn.errors import InvalidInput, sentence
from mathdnn.monotone.floats import Format, bits_at, float_format, is_nan, text, values_of
from mathdnn.monotone.functions import Elementwise, elementwise
from mathdnn.monotone.guard import LONGEST, require_time_limit
from mathdnn.monotone.nondecreasing import (
    Facts,
    assumptions_of,
    certificate,
    gather,
    pack_bits,
    position_sentence,
    scan_data,
    sentences,
    ulps_between,
)
from mathdnn.monotone.position import Positions, positions, sample_places
from mathdnn.monotone.scan import Progress
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import (
    Assumption,
    Certificate,
    Counterexample,
    Equality,
    Verdict,
    pack_array,
    proved,
    refuted,
    undecided,
)

if TYPE_CHECKING:
    import torch

KIND = "commutes with max pooling"


def commutes_with_max_pool(
    f: Any,
    dtype: Any = "float32",
    *,
    equality: Literal["bitwise", "equal as values"] | None = None,
    path: Literal["everywhere", "vector body"] = "everywhere",
    every_position: bool = False,
    stop_at_first: bool = False,
    progress: Progress | None = None,
    cache: str | Path | bool | None = None,
    threads: int | None = None,
    time_limit: float | None = LONGEST,
) -> Verdict:
    """Whether f(pool(X)) = pool(f(X)) for every image X without NaN and every max pooling.

    Arguments as for `is_nondecreasing`. `equality`: prove this one, or by default the stronger that holds. `path`:
    "everywhere" is refuted where the scalar tail gives other bits than the vector body; "vector body" asks about the
    body alone. `every_position` compares the scalar tail on every float32, not on a sample (a minute or two).
    Refuted: a concrete image, run through torch's `max_pool2d` both ways, and by how much they differ.
    """
    form = float_format(dtype, "commutes_with_max_pool(dtype=...)")
    require_time_limit(time_limit, "commutes_with_max_pool(time_limit=...)")
    function = elementwise(f, form, "commutes_with_max_pool(f=...)", time_limit=time_limit)
    _require_choice("equality", equality, (None, "bitwise", "equal as values"))
    _require_choice("path", path, ("everywhere", "vector body"))
    claim = f"{function.name} commutes with max pooling over every {form.name} image without NaN"
    claim += "" if path == "everywhere" else ", on the vector body"
    found = positions(function, exhaustive=every_position, progress=progress, threads=threads)
    if path == "everywhere" and found.differing:
        return sealed(_moved(function, claim, found))
    facts = gather(function, found, stop_at_first=stop_at_first, progress=progress, cache=cache, threads=threads)
    image = _image(function, facts)
    if image is not None:
        return sealed(_shown(function, facts, claim, image, Equality.VALUES))
    return sealed(_equal(function, facts, claim, equality))


def _require_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        names = ", ".join(repr(choice) for choice in choices)
        raise InvalidInput(
            sentence(f"commutes_with_max_pool({name}=...)", f"one of {names}", repr(value), "choose one of them")
        )


def _image(f: Elementwise, facts: Facts) -> list[int] | None:
    """The cells (bits) of a window on which the values differ, or None where the theorem applies."""
    found = facts.scan
    if found.first_fall is not None:
        return [int(b) for b in bits_at(np.array([found.first_fall.place, found.first_fall.place + 1]), f.form)]
    if facts.zeros[0] != facts.zeros[1] and len(set(values_of(np.array(facts.zeros, f.form.integer), f.form))) == 2:
        return [int(b) for b in bits_at(np.array([-1, 0]), f.form)]
    if found.first_nan is not None and found.nan_outputs <= f.form.infinity - found.first_nan:
        above = next(span.last for span in reversed(found.spans) if span.last > found.first_nan)
        return [int(b) for b in bits_at(np.array([found.first_nan, above]), f.form)]
    return None


def _equal(f: Elementwise, facts: Facts, claim: str, equality: str | None) -> Verdict:
    """The theorem applies: to the bit, or but for the signs of zeros."""
    one_sign = len(facts.scan.zero_bits) < 2
    bitwise = one_sign or (not facts.scan.nonzero_to_zero and first_of_equals(f.form))
    if equality == "bitwise" and not bitwise:
        return _shown(f, facts, claim + ", to the bit", _zero_image(f), Equality.BITWISE)
    if facts.scan.nan_outputs and not keeps_nan(f.form):
        return undecided(claim, "torch's max_pool2d lost a NaN, which f gives", "a max pooling that keeps NaN")
    to_the_bit = bitwise and equality != "equal as values"
    shown = Equality.BITWISE if to_the_bit else Equality.VALUES
    scanned = certificate(f, facts)
    how = "to the bit" if to_the_bit else "as values (the sign of a zero may differ)"
    what = (
        "a function that is nondecreasing up to where it gives NaN"
        if facts.scan.nan_outputs
        else ("a nondecreasing function")
    )
    method = f"{scanned.method}; {what} commutes with a maximum, {how}"
    evidence = Certificate(KIND, method, {**scanned.data, "equality": str(shown)})
    return proved(
        f"{claim}, {how}", evidence, assumptions=(*_pooling(f, facts), *assumptions_of(f, facts)[:-1]), equality=shown
    )


def _pooling(f: Elementwise, facts: Facts) -> tuple[Assumption, ...]:
    ties = Assumption(
        "max pooling compares values and returns the first of equal ones",
        "torch's max_pool2d did on both zeros, contiguous and channels last",
    )
    same = Assumption(
        "the same value gives the same bits wherever it lies in a tensor",
        position_sentence(facts.positions, f.form),
    )
    nan = Assumption(
        "max pooling gives NaN where its window holds one",
        "torch's max_pool2d did at either end of it, contiguous and channels last",
    )
    return (ties, nan, same) if facts.scan.nan_outputs else (ties, same)


def first_of_equals(form: Format) -> bool:
    """Whether torch's max_pool2d returns the first of two zeros of either sign, contiguous and channels last."""
    import torch

    cells = torch.tensor([-0.0, 0.0, 0.0, -0.0], dtype=getattr(torch, form.name))
    return all(bool((p.signbit() == image[..., ::2].signbit()).all()) for image, p in _pooled_in_pairs(cells))


def keeps_nan(form: Format) -> bool:
    """Whether torch's max_pool2d gives NaN for a NaN at either end of a window, contiguous and channels last."""
    import torch

    infinity, nan = float("inf"), float("nan")
    cells = torch.tensor([nan, infinity, infinity, nan], dtype=getattr(torch, form.name))
    return all(bool(p.isnan().all()) for _, p in _pooled_in_pairs(cells))


def _pooled_in_pairs(cells: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """An image of the cells, wide enough for a vector body, and its max pool over 1 x 2, in both layouts."""
    import torch

    image = cells.repeat(64).view(1, 1, 1, -1).repeat(1, 32, 2, 1)
    for order in (torch.contiguous_format, torch.channels_last):
        yield image, torch.nn.functional.max_pool2d(image.contiguous(memory_format=order), (1, 2))


def _zero_image(f: Elementwise) -> list[int]:
    """A window whose two ways give zeros of two signs: of x < x' with such outputs, pooling last keeps x's zero.

    Tried are -1, 1, the zeros and the extremes first, since they read best, and then a sample of the format.
    """
    one = ((1 << (f.form.width - 2 - f.form.mantissa)) - 1) << f.form.mantissa
    few = np.array([-one - 1, -1, 0, one, -2, 1, f.form.first, f.form.infinity])
    for places in (few, sample_places(f.form)):
        bits = bits_at(places, f.form)
        out = f.on_bits(np.resize(bits, -(-len(bits) // 4096) * 4096))[: len(bits)]
        zero = values_of(out, f.form) == 0
        minus, plus = (bits[zero & sign] for sign in (out < 0, out >= 0))
        for x, z in ((m, p) for m in minus[:4] for p in plus[:4]):
            low, high = values_of(np.array([x, z]), f.form)
            if low != high:
                return [int(x), int(z)] if low < high else [int(z), int(x)]
    return []


def both_ways(f: Elementwise, cells: list[int], copies: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """The bits of f(pool(X)) and pool(f(X)) for X the cells repeated in one row, through torch's max_pool2d."""
    image = np.tile(np.array(cells, f.form.integer), copies)
    first = f.on_bits(max_pool(image, window, f.form))
    last = max_pool(f.on_bits(image), window, f.form)
    return first, last


def max_pool(bits: np.ndarray, window: int, form: Format) -> np.ndarray:
    """torch's max_pool2d with a window of one row, on a row of values given by their bits."""
    import torch

    integer = torch.int32 if form.width == 32 else torch.int16
    x = torch.from_numpy(np.ascontiguousarray(bits)).view(getattr(torch, form.name)).view(1, 1, 1, -1)
    pooled: np.ndarray = torch.nn.functional.max_pool2d(x, (1, window)).reshape(-1).view(integer).numpy()
    return pooled


def _shown(f: Elementwise, facts: Facts, claim: str, cells: list[int], equality: Equality) -> Verdict:
    """Run the window both ways in ever wider images until the two ways differ; the smallest is the evidence."""
    # of two zeros the pool returns the first, whichever it is
    tries = [(copies, window) for copies in (1, 2, 4, 8, 16, 32, 64, 4096) for window in (cells, cells[::-1])]
    for copies, window in tries if cells else ():
        first, last = both_ways(f, window, copies, len(window))
        differ = _differ(first, last, f.form, equality)
        if len(differ):
            evidence = _images(f, window * copies, len(window), first, last, int(differ[0]), scan_data(f, facts))
            return refuted(claim, evidence, equality=equality)
    return undecided(
        claim,
        "the scan found where the two ways differ, but no image of up to 8,192 cells showed it through max_pool2d",
        "a larger image, or a pooling that reaches the same path",
        equality=equality,
    )


def _differ(first: np.ndarray, last: np.ndarray, form: Format, equality: Equality) -> np.ndarray:
    nans = is_nan(first, form), is_nan(last, form)
    unequal = first != last if equality is Equality.BITWISE else values_of(first, form) != values_of(last, form)
    return np.flatnonzero(unequal & ~(nans[0] & nans[1]))


def _images(
    f: Elementwise, cells: list[int], window: int, first: np.ndarray, last: np.ndarray, at: int, data: dict[str, Any]
) -> Counterexample:
    a, b = int(first[at]), int(last[at])
    nan = is_nan(np.array([a, b], f.form.integer), f.form).any()
    ulps = ulps_between(a, b, f.form)
    apart = "one of them NaN" if nan else f"{ulps:,} unit{'s' * (ulps != 1)} in the last place apart"
    same = len(set(cells)) == 1
    shown = f"all {text(cells[0], f.form)}" if same else ", ".join(text(c, f.form) for c in cells[:window])
    statement = (
        f"the 1x{len(cells)} image of windows [{shown}] under a 1x{window} max pool: pooling first gives "
        f"{text(a, f.form)}, pooling last {text(b, f.form)} at cell {at}, {apart}"
    )
    return Counterexample(
        statement,
        {"image": pack_bits(np.array(cells).reshape(1, 1, 1, -1), f.form), "window": [1, window]},
        {"pooling_first": pack_bits(first.reshape(1, 1, 1, -1), f.form)},
        {"pooling_last": pack_bits(last.reshape(1, 1, 1, -1), f.form)},
        {**data, "kind": "two orders of pooling", "cell": at},
    )


def _moved(f: Elementwise, claim: str, found: Positions) -> Verdict:
    """The output depends on the position: one value everywhere, pooled to a single cell, shows it."""
    assert found.place is not None
    bits = int(bits_at(np.array([found.place]), f.form)[0])
    data = {
        "function": f.name,
        "library": f.library,
        "version": f.version,
        "instruction_set": f.instruction_set,
        "dtype": f.form.name,
        "positions": position_sentence(found, f.form),
    }
    for width in (2, 3, 4, 8, 16, 32, 64, 4096):
        first, last = both_ways(f, [bits] * width, 1, width)
        differ = _differ(first, last, f.form, Equality.BITWISE)
        if len(differ):
            evidence = _images(f, [bits] * width, width, first, last, int(differ[0]), data)
            return refuted(claim, evidence, equality=Equality.BITWISE)
    return undecided(
        claim,
        f"{position_sentence(found, f.form)}; but no row of up to 4,096 cells shows it",
        "an image in the layout that was named",
        equality=Equality.BITWISE,
    )


__all__ = ["both_ways", "commutes_with_max_pool", "max_pool", "pack_array", "sentences"]
