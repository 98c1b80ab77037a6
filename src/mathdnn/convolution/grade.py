"""Grading: a kernel handed in, against what it should compute.

Right, with a certificate; or wrong, with the smallest image that shows it, and, where the kernel is the right one
shifted, turned, transposed, scaled or with channels swapped, that sentence. The remarks only describe: the verdict
stands on the exact comparison of the two maps (`equal_maps`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from mathdnn.convolution import compose_transposed
from mathdnn.convolution.catalogue import CATALOGUE
from mathdnn.convolution.certificate import form_of
from mathdnn.convolution.checked import values
from mathdnn.convolution.compose import dense
from mathdnn.convolution.equal import equal_maps
from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.prove import as_conv2d
from mathdnn.convolution.witness import _text, sealed
from mathdnn.errors import InvalidInput, sentence
from mathdnn.verdict import Counterexample, Status, Verdict

Taps = dict[tuple[int, int, int, int], Fraction]  # (out, in, dy, dx) relative to the output's own pixel


def grade(
    weight: Any,
    target: str | ConvForm | Callable[[Any], Any],
    *,
    bias: Any = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] = 0,
    padding_mode: str = "zeros",
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    transposed: bool = False,
    output_padding: int | tuple[int, int] = 0,
    input_shape: tuple[int, int, int] | None = None,
    seconds: float = 60.0,
    name: str | None = None,
) -> Verdict:
    """Whether the convolution handed in computes the target on images of `input_shape` (default: C x 7 x 8).

    weight: numbers of shape (out, in / groups, h, w), or (h, w), or (out, h, w) for one input channel; transposed: it
    is the kernel of a transposed convolution, (in, out / groups, h, w), with output_padding rows and columns more;
    target: a name of `catalogue.CATALOGUE`, a `ConvForm`, or a torch operation; seconds: time limit of each call of
    that operation; name: what the claim calls the target.
    Returns a `Verdict`: proved or refuted, with the remark at the end of the counterexample's sentence. Raises
    `InvalidInput`.
    """
    form = ConvForm.of(
        _four(weight, transposed),
        bias,
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
        groups=groups,
        transposed=transposed,
        output_padding=output_padding,
    )
    goal = _target(target)
    channels = goal.in_channels if isinstance(goal, ConvForm) else form.in_channels
    shape = input_shape or (channels, 7, 8)
    name = name or (target if isinstance(target, str) else "the target")
    kind = "transposed convolution" if transposed else "convolution"
    claim = f"on {' x '.join(map(str, shape))} images, the {kind} handed in computes {name}"
    if form.in_channels != shape[0]:
        raise InvalidInput(
            sentence(
                "grade(weight)", f"weights for {shape[0]} input channels", f"{form.in_channels}", "check the shape"
            )
        )
    with np.errstate(over="ignore"):  # the bound on rounding may be infinite, and then still is one
        verdict = equal_maps(goal, form, shape, claim=claim, seconds=seconds)
    if verdict.status is not Status.REFUTED or not isinstance(verdict.evidence, Counterexample):
        return verdict
    said = remark(form, goal if isinstance(goal, ConvForm) else _recognised(goal, shape, seconds), shape)
    words = verdict.evidence.statement.replace("the first gives", "the target gives").replace(
        "and the second", "and the kernel handed in"
    )
    evidence = msgspec.structs.replace(
        verdict.evidence, statement=f"{words} {said}".strip(), data={**verdict.evidence.data, "remark": said}
    )
    return sealed(verdict.claim, evidence, equality=verdict.equality, assumptions=verdict.assumptions)


def _four(weight: Any, transposed: bool) -> Any:
    array = values(weight, "grade(weight)")
    if array.ndim == 2:
        return array[None, None]
    if array.ndim == 3:  # one input channel, several outputs
        return array[None] if transposed else array[:, None]
    return array


def _target(target: Any) -> Any:
    if not isinstance(target, str):
        return target
    if target not in CATALOGUE:
        raise InvalidInput(
            sentence("grade(target=...)", " or ".join(CATALOGUE), f"{target!r:.60}", "choose one of these")
        )
    return CATALOGUE[target]()


def _recognised(operation: Any, shape: tuple[int, int, int], seconds: float) -> ConvForm | None:
    verdict = as_conv2d(operation, shape, seconds=seconds)
    return form_of(verdict) if verdict.status is Status.PROVED else None


def taps(form: ConvForm) -> Taps:
    """The weights that are not 0, by their place relative to the output's own pixel; of a transposed form by where it
    puts them, relative to the place of the input's pixel."""
    weight: Any = _dense(form)
    (top, _), (left, _) = form.padding
    return {
        (o, g, a - top, b - left): Fraction(weight[o, g, a, b])
        for o, g, a, b in np.ndindex(weight.shape)
        if weight[o, g, a, b] != 0
    }


