"""Checks counterexamples of convolutions from their file alone: the graphs in it are run again, with code of its own.

"maps differ": two sides, an image, an output where they are not the same number. Exactly: modulo a random prime, where
different remainders are different rationals.

"no convolution": two outputs of one bias, two images of one batch, or every pair of strides (`excluded`).

"not affine": a law that every affine f keeps, and images at which the graph, run in floats, does not; nor over the
reals, where intervals around all that it computes keep the two sides of the law apart (`enclosing`).
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

from mathdnn.verdict import Counterexample, Status, Verdict, unpack_array
from mathdnn.verify import convolution as maps
from mathdnn.verify.chances import random_prime
from mathdnn.verify.excluded import Map, no_strides
from mathdnn.verify.means import Means
from mathdnn.verify.numbers import Modular, TooMany
from mathdnn.verify.rounded import rounds
from mathdnn.verify.running import Open, Program, Unlisted
from mathdnn.verify.sealing import BROKEN, seal_holds
from mathdnn.verify.sides import full as full_shape
from mathdnn.verify.sides import pixels
from mathdnn.verify.statements import PLACES, WRONG, of_difference, of_law
from mathdnn.verify.wording import own_words, wrong_words

Answer = tuple[bool | None, str]
KINDS = ("maps differ", "no convolution", "not affine")
sentence_of = own_words
_SIDES = ("claimed", "found")
_FAR, _NEAR = 5e-4, 1e-4  # a violation, and how well outputs agree with the file's, as shares of the largest value
_RUN = "has to be run itself: mathdnn.convolution.reproduces(verdict, operation) does that"
_NO_GRAPH = (
    "the operation left no graph in the file (a function of NumPy arrays, or Python code that looks at pixels), so it "
    f"{_RUN}"
)
_WRONG = (*maps._WRONG, RuntimeError, NotImplementedError, AssertionError)


def check(verdict: Verdict, generator: random.Random | None = None) -> Answer:
    """(True, what holds), (False, why not), or (None, what has to be run)."""
    evidence = verdict.evidence
    if not isinstance(evidence, Counterexample) or verdict.status is not Status.REFUTED:
        return None, "it holds no counterexample"
    if not seal_holds(verdict):
        return False, BROKEN
    try:
        maps._require_small(evidence.data)
        with np.errstate(all="ignore"):
            means = Means(generator or random.SystemRandom())
            holds, words = _CHECKS[evidence.data["kind"]](_plain(evidence), means)
            wrong = wrong_words(verdict, _outs(evidence.data, means)) if holds else ""
            return (False, wrong) if wrong else (holds, words)
    except Unlisted as error:
        return None, f"its graph holds {error}, which is not on the list of what a file may have run, so it {_RUN}"
    except TooMany as error:
        return None, str(error)
    except Open as error:
        return None, f"what it gives over the reals is not known to the checker ({error}), so it {_RUN}"
    except _WRONG as error:
        return False, f"the counterexample is malformed: {type(error).__name__}: {str(error)[:120]}"


def shows_not_affine(evidence: Counterexample, generator: random.Random) -> bool | None:
    """Whether a law is seen to fail over the reals; None where the graph holds what no file may have run. Raises
    `TooMany` where that would take minutes."""
    try:
        with np.errstate(all="ignore"):
            return _not_affine(_plain(evidence), Means(generator))[0]
    except Unlisted:
        return None
    except TooMany:
        raise
    except (Open, *_WRONG):
        return False


def _outs(data: dict[str, Any], means: Means) -> tuple[int, ...]:
    """The rows and columns of the output, where strides are spoken of."""
    if data.get("reason") != "strides":
        return ()
    side = data["operation"]
    return means.run(side, np.zeros(pixels(side), np.int64), Modular(2**31 - 1)).shape[2:]


def _plain(evidence: Counterexample) -> dict[str, Any]:
    names = ("statement", "input", "claimed", "found", "data")
    return {name: getattr(evidence, name) for name in names}


def _size(side: dict[str, Any]) -> str:
    return " x ".join(map(str, side["input"]))


def _floats(side: dict[str, Any], image: np.ndarray, means: Means) -> np.ndarray:
    """A side's output in floats."""
    if "form" in side:
        return means.run(side, image.astype(np.float64), maps._Floats())
    return means.program(side["graph"]).at(image.reshape(side["input"]))


