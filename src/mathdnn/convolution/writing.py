"""A `ConvForm` as a person would write it, in text and in LaTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from mathdnn.convolution.form import ConvForm

_SHOWN = 256  # kernels with more weights than this are left out of the formula
_LONG = 600  # characters of weights or biases; what takes more is named by its size and its ends


_GOES_ON = {
    "zeros": "",
    "reflect": " of the image continued by reflection",
    "replicate": " of the image continued by its border pixels",
    "circular": " of the image continued round",
}


def _number(value: Fraction) -> str:
    """A short fraction as itself, a long one (a float's) as the decimal that reads back to it."""
    return str(value) if value.denominator < 10_000 else repr(float(value))


def _padding(form: ConvForm) -> str:
    (top, bottom), (left, right) = form.padding
    if top == bottom == left == right:
        sides = str(top)
    elif top == bottom and left == right:
        sides = f"({top}, {left})"
    else:
        sides = f"top {top}, bottom {bottom}, left {left}, right {right}"
    if form.transposed:
        return f"padding {sides}" + _GOES_ON[form.padding_mode]
    kind = "" if form.padding_mode == "zeros" or not any((top, bottom, left, right)) else f" {form.padding_mode}"
    return f"{kind} padding {sides}".strip()


def _layer(form: ConvForm) -> str:
    (kh, kw), (s, t), (d, e) = form.kernel_size, form.stride, form.dilation
    kind = "transposed convolution" if form.transposed else "convolution"
    words = [f"{kh}x{kw} {kind}, {form.in_channels} -> {form.out_channels} channels"]
    words.append(f"stride {s}" if s == t else f"stride ({s}, {t})")
    words.append(_padding(form))
    if any(form.output_padding):
        o, q = form.output_padding
        words.append(f"output padding {o}" if o == q else f"output padding ({o}, {q})")
    if (d, e) != (1, 1):
        words.append(f"dilation {d}" if d == e else f"dilation ({d}, {e})")
    if form.groups > 1:
        words.append(f"groups {form.groups}")
    words.append(
        "no bias"
        if form.exact_bias is None
        else _shown("bias", form.exact_bias, "[" + ", ".join(map(_number, form.exact_bias)) + "]")
    )
    return ", ".join(words)


def to_text(form: ConvForm) -> str:
    """The layer in one line, then its kernels as nested lists, or how many weights they are and from what to what."""
    flat = form.flat()
    if len(flat) > _LONG:
        return f"{_layer(form)}, {_range('weight', flat)}"
    text = ", ".join(
        "["
        + ", ".join(
            "[" + ", ".join("[" + ", ".join(map(_number, row)) + "]" for row in plane) + "]" for plane in filters
        )
        + "]"
        for filters in form.exact
    )
    return f"{_layer(form)}, {_shown('weight', flat, f'[{text}]')}"


def _shown(name: str, numbers: Sequence[Fraction], text: str) -> str:
    return f"{name} {text}" if len(text) <= _LONG else _range(name, numbers)


def _range(name: str, numbers: Sequence[Fraction]) -> str:
    return f"{name} of {len(numbers)} numbers from {float(min(numbers)):.4g} to {float(max(numbers)):.4g}"


def to_latex(form: ConvForm) -> str:
    """The formula of the layer, then one matrix for each kernel that is not zero."""
    (s, t), (d, e), (kh, kw) = form.stride, form.dilation, form.kernel_size
    (top, _), (left, _) = form.padding
    if form.transposed:
        return ",\n".join([_transposed_sum(form), *_kernels(form)])
    share, per_group = form.in_channels // form.groups, form.out_channels // form.groups
    row = _affine(s, "i", d, "a", -top)
    column = _affine(t, "j", e, "b", -left)
    bias = "" if form.exact_bias is None else "b_l + "
    channel = "g" if form.groups == 1 else rf"{share}\lfloor l/{per_group}\rfloor + g"
    lines = [
        (
            rf"Y_{{l,i,j}} = {bias}\sum_{{g=0}}^{{{share - 1}}}\sum_{{a=0}}^{{{kh - 1}}}\sum_{{b=0}}^{{{kw - 1}}} "
            rf"w^{{(l,g)}}_{{a,b}}\, X_{{{channel},\,{row},\,{column}}}"
        )
    ]
    return ",\n".join([*lines, *_kernels(form)])


def _kernels(form: ConvForm) -> list[str]:
    """One matrix for each kernel that is not zero, and the bias."""
    lines = []
    if len(form.flat()) <= _SHOWN:
        for place, filters in enumerate(form.exact):
            for group, plane in enumerate(filters):
                if any(value for line in plane for value in line):
                    body = r" \\ ".join(" & ".join(map(_number, line)) for line in plane)
                    lines.append(rf"w^{{({place},{group})}} = \begin{{pmatrix}} {body} \end{{pmatrix}}")
    if form.exact_bias is not None:
        lines.append("b = (" + ", ".join(map(_number, form.exact_bias)) + ")")
    return lines


def _transposed_sum(form: ConvForm) -> str:
    """The sum over all pixels whose kernel reaches the output."""
    (s, t), (d, e), (kh, kw) = form.stride, form.dilation, form.kernel_size
    (top, _), (left, _) = form.padding
    share, per = form.in_channels // form.groups, form.out_channels // form.groups
    own = "l" if form.groups == 1 else rf"l \bmod {per}"
    first = "0" if form.groups == 1 else rf"{share}\lfloor l/{per}\rfloor"
    last = f"{share - 1}" if form.groups == 1 else rf"{first}+{share - 1}"
    bias = "" if form.exact_bias is None else "b_l + "
    where = rf"i = {_affine(s, 'y', d, 'a', -top)},\, j = {_affine(t, 'x', e, 'b', -left)}"
    return (
        rf"Y_{{l,i,j}} = {bias}\sum_{{g={first}}}^{{{last}}}\sum_{{a=0}}^{{{kh - 1}}}\sum_{{b=0}}^{{{kw - 1}}}"
        rf"\sum_{{y,x:\, {where}}} w^{{(g,{own})}}_{{a,b}}\, X_{{g,y,x}}"
    )


def _affine(stride: int, place: str, dilation: int, tap: str, offset: int) -> str:
    first = place if stride == 1 else f"{stride}{place}"
    second = tap if dilation == 1 else f"{dilation}{tap}"
    return f"{first}+{second}" + (f"{offset:+d}" if offset else "")
