"""Are two operations on images the same map? Exactly, over the reals, on every image of a size.

Both are affine maps x -> M x + c. They are equal exactly where M and c are, entry by entry, as rationals. Where they
are not, a column of M that differs belongs to a pixel: the image with 1 in that pixel and 0 elsewhere tells them apart,
or, where only c differs, the image of zeros does.

How equal: "exact over the reals" takes every float weight as the rational it is and every average over k^2 pixels as
1/k^2. So AvgPool2d(3) is not the layer whose nine weights are the float32 nearest to 1/9; it is the `ConvForm` whose
weights are 1/9. `rounded=True` asks the other question: is every weight of the second the nearest float of the first's?
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.convolution.certificate import certified
from mathdnn.convolution.compare import first_difference
from mathdnn.convolution.graph import is_marked, unmarked
from mathdnn.convolution.nonlinear import find_nonlinearity
from mathdnn.convolution.pool import Pool
from mathdnn.convolution.rational import nearest
from mathdnn.convolution.side import (
    Operation,
    Settings,
    Shape,
    Side,
    TooSlow,
    Unread,
    read,
    require_shape,
    run,
    settings,
)
from mathdnn.convolution.witness import sealed
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Counterexample, Equality, Plain, Verdict, pack_array, undecided

if TYPE_CHECKING:
    from mathdnn.convolution.form import ConvForm

_ROUNDING = 1e-6  # of a number: what float32 loses, and more
_METHOD = (
    "both operations were read as graphs of affine operations and multiplied out in exact rational arithmetic: all "
    "coefficients ({n}) and constants ({m}) are the same rationals"
)
_ROUNDED = (
    "both operations were read as graphs of affine operations and multiplied out in exact rational arithmetic: each "
    "of the second's coefficients is the {dtype} nearest to the first's (coefficients: {n}, constants: {m})"
)


def equal_maps(
    f: Operation | ConvForm,
    g: Operation | ConvForm,
    input_shape: Shape,
    *,
    dtype: torch.dtype | str | None = None,
    claim: str | None = None,
    rounded: bool = False,
    smallest: bool = True,
    batched: bool | None = None,
    seconds: float = 60.0,
) -> Verdict:
    """Whether f and g are the same map on images of `input_shape`, exact over the reals.

    f, g: torch callables or modules on (C, H, W) or (N, C, H, W), or `ConvForm`s; dtype: float32 (default) or float64;
    rounded: ask instead whether g's coefficients are f's, each rounded to the nearest float of that dtype;
    claim: the question in words of your own (they stand in the verdict and are not checked); smallest: on a
    difference, also look for the smallest image size that shows one; batched: how the operations are called (None: in a
    batch of one where they take it); seconds: time limit of each call.

    Returns a `Verdict`: proved with a certificate, refuted with an image, or undecided where a graph is not shown to be
    affine. Raises `InvalidInput` for operations that raise, are random, change their input, or return no image.
    """
    shape, how = require_shape("equal_maps", input_shape), settings("equal_maps", dtype, batched, seconds)
    size = " x ".join(map(str, shape))
    name = str(how.dtype).removeprefix("torch.")
    told = f"every coefficient of the second operation is the first's, rounded to {name}"
    claim = claim or f"on {size} images, {told if rounded else 'both operations are the same map'}"
    equality = None if rounded else Equality.REALS
    pool = Pool(int(np.prod(shape)))
    sides = []
    for name, operation in (("first", f), ("second", g)):
        try:
            sides.append(read(operation, shape, pool, how))
        except Unread as error:
            return _unread(claim, name, error, f, g, shape, how)
    left, right = sides
    difference = _difference(left, right, pool, how if rounded else None)
    if difference is None:
        return _proved(claim, left, right, pool, how, rounded)
    near = _only_rounded(left, right, pool)
    at_size = _counterexample(difference, left, right, pool, how, rounded, near)
    hows = [replace(how, batched=len(side.called.shape) == 4) if len(shape) == 3 else how for side in sides]
    small = _smallest(f, g, shape, hows, rounded, near) if smallest else None
    evidence = at_size if small is None else _with(small, at_size)
    return sealed(claim, evidence, equality=equality, assumptions=_assumptions(left, right))


def _assumptions(left: Side, right: Side) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(left.assumptions + right.assumptions))


def _difference(left: Side, right: Side, pool: Pool, rounded: Settings | None) -> tuple[int, int] | str | None:
    """None where equal; else (output place, pixel or -1 for the constant), or a sentence about the shapes."""
    if left.ids.shape != right.ids.shape:
        return f"the outputs have shapes {_size(left.called.output)} and {_size(right.called.output)}"
    table = None if rounded is None else _rounding_table(pool, str(rounded.dtype).removeprefix("torch."))
    return first_difference(left.ids, right.ids, pool, table)


def _rounding_table(pool: Pool, dtype: str) -> np.ndarray:
    """For every code so far the code of its nearest float."""
    return np.array(
        [pool.numbers.code(Fraction(float(nearest(v, dtype)))) for v in list(pool.numbers.values)], np.int32
    )


def _size(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def rounding_bound(left: Side, right: Side, pool: Pool, how: Settings) -> dict[str, Plain]:
    """|float result of left - float result of right| <= slope * max|x| + offset, for the reading in `pool`."""
    slope = offset = 0.0
    for side in (left, right):
        reach, constant = pool.losses(side.ids)
        n = side.roundings * how.unit_roundoff
        gamma = n / (1 - n)
        slope += gamma * float(reach.max(initial=0.0))
        offset += gamma * float(constant.max(initial=0.0))
    transforms = any(is_marked(side.plain) for side in (left, right))
    libraries = "FFT as is counted for it, without Winograd" if transforms else "without Winograd or FFT"
    return {
        "slope": slope,
        "offset": offset,
        "unit_roundoff": how.unit_roundoff,
        "roundings": [float(left.roundings), float(right.roundings)],  # narrow floats make them large whole numbers
        "holds_for": f"sums of products in any order, {libraries}, overflow and underflow",
    }


def _proved(claim: str, left: Side, right: Side, pool: Pool, how: Settings, rounded: bool) -> Verdict:
    flat = right.ids.ravel()
    count = pool.count(flat)
    name = str(how.dtype).removeprefix("torch.")
    method = (_ROUNDED if rounded else _METHOD).format(n=count, m=len(flat), dtype=name)
    data: dict[str, Plain] = {
        "left": left.plain,
        "right": right.plain,
        "relation": f"rounded to {name}" if rounded else "equal",
        "rounding": rounding_bound(left, right, pool, how),
    }
    return certified(
        claim, method, data, equality=None if rounded else Equality.REALS, assumptions=_assumptions(left, right)
    )


def exact_value(side: Side, pool: Pool, place: int, pixel: int) -> Fraction:
    """The exact output at a place for the image with 1 in `pixel` (or for zeros, with pixel -1)."""
    row = side.ids.ravel()[place : place + 1]
    _, columns, codes = pool.entries(row)
    terms = [pool.numbers.values[code] for code in codes[columns == pixel].tolist()]
    return sum(terms, pool.numbers.values[int(pool.constant_codes(row)[0])])


def _only_rounded(left: Side, right: Side, pool: Pool) -> bool:
    """Whether every number of the second is the first's but for a rounding, and two forms are alike in all else."""
    forms = [side.plain["form"] for side in (left, right) if "form" in side.plain]
    steps = [[form[name] for name in ("stride", "padding", "padding_mode")] for form in forms]
    alike = len(forms) < 2 or steps[0] == steps[1]
    return alike and first_difference(left.ids, right.ids, pool, share=_ROUNDING) is None


