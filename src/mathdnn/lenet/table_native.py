"""When the compiled kernels convolve over a table, and when torch does.

    density = edges / (groups pad(in_channels / groups) pad(out_channels / groups))     pad: rounded up to 16 channels,
                                                                                        as torch multiplies them
    fill    = output rows of all images / (16 rows computed)                            lanes that hold something
    load    = density / fill
    block   = bytes of 16 images, input and output

The kernels do `density` of torch's work and use `fill` of their lanes, so they win while `load` stays below a limit:
one for each direction and kind of filter, and for blocks that are near (leave room in a core's second-level cache) or
far. Where each input map feeds one output map, memory decides; for the derivatives of filters larger than 3x3 torch has
no kernel of its own there, and is far behind. The limits are a heuristic, measured on one thread and two, with torch
2.13 (1 to 1000 images, 1 to 128 maps, 8 to 64 pixels, filters 1x1 to 7x7, strides, dilations and groups): for AVX2
kernel by kernel over 2,168 sizes (Zen 3, 512 KB of second-level cache; other filters anew over 698, after their kernels
had become up to twice as fast), for AVX-512 layer by layer over 1,194 (Zen 4, 1 MB, before that; blocks of 512 KB to 1
MB anew over 742, after filters 1, 3 and 5 wide had become faster; float64 kernel by kernel, on Zen 5). Below them the
kernels were mostly the faster way, above them torch was. Each thread needs memory for
a block, so beyond LARGEST torch convolves whatever is faster.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch

from mathdnn import native

if TYPE_CHECKING:
    from mathdnn.lenet.table_function import Geometry
    from mathdnn.native.table import TableKernel

Direction = Literal["forward", "backward"]
LARGEST = 128 << 20  # bytes of a block


class Limit(NamedTuple):
    """The largest load at which the kernels convolve, for blocks near and far."""

    near: float
    far: float


class Limits(NamedTuple):
    """What was measured with one instruction set; bytes of a block, and loads by kind of filter."""

    near: int
    near_3_wide: int  # of filters 3 wide without groups, which stay ahead in larger blocks
    one_to_one: dict[Direction, int]
    loads: dict[str, dict[Direction, Limit]]


def _loads(*rows: tuple[str, Limit, Limit]) -> dict[str, dict[Direction, Limit]]:
    return {kind: {"forward": forward, "backward": backward} for kind, forward, backward in rows}


AVX512 = Limits(512 << 10, 1 << 20, {"forward": 4 << 20, "backward": 4 << 20}, _loads(
    ("float64", Limit(1.0, 1.0), Limit(1.0, 1.0)),
    ("filters 5 wide", Limit(1.0, 0.9), Limit(1.0, 0.8)),
    ("filters 3 wide", Limit(0.95, 0.7), Limit(0.95, 0.6)),
    ("filters 1 wide", Limit(1.0, 0.6), Limit(0.8, 0.5)),
    ("other filters", Limit(0.9, 0.55), Limit(0.85, 0.5)),
    ("groups, filters 5 wide", Limit(0.6, 0.6), Limit(0.6, 0.6)),
    ("groups, filters 3 wide", Limit(0.6, 0.4), Limit(0.6, 0.4)),
    ("groups, filters 1 wide", Limit(0.4, 0.4), Limit(0.4, 0.4)),
    ("groups, other filters", Limit(0.6, 0.3), Limit(0.5, 0.3)),
))  # fmt: skip
AVX2 = Limits(640 << 10, 640 << 10, {"forward": 4 << 20, "backward": 64 << 20}, _loads(
    ("float64", Limit(1.2, 1.0), Limit(0.6, 0.5)),
    ("filters 5 wide", Limit(1.1, 0.6), Limit(0.9, 0.6)),
    ("filters 3 wide", Limit(1.1, 0.7), Limit(1.0, 0.55)),
    ("filters 1 wide", Limit(0.8, 0.3), Limit(0.8, 0.3)),
    ("other filters", Limit(3.0, 0.5), Limit(0.85, 0.65)),
    ("groups, filters 5 wide", Limit(1.1, 0.6), Limit(1.0, 0.6)),
    ("groups, filters 3 wide", Limit(1.1, 0.55), Limit(1.1, 0.5)),
    ("groups, filters 1 wide", Limit(1.0, 0.3), Limit(0.6, 0.3)),
    ("groups, other filters", Limit(1.2, 0.4), Limit(0.5, 0.4)),
))  # fmt: skip


def _lower(a: Limits, b: Limits) -> Limits:
    ways: tuple[Direction, Direction] = ("forward", "backward")
    return Limits(
        min(a.near, b.near),
        min(a.near_3_wide, b.near_3_wide),
        {way: min(a.one_to_one[way], b.one_to_one[way]) for way in ways},
        {k: {way: Limit(*map(min, a.loads[k][way], b.loads[k][way])) for way in ways} for k in a.loads},
    )


UNMEASURED = _lower(AVX2, AVX512)


def limits() -> Limits:
    """Those of this processor's instruction set; where nothing was measured, the lower ones."""
    return {"avx2": AVX2, "avx512": AVX512}.get(native.instruction_set(), UNMEASURED)


