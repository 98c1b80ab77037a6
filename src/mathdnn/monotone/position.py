"""Does the same input give the same output wherever it lies in a tensor?

An elementwise kernel runs a vector body over long contiguous stretches and another path over what is left, or over
strided data. Four layouts reach these paths:

    vector body     one contiguous tensor, a multiple of 4096 long
    scalar tail     rows of three, four apart: no row is as long as a vector, so each is all tail
    strided         every second element
    shifted         one contiguous tensor that starts one element late

and more for functions that are not the kernel they look like:

    shuffled        the values in another order, in tensors as long as the scan's
    finite values   the same without the infinities
    near values     in order, of one sign, in tensors of 4096
    tensors of one sign     the same in tensors as long as the scan's, which evaluates them so
    company of extremes     every other element is an infinity, a NaN, a zero, the greatest or the smallest number
    several threads one contiguous tensor, with as many threads as torch has

and, of a few thousand of the values:

    short tensors   contiguous tensors of one value to 101
    images          two to four axes, one image and several, of one channel and several, also channels last
    last element    the end of a contiguous tensor of 4099 equal values

Onnxruntime takes contiguous tensors only: there the tail is calls of one to seven values.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.monotone.floats import bits_at, is_nan, place_of, values_of
from mathdnn.monotone.found import ends_of
from mathdnn.monotone.functions import Elementwise
from mathdnn.monotone.scan import CHUNK, TILE, Progress, cores, quiet_torch

if TYPE_CHECKING:
    from jaxtyping import Int

    from mathdnn.monotone.floats import Format

SAMPLE = 1 << 20
FEW = 2048  # heuristic: a function that looks at its tensor's length or end does so for most values; costs 20 ms
WHOLE_VECTORS = (  # an elementwise kernel gives the bits of the vector body here
    "shuffled",
    "finite values",
    "tensors of one sign",
    "near values",
    "company of extremes",
    "several threads",
    "images",
)
SHAPES = ((2, 4, 16, 16), (1, 8, 16, 16), (8, 1, 16, 16), (1, 1, 32, 64), (8, 16, 16), (1, 32, 64), (32, 64))
LENGTHS = (*range(1, 18), 31, 32, 33, 63, 65, 101)  # of short tensors


@dataclass(frozen=True)
class Positions:
    """How many values were compared between the body and another layout, and where the outputs differ.

    `layout` is one where an elementwise kernel is all vector body, if it differs in such a one. `place` is the one with
    the greatest difference (in ulps), `body` and `other` the output bits there. `apart`: some outputs differ by more
    than the sign of a zero. `nan_bits`: the least and the greatest bits of NaN that came out in any layout; bits of NaN
    count as no difference.
    """

    compared: int
    complete: bool
    differing: int
    layout: str = ""
    place: int | None = None
    body: int | None = None
    other: int | None = None
    ulps: int = 0
    nan_bits: tuple[int, ...] = ()
    apart: bool = False


def positions(
    f: Elementwise, *, exhaustive: bool = False, progress: Progress | None = None, threads: int | None = None
) -> Positions:
    """Compare the vector body with the other layouts: all values where the format is 16 bits wide, else a sample.

    The sample (2^20 values): every power of two with its neighbours, even steps along the line of places, and draws
    from the normal distribution; with `exhaustive`, every value in the scalar tail.
    """
    places = all_places(f.form) if f.form.width == 16 else sample_places(f.form)
    threaded = _threaded(f, bits_at(places, f.form))
    with quiet_torch(f.library):
        found = _compare(f, places, threaded, complete=f.form.width == 16 and f.library != "onnxruntime")
        if exhaustive and not found.apart and f.form.width == 32 and f.library != "onnxruntime":
            return _everything(f, progress, threads, found)
        return found


def _threaded(f: Elementwise, bits: Int[np.ndarray, " n"]) -> dict[str, Int[np.ndarray, " n"]]:
    """The outputs with the threads that the caller's torch has, where they are several."""
    if f.library != "torch":
        return {}
    import torch

    threads = torch.get_num_threads()
    if threads == 1:
        return {}
    whole = threads << 15  # torch gives a thread so many values or more: each gets whole vectors
    return {"several threads": f.on_bits(np.resize(bits, -(-len(bits) // whole) * whole))[: len(bits)]}


def layouts(f: Elementwise, bits: Int[np.ndarray, " n"]) -> dict[str, Int[np.ndarray, " n"]]:
    """The outputs of the same values in each layout; n is a multiple of three (the tail takes a prefix of it)."""
    if f.library == "onnxruntime":
        few = bits[:: max(1, len(bits) // 4000)]
        cut = np.cumsum(1 + np.arange(len(few)) % 7)
        short = [f.on_bits(part) for part in np.split(few, cut[cut < len(few)])]
        return {"vector body": f.on_bits(bits)[:: max(1, len(bits) // 4000)], "scalar tail": np.concatenate(short)}
    rows = np.zeros((len(bits) // 3, 4), bits.dtype)
    rows[:, :3] = bits[: len(bits) // 3 * 3].reshape(-1, 3)
    wide = np.zeros((len(bits), 2), bits.dtype)
    wide[:, 0] = bits
    body = f.on_bits(bits)
    order = np.random.default_rng(0).permutation(np.resize(np.arange(len(bits)), -(-len(bits) // CHUNK) * CHUNK))
    finite = order[(bits[order] & bits.dtype.type(f.form.magnitude)) < f.form.infinity]
    ordered = np.unique(place_of(bits, f.form), return_inverse=True)
    return {
        "vector body": body,
        "scalar tail": f.on_bits(rows[:, :3]).reshape(-1),
        "strided": f.on_bits(wide[:, 0]),
        "shifted": f.on_bits(np.concatenate([bits[:1], bits])[1:]),
        "shuffled": _in_chunks(f, bits, order, body),
        "finite values": _in_chunks(f, bits, finite, body),
        "tensors of one sign": _in_order(f, *ordered, CHUNK),
        "near values": _in_order(f, *ordered, TILE),
        "company of extremes": _in_company(f, bits),
    }


def _in_chunks(f: Elementwise, bits: np.ndarray, order: np.ndarray, body: np.ndarray) -> np.ndarray:
    """The outputs of the numbered values in this order, cut into tensors of CHUNK values; those of the body else."""
    found = body.copy()
    for start in range(0, len(order), CHUNK):
        part = np.resize(order[start : start + CHUNK], CHUNK)
        found[part] = f.on_bits(bits[part])
    return found


def _in_order(f: Elementwise, places: np.ndarray, back: np.ndarray, length: int) -> np.ndarray:
    """The outputs in tensors of that length, each of one sign and in order, the last value repeated, as the scan's.

    `places` are in order; `back` says where each value is among them."""
    found = np.empty(len(places), f.form.integer)
    zero = int(np.searchsorted(places, 0))
    for first, last in ((0, zero), (zero, len(places))):
        for at in range(first, last, length):
            part = bits_at(places[at : min(at + length, last)], f.form)
            found[at : at + len(part)] = f.on_bits(np.pad(part, (0, length - len(part)), "edge"))[: len(part)]
    out: np.ndarray = found[back]
    return out


def _in_company(f: Elementwise, bits: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The outputs where every other element of the tensor is something extreme."""
    form, found = f.form, np.empty_like(bits)
    sizes = (form.infinity, form.magnitude, form.infinity - 1, 0, 1)
    extremes = np.array([size - sign for size in sizes for sign in (0, form.magnitude + 1)][:9], bits.dtype)
    for own in (0, 1):
        mixed = np.tile(extremes, len(bits) // 9 + 1)[: len(bits)]
        mixed[own::2] = bits[own::2]
        found[own::2] = f.on_bits(mixed)[own::2]
    return found


def _compare(
    f: Elementwise, places: np.ndarray, threaded: dict[str, Int[np.ndarray, " n"]], complete: bool
) -> Positions:
    bits = bits_at(places, f.form)
    outputs = layouts(f, bits) | threaded
    body = outputs.pop("vector body")
    if len(body) < len(places):
        places = places[:: max(1, len(bits) // 4000)]
    count = f.form.values if complete else len(body)  # the rest only fills the last vector
    best = Positions(count, complete, 0)
    for layout, other in outputs.items():
        body, other = body[:count], other[:count]
        best = _worse(best, _difference(f.form, places, body, other, layout, complete))
    if f.library != "onnxruntime":
        for layout, some, other in _ends(f, bits[:count]):
            best = _worse(best, _difference(f.form, places[some], body[some], other, layout, complete))
    return replace(best, compared=count, complete=complete)


def _ends(f: Elementwise, bits: Int[np.ndarray, " n"]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Layouts of a few of the values: their name, which values, and the outputs."""
    some = np.arange(0, len(bits), max(1, len(bits) // FEW))[:FEW]
    if len(some) == FEW:
        for shape in SHAPES:
            yield "images", some, f.on_bits(bits[some].reshape(shape)).reshape(-1)
        last = bits[some].reshape(SHAPES[0]).transpose(0, 3, 1, 2)
        yield "images", some, f.on_bits(last).transpose(0, 2, 3, 1).reshape(-1)
    cut = np.cumsum(np.resize(LENGTHS, len(some)))
    yield (
        "short tensors",
        some,
        np.concatenate([f.on_bits(part) for part in np.split(bits[some], cut[cut < len(some)])]),
    )
    some = some[::32]
    yield "last element", some, np.array([f.on_bits(np.full(4099, one))[-1] for one in bits[some]])


def _worse(one: Positions, other: Positions) -> Positions:
    worse = other if _badness(other) > _badness(one) else one
    return replace(worse, nan_bits=ends_of(one.nan_bits + other.nan_bits), apart=one.apart or other.apart)


def _badness(found: Positions) -> tuple[bool, bool, bool, int]:
    return found.differing > 0, found.layout in WHOLE_VECTORS, found.apart, found.ulps


def _difference(
    form: Format, places: np.ndarray, body: np.ndarray, other: np.ndarray, layout: str, complete: bool
) -> Positions:
    n = min(len(body), len(other))
    nans, theirs = is_nan(body[:n], form), is_nan(other[:n], form)
    bits = ends_of(np.concatenate([body[:n][nans], other[:n][theirs]]))
    at = np.flatnonzero((body[:n] != other[:n]) & ~(nans & theirs))
    if not len(at):
        return Positions(n, complete, 0, nan_bits=bits)
    differing, values = len(at), at[values_of(body[at], form) != values_of(other[at], form)]
    apart = bool(len(values))
    at = values if apart else at
    gap = np.abs(place_of(body[at], form) - place_of(other[at], form))
    gap[is_nan(body[at], form) | is_nan(other[at], form)] = 0  # a number against NaN has no distance
    worst = int(at[int(gap.argmax())])
    return Positions(
        n, complete, differing, layout, int(places[worst]), int(body[worst]), int(other[worst]), int(gap.max()), bits,
        apart,
    )  # fmt: skip


def all_places(form: Format) -> np.ndarray:
    """Every place of a narrow format in order, and some again, so that they fill whole vectors."""
    places = np.arange(form.first, form.infinity + 1)
    return np.resize(places, -(-len(places) // 12288) * 12288)


def sample_places(form: Format) -> np.ndarray:
    """Places that show most: all of a narrow format, else a sample; as many as fill whole vectors."""
    if form.width == 16:
        return all_places(form)
    rng = np.random.default_rng(0)
    borders = np.arange(0, form.infinity + 1, 1 << form.mantissa)
    near = (borders[:, None] + np.arange(-2, 3)).ravel()
    near = near[(near >= 0) & (near <= form.infinity)]
    even = np.linspace(form.first, form.infinity, SAMPLE // 2).astype(np.int64)
    normal = place_of((4 * rng.normal(size=SAMPLE // 2 + 12288)).astype(np.float32).view(np.int32), form)
    places = np.concatenate([near, -1 - near, even, normal])
    return places[: len(places) // 12288 * 12288]


def _everything(f: Elementwise, progress: Progress | None, threads: int | None, sample: Positions) -> Positions:
    """Every value in the scalar tail against the vector body; `sample` was found in all layouts."""
    starts = range(f.form.first, f.form.infinity + 1, 3 * CHUNK // 2)
    best, differing, done = sample, 0, 0
    with quiet_torch(f.library) as quiet, ThreadPoolExecutor(threads or cores(), initializer=quiet) as pool:
        try:
            for part in pool.map(lambda start: _block(f, start), starts):
                best, differing, done = _worse(best, part), differing + part.differing, done + part.compared
                if progress is not None:
                    progress(min(done, f.form.values), f.form.values)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return replace(best, compared=f.form.values, complete=True, differing=differing)


def _block(f: Elementwise, start: int) -> Positions:
    places = np.minimum(np.arange(start, start + 3 * CHUNK // 2), f.form.infinity)
    bits = bits_at(places, f.form)
    rows = np.zeros((len(bits) // 3, 4), bits.dtype)
    rows[:, :3] = bits.reshape(-1, 3)
    return _difference(f.form, places, f.on_bits(bits), f.on_bits(rows[:, :3]).reshape(-1), "scalar tail", True)
