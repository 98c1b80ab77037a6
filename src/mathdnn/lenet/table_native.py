"""When the compiled kernels convolve over a table, and when torch does.

    density = edges / (groups pad(in_channels / groups) pad(out_channels / groups))     pad: rounded up to 16 channels,
                                                                                        as torch multiplies them
    fill    = output rows of all images / (16 rows computed)                            lanes that hold something
    load    = density / fill

The kernels do `density` of torch's work and use `fill` of their lanes, so they win while `load` stays below a limit,
for each direction and kind of filter its own. Where each input map feeds one output map, memory decides: the lanes of a
block must fit in a core's second-level cache; for the derivatives of filters larger than 3x3 torch has no kernel of
its own there, and is far behind. The limits are a heuristic, measured kernel by kernel on one thread and two, over 150
sizes (1 to 1000 images, 1 to 128 maps, 8 to 64 pixels, filters 1x1 to 7x7, strides, dilations and groups; torch 2.13,
AVX-512): below them the kernels were the faster way, but for a few sizes within a tenth; above them torch mostly was.
What the layer does around either way is not weighed, and shows where little is computed. torch convolves float64
without its fast library.
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
FITS: dict[Direction, int] = {"forward": 1 << 20, "backward": 640 << 10}  # bytes
FEW = 512 << 10  # bytes of a block that leave room for the sums of the weights
LIMITS: dict[str, dict[Direction, float]] = {
    "float64": {"forward": 1.0, "backward": 1.0},
    "filters 5 wide": {"forward": 0.9, "backward": 0.6},
    "filters 3 wide, few maps": {"forward": 0.8, "backward": 0.8},
    "filters 3 wide": {"forward": 0.55, "backward": 0.5},
    "filters 1 wide": {"forward": 0.4, "backward": 0.4},
    "other filters": {"forward": 0.4, "backward": 0.35},
    "groups, filters 5 wide": {"forward": 0.6, "backward": 0.6},
    "groups, filters 3 wide": {"forward": 0.3, "backward": 0.3},
    "groups, filters 1 wide": {"forward": 0.2, "backward": 0.3},
    "groups, other filters": {"forward": 0.2, "backward": 0.2},
}


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
    from mathdnn.native.table import TableGeometry, table_kernel

    geometry = TableGeometry(
        where.table.maps, (shape[1], shape[2], shape[3]), where.kernel_size, where.stride, where.padding, where.dilation
    )
    if 0 in shape or min(geometry.output) < 1:
        return _all_torch("nothing to compute")
    kernel = table_kernel(geometry, str(dtype).removeprefix("torch."), threads)
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
    kind = _kind(where, dtype)
    if where.edges == inputs == outputs == groups and kind != "float64":
        if direction == "backward" and max(where.kernel_size) > 3:
            return True, "torch has no fast derivative for filters larger than 3x3 from one map to one map"
        kilobytes, most = kernel.bytes(images) >> 10, FITS[direction] >> 10
        return kilobytes <= most, f"a block takes {kilobytes} KiB, and {most} are the limit from one map to one map"
    density = where.edges / (groups * _padded(inputs // groups) * _padded(outputs // groups))
    if kind == "filters 3 wide" and kernel.bytes(images) <= FEW:
        kind += ", few maps"
    load, limit = density / kernel.fill(images), LIMITS[kind][direction]
    return load <= limit, f"density / fill is {load:.2f}, and {limit:g} is the limit for {kind}"


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
