"""Rules of the checker for operations that only move elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.verify.numbers import Malformed, padded, require_room, together, trim, windows_of
from mathdnn.verify.resampling import factor, positions

if TYPE_CHECKING:
    from mathdnn.verify.graphs import Machine


def _same(m: Machine, x: Any, *_: Any) -> np.ndarray:
    return m.loose(x)


def _view(m: Machine, x: Any, shape: Any) -> np.ndarray:
    return m.loose(x).reshape(shape)


def _expand(m: Machine, x: Any, sizes: list[int], *_: Any) -> np.ndarray:
    value = m.loose(x)
    lead = len(sizes) - value.ndim
    if -1 in sizes[: max(0, lead)]:
        raise Malformed("a new dimension without a size")
    wanted = [value.shape[k - lead] if size == -1 else size for k, size in enumerate(sizes)]
    return np.broadcast_to(value, wanted)


def _slice_of(ndim: int, dim: int, start: Any, end: Any, step: int) -> tuple[Any, ...]:
    if step < 1:
        raise Malformed("a slice with a step below 1")
    cut: list[Any] = [slice(None)] * ndim
    cut[dim] = slice(start, end, step)
    return tuple(cut)


def _slice(m: Machine, x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> np.ndarray:
    value = m.loose(x)
    return np.asarray(value[_slice_of(value.ndim, dim, start, end, step)])


def _slice_scatter(
    m: Machine, x: Any, part: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> np.ndarray:
    value = m.loose(x).copy()
    value[_slice_of(value.ndim, dim, start, end, step)] = m.loose(part)
    return value


def _select(m: Machine, x: Any, dim: int, index: int) -> np.ndarray:
    return np.asarray(np.take(m.loose(x), index, axis=dim))


def _select_scatter(m: Machine, x: Any, part: Any, dim: int, index: int) -> np.ndarray:
    value = m.loose(x).copy()
    np.moveaxis(value, dim, 0)[index] = m.loose(part)
    return value


def _squeeze(m: Machine, x: Any, dim: Any = None) -> np.ndarray:
    value = m.loose(x)
    axes = range(value.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    drop = tuple(axis % value.ndim for axis in axes if value.shape[axis] == 1)
    return np.squeeze(value, axis=drop) if drop else value


def _copy(m: Machine, x: Any, source: Any, *_: Any) -> np.ndarray:
    return np.broadcast_to(m.loose(source), m.loose(x).shape)


def _fill(m: Machine, x: Any, value: Any) -> np.ndarray:
    return np.broadcast_to(m.value(value), m.loose(x).shape)


def _pad(m: Machine, x: Any, pads: list[int], fill: Any = 0) -> np.ndarray:
    value, sides = trim(m.loose(x), pads)
    return padded(value, sides, constant_values=m.value(fill).item())


def _pad_mode(mode: Any) -> Callable[..., np.ndarray]:
    def rule(m: Machine, x: Any, pads: list[int]) -> np.ndarray:
        value, sides = trim(m.loose(x), pads)
        if mode == "reflect" and any(max(side) >= n for side, n in zip(sides, value.shape, strict=True) if max(side)):
            raise Malformed("a reflection wider than the image")
        return padded(value, sides, mode=mode)

    return rule


def _roll(m: Machine, x: Any, shifts: list[int], dims: Any = ()) -> np.ndarray:
    value = m.loose(x)
    return np.roll(value, shifts, axis=tuple(dims)) if dims else np.roll(value, shifts[0])


def _repeat(m: Machine, x: Any, repeats: list[int]) -> np.ndarray:
    value = m.loose(x)
    require_room(value.size, *repeats)
    return np.tile(value, repeats)


def _pieces(m: Machine, x: Any, sizes: Any, dim: int = 0) -> list[np.ndarray]:
    value = m.loose(x)
    n = value.shape[dim]
    widths = sizes if isinstance(sizes, list) else [min(sizes, n - at) for at in range(0, n, max(1, sizes))]
    return np.split(value, np.cumsum(widths)[:-1], axis=dim)


def _unbind(m: Machine, x: Any, dim: int = 0) -> list[np.ndarray]:
    return list(np.moveaxis(m.loose(x), dim, 0))


def _shuffle(m: Machine, x: Any, r: int) -> np.ndarray:
    value = m.loose(x)
    *lead, c, h, w = value.shape
    split = value.reshape(*lead, c // r**2, r, r, h, w)
    return np.moveaxis(split, [-4, -3], [-3, -1]).reshape(*lead, c // r**2, h * r, w * r)


def _unshuffle(m: Machine, x: Any, r: int) -> np.ndarray:
    value = m.loose(x)
    *lead, c, h, w = value.shape
    split = value.reshape(*lead, c, h // r, r, w // r, r)
    return np.moveaxis(split, [-3, -1], [-4, -3]).reshape(*lead, c * r * r, h // r, w // r)


def _channel_shuffle(m: Machine, x: Any, groups: int) -> np.ndarray:
    value = m.loose(x)
    n, c, *rest = value.shape
    return value.reshape(n, groups, c // groups, *rest).swapaxes(1, 2).reshape(value.shape)


def _unfold(m: Machine, x: Any, dim: int, size: int, step: int) -> np.ndarray:
    value = m.loose(x)
    windows = np.lib.stride_tricks.sliding_window_view(value, size, axis=dim)
    return np.asarray(windows[_slice_of(windows.ndim, dim % value.ndim, None, None, step)])


def _im2col(m: Machine, x: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> np.ndarray:
    value = m.loose(x)
    lead = value.shape[:-2]
    pads = [(0, 0)] * len(lead) + [(p, p) for p in padding]
    windows = windows_of(padded(value, pads), kernel, stride, dilation)  # (*lead, i, j, a, b)
    require_room(*windows.shape)
    order = np.moveaxis(windows, [-2, -1], [-4, -3])
    return order.reshape(*lead[:-1], lead[-1] * kernel[0] * kernel[1], -1)


def _nearest(m: Machine, x: Any, size: list[int], *scales: Any) -> np.ndarray:
    value = m.loose(x)
    for k, wanted in enumerate(size):
        axis = value.ndim - len(size) + k
        n, scale = value.shape[axis], factor(scales, k)
        require_room(value.size // max(1, n), wanted)
        value = np.take(value, _nearest_of(n, wanted, scale, len(size) == 2, m.dtype == "float32"), axis=axis)
    return value


def _nearest_of(n: int, wanted: int, scale: float | None, plane: bool, single: bool) -> np.ndarray:
    """The pixel of a line that each of the result takes. On planes torch copies equal sizes, and repeats each pixel
    where they are twice as large, whatever the factor; else it multiplies in float32 or, depending on how an image of
    doubles lies in memory, in float64."""
    i = np.arange(wanted)
    if min(n, wanted) < 1 or max(n, wanted) > 1 << 24:
        raise Malformed("a line too long or empty")
    if plane and wanted in (n, 2 * n):
        return np.asarray(i * n // wanted)
    ratio = 1.0 / scale if scale else n / wanted
    first, other = (np.minimum(np.floor(found).astype(np.int64), n - 1) for found in positions(i, ratio))
    if not single and (first != other).any():
        raise Malformed("float32 and float64 find other pixels")
    return np.asarray(first)


def _where(m: Machine, condition: Any, a: Any, b: Any) -> np.ndarray:
    return np.where(*together(m.plain(condition).astype(bool), m.loose(a), m.loose(b)))


def _masked_fill(m: Machine, x: Any, mask: Any, fill: Any) -> np.ndarray:
    return np.where(*together(m.plain(mask).astype(bool), m.value(fill), m.loose(x)))


def _index(m: Machine, x: Any, indices: list[Any]) -> np.ndarray:
    value = m.loose(x)
    chosen = tuple(slice(None) if index is None else m.plain(index) for index in indices)
    places = np.broadcast_shapes(*(index.shape for index in chosen if not isinstance(index, slice)))
    rest = [n for k, n in enumerate(value.shape) if k >= len(chosen) or isinstance(chosen[k], slice)]
    require_room(*places, *rest)
    return np.asarray(value[chosen])


def _index_put(m: Machine, x: Any, indices: list[Any], part: Any, accumulate: bool = False) -> np.ndarray:
    if accumulate:
        raise Malformed("it adds into elements")
    value = m.loose(x).copy()
    value[tuple(slice(None) if index is None else m.plain(index) for index in indices)] = m.loose(part)
    return value


def _gather(m: Machine, x: Any, dim: int, index: Any, *_: Any) -> np.ndarray:
    value, places = m.loose(x), m.plain(index)
    if places.ndim != value.ndim:
        raise Malformed("places of other dimensions")
    used = [slice(None) if k == dim % value.ndim else slice(n) for k, n in enumerate(places.shape)]
    return np.take_along_axis(value[tuple(used)], places, axis=dim)


def _index_select(m: Machine, x: Any, dim: int, index: Any) -> np.ndarray:
    value, places = m.loose(x), m.plain(index)
    require_room(value.size // max(1, value.shape[dim]), places.size)
    return np.take(value, places, axis=dim)


def _joined(join: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def rule(m: Machine, xs: Any, dim: int = 0) -> np.ndarray:
        values = [m.loose(x) for x in xs]
        if join is np.concatenate and any(value.ndim != 1 for value in values):
            values = [value for value in values if value.shape != (0,)]  # an empty list joins anything, as in torch
        require_room(sum(value.size for value in values))
        return join(values, axis=dim)

    return rule


def _triangle(keep: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def rule(m: Machine, x: Any, diagonal: int = 0) -> np.ndarray:
        return keep(m.loose(x), diagonal)

    return rule


MOVING: dict[str, Callable[..., Any]] = {
    f"aten.{name}": rule
    for names, rule in (
        (
            "alias.default clone.default contiguous.default detach.default lift_fresh_copy.default positive.default",
            _same,
        ),
        ("view.default reshape.default _unsafe_view.default", _view),
        ("expand.default", _expand),
        ("slice.Tensor", _slice),
        ("slice_scatter.default", _slice_scatter),
        ("select.int", _select),
        ("select_scatter.default", _select_scatter),
        ("squeeze.default squeeze.dim squeeze.dims", _squeeze),
        ("unsqueeze.default", lambda m, x, dim: np.expand_dims(m.loose(x), dim)),
        ("permute.default", lambda m, x, dims: np.transpose(m.loose(x), dims)),
        ("transpose.int", lambda m, x, a, b: np.swapaxes(m.loose(x), a, b)),
        ("t.default", lambda m, x: m.loose(x).T),
        ("flip.default", lambda m, x, dims: np.flip(m.loose(x), tuple(dims))),
        ("cat.default", _joined(np.concatenate)),
        ("stack.default", _joined(np.stack)),
        ("copy.default", _copy),
        ("fill.Scalar fill.Tensor", _fill),
        ("constant_pad_nd.default", _pad),
        ("reflection_pad1d.default reflection_pad2d.default reflection_pad3d.default", _pad_mode("reflect")),
        ("replication_pad1d.default replication_pad2d.default replication_pad3d.default", _pad_mode("edge")),
        ("roll.default", _roll),
        ("rot90.default", lambda m, x, k=1, dims=(0, 1): np.rot90(m.loose(x), k, tuple(dims))),
        ("repeat.default", _repeat),
        ("split.Tensor split_with_sizes.default", _pieces),
        ("unbind.int", _unbind),
        ("pixel_shuffle.default", _shuffle),
        ("pixel_unshuffle.default", _unshuffle),
        ("channel_shuffle.default native_channel_shuffle.default", _channel_shuffle),
        ("unfold.default", _unfold),
        ("im2col.default", _im2col),
        ("diagonal.default", lambda m, x, offset=0, a=0, b=1: np.diagonal(m.loose(x), offset, a, b)),
        ("upsample_nearest1d.default upsample_nearest2d.default", _nearest),
        ("where.self where.ScalarOther where.ScalarSelf", _where),
        ("masked_fill.Scalar masked_fill.Tensor", _masked_fill),
        ("index.Tensor", _index),
        ("index_put.default", _index_put),
        ("index_select.default", _index_select),
        ("gather.default", _gather),
        ("tril.default", _triangle(np.tril)),
        ("triu.default", _triangle(np.triu)),
    )
    for name in names.split()
}
