"""The compiled table convolution: the formula for every size, the same bits everywhere, right for every number."""

from __future__ import annotations

import sys

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tests.oracles.table_sums import back_sum, filters_sum, forward_sum

from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable, TableConv2d, table_native
from mathdnn.lenet.table_function import Geometry, table_conv2d
from mathdnn.lenet.table_native import Ways, ways
from mathdnn.native.engine import known_set
from mathdnn.native.table import Places, TableGeometry, TableKernel

ALL = ("baseline", "avx2", "avx512")
SETS = ALL[: ALL.index(known_set(None)) + 1]
FUSED = SETS[1:]
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def geometries(draw) -> TableGeometry:
    inputs = draw(st.integers(1, 4))
    maps = draw(
        st.lists(st.sets(st.integers(0, inputs - 1), min_size=1).map(sorted).map(tuple), min_size=1, max_size=4)
    )
    kernel_size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    dilation, stride = draw(PAIRS), draw(PAIRS)
    least = [max(1, d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilation, kernel_size, padding, strict=True)]
    rows, columns = (draw(st.integers(low, low + more)) for low, more in zip(least, (4, 19), strict=True))
    return TableGeometry(tuple(maps), (inputs, rows, columns), kernel_size, stride, padding, dilation)


def arrays(geometry: TableGeometry, n: int, seed: int, dtype: type) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    shapes = [(n, *geometry.shape), (geometry.edges, *geometry.kernel), (len(geometry.maps),), (n, *geometry.output)]
    return tuple(rng.uniform(-1, 1, shape).astype(dtype) for shape in shapes)


def all_three(compiled: TableKernel, x, w, b, g) -> list[np.ndarray]:
    return [compiled.forward(x, w, b), *compiled.backward(x, g, w)[:2]]


@settings(max_examples=60)
@given(geometries(), st.sampled_from([1, 2, 15, 16, 17, 40]), st.sampled_from([np.float32, np.float64]), st.data())
def test_all_sizes_give_the_sums_of_the_formula_within_their_rounding(geometry, n, dtype, data):
    x, w, b, g = arrays(geometry, n, 0, dtype)
    compiled = TableKernel(
        geometry, dtype, threads=data.draw(st.integers(1, 3)), instruction_set=data.draw(st.sampled_from(SETS))
    )
    exact = [forward_sum(x, w, b, geometry), back_sum(g, w, geometry), filters_sum(x, g, geometry)]
    # a sum of m products of numbers below 1 in any order is off by at most m gamma_m, gamma_m = m u / (1 - m u)
    _maps, rows, columns = geometry.output
    terms = [geometry.edges * w[0].size + 1, geometry.edges * w[0].size, n * rows * columns + 20]
    u = np.finfo(dtype).eps / 2
    for found, sums, m in zip(all_three(compiled, x, w, b, g), exact, terms, strict=True):
        assert found.dtype == dtype
        assert np.abs(found - sums).max() <= m * m * u / (1 - m * u)
        assert found.shape == sums.shape


@settings(max_examples=20)
@given(geometries(), st.sampled_from([1, 16, 70]))
def test_the_same_bits_for_every_number_of_threads_and_for_avx2_and_avx512(geometry, n):
    x, w, b, g = arrays(geometry, n, 1, np.float32)
    found = {
        b"".join(a.tobytes() for a in all_three(TableKernel(geometry, np.float32, threads, instructions), x, w, b, g))
        for threads in (1, 2, 3)
        for instructions in FUSED
    }
    assert len(found) <= 1


@settings(max_examples=40)
@given(geometries(), st.integers(1, 33), st.sampled_from(SETS))
def test_images_left_over_are_cut_into_strips_that_hold_every_row_once(geometry, n, instructions):
    x, w, b, g = arrays(geometry, n, 2, np.float64)
    compiled = TableKernel(geometry, np.float64, instruction_set=instructions)
    assert 0 < compiled.fill(n) <= 1
    assert compiled.bytes(n) >= 16 * 8
    y, dx, dw = all_three(compiled, x, w, b, g)
    one_by_one = [all_three(compiled, x[i : i + 1], w, b, g[i : i + 1]) for i in range(n)]
    assert np.allclose(y, np.concatenate([one[0] for one in one_by_one]), rtol=0, atol=1e-12)
    assert np.allclose(dx, np.concatenate([one[1] for one in one_by_one]), rtol=0, atol=1e-12)
    assert np.allclose(dw, sum(one[2] for one in one_by_one), rtol=0, atol=1e-11)