def _differ(evidence: dict[str, Any], means: Means) -> Answer:
    holds, words = _differ_at(evidence, means)
    asked = evidence["data"].get("at_the_size_asked")
    if not holds or not asked:
        return holds, words
    rest = words.partition(";")[1:]  # of the sentence about the smaller image
    holds, words = _differ_at(asked, means)
    return holds, words if not holds or ";" in words else words + "".join(rest)


def _differ_at(evidence: dict[str, Any], means: Means) -> Answer:
    """The two sides at one image: exactly, and their floats as the file has them."""
    data, image = evidence["data"], unpack_array(evidence["input"])
    sides, pixel = (data["left"], data["right"]), data["pixel"]
    right = np.zeros(image.size)
    right[pixel if pixel >= 0 else slice(0, 0)] = 1
    if full_shape(sides[0]["input"]) != full_shape(sides[1]["input"]) or any(
        pixels(side) != image.size for side in sides
    ):
        return False, "the two sides take images of different sizes"
    if not np.array_equal(image.ravel(), right):
        return False, "the image is another than the one that the sentence names"
    exact = []
    for side, packed in zip(sides, (evidence["claimed"], evidence["found"]), strict=True):
        value = _floats(side, image, means)
        said = unpack_array(packed)
        scale = _NEAR * max(1.0, float(np.abs(value).max(initial=0.0)))
        if value.size != said.size or not (np.abs(value.ravel() - said.ravel()) <= scale).all():
            return False, "an output is another than the file says"
        exact.append(value)
    holds, words = _apart(data, sides, exact, image, means)
    if not holds:
        return holds, words
    shapes = [list(unpack_array(evidence[name]).shape) for name in _SIDES]
    rest = of_difference(evidence["statement"], data, shapes, means)
    return (False, WRONG) if rest is None else (True, words + rest)


def _apart(data: dict[str, Any], sides: tuple[Any, Any], exact: Any, image: Any, means: Means) -> Answer:
    """Whether the two sides differ at the image as the relation says; exact: their shapes."""
    if full_shape(list(exact[0].shape)) != full_shape(list(exact[1].shape)):
        return True, f"on {_size(sides[0])} images the two sides have outputs of different sizes"
    if data["relation"] not in ("equal", "rounded to float32", "rounded to float64"):
        return False, "no such relation"
    if data["relation"] != "equal":
        return _not_rounded(sides, data["pixel"], data["relation"].removeprefix("rounded to "))
    prime = random_prime(means.generator)
    whole = image.ravel().astype(np.int64)
    a, b = (means.run(side, whole, Modular(prime)) for side in sides)
    if np.array_equal(a, b):
        return False, "the two sides agree at the image"
    return True, f"on {_size(sides[0])} images the two sides differ at the image in the file, run again exactly"


def _not_rounded(sides: tuple[dict[str, Any], dict[str, Any]], pixel: int, dtype: str) -> Answer:
    """Some coefficient of the second is not the first's nearest float."""
    if rounds(*sides, dtype, [pixel]):
        return False, f"the second side is the first, {dtype} by {dtype}"
    return True, f"on {_size(sides[0])} images a coefficient of the second side is not the first's, rounded to {dtype}"


def _no_convolution(evidence: dict[str, Any], means: Means) -> Answer:
    data, side = evidence["data"], evidence["data"]["operation"]
    if side is None:
        return None, _NO_GRAPH
    full = full_shape(side["input"])
    found = Map(side, means)
    if not _outputs_agree(evidence, side, means):
        return False, "an output is another than the file says"
    places, pixels, reason = data["output_places"], data["pixels"], data["reason"]
    n, flat = math.prod(full[1:]), found.at_zero.reshape(-1)
    each = found.at_zero[0].size
    if not all(type(place) is int and 0 <= place < flat.size for place in places):
        return False, "there is no such output"
    if reason == "bias":
        channels = {np.unravel_index(p, found.at_zero.shape)[1] for p in places}
        holds = len(channels) == 1 and bool(flat[places[0]] != flat[places[1]])
        words = "the image of zeros gives one channel two values"
    elif reason == "another image":
        response = found.response(pixels[0]).reshape(-1)[places[0]]
        holds, words = (
            places[0] // each != pixels[0] // n and bool(response),
            "an image depends on another of its batch",
        )
    elif reason == "unlike images":
        a, b = (found.response(pixel).reshape(-1)[place] for pixel, place in zip(pixels, places, strict=True))
        moved = (pixels[1] - pixels[0]) % n == 0 and (pixels[1] - pixels[0]) // n == (places[1] - places[0]) // each
        holds = bool(a != b) and moved and (places[1] - places[0]) % each == 0
        words = "two images of a batch are not treated alike"
    else:
        excluded, words = no_strides(data, found, full)
        return excluded, f"{words}{PLACES if excluded else ''}"
    return (holds, f"on {_size(side)} images {words}{PLACES}" if holds else "the responses do not show it")


