"""Which operations that move or add elements keep arrays stationary, and how (see `mathdnn.convolution.stationary`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mathdnn.convolution.growing import Unclear, number
from mathdnn.convolution.stationary import FREE, Dim, Field, Value, fixed, product, sized
from mathdnn.convolution.stationary.walk import _END, Walk


def _elementwise(*places: int) -> Callable[..., Value]:
    def rule(w: Walk, *args: Any, **kwargs: Any) -> Value:
        for extra in (*[a for k, a in enumerate(args) if k not in places], *kwargs.values()):
            if isinstance(extra, dict):
                raise Unclear("it computes with a number that depends on the image's size")
        return w.broadcast([w.value(args[place]) for place in places if place < len(args)])

    return rule


def _copy(w: Walk, x: Any, source: Any, *_: Any) -> Value:
    like, found = w.value(x), w.value(source)
    return w.with_dims(w.broadcast([Value(like.dims), found]).dims, [found])


def _full(w: Walk, shape: Any, value: Any) -> Value:
    dims: tuple[Dim, ...] = ()
    for poly in sized(w.sizes, shape):
        dims += (dim_of(poly),)
    return w.with_dims(dims, [Value(())])


def dim_of(poly: Any) -> Dim:
    """A dimension from its size alone: a number, or one that grows with one axis."""
    constant = number(poly)
    if constant is not None:
        return fixed(constant)[0]
    grows = [key for key in poly if key != (0, 0)]
    if grows not in ([(1, 0)], [(0, 1)]):
        raise Unclear("an array's size is a product of height and width")
    return (Field(grows[0][1], poly.get((0, 0), 0), poly[grows[0]]),)


def _expand(w: Walk, x: Any, sizes: Any, *_: Any) -> Value:
    value = w.value(x)
    lead = len(sizes) - len(value.dims)
    dims: list[Dim] = []
    for place, size in enumerate(sizes):
        own = value.dims[place - lead] if place >= lead else ()
        if own and size != -1 and product(own) != sized(w.sizes, [size])[0]:
            raise Unclear("it expands to a size that is not the array's own")
        dims.append(own if own or size == -1 else dim_of(sized(w.sizes, [size])[0]))
    return w.with_dims(tuple(dims), [value])


def _permute(w: Walk, x: Any, order: list[int]) -> Value:
    value = w.value(x)
    return Value(tuple(value.dims[place] for place in order), value.along)


def _transpose(w: Walk, x: Any, a: int = 0, b: int = 1) -> Value:
    value = w.value(x)
    dims = list(value.dims)
    if len(dims) > 1:
        dims[a], dims[b] = dims[b], dims[a]
    return Value(tuple(dims), value.along)


def _squeeze(w: Walk, x: Any, dim: Any = None) -> Value:
    value = w.value(x)
    rank = len(value.dims)
    axes = range(rank) if dim is None else [d % rank for d in ([dim] if isinstance(dim, int) else dim)]
    return Value(tuple(d for place, d in enumerate(value.dims) if place not in axes or d != ()), value.along)


def _unsqueeze(w: Walk, x: Any, dim: int) -> Value:
    value = w.value(x)
    dim %= len(value.dims) + 1
    return Value((*value.dims[:dim], (), *value.dims[dim:]), value.along)


def _without(value: Value, place: int) -> Value:
    place %= len(value.dims)
    return Value((*value.dims[:place], *value.dims[place + 1 :]), value.along)


def _select(w: Walk, x: Any, dim: int, index: Any) -> Value:
    value = w.value(x)
    field = w.only(value, dim)
    if field is None:
        return _without(value, dim)
    _, far = w.place_of(index, field, 0)
    return _without(w.edge(value, dim, 1, far + 1), dim)


def _slice(w: Walk, x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Value:
    value = w.value(x)
    dim %= len(value.dims)
    field = w.only(value, dim)
    if field is None:
        if any(isinstance(part, dict) for part in (start, end)):
            raise Unclear("it cuts at a place that depends on the image's size")
        return w.moved(value, dim, fixed(len(range(w.size(value, dim))[slice(start, end, step)]))[0], None)
    (late, low), (early, high) = w.place_of(start, field, 0), w.place_of(end, field, _END)
    if not late and early:
        cut = w.padded(value, dim, -low, -high)
        inner = w.only(cut, dim)
        assert inner is not None
        return w.windows(cut, dim, 1, step, 0, 1) if step > 1 else cut
    if late != early or (low > high) == (not late):
        raise Unclear("it cuts between places that move apart in another way than the image's ends")
    size = len(range(0, abs(high - low), step))
    return w.edge(value, dim, size, max(low, high))


def _slice_scatter(
    w: Walk, x: Any, part: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Value:
    value, put = w.value(x), w.value(part)
    dim %= len(value.dims)
    field = w.only(value, dim)
    if field is None:
        if any(isinstance(place, dict) for place in (start, end)):
            raise Unclear("it writes at a place that depends on the image's size")
        return w.with_dims(value.dims, [value, put])
    (late, low), (early, high) = w.place_of(start, field, 0), w.place_of(end, field, _END)
    along, other, far = list(value.along), 1 - field.axis, max(low, high)
    along[other] = w.joined([value.along[other], put.along[other]], value.field(other))
    mine, its = value.along[field.axis], put.along[field.axis]
    if not late and early:
        if put.dims[dim] != (w.divide(field, step, -(-(field.length - low - high) // step)),):
            raise Unclear("it writes an array that grows in another way")
        zone, offsets = its.zone + far, its.shifted(-w.pitch(field) * low, -w.pitch(field) * low)
        if step > 1:  # between them stays what was there
            zone = max(mine.zone, step * (its.zone + 1) + far)
            offsets = (min(mine.low, offsets[0]), max(mine.high, offsets[1]))
    elif late == early and step == 1:
        zone, offsets = max(mine.zone, far), (mine.low, mine.high)
    else:
        raise Unclear("it writes between places that move apart in another way than the image's ends")
    end = max(mine.end, its.end, w.reach(field, far, (mine.low, mine.high)))
    along[field.axis] = w.settle(field, zone, offsets, end)
    return Value(value.dims, (along[0], along[1]))


def _select_scatter(w: Walk, x: Any, part: Any, dim: int, index: Any) -> Value:
    value, put = w.value(x), w.value(part)
    dim %= len(value.dims)
    field = w.only(value, dim)
    if field is None:
        return w.with_dims(value.dims, [value, put])
    late, far = w.place_of(index, field, 0)
    along = list(value.along)
    mine, its = along[field.axis], put.along[field.axis]
    other = 1 - field.axis
    along[other] = w.joined([along[other], put.along[other]], value.field(other))
    along[field.axis] = w.settle(field, max(mine.zone, far + (not late)), (mine.low, mine.high), max(mine.end, its.end))
    return Value(value.dims, (along[0], along[1]))


def _cat(w: Walk, parts: list[Any], dim: int = 0) -> Value:
    values = [w.value(part) for part in parts]
    dim %= len(values[0].dims)
    rest = [(*value.dims[:dim], *value.dims[dim + 1 :]) for value in values]
    if any(other != rest[0] for other in rest):
        raise Unclear("it joins arrays that grow in different ways")
    fields = [w.only(value, dim) for value in values]
    growing = [k for k, field in enumerate(fields) if field is not None]
    if not growing:
        dims = (
            *values[0].dims[:dim],
            fixed(sum(w.size(value, dim) for value in values))[0],
            *values[0].dims[dim + 1 :],
        )
        return w.with_dims(dims, values)
    if len(growing) > 1:
        raise Unclear("it puts two arrays that grow with the image end to end")
    at = growing[0]
    sizes = [w.size(value, dim) if k != at else 0 for k, value in enumerate(values)]
    wide = w.padded(values[at], dim, sum(sizes[:at]), sum(sizes[at:]))
    field = w.only(wide, dim)
    assert field is not None
    along = list(wide.along)
    mine, other = along[field.axis], 1 - field.axis
    end = max([mine.end, *(value.along[field.axis].end for value in values)])
    along[field.axis] = w.settle(field, mine.zone, (mine.low, mine.high), end)
    along[other] = w.joined([value.along[other] for value in values], wide.field(other))
    return Value(wide.dims, (along[0], along[1]))


def _stack(w: Walk, parts: list[Any], dim: int = 0) -> Value:
    made = w.broadcast([w.value(part) for part in parts])
    dim %= len(made.dims) + 1
    return Value((*made.dims[:dim], *fixed(len(parts)), *made.dims[dim:]), made.along)


def _unbind(w: Walk, x: Any, dim: int = 0) -> list[Value]:
    value = w.value(x)
    return [_without(value, dim)] * w.size(value, dim)


def _split(w: Walk, x: Any, sizes: Any, dim: int = 0) -> list[Value]:
    value = w.value(x)
    n = w.size(value, dim)
    widths = sizes if isinstance(sizes, list) else [min(sizes, n - at) for at in range(0, n, sizes)]
    return [w.moved(value, dim, fixed(width)[0], None) for width in widths]


def _reduce(w: Walk, x: Any, dim: Any = None, keepdim: bool = False) -> Value:
    value = w.value(x)
    rank = len(value.dims)
    axes = [d % rank for d in (range(rank) if dim is None or dim == [] else dim)]
    for place in axes:
        w.size(value, place)
    kept = tuple(() if place in axes else d for place, d in enumerate(value.dims) if keepdim or place not in axes)
    return Value(kept, value.along)


def _within(*places: int) -> Callable[..., Value]:
    """Operations along dimensions named in an argument, which must not grow; the shape stays."""

    def rule(w: Walk, x: Any, *args: Any, **_: Any) -> Value:
        value = w.value(x)
        for place in places:
            for dim in args[place] if isinstance(args[place], (list, tuple)) else [args[place]]:
                w.size(value, dim)
        return value

    return rule


def _index_select(w: Walk, x: Any, dim: int, index: Any) -> Value:
    value = w.value(x)
    w.size(value, dim)
    return w.moved(value, dim, fixed(w.constant(index).size)[0], None)


def _index(w: Walk, x: Any, indices: list[Any]) -> Value:
    value = w.value(x)
    used = [place for place, index in enumerate(indices) if index is not None]
    if len(used) != 1 or w.constant(indices[used[0]]).ndim != 1:
        raise Unclear("it gathers by several lists of indices")
    return _index_select(w, x, used[0], indices[used[0]]) if value.dims else value


def _product(w: Walk, x: Any, y: Any) -> Value:
    a, b = w.value(x), w.value(y)
    if a.along != (FREE, FREE) and b.along != (FREE, FREE):
        raise Unclear("it multiplies two values that depend on the image")
    w.size(a, -1)
    w.size(b, -2)
    lead = w.broadcast([Value(a.dims[:-2]), Value(b.dims[:-2])]).dims
    return w.with_dims((*lead, a.dims[-2], b.dims[-1]), [a, b])


def _channel_shuffle(w: Walk, x: Any, groups: int) -> Value:
    w.size(w.value(x), 1)
    return w.value(x)


_SAME = _elementwise(0)
RULES: dict[str, Callable[..., Any]] = {
    f"aten.{name}": rule
    for names, rule in (
        ("alias.default clone.default contiguous.default detach.default lift_fresh_copy.default", _SAME),
        ("positive.default neg.default _to_copy.default", _SAME),
        ("mul.Scalar div.Scalar", _SAME),
        ("add.Tensor add.Scalar sub.Tensor sub.Scalar mul.Tensor div.Tensor", _elementwise(0, 1)),
        ("where.self", _elementwise(0, 1, 2)),
        ("copy.default", _copy),
        ("expand.default", _expand),
        ("permute.default", _permute),
        ("transpose.int t.default", _transpose),
        ("squeeze.default squeeze.dim squeeze.dims", _squeeze),
        ("unsqueeze.default", _unsqueeze),
        ("select.int", _select),
        ("slice.Tensor", _slice),
        ("slice_scatter.default", _slice_scatter),
        ("select_scatter.default", _select_scatter),
        ("cat.default", _cat),
        ("stack.default", _stack),
        ("unbind.int", _unbind),
        ("split.Tensor split_with_sizes.default", _split),
        ("sum.default sum.dim_IntList mean.default mean.dim", _reduce),
        ("cumsum.default flip.default", _within(0)),
        ("index_select.default", _index_select),
        ("index.Tensor", _index),
        ("mm.default bmm.default", _product),
        ("channel_shuffle.default native_channel_shuffle.default", _channel_shuffle),
    )
    for name in names.split()
}
RULES["full"] = _full
