"""The witnesses that an operation is no convolution, as counterexamples that `mathdnn verify` checks from their file.

A counterexample holds the operation's graph, the images, and what each reason takes: pairs of entries of the exact
matrix that a convolution would have alike, and kernels that the inside of the image shows and its border does not.
Entries are (o, i, j, c, y, x): output channel, row, column, input channel, row, column, in the first image of a batch.
"""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from mathdnn.convolution.graph import unmarked
from mathdnn.convolution.side import Settings, Shape, Side, run
from mathdnn.errors import InvalidInput, sentence
from mathdnn.verdict import Certificate, Counterexample, Plain, Verdict, pack_array, proved, refuted, unpack_array

if TYPE_CHECKING:
    from mathdnn.convolution.form import ConvForm
    from mathdnn.convolution.pool import Pool
    from mathdnn.convolution.stencil import Stencil

Entry = list[int]


def sealed(claim: str, evidence: Counterexample, **more: Any) -> Verdict:
    """A refuted verdict whose counterexample carries a seal: the SHA-256 of all else in the verdict."""
    data = {key: value for key, value in evidence.data.items() if key != "seal"}
    bare = refuted(claim, msgspec.structs.replace(evidence, data=data), **more)
    seal = hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()
    return refuted(claim, msgspec.structs.replace(evidence, data={**data, "seal": seal}), **more)


def _coefficient(ids: np.ndarray, place: int, pixel: int, pool: Pool) -> Fraction:
    _, pixels, codes = pool.entries(ids.ravel()[place : place + 1])
    at = np.flatnonzero(pixels == pixel)
    return pool.numbers.values[codes[at[0]]] if len(at) else Fraction(0)


def _impulse(pixel: int, side: Side, how: Settings) -> torch.Tensor:
    image = torch.zeros(side.called.shape, dtype=how.dtype)
    image.view(-1)[pixel] = 1
    return image


def _where(index: int, shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(int(part)) for part in np.unravel_index(index, shape)) + ")"


def _witness(
    said: str, claimed: Fraction, pixels: list[int], places: list[int], side: Side, how: Settings
) -> Counterexample:
    images = [_impulse(pixel, side, how) for pixel in pixels]
    outputs = [run(side.called.call, image, how) for image in images]
    inputs: dict[str, Plain] = {name: pack_array(image.numpy()) for name, image in zip("xy", images, strict=False)}
    found: dict[str, Plain] = {name: pack_array(output.numpy()) for name, output in zip("xy", outputs, strict=False)}
    data = {"kind": "no convolution", "output_places": list(places), "pixels": list(pixels), **_operation(side)}
    return Counterexample(said, inputs, str(claimed), found, data)


def _operation(side: Side) -> dict[str, Plain]:
    """The graph, where the operation has one."""
    return {"operation": unmarked(side.plain) if "responses" not in side.plain else None}


def border(
    form: ConvForm, made: np.ndarray, where: tuple[int, int], inside: bool, side: Side, pool: Pool, how: Settings
) -> Counterexample:
    """An output that the kernel of the middle gives otherwise; `inside`: though its window needs no padding."""
    place, pixel = where
    would = _coefficient(made, place, pixel, pool) if made.shape == side.ids.shape else None
    has = _coefficient(side.ids, place, pixel, pool)
    output = f"output {_where(place, side.ids.shape[1:])}"
    takes = f"takes pixel {_where(pixel, side.called.shape)} {_text(has)} times"
    would_take = f"would take it {'' if would is None else _text(would)} times"
    if inside:
        said = (
            f"In the middle of the image it is a convolution, and elsewhere another or none: {output}, whose window "
            f"lies inside the image, {takes}, where the middle's kernel {would_take}, whatever the padding."
        )
    else:
        said = (
            f"Inside the image it is a convolution, at the border it is none: {output} {takes}, with "
            f"{form.padding_mode} padding it {would_take}; zeros, circular and the other padding fail as well."
        )
    return _witness(said, has, [pixel], [place], side, how)


def two_pixels(
    pair: tuple[Entry, Entry], strides: tuple[int, int], side: Side, stencil: Stencil, pool: Pool, how: Settings
) -> Counterexample:
    """Two pixels and two outputs, one pair the other shifted, with different weights."""
    start, moved = pair
    places = [flat(stencil.outputs, *entry[:3]) for entry in pair]
    pixels = [flat(stencil.inputs, *entry[3:]) for entry in pair]
    has = [_coefficient(side.ids, place, pixel, pool) for place, pixel in zip(places, pixels, strict=True)]
    said = (
        f"Two responses are not shifts of each other: with 1 at pixel {tuple(start[3:])} the output "
        f"{tuple(start[:3])} changes by {_text(has[0])}, and with 1 at {tuple(moved[3:])} the output "
        f"{tuple(moved[:3])}, as far away at stride "
        f"{strides}, changes by {_text(has[1])}."
    )
    return _witness(said, has[0], pixels, places, side, how)


