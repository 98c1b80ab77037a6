"""Operations that only move elements: torch itself runs them, on an array that holds row numbers in place of values.

An operation belongs here exactly where every element of its result is an element of one of its tensors, chosen without
looking at values. Row numbers travel as float64 (exact up to 2^53), since torch pads only floats by reflection.
Padding with a value first becomes padding with the row of that constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

MOVES = frozenset(
    f"aten.{name}"
    for name in (
        "alias.default", "cat.default", "channel_shuffle.default", "clone.default",
        "copy.default", "constant_pad_nd.default", "contiguous.default", "detach.default",
        "diagonal.default", "expand.default",
        "fill.Scalar", "fill.Tensor", "flip.default", "gather.default", "im2col.default",
        "index.Tensor", "index_put.default", "index_select.default", "lift_fresh_copy.default", "masked_fill.Scalar",
        "masked_fill.Tensor", "native_channel_shuffle.default", "permute.default", "pixel_shuffle.default",
        "pixel_unshuffle.default", "positive.default", "reflection_pad1d.default", "reflection_pad2d.default",
        "reflection_pad3d.default", "repeat.default", "replication_pad1d.default", "replication_pad2d.default",
        "replication_pad3d.default", "reshape.default", "roll.default", "rot90.default", "select.int",
        "select_scatter.default", "slice.Tensor", "slice_scatter.default", "split.Tensor", "split_with_sizes.default",
        "squeeze.default", "squeeze.dim", "squeeze.dims", "stack.default", "t.default", "transpose.int", "tril.default",
        "triu.default", "unbind.int", "unfold.default", "unsqueeze.default", "_unsafe_view.default",
        "upsample_nearest1d.default", "upsample_nearest2d.default", "view.default",
        "where.self", "where.ScalarOther", "where.ScalarSelf",
    )
)  # fmt: skip

# The argument that is a value, and so becomes a row number: {operation: (place, default)}.
VALUE_ARGUMENT: dict[str, tuple[int, float]] = {
    "aten.constant_pad_nd.default": (2, 0.0),
    "aten.fill.Scalar": (1, 0.0),
    "aten.masked_fill.Scalar": (2, 0.0),
    "aten.where.ScalarOther": (2, 0.0),
    "aten.where.ScalarSelf": (1, 0.0),
}


def overload(name: str) -> Callable[..., Any]:
    """torch's own function for one of the names in `MOVES`."""
    assert name in MOVES
    _, base, kind = name.split(".")
    found: Callable[..., Any] = getattr(getattr(torch.ops.aten, base), kind)
    return _by_lines(found) if base.startswith("upsample_nearest") else found


def _by_lines(resize: Callable[..., Any]) -> Callable[..., Any]:
    """Resizing to the nearest pixel. torch looks for it in the image's own dtype, and so in float32 less exactly than
    on row numbers: its own resizing of a line of places in float32 tells which pixel each takes."""

    def move(rows: torch.Tensor, sizes: list[int], *scales: float | None) -> torch.Tensor:
        for axis, wanted in enumerate(sizes):
            place = rows.ndim - len(sizes) + axis
            line = torch.arange(rows.shape[place], dtype=torch.float32)  # exact up to 2^24, more than a pool has pixels
            ones = [1] * (len(sizes) - 1)
            factors = [*scales[axis : axis + 1], *ones] if scales else []
            found = resize(line.reshape(1, 1, -1, *ones), [wanted, *ones], *factors)
            rows = rows.index_select(place, found.reshape(-1).long())
        return rows

    return move