class Ways(NamedTuple):
    """The compiled kernel for each direction, or None where torch convolves; and the sentences that say why."""

    forward: TableKernel | None
    backward: TableKernel | None
    why_forward: str
    why_backward: str


@lru_cache(maxsize=512)
def ways(where: Geometry, shape: tuple[int, ...], dtype: torch.dtype, threads: int) -> Ways:
    """Both directions for images of `shape` (n, maps, rows, columns) on the processor."""
    if dtype not in (torch.float32, torch.float64):
        return _all_torch(f"the kernels compute float32 and float64, not {dtype}")
    if not native.available():
        return _all_torch("the compiled kernels were not built")
    from mathdnn.native.table import MOST_THREADS, TableGeometry, table_kernel

    geometry = TableGeometry(
        where.table.maps, (shape[1], shape[2], shape[3]), where.kernel_size, where.stride, where.padding, where.dilation
    )
    if 0 in shape or min(geometry.output) < 1:
        return _all_torch("nothing to compute")
    if not geometry.countable:
        return _all_torch("the sizes are beyond what the kernels count")
    kernel = table_kernel(geometry, str(dtype).removeprefix("torch."), min(threads, MOST_THREADS))
    forward, why_forward = pays(where, "forward", kernel, shape[0], dtype)
    backward, why_backward = pays(where, "backward", kernel, shape[0], dtype)
    return Ways(kernel if forward else None, kernel if backward else None, why_forward, why_backward)


def _all_torch(why: str) -> Ways:
    return Ways(None, None, why, why)


def pays(
    where: Geometry, direction: Direction, kernel: TableKernel, images: int, dtype: torch.dtype
) -> tuple[bool, str]:
    """Whether the compiled kernels are the faster way in one direction, and the sentence that says why."""
    groups, (outputs, inputs) = where.groups or 1, where.channels
    kind, known, block = _kind(where, dtype), limits(), kernel.bytes(images)
    if block > LARGEST:
        return False, f"a block takes {block >> 20} MiB, and {LARGEST >> 20} are the limit for the memory of a thread"
    if where.edges == inputs == outputs == groups and kind != "float64":
        if direction == "backward" and max(where.kernel_size) > 3:
            return True, "torch has no fast derivative for filters larger than 3x3 from one map to one map"
        most = known.one_to_one[direction]
        return block <= most, f"a block takes {block >> 10} KiB, and {most >> 10} are the limit from one map to one map"
    density = where.edges / (groups * _padded(inputs // groups) * _padded(outputs // groups))
    near = block <= (known.near_3_wide if kind == "filters 3 wide" else known.near)
    load, limit = density / kernel.fill(images), known.loads[kind][direction][0 if near else 1]
    where_it_lies = "near" if near else "far"
    return load <= limit, f"density / fill is {load:.2f}, and {limit:g} is the limit for {kind}, blocks {where_it_lies}"


def _kind(where: Geometry, dtype: torch.dtype) -> str:
    if dtype == torch.float64:
        return "float64"
    wide = where.kernel_size[1]
    unit = where.stride[1] == where.dilation[1] == 1 and wide in (1, 3, 5)  # these have kernels of their own
    filters = f"filters {wide} wide" if unit else "other filters"
    return filters if where.groups is None else f"groups, {filters}"


def _padded(channels: int) -> int:
    return 16 * -(-channels // 16)


def array(x: torch.Tensor) -> Any:
    """The tensor's own memory as a packed array."""
    return x.detach().contiguous().numpy()