def test_a_single_image_fills_most_lanes():
    assert TableKernel(LENET, np.float32).fill(1) == 10 / 16
    assert TableKernel(LENET, np.float32).fill(8) == 1
    assert TableKernel(LENET, np.float32).fill(16) == 1


@settings(max_examples=30)
@given(geometries(), st.sampled_from([1, 5, 16, 40]), st.sampled_from([np.float32, np.float64]), st.integers(1, 3))
def test_derivatives_in_one_go_are_those_taken_alone(geometry, n, dtype, threads):
    x, w, _b, g = arrays(geometry, n, 3, dtype)
    compiled = TableKernel(geometry, dtype, threads)
    dx, dw, db = compiled.backward(x, g, w)
    assert dx.tobytes() == compiled.backward(None, g, w, (True, False, False))[0].tobytes()
    assert dw.tobytes() == compiled.backward(x, g, None, (False, True, False))[1].tobytes()
    alone = compiled.backward(None, g, None, (False, False, True))
    assert alone[:2] == (None, None)
    assert alone[2].tobytes() == db.tobytes()
    assert np.allclose(db, g.astype(np.float64).sum((0, 2, 3)), rtol=0, atol=g[:, 0].size * 2e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("n", [1, 3, 16, 17])
def test_no_row_that_is_not_there_meets_a_strange_pixel(value, n):
    geometry = TableGeometry(((0,), (0, 1)), (2, 11, 6), (3, 3))  # 9 output rows: strips of unequal height
    x, w, b, g = arrays(geometry, n, 0, np.float32)
    x[:, :, 10, 5] = value  # the last row feeds the last output row alone
    g[:, :, 8] = 0
    compiled = TableKernel(geometry, np.float32)
    y, _dx, dw = all_three(compiled, x, w, b, g)
    assert np.isfinite(y[:, :, :8]).all()
    assert np.isfinite(y[:, :, 8, :3]).all()
    assert np.isfinite(dw[:, :2]).all()  # only the last row of the filter meets that pixel, with 0 * inf


@settings(max_examples=80)
@given(geometries(), st.sampled_from([1, 3, 16, 17, 40]), st.sampled_from([np.float32, np.float64]), st.data())
def test_padding_is_not_multiplied_so_that_no_infinite_number_meets_its_zeros(geometry, n, dtype, data):
    x, w, b, g = arrays(geometry, n, 4, dtype)
    pick = [data.draw(st.integers(0, size - 1)) for size in (*w.shape, *g.shape)]
    edge, weight, slope = pick[0], tuple(pick[:3]), tuple(pick[3:])
    strange = data.draw(st.sampled_from([np.inf, -np.inf, np.nan]))
    compiled = TableKernel(geometry, dtype, instruction_set=data.draw(st.sampled_from(SETS)))
    reads = [(o, i) for o, inputs in enumerate(geometry.maps) for i in inputs]

    def inside(axis: int, position: int, tap: int) -> bool:
        at = position * geometry.stride[axis] + tap * geometry.dilation[axis] - geometry.padding[axis]
        return 0 <= at < geometry.shape[1 + axis]

    infinite = w.copy()
    infinite[weight] = strange
    y = compiled.forward(x, infinite, b)
    touched = np.zeros(y.shape, bool)
    for p, q in np.ndindex(*y.shape[2:]):
        touched[:, reads[edge][0], p, q] = inside(0, p, weight[1]) and inside(1, q, weight[2])
    assert np.array_equal(~np.isfinite(y), touched)

    g[slope] = strange
    _dx, dw, db = compiled.backward(x, g, w)
    touched = np.zeros(dw.shape, bool)
    for e, a, tap in np.ndindex(*dw.shape):
        touched[e, a, tap] = reads[e][0] == slope[1] and inside(0, slope[2], a) and inside(1, slope[3], tap)
    assert np.array_equal(~np.isfinite(dw), touched)
    assert np.array_equal(np.flatnonzero(~np.isfinite(db)), [slope[1]])


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("taps", "pad"), [(1, 0), (3, 1), (3, 2), (5, 1), (5, 2), (5, 4), (1, 1), (3, 4), (4, 2)])
def test_an_infinite_tap_makes_no_nan_of_padding_at_any_border(taps, pad, dtype, instructions):
    geometry = TableGeometry(((0,), (0,)), (1, 9, 33), (taps, taps), padding=(pad, pad))  # wider than two tiles
    compiled = TableKernel(geometry, dtype, instruction_set=instructions)
    x, w, b, g = arrays(geometry, 17, 5, dtype)
    _maps, rows, columns = geometry.output
    for a, tap in np.ndindex(taps, taps):
        infinite = w.copy()
        infinite[0, a, tap] = np.inf
        p, q = np.arange(rows) + a - pad, np.arange(columns) + tap - pad
        touched = ((p >= 0) & (p < 9))[:, None] & ((q >= 0) & (q < 33))
        y = compiled.forward(x, infinite, b)
        assert np.isinf(y[:, 0]).all(axis=0).tolist() == touched.tolist()
        assert not np.isnan(y).any()
        assert np.isfinite(y[:, 1]).all()
    for p, q in ((0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)):
        slope = g.copy()
        slope[16, 0, p, q] = np.inf
        dw = compiled.backward(x, slope, w)[1]
        down, right = p + np.arange(taps) - pad, q + np.arange(taps) - pad
        touched = ((down >= 0) & (down < 9))[:, None] & ((right >= 0) & (right < 33))
        assert np.isinf(dw[0]).tolist() == touched.tolist()
        assert not np.isnan(dw).any()