def _text(value: Fraction) -> str:
    return str(value) if value.denominator < 10_000 else repr(float(value))


def pair_of(
    clash: tuple[int, int | None],
    strides: tuple[int | None, int | None],
    setting: str,
    side: Side,
    stencil: Stencil,
    pool: Pool,
) -> tuple[Entry, Entry]:
    """The two entries of a clash; where the second is missing, an output whose shifted pixel has another weight."""
    first, second = ([int(part[at]) for part in (*stencil.place, *stencil.pixel)] for at in (clash[0], clash[1] or 0))
    if clash[1] is not None:
        return first, second
    o, i, j, c, y, x = first
    axes = []
    for axis, stride, out, pixel in ((1, strides[0], i, y), (2, strides[1], j, x)):
        k = np.array([out]) if stride is None else stencil.kept[axis - 1]
        to = pixel + (stride or 0) * (k - out)
        size, within = stencil.inputs[axis], stencil.inside(axis, stride or 1)
        fits = (to >= 0) & (to < size)
        if setting == "circular":
            to, fits = to % size, np.ones(len(k), bool)
        if setting == "inside" and stride is not None:  # and a pixel outside of the image is one that no window reaches
            fits = (k >= within.start) & (k < within.stop)
        axes.append((k[fits], to[fits]))
    (rows, ys), (columns, xs) = axes
    has = _coefficient(side.ids, flat(stencil.outputs, o, i, j), flat(stencil.inputs, c, y, x), pool)
    for (k, to), (m, at) in itertools.product(zip(rows, ys, strict=True), zip(columns, xs, strict=True)):
        other = [o, int(k), int(m), c, int(to), int(at)]
        if is_out(other, stencil):
            return first, other
        if _coefficient(side.ids, flat(stencil.outputs, *other[:3]), flat(stencil.inputs, *other[3:]), pool) != has:
            return first, other
    raise AssertionError("a class that is not whole, and no entry that is missing")


def is_out(entry: Entry, stencil: Stencil) -> bool:
    """Whether the entry's pixel lies outside of the image."""
    return not all(0 <= place < size for place, size in zip(entry[4:], stencil.inputs[1:], strict=True))


def flat(shape: tuple[int, int, int], *place: int) -> int:
    return int(np.ravel_multi_index(place, shape))


def uneven_bias(side: Side, pool: Pool, how: Settings) -> Counterexample:
    constant = pool.constant_codes(side.ids)
    at = np.unravel_index(int(np.argmax((constant != constant[:1, :, :1, :1]).ravel())), constant.shape)
    first, other = (pool.numbers.values[int(constant[index])] for index in ((0, at[1], 0, 0), at))
    said = (
        f"For the image of zeros, output channel {int(at[1])} is {_text(first)} at (0, 0) and {_text(other)} at "
        f"({int(at[2])}, {int(at[3])}): no bias does that."
    )
    image = torch.zeros(side.called.shape, dtype=how.dtype)
    output = run(side.called.call, image, how)
    channel = int(at[1])
    places = [channel * constant[0, 0].size, int(np.ravel_multi_index(at, constant.shape))]
    data = {"kind": "no convolution", "reason": "bias", "output_places": places, "pixels": [], **_operation(side)}
    return Counterexample(said, {"x": pack_array(image.numpy())}, str(first), {"x": pack_array(output.numpy())}, data)


def depends_on_other(side: Side, full: Shape, pool: Pool, how: Settings) -> Counterexample | None:
    ids, each = side.ids[0].ravel(), pool.pixels // full[0]
    place = int(np.flatnonzero(pool.last_pixels(ids) >= each)[0])
    _, pixels, _ = pool.entries(ids[place : place + 1])
    pixel = int(pixels[pixels >= each][0])
    said = f"The first image's output depends on pixel {_where(pixel, full)} of another image of the batch."
    found = _witness(said, _coefficient(side.ids, place, pixel, pool), [pixel], [place], side, how)
    return with_reason(found, "another image")


