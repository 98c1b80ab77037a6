"""Forms put together: one after the other, and added.

After (zero padding p, strides s, kernels w; second layer v, q, t, without padding of its own or with stride and
kernel 1
before it, see below): Z = v * (w * X) has the kernel

    u[m,g,a] = sum_{l, a' + s d' c' = a}  v[m,l,c'] w[l,g,a'],     stride s t, padding p + s q

A second layer that pads its input pads with zeros, where the first layer's output would go on: the two differ at the
border unless the first layer is one pixel wide, adds no bias and pads nothing. `after` refuses the rest. Transposed
forms: `compose_transposed`.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.convolution import compose_transposed
from mathdnn.convolution.checked import exactly, require_form
from mathdnn.convolution.form import ConvForm
from mathdnn.errors import InvalidInput, is_whole, sentence

if TYPE_CHECKING:
    from mathdnn.convolution.form import Pair


def dense(form: ConvForm) -> np.ndarray:
    """The kernel of shape (out, in, height, width), without groups and dilation, as an array of fractions."""
    share, per = len(form.exact[0]), form.out_channels // form.groups
    (d, e), (kh, kw) = form.dilation, form.kernel_size
    weight = np.full((form.out_channels, form.in_channels, *form.extent), Fraction(0), dtype=object)
    for o in range(form.out_channels):
        first = o // per * share
        weight[o, first : first + share, ::d, ::e] = np.array(form.exact[o], dtype=object).reshape(share, kh, kw)
    return weight


def _refuse(who: str, expected: str, got: str) -> InvalidInput:
    return InvalidInput(
        sentence(who, expected, got, "fold what can be folded exactly, and keep the rest as two layers")
    )


def after(second: ConvForm, first: ConvForm) -> ConvForm:
    """The one form that equals `second` of `first`. Raises `InvalidInput` where no form does at the borders."""
    who = "after(second, first)"
    require_form(who, second, first)
    if second.in_channels != first.out_channels:
        raise _refuse(who, f"a second form for {first.out_channels} channels", f"one for {second.in_channels}")
    if first.transposed or second.transposed:
        return compose_transposed.after(second, first)
    plain = first.extent == (1, 1) and first.exact_bias is None and not any((*first.padding[0], *first.padding[1]))
    pads = any((*second.padding[0], *second.padding[1]))
    if pads and not (plain and first.stride == (1, 1)):
        raise _refuse(
            who, "a second form without padding, or a first of one pixel without bias and stride", "padding between"
        )
    w, v, (s, t) = dense(first), dense(second), first.stride
    height = w.shape[2] + s * (v.shape[2] - 1)
    width = w.shape[3] + t * (v.shape[3] - 1)
    weight = np.full((v.shape[0], w.shape[1], height, width), Fraction(0), dtype=object)
    for a, b in np.ndindex(v.shape[2:]):
        part = np.tensordot(v[:, :, a, b], w, axes=([1], [0]))
        weight[:, :, s * a : s * a + w.shape[2], t * b : t * b + w.shape[3]] += part
    bias = _bias_after(first, second, v)
    mode = second.padding_mode if pads else first.padding_mode
    padding = second.padding if pads else first.padding
    stride = (s * second.stride[0], t * second.stride[1])
    return ConvForm.of(weight, bias, stride=stride, padding=padding, padding_mode=mode)


def _bias_after(first: ConvForm, second: ConvForm, v: np.ndarray) -> list[Fraction] | None:
    if first.exact_bias is None and second.exact_bias is None:
        return None
    inner = np.array(first.exact_bias or [Fraction(0)] * first.out_channels, dtype=object)
    outer = second.exact_bias or (Fraction(0),) * second.out_channels
    return [Fraction(b) + sum(Fraction(x) for x in v[m].sum(axis=(1, 2)) * inner) for m, b in enumerate(outer)]


def padded(form: ConvForm, top: int, bottom: int, left: int, right: int, mode: str = "zeros") -> ConvForm:
    """The form after a padding of its input. Raises `InvalidInput` where the form pads in another mode already, or goes
    on round or by reflection from where the padding ends, and for sides that are no whole numbers from 0."""
    require_form("padded(form)", form)
    if any(not is_whole(side) or side < 0 for side in (top, bottom, left, right)):
        raise _refuse("padded(top, bottom, left, right)", "whole numbers from 0", f"{(top, bottom, left, right)}")
    if form.transposed:
        raise _refuse("padded(form)", "a convolution that is not transposed", "a transposed one")
    if any((*form.padding[0], *form.padding[1])) and (form.padding_mode != mode or mode in ("reflect", "circular")):
        raise _refuse("padded(form)", f"{mode} padding before a form without padding", f"{form.padding_mode} padding")
    (a, b), (c, d) = form.padding
    return replace(form, padding=((a + top, b + bottom), (c + left, d + right)), padding_mode=mode)


def added(a: ConvForm, b: ConvForm) -> ConvForm:
    """The form whose output is the sum of two: equal strides, channels and output sizes. Raises `InvalidInput`."""
    who = "added(a, b)"
    require_form(who, a, b)
    if a.transposed or b.transposed:
        return compose_transposed.added(a, b)
    modes = {f.padding_mode for f in (a, b) if any((*f.padding[0], *f.padding[1]))}
    if a.stride != b.stride or a.in_channels != b.in_channels or a.out_channels != b.out_channels or len(modes) > 1:
        raise _refuse(who, "forms with the same strides, channels and padding mode", f"{a} and {b}")
    if modes - {"zeros"} and a.padding != b.padding:
        raise _refuse(who, "the same padding on both", f"{a.padding} and {b.padding}")
    pads = tuple(_union(a, b, axis) for axis in (0, 1))
    if any(shift is None for shift in pads):
        raise _refuse(who, "outputs of one size", f"{a} and {b}")
    weight = _placed(a, pads) + _placed(b, pads)
    bias = None
    if a.exact_bias is not None or b.exact_bias is not None:
        zero = (Fraction(0),) * a.out_channels
        bias = [x + y for x, y in zip(a.exact_bias or zero, b.exact_bias or zero, strict=True)]
    padding = (pads[0], pads[1])
    return ConvForm.of(weight, bias, stride=a.stride, padding=padding, padding_mode=next(iter(modes), "zeros"))  # type: ignore[arg-type]


def _union(a: ConvForm, b: ConvForm, axis: int) -> Pair | None:
    """Padding that covers both windows, or None where the outputs have different sizes."""
    gain = {sum(form.padding[axis]) - form.extent[axis] for form in (a, b)}
    if len(gain) > 1:
        return None
    before = max(form.padding[axis][0] for form in (a, b))
    after_ = max(form.extent[axis] - form.padding[axis][0] for form in (a, b)) + before + gain.pop() - before
    return before, after_


def _placed(form: ConvForm, pads: tuple[Pair | None, ...]) -> np.ndarray:
    """The dense kernel inside the common window."""
    weight = dense(form)
    sides = []
    for axis in (0, 1):
        wanted = pads[axis]
        assert wanted is not None
        sides.append((wanted[0] - form.padding[axis][0], wanted[1] - form.padding[axis][1]))
    wide = np.full(
        (*weight.shape[:2], *(n + a + b for n, (a, b) in zip(weight.shape[2:], sides, strict=True))), Fraction(0)
    )
    (a, _), (b, _) = sides
    wide[:, :, a : a + weight.shape[2], b : b + weight.shape[3]] = weight
    return wide


def scaled(form: ConvForm, factor: Fraction | float) -> ConvForm:
    """The form with every weight and bias times a rational number; a float is the one that it stands for exactly.

    Raises `InvalidInput` for a factor that is none.
    """
    require_form("scaled(form)", form)
    exact_factor = exactly(factor, "scaled(factor)")

    def times(value: Fraction) -> Fraction:
        return value * exact_factor

    exact = tuple(tuple(tuple(tuple(map(times, row)) for row in plane) for plane in filters) for filters in form.exact)
    return replace(
        form, exact=exact, exact_bias=None if form.exact_bias is None else tuple(map(times, form.exact_bias))
    )
