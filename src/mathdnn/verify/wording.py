"""The sentences that evidence about convolutions allows, built from the data that was checked.

A seal is a digest, which anybody can make anew: a claim is worth what it says of the data and no more. So claim,
equality and assumptions are written here again, and what a file says otherwise is rejected. Two things no data hold:
what a kernel that was handed in should compute, and a claim that whoever compared two maps gave in words of their own.
Neither is repeated as checked (`own_words`): each is put in quotes, out of which it has no way.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from mathdnn.verdict import Assumption, Certificate, Counterexample, Status, Verdict, unpack_array
from mathdnn.verify.sealing import quoted
from mathdnn.verify.sizes import words_of
from mathdnn.verify.transforms import has_transforms

HOLDS_FOR = "sums of products in any order, without Winograd or FFT, overflow and underflow"
WITH_TRANSFORMS = "sums of products in any order, FFT as is counted for it, without Winograd, overflow and underflow"
_LONG = 600  # characters of weights or biases that a claim shows
_SAME_CODE = Assumption(
    "the operation does on every call what it did when it was traced", "a real call agreed with its graph"
)
_AS_NUMBERS = Assumption(
    "the operation's code looks at the image's size as a number only", "real calls at other sizes agreed with the form"
)
_FOR_BATCHES = Assumption(
    "the operation is meant for batches", "an image alone it treats otherwise: batched=False asks that"
)
_MERGED = {"float32": 2.0**-16, "float64": 2.0**-37}  # of the largest response: what counts as one weight
_AROUND = {
    "zeros": "", "reflect": " of the image continued by reflection",
    "replicate": " of the image continued by its border pixels", "circular": " of the image continued round",
}  # fmt: skip
_RESPONSE, _WITHIN = "the operation's response to every pixel is that of this ", ", to within "
_COMPARED = "both operations were read as graphs"
_GRADED = "the (?:transposed )?convolution handed in computes [^\\n]+"  # but for a name, all told
_NAME = re.compile("(.*? handed in computes )(.+)")
_TOLD = re.compile(  # sentences that say what was asked: with other sizes they are no words of the asker's own
    "on [0-9][0-9x ]* images.*, (both operations are the same map|every coefficient of the second operation is .*"
    "|the (transposed )?convolution handed in computes .*|the operation('s response| is) .*)",
    re.DOTALL,
)
_NOT_AFFINE = re.compile(r"The (first|second) operation is not affine, and the other is: ")


def wrong_words(verdict: Verdict, outs: tuple[int, ...] = ()) -> str:
    """What the verdict says that its data, checked before, do not; "" where there is nothing.

    outs: the rows and columns of the output, where the evidence is against every stride.
    """
    data: dict[str, Any] = verdict.evidence.data  # type: ignore[union-attr]
    if not _claims_fit(verdict, outs):
        return "the claim is not what the evidence shows"
    if verdict.assumptions not in _assumptions(verdict, data):
        return "the assumptions are not those that the evidence rests on"
    equality = None if verdict.equality is None else str(verdict.equality)
    if equality not in _equalities(verdict, data):
        return "the equality is not the one that was checked"
    transforms = any(has_transforms(data[side]) for side in ("left", "right") if side in data)
    if "rounding" in data and data["rounding"]["holds_for"] != (WITH_TRANSFORMS if transforms else HOLDS_FOR):
        return "the rounding bound is said to hold for what was not checked"
    return ""


def own_words(verdict: Verdict) -> str:
    """What to repeat of a verdict: its claim, or, where its maker worded it freely, what was compared."""
    affine = verdict.evidence.data.get("kind") == "not affine"  # type: ignore[union-attr]
    if not _is_free(verdict) or (not affine and _matches(verdict, _named(verdict))):
        name = _NAME.fullmatch(verdict.claim) if _is_free(verdict) else None
        if name is None:
            return _within_rounded_up(verdict)
        return f"{name[1]}what the file calls {quoted(name[2])}, a name, which is no part of what is checked"
    return f"{_default(verdict)} (called {quoted(verdict.claim)} in the file, which is no part of what is checked)"


def _within_rounded_up(verdict: Verdict) -> str:
    """The claim, a tolerance in it rounded up: what was checked is no less."""
    data = verdict.evidence.data  # type: ignore[union-attr]
    if data.get("relation") != "within":
        return verdict.claim
    return verdict.claim.replace(
        f"{_WITHIN}{data['tolerance']:.1e}: ", f"{_WITHIN}{rounded_up(data['tolerance'])}: ", 1
    )


def rounded_up(number: float) -> str:
    """A number, not below 0, in two digits that are not less."""
    said = f"{number:.1e}"
    if float(said) >= number:
        return said
    return f"{float(Decimal(said) + Decimal(1).scaleb(Decimal(said).adjusted() - 1)):.1e}"


def _default(verdict: Verdict) -> str:
    data = _asked(verdict.evidence.data)  # type: ignore[union-attr]
    size = _product(_side(data)["input"])
    if data.get("kind") == "not affine":
        return f"on {size} images, the operation is affine"  # the other of the two is not in the file
    return f"on {size} images, {_compared(str(data.get('relation', 'equal')))}"


def _compared(relation: str) -> str:
    """What the comparison of two maps asked."""
    if relation not in ("rounded to float32", "rounded to float64"):
        return "both operations are the same map"
    return f"every coefficient of the second operation is the first's, {relation}"


def _named(verdict: Verdict) -> set[str]:
    """The endings of a comparison's claim that are no words of its maker's own."""
    data = _asked(verdict.evidence.data)  # type: ignore[union-attr]
    if data.get("kind") == "not affine":  # which refutes whatever was asked
        return {re.escape(_compared(asked)) for asked in ("equal", "rounded to float32", "rounded to float64")} | {
            _GRADED
        }
    asked = re.escape(_compared(str(data.get("relation", "equal"))))
    return {asked, _GRADED} if data.get("relation", "equal") == "equal" else {asked}


def _is_free(verdict: Verdict) -> bool:
    """Whether two maps were compared, the one question whose claim its asker may word."""
    evidence = verdict.evidence
    if isinstance(evidence, Certificate):
        return evidence.method.startswith(_COMPARED) and "sizes" not in evidence.data
    if not isinstance(evidence, Counterexample):
        return False
    kind = evidence.data.get("kind")
    return kind == "maps differ" or (kind == "not affine" and _NOT_AFFINE.match(evidence.statement) is not None)


def _claims_fit(verdict: Verdict, outs: tuple[int, ...]) -> bool:
    evidence = verdict.evidence
    assert isinstance(evidence, Certificate | Counterexample)
    if _is_free(verdict):
        return _TOLD.fullmatch(verdict.claim) is None or _matches(verdict, _named(verdict))
    data = evidence.data
    if isinstance(evidence, Certificate):
        return _matches(verdict, _proved(data))
    convolution = "the operation is a convolution"
    if data["kind"] == "not affine":
        return _matches(verdict, {re.escape(f"{convolution}, so it is affine")})
    return _matches(verdict, {re.escape(f"{convolution} ({_kinds(data, outs)})")})


def _matches(verdict: Verdict, endings: set[str]) -> bool:
    """Whether the claim is one of the patterns, on images of the size in the data, written with a batch or without."""
    bare = list(_side(_asked(verdict.evidence.data))["input"])  # type: ignore[union-attr]
    while len(bare) > 2 and bare[0] == 1:
        bare = bare[1:]
    sizes = [_product([1] * more + bare) for more in range(max(5 - len(bare), 1))]
    return any(
        re.fullmatch(f"on {re.escape(size)} images{ending if ending[:1] == ',' else f', {ending}'}", verdict.claim)
        for size in sizes
        for ending in endings
    )


def _proved(data: dict[str, Any]) -> set[str]:
    form = text(data["right"]["form"]) if "form" in data["right"] else ""
    kind = "transposed convolution" if form and data["right"]["form"].get("transposed", False) else "convolution"
    if data["relation"] == "within":
        said = {
            f"{data['tolerance']:.1e}",
            rounded_up(data["tolerance"]),
        }  # the first is rounded: `own_words` says it up
        return {re.escape(f"{_RESPONSE}{kind}{_WITHIN}{most}: {form}") for most in said}
    if data["relation"] != "equal" or not form:
        return set()
    more = f", and for {words_of(data['sizes'])}" if data.get("sizes") is not None else ""
    return {re.escape(f"{more}, the operation is this {kind}: {form}")}


def _kinds(data: dict[str, Any], outs: tuple[int, ...]) -> str:
    """The ways to be a convolution that a witness excludes."""
    whole = {
        "another image": "of each image of the batch alone",
        "bias": "with one bias for each output channel",
        "unlike images": "of every image of the batch alike",
    }
    if data["reason"] in whole:
        return whole[data["reason"]]
    most, margin = [], []
    for size, out in zip(_side(data)["input"][-2:], outs, strict=True):
        most.append(1 if out == 1 else max(1, 3 * (size - 1) // (out - 1)))
        margin.append(min((size - 1) // 2, (out - 1) // 2))
    return (
        f"stride up to ({most[0]}, {most[1]}), with zero padding, with circular padding and a kernel no larger than "
        f"the image, or with reflect or replicate padding up to ({margin[0]}, {margin[1]})"
    )


def _asked(data: dict[str, Any]) -> dict[str, Any]:
    """The data at the size asked about, which a smaller counterexample to equal maps holds beside its own."""
    asked = data.get("at_the_size_asked") if data.get("kind") == "maps differ" else None
    return asked["data"] if asked else data


def _side(data: dict[str, Any]) -> dict[str, Any]:
    side: dict[str, Any] = data["operation" if data.get("kind") in ("no convolution", "not affine") else "left"]
    return side


def _assumptions(verdict: Verdict, data: dict[str, Any]) -> list[tuple[Assumption, ...]]:
    """The lists of assumptions that the evidence may carry; the one about batches depends on calls, and only weakens
    what is said."""
    if data.get("kind") == "not affine":
        return [()]
    if data.get("relation") == "within":
        return [_of_responses(data, dtype) for dtype in _MERGED]
    sides = [data[name] for name in ("left", "right", "operation") if name in data]
    made: tuple[Assumption, ...] = (_SAME_CODE,) if any("graph" in side for side in sides) else ()
    if data.get("sizes") is not None:
        made += (_AS_NUMBERS,)
    return [made, (*made, _FOR_BATCHES)] if made else [made]


def _of_responses(data: dict[str, Any], dtype: str) -> tuple[Assumption, ...]:
    scale = sum(float(np.abs(unpack_array(data["left"][key])).max(initial=0.0)) for key in ("responses", "at_zero"))
    return (
        Assumption("the operation is affine", "not shown, as its code was not read; 12 random images agree"),
        Assumption("the operation gives the same result at every call"),
        Assumption(f"responses within {4 * _MERGED[dtype] * scale:.1e} of each other are one weight", "rounding"),
    )


def _equalities(verdict: Verdict, data: dict[str, Any]) -> tuple[str | None, ...]:
    reals = "exact over the reals"
    if data.get("kind") == "not affine" and verdict.status is Status.REFUTED:
        return (reals,)
    relation = data.get("relation", "equal")
    return (reals,) if relation == "equal" else (None,)


def _product(size: list[int]) -> str:
    return " x ".join(map(str, size))


def text(form: dict[str, Any]) -> str:
    """A form in one line: the layer, then its weights, or how many there are and from what to what."""
    shape, transposed = form["weight"]["shape"], form.get("transposed", False)
    groups, weights = form["groups"], [Fraction(value) for value in form["weight"]["values"]]
    channels = (shape[0], shape[1] * groups) if transposed else (shape[1] * groups, shape[0])
    kind = "transposed convolution" if transposed else "convolution"
    words = [f"{shape[2]}x{shape[3]} {kind}, {channels[0]} -> {channels[1]} channels"]
    words += [_pair("stride", form["stride"]), _padding(form, transposed)]
    if any(form.get("output_padding", (0, 0))):
        words.append(_pair("output padding", form["output_padding"]))
    if list(form["dilation"]) != [1, 1]:
        words.append(_pair("dilation", form["dilation"]))
    if groups > 1:
        words.append(f"groups {groups}")
    bias = None if form["bias"] is None else [Fraction(value) for value in form["bias"]]
    words += ["no bias" if bias is None else _numbers("bias", bias, [len(bias)]), _numbers("weight", weights, shape)]
    return ", ".join(words)


def _pair(name: str, pair: list[int]) -> str:
    return f"{name} {pair[0]}" if pair[0] == pair[1] else f"{name} ({pair[0]}, {pair[1]})"


def _padding(form: dict[str, Any], transposed: bool) -> str:
    (top, bottom), (left, right) = form["padding"]
    mode = form["padding_mode"]
    if (top, left) == (bottom, right):
        words = _pair("padding", [top, left])
    else:
        words = f"padding top {top}, bottom {bottom}, left {left}, right {right}"
    if transposed:
        return words + _AROUND[mode]
    return words if mode == "zeros" or not (top or bottom or left or right) else f"{mode} {words}"


def _numbers(name: str, numbers: list[Fraction], shape: list[int]) -> str:
    if len(numbers) <= _LONG:
        shown = _nested([_number(value) for value in numbers], shape)
        if len(shown) <= _LONG:
            return f"{name} {shown}"
    return f"{name} of {len(numbers)} numbers from {float(min(numbers)):.4g} to {float(max(numbers)):.4g}"


def _number(value: Fraction) -> str:
    return str(value) if value.denominator < 10_000 else repr(float(value))


def _nested(parts: list[str], shape: list[int]) -> str:
    if len(shape) > 1:
        each = math.prod(shape[1:])
        parts = [_nested(parts[at : at + each], shape[1:]) for at in range(0, len(parts), each)]
    return "[" + ", ".join(parts) + "]"
