"""as_conv2d: is this operation a convolution, and which one?

1. The operation is read as a graph and multiplied out: an exact matrix (`side`), or the step that is not affine.
2. The matrix suggests a form (`recognise`).
3. The form's own exact matrix is compared with the operation's, entry by entry. Only this step proves.
4. Where no form fits, every way to be a convolution is excluded by a witness (`exclude`), or the answer is undecided.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.convolution import module, transposed
from mathdnn.convolution.certificate import certified
from mathdnn.convolution.compare import first_difference
from mathdnn.convolution.equal import rounding_bound
from mathdnn.convolution.exclude import Outcome, exclude
from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.growing import Unclear
from mathdnn.convolution.nonlinear import find_nonlinearity
from mathdnn.convolution.opaque import as_conv2d_opaque
from mathdnn.convolution.pool import Pool, TooLarge
from mathdnn.convolution.recognise import guesses, likely_strides
from mathdnn.convolution.side import (
    Called,
    Operation,
    Settings,
    Shape,
    Side,
    Unheld,
    Unread,
    _fits,
    read,
    refuse,
    require_shape,
    settings,
    slack,
)
from mathdnn.convolution.sizes import AS_NUMBERS, all_sizes
from mathdnn.convolution.stencil import ENTRIES, Stencil
from mathdnn.convolution.wider import SMALL, wider
from mathdnn.convolution.witness import sealed
from mathdnn.verdict import Equality, Plain, Verdict, undecided

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

_CARRIES = (
    "; read with open height and width, both repeat themselves as the image grows, so that being equal at one size of "
    "each class carries to all larger ones"
)
_TRIES = 40  # strides tried before giving up; a convolution is found at the first few


def as_conv2d(
    op: Operation,
    input_shape: Shape,
    *,
    dtype: torch.dtype | str | None = None,
    opaque: bool = False,
    batched: bool | None = None,
    seconds: float = 60.0,
) -> Verdict:
    """Whether `op` is a convolution on images of `input_shape`, and which.

    op: a torch callable or module from (C, H, W) or (N, C, H, W) images to images; dtype: float32 (default) or float64;
    opaque: `op` takes and returns NumPy arrays and cannot be read: it is probed pixel by pixel (in float64 unless
    `dtype`
    says otherwise), and that it is affine is an assumption; batched: how `op` is called (None: in a batch of one
    where it
    takes that); seconds: the time limit of each call.

    proved: `evidence.form` is the `ConvForm`, exactly equal over the reals on this size; refuted: an image that no
    convolution of the stated kind allows; undecided: why. Raises `InvalidInput` for an operation that raises, is
    random,
    changes its input, or returns no image.
    """
    shape = require_shape("as_conv2d", input_shape)
    if opaque:
        return as_conv2d_opaque(op, shape, settings("as_conv2d", dtype or "float64", batched, seconds))
    how = settings("as_conv2d", dtype, batched, seconds)
    pool = Pool(int(np.prod(shape)))
    size = " x ".join(map(str, shape))
    try:
        return decide(read(op, shape, pool, how), pool, size, how)
    except Unread as error:
        return _unread(op, shape, size, error, how)
    except Unheld as error:
        found = find_nonlinearity(op, shape, how, error.graph)
        if found is None:
            raise
        return _not_affine(size, found, Unread("its rows are too many to be held", None, error.graph))
    except (TooLarge, MemoryError) as error:
        got = str(error) if isinstance(error, TooLarge) else "one that does not"
        raise refuse(how.who, "a map that fits in memory", got, "ask about a smaller image") from None


def decide(side: Side, pool: Pool, size: str, how: Settings) -> Verdict:
    """The verdict for a map that was read."""
    full = (1,) * (4 - len(side.called.shape)) + side.called.shape
    stencil = Stencil.of(side.ids, pool, full)
    bias = bias_of(side.ids, pool)
    found, outcome = decided(side, stencil, bias, full, pool, how)
    most = ENTRIES if outcome.counterexample is None else SMALL
    if found is None and stencil is not None and not stencil.is_whole and pool.count(side.ids[0]) <= most:
        stencil = Stencil.of(side.ids, pool, full, whole=True)
        found, outcome = decided(side, stencil, bias, full, pool, how)
    if found is not None:
        return _proved(side, found, pool, size, how)
    if outcome.counterexample is not None:
        claim = f"on {size} images, the operation is a convolution ({outcome.kinds})"
        return sealed(claim, outcome.counterexample, equality=Equality.REALS, assumptions=side.assumptions)
    return undecided(
        f"on {size} images, the operation is a convolution",
        "no form fits that was tried, and not every form is excluded",
        "an image large enough for the kernel to lie inside it",
        equality=Equality.REALS,
        assumptions=side.assumptions,
    )


def decided(
    side: Side, stencil: Stencil | None, bias: tuple[Bias] | None, full: Shape, pool: Pool, how: Settings
) -> tuple[Found | None, Outcome]:
    """A form that the map is, or a witness that it is none, or neither."""
    found = None if stencil is None or bias is None else recognise(side, stencil, bias[0], full, pool)
    if found is None and stencil is not None and bias is not None:
        found = _transposed(side, stencil, bias[0], full, pool)
        found = found or _first(wider(stencil, pool.numbers.values, bias[0]), side, full, pool)
    if found is not None:
        return found, Outcome("", None)
    return None, exclude(side, stencil, None if bias is None else bias[0], full, pool, how)


@dataclass(frozen=True)
class Found:
    """A form whose exact rows are those of the operation."""

    form: ConvForm
    ids: np.ndarray


Bias = tuple[Fraction, ...] | None


def bias_of(ids: np.ndarray, pool: Pool) -> tuple[Bias] | None:
    """(the constants of the output channels or None,), or None where a channel has several."""
    constant = pool.constant_codes(ids)
    if (constant != constant[:1, :, :1, :1]).any():
        return None
    values = tuple(pool.numbers.values[code] for code in constant[0, :, 0, 0].tolist())
    return (values if any(values) else None,)


def recognise(side: Side, stencil: Stencil, bias: Bias, full: Shape, pool: Pool) -> Found | None:
    """The first guess whose exact matrix is the operation's."""
    strides = itertools.product(likely_strides(stencil, 1), likely_strides(stencil, 2))
    for s, t in itertools.islice(strides, _TRIES):
        fitting = []
        for form in guesses(stencil, pool.numbers.values, bias, (s, t)):
            found = same_rows(form, side.ids, full, pool)
            if found is not None:
                fitting.append(found)
                if all(2 * size <= pixels for size, pixels in zip(form.extent, full[2:], strict=True)):
                    return found  # no other padding mode has a smaller kernel
        if fitting:
            return min(fitting, key=lambda found: found.form.extent[0] * found.form.extent[1])
    return None