def test_results_are_new_memory_as_long_as_someone_holds_them():
    x, w, b, _ = arrays(LENET, 20, 0, np.float32)
    compiled = TableKernel(LENET, np.float32)
    first = compiled.forward(x, w, b)
    kept = first.copy()
    view = first[3:]
    del first
    second = compiled.forward(x + 1, w, b)
    assert not np.shares_memory(view, second)
    assert np.array_equal(view, kept[3:])


LENET = TableGeometry(ConnectionTable.lenet().maps, (6, 14, 14), (5, 5))


def test_an_empty_batch_gives_empty_outputs_and_zero_gradients():
    x, w, b, g = arrays(LENET, 0, 0, np.float32)
    y, dx, dw = all_three(TableKernel(LENET, np.float32), x, w, b, g)
    assert y.shape == (0, 16, 10, 10)
    assert dx.shape == (0, 6, 14, 14)
    assert not dw.any()


def test_strided_and_misaligned_arrays_give_the_bits_of_packed_ones():
    x, w, b, g = arrays(LENET, 20, 0, np.float32)
    compiled = TableKernel(LENET, np.float32)
    expected = all_three(compiled, x, w, b, g)
    wide = np.repeat(x, 2, axis=3)[..., ::2]
    raw = np.empty(g.nbytes + 1, np.uint8)
    odd = raw[1:].view(np.float32).reshape(g.shape)
    odd[...] = g
    assert not wide.flags.c_contiguous
    assert not odd.flags.aligned
    for found, same in zip(all_three(compiled, wide, np.asfortranarray(w), b, odd), expected, strict=True):
        assert found.tobytes() == same.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e-42])
