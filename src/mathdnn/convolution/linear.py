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

from mathdnn.convolution import resampling
from mathdnn.convolution.context import Context, Result
from mathdnn.convolution.windows import (
    adaptive_average_pool,
    average_pool,
    convolution,
    maximum_of_one,
    unpool,
)


def _sum(sign: int) -> Callable[[Context], Result]:
    def rule(context: Context) -> Result:
        a, b = (context.any_rows(context.argument(place)) for place in (0, 1))
        if a is None or b is None:
            return "an argument is neither an image nor a constant"
        alpha = context.codes(context.argument(2, "alpha", 1))
        if alpha is None:
            return "alpha is not a constant"
        numbers = context.pool.numbers
        weight = numbers.multiply(alpha, numbers.codes([Fraction(sign)])[0])
        return context.combine(np.broadcast_arrays(a, b), [1, int(weight)])

    return rule


def _negate(context: Context) -> Result:
    ids = context.rows(context.argument(0))
    assert ids is not None
    return context.scale(ids, context.pool.numbers.codes([Fraction(-1)])[0])


def _product(context: Context) -> Result:
    for image, factor in ((0, 1), (1, 0)):
        ids, codes = context.any_rows(context.argument(image)), context.codes(context.argument(factor))
        if ids is not None and codes is not None:
            return context.scale(ids, codes)
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
    return context.scale(ids, inverse[place.reshape(codes.shape)])


def _reduce(mean: bool) -> Callable[[Context], Result]:
    def rule(context: Context) -> Result:
        ids = context.rows(context.argument(0))
        assert ids is not None
        axes = context.argument(1, "dim")
        axes = range(ids.ndim) if axes is None or axes == [] else [axis % ids.ndim for axis in axes]
        first = np.moveaxis(ids, list(axes), range(len(axes)))
        terms, rest = math.prod(first.shape[: len(axes)]), first.shape[len(axes) :]
        if terms == 0:
            return "it reduces over nothing"
        weight = context.pool.numbers.code(Fraction(1, terms if mean else 1))
        return context.combine(first.reshape(terms, *rest), [weight]).reshape(context.shape)

    return rule


def _cumulative(context: Context) -> Result:
    ids = context.rows(context.argument(0))
    assert ids is not None
    lines = list(np.moveaxis(ids, context.argument(1), 0))
    sums = lines[:1]
    for line in lines[1:]:
        sums.append(context.combine([sums[-1], line], [1]))
    context.roundings = len(lines) + 1
    return np.moveaxis(np.stack(sums), 0, context.argument(1))


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
    made = _product_of(context, ids, codes)
    context.roundings = ids.shape[-1] + 1
    return np.swapaxes(made, -1, -2) if swapped else made


def _product_of(context: Context, ids: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(.., i, j) ids times (.., j, k) numbers: one list of weights for each k, one product for each of a batch."""
    if codes.ndim > 2:
        pairs = zip(np.broadcast_to(ids, (len(codes), *ids.shape[1:])), codes, strict=True)
        return np.stack([_product_of(context, a, b) for a, b in pairs])
    return np.moveaxis(context.pool.combine(np.moveaxis(ids, -1, 0), codes.T), 0, -1)


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
    "aten.max_pool2d_with_indices.default": maximum_of_one,
    "aten.max_unpool2d.default": unpool,
    "aten._adaptive_avg_pool2d.default": adaptive_average_pool,
    "aten.adaptive_avg_pool1d.default": adaptive_average_pool,
    "aten.upsample_linear1d.default": resampling.linear,
    "aten.upsample_bilinear2d.default": resampling.linear,
    "aten.upsample_bicubic2d.default": resampling.cubic,
    "aten._upsample_bilinear2d_aa.default": resampling.antialiased_linear,
    "aten._upsample_bicubic2d_aa.default": resampling.antialiased_cubic,
    "aten._to_copy.default": _cast,
}