def _outputs_agree(evidence: dict[str, Any], side: dict[str, Any], means: Means) -> bool:
    for name, packed in evidence["input"].items():
        image, said = unpack_array(packed), unpack_array(evidence["found"][name]).ravel()
        value = _floats(side, image, means).ravel()
        if value.size != said.size or np.abs(value - said).max() > _NEAR * max(1.0, float(np.abs(value).max())):
            return False
        ones = np.flatnonzero(image)
        if len(ones) > 1 or (
            len(ones) and (image.flat[ones[0]] != 1 or int(ones[0]) not in evidence["data"]["pixels"])
        ):
            return False
    return True


def _not_affine(evidence: dict[str, Any], means: Means) -> Answer:
    """f(a x) = a f(x) + (1 - a) f(0), or f(x + y) = f(x) + f(y) - f(0), run again in floats and on intervals; or the
    same around an image z."""
    from mathdnn.verify.enclosing import apart

    data, side = evidence["data"], evidence["data"]["operation"]
    if side is None:
        return None, _NO_GRAPH
    images = {name: unpack_array(packed) for name, packed in evidence["input"].items()}
    factor, graph = data["factor"], side["graph"]
    if factor not in (None, -1, 2) or set(images) - {"z"} != ({"x", "y"} if factor is None else {"x"}):
        return False, "no such law"
    expected, found, size = _law(means.enclosed(graph, 3 + (factor is None)), images, factor)
    if _is_affine(side, means):
        return False, "the operation is affine over the reals: what the images show is rounding"
    law = _text(factor, "z" in images)
    said = [unpack_array(evidence[name]) for name in ("claimed", "found")]
    for value, other in zip((expected, found), said, strict=True):
        if value.shape != other.shape or not (np.abs(value - other) <= _NEAR * size).all():
            return False, "an output is another than the file says"
    gap = expected - found
    if law != data["law"] or not np.abs(gap).max() > _FAR * size:
        return False, "the law holds at these images"
    if not apart(graph, images, factor):
        return False, "the law is not seen to fail over the reals: rounding may make as much of a difference"
    at = data["output_index"]
    if type(at) is not int or not 0 <= at < gap.size or not abs(gap.flat[at]) > _FAR * size:
        return False, WRONG
    numbers = float(said[0].flat[at]), float(said[1].flat[at])
    rest = of_law(evidence["statement"], law, numbers, images["x"], "z" in images)
    if rest is None:
        return False, WRONG
    return True, f"on {_size(side)} images {law} fails at the images in the file, run again{rest}"


def _text(factor: int | None, based: bool) -> str:
    at, zero = ("z + ", "z") if based else ("", "0")
    if factor is None:
        return f"f({at}x + y) = f({at}x) + f({at}y) - f({zero})"
    return f"f({at}{factor} x) = {factor} f({at}x) + {1 - factor} f({zero})"


def _law(program: Program, images: dict[str, np.ndarray], factor: int | None) -> tuple[np.ndarray, np.ndarray, float]:
    """The two sides of the law in floats, and the largest value on the way to the first."""
    x = images["x"]
    base = images.get("z", np.zeros_like(x))
    others = [base + images["y"], base + x + images["y"]] if factor is None else [base + x * x.dtype.type(factor)]
    at_base, at_x, *at_others = (
        program.at(image, finite=True).astype(np.float64) for image in (base, base + x, *others)
    )
    expected = at_x + at_others[0] - at_base if factor is None else factor * at_x + (1 - factor) * at_base
    return expected, at_others[-1], max(float(np.abs(v).max()) for v in (expected, at_others[-1], at_x, at_base))


def _is_affine(side: dict[str, Any], means: Means) -> bool:
    """Whether every step of the graph is one that is affine over the reals."""
    number = pixels(side)
    try:
        means.run(side, np.ones(number, np.int64), Modular(2**31 - 1))
    except maps._WRONG:
        return False
    return True


_CHECKS = {"maps differ": _differ, "no convolution": _no_convolution, "not affine": _not_affine}
