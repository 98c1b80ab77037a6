"""One side of a comparison: an operation or a form, as exact rows of a pool, with what it takes to check it again.
How operations are called: `calls`.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.convolution import module, transposed
from mathdnn.convolution.calls import (
    Called,
    Operation,
    Settings,
    Shape,
    TooSlow,
    find_call,
    refuse,
    require_shape,
    run,
    run_with_gradients,
    settings,
    too_slow,
)
from mathdnn.convolution.evaluate import NotAffine, evaluate
from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.graph import Graph, unmarked
from mathdnn.convolution.kept import put_back
from mathdnn.convolution.limit import OutOfTime, limited
from mathdnn.convolution.pool import Pool, TooLarge
from mathdnn.convolution.reading import ChangesInput, RandomOperation
from mathdnn.convolution.trace import KeepsValues, trace
from mathdnn.convolution.watched import NotTraced
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Assumption, Plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jaxtyping import Int64

__all__ = [
    "Called",
    "Operation",
    "Settings",
    "Shape",
    "TooSlow",
    "find_call",
    "refuse",
    "require_shape",
    "run",
    "settings",
]

_READING = 5.0  # seconds for torch's own work around a traced call, the first of which takes one (heuristic)
_PART = 1 << 20  # coefficients at once
SAME_CODE = Assumption(
    "the operation does on every call what it did when it was traced", "a real call agreed with its graph"
)


class Unread(Exception):
    """An operation whose exact map could not be read: `why`, the ATen operation to blame, the graph, if there are."""

    def __init__(self, why: str, op: str | None = None, graph: dict[str, Plain] | None = None) -> None:
        super().__init__(why)
        self.why, self.op, self.graph = why, op, graph


class Unheld(InvalidInput):
    """A map whose rows are too many to be held, and the graph of its operation."""

    def __init__(self, words: str, graph: dict[str, Plain]) -> None:
        super().__init__(words)
        self.graph = graph


@dataclass(frozen=True)
class Side:
    """Exact rows (n, o, i, j) of an operation, and its plain data for a certificate."""

    ids: Int64[np.ndarray, "n o i j"]
    plain: dict[str, Plain]
    called: Called
    roundings: int
    assumptions: tuple[Assumption, ...] = ()


def read(operation: Any, shape: Shape, pool: Pool, how: Settings) -> Side:
    """The exact map of an operation or a form. Raises `InvalidInput` for misuse, `Unread` where it is not shown
    affine."""
    if isinstance(operation, ConvForm):
        return _read_form(operation, shape, pool, how)
    called = find_call(operation, shape, how)
    import torch._dynamo  # noqa: F401  # tracing loads it, and a time limit within an import leaves half a module

    try:
        with put_back(called.call):  # here, too, as a reading that is stopped may not come to it
            graph = limited(lambda: trace(called.call, called.shape, how.dtype), how.seconds + _READING)
        ids, roundings = evaluate(graph, pool)
    except ChangesInput:
        raise refuse(
            how.who, "an operation that leaves its input alone", "one that writes into it", "let it work on a copy"
        ) from None
    except RandomOperation as error:
        raise refuse(
            how.who, "the same output at every call", f"random numbers from {error}", "fix them, or call .eval()"
        ) from None
    except OutOfTime:
        raise too_slow(how) from None
    except TooLarge as error:
        words = str(refuse(how.who, "a map that fits in memory", str(error), "ask about a smaller image"))
        raise Unheld(words, unmarked(graph_plain(graph, called))) from None
    except KeepsValues:  # calls on other images would be no witness either, as each leaves something to the next
        expected, got = "an operation that keeps no values between calls", "one that uses what an earlier call left"
        raise refuse(how.who, expected, got, "let it compute its values anew at each call") from None
    except NotTraced as error:
        raise Unread(f"its graph could not be read, because {error}") from None
    except NotAffine as error:
        seen = unmarked(graph_plain(graph, called))
        raise Unread(f"{error.op} is not shown to be affine: {error.why}", error.op, seen) from None
    assumptions = (SAME_CODE, *_other_reading(called, shape, how))
    side = Side(_as_batch(ids), graph_plain(graph, called), called, roundings, assumptions)
    _compare_with_call(side, pool, how)
    return side


def graph_plain(graph: Graph, called: Called) -> dict[str, Plain]:
    return {"graph": graph.to_plain(), "input": list(called.shape)}


def _read_form(form: ConvForm, shape: Shape, pool: Pool, how: Settings) -> Side:
    full = (1,) * (4 - len(shape)) + shape
    if full[1] != form.in_channels or min(form.output_size(*full[2:])) < 1 or not _fits(form, full):
        right = full[1] == form.in_channels
        expected = "kernel and padding to fit" if right else f"{form.in_channels} channels, as the form has"
        do = "ask about a larger image" if right else "match them"
        raise refuse(
            how.who,
            f"an image with {expected}" if not right else f"an image for the {expected}",
            " x ".join(map(str, shape)),
            do,
        )
    ids = module.rows(form, pool.inputs().reshape(full), pool)
    called = Called(form.to_module(how.dtype), full, ids.shape)
    return Side(ids, {"form": form.to_plain(), "input": list(full)}, called, module.roundings(form))


def _fits(form: ConvForm, shape: Shape) -> bool:
    """Whether torch can pad an image of that size in the form's mode."""
    room = {"zeros": math.inf, "replicate": math.inf, "reflect": -1, "circular": 0}[form.padding_mode]
    return all(max(sides) <= n + room for sides, n in zip(transposed.halo(form), shape[2:], strict=True))