def test_a_strange_pixel_reaches_the_maps_that_read_it_and_no_other(value):
    x, w, b, _ = arrays(LENET, 18, 0, np.float32)
    w = np.full_like(w, 1e-3)
    x[...], b[...] = 0, 0
    x[17, 5, 7, 7] = value
    y = TableKernel(LENET, np.float32).forward(x, w, b)
    reads = np.array([5 in maps for maps in LENET.maps])
    touched = np.zeros(y.shape, bool)
    touched[17, reads, 3:8, 3:8] = True
    assert not y[~touched].any()
    expected = np.float32(1e-3) * np.float32(value)
    assert np.array_equal(y[touched], np.full(touched.sum(), expected), equal_nan=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda k, x, w, g: k.forward(x[:, :5], w, None),
            "TableKernel(x=...): expected float32 of shape (2, 6, 14, 14), ",
        ),
        (
            lambda k, x, w, g: k.forward(x, w[:59], None),
            "TableKernel(w=...): expected float32 of shape (60, 5, 5), got ",
        ),
        (
            lambda k, x, w, g: k.backward(x, g.astype(np.float64), w),
            "TableKernel(g=...): expected float32 of shape (2, 16, ",
        ),
        (
            lambda k, x, w, g: k.backward(x, g[:1], w),
            "TableKernel(x, g=...): expected as many images in both, got 2 and 1; ",
        ),
        (
            lambda k, x, w, g: k.backward(None, g, w),
            "TableKernel(x, w=...): expected w for the derivative in x, and x for that in w, got None; give it.",
        ),
        (
            lambda k, x, w, g: TableKernel(TableGeometry(((0,),), (1, 4, 4), (5, 5)), np.float32),
            "TableKernel(geometry=",
        ),
        (
            lambda k, x, w, g: TableKernel(TableGeometry(((1,),), (1, 4, 4), (3, 3)), np.float32),
            "TableKernel(geometry=",
        ),
        (
            lambda k, x, w, g: TableKernel(LENET, np.float16),
            "TableKernel(dtype=...): expected float32 or float64, got ",
        ),
        (
            lambda k, x, w, g: TableKernel(LENET, np.float32, 0),
            "TableKernel(threads=...): expected a whole number from ",
        ),
    ],
)
def test_sizes_are_checked_before_a_pointer_is_taken(change, message):
    x, w, _, g = arrays(LENET, 2, 0, np.float32)
    with pytest.raises(InvalidInput, match=r"^TableKernel\(") as caught:
        change(TableKernel(LENET, np.float32), x, w, g)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_filters_go_to_their_places_and_come_back(dtype, rng):
    filters = rng.standard_normal((4, 3, 10)).astype(dtype)[:, :, ::2]  # not contiguous
    at = np.array([5, 0, 2, 8])
    expected = np.zeros((9, 3, 5), dtype)
    expected[at] = filters
    places = Places(at, 9)
    at[:] = 1 << 40  # too late
    with pytest.raises(ValueError, match="read-only"):
        places.at[:] = 1 << 40
    assert np.array_equal(places.scattered(filters), expected)
    assert np.array_equal(places.gathered(expected), filters)
    nowhere = Places(np.array([], np.int64), 2)
    assert nowhere.scattered(filters[:0]).tolist() == np.zeros((2, 3, 5)).tolist()
    assert nowhere.gathered(filters[:2]).shape == (0, 3, 5)


@pytest.mark.parametrize(
    ("at", "kind"), [([0, 3], np.int64), ([-1, 0], np.int64), ([[0, 1]], np.int64), ([0, 1], np.int32)]
)
def test_places_are_checked_before_a_pointer_is_taken(at, kind):
    with pytest.raises(InvalidInput, match=r"expected places in 0\.\.2, int64"):
        Places(np.array(at, kind), 3)


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 3, 3), (2, 9)])
def test_filters_are_checked_before_a_pointer_is_taken(shape):
    places = Places(np.array([0, 1]), 4)
    with pytest.raises(InvalidInput, match=r"expected float32 or float64, \(2, rows, columns\)"):
        places.scattered(np.zeros(shape, np.float32))
    with pytest.raises(InvalidInput, match=r"expected float32 or float64, \(4, rows, columns\)"):
        places.gathered(np.zeros(shape, np.float64))
    with pytest.raises(InvalidInput, match=r"expected float32 or float64"):
        places.scattered(np.zeros((2, 3, 3), np.float16))


# The torch layer on these kernels


@pytest.mark.parametrize("known", [table_native.AVX2, table_native.AVX512], ids=["avx2", "avx512"])
def test_the_layer_takes_the_kernels_where_they_pay_and_says_so(known, monkeypatch):
    monkeypatch.setattr(table_native, "limits", lambda: known)
    ways.cache_clear()
    layer = TableConv2d(ConnectionTable.lenet(), 5)
    forward, backward = (known.loads["filters 5 wide"][way].near for way in ("forward", "backward"))
    assert str(layer.plan_for((16, 6, 14, 14))) == (
        "native: compiled kernels compute the edges alone, forward and backward. "
        f"forward, density / fill is 0.23, and {forward:g} is the limit for filters 5 wide, blocks near; "
        f"backward, density / fill is 0.23, and {backward:g} is the limit for filters 5 wide, blocks near"
    )
    assert layer.plan_for((6, 14, 14)).way == "native"
    assert layer.plan_for((16, 6, 14, 14), torch.float16).way == "guarded"
    assert layer.plan_for((0, 6, 14, 14)).way == "guarded"
    dense = TableConv2d(ConnectionTable.random(64, 64, 63, 0), 3)
    assert dense.plan_for((100, 64, 14, 14)).way == "guarded"
    assert "blocks far" in str(dense.plan_for((100, 64, 14, 14)))
    assert TableConv2d(ConnectionTable.full(64, 64), 3).plan_for((100, 64, 14, 14)).way == "grouped"
    assert TableConv2d(ConnectionTable.one_to_one(16), 7, padding=3).plan_for((1, 16, 14, 14)).groups == 16
    assert TableConv2d(ConnectionTable.lenet(), 5, form="dense").plan_for((16, 6, 14, 14)).way == "dense"
    ways.cache_clear()