def _transposed(side: Side, stencil: Stencil, bias: Bias, full: Shape, pool: Pool) -> Found | None:
    """The first transposed form whose exact matrix is the operation's."""
    return _first(transposed.guesses(stencil, pool.numbers.values, bias), side, full, pool)


def _first(forms: Iterator[ConvForm], side: Side, full: Shape, pool: Pool) -> Found | None:
    found = (same_rows(form, side.ids, full, pool) for form in forms)
    return next((one for one in found if one is not None), None)


def same_rows(form: ConvForm, ids: np.ndarray, full: Shape, pool: Pool) -> Found | None:
    """The form as found where its rows are exactly the given ones: same shape, coefficients and constants."""
    if not _fits(form, full) or form.output_size(*full[2:]) != ids.shape[2:] or form.in_channels != full[1]:
        return None
    made = module.rows(form, pool.inputs().reshape(full), pool)
    if first_difference(made, ids, pool) is not None:
        return None
    return Found(form, made)


def _proved(side: Side, found: Found, pool: Pool, size: str, how: Settings) -> Verdict:
    form = found.form
    called = Called(form.to_module(how.dtype), side.called.shape, side.called.output)
    full = list((1,) * (4 - len(side.called.shape)) + side.called.shape)
    right = Side(found.ids, {"form": form.to_plain(), "input": full}, called, module.roundings(form))
    flat = found.ids.ravel()
    count = pool.count(flat)
    kind = "transposed convolution" if form.transposed else "convolution"
    method = (
        "the operation was read as a graph of affine operations and multiplied out in exact rational arithmetic; all "
        f"coefficients ({count}) and constants ({len(flat)}) are those of the {kind}, borders included"
    )
    data: dict[str, Plain] = {
        "left": side.plain,
        "right": right.plain,
        "relation": "equal",
        "rounding": rounding_bound(side, right, pool, how),
    }
    assumptions, more = side.assumptions, ""
    try:
        bound = data["rounding"]["slope"] + data["rounding"]["offset"]
        sizes = all_sizes(side.called, form, how, slack(side.roundings, how) * bound)
        data["sizes"] = sizes.plain
        first, *others = assumptions
        assumptions, more = (first, AS_NUMBERS, *others), f", and for {sizes.words()}"
        method += _CARRIES
    except Unclear as error:
        method += f"; whether it is on images of other sizes is left open, since {error}"
    claim = f"on {size} images{more}, the operation is this {kind}: {form}"
    return certified(claim, method, data, equality=Equality.REALS, assumptions=assumptions)


def _unread(op: Any, shape: Shape, size: str, error: Unread, how: Settings) -> Verdict:
    found = find_nonlinearity(op, shape, how, error.graph)
    if found is not None:
        return _not_affine(size, found, error)
    return undecided(
        f"on {size} images, the operation is a convolution",
        f"it is not shown that the operation is affine: {error.why}; and no image was found that shows that it is not",
        "rewriting it with linear torch operations, or opaque=True for a function of NumPy arrays",
        equality=Equality.REALS,
    )


def _not_affine(size: str, found: Any, error: Unread) -> Verdict:
    claim = f"on {size} images, the operation is a convolution, so it is affine"
    return sealed(claim, _blaming(found, error), equality=Equality.REALS)


def _blaming(found: Any, error: Unread) -> Any:
    import msgspec

    step = f" The step that breaks it: {error.op}." if error.op else ""
    data = {**found.data, "step": error.op, "why": error.why, "operation": error.graph}
    return msgspec.structs.replace(found, statement=found.statement + step, data=data)
