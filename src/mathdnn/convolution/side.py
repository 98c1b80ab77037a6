"""One side of a comparison: an operation or a form, as exact rows of a pool, with what it takes to check it again.

Shapes: an operation takes images (C, H, W) or batches (N, C, H, W); a plane (H, W) counts as one channel. For an input
shape of three numbers it is called with a batch of one, and where it does not take that, with the image itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.convolution import module, transposed
from mathdnn.convolution.evaluate import NotAffine, evaluate
from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.limit import OutOfTime, limited
from mathdnn.convolution.pool import Pool, TooLarge
from mathdnn.convolution.trace import ChangesInput, NotTraced, RandomOperation, trace
from mathdnn.errors import InvalidInput, sentence
from mathdnn.verdict import Assumption, Plain

if TYPE_CHECKING:
    from jaxtyping import Int64

    from mathdnn.convolution.graph import Graph

Operation = Callable[[Any], Any]
Shape = tuple[int, ...]

_PIXELS = 1 << 26  # an image of 67 million values: more than any layer sees, less than 1 GB
_PART = 1 << 20  # coefficients at once
_UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}

SAME_CODE = Assumption(
    "the operation does on every call what it did when it was traced", "a real call agreed with its graph"
)


class Unread(Exception):
    """An operation whose exact map could not be read: `why`, the ATen operation to blame, the graph, if there are."""

    def __init__(self, why: str, op: str | None = None, graph: dict[str, Plain] | None = None) -> None:
        super().__init__(why)
        self.why, self.op, self.graph = why, op, graph


@dataclass(frozen=True)
class Settings:
    """How operations are called: `who` asks (for messages), dtype, batches or single images, and the limits."""

    who: str
    dtype: torch.dtype = torch.float32
    batched: bool | None = None
    seconds: float = 60.0
    seed: int = 0

    @property
    def unit_roundoff(self) -> float:
        return _UNIT[str(self.dtype).removeprefix("torch.")]


@dataclass(frozen=True)
class Called:
    """An operation with the shape it is called with: `call` takes that shape; `output` is the shape it gave."""

    call: Operation
    shape: Shape
    output: Shape


@dataclass(frozen=True)
class Side:
    """Exact rows (n, o, i, j) of an operation, and its plain data for a certificate."""

    ids: Int64[np.ndarray, "n o i j"]
    plain: dict[str, Plain]
    called: Called
    roundings: int
    assumptions: tuple[Assumption, ...] = ()


def refuse(who: str, expected: str, got: str, do: str) -> InvalidInput:
    return InvalidInput(sentence(who, expected, got, do))


def require_shape(who: str, shape: Any) -> Shape:
    """The shape as a tuple of 2, 3 or 4 positive whole numbers. Raises `InvalidInput`."""
    made = tuple(shape) if isinstance(shape, (tuple, list, torch.Size)) else ()
    if not 2 <= len(made) <= 4 or any(type(size) is not int or size < 1 for size in made):
        raise refuse(
            f"{who}(input_shape=...)",
            "(H, W), (C, H, W) or (N, C, H, W) with positive whole numbers",
            f"{shape!r:.60}",
            "give the shape of one image",
        )
    if math.prod(made) > _PIXELS:
        raise refuse(
            f"{who}(input_shape=...)",
            f"at most {_PIXELS} values",
            f"{' x '.join(map(str, made))} = {math.prod(made)}",
            "ask about a smaller image: the same kernel shows on it",
        )
    return made


def settings(who: str, dtype: torch.dtype | str | None, batched: bool | None, seconds: float) -> Settings:
    """Checked settings. Raises `InvalidInput` for a dtype other than float32 and float64."""
    made = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype or torch.float32
    if made not in (torch.float32, torch.float64):
        raise refuse(f"{who}(dtype=...)", "torch.float32 or torch.float64", f"{dtype!r:.60}", "ask in one of these")
    return Settings(who, made, batched, seconds)


def read(operation: Any, shape: Shape, pool: Pool, how: Settings) -> Side:
    """The exact map of an operation or a form. Raises `InvalidInput` for misuse, `Unread` where it is not shown
    affine."""
    if isinstance(operation, ConvForm):
        return _read_form(operation, shape, pool, how)
    called = find_call(operation, shape, how)
    try:
        graph = limited(lambda: trace(called.call, called.shape, how.dtype), how.seconds)
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
        raise _too_slow(how) from None
    except TooLarge as error:
        raise refuse(how.who, "a map that fits in memory", str(error), "ask about a smaller image") from None
    except NotTraced as error:
        raise Unread(f"its graph could not be read, because {error}") from None
    except NotAffine as error:
        seen = graph_plain(graph, called)
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
        raise refuse(
            how.who,
            f"an image that the form takes ({form.in_channels} channels)",
            " x ".join(map(str, shape)),
            "match them",
        )
    ids = module.rows(form, pool.inputs().reshape(full), pool)
    called = Called(form.to_module(how.dtype), full, ids.shape)
    return Side(ids, {"form": form.to_plain(), "input": list(full)}, called, module.roundings(form))


def _fits(form: ConvForm, shape: Shape) -> bool:
    """Whether torch can pad an image of that size in the form's mode."""
    room = {"zeros": math.inf, "replicate": math.inf, "reflect": -1, "circular": 0}[form.padding_mode]
    return all(max(sides) <= n + room for sides, n in zip(transposed.halo(form), shape[2:], strict=True))