def test_the_limits_are_those_of_the_instruction_set(monkeypatch):
    for name, known in (
        ("avx2", table_native.AVX2),
        ("avx512", table_native.AVX512),
        ("baseline", table_native.UNMEASURED),
    ):
        monkeypatch.setattr(table_native.native, "instruction_set", lambda name=name: name)
        assert table_native.limits() is known
    assert table_native.AVX2.loads.keys() == table_native.AVX512.loads.keys()


def test_the_threads_are_those_of_torch():
    where = Geometry(ConnectionTable.lenet(), (5, 5), (1, 1), (0, 0), (1, 1))
    found = ways(where, (100, 6, 14, 14), torch.float32, 2)
    assert found.forward is found.backward is not None
    assert found.forward.threads_are_torchs == (torch.backends.openmp.is_available() and sys.platform == "linux")


def test_only_what_is_asked_for_is_computed(monkeypatch):
    layer = TableConv2d(ConnectionTable.lenet(), 5)
    asked = []
    backward = TableKernel.backward

    def spied(self, x, g, w, wanted=(True, True, True)):
        asked.append((x is not None, w is not None, wanted))
        return backward(self, x, g, w, wanted)

    monkeypatch.setattr(TableKernel, "backward", spied)
    x = torch.randn(20, 6, 14, 14)
    layer(x).sum().backward()  # the images need no gradient
    frozen = TableConv2d(ConnectionTable.lenet(), 5).requires_grad_(False)
    frozen(x.clone().requires_grad_()).sum().backward()
    assert asked == [(True, False, (False, True, True)), (False, True, (True, False, False))]
    with torch.no_grad():
        assert layer(x).grad_fn is None
    assert frozen(x).grad_fn is None


@pytest.mark.parametrize("table", ["mixed", "groups"])
def test_one_direction_may_be_compiled_and_the_other_torchs(table, monkeypatch):
    tables = {"mixed": ConnectionTable.parse("01 12 0"), "groups": ConnectionTable.grouped(4, 4, 2)}
    layer = TableConv2d(tables[table], 3, dtype=torch.float64)
    x = torch.randn(3, layer.in_channels, 6, 5, dtype=torch.float64)
    slope = torch.randn(3, layer.out_channels, 4, 3, dtype=torch.float64)
    found = []
    whole = ways(layer._where, (3, layer.in_channels, 6, 5), torch.float64, torch.get_num_threads())
    for some in (whole, whole._replace(forward=None), whole._replace(backward=None), Ways(None, None, "", "")):
        monkeypatch.setattr(table_native, "ways", lambda *_, some=some: some)
        leaves = [x.clone().requires_grad_(), *(p.detach().clone().requires_grad_() for p in layer.parameters())]
        y = table_conv2d(*leaves, layer._where)
        found.append([y.detach(), *torch.autograd.grad(y, leaves, slope)])
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert torch.allclose(one, same, rtol=0, atol=1e-12)


def test_gradients_of_both_orders_pass_gradcheck_on_the_kernels(rng):
    table = ConnectionTable.parse("01 12 012")
    layer = TableConv2d(table, (3, 2), stride=(2, 1), padding=1, dtype=torch.float64)
    n = 5
    assert layer.plan_for((n, 3, 4, 3), torch.float64).way == "native"
    x = torch.from_numpy(rng.normal(size=(n, 3, 4, 3))).requires_grad_()

    def run(some, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x + some,))

    some = torch.zeros(1, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    weight, bias = (p.detach().clone().requires_grad_() for p in (layer.weight, layer.bias))
    assert torch.autograd.gradcheck(run, (some, weight, bias))
    assert torch.autograd.gradgradcheck(run, (some, weight, bias))
