"""A certificate's convolution, or transposed convolution, at one image, in any arithmetic."""

from __future__ import annotations

import functools
import itertools
import math
import re
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verify.numbers import Malformed, Numbers, convolve, padded

_ROOM = 1 << 28  # as in `convolution`
_NUMBER = re.compile(r"-?[0-9]{1,1000}(/[0-9]{1,1000})?")
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@functools.lru_cache(1 << 16)
def rational(text: Any) -> Fraction:
    if type(text) is not str or not _NUMBER.fullmatch(text):
        raise Malformed(f"{text!r:.40} is no rational number")
    return Fraction(text)


def form_output(form: dict[str, Any], image: np.ndarray, numbers: Numbers) -> tuple[np.ndarray, int]:
    """Its output (n, o, i, j), and the roundings of its float computation."""
    weight, bias = (
        np.array([numbers.fraction(rational(text)) for text in texts or ()], dtype=image.dtype)
        for texts in (form["weight"]["values"], form["bias"])
    )
    biased = form["bias"] is not None
    made = layer_output(form, weight.reshape(form["weight"]["shape"]), bias if biased else None, image, numbers)
    channels = image.shape[-3] if image.ndim > 2 else 1
    terms = math.prod(form["weight"]["shape"][2:]) * (channels // form["groups"])
    return made, terms + biased + 2


def layer_output(
    form: dict[str, Any], weight: np.ndarray, bias: np.ndarray | None, image: np.ndarray, numbers: Numbers
) -> np.ndarray:
    """(n, o, i, j), of weights and biases that are values of an arithmetic."""
    image = image.reshape((1,) * (4 - image.ndim) + image.shape)
    transposed = form.get("transposed", False)
    if type(transposed) is not bool or weight.ndim != 4 or weight.size == 0 or type(form["groups"]) is not int:
        raise Malformed("weights that no layer has")
    inputs = weight.shape[0] if transposed else weight.shape[1] * form["groups"]
    if form["groups"] < 1 or weight.shape[0] % form["groups"] or inputs != image.shape[1]:
        raise Malformed("weights that do not fit the channels")
    if any(type(step) is not int or step < 1 for step in (*form["stride"], *form["dilation"])):
        raise Malformed("a stride or dilation below 1")
    made = (_transposed if transposed else _plain)(form, image, weight, numbers)
    return made if bias is None else numbers.add(made, bias.reshape(-1, 1, 1))


def continued(form: dict[str, Any], image: np.ndarray, sides: list[list[int]]) -> np.ndarray:
    """The image and what lies around it, as far as a layer of that kind can look."""
    wide = {"reflect": -1, "circular": 0}.get(form["padding_mode"], _ROOM)
    for side, n in zip(sides, image.shape[2:], strict=True):
        if min(side) < 0 or max(side) > n + wide or max(side) > 1 << 14:
            raise Malformed("a padding that no layer has")
    mode: Any = MODES[form["padding_mode"]]
    return padded(image, [(0, 0), (0, 0), *sides], mode=mode)


def _plain(form: dict[str, Any], image: np.ndarray, weight: np.ndarray, numbers: Numbers) -> np.ndarray:
    """Y[n,l,i] = sum weight[l,g,a] X[n,g, s i + d a] on the padded image."""
    around = continued(form, image, form["padding"])
    return convolve(numbers, around, weight, form["stride"], form["dilation"], form["groups"], 2)


def looks(form: dict[str, Any]) -> list[list[int]]:
    """How far beyond the image a transposed form looks: y >= -before and y < H + after, as s y + d a - p = i allows."""
    sides = []
    for axis in (0, 1):
        s, span = form["stride"][axis], form["dilation"][axis] * (form["weight"]["shape"][2 + axis] - 1)
        (first, last), more = form["padding"][axis], form["output_padding"][axis]
        if min(first, last, more) < 0:
            raise Malformed("a padding that no layer has")
        none = form["padding_mode"] == "zeros"
        sides.append([0, 0] if none else [max(0, (span - first) // s), max(0, (span - last + more) // s)])
    return sides


def _transposed(form: dict[str, Any], image: np.ndarray, weight: np.ndarray, numbers: Numbers) -> np.ndarray:
    """Every pixel puts down its kernel: Y[n,l, s y + d a - p] gains weight[g,l,a] X[n,g,y]; then the sides are cut."""
    sides = looks(form)
    image = continued(form, image, sides)
    spans = [d * (k - 1) + 1 for d, k in zip(form["dilation"], weight.shape[2:], strict=True)]
    whole = [(n - 1) * s + span for n, s, span in zip(image.shape[2:], form["stride"], spans, strict=True)]
    cuts = []
    for axis in (0, 1):
        (first, last), s = form["padding"][axis], form["stride"][axis]
        cuts.append((first + s * sides[axis][0], last + s * sides[axis][1] - form["output_padding"][axis]))
    if math.prod(whole) * weight.shape[1] > _ROOM or any(
        -b > 1 << 14 or a + b >= n for (a, b), n in zip(cuts, whole, strict=True)
    ):
        raise Malformed("a padding that no layer has")
    per, share = weight.shape[1], weight.shape[0] // form["groups"]
    made = np.zeros(
        (image.shape[0], per * form["groups"], *(n + max(0, -b) for n, (_, b) in zip(whole, cuts, strict=True))),
        image.dtype,
    )
    for g, o, a, b in itertools.product(*map(range, weight.shape)):
        rows, columns = (
            slice(d * k, d * k + s * (n - 1) + 1, s)
            for d, k, s, n in zip(form["dilation"], (a, b), form["stride"], image.shape[2:], strict=True)
        )
        at = (slice(None), g // share * per + o, rows, columns)
        made[at] = numbers.add(made[at], numbers.mul(image[:, g], weight[g, o, a, b]))
    (top, bottom), (left, right) = cuts
    return made[:, :, top : made.shape[2] - max(0, bottom), left : made.shape[3] - max(0, right)]