def _counterexample(
    difference: tuple[int, int] | str, left: Side, right: Side, pool: Pool, how: Settings, rounded: bool, near: bool
) -> Counterexample:
    """near: whether the two differ only by a rounding, here and at the size asked about."""
    shape = left.called.shape
    image = torch.zeros(shape, dtype=how.dtype)
    pixel = -1 if isinstance(difference, str) else difference[1]
    if pixel >= 0:
        image.view(-1)[pixel] = 1
    outputs = [run(side.called.call, image.reshape(side.called.shape), how) for side in (left, right)]
    data: dict[str, Plain] = {
        "kind": "maps differ",
        "left": unmarked(left.plain),
        "right": unmarked(right.plain),
        "relation": f"rounded to {str(how.dtype).removeprefix('torch.')}" if rounded else "equal",
        "pixel": pixel,
        "output_shapes": [list(side.called.output) for side in (left, right)],
    }
    if isinstance(difference, str):
        said = f"on {_size(shape)} images {difference}."
    else:
        first, second = (exact_value(side, pool, difference[0], pixel) for side in (left, right))
        data["exact"] = [str(first), str(second)]
        at = np.unravel_index(difference[0], left.ids.shape)[1:]
        data["output_place"] = [int(place) for place in at]
        said = f"{_describe(shape, pixel)}, the first gives {_short(first)} and the second {_short(second)}"
        said += f" at output {_place(at)}."
        if near:
            said += " The two differ only by a rounding of the weights."
    packed = [pack_array(output.numpy()) for output in outputs]
    return Counterexample(said[0].upper() + said[1:], pack_array(image.numpy()), packed[0], packed[1], data)