def find_call(operation: Any, shape: Shape, how: Settings) -> Called:
    """Whether the operation takes the image in a batch or alone, found by calling it. Raises `InvalidInput`."""
    if not callable(operation):
        given = f"a {type(operation).__name__}"
        raise refuse(how.who, "a callable or an nn.Module", given, "give the operation itself")
    shapes = [shape]
    if len(shape) == 3:
        shapes = [s for s, batch in (((1, *shape), True), (shape, False)) if how.batched in (None, batch)]
    failure: InvalidInput | None = None
    for candidate in shapes:
        try:
            return Called(operation, candidate, call_once(operation, candidate, how))
        except InvalidInput as error:
            failure = failure or error
    assert failure is not None
    raise failure


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


def call_once(operation: Operation, shape: Shape, how: Settings) -> Shape:
    """The output's shape for a random image, after the checks that every operation has to pass."""
    image = torch.rand(shape, dtype=how.dtype, generator=torch.Generator().manual_seed(how.seed))
    output = run(operation, image, how)
    size = "x".join(map(str, shape))
    ranks = (2, 3) if len(shape) < 4 else (4,)
    if output.ndim not in ranks or output.numel() == 0 or (output.ndim == 4 and output.shape[0] != shape[0]):
        raise refuse(
            how.who,
            "an image for an image, and a batch for a batch of the same length",
            f"shape {tuple(output.shape)} for {size}",
            "return (C, H, W) or (N, C, H, W)",
        )
    return tuple(output.shape)


def run(operation: Operation, image: torch.Tensor, how: Settings) -> torch.Tensor:
    """One call within the time limit; its result as a checked tensor. Raises `InvalidInput`."""
    given = image.clone()

    def call() -> Any:
        with torch.no_grad():
            return operation(given)

    try:
        output = limited(call, how.seconds)
    except OutOfTime:
        raise _too_slow(how) from None
    except (MemoryError, Exception) as error:
        text = (str(error).strip().splitlines() or ["no message"])[0]
        raise refuse(
            how.who,
            f"an operation that runs on a {how.dtype} image of shape {tuple(image.shape)}",
            f"{type(error).__name__}: {text[:200]}",
            "check the operation and the shape",
        ) from None
    if not isinstance(output, torch.Tensor):
        what, do = f"a {type(output).__name__}", "return one image, or say opaque=True for NumPy"
        raise refuse(how.who, "a tensor back", what, do)
    if output.device.type != "cpu":
        raise refuse(how.who, "a result on the cpu", f"one on {output.device}", "move the operation to the cpu")
    if output.dtype != image.dtype:
        raise refuse(
            how.who,
            f"the image's own dtype {image.dtype} back",
            f"{output.dtype}",
            "convert the result, or ask in that dtype",
        )
    if not torch.equal(given, image):
        expected, got = "an operation that leaves its input alone", "one that writes into it"
        raise refuse(how.who, expected, got, "let it work on a copy")
    if not bool(torch.isfinite(output).all()):
        raise refuse(how.who, "finite numbers for finite pixels", "NaN or infinity", "keep the operation finite")
    return output.detach()


def _too_slow(how: Settings) -> InvalidInput:
    expected, do = f"an operation that ends within {how.seconds:g} seconds", "give seconds=... more, or a smaller image"
    return refuse(how.who, expected, "one that had not", do)


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


def _compare_with_call(side: Side, pool: Pool, how: Settings) -> None:
    """A real call must agree with the graph within 1000 times its rounding bound (Winograd and FFT lose more than the
    bound of plain sums; a wrong graph is off by the size of a pixel). Raises `Unread`."""
    image = torch.rand(side.called.shape, dtype=how.dtype, generator=torch.Generator().manual_seed(how.seed + 1)) - 0.5
    first = run(side.called.call, image, how)
    if not torch.equal(first, run(side.called.call, image, how)):
        raise refuse(
            how.who, "the same output at every call", "two outputs for one image", "make the operation deterministic"
        )
    exact = float_values(side.ids, pool, image.double().numpy())
    reach, offset = pool.losses(side.ids.ravel())
    bound = 1000 * side.roundings * how.unit_roundoff * (reach + offset) + 1e-30
    if (np.abs(_as_batch(first.double().numpy()) - exact).ravel() > bound).any():
        raise Unread("a real call gave another result than its graph, so the graph does not tell what it does")
