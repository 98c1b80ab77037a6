"""Writing whose result hangs on the order in which elements are written, which torch leaves open: threads share it.

A call reads what it writes, `y[:-1] = y[1:]`; writes one element of memory twice, into a view whose elements share it;
or puts several values into one place. On a small image one thread goes through in order and the result looks settled.
With open sizes the elements are those of the example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from mathdnn.convolution.watched import NotTraced

if TYPE_CHECKING:
    from collections.abc import Sequence

_READS = "it writes into memory that the same call reads elsewhere, in an order that torch leaves open"
_TWICE = "it writes several values into one element, in an order that torch leaves open"


def refuse_overlap(func: Any, args: Any, kwargs: Any) -> bool:
    """Raise `NotTraced` where a call's result depends on the order of its elements. Whether it reads memory that it
    writes into, in places of their own.

    An elementwise call may read each element that it writes, and no other call any.
    """
    if not func._schema.is_mutable:
        return False
    given = {**dict(zip((a.name for a in func._schema.arguments), args, strict=False)), **kwargs}
    tensors: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for argument in func._schema.arguments:
        write = argument.alias_info is not None and argument.alias_info.is_write
        tensors[write] += [
            x for x in tree_leaves(given.get(argument.name)) if isinstance(x, torch.Tensor) and _dense(x)
        ]
    elementwise = torch.Tag.pointwise in func.tags or func is torch.ops.aten.copy_.default
    shared = False
    for written in tensors[True]:
        if not _apart(written) and len(np.unique(places := _places(written))) < places.size:
            raise NotTraced(_TWICE)
        for read in tensors[False]:
            if _memory(read) == _memory(written):
                shared = True
                _refuse_common(_places(written), _places(read), elementwise)
    return shared


def _dense(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested


def _refuse_common(written: np.ndarray, read: np.ndarray, elementwise: bool) -> None:
    if not written.size or not read.size or written.max() < read.min() or read.max() < written.min():
        return
    same = elementwise and np.squeeze(written).shape == np.squeeze(read).shape
    if same and np.array_equal(np.squeeze(written), np.squeeze(read)):
        return
    low = min(written.min(), read.min())
    held = np.zeros(max(written.max(), read.max()) - low + 1, bool)
    held[written - low] = True
    if held[read - low].any():
        raise NotTraced(_READS)


def _memory(tensor: torch.Tensor) -> int:
    return int(torch.Tensor.untyped_storage(tensor)._cdata)


def _number(size: Any) -> int:
    """A size, or what it is on the example: asking a symbol itself would leave a guard."""
    return size if isinstance(size, int) else int(size.node.hint)


def _lines(tensor: torch.Tensor) -> list[tuple[int, int]]:
    """(size, stride) of each axis."""
    return [(_number(n), _number(step)) for n, step in zip(tensor.shape, tensor.stride(), strict=True)]


def _apart(tensor: torch.Tensor) -> bool:
    """Whether every axis steps over all that the axes with smaller strides reach, so that no element is met twice."""
    reach = 0
    for step, size in sorted((step, size) for size, step in _lines(tensor) if size > 1):
        if step <= reach:
            return False
        reach += step * (size - 1)
    return True


def _places(tensor: torch.Tensor) -> np.ndarray:
    """Where each element lies in its memory."""
    lines = _lines(tensor)
    at = np.full((1,) * len(lines), _number(tensor.storage_offset()), np.int64)
    for axis, (size, step) in enumerate(lines):
        along = [1] * len(lines)
        along[axis] = size
        at = at + (step * np.arange(size)).reshape(along)
    return at


def refuse_twice(sizes: Sequence[Any], places: Sequence[torch.Tensor | None], values: int) -> None:
    """Raise `NotTraced` where `index_put` puts several of its values into one place; a mask chooses no place twice."""
    axes = [(n, at.long()) for n, at in zip(sizes, places, strict=False) if at is not None and at.dtype != torch.bool]
    if values == 1 or not axes:
        return
    lines = np.broadcast_arrays(*[at.numpy() % n if isinstance(n, int) else at.numpy() for n, at in axes])
    chosen = np.stack([line.ravel() for line in lines])
    if np.unique(chosen, axis=1).shape[1] < chosen.shape[1]:
        raise NotTraced(_TWICE)
