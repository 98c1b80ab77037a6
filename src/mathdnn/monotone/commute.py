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

from pathlib import Path
from typing import Any, Literal

import numpy as np

from mathdnn.errors import InvalidInput, sentence
from mathdnn.monotone.floats import bits_at, float_format, values_of
from mathdnn.monotone.found import ends_of
from mathdnn.monotone.functions import Elementwise, elementwise
from mathdnn.monotone.guard import LONGEST, require_options, require_time_limit
from mathdnn.monotone.images import (
    both_ways,
    differ,
    first_of_equals,
    in_the_body,
    keeps_nan,
    nan_image,
    shown_by,
    zero_image,
)
from mathdnn.monotone.nondecreasing import (
    Facts,
    assumptions_of,
    certificate,
    gather,
    looks_around,
    position_sentence,
    scan_data,
)
from mathdnn.monotone.position import WHOLE_VECTORS, Positions, positions
from mathdnn.monotone.scan import Progress
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import (
    Assumption,
    Certificate,
    Equality,
    Verdict,
    proved,
    refuted,
    undecided,
)

KIND = "commutes with max pooling"
SIGN_AND_NAN = "the sign of a zero and the bits of a NaN"


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
    require_options("commutes_with_max_pool", progress=progress, cache=cache, threads=threads)
    function = elementwise(f, form, "commutes_with_max_pool(f=...)", time_limit=time_limit)
    _require_choice("equality", equality, (None, "bitwise", "equal as values"))
    _require_choice("path", path, ("everywhere", "vector body"))
    claim = f"{function.name} commutes with max pooling over every {form.name} image without NaN"
    body = path == "vector body"
    claim += ", on the vector body" if body else ""
    found = positions(function, exhaustive=every_position, progress=progress, threads=threads)
    if (found.apart or (found.differing and equality == "bitwise")) and not body:
        return sealed(_moved(function, claim, found, equality))
    facts = gather(function, found, stop_at_first=stop_at_first, progress=progress, cache=cache, threads=threads)
    image = _image(function, facts)
    if image is not None:
        return sealed(_shown(function, facts, claim, image, Equality.VALUES, body=body))
    return sealed(_equal(function, facts, claim, equality, body=body))


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
    minus, plus = values_of(np.array(facts.zeros, f.form.integer), f.form)
    if minus != plus and not (np.isnan(minus) and np.isnan(plus)):
        return [int(b) for b in bits_at(np.array([-1, 0]), f.form)]
    if found.first_nan is not None and found.nan_outputs <= f.form.infinity - found.first_nan:
        above = next(span.last for span in reversed(found.spans) if span.last > found.first_nan)
        return [int(b) for b in bits_at(np.array([found.first_nan, above]), f.form)]
    return None


def _equal(f: Elementwise, facts: Facts, claim: str, equality: str | None, *, body: bool) -> Verdict:
    """The theorem applies: to the bit, or but for the signs of zeros."""
    one_sign = len(facts.scan.zero_bits) < 2
    bitwise = one_sign or (not facts.scan.nonzero_to_zero and first_of_equals(f.form))
    bitwise = bitwise and (body or not facts.positions.differing)
    if equality == "bitwise" and not bitwise:
        return _shown(f, facts, claim + ", to the bit", zero_image(f), Equality.BITWISE, body=body)
    if facts.positions.differing and facts.positions.layout in WHOLE_VECTORS:
        return undecided(claim, *looks_around(f, facts))
    if facts.scan.nan_outputs and not keeps_nan(f.form):
        return undecided(claim, "torch's max_pool2d lost a NaN, which f gives", "a max pooling that keeps NaN")
    one_nan = _one_nan(f, facts, body)
    if equality == "bitwise" and not one_nan:
        return _shown(f, facts, claim + ", to the bit", nan_image(f), Equality.BITWISE, body=body, nan=True)
    to_the_bit = bitwise and one_nan and equality != "equal as values"
    shown = Equality.BITWISE if to_the_bit else Equality.VALUES
    scanned = certificate(f, facts)
    how = "to the bit" if to_the_bit else f"as values ({'the sign of a zero' if one_nan else SIGN_AND_NAN} may differ)"
    what = (
        "a function that is nondecreasing up to where it gives NaN"
        if facts.scan.nan_outputs
        else ("a nondecreasing function")
    )
    method = f"{scanned.method}; {what} commutes with a maximum, {how}"
    evidence = Certificate(KIND, method, {**scanned.data, "equality": str(shown)})
    return proved(
        f"{claim}, {how}",
        evidence,
        assumptions=(*_pooling(f, facts, one_nan, body), *assumptions_of(f, facts)[:-1]),
        equality=shown,
    )


