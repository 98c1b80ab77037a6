"""Rules of the linear operations: which rows with which exact weights make each element of the result.

Constants are taken in the dtype that torch computes in, so `0.299 * x` on a float32 image has the float32 nearest to
0.299 as its weight; a division by a whole number is a division by that number (an average over k^2 pixels has the
weight
1/k^2, the rational). A rule returns the ids of its result, or a sentence that says why it does not apply.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.convolution.graph import Graph, Node, references

if TYPE_CHECKING:
    from collections.abc import Callable

    from mathdnn.convolution.pool import Pool

Result = np.ndarray | str


class Context:
    """What a rule sees of its node: arguments by place or name, rows of the nodes before, exact constants."""

    def __init__(self, node: Node, values: list[Any], graph: Graph, pool: Pool) -> None:
        self.node, self.values, self.graph, self.pool = node, values, graph, pool
        self.roundings = 0  # of one element of the result, at most: one product and one sum for each term

    @property
    def shape(self) -> tuple[int, ...]:
        assert self.node.shape is not None
        return self.node.shape

    def inputs(self) -> list[np.ndarray]:
        places = references(self.node.args, "node") + references(list(self.node.kwargs.values()), "node")
        return [self.values[place] for place in places if isinstance(self.values[place], np.ndarray)]

    def argument(self, place: int, name: str = "", default: Any = None) -> Any:
        return self.node.args[place] if len(self.node.args) > place else self.node.kwargs.get(name, default)

    def rows(self, argument: Any) -> np.ndarray | None:
        """Ids where the argument depends on the image, else None."""
        if isinstance(argument, dict) and "node" in argument:
            value = self.values[argument["node"]]
            return value if isinstance(value, np.ndarray) else None
        return None

    def codes(self, argument: Any) -> np.ndarray | None:
        """Exact codes where the argument is a constant, in the dtype of the result; else None."""
        if isinstance(argument, (bool, int, float)):
            return self.pool.numbers.of_array(np.asarray(argument, dtype=self.node.dtype))
        if isinstance(argument, dict) and "constant" in argument:
            return self.pool.numbers.of_array(self.graph.constants[argument["constant"]].astype(self.node.dtype))
        ids = self.rows(argument)
        if ids is not None and self.pool.is_constant(ids):
            return np.asarray(self.pool.constant[ids])
        return None

    def any_rows(self, argument: Any) -> np.ndarray | None:
        """Ids of the argument, image or constant."""
        ids = self.rows(argument)
        if ids is not None:
            return ids
        codes = self.codes(argument)
        return None if codes is None else self.pool.constants(codes)

    def combine(self, ids: np.ndarray, codes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        self.roundings += ids.shape[1] + 1
        return self.pool.combine(ids, codes).reshape(shape)


def _scale(context: Context, ids: np.ndarray, codes: np.ndarray) -> np.ndarray:
    ids, codes = np.broadcast_arrays(ids, codes)
    return context.combine(ids.reshape(-1, 1), codes.reshape(-1, 1), ids.shape)


def _sum(sign: int) -> Callable[[Context], Result]:
    def rule(context: Context) -> Result:
        a, b = (context.any_rows(context.argument(place)) for place in (0, 1))
        if a is None or b is None:
            return "an argument is neither an image nor a constant"
        alpha = context.codes(context.argument(2, "alpha", 1))
        if alpha is None:
            return "alpha is not a constant"
        numbers = context.pool.numbers
        weights = np.stack([np.asarray(1, np.int32), numbers.multiply(alpha, numbers.codes([Fraction(sign)])[0])])
        pairs = np.stack(np.broadcast_arrays(a, b), axis=-1)
        return context.combine(pairs.reshape(-1, 2), weights[None], pairs.shape[:-1])

    return rule


def _negate(context: Context) -> Result:
    ids = context.rows(context.argument(0))
    assert ids is not None
    return _scale(context, ids, context.pool.numbers.codes([Fraction(-1)])[0])


def _product(context: Context) -> Result:
    for image, factor in ((0, 1), (1, 0)):
        ids, codes = context.any_rows(context.argument(image)), context.codes(context.argument(factor))
        if ids is not None and codes is not None:
            return _scale(context, ids, codes)
    return "it multiplies two values that both depend on the image"


def _quotient(context: Context) -> Result:
    if context.argument(2, "rounding_mode") is not None:
        return "it rounds the quotient to a whole number"
    ids, codes = context.rows(context.argument(0)), context.codes(context.argument(1))
    if ids is None or codes is None:
        return "it divides by a value that depends on the image"
    values = context.pool.numbers.values
    different, place = np.unique(codes, return_inverse=True)
    if any(values[code] == 0 for code in different):
        return "it divides by 0"
    inverse = context.pool.numbers.codes([1 / values[code] for code in different])
    return _scale(context, ids, inverse[place.reshape(codes.shape)])


def _reduce(mean: bool) -> Callable[[Context], Result]:
    def rule(context: Context) -> Result:
        ids = context.rows(context.argument(0))
        assert ids is not None
        axes = context.argument(1, "dim")
        axes = range(ids.ndim) if axes is None or axes == [] else [axis % ids.ndim for axis in axes]
        last = np.moveaxis(ids, list(axes), range(-len(axes), 0))
        terms = math.prod(last.shape[ids.ndim - len(axes) :])
        if terms == 0:
            return "it reduces over nothing"
        weight = context.pool.numbers.code(Fraction(1, terms if mean else 1))
        return context.combine(last.reshape(-1, terms), np.full((1, 1), weight, np.int32), context.shape)

    return rule


def _cumulative(context: Context) -> Result:
    ids = context.rows(context.argument(0))
    assert ids is not None
    lines = np.moveaxis(ids, context.argument(1), -1)
    n = lines.shape[-1]
    terms = np.where(np.tril(np.ones((n, n), bool)), lines[..., None, :], 0)
    made = context.combine(terms.reshape(-1, n), np.ones((1, 1), np.int32), lines.shape)
    return np.moveaxis(made, -1, context.argument(1))


def _matrix_product(context: Context) -> Result:
    """out[n,i,k] = sum_j a[n,i,j] b[n,j,k], one of a, b constant."""
    a, b = context.argument(0), context.argument(1)
    ids, codes = context.rows(a), context.codes(b)
    if ids is None or codes is None:
        ids, codes = context.rows(b), context.codes(a)
        if ids is None or codes is None:
            return "it multiplies two matrices that both depend on the image"
        ids, codes = np.swapaxes(ids, -1, -2), np.swapaxes(codes, -1, -2)
        swapped = True
    else:
        swapped = False
    shape = (*ids.shape[:-1], codes.shape[-1])
    left = np.broadcast_to(ids[..., :, None, :], (*shape, ids.shape[-1]))
    right = np.broadcast_to(np.swapaxes(codes, -1, -2)[..., None, :, :], left.shape)
    made = context.combine(left.reshape(-1, ids.shape[-1]), right.reshape(-1, ids.shape[-1]), shape)
    return np.swapaxes(made, -1, -2) if swapped else made


def _pad_or_crop(ids: np.ndarray, amounts: list[tuple[int, int]]) -> np.ndarray:
    """Rows of zeros around the trailing axes; a negative amount cuts."""
    lead = ids.ndim - len(amounts)
    ids = np.pad(ids, [(0, 0)] * lead + [(max(0, low), max(0, high)) for low, high in amounts])
    cuts: Any = tuple(
        slice(max(0, -low), size - max(0, -high)) for (low, high), size in zip(amounts, ids.shape[lead:], strict=True)
    )
    return ids[(..., *cuts)]


def _convolution(context: Context) -> Result:
    """Y[n,l,i] = b[l] + sum_{g,a} w[l,g,a] X[n,g, s i + d a - p], over any number of axes; transposed by its
    definition."""
    image, weight, bias, stride, padding, dilation, transposed, output_padding, groups = (
        context.argument(place) for place in range(9)
    )
    ids, w = context.rows(image), context.codes(weight)
    b = None if bias is None else context.codes(bias)
    if ids is None or w is None or (bias is not None and b is None):
        return "its weights depend on the image"
    axes = w.ndim - 2
    kernel = w.shape[2:]
    squeeze = ids.ndim == axes + 1
    ids = ids[None] if squeeze else ids
    full = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if transposed:
        w = _transposed_weight(w, groups)
        spread = np.zeros(
            (*ids.shape[:2], *((n - 1) * s + 1 for n, s in zip(ids.shape[2:], stride, strict=True))), np.int64
        )
        every: Any = (..., *(slice(None, None, s) for s in stride))
        spread[every] = ids
        amounts = [(f - p, f - p + o) for f, p, o in zip(full, padding, output_padding, strict=True)]
        ids, stride = spread, [1] * axes
    else:
        amounts = [(p, p) for p in padding]
    windows = np.lib.stride_tricks.sliding_window_view(
        _pad_or_crop(ids, amounts), [f + 1 for f in full], axis=tuple(range(2, 2 + axes))
    )
    windows = windows[
        (slice(None), slice(None), *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))
    ]  # (n, channel, *out, *kernel)
    return _correlate(context, windows, w, b, groups, axes).reshape(context.shape)


def _transposed_weight(w: np.ndarray, groups: int) -> np.ndarray:
    """(in, out / groups, *kernel) of a transposed convolution -> (out, in / groups, *kernel), flipped."""
    flipped = np.flip(w, axis=tuple(range(2, w.ndim)))
    split = flipped.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    return np.moveaxis(split, 2, 1).reshape(-1, w.shape[0] // groups, *w.shape[2:])


def _correlate(
    context: Context, windows: np.ndarray, w: np.ndarray, b: np.ndarray | None, groups: int, axes: int
) -> np.ndarray:
    samples, channels, out = windows.shape[0], windows.shape[1], windows.shape[2 : 2 + axes]
    share, made = channels // groups, []
    for channel in range(len(w)):
        group = channel // (len(w) // groups)
        part = np.moveaxis(windows[:, group * share : (group + 1) * share], 1, 1 + axes)
        codes = w[channel].reshape(1, -1)
        used = codes[0] != 0  # a weight 0 adds nothing over the reals
        terms = part.reshape(samples * math.prod(out), -1)[:, used]
        codes = codes[:, used]
        if b is not None:
            one = context.pool.constants(np.full((len(terms), 1), b[channel], np.int32))
            terms, codes = np.concatenate([terms, one], 1), np.concatenate([codes, np.ones((1, 1), np.int32)], 1)
        made.append(context.pool.combine(terms, codes).reshape(samples, *out))
    context.roundings = math.prod(w.shape[1:]) + (b is not None) + 1
    return np.stack(made, axis=1)


def _average_pool(context: Context) -> Result:
    """Windows k at stride s on padding p; the divisor as torch defines it (count_include_pad, divisor_override)."""
    ids = context.rows(context.argument(0))
    assert ids is not None
    kernel = context.argument(1)
    axes = 1 if context.node.op.startswith("aten.avg_pool1d") else 2
    kernel = list(kernel) * (axes if len(kernel) == 1 else 1)
    stride = context.argument(2, "stride", []) or kernel
    stride = list(stride) * (axes if len(stride) == 1 else 1)
    padding = list(context.argument(3, "padding", [0])) or [0]
    padding = padding * (axes if len(padding) == 1 else 1)
    include, override = context.argument(5, "count_include_pad", True), context.argument(6, "divisor_override")
    lines = []
    for axis in range(axes):
        size, k, s, p = ids.shape[axis - axes], kernel[axis], stride[axis], padding[axis]
        spans = [(i * s - p, min(i * s - p + k, size + p)) for i in range(context.shape[axis - axes])]
        lines.append([(max(0, low), min(high, size), high - low if include else None) for low, high in spans])
    return _windows(context, ids, lines, override)


def _adaptive_average_pool(context: Context) -> Result:
    ids = context.rows(context.argument(0))
    assert ids is not None
    out = context.argument(1)
    lines: list[list[tuple[int, int, int | None]]] = []
    for axis, wanted in enumerate(out):
        size = ids.shape[axis - len(out)]
        lines.append([(i * size // wanted, -((-(i + 1) * size) // wanted), None) for i in range(wanted)])
    return _windows(context, ids, lines, None)


def _windows(context: Context, ids: np.ndarray, lines: list[Any], override: int | None) -> Result:
    """Averages over boxes: for each axis a list of (from, to, divisor or None for the box's own width)."""
    numbers, lead, made = context.pool.numbers, ids.shape[: ids.ndim - len(lines)], []
    for box in itertools.product(*lines):
        inside: Any = (..., *(slice(low, high) for low, high, _ in box))
        part = ids[inside].reshape(math.prod(lead), -1)
        divisor = override or math.prod(high - low if count is None else count for low, high, count in box)
        made.append((part, numbers.code(Fraction(1, divisor))))
    widest = max(part.shape[1] for part, _ in made)
    terms = np.stack([np.pad(part, ((0, 0), (0, widest - part.shape[1]))) for part, _ in made], axis=1)
    codes = np.broadcast_to(np.array([code for _, code in made], np.int32)[None, :, None], terms.shape)
    return context.combine(terms.reshape(-1, widest), codes.reshape(-1, widest), context.shape)


def _bilinear(context: Context) -> Result:
    """Two neighbours along each axis, at a (in/out)(i + 1/2) - 1/2, or aligned at the corners."""
    ids = context.rows(context.argument(0))
    assert ids is not None
    out, align = context.argument(1), context.argument(2)
    scales = [context.argument(3 + axis, "") for axis in range(len(out))]
    for axis, (wanted, scale) in enumerate(zip(out, scales, strict=True)):
        place = ids.ndim - len(out) + axis
        lines = np.moveaxis(ids, place, -1)
        low, high, weight = _neighbours(lines.shape[-1], wanted, align, scale)
        pairs = np.stack([lines[..., low], lines[..., high]], axis=-1)
        codes = context.pool.numbers.codes([value for w in weight for value in (1 - w, w)]).reshape(-1, 2)
        codes = np.broadcast_to(codes, pairs.shape)
        made = context.combine(pairs.reshape(-1, 2), codes.reshape(-1, 2), pairs.shape[:-1])
        ids = np.moveaxis(made, -1, place)
    return ids


def _neighbours(
    size: int, wanted: int, align: bool, scale: float | None
) -> tuple[list[int], list[int], list[Fraction]]:
    low, weight = [], []
    for i in range(wanted):
        if align:
            at = Fraction(i * (size - 1), wanted - 1) if wanted > 1 else Fraction(0)
        else:
            ratio = 1 / Fraction(scale) if scale else Fraction(size, wanted)
            at = max(Fraction(0), ratio * (i + Fraction(1, 2)) - Fraction(1, 2))
        low.append(min(int(at), size - 1))
        weight.append(at - low[-1] if low[-1] < size - 1 else Fraction(0))
    return low, [min(place + 1, size - 1) for place in low], weight


def _cast(context: Context) -> Result:
    ids = context.rows(context.argument(0))
    return ids if ids is not None else "its argument is not an image"


LINEAR: dict[str, Callable[[Context], Result]] = {
    "aten.add.Tensor": _sum(1),
    "aten.add.Scalar": _sum(1),
    "aten.sub.Tensor": _sum(-1),
    "aten.sub.Scalar": _sum(-1),
    "aten.neg.default": _negate,
    "aten.mul.Tensor": _product,
    "aten.mul.Scalar": _product,
    "aten.div.Tensor": _quotient,
    "aten.div.Scalar": _quotient,
    "aten.div.Tensor_mode": _quotient,
    "aten.sum.default": _reduce(False),
    "aten.sum.dim_IntList": _reduce(False),
    "aten.mean.default": _reduce(True),
    "aten.mean.dim": _reduce(True),
    "aten.cumsum.default": _cumulative,
    "aten.mm.default": _matrix_product,
    "aten.bmm.default": _matrix_product,
    "aten.convolution.default": _convolution,
    "aten.avg_pool1d.default": _average_pool,
    "aten.avg_pool2d.default": _average_pool,
    "aten._adaptive_avg_pool2d.default": _adaptive_average_pool,
    "aten.adaptive_avg_pool1d.default": _adaptive_average_pool,
    "aten.upsample_linear1d.default": _bilinear,
    "aten.upsample_bilinear2d.default": _bilinear,
    "aten._to_copy.default": _cast,
}
