"""A concrete image that shows that an operation is not affine: f(x + y) - f(x) - f(y) + f(0), or f(a x) - a f(x) - (1
- a) f(0).

Both are 0 for every affine f. Small images come first: one pixel, two pixels, then random ones. Only a violation far
beyond rounding counts: more than 1/1000 of the size of the terms (float32 rounding of a well-behaved operation is some
10^-6 of it; heuristic, and the reason why nothing smaller is called a refutation). What cancels large numbers within
may lose more than that in float32; so the same images must break the law in float64 too, where the operation takes it.
And where the operation left a graph, the checker must see that other roundings on the way leave the violation as it is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from mathdnn.convolution.calls import Called, Settings, Shape, TooSlow, find_call, require_steady, run
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Counterexample, Plain, pack_array

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAR = 1e-3
_RANDOM = 20
_REJECTED = 4  # violations by rounding, for each of which a graph is run some 100 times


@dataclass(frozen=True)
class Violation:
    """The images, and f at them, that no affine f allows."""

    law: str
    images: tuple[torch.Tensor, ...]
    expected: torch.Tensor
    found: torch.Tensor
    factor: int | None = None  # None: the law of sums


def find_nonlinearity(operation: Any, shape: Shape, how: Settings, graph: Plain | None = None) -> Counterexample | None:
    """The smallest violation found, as a counterexample to "f is affine", or None.

    graph: the operation as it is saved; what its rounding makes is no violation.

    Raises `InvalidInput` for an operation that gives two outputs for one image, which would refute anything.
    """
    try:
        called = find_call(operation, shape, how)
    except InvalidInput:
        return None
    require_steady(called, how)
    rejected = 0
    for x, y in _pairs(called.shape, how):
        violation = _homogeneity(called, x, how) or _additivity(called, x, y, how)
        if violation is not None and not _only_rounding(called, violation, how):
            found = _counterexample(violation)
            if graph is None or _lasts(found, graph, how):
                return found
            rejected += 1
        if rejected == _REJECTED:
            break
    return None


def _lasts(found: Counterexample, graph: Plain, how: Settings) -> bool:
    """Whether the checker takes a violation for more than rounding, or cannot say."""
    from mathdnn.verify.counterexamples import shows_not_affine

    evidence = msgspec.structs.replace(found, data={**found.data, "operation": graph})
    return shows_not_affine(evidence, random.Random(how.seed)) is not False


def _only_rounding(called: Called, violation: Violation, how: Settings) -> bool:
    """Whether the operation takes the images in float64, and breaks no law there."""
    wide = replace(how, dtype=torch.float64)
    images = [image.double() for image in violation.images]
    if how.dtype != torch.float32 or _try(called, images[0], wide) is None:
        return False
    if violation.factor is None:
        return _additivity(called, images[0], images[1], wide) is None
    return _homogeneity(called, images[0], wide) is None


def _pairs(shape: Shape, how: Settings) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    zero = torch.zeros(shape, dtype=how.dtype)
    pixels = zero.numel()
    for p in dict.fromkeys((0, pixels // 2, pixels - 1)):
        for q in dict.fromkeys((p, min(p + 1, pixels - 1), 0)):
            x, y = zero.clone(), zero.clone()
            x.view(-1)[p], y.view(-1)[q] = 1, -1 if p != q else 2
            yield x, y
    generator = torch.Generator().manual_seed(how.seed)
    for k in range(_RANDOM):
        scale = (1.0, 1.0, 10.0, 0.1, 100.0)[k % 5]
        x, y = ((torch.rand(shape, dtype=how.dtype, generator=generator) - 0.5 * (k % 2)) * scale for _ in range(2))
        yield x, y


def _far(expected: torch.Tensor, found: torch.Tensor, *terms: torch.Tensor) -> bool:
    size = max(float(term.abs().max()) for term in (expected, found, *terms))
    return float((expected - found).abs().max()) > _FAR * size and size > 0


def _try(called: Called, image: torch.Tensor, how: Settings) -> torch.Tensor | None:
    try:
        return run(called.call, image, how)
    except TooSlow:
        raise
    except InvalidInput:
        return None


def _homogeneity(called: Called, x: torch.Tensor, how: Settings) -> Violation | None:
    at_zero, at_x = _try(called, torch.zeros_like(x), how), _try(called, x, how)
    for factor in (-1, 2):
        scaled = _try(called, factor * x, how)
        if at_zero is None or at_x is None or scaled is None or not at_zero.shape == at_x.shape == scaled.shape:
            return None
        expected = factor * at_x + (1 - factor) * at_zero
        if _far(expected, scaled, at_x, at_zero):
            return Violation(f"f({factor} x) = {factor} f(x) + {1 - factor} f(0)", (x,), expected, scaled, factor)
    return None


def _additivity(called: Called, x: torch.Tensor, y: torch.Tensor, how: Settings) -> Violation | None:
    values = [_try(called, image, how) for image in (torch.zeros_like(x), x, y, x + y)]
    if any(value is None or value.shape != called.output for value in values):
        return None
    at_zero, at_x, at_y, at_sum = (value for value in values if value is not None)
    expected = at_x + at_y - at_zero
    if _far(expected, at_sum, at_x, at_y, at_zero):
        return Violation("f(x + y) = f(x) + f(y) - f(0)", (x, y), expected, at_sum)
    return None


def _counterexample(violation: Violation) -> Counterexample:
    worst = int((violation.expected - violation.found).abs().argmax())
    expected, found = (float(value.flatten()[worst]) for value in (violation.expected, violation.found))
    inputs: dict[str, Plain] = {
        name: pack_array(image.numpy()) for name, image in zip("xy", violation.images, strict=False)
    }
    pixels = "one pixel" if int((violation.images[0] != 0).sum()) == 1 else "random pixels"
    said = f"{violation.law} fails: it would give {expected:.6g}, and the operation gives {found:.6g}"
    said += f" (an image of {pixels})."
    return Counterexample(
        said,
        inputs,
        pack_array(violation.expected.numpy()),
        pack_array(violation.found.numpy()),
        {
            "kind": "not affine",
            "law": violation.law,
            "factor": violation.factor,
            "output_index": worst,
            "operation": None,
        },
    )
