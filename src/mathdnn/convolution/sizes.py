"""From one size to all: the argument that an operation is one convolution on every image from some size on.

The graph with open sizes (`symbolic`) and the form are both stationary (`stationary`) along every class of sizes, one
class for each remainder of height and width modulo the period; the guards hold on the whole class; and at the class's
start
both have the same exact rows. Where one of these is not shown there is no statement about other sizes, and `Unclear`
says why.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.convolution import module
from mathdnn.convolution.compare import first_difference
from mathdnn.convolution.evaluate import NotAffine, evaluate
from mathdnn.convolution.growing import Class, Unclear, divisors
from mathdnn.convolution.kept import put_back
from mathdnn.convolution.limit import OutOfTime, limited
from mathdnn.convolution.pool import Pool, TooLarge
from mathdnn.convolution.reading import ChangesInput, RandomOperation
from mathdnn.convolution.side import Called, Settings, _as_batch, run
from mathdnn.convolution.stationary import Larger, Longer, Value
from mathdnn.convolution.stationary.rules import RULES as MOVING_RULES
from mathdnn.convolution.stationary.walk import Walk
from mathdnn.convolution.stationary.windows import RULES as WINDOW_RULES
from mathdnn.convolution.symbolic import SymbolicGraph, trace_sizes
from mathdnn.convolution.trace import trace
from mathdnn.convolution.watched import NotTraced
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Assumption

if TYPE_CHECKING:
    from mathdnn.convolution.form import ConvForm
    from mathdnn.verdict import Plain

_PERIODS = 8  # the longest period of sizes followed: 64 classes
_ROUNDS = 200  # of a search in which a class's start only grows
_LARGEST = 512  # rows or columns of a class's start
_WORK = 20_000_000  # coefficients multiplied out for all classes together: some ten seconds

RULES = {**MOVING_RULES, **WINDOW_RULES}

AS_NUMBERS = Assumption(
    "the operation's code looks at the image's size as a number only", "real calls at other sizes agreed with the form"
)


@dataclass(frozen=True)
class Sizes:
    """Where the form holds: heights and widths from `least` on, with these remainders modulo `period`, up to `most`."""

    least: tuple[int, int]
    period: tuple[int, int]
    remainders: tuple[tuple[int, ...], tuple[int, ...]]
    most: int | None
    plain: dict[str, Plain]

    def words(self) -> str:
        parts = []
        for name, least, period, rest in zip(
            ("height", "width"), self.least, self.period, self.remainders, strict=True
        ):
            which = "" if len(rest) == period else f" with remainder {rest[0]} modulo {period}"
            parts.append(f"every {name} of at least {least}{which}")
        upper = "" if self.most is None else f", up to {self.most}"
        return f"{parts[0]} and {parts[1]}{upper}"


def all_sizes(called: Called, form: ConvForm, how: Settings, room: float) -> Sizes:
    """The sizes on which the operation is the form. Raises `Unclear`.

    room: what float results of real calls may differ by, for pixels up to 1.
    """
    try:
        with put_back(called.call):  # here, too, as a reading that is stopped may not come to it
            graph = limited(lambda: trace_sizes(called.call, called.shape, how.dtype), how.seconds)
        found = _over_classes(graph, form, called.shape)
        if graph.shared:  # what lies apart on the example and on the smallest image may not lie apart between them
            trace(called.call, (*called.shape[:-2], *found.least), how.dtype)
    except (Unclear, NotTraced, ChangesInput, RandomOperation, NotAffine, TooLarge, OutOfTime) as error:
        raise Unclear(str(error) or type(error).__name__) from None
    except Exception as error:  # whatever goes wrong with symbols only leaves other sizes open
        raise Unclear(f"the graph with open sizes holds what no rule covers ({error})"[:300]) from None
    _try_real_calls(found, called, form, how, room)
    return found


def _over_classes(graph: SymbolicGraph, form: ConvForm, shape: tuple[int, ...]) -> Sizes:
    period = _first_period(graph)
    while True:
        try:
            return _with_period(graph, form, shape, period)
        except Longer as error:
            grown = list(period)
            grown[error.axis] *= error.factor
            if grown[error.axis] > _PERIODS:
                raise Unclear(f"its strides repeat only every {grown[error.axis]} pixels") from None
            period = (grown[0], grown[1])


def _first_period(graph: SymbolicGraph) -> tuple[int, int]:
    """A period that every division of sizes divides."""
    plain: list[Any] = list(graph.guards)
    for node in graph.graph.nodes:
        plain += [part["size"] for part in _sizes_in([node.args, list(node.kwargs.values()), list(node.shape or ())])]
    both = math.lcm(1, *(abs(d) or 1 for expression in plain for d in divisors(expression)))
    if both > _PERIODS:
        raise Unclear(f"its sizes repeat only every {both} pixels")
    return both, both


def _sizes_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value] if "size" in value else []
    return [found for part in value for found in _sizes_in(part)] if isinstance(value, (list, tuple)) else []


def _with_period(graph: SymbolicGraph, form: ConvForm, shape: tuple[int, ...], period: tuple[int, int]) -> Sizes:
    starts: dict[tuple[int, int], tuple[int, int]] = {}
    mosts: list[int | None] = []
    own = (shape[-2] % period[0], shape[-1] % period[1])
    why: Unclear | None = None
    for rest in itertools.product(range(period[0]), range(period[1])):
        try:
            starts[rest], most = _start(graph, form, shape, period, rest)
            mosts.append(most)
        except Unclear as error:
            if rest == own:
                raise
            why = error
    if why is not None or _work(starts, shape, form) > _WORK:
        starts = {own: starts[own]}
    if _work(starts, shape, form) > _WORK:
        raise Unclear("multiplying it out at other sizes would take too long")
    for start in starts.values():
        _same_rows(graph, form, shape, start)
    firsts = [max(start[axis] for start in starts.values()) for axis in (0, 1)]
    every = len(starts) > 1 or period == (1, 1)
    least = [firsts[axis] - (period[axis] - 1 if every else 0) for axis in (0, 1)]
    rests = [tuple(range(period[axis])) if every else (own[axis],) for axis in (0, 1)]
    most = min((most for most in mosts if most is not None), default=None)
    if most is not None and most < max(least):
        raise Unclear("torch rounds where it looks for the nearest pixel of a larger image")
    plain = {
        "graph": graph.to_plain(), "period": list(period), "least": least, "remainders": [list(r) for r in rests],
        "most": most,
    }  # fmt: skip
    return Sizes((least[0], least[1]), period, (rests[0], rests[1]), most, plain)


def _work(starts: dict[Any, tuple[int, int]], shape: tuple[int, ...], form: ConvForm) -> int:
    return sum(math.prod(shape[:-3]) * h * w * len(form.flat()) for h, w in starts.values())


def _start(
    graph: SymbolicGraph, form: ConvForm, shape: tuple[int, ...], period: tuple[int, int], rest: tuple[int, int]
) -> tuple[tuple[int, int], int | None]:
    """The first size of a class from which on the argument holds, and up to which size. Raises `Unclear`, `Longer`."""
    start = [
        rest[axis] + period[axis] * (1 if rest[axis] + period[axis] > 1 else 2) for axis in (0, 1)
    ]  # symbols are > 1
    for _ in range(_ROUNDS):
        sizes = Class((start[0], start[1]), period)
        try:
            walk = Walk(graph.graph, sizes, RULES)
            walk.compare(_batched(walk.run()), form_value(form, shape, sizes))
            broken = _broken(graph, sizes)
            if not broken:
                return (start[0], start[1]), walk.most
            for axis in broken:
                start[axis] += period[axis]
        except Larger as error:
            start[error.axis] += -(-error.pixels // period[error.axis]) * period[error.axis]
        if max(start) > _LARGEST:
            break
    raise Unclear("its reach is too wide, or its code asks about large sizes")


def _broken(graph: SymbolicGraph, sizes: Class) -> list[int]:
    """The axes along which to start later, as a guard is not shown to hold from here on."""
    later: set[int] = set()
    far = Class((sizes.start[0] + 10**6 * sizes.period[0], sizes.start[1] + 10**6 * sizes.period[1]), sizes.period)
    for guard in graph.guards:
        if not sizes.holds(guard):
            if not far.holds(guard):
                raise Unclear("its code asks about the image's size, and does something else on other sizes")
            later |= {axis for axis in (0, 1) if "HW"[axis] in str(guard)}
    return sorted(later)


def _batched(value: Value) -> Value:
    return Value(((),) * (4 - len(value.dims)) + value.dims, value.along)


def form_value(form: ConvForm, shape: tuple[int, ...], sizes: Class) -> Value:
    """The form as a stationary map: its pads, then its windows."""
    graph = module.as_graph(form, (1,) * (4 - len(shape)) + tuple(shape))
    return Walk(graph, sizes, RULES).run()


def _same_rows(graph: SymbolicGraph, form: ConvForm, shape: tuple[int, ...], start: tuple[int, int]) -> None:
    """Raises `Unclear` unless operation and form have the same exact rows at a size."""
    full = (*(1,) * (4 - len(shape)), *shape[:-2], *start)
    pool = Pool(int(np.prod(full)))
    ids, _ = evaluate(graph.at(*start), pool)
    made = module.rows(form, pool.inputs().reshape(full), pool)
    if first_difference(made, _as_batch(ids), pool) is not None:
        raise Unclear(f"on {start[0]} x {start[1]} images it is another map")


def _try_real_calls(sizes: Sizes, called: Called, form: ConvForm, how: Settings, room: float) -> None:
    """Real calls at sizes near and far: they show code that the graph does not. Raises `Unclear`."""
    layer = form.to_module(torch.float64)
    h, w = sizes.least
    p, q = sizes.period
    tries = [(h, w), (h + p, w + 3 * q), (h + 13 * p, w), (called.shape[-2] + 5 * p, w + 7 * q)]
    for height, width in tries:
        if any(n < least for n, least in zip((height, width), sizes.least, strict=True)):
            continue
        if any(n % k not in r for n, k, r in zip((height, width), sizes.period, sizes.remainders, strict=True)):
            continue
        shape = (*called.shape[:-2], height, width)
        image = torch.rand(shape, dtype=how.dtype, generator=torch.Generator().manual_seed(height)) - 0.5
        try:
            found = run(called.call, image, how).double()
        except InvalidInput as error:
            raise Unclear(f"it does not run on {height} x {width} images ({error})") from None
        wanted = layer(image.double().reshape((1,) * (4 - image.ndim) + tuple(image.shape)))
        if wanted.numel() != found.numel():
            raise Unclear(f"on {height} x {width} images a real call gave another size")
        if float((found.reshape(wanted.shape) - wanted).abs().max()) > room + 1e-30:
            raise Unclear(f"on {height} x {width} images a real call gave another result")
