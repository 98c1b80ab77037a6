"""Operations that cannot be read (NumPy, SciPy, a C library): one call for each pixel, and an assumption.

f: the operation, e_k: the image with 1 in pixel k. The responses f(e_k) - f(0) are the whole matrix of f *if* f is
affine.
That is not shown. It is tested on random images, and the verdict lists it as an assumption.

Responses are computed in floats, so what is one weight comes out as several numbers, a rounding apart. Numbers closer
than
`TOLERANCE` times the largest response are taken for one weight (heuristic: 2^16 roundings); the certificate holds every
response as it came, and says how far the convolution is from them at most.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.convolution.certificate import certified
from mathdnn.convolution.nonlinear import find_nonlinearity
from mathdnn.convolution.pool import Pool
from mathdnn.convolution.side import Called, Settings, Shape, Side, find_call, float_values, refuse, run
from mathdnn.convolution.witness import sealed
from mathdnn.verdict import Assumption, Plain, Verdict, pack_array, undecided

if TYPE_CHECKING:
    from jaxtyping import Float

    from mathdnn.convolution.prove import Found

TOLERANCE = {"float32": 2.0**-8 * 2.0**-8, "float64": 2.0**-37}
_PIXELS = 20_000  # calls; more take minutes for any operation
_PROBES = 12


def as_conv2d_opaque(op: Any, shape: Shape, how: Settings) -> Verdict:
    """`as_conv2d` for an operation on NumPy arrays of exactly `shape`. Raises `InvalidInput` as `as_conv2d` does."""
    if math.prod(shape) > _PIXELS:
        raise refuse(
            "as_conv2d(opaque=True)",
            f"at most {_PIXELS} pixels, one call each",
            f"{math.prod(shape)}",
            "ask about a smaller image",
        )
    operation = _through_numpy(op, how)
    size = " x ".join(map(str, shape))
    how = Settings(how.who, how.dtype, False, how.seconds, how.seed)
    claim = f"on {size} images, the operation is a convolution"
    called = find_call(operation, shape, how)
    violation = find_nonlinearity(operation, shape, how)
    if violation is not None:
        return sealed(f"{claim}, so it is affine", violation)
    constant, responses = _responses(called, how)
    scale = float(np.abs(responses).max(initial=0.0))
    tolerance = TOLERANCE[str(how.dtype).removeprefix("torch.")] * (scale + float(np.abs(constant).max(initial=0.0)))
    pool = Pool(math.prod(shape))
    pool.tolerance = 4 * tolerance
    if 0 < scale <= pool.tolerance:
        why = "the responses are no larger than what rounding may do to them next to outputs of"
        return undecided(
            claim, f"{why} {np.abs(constant).max():.1e}", "the operation without what it gives for the image of zeros"
        )
    side = _side(called, constant, responses, tolerance, pool)
    if not _affine_at_random(side, constant, pool, how, scale):
        return undecided(
            claim, "random images give other results than the responses add up to", "reading the operation's code"
        )
    return _decide(side, pool, size, how, tolerance, claim)


def _through_numpy(op: Any, how: Settings) -> Any:
    def operation(image: torch.Tensor) -> Any:
        output = op(image.numpy())
        return torch.from_numpy(np.array(output, copy=True)) if isinstance(output, np.ndarray) else output

    if not callable(op):
        raise refuse(
            "as_conv2d(op)", "a callable on NumPy arrays", f"a {type(op).__name__}", "give the function itself"
        )
    return operation


def _responses(called: Called, how: Settings) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, "p m"]]:
    image = torch.zeros(called.shape, dtype=how.dtype)
    constant = _output(called, image, how).ravel().copy()
    rows = []
    for pixel in range(image.numel()):
        image.view(-1)[pixel] = 1
        rows.append(_output(called, image, how).ravel() - constant)
        image.view(-1)[pixel] = 0
    return constant, np.stack(rows)


def _output(called: Called, image: torch.Tensor, how: Settings) -> np.ndarray:
    """One call's output, which has the shape of the others."""
    output = run(called.call, image, how)
    if output.shape != called.output:
        expected, got = "outputs of one shape for images of one", f"{called.output} and {tuple(output.shape)}"
        raise refuse("as_conv2d(opaque=True)", expected, got, "ask about an operation whose sizes hang on sizes alone")
    return np.asarray(output.double().numpy())


def cluster(values: Float[np.ndarray, " n"], tolerance: float) -> Float[np.ndarray, " n"]:
    """Every value replaced by one of its neighbourhood: chains of values with gaps up to `tolerance` become their most
    frequent member, and the chain through 0 becomes 0."""
    different, place, count = np.unique(np.append(values, 0.0), return_inverse=True, return_counts=True)
    chain = np.concatenate([[0], np.cumsum(np.diff(different) > tolerance)])
    chosen = np.empty(int(chain[-1]) + 1)
    for k in range(len(chosen)):
        members = np.flatnonzero(chain == k)
        chosen[k] = different[members[np.argmax(count[members])]]
    chosen[chain[np.searchsorted(different, 0.0)]] = 0.0
    return np.asarray(chosen[chain][place.ravel()][:-1])


