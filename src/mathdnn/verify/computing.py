"""Rules of the checker for linear operations: one factor of every product must not depend on the image."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.verify.numbers import (
    Malformed,
    Modular,
    clean,
    convolve,
    padded,
    require_room,
    together,
    trim,
)  # fmt: skip

if TYPE_CHECKING:
    from mathdnn.verify.graphs import Machine


def _plus(sign: int) -> Callable[..., np.ndarray]:
    def rule(m: Machine, x: Any, y: Any, alpha: Any = 1) -> np.ndarray:
        m.count(2)
        second = m.numbers.mul(*together(clean(m.value(y)), m.value(alpha)))
        return (m.numbers.add if sign > 0 else m.numbers.sub)(*together(clean(m.value(x)), second))

    return rule


def _less(m: Machine, x: Any, y: Any, alpha: Any = 1) -> np.ndarray:
    return _plus(-1)(m, y, x, alpha)


def _power(m: Machine, x: Any, exponent: Any) -> np.ndarray:
    if isinstance(exponent, dict) or exponent != 1:
        raise Malformed("a power")
    return clean(m.value(x))


def _minus(m: Machine, x: Any) -> np.ndarray:
    m.count(1)
    value = clean(m.value(x))
    return m.numbers.sub(np.zeros_like(value), value)


def _times(m: Machine, x: Any, y: Any) -> np.ndarray:
    """One factor must not depend on the image."""
    if m.is_image(x) and m.is_image(y):
        raise Malformed("a product of two values that depend on the image")
    m.count(1)
    return m.numbers.mul(*together(clean(m.value(x)), clean(m.value(y))))


def _over(m: Machine, x: Any, y: Any, rounding_mode: Any = None) -> np.ndarray:
    if m.is_image(y) or rounding_mode is not None:
        raise Malformed("a division by a value that depends on the image, or a rounding one")
    m.count(1)
    if isinstance(m.numbers, Modular) and isinstance(y, dict) and "node" in y:
        return m.numbers.mul(*together(clean(m.value(x)), m.numbers.inverse(clean(m.value(y)))))
    raw = m.constant(y)
    different, place = np.unique(raw, return_inverse=True)
    inverse = [m.numbers.fraction(1 / Fraction(value)) for value in different.tolist()]
    return m.numbers.mul(*together(clean(m.value(x)), np.array(inverse)[place.reshape(raw.shape)]))


def _reduce(mean: bool) -> Callable[..., np.ndarray]:
    def rule(m: Machine, x: Any, dim: Any = None, keepdim: bool = False) -> np.ndarray:
        value = clean(m.value(x))
        axes = tuple(axis % value.ndim for axis in (range(value.ndim) if dim is None or dim == [] else dim))
        terms = math.prod(value.shape[axis] for axis in axes)
        m.count(terms)
        total = m.numbers.total(value, axes)
        total = np.expand_dims(total, axes) if keepdim else total
        return m.numbers.mul(total, m.numbers.fraction(Fraction(1, terms))) if mean else total

    return rule


def _cumsum(m: Machine, x: Any, dim: int) -> np.ndarray:
    value = np.moveaxis(clean(m.value(x)), dim, -1)
    m.count(value.shape[-1])
    sums = [m.numbers.total(value[..., : k + 1], (-1,)) for k in range(value.shape[-1])]
    return np.moveaxis(np.stack(sums, axis=-1), -1, dim)


def _product(m: Machine, x: Any, y: Any) -> np.ndarray:
    if m.is_image(x) and m.is_image(y):
        raise Malformed("a product of two matrices that depend on the image")
    a, b = clean(m.value(x)), clean(m.value(y))
    if a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2]:
        raise Malformed("matrices that no product is made of")
    m.count(a.shape[-1])
    require_room(a.size, b.shape[-1])
    return m.numbers.total(m.numbers.mul(a[..., :, :, None], b[..., None, :, :]), (a.ndim - 1,))


def _sum_and_product(m: Machine, x: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> np.ndarray:
    m.count(4)
    first = m.numbers.mul(*together(clean(m.value(x)), m.value(beta)))
    return m.numbers.add(*together(first, m.numbers.mul(*together(_product(m, a, b), m.value(alpha)))))


def _convolution(
    m: Machine,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    extra: Any,
    groups: int,
) -> np.ndarray:
    if any(isinstance(part, dict) and "node" in part for part in (weight, bias)):
        raise Malformed("weights that are computed")
    value, w = clean(m.value(x)), m.value(weight)
    axes = w.ndim - 2
    _require_layer(w.shape, value.shape[-axes - 1], (stride, padding, dilation, extra), transposed, groups)
    single = value.ndim == axes + 1
    value = value[None] if single else value
    pads: Any = [(p, p) for p in padding]
    if transposed:
        value, w, pads = _as_plain(value, w, stride, padding, dilation, extra, groups)
        stride = [1] * axes
    flat = [n for low, high in reversed(pads) for n in (low, high)]
    trimmed, sides = trim(value, flat)
    m.count(math.prod(w.shape[1:]) + (bias is not None))
    made = convolve(m.numbers, padded(trimmed, sides), w, stride, dilation, groups, axes)
    if bias is not None:
        made = m.numbers.add(made, m.value(bias).reshape(-1, *[1] * axes))
    return made[0] if single else made


def _require_layer(shape: Any, channels: int, lists: tuple[Any, ...], transposed: bool, groups: int) -> None:
    """What torch asks of a convolution."""
    stride, padding, dilation, extra = lists
    if any(len(part) != len(shape) - 2 or any(type(n) is not int for n in part) for part in lists):
        raise Malformed("a convolution whose windows are no lists of whole numbers")
    if min(*stride, *dilation) < 1 or min(*padding, *extra) < 0 or type(transposed) is not bool:
        raise Malformed("a stride or dilation below 1, or a padding below 0, or no way to go")
    if transposed and any(more >= max(s, d) for more, s, d in zip(extra, stride, dilation, strict=True)):
        raise Malformed("an output padding as large as the stride")
    wanted = shape[0] if transposed else shape[1] * groups
    if type(groups) is not int or groups < 1 or shape[0] % groups or wanted != channels:
        raise Malformed("weights that do not fit the channels")


def _as_plain(
    value: np.ndarray, w: np.ndarray, stride: Any, padding: Any, dilation: Any, extra: Any, groups: int
) -> Any:
    """A transposed convolution as a plain one: zeros between the pixels, kernels turned, in and out swapped."""
    axes = w.ndim - 2
    between = [(n - 1) * s + 1 for n, s in zip(value.shape[2:], stride, strict=True)]
    require_room(*value.shape[:2], *between)
    spread = np.zeros((*value.shape[:2], *between), value.dtype)
    spread[tuple([slice(None)] * 2 + [slice(None, None, s) for s in stride])] = value
    turned = np.flip(w, axis=tuple(range(2, w.ndim)))
    parts = [part.swapaxes(0, 1) for part in np.split(turned, groups, axis=0)]
    reach = [d * (k - 1) for d, k in zip(dilation, w.shape[2:], strict=True)]
    pads = [(reach[k] - padding[k], reach[k] - padding[k] + extra[k]) for k in range(axes)]
    return spread, np.concatenate(parts, axis=0), pads


def _average_pool(
    m: Machine,
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> np.ndarray:
    value = clean(m.value(x))
    axes = 1 if m.graph["nodes"][len(m.values)]["op"].startswith("aten.avg_pool1d") else 2
    if divisor_override is not None and (type(divisor_override) is not int or divisor_override < 1):
        raise Malformed("a divisor below 1")
    full = [list(part) * (axes if len(part) == 1 else 1) for part in (kernel, stride or kernel, padding or (0,))]
    boxes = []
    for axis in range(axes):
        n, (k, s, p) = value.shape[axis - axes], (part[axis] for part in full)
        line = []
        for i in range(_pooled(n, k, s, p, ceil_mode)):
            low, high = i * s - p, min(i * s - p + k, n + p)
            inside = (max(low, 0), min(high, n))
            line.append((*inside, high - low if count_include_pad else inside[1] - inside[0]))
        boxes.append(line)
    m.count(math.prod(max(high - low for low, high, _ in line) for line in boxes))
    return _box_means(m, value, boxes, divisor_override)


def _pooled(n: int, k: int, s: int, p: int, ceil_mode: bool) -> int:
    """The windows of k pixels on n and p on either side. One that hangs over the end must not begin behind it."""
    if any(type(size) is not int for size in (k, s, p)) or min(k, s) < 1 or not 0 <= 2 * p <= k:
        raise Malformed("a window that no pool has")
    if not ceil_mode:
        return (n + 2 * p - k) // s + 1
    made = -((k - n - 2 * p) // s) + 1
    return made - ((made - 1) * s >= n + p)


def _max_pool(m: Machine, x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), *_: Any) -> list[np.ndarray]:
    """Only windows of one pixel are linear: they take it as it is."""
    if set(kernel) != {1} or set(padding) != {0}:
        raise Malformed("a maximum of several pixels")
    down, right = (list(stride) or [1, 1]) * (2 if len(stride) == 1 else 1)
    if min(down, right) < 1:
        raise Malformed("a stride below 1")
    return [m.loose(x)[..., ::down, ::right]]


def _unpool(m: Machine, x: Any, places: Any, size: list[int]) -> np.ndarray:
    value, at = m.loose(x), m.plain(places)
    flat, planes = at.reshape(-1, math.prod(at.shape[-2:])), value.reshape(-1, math.prod(value.shape[-2:]))
    if flat.shape != planes.shape or any(len(set(row)) != len(row) or min(row) < 0 for row in flat.tolist()):
        raise Malformed("two pixels that go to one place")
    require_room(len(flat), *size)
    made = np.zeros((len(flat), math.prod(size)), value.dtype)
    for plane, row, values in zip(made, flat, planes, strict=True):
        plane[row] = values
    return made.reshape(*value.shape[:-2], *size)


def _adaptive(m: Machine, x: Any, size: list[int]) -> np.ndarray:
    value = clean(m.value(x))
    require_room(*value.shape[: -len(size)], *size)
    boxes = []
    for k, wanted in enumerate(size):
        n = value.shape[k - len(size)]
        line = [(i * n // wanted, math.ceil((i + 1) * n / wanted)) for i in range(wanted)]
        boxes.append([(low, high, high - low) for low, high in line])
    m.count(math.prod(max(high - low for low, high, _ in line) for line in boxes))
    return _box_means(m, value, boxes, None)


def _box_means(m: Machine, value: np.ndarray, boxes: list[Any], divisor: int | None) -> np.ndarray:
    """One axis after the other: sums over the pixels of each box, then all divided."""
    axes = len(boxes)
    for k, line in enumerate(boxes):
        moved = np.moveaxis(value, k - axes, 0)
        total = np.zeros((len(line), *moved.shape[1:]), value.dtype)
        low, high = (np.array([box[side] for box in line]) for side in (0, 1))
        for step in range(int((high - low).max(initial=0))):
            inside = low + step < high
            total[inside] = m.numbers.add(total[inside], moved[(low + step)[inside]])
        value = np.moveaxis(total, 0, k - axes)
    counts = np.array(divisor or 1)
    for line in () if divisor else boxes:
        counts = counts[..., None] * np.array([count for _, _, count in line])
    different, place = np.unique(counts, return_inverse=True)
    weights = np.array([m.numbers.fraction(Fraction(1, count)) for count in different.tolist()])
    return m.numbers.mul(value, weights[place.reshape(counts.shape)])


COMPUTING: dict[str, Callable[..., Any]] = {
    f"aten.{name}": rule
    for names, rule in (
        ("_to_copy.default", lambda m, x: clean(m.value(x))),
        ("add.Tensor add.Scalar", _plus(1)),
        ("sub.Tensor sub.Scalar", _plus(-1)),
        ("rsub.Tensor rsub.Scalar", _less),
        ("neg.default", _minus),
        ("pow.Tensor_Scalar", _power),
        ("mul.Tensor mul.Scalar", _times),
        ("div.Tensor div.Scalar div.Tensor_mode", _over),
        ("sum.default sum.dim_IntList", _reduce(False)),
        ("mean.default mean.dim", _reduce(True)),
        ("cumsum.default", _cumsum),
        ("mm.default bmm.default", _product),
        ("addmm.default", _sum_and_product),
        ("convolution.default", _convolution),
        ("avg_pool1d.default avg_pool2d.default", _average_pool),
        ("max_pool2d_with_indices.default", _max_pool),
        ("max_unpool2d.default", _unpool),
        ("_adaptive_avg_pool2d.default adaptive_avg_pool1d.default", _adaptive),
    )
    for name in names.split()
}