def _dense(form: ConvForm) -> np.ndarray:
    """The kernel of shape (out, in, height, width), of either kind."""
    return np.swapaxes(compose_transposed.dense(form), 0, 1) if form.transposed else dense(form)


def remark(form: ConvForm, goal: ConvForm | None, shape: tuple[int, int, int]) -> str:
    """How a wrong kernel comes from the right one, and what else is wrong on images of a shape; or nothing to say."""
    if goal is None or (form.out_channels, form.in_channels) != (goal.out_channels, goal.in_channels):
        return ""
    if goal.transposed and not form.transposed:
        sides = f"stride {goal.stride}, padding {_sides(goal)} and padding mode {goal.padding_mode}"
        return f"The target is a transposed convolution, with {sides}: hand the kernel in as one."
    if form.transposed and not goal.transposed:
        return "The target is no transposed convolution: hand the kernel in as a plain one."
    outputs = [one.output_size(*shape[1:]) for one in (form, goal)]
    also = _also(form, goal)
    have, want = taps(form), taps(goal)
    if any(s != t and n > 1 for s, t, n in zip(form.stride, goal.stride, map(max, *outputs), strict=True)):
        rest = remark(replace(form, stride=goal.stride), goal, shape)
        rest = rest or ("" if have == want else "Besides, the kernel is wrong.")
        return f"The stride is {form.stride}, and it should be {goal.stride}. {rest}".strip()
    unlike = have != want or outputs[0] != outputs[1]
    if unlike and form.padding != goal.padding and np.array_equal(_dense(form), _dense(goal)):
        sides = f"{_sides(form)}, where the target has {_sides(goal)}"
        return f"The kernel is right, and the padding is not: {sides}.{_besides(also)}"
    if outputs[0] != outputs[1]:
        sizes = ["{} x {}".format(*output) for output in outputs]
        wrong = "output padding" if form.padding == goal.padding and form.transposed else "padding"
        also = [f"the {wrong} is wrong (the output is {sizes[0]}, and the target's is {sizes[1]})", *also]
    if have == want:
        return f"The kernel is right, and {', and '.join(also)}." if also else ""
    said = _changed(form, goal, have, want)
    return said + _besides(also) if said else ""


def _also(form: ConvForm, goal: ConvForm) -> list[str]:
    """What is wrong about bias and padding mode, whatever the kernel."""
    first, second = ([] if one.exact_bias is None else [*one.exact_bias] for one in (form, goal))
    bias = ["the bias is wrong"] if (first if any(first) else []) != (second if any(second) else []) else []
    pads = all(any((*one.padding[0], *one.padding[1])) for one in (form, goal))
    if pads and form.padding_mode != goal.padding_mode:
        bias += [f"the padding mode is {form.padding_mode}, where the target has {goal.padding_mode}"]
    return bias


def _besides(also: list[str]) -> str:
    return f" Besides, {', and '.join(also)}." if also else ""


def _changed(form: ConvForm, goal: ConvForm, have: Taps, want: Taps) -> str:
    """What was done to the right kernel, or nothing."""
    for words, changed in _variants(want, form, goal):
        if changed == have:
            return words + _as_turned(words, have, want, form)
    for words, changed in _variants(want, form, goal):
        ratio = _ratio(changed, have)
        if ratio is not None:
            return f"{words[:-1]}, and times {ratio}."
    return _one_wrong(form, have, want)


def _as_turned(words: str, have: Taps, want: Taps, form: ConvForm) -> str:
    """That a kernel times -1 is one turned by half a turn as well, where it is: the likelier mistake."""
    turned = next(changed for _, changed in _turned(want, form))
    same = " A turn by half a turn (the convention with flip) gives the same."
    return same if "times" in words and turned == have else ""