def _side(called: Called, constant: np.ndarray, responses: np.ndarray, tolerance: float, pool: Pool) -> Side:
    """The responses, alike numbers merged, as exact rows."""
    outputs = len(constant)
    merged = cluster(responses.ravel(), tolerance).reshape(responses.shape).T  # (output, pixel)
    place, pixel = np.nonzero(merged)
    codes = pool.numbers.of_array(merged[place, pixel])
    offsets = pool.numbers.of_array(cluster(constant, tolerance))
    counts = np.bincount(place, minlength=outputs)
    ids = pool.rows(counts, pixel, codes, offsets, np.abs(merged).sum(1), np.abs(constant))
    ids = ids.reshape((1,) * (4 - len(called.output)) + called.output)
    plain: dict[str, Plain] = {
        "responses": pack_array(responses),
        "at_zero": pack_array(constant),
        "input": list(called.shape),
        "output": list(ids.shape),
    }
    return Side(ids, plain, called, 0)


def _affine_at_random(side: Side, constant: np.ndarray, pool: Pool, how: Settings, scale: float) -> bool:
    """Whether random images come out as the responses add up: to 1e-4 of what an image changes, and rounding."""
    rounding, at_zero = TOLERANCE[str(how.dtype).removeprefix("torch.")], constant.reshape(side.called.output)
    generator = torch.Generator().manual_seed(how.seed)
    for k in range(_PROBES):
        image = (torch.rand(side.called.shape, dtype=how.dtype, generator=generator) - 0.5) * (1.0, 100.0, 0.01)[k % 3]
        output = _output(side.called, image, how)
        expected = float_values(side.ids, pool, image.double().numpy()).reshape(output.shape)
        room = 1e-4 * max(float(np.abs(output - at_zero).max()), scale * float(image.abs().max()))
        room += rounding * float(np.abs(output).max())
        if float(np.abs(output - expected).max()) > room:
            return False
    return True


def _decide(side: Side, pool: Pool, size: str, how: Settings, tolerance: float, claim: str) -> Verdict:
    from mathdnn.convolution.prove import bias_of, decided
    from mathdnn.convolution.stencil import Stencil

    assumptions = (
        Assumption("the operation is affine", f"not shown, as its code was not read; {_PROBES} random images agree"),
        Assumption("the operation gives the same result at every call"),
        Assumption(f"responses within {4 * tolerance:.1e} of each other are one weight", "rounding"),
    )
    full = (1,) * (4 - len(side.called.shape)) + side.called.shape
    stencil, bias = Stencil.of(side.ids, pool, full), bias_of(side.ids, pool)
    found, outcome = decided(side, stencil, bias, full, pool, how)
    if found is not None:
        return _proved(side, found, pool, size, tolerance, assumptions, full)
    if outcome.counterexample is not None:
        return sealed(f"{claim} ({outcome.kinds})", outcome.counterexample, assumptions=assumptions)
    why = "no form fits that was tried, and not every form is excluded"
    return undecided(claim, why, "an image large enough for the kernel to lie inside it", assumptions=assumptions)


def _proved(
    side: Side, found: Found, pool: Pool, size: str, tolerance: float, assumptions: tuple[Assumption, ...], full: Shape
) -> Verdict:
    from mathdnn.verdict import unpack_array

    responses, constant = unpack_array(side.plain["responses"]), unpack_array(side.plain["at_zero"])
    flat = found.ids.ravel()
    place, pixel, code = pool.entries(flat)
    exact = np.zeros(responses.shape)
    exact[pixel, place] = pool.numbers.floats(code)
    worst = max(
        float(np.abs(exact - responses).max(initial=0.0)),
        float(np.abs(pool.numbers.floats(pool.constant_codes(flat)) - constant).max(initial=0.0)),
    )
    worst = float(Fraction(worst) * Fraction(1 + 2.0**-40)) + tolerance * 2.0**-20
    kind = "transposed convolution" if found.form.transposed else "convolution"
    claim = (
        f"on {size} images, the operation's response to every pixel is that of this {kind}, to within "
        f"{_up(worst)}: {found.form}"
    )
    data: dict[str, Plain] = {
        "left": side.plain,
        "right": {"form": found.form.to_plain(), "input": list(full)},
        "relation": "within",
        "tolerance": worst,
    }
    method = f"the operation was called once for each pixel ({len(responses)}), and every response was compared"
    return certified(claim, method, data, assumptions=assumptions)


def _up(value: float) -> str:
    """Two digits, never less than the value."""
    return f"{float(Context(prec=2, rounding=ROUND_CEILING).create_decimal_from_float(value)):.1e}"