def odd_in_batch(side: Side, full: Shape, pool: Pool) -> tuple[int, int, int] | None:
    """(image, output, pixel) where an image of the batch is treated unlike the first; pixels counted in one image."""
    each, outputs = pool.pixels // full[0], side.ids[0].size
    first = side.ids[0].ravel()
    for n in range(1, full[0]):
        ids = side.ids[n].ravel()
        back = np.where(ids & pool.mask, n * each, 0)
        unlike = (pool.functions(ids) != pool.functions(first)) | ((ids & pool.mask) - back != first & pool.mask)
        if unlike.any():
            place = int(np.flatnonzero(unlike)[0])
            entries = []
            for k, rows in ((0, first), (n, ids)):
                _, pixel, code = pool.entries(rows[place : place + 1])
                entries.append(set(zip((pixel - k * each).tolist(), code.tolist(), strict=True)))
            # of a pixel of another image first, which is a reason of its own
            pixel = min(entries[0] ^ entries[1], key=lambda entry: (0 <= entry[0] < each, entry))[0]
            return n, place % outputs, pixel
    return None


def takes_of_another(odd: tuple[int, int, int], side: Side, pool: Pool, full: Shape, how: Settings) -> Counterexample:
    """An output of image n that takes a pixel of another image; `pixel` counts from the first of image n."""
    n, place, pixel = odd
    pixel, place = pixel + n * (pool.pixels // full[0]), place + n * side.ids[0].size
    said = f"The output of image {n} depends on pixel {_where(pixel, full)} of another image of the batch."
    found = _witness(said, _coefficient(side.ids, place, pixel, pool), [pixel], [place], side, how)
    return with_reason(found, "another image")


def unlike_first(odd: tuple[int, int, int], side: Side, pool: Pool, full: Shape, how: Settings) -> Counterexample:
    n, place, pixel = odd
    each, outputs = pool.pixels // full[0], side.ids[0].size
    pixels, places = [pixel, pixel + n * each], [place, place + n * outputs]
    has = [_coefficient(side.ids, at, p, pool) for at, p in zip(places, pixels, strict=True)]
    said = (
        f"The images of a batch are not treated alike: output {place} takes pixel {pixel} {_text(has[0])} times "
        "in image 0 "
        f"and {_text(has[1])} times in image {n}."
    )
    return with_reason(_witness(said, has[0], pixels, places, side, how), "unlike images")


def with_reason(found: Counterexample, reason: str, **more: Plain) -> Counterexample:
    """The counterexample with what its reason takes to be checked."""
    return msgspec.structs.replace(found, data={**found.data, "reason": reason, **more})


def reproduces(verdict: Verdict, operation: Any) -> Verdict:
    """Whether a counterexample comes out again when the operation itself is run on the images in it.

    For operations that leave no graph (`as_conv2d(opaque=True)`, Python code that looks at pixels), where
    `mathdnn.verify` can only say so. operation: the same callable, on torch tensors or NumPy arrays as it was given.
    proved: the outputs are those of the file, and break what it says; refuted: they do not. Raises `InvalidInput`.
    """
    evidence = verdict.evidence
    if not isinstance(evidence, Counterexample) or evidence.data.get("kind") not in ("no convolution", "not affine"):
        given = f"a verdict that is {verdict.status}"
        raise InvalidInput(sentence("reproduces(verdict)", "a counterexample to a convolution", given, "call verify"))
    images = {name: unpack_array(packed) for name, packed in evidence.input.items()}
    claim = f"the operation, run again, gives what is recorded against: {verdict.claim}"
    law, factor = evidence.data.get("law"), evidence.data.get("factor")
    if law is None:
        found = {name: _called(operation, image) for name, image in images.items()}
        said = {name: unpack_array(packed) for name, packed in evidence.found.items()}
        holds = all(_near(found[name], said[name]) for name in images)
    else:
        x = images["x"]
        base = images.get("z", np.zeros_like(x))
        at_base, at_x = _called(operation, base), _called(operation, base + x)
        if factor is None:
            expected = at_x + _called(operation, base + images["y"]) - at_base
            output = _called(operation, base + x + images["y"])
        else:
            expected = factor * at_x + (1 - factor) * at_base
            output = _called(operation, base + x * x.dtype.type(factor))
        holds = _near(output, unpack_array(evidence.found)) and not _near(output, expected, 5e-4)
    if not holds:
        words = "the operation gives other outputs than the file says"
        return refuted(claim, Counterexample(words, evidence.input, "the recorded outputs", "other outputs"))
    method = f"the operation was run on the {len(images)} image(s) of the file"
    return proved(claim, Certificate("reproduced", method, {}))


def _called(operation: Any, image: np.ndarray) -> np.ndarray:
    """On a tensor where it takes one, else on an array."""
    try:
        with torch.no_grad():
            output = operation(torch.from_numpy(image.copy()))
    except Exception:
        output = operation(image.copy())
    return np.asarray(output.numpy() if isinstance(output, torch.Tensor) else output)


def _near(a: np.ndarray, b: np.ndarray, share: float = 1e-4) -> bool:
    scale = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)))
    return a.shape == b.shape and bool((np.abs(a - b) <= share * scale).all())