def _one_wrong(form: ConvForm, have: Taps, want: Taps) -> str:
    """The one weight that is wrong, where it is one of several and the kernel handed in has it."""
    unlike = [key for key in {**want, **have} if want.get(key) != have.get(key)]
    if len(unlike) != 1 or len({*want, *have}) == 1:
        return ""
    o, g, y, x = unlike[0]
    (a, a_rest), (b, b_rest) = (
        divmod(n + p, d) for n, (p, _), d in zip((y, x), form.padding, form.dilation, strict=True)
    )
    groups = o * form.groups // form.out_channels, g * form.groups // form.in_channels
    held = groups[0] == groups[1] and 0 <= a < form.kernel_size[0] and 0 <= b < form.kernel_size[1]
    if a_rest or b_rest or not held:
        return ""
    place = f"row {a}, column {b}, from input channel {g} to output channel {o} (counted from 0)"
    values = (_text(taps.get(unlike[0], Fraction(0))) for taps in (have, want))
    return "One weight is wrong: at {}, it is {}, and it should be {}.".format(place, *values)


def _ratio(want: Taps, have: Taps) -> Fraction | None:
    """The number that turns one kernel into the other, or None."""
    if not have or set(want) != set(have):
        return None
    ratio = Fraction(have[next(iter(have))]) / Fraction(want[next(iter(have))])
    return ratio if all(want[key] * ratio == value for key, value in have.items()) else None


def _sides(form: ConvForm) -> str:
    """The padding in words."""
    (top, bottom), (left, right) = form.padding
    if top == bottom == left == right:
        return str(top)
    return f"top {top}, bottom {bottom}, left {left}, right {right}"


def _variants(want: Taps, form: ConvForm, goal: ConvForm) -> Iterator[tuple[str, Taps]]:
    """The mistakes, as sentences with the taps that each of them gives."""
    have = taps(form)
    if have and want:
        reads = (
            "each pixel is put down that far off" if form.transposed else "each output reads the pixels that far off"
        )
        down, right = (min(k[axis] for k in have) - min(k[axis] for k in want) for axis in (2, 3))
        moved = {(o, g, y + down, x + right): v for (o, g, y, x), v in want.items()}
        yield (
            (f"It is the right kernel shifted by ({down}, {right}): {reads}{_padding_hint(form, goal, down, right)}."),
            moved,
        )
        ratio = _ratio(want, have)
        if ratio is not None:
            yield f"It is the right kernel times {ratio}.", have
    yield from _turned(want, form)
    yield from _permuted(want, form)


def _padding_hint(form: ConvForm, goal: ConvForm, down: int, right: int) -> str:
    """Whether the shift is the padding at the top and left: then all of it belongs at the bottom and right."""
    (top, bottom), (left, beyond) = form.padding
    sizes = [[sum(sides) - n for sides, n in zip(one.padding, one.extent, strict=True)] for one in (form, goal)]
    if form.transposed:
        return ""
    same = sizes[0] == sizes[1] and form.padding_mode == goal.padding_mode == "zeros"
    if same and (-down, -right) == (top, left) and (top or left) and form.exact_bias == goal.exact_bias:
        sides = f"with {top + bottom} at the bottom and {left + beyond} at the right"
        return f"; it would be right without padding at the top and left, and {sides}"
    return ""


def _turned(want: Taps, form: ConvForm) -> Iterator[tuple[str, Taps]]:
    (top, _), (left, _) = form.padding
    height, width = (size - 1 for size in form.extent)
    flips: dict[str, Callable[[int, int], tuple[int, int]]] = {
        "turned by half a turn (the convention with flip)": lambda a, b: (height - a, width - b),
        "flipped top to bottom": lambda a, b: (height - a, b),
        "flipped left to right": lambda a, b: (a, width - b),
        "transposed (rows and columns exchanged)": lambda a, b: (b, a),
    }
    for words, move in flips.items():
        changed = {}
        for (o, g, y, x), v in want.items():
            a, b = move(y + top, x + left)
            changed[o, g, a - top, b - left] = v
        yield f"It is the right kernel {words}.", changed


def _permuted(want: Taps, form: ConvForm) -> Iterator[tuple[str, Taps]]:
    """Channels in another order, up to four of them; more would be guessing."""
    for name, axis, count in (("output", 0, form.out_channels), ("input", 1, form.in_channels)):
        if 1 < count <= 4:
            for order in itertools.permutations(range(count)):
                changed = {(*key[:axis], order[key[axis]], *key[axis + 1 :]): v for key, v in want.items()}
                yield f"It is the right kernel with its {name} channels in another order.", changed  # type: ignore[misc]
