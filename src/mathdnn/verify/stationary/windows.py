"""More operations of `stationary.rules`: pools, shuffles, views."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mathdnn.verify.growing import Size, differs, whole
from mathdnn.verify.numbers import Malformed
from mathdnn.verify.stationary import Array, Dim, Factor, Track, count, plain
from mathdnn.verify.stationary.reader import Reader


def _pads(r: Reader, x: Any, pads: list[int], fill: Any = 0) -> Array:
    value = r.array(x)
    if any(type(pad) is not int for pad in pads) or isinstance(fill, (dict, list)):
        raise Malformed("a padding that depends on the image's size")
    for k in range(len(pads) // 2):
        if pads[2 * k] or pads[2 * k + 1]:
            value = r.shifted(value, len(value.dims) - 1 - k, pads[2 * k], pads[2 * k + 1])
    return value


def _roll(r: Reader, x: Any, shifts: list[int], dims: Any = ()) -> Array:
    value = r.array(x)
    if not dims or any(type(shift) is not int for shift in shifts):
        raise Malformed("a roll that depends on the image's size")
    for shift, dim in zip(shifts, dims, strict=True):
        if r.track(value, dim % len(value.dims)) is not None:
            value = r.shifted(value, dim, shift, -shift)
    return value


def _convolution(
    r: Reader, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any,
    groups: int,
) -> Array:  # fmt: skip
    value, shape = r.array(x), r.fixed(weight).shape
    if any(type(n) is not int for part in (stride, padding, dilation, extra) for n in part):
        raise Malformed("windows that depend on the image's size")
    if bias is not None:
        r.fixed(bias)
    first = len(value.dims) - (len(shape) - 2)
    r.still(value, first - 1)
    for k in range(len(shape) - 2):
        taps, s, p, d = shape[2 + k], stride[k], padding[k], dilation[k]
        if not transposed:
            value = r.cut_windows(value, first + k, taps, s, p, d)
            continue
        span = d * (taps - 1)
        if min(s, d) < 1 or min(p, extra[k]) < 0:
            raise Malformed("a stride below 1")
        reads = (Fraction(p - span, s), Fraction(p, s))  # q = s i + d a - p, so i - q / s = (p - d a) / s
        value = r.enlarged(value, first + k, s, span + p + extra[k], reads, span + 1 - s - 2 * p + extra[k])
    return r.put(value, first - 1, plain(shape[1] * groups if transposed else shape[0]))


def _average_pool(
    r: Reader, x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), ceil_mode: bool = False, *_: Any, **__: Any
) -> Array:
    value = r.array(x)
    axes = 1 if r.op.startswith("aten.avg_pool1d") else 2
    every = [list(part) * (axes if len(part) == 1 else 1) for part in (kernel, stride or kernel, padding or (0,))]
    for axis in range(axes):
        k, s, p = (part[axis] for part in every)
        place = len(value.dims) - axes + axis
        value = r.cut_windows(value, place, k, s, p, 1, _rounded_up(r, value, place, k, s, p) if ceil_mode else None)
    return value


def _rounded_up(r: Reader, value: Array, place: int, k: int, s: int, p: int) -> int:
    track = r.track(value, place)
    n = track.length if track is not None else r.still(value, place)
    made = math.ceil(Fraction(n + 2 * p - k, s)) + 1
    return made - ((made - 1) * s >= n + p)


def _max_pool(r: Reader, x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), *_: Any) -> list[Array]:
    if set(kernel) != {1} or set(padding) != {0}:
        raise Malformed("a maximum of several pixels")
    value, steps = r.array(x), list(stride or (1,))
    for axis, step in enumerate(steps * (2 if len(steps) == 1 else 1)):
        value = r.cut_windows(value, len(value.dims) - 2 + axis, 1, step, 0, 1)
    return [value]


def _shuffle(r: Reader, x: Any, k: int) -> Array:
    value = r.array(x)
    value = r.put(value, -3, plain(r.still(value, -3) // k**2))
    for place in (-2, -1):
        value = r.enlarged(value, place, k, 0, (Fraction(1 - k, k), 0))
    return value


def _unshuffle(r: Reader, x: Any, k: int) -> Array:
    value = r.array(x)
    value = r.put(value, -3, plain(r.still(value, -3) * k**2))
    for place in (-2, -1):
        value = r.cut_windows(value, place, k, k, 0, 1)
    return value


def _im2col(r: Reader, x: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Array:
    value = r.array(x)
    rows = plain(r.still(value, -3) * math.prod(kernel))
    for axis in (0, 1):
        value = r.cut_windows(value, axis - 2, kernel[axis], stride[axis], padding[axis], dilation[axis])
    return value._replace(dims=(*value.dims[:-3], rows, (*value.dims[-2], *value.dims[-1])))


def _unfold(r: Reader, x: Any, dim: int, size: int, step: int) -> Array:
    value = r.array(x)
    value = r.cut_windows(value, dim % len(value.dims), size, step, 0, 1)
    return value._replace(dims=(*value.dims, plain(size)))


def _view(r: Reader, x: Any, shape: Any) -> Array:
    """Old factors and new dimensions are matched from the left, as few at a time as have one size."""
    value = r.array(x)
    factors: list[Factor] = [factor for dim in value.dims for factor in dim]
    sizes = [r.size(size) for size in shape]
    made: list[Dim] = []
    while len(made) < len(sizes):
        if not differs(sizes[len(made)], whole(1)):
            made.append(())
            continue
        used, new = _match(r, factors, sizes[len(made) :])
        made += _split(r, tuple(factors[:used]), sizes[len(made) : len(made) + new])
        factors = factors[used:]
    if factors:
        raise Malformed("a view of another size")
    return value._replace(dims=tuple(made))


def _match(r: Reader, factors: list[Factor], sizes: list[Size]) -> tuple[int, int]:
    used, new = 1, 1
    while used <= len(factors) and new <= len(sizes):
        have = count(tuple(factors[:used]), r.grid)
        want = whole(1)
        for size in sizes[:new]:
            want = want * size
        if not differs(have, want):
            while new < len(sizes) and len(factors) == used and not differs(sizes[new], whole(1)):
                new += 1
            return used, new
        if (have <= want).all():
            used += 1
        elif (have >= want).all():
            new += 1
        else:
            break
    raise Malformed("a view that mixes dimensions")


def _split(r: Reader, old: tuple[Factor, ...], sizes: list[Size]) -> list[Dim]:
    if len(sizes) > 1 and not differs(sizes[-1], whole(1)):
        return [*_split(r, old, sizes[:-1]), ()]
    tracks = [factor for factor in old if isinstance(factor, Track)]
    if not tracks:
        if any(differs(size, whole(int(size[0, 0]))) for size in sizes):
            raise Malformed("a view that mixes dimensions")
        return [plain(int(size[0, 0])) for size in sizes]
    if len(sizes) == 1:
        if len(tracks) == 1 and tracks[0] is old[0] and len(old) > 1:
            return [(_joined(r, tracks[0], math.prod(old[1:])),)]  # type: ignore[arg-type]
        return [old]
    tail = sizes[1:]
    if len(old) == 1 and not any(differs(size, whole(int(size[0, 0]))) for size in tail):
        return [(_parted(r, tracks[0], math.prod(int(size[0, 0]) for size in tail)),)] + [
            plain(int(size[0, 0])) for size in tail
        ]
    raise Malformed("a view that mixes dimensions")


def _joined(r: Reader, track: Track, k: int) -> Track:
    """(i, q) become k i + q."""
    back = r.pitch(track) * Fraction(k - 1, k)
    return r.checked(
        replace(track, length=track.length * k, growth=track.growth * k, zone=track.zone * k, low=track.low - back)
    )


def _parted(r: Reader, track: Track, k: int) -> Track:
    """k i + q becomes (i, q)."""
    if track.growth % k or track.length % k:
        raise Malformed("a period that does not fit a view")
    ahead = r.pitch(track) * (k - 1)
    return r.checked(
        replace(
            track,
            length=track.length // k,
            growth=track.growth // k,
            zone=-(-track.zone // k),
            high=track.high + ahead,
        )
    )


def _index_select(r: Reader, x: Any, dim: int, index: Any) -> Array:
    value = r.array(x)
    r.still(value, dim)
    return r.put(value, dim, plain(r.fixed(index).size))


def _index(r: Reader, x: Any, indices: list[Any]) -> Array:
    used = [k for k, index in enumerate(indices) if index is not None]
    if len(used) != 1 or r.fixed(indices[used[0]]).ndim != 1:
        raise Malformed("several lists of indices")
    return _index_select(r, x, used[0], indices[used[0]])


RULES: dict[str, Callable[..., Any]] = {
    f"aten.{name}": rule
    for names, rule in (
        ("index_select.default", _index_select),
        ("index.Tensor", _index),
        ("constant_pad_nd.default reflection_pad1d.default reflection_pad2d.default", _pads),
        ("replication_pad1d.default replication_pad2d.default", _pads),
        ("roll.default", _roll),
        ("convolution.default", _convolution),
        ("avg_pool1d.default avg_pool2d.default", _average_pool),
        ("max_pool2d_with_indices.default", _max_pool),
        ("pixel_shuffle.default", _shuffle),
        ("pixel_unshuffle.default", _unshuffle),
        ("im2col.default", _im2col),
        ("unfold.default", _unfold),
        ("view.default reshape.default _unsafe_view.default", _view),
    )
    for name in names.split()
}