def _other_reading(called: Called, shape: Shape, how: Settings) -> tuple[Assumption, ...]:
    """Says so where an operation takes both batches and single images, and does different things with them."""
    if len(shape) != 3 or len(called.shape) != 4 or how.batched is not None:
        return ()
    image = torch.rand(called.shape, dtype=how.dtype, generator=torch.Generator().manual_seed(how.seed))
    try:
        alone, batch = run(called.call, image[0], how), run(called.call, image, how)[0]
    except InvalidInput:
        return ()
    if alone.ndim not in (2, 3) or (alone.shape == batch.shape and torch.allclose(alone, batch, rtol=1e-3, atol=1e-5)):
        return ()
    return (
        Assumption("the operation is meant for batches", "an image alone it treats otherwise: batched=False asks that"),
    )


def _as_batch(ids: np.ndarray) -> np.ndarray:
    return ids.reshape((1,) * (4 - ids.ndim) + ids.shape)


def float_values(ids: np.ndarray, pool: Pool, image: np.ndarray) -> np.ndarray:
    """The exact map at an image, in float64 arithmetic."""
    flat, base, pixels = ids.ravel(), ids.ravel() & pool.mask, image.ravel()
    functions = pool.functions(flat)
    total, order = pool.numbers.floats(pool.table.constant[functions]), np.argsort(functions, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(functions[order])) + 1):
        _, pixel, code = pool.entries(flat[places[:1]])
        weight, away = pool.numbers.floats(code), pixel - base[places[0]]
        for part in range(0, len(places), step := max(1, _PART // max(1, len(pixel)))):
            at = places[part : part + step]
            total[at] += pixels[base[at, None] + away] @ weight
    return total.reshape(ids.shape)


def slack(roundings: int, how: Settings) -> float:
    """How many times its bound a fast convolution may be off: 1000, but where roundings are many (positions on a long
    line) no more than makes 1/100 of a pixel, and at least 2 (heuristic)."""
    return min(1000.0, max(2.0, 0.01 / (roundings * how.unit_roundoff + 1e-30)))


def _compare_with_call(side: Side, pool: Pool, how: Settings) -> None:
    """A real call must agree with the graph within its rounding bound (`_agrees`). Raises `Unread`."""
    reach, offset = pool.losses(side.ids.ravel())
    image = _telling_image(side, reach, pool, how)
    first = run(side.called.call, image, how)
    if not torch.equal(first, run(side.called.call, image, how)):
        raise refuse(
            how.who, "the same output at every call", "two outputs for one image", "make the operation deterministic"
        )
    exact = float_values(side.ids, pool, image.double().numpy())
    n = side.roundings * (how.unit_roundoff + 2.0**-53)  # the exact map is summed up in float64 here
    bound = n / (1 - n) * (float(image.abs().max()) * reach + offset)
    wide = slack(side.roundings, how) if _convolves(side) else 1.0
    if not _agrees(lambda: run(side.called.call, image, how), exact, bound, wide):
        raise Unread("a real call gave another result than its graph, so the graph does not tell what it does")
    with put_back(side.called.call):  # or what it keeps would hold on to the history that gradients need
        for required in (False, True):
            call = partial(run_with_gradients, side.called.call, image, how, required=required)
            if not _agrees(call, exact, bound, wide):
                why = "a real call with gradients enabled gave another result than its graph, which was read without"
                raise Unread(why)


def _telling_image(side: Side, reach: np.ndarray, pool: Pool, how: Settings) -> torch.Tensor:
    """A random image, with the signs of one output's weights, so that what they are off by adds up there."""
    image = torch.rand(side.called.shape, dtype=how.dtype, generator=torch.Generator().manual_seed(how.seed + 1)) - 0.5
    _, pixel, code = pool.entries(side.ids.ravel()[[int(np.argmax(reach))]])
    pixels, signs = image.view(-1).numpy(), np.sign(pool.numbers.floats(code))
    pixels[pixel] = np.abs(pixels[pixel]) * signs
    return image


def _convolves(side: Side) -> bool:
    return any(node["op"] == "aten.convolution.default" for node in side.plain["graph"]["nodes"])


def _agrees(call: Callable[[], torch.Tensor | None], exact: np.ndarray, bound: np.ndarray, wide: float) -> bool:
    """Whether a call's result is within the bound. Winograd and FFT lose more than the bound of plain sums: where a
    convolution is further off, up to `wide` bounds, it must be within the bound by torch's own loops. No result says
    nothing."""
    found = call()
    if found is None or not _off(found, exact, bound):
        return True
    if wide == 1 or _off(found, exact, wide * bound):
        return False
    with _plain_loops():
        found = call()
    return found is None or not _off(found, exact, bound)


@contextmanager
def _plain_loops() -> Iterator[None]:
    """Convolutions by torch's own sums of products, in no library's way."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _off(found: torch.Tensor, exact: np.ndarray, bound: np.ndarray) -> bool:
    """Whether a result has another shape than the exact map, or is further from it than the bound. NaN is far."""
    made = _as_batch(found.double().numpy())
    return made.shape != exact.shape or not bool((np.abs(made - exact).ravel() <= bound + 1e-30).all())
