"""Rules of the linear operations: which rows with which exact weights make each element of the result.

Constants are taken in the dtype that torch computes in, so `0.299 * x` on a float32 image has the float32 nearest to
0.299 as its weight; a division by a whole number is a division by that number (an average over k^2 pixels has the
weight
1/k^2, the rational). A rule returns the ids of its result, or a sentence that says why it does not apply.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from mathdnn.convolution.context import Context, Result
from mathdnn.convolution.windows import adaptive_average_pool, average_pool, bilinear, convolution


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
    "aten.convolution.default": convolution,
    "aten.avg_pool1d.default": average_pool,
    "aten.avg_pool2d.default": average_pool,
    "aten._adaptive_avg_pool2d.default": adaptive_average_pool,
    "aten.adaptive_avg_pool1d.default": adaptive_average_pool,
    "aten.upsample_linear1d.default": bilinear,
    "aten.upsample_bilinear2d.default": bilinear,
    "aten._to_copy.default": _cast,
}