def _one_nan(f: Elementwise, facts: Facts, body: bool) -> bool:
    """Whether every NaN that f gives has the same bits, in all layouts or the body, and max pooling leaves them so."""
    elsewhere = () if body else facts.positions.nan_bits
    bits = ends_of(facts.scan.nan_bits + elsewhere) if facts.scan.nan_outputs else ()
    return not bits or (len(bits) == 1 and keeps_nan(f.form, bits[0]))


def _pooling(f: Elementwise, facts: Facts, one_nan: bool, body: bool) -> tuple[Assumption, ...]:
    ties = Assumption(
        "max pooling compares values and returns the first of equal ones",
        "torch's max_pool2d did on both zeros, contiguous and channels last",
    )
    cells = Assumption(
        "every window holds a cell of the image",
        "torch lets one lie in the padding alone where dilation is above 1, and gives -inf for it",
    )
    same = Assumption(_same(facts.positions, body), position_sentence(facts.positions, f.form))
    nan = Assumption(
        "max pooling gives NaN where its window holds one",
        "torch's max_pool2d did at either end of it, contiguous and channels last"
        + (", and kept its bits" if one_nan else ""),
    )
    return (ties, cells, nan, same) if facts.scan.nan_outputs else (ties, cells, same)


def _same(found: Positions, body: bool) -> str:
    """What a proof assumes of a value that moves to another place."""
    if not found.differing:
        return "the same value gives the same bits wherever it lies in a tensor"
    where = "the vector body of a tensor" if body else "a tensor, or a zero of the other sign"
    return f"the same value gives the same {'bits' if body else 'value'} wherever it lies in {where}"


def _shown(
    f: Elementwise, facts: Facts, claim: str, cells: list[int], equality: Equality, *, body: bool, nan: bool = False
) -> Verdict:
    """Run the window both ways in ever wider images until the two ways differ; the smallest is the evidence.

    With `body`, the outputs must be those of the vector body; with `nan`, the bits of NaN count too.
    """
    # of two zeros the pool returns the first, whichever it is
    tries = [(copies, window) for copies in (1, 2, 4, 8, 16, 32, 64, 4096) for window in (cells, cells[::-1])]
    for copies, window in tries if cells else ():
        first, last = both_ways(f, window, copies, len(window))
        cells_apart = differ(first, last, f.form, equality, nan=nan)
        if len(cells_apart) and (not body or in_the_body(f, window, (first, last))):
            at = int(cells_apart[0])
            evidence = shown_by(f, window * copies, len(window), first, last, at, scan_data(f, facts))
            return refuted(claim, evidence, equality=equality)
    why = "torch's max_pool2d may change the bits of a NaN" if nan else "the scan found where the two ways differ"
    return undecided(
        claim,
        f"{why}, but no image of up to 8,192 cells showed it through max_pool2d",
        "a larger image, or a pooling that reaches the same path",
        equality=equality,
    )


def _moved(f: Elementwise, claim: str, found: Positions, asked: str | None) -> Verdict:
    """The output depends on the position: one value everywhere, pooled to a single cell, shows it."""
    equality = Equality.BITWISE if asked == "bitwise" else Equality.VALUES
    claim += ", to the bit" if asked == "bitwise" else ""
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
        cells_apart = differ(first, last, f.form, equality)
        if len(cells_apart):
            evidence = shown_by(f, [bits] * width, width, first, last, int(cells_apart[0]), data)
            return refuted(claim, evidence, equality=equality)
    return undecided(
        claim,
        f"{position_sentence(found, f.form)}; but no row of up to 4,096 cells shows it",
        "an image in the layout that was named",
        equality=equality,
    )