def _describe(shape: Shape, pixel: int) -> str:
    """The image in words; sizes of 1 before the height (a batch of one, one channel) go without saying."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    if pixel < 0:
        return f"for the {_size(shape)} image of zeros"
    if int(np.prod(shape)) == 1:
        return f"for the {_size(shape)} image [1]"
    return f"for the {_size(shape)} image with 1 at {_place(np.unravel_index(pixel, shape))} and 0 elsewhere"


def _place(indices: Any) -> str:
    return "(" + ", ".join(str(int(index)) for index in indices) + ")"


def _short(value: Fraction) -> str:
    return str(value) if value.denominator < 10_000 else f"{float(value)!r}"


def _smallest(f: Any, g: Any, shape: Shape, hows: list[Settings], rounded: bool, near: bool) -> Counterexample | None:
    """The counterexample on the smallest image, by area then height, on which both run and differ."""
    height, width = shape[-2:]
    sizes = sorted((h * w, h, w) for h in range(1, height + 1) for w in range(1, width + 1))[:400]
    for area, h, w in sizes:
        if area >= height * width:
            return None
        small = (*shape[:-2], h, w)
        pool = Pool(int(np.prod(small)))
        try:
            left, right = read(f, small, pool, hows[0]), read(g, small, pool, hows[1])
            difference = _difference(left, right, pool, hows[0] if rounded else None)
        except TooSlow:
            return None
        except (InvalidInput, Unread):
            continue
        if difference is not None:
            here = near and _only_rounded(left, right, pool)
            return _counterexample(difference, left, right, pool, hows[0], rounded, here)
    return None


def _with(small: Counterexample, asked: Counterexample) -> Counterexample:
    at: dict[str, Plain] = {name: getattr(asked, name) for name in ("statement", "input", "claimed", "found", "data")}
    return Counterexample(
        small.statement, small.input, small.claimed, small.found, {**small.data, "at_the_size_asked": at}
    )


def _unread(claim: str, name: str, error: Unread, f: Any, g: Any, shape: Shape, how: Settings) -> Verdict:
    """One side is not shown affine: where both run, a random image may still tell them apart; else undecided."""
    found = find_nonlinearity(f if name == "first" else g, shape, how, error.graph)
    other = g if name == "first" else f
    if found is not None:
        try:
            read(other, shape, Pool(int(np.prod(shape))), how)
            text = f"The {name} operation is not affine, and the other is: {found.statement}"
            data = {**found.data, "operation": error.graph}
            evidence = Counterexample(text, found.input, found.claimed, found.found, data)
            return sealed(claim, evidence, equality=Equality.REALS)
        except Unread:
            pass
    return undecided(
        claim,
        f"of the {name} operation it is not shown that it is affine ({error.why})",
        "rewriting it with linear torch operations",
        equality=Equality.REALS,
    )
