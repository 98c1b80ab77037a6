"""The operations of which the checker knows how their results repeat as the image grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mathdnn.verify.growing import differs
from mathdnn.verify.numbers import Malformed
from mathdnn.verify.stationary import (
    LAST,
    Array,
    Dim,
    Track,
    count,
    dim_from,
    plain,
    position,
    track_of,
)
from mathdnn.verify.stationary.reader import Reader


def _same(r: Reader, x: Any, *rest: Any, **more: Any) -> Array:
    if any(isinstance(part, dict) for part in (*rest, *more.values())):
        raise Malformed("a number that depends on the image")
    return r.array(x)


def _several(number: int) -> Callable[..., Array]:
    def rule(r: Reader, *args: Any, **more: Any) -> Array:
        if any(isinstance(part, dict) for part in (*args[number:], *more.values())):
            raise Malformed("a number that depends on the image's size")
        return r.broadcast([r.array(argument) for argument in args[:number]])

    return rule


def _copy(r: Reader, x: Any, source: Any, *_: Any) -> Array:
    like = r.array(x)
    return r.merged([r.array(source)], list(r.broadcast([Array(_bare(like.dims)), r.array(source)]).dims))


def _bare(dims: tuple[Dim, ...]) -> tuple[Dim, ...]:
    return tuple(tuple(Track(f.axis, f.length, f.growth) if isinstance(f, Track) else f for f in dim) for dim in dims)


def _full(r: Reader, shape: Any, value: Any) -> Array:
    if isinstance(value, (dict, list)):
        raise Malformed("a filling that depends on the image's size")
    return Array(tuple(dim_from(r.size(size), r.grid) for size in shape))


def _expand(r: Reader, x: Any, sizes: Any, *_: Any) -> Array:
    value = r.array(x)
    lead = len(sizes) - len(value.dims)
    own = [value.dims[k - lead] if k >= lead else () for k in range(len(sizes))]
    if any(
        dim and size != -1 and differs(count(dim, r.grid), r.size(size)) for dim, size in zip(own, sizes, strict=True)
    ):
        raise Malformed("an expansion to a size that is not the array's own")
    dims = [dim or (dim_from(r.size(size), r.grid) if size != -1 else ()) for dim, size in zip(own, sizes, strict=True)]
    return r.merged([value], dims)


def _squeeze(r: Reader, x: Any, dim: Any = None) -> Array:
    value = r.array(x)
    rank = len(value.dims)
    axes = range(rank) if dim is None else [k % rank for k in ([dim] if type(dim) is int else dim)]
    return value._replace(dims=tuple(d for k, d in enumerate(value.dims) if d != () or k not in axes))


def _inserted(value: Array, dim: int, new: Dim) -> Array:
    dim %= len(value.dims) + 1
    return value._replace(dims=(*value.dims[:dim], new, *value.dims[dim:]))


def _removed(value: Array, dim: int) -> Array:
    dim %= len(value.dims)
    return value._replace(dims=(*value.dims[:dim], *value.dims[dim + 1 :]))


def _permute(r: Reader, x: Any, order: list[int]) -> Array:
    value = r.array(x)
    if sorted(k % len(value.dims) for k in order) != list(range(len(value.dims))):
        raise Malformed("no permutation")
    return value._replace(dims=tuple(value.dims[k] for k in order))


def _transpose(r: Reader, x: Any, a: int = 0, b: int = 1) -> Array:
    rank = len(r.array(x).dims)
    order = list(range(rank))
    if rank > 1:
        order[a], order[b] = order[b], order[a]
    return _permute(r, x, order)


def _select(r: Reader, x: Any, dim: int, index: Any) -> Array:
    value = r.array(x)
    track = r.track(value, dim % len(value.dims))
    if track is not None:
        value = r.border(value, dim, 1, position(r, index, track, 0)[1] + 1)
    return _removed(value, dim)


def _between(r: Reader, track: Track, start: Any, end: Any) -> tuple[str, int, int]:
    """("inside", cut before, cut behind), or ("start" or "end", nearer and farther place)."""
    (one, a), (two, b) = position(r, start, track, 0), position(r, end, track, LAST)
    if (one, two) == ("start", "end"):
        return "inside", a, b
    if one != two or (a > b if one == "start" else a < b):
        raise Malformed("a cut between places that move apart")
    return one, min(a, b), max(a, b)


def _slice(r: Reader, x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Array:
    value = r.array(x)
    dim %= len(value.dims)
    track = r.track(value, dim)
    if track is None:
        return r.put(value, dim, plain(len(range(r.still(value, dim))[slice(start, end, step)])))
    where, a, b = _between(r, track, start, end)
    if where != "inside":
        return r.border(value, dim, len(range(0, b - a, step)), b)
    value = r.shifted(value, dim, -a, -b)
    return value if step == 1 else r.cut_windows(value, dim, 1, step, 0, 1)


def _slice_scatter(
    r: Reader, x: Any, part: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Array:
    value, new = r.array(x), r.array(part)
    dim %= len(value.dims)
    track = r.track(value, dim)
    if track is None:
        range(r.still(value, dim))[slice(start, end, step)]
        return r.merged([value, new], list(value.dims))
    where, a, b = _between(r, track, start, end)
    inner = r.track(new, dim)
    if where != "inside" and step == 1:
        return _written(r, value, new, track, b)
    if where != "inside" or inner is None or step < 1 or track.growth % step:
        raise Malformed("a write of another size")
    if not inner.like(Track(track.axis, -((a + b - track.length) // step), track.growth // step)):
        raise Malformed("a write of another size")
    by, zone, low, high = r.pitch(track) * a, inner.zone + max(a, b), inner.low, inner.high
    made = replace(track, zone=zone, low=low - by, high=high - by)
    if step > 1:
        between = max(track.zone, step * (inner.zone + 1) + max(a, b))
        made = replace(track, zone=between, low=min(track.low, low - by), high=max(track.high, high - by))
    made = replace(made, end=max(track.end, inner.end, r.near(track, max(a, b))))
    return _joined_across(r, value, new, r.checked(made))


def _written(r: Reader, value: Array, new: Array, track: Track, depth: int) -> Array:
    """Something written within `depth` of one end."""
    made = replace(track, zone=max(track.zone, depth), end=max(track.end, new.edges[track.axis] or 0))
    if track_of(new, track.axis) is not None:
        raise Malformed("a write of another size")
    return _joined_across(r, value, new, r.checked(made))


def _joined_across(r: Reader, value: Array, new: Array, made: Track) -> Array:
    """`value` with its track replaced by `made`; along the other axis what both depend on."""
    other = 1 - made.axis
    track, beside = track_of(value, other), track_of(new, other)
    edges = list(value.edges)
    wide = track
    if track is not None and (new.edges[other] is not None or (beside is not None and not beside.like(track))):
        raise Malformed("pixels of the border are spread over the image")
    if track is None:
        if beside is not None:
            raise Malformed("a dimension of the image is lost")
        known = [edge for edge in (value.edges[other], new.edges[other]) if edge is not None]
        edges[other] = max(known) if known else None
    elif beside is not None:
        wide = r.checked(replace(
            track, zone=max(track.zone, beside.zone), low=min(track.low, beside.low),
            high=max(track.high, beside.high), end=max(track.end, beside.end),
        ))  # fmt: skip
    swap = {made.axis: made, other: wide}
    dims = tuple(tuple(swap[f.axis] if isinstance(f, Track) else f for f in dim) for dim in value.dims)
    return Array(dims, (edges[0], edges[1]))  # type: ignore[arg-type]


def _select_scatter(r: Reader, x: Any, part: Any, dim: int, index: Any) -> Array:
    value, new = r.array(x), r.array(part)
    track = r.track(value, dim % len(value.dims))
    if track is None:
        return r.merged([value, new], list(value.dims))
    where, place = position(r, index, track, 0)
    return _written(r, value, new, track, place + (where == "start"))


def _cat(r: Reader, parts: list[Any], dim: int = 0) -> Array:
    arrays = [r.array(part) for part in parts]
    dim %= len(arrays[0].dims)
    tracks = [k for k, array in enumerate(arrays) if r.track(array, dim) is not None]
    if not tracks:
        total = plain(sum(r.still(array, dim) for array in arrays))
        return r.broadcast(
            [array._replace(dims=(*array.dims[:dim], total, *array.dims[dim + 1 :])) for array in arrays]
        )
    if len(tracks) > 1:
        raise Malformed("two growing arrays end to end")
    main = arrays[tracks[0]]
    rest = [array for k, array in enumerate(arrays) if k != tracks[0]]
    sizes = [0 if k == tracks[0] else r.still(array, dim) for k, array in enumerate(arrays)]
    main = r.shifted(main, dim, sum(sizes[: tracks[0]]), sum(sizes[tracks[0] :]))
    for array in rest:
        track = r.track(main, dim)
        assert track is not None
        made = r.checked(replace(track, end=max(track.end, array.edges[track.axis] or 0)))
        main = _joined_across(r, main, array, made)
    return main


def _stack(r: Reader, parts: list[Any], dim: int = 0) -> Array:
    return _inserted(r.broadcast([r.array(part) for part in parts]), dim, plain(len(parts)))


def _unbind(r: Reader, x: Any, dim: int = 0) -> list[Array]:
    value = r.array(x)
    return [_removed(value, dim)] * r.still(value, dim)


def _split(r: Reader, x: Any, sizes: Any, dim: int = 0) -> list[Array]:
    value = r.array(x)
    n = r.still(value, dim)
    widths = sizes if isinstance(sizes, list) else [min(sizes, n - at) for at in range(0, n, max(1, sizes))]
    return [r.put(value, dim, plain(width)) for width in widths]


def _reduce(r: Reader, x: Any, dim: Any = None, keepdim: bool = False) -> Array:
    value = r.array(x)
    rank = len(value.dims)
    axes = [k % rank for k in (range(rank) if dim is None or dim == [] else dim)]
    for place in axes:
        r.still(value, place)
    return value._replace(
        dims=tuple(() if k in axes else d for k, d in enumerate(value.dims) if keepdim or k not in axes)
    )


def _along(r: Reader, x: Any, dims: Any, *_: Any) -> Array:
    value = r.array(x)
    for dim in [dims] if type(dims) is int else dims:
        r.still(value, dim)
    return value


def _product(r: Reader, x: Any, y: Any) -> Array:
    a, b = r.array(x), r.array(y)
    r.still(a, -1)
    r.still(b, -2)
    lead = r.broadcast([Array(_bare(a.dims[:-2])), Array(_bare(b.dims[:-2]))]).dims
    return r.merged([a, b], [*lead, a.dims[-2], b.dims[-1]])


RULES: dict[str, Callable[..., Any]] = {
    f"aten.{name}": rule
    for names, rule in (
        (
            "alias.default clone.default contiguous.default detach.default lift_fresh_copy.default positive.default",
            _same,
        ),
        ("neg.default _to_copy.default mul.Scalar div.Scalar", _same),
        ("add.Tensor add.Scalar sub.Tensor sub.Scalar mul.Tensor div.Tensor", _several(2)),
        ("where.self", _several(3)),
        ("copy.default", _copy),
        ("expand.default", _expand),
        ("permute.default", _permute),
        ("transpose.int t.default", _transpose),
        ("squeeze.default squeeze.dim squeeze.dims", _squeeze),
        ("unsqueeze.default", lambda r, x, dim: _inserted(r.array(x), dim, ())),
        ("select.int", _select),
        ("slice.Tensor", _slice),
        ("slice_scatter.default", _slice_scatter),
        ("select_scatter.default", _select_scatter),
        ("cat.default", _cat),
        ("stack.default", _stack),
        ("unbind.int", _unbind),
        ("split.Tensor split_with_sizes.default", _split),
        ("sum.default sum.dim_IntList mean.default mean.dim", _reduce),
        ("cumsum.default flip.default", _along),
        ("mm.default bmm.default", _product),
        ("channel_shuffle.default native_channel_shuffle.default", lambda r, x, groups: _along(r, x, 1)),
    )
    for name in names.split()
}
RULES["full"] = _full
