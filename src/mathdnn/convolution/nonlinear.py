"""Concrete images that show that an operation is not affine: they break a law that every affine f keeps,

    f(x + y) = f(x) + f(y) - f(0)      f(a x) = a f(x) + (1 - a) f(0)

or, where f has no value at 0 or one that says nothing, the same around another image z: f(z + x + y) = f(z + x) +
f(z + y) - f(z). Small images come first: one pixel, two pixels, then random ones. Only a violation far beyond rounding
counts: more than 1/1000 of the size of the terms (float32 rounding of a well-behaved operation is some 10^-6 of it;
heuristic, and the reason why nothing smaller is called a refutation). What cancels large numbers within may lose more
than that in float32; so the same images must break the law in float64 too, where the operation takes it, and by about
as much. And where the operation left a graph, the checker must see that the law fails over the reals, whatever is
rounded.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from mathdnn.convolution.calls import Called, Settings, Shape, TooSlow, find_call, require_steady, run
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Counterexample, Plain, pack_array
from mathdnn.verify.numbers import TooMany

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAR = 1e-3
_FINER = 1 << 14  # times: what floats round shrinks by 2^29 from float32 to float64, and a real violation hardly
_RANDOM = 20
_LARGER = 1 + 1 / 777  # no short fraction: what is rounded at pixels of 1 is rounded otherwise there
_SCALES = (1.0, 1.0, 10.0, 0.1, 100.0)
_REJECTED = 16  # violations that may be rounding, for each of which a graph is run on intervals


@dataclass(frozen=True)
class Violation:
    """The images, and what no affine f gives at them. factor: a, or None for the law of sums; z: None for 0."""

    factor: int | None
    images: dict[str, torch.Tensor]
    expected: torch.Tensor
    found: torch.Tensor

    @property
    def size(self) -> float:
        return float((self.expected - self.found).abs().max())

    @property
    def law(self) -> str:
        a, based = self.factor, "z" in self.images
        at, zero = ("z + ", "z") if based else ("", "0")
        if a is None:
            return f"f({at}x + y) = f({at}x) + f({at}y) - f({zero})"
        return f"f({at}{a} x) = {a} f({at}x) + {1 - a} f({zero})"


def find_nonlinearity(operation: Any, shape: Shape, how: Settings, graph: Plain | None = None) -> Counterexample | None:
    """The smallest violation found, as a counterexample to "f is affine", or None.

    graph: the operation as it is saved; what its rounding makes is no violation. Where that takes long to see, as in
    deep networks, no more images are tried after the seconds of `how`.

    Raises `InvalidInput` for an operation that gives two outputs for one image, which would refute anything.
    """
    try:
        called = find_call(operation, shape, how)
    except InvalidInput:
        return None
    require_steady(called, how)
    end = time.monotonic() + how.seconds
    for around, factors in ((_around_zero, (-1, 2, None)), (_around_others, (2, None, -1))):  # z - x is often 0
        rejected = 0
        for images in around(called.shape, how):
            violation = next(filter(None, (_broken(called, images, factor, how) for factor in factors)), None)
            if violation is not None and not _only_rounding(called, violation, how):
                found = _counterexample(violation)
                try:
                    seen = None if graph is None else _lasts(found, graph, how)
                except TooMany:
                    return None  # no other image is quicker
                if seen or (seen is None and _stays(called, violation, how)):
                    return found
                rejected += 1
                if time.monotonic() > end:
                    return None
            if rejected == _REJECTED:
                break
    return None


def _lasts(found: Counterexample, graph: Plain, how: Settings) -> bool | None:
    """Whether the checker takes a violation for more than rounding; None where it cannot say. Raises `TooMany`."""
    from mathdnn.verify.counterexamples import shows_not_affine

    evidence = msgspec.structs.replace(found, data={**found.data, "operation": graph})
    return shows_not_affine(evidence, random.Random(how.seed))


def _stays(called: Called, violation: Violation, how: Settings) -> bool:
    """Whether images a little larger break the law by about as much: noise would be another one there."""
    images = {name: image * _LARGER for name, image in violation.images.items()}
    seen = _broken(called, {"y": images["x"], **images}, violation.factor, how)
    if seen is None:
        return False
    gaps = [each.expected - each.found for each in (violation, seen)]
    return float((gaps[0] - gaps[1]).abs().max()) <= float(gaps[0].abs().max()) / 2


def _only_rounding(called: Called, violation: Violation, how: Settings) -> bool:
    """Whether the operation takes the images in the other floats, too, and breaks no law in the finer, or by far less
    than in the coarser: what is 0 but for rounding is other noise in each."""
    single = how.dtype == torch.float32
    other = replace(how, dtype=torch.float64 if single else torch.float32)
    images = {name: image.to(other.dtype) for name, image in violation.images.items()}
    if _try(called, images["x"] + images.get("z", 0), other) is None:
        return False
    seen = _broken(called, images, violation.factor, other)
    if seen is None:
        return single
    fine, coarse = (seen, violation) if single else (violation, seen)
    return coarse.size > _FINER * fine.size


def _around_zero(shape: Shape, how: Settings) -> Iterator[dict[str, torch.Tensor]]:
    yield from ({"x": x, "y": y} for x, y in _one_pixel(shape, -1, how))
    generator = torch.Generator().manual_seed(how.seed)
    for k in range(_RANDOM):
        x, y = (_drawn(shape, how, generator) - 0.5 * (k % 2) for _ in range(2))
        yield {"x": x * _SCALES[k % 5], "y": y * _SCALES[k % 5]}


def _around_others(shape: Shape, how: Settings) -> Iterator[dict[str, torch.Tensor]]:
    """Images beside those of positive numbers."""
    one = torch.ones(shape, dtype=how.dtype)
    yield from ({"z": one, "x": x, "y": y} for x, y in _one_pixel(shape, 1, how))
    generator = torch.Generator().manual_seed(how.seed)
    for k in range(_RANDOM):
        z, x, y = (_drawn(shape, how, generator) * _SCALES[k % 5] for _ in range(3))
        yield {"z": z + _SCALES[k % 5], "x": x, "y": y}


def _drawn(shape: Shape, how: Settings, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, dtype=how.dtype, generator=generator)


def _one_pixel(shape: Shape, second: int, how: Settings) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    zero = torch.zeros(shape, dtype=how.dtype)
    pixels = zero.numel()
    for p in dict.fromkeys((0, pixels // 2, pixels - 1)):
        for q in dict.fromkeys((p, min(p + 1, pixels - 1), 0)):
            x, y = zero.clone(), zero.clone()
            x.view(-1)[p], y.view(-1)[q] = 1, second if p != q else 2
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


def _broken(called: Called, images: dict[str, torch.Tensor], factor: int | None, how: Settings) -> Violation | None:
    """A law that fails at the images, where the operation takes them."""
    x = images["x"]
    base = images.get("z", torch.zeros_like(x))
    others = [base + images["y"], base + x + images["y"]] if factor is None else [base + factor * x]
    values = []
    for image in (base, base + x, *others):
        value = _try(called, image, how)
        if value is None or value.shape != called.output:
            return None
        values.append(value)
    at_base, at_x, found = values[0], values[1], values[-1]
    expected = at_x + values[2] - at_base if factor is None else factor * at_x + (1 - factor) * at_base
    if not _far(expected, found, *values):
        return None
    used = {name: image for name, image in images.items() if name != "y" or factor is None}
    return Violation(factor, used, expected, found)


def _counterexample(violation: Violation) -> Counterexample:
    worst = int((violation.expected - violation.found).abs().argmax())
    expected, found = (float(value.flatten()[worst]) for value in (violation.expected, violation.found))
    inputs: dict[str, Plain] = {name: pack_array(image.numpy()) for name, image in violation.images.items()}
    pixels = "one pixel" if int((violation.images["x"] != 0).sum()) == 1 else "random pixels"
    pixels += ", added to another" if "z" in violation.images else ""
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
