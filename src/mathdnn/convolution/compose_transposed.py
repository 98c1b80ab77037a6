"""Transposed forms put together.

One after the other, with strides s then t and kernels w then v, both on zeros: the first puts w down at s y, the second
v at t (s y + a), so together u[g,m, t a + c] = sum_l w[g,l,a] v[l,m,c] at stride s t. That is exact where the first
cuts nothing off, adds no rows and no bias; a mix of channels, one pixel wide, may come before (without bias) or after.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mathdnn.convolution.form import ConvForm
from mathdnn.errors import InvalidInput, sentence


def _refuse(who: str, expected: str, got: str) -> InvalidInput:
    return InvalidInput(
        sentence(who, expected, got, "fold what can be folded exactly, and keep the rest as two layers")
    )


def is_mix(form: ConvForm) -> bool:
    """Whether it only mixes the channels of each pixel."""
    padded = any((*form.padding[0], *form.padding[1], *form.output_padding))
    return form.extent == (1, 1) and form.stride == (1, 1) and not padded


def dense(form: ConvForm) -> np.ndarray:
    """The kernel of shape (in, out, height, width), without groups and dilation; a mix of channels as one too."""
    height, width = form.extent
    weight = np.full((form.in_channels, form.out_channels, height, width), Fraction(0), dtype=object)
    own = np.array(form.exact, dtype=object).reshape(len(form.exact), -1, *form.kernel_size)
    each = len(form.exact) // form.groups
    for place, kernels in enumerate(own):
        first = place // each * own.shape[1]
        at = (
            (place, slice(first, first + own.shape[1]))
            if form.transposed
            else (slice(first, first + own.shape[1]), place)
        )
        weight[at][:, :: form.dilation[0], :: form.dilation[1]] = kernels
    return weight


def after(second: ConvForm, first: ConvForm) -> ConvForm:
    """The one form that equals `second` of `first`, one of them transposed. Raises `InvalidInput` where none does."""
    who = "after(second, first)"
    if not all(form.transposed or is_mix(form) for form in (first, second)):
        raise _refuse(who, "two transposed forms, or one and a mix of channels", "a convolution and a transposed one")
    outer, inner = (second, first) if is_mix(first) else (first, second)
    if not is_mix(inner):
        whole = not any((*first.padding[0], *first.padding[1], *first.output_padding))
        if not whole or {first.padding_mode, second.padding_mode} != {"zeros"}:
            raise _refuse(who, "a first form that cuts nothing off, and zeros around both", "padding between")
        outer = second
    if first.exact_bias is not None and not is_mix(second):
        raise _refuse(who, "a first form without bias", "a bias, which the second spreads unevenly at the borders")
    w, v, (s, t) = dense(first), dense(second), second.stride
    size = [k * (n - 1) + m for k, n, m in zip((s, t), w.shape[2:], v.shape[2:], strict=True)]
    weight = np.full((w.shape[0], v.shape[1], *size), Fraction(0), dtype=object)
    for a, b in np.ndindex(w.shape[2:]):
        part = np.tensordot(w[:, :, a, b], v, axes=([1], [0]))
        weight[:, :, s * a : s * a + v.shape[2], t * b : t * b + v.shape[3]] += part
    return ConvForm.of(
        weight,
        _bias(first, second, v),
        stride=(first.stride[0] * s, first.stride[1] * t),
        padding=outer.padding,
        padding_mode=outer.padding_mode,
        transposed=True,
        output_padding=outer.output_padding,
    )


def _bias(first: ConvForm, second: ConvForm, v: np.ndarray) -> list[Fraction] | None:
    if first.exact_bias is None:
        return None if second.exact_bias is None else list(second.exact_bias)
    mixed = np.array(first.exact_bias, dtype=object) @ v[:, :, 0, 0]
    return [b + more for b, more in zip(second.exact_bias or (Fraction(0),) * len(mixed), mixed, strict=True)]


def added(a: ConvForm, b: ConvForm) -> ConvForm:
    """The sum of two transposed forms that differ in weights and bias only. Raises `InvalidInput`."""

    def layout(form: ConvForm) -> tuple[object, ...]:
        return (form.transposed, form.stride, form.padding, form.padding_mode, form.output_padding, form.extent,
                form.in_channels, form.out_channels)  # fmt: skip

    if layout(a) != layout(b):
        raise _refuse("added(a, b)", "transposed forms that differ in weights and bias only", f"{a} and {b}")
    bias = None
    if a.exact_bias is not None or b.exact_bias is not None:
        zero = (Fraction(0),) * a.out_channels
        bias = [x + y for x, y in zip(a.exact_bias or zero, b.exact_bias or zero, strict=True)]
    return ConvForm.of(
        dense(a) + dense(b),
        bias,
        stride=a.stride,
        padding=a.padding,
        padding_mode=a.padding_mode,
        transposed=True,
        output_padding=a.output_padding,
    )
