"""When the compiled kernels convolve over a table, and how torch tensors reach them.

    density = edges / (channels in, rounded up to 16, times channels out, rounded up to 16)      what torch multiplies
    fill    = images / (16 threads, rounded up)                                                  lanes that hold one

The kernels do `density` of the dense work and use `fill` of the lanes, so they win while density / fill stays below a
limit. The limits are a heuristic: kernel by kernel, on one thread and a grid of sizes (1 to 64 images, 3 to 64 maps,
8 to 32 pixels, densities 1/8 to 1/2, torch 2.13, AVX-512), torch was hardly faster below them. A whole layer at C3's
size was 2.5 times as fast as the masked dense convolution on one thread, but 0.9 to 1.1 times on two, and on 4 of 11
sizes of `mathdnn bench grid` it was slower: what the layer does around its kernels is not yet weighed. torch
convolves float64 without its fast library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mathdnn import native

if TYPE_CHECKING:
    from mathdnn.lenet.table_function import Geometry
    from mathdnn.native.table import TableKernel

LIMIT = {"filters 3 or 5 wide": 0.45, "filters 1 wide": 0.25, "other filters": 0.12, "float64": 1.0}


def kernel(x: torch.Tensor, weight: torch.Tensor, where: Geometry, shape: tuple[int, ...]) -> TableKernel | None:
    """The compiled kernel for images of `shape` (n, maps, rows, columns), or None where torch shall convolve."""
    right = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and weight.dtype == x.dtype
    if not right or not native.available() or type(x) is not torch.Tensor or 0 in shape:
        return None
    threads = torch.get_num_threads()
    size = (weight.shape[1], weight.shape[2])
    channels = (where.in_channels, where.out_channels)
    if not pays(shape[0], channels, len(weight), size, where.stride, where.dilation, x.dtype, threads)[0]:
        return None
    from mathdnn.native.table import TableGeometry, table_kernel

    maps: list[list[int]] = [[] for _ in range(where.out_channels)]
    for o, i in where.edge.tolist():
        maps[o].append(i)
    table = tuple(tuple(inputs) for inputs in maps)
    geometry = TableGeometry(table, (shape[1], shape[2], shape[3]), size, where.stride, where.padding, where.dilation)
    return table_kernel(geometry, str(x.dtype).removeprefix("torch."), threads)


def pays(
    images: int,
    channels: tuple[int, int],
    edges: int,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    dtype: torch.dtype,
    threads: int,
) -> tuple[bool, str]:
    """Whether the compiled kernels are the faster way, and the sentence that says why."""
    dense = 256 * -(-channels[0] // 16) * -(-channels[1] // 16)
    lanes = 16 * threads
    fill = images / (lanes * -(-images // lanes)) if images else 1.0
    kind = "other filters"
    if stride[1] == dilation[1] == 1 and kernel_size[1] in (1, 3, 5):
        kind = "filters 1 wide" if kernel_size[1] == 1 else "filters 3 or 5 wide"
    kind = "float64" if dtype == torch.float64 else kind
    load = edges / dense / fill
    words = f"density / fill is {load:.2f}, and {LIMIT[kind]:g} is the limit for {kind}"
    return load <= LIMIT[kind], words


def array(x: torch.Tensor) -> Any:
    """The tensor's own memory as a packed array."""
    return x.detach().contiguous().numpy()
