"""The compiled table convolution holds no memory for sizes that it does not compute, and says where it stops."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable, TableConv2d, table_native
from mathdnn.lenet.table_function import Geometry
from mathdnn.lenet.table_native import ways
from mathdnn.native.table import TableGeometry, TableKernel

LENET = ConnectionTable.lenet()
MOST = """
import resource, torch
torch.set_num_threads(2)
from mathdnn.lenet import ConnectionTable, TableConv2d
layer, x = TableConv2d(ConnectionTable.lenet(), 5), torch.randn(1, 6, 600, 600)
def megabytes(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = megabytes()
for size in (600, 601, 602, 3000): layer.plan_for((1, 6, size, size))
assert megabytes() - before < 16, f"plans took {megabytes() - before} MB"
with torch.no_grad():
    assert layer.plan_for(x.shape).way == "native"
    layer(x)  # 22 maps of 1.4 MB, in lanes for two threads, and the result
assert megabytes() - before < 150, f"one image took {megabytes() - before} MB"
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the largest size is counted in other units elsewhere")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer keeps what was freed")
def test_a_plan_takes_no_memory_and_one_image_no_more_than_its_strips():
    done = subprocess.run([sys.executable, "-c", MOST], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_kernels_of_several_sizes_in_turns_keep_each_others_numbers_apart(rng):
    sizes = [
        TableGeometry(LENET.maps, (6, rows, 9), (3, 3), padding=(pad, pad)) for rows in (5, 12, 7) for pad in (0, 1)
    ]
    kernels = [TableKernel(size, np.float64, threads) for size in sizes for threads in (1, 2)]

    def arrays(size: TableGeometry, n: int) -> list[np.ndarray]:
        shapes = [(n, *size.shape), (n, *size.output), (size.edges, *size.kernel)]
        return [rng.uniform(-1, 1, shape) for shape in shapes]

    given = [(kernel, *arrays(kernel.geometry, n)) for n in (1, 20, 33) for kernel in kernels]
    alone = [(TableKernel(k.geometry, np.float64), x, g, w) for k, x, g, w in given]
    first = [[k.forward(x, w, None), *k.backward(x, g, w)] for k, x, g, w in alone]
    again = [[k.forward(x, w, None), *k.backward(x, g, w)] for k, x, g, w in given[::-1]][::-1]
    for one, other in zip(first, again, strict=True):
        assert [some.tobytes() for some in one] == [some.tobytes() for some in other]


def test_blocks_beyond_the_limit_are_torchs_and_the_plan_says_so():
    layer = TableConv2d(LENET, 5)
    plan = layer.plan_for((1, 6, 3000, 3000))
    assert plan.way == "guarded"
    assert "a block takes 756 MiB, and 128 are the limit for the memory of a thread" in plan.why
    assert layer.plan_for((1 << 62, 6, 14, 14)).way == layer.plan_for((1 << 20, 6, 14, 14)).way


@pytest.mark.parametrize("shape", [(2, 6, 5, 1 << 40), (1, 6, 1 << 31, 5), (1, 6, 1 << 62, 1 << 62)])
def test_sizes_that_the_kernels_cannot_count_are_torchs(shape):
    why = "the sizes are beyond what the kernels count"
    assert str(TableConv2d(LENET, 5).plan_for(shape)).endswith(f"forward, {why}; backward, {why}")


@pytest.mark.parametrize("step", [1 << 28, 1 << 30, (1 << 31) - 1])
def test_strides_and_paddings_as_large_as_numbers_go_are_convolved(step):
    layer, x = TableConv2d(ConnectionTable.parse("01 12 0"), 1, stride=step, padding=step), torch.randn(1, 3, 4, 4)
    with torch.no_grad():
        y = layer(x)
    expected = layer.bias[:, None, None].expand(3, 3, 3).clone()
    expected[:, 1, 1] += (layer.dense_weight()[..., 0, 0] @ x[0, :, 0, 0, None])[:, 0]
    assert torch.allclose(y[0], expected)


def test_a_stride_beyond_the_image_leaves_one_position_and_takes_no_longer(rng):
    geometry = TableGeometry(((0,), (0,)), (1, 4, 4), (1, 1), ((1 << 31) - 1, 1 << 30))
    x, w, g = rng.normal(size=(2, 1, 4, 4)), rng.normal(size=(2, 1, 1)), rng.normal(size=(2, 2, 1, 1))
    compiled = TableKernel(geometry, np.float64)
    assert np.array_equal(compiled.forward(x, w, None), x[:, :, :1, :1] * w[None, :])
    dx = compiled.backward(None, g, w, (True, False, False))[0]
    assert np.allclose(dx[:, 0, 0, 0], (g[:, :, 0, 0] * w[:, 0, 0]).sum(1), rtol=1e-15, atol=0)
    assert np.count_nonzero(dx) == 2


@pytest.mark.parametrize(
    "geometry",
    [
        TableGeometry(((0,),), (1, 4, 1 << 31), (1, 1)),
        TableGeometry(((0,),), (1, 4, 4), (1, 1), padding=(1 << 30, 1 << 30)),
        TableGeometry(((0,),), (1, 4, 4), (1, 1), (1 << 31, 1)),
    ],
)
def test_sizes_are_counted_before_a_kernel_is_built(geometry):
    with pytest.raises(InvalidInput, match=r"^TableKernel\(geometry=\.\.\.\): expected padded sides below 2\^31 and "):
        TableKernel(geometry, np.float32)


def test_more_threads_than_the_kernels_take_are_as_many_as_they_take():
    where = Geometry(LENET, (5, 5), (1, 1), (0, 0), (1, 1))
    found = ways(where, (2, 6, 14, 14), torch.float32, 2000)
    assert found.forward is not None
    assert found.why_forward == table_native.ways(where, (2, 6, 14, 14), torch.float32, 1024).why_forward
