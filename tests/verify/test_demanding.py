"""Counterexamples of a few bytes that ask for hours or for all memory: not checked, and told before it is done."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.verify.tampering import replaced, resealed
from torch import nn

from mathdnn.convolution import as_conv2d, equal_maps
from mathdnn.verdict import Status, pack_array
from mathdnn.verify import costs, means, rounded, verify, work
from mathdnn.verify.running import Program

DATA = ("evidence", "data")
SMALL, WIDE = [1, 1, 4, 4], [1, 1, 4096, 4096]
SQUARE = [4096, 4096]
PRODUCTS, ROOM = "asks for more than 274,877,906,944 products", "gives a result of more than 33,554,432 numbers"
MEMORY = "windows of more than 268,435,456 numbers takes too much memory"


def _n(k):
    return {"node": k}


def _node(op, shape, *args, dtype="float32", **kwargs):
    return {"op": op if op == "input" else f"aten.{op}", "args": list(args), "kwargs": kwargs, "shape": shape,
            "dtype": dtype}  # fmt: skip


def _several(op, *args):
    return _node(op, None, *args, dtype=None)


FIRST = _node("input", SMALL)
REPEATED = _node("repeat.default", WIDE, _n(0), [1, 1, 1024, 1024])
MATRIX = [REPEATED, _node("reshape.default", SQUARE, _n(1), SQUARE)]
LINE = [REPEATED, _node("reshape.default", [1 << 24], _n(1), [1 << 24])]
_CONVOLUTION = [_n(1), {"constant": 0}, None, [1, 1], [31, 31], [1, 1]]
DEMANDS = {  # nodes after the image, and what is said; each took more than 40 seconds, or 12 GB
    "windows": ([REPEATED, _node("convolution.default", WIDE, *_CONVOLUTION, False, [0, 0], 1)], MEMORY),
    "windows put down": ([REPEATED, _node("convolution.default", WIDE, *_CONVOLUTION, True, [0, 0], 1)], MEMORY),
    "products": ([*MATRIX, *(_node("mm.default", SQUARE, _n(2 + k), _n(2 + k)) for k in range(16))], PRODUCTS),
    "inverses": ([*MATRIX, *(_several("linalg_inv_ex.default", _n(2)) for _ in range(16))], PRODUCTS),
    "systems": ([
        _node("repeat.default", [1, 2048, 4, 4], _n(0), [1, 2048, 1, 1]),
        _node("reshape.default", [2048, 1, 4, 4], _n(1), [2048, 1, 4, 4]),
        _several("_linalg_solve_ex.default", _n(2), _n(1)),
    ], ROOM),
    "maxima": ([_several("adaptive_max_pool2d.default", _n(0), [16_000, 16_000])], ROOM),
    "large windows": ([REPEATED, _several("max_pool2d_with_indices.default", _n(1), [501, 501], [1, 1], [250, 250])],
                      PRODUCTS),
    "large means": ([REPEATED, _node("avg_pool2d.default", WIDE, _n(1), [501, 501], [1, 1], [250, 250])], PRODUCTS),
    "single numbers": ([*LINE, _several("unbind.int", _n(2))], PRODUCTS),
    "pieces": ([*LINE, _several("split.Tensor", _n(2), 3)], PRODUCTS),
    "order": ([REPEATED, *(_several("sort.default", _n(1), -2) for _ in range(80))], PRODUCTS),
    "factors": ([REPEATED, *(_node("cumprod.default", WIDE, _n(1 + k), -1) for k in range(80))], PRODUCTS),
    "powers": ([REPEATED, *(_node("pow.Tensor_Scalar", WIDE, _n(1 + k), 1.5) for k in range(80))], PRODUCTS),
    "numbers": ([_node("arange.start_step", [1 << 27], 0, 1 << 27, 1, dtype="int64")], ROOM),
    "steps": ([_node("tanh.default", SMALL, _n(k)) for k in range(160_000)], PRODUCTS),
    "few factors": ([
        _node("repeat.default", [1, 1, 4, 4096], _n(0), [1, 1, 1, 1024]),
        *(_node("cumprod.default", [1, 1, 4, 4096], _n(1), -1) for _ in range(40)),
    ], PRODUCTS),
}  # fmt: skip


@pytest.fixture(scope="module")
def rectified():
    return as_conv2d(nn.ReLU(), (1, 4, 4)).to_plain()


@pytest.fixture(scope="module")
def different():
    return equal_maps(lambda x: x * 1, lambda x: x * 2, (1, 4, 4), smallest=False).to_plain()


def _graph(nodes, *constants):
    return {"nodes": [FIRST, *nodes], "constants": list(constants), "output": _n(0)}


@pytest.fixture
def no_large_step(monkeypatch):
    """Large steps are seen before they are run, in the order of the file: the steps that are run are only imagined."""

    def imagined(node, values, constants):
        if node["shape"] is None:
            return []
        return torch.zeros((), dtype=getattr(torch, node["dtype"])).expand(node["shape"])

    monkeypatch.setattr("mathdnn.verify.running.compute", imagined)
    monkeypatch.setattr("mathdnn.verify.running._require_no_overflow", lambda *_: None)


@pytest.mark.parametrize("case", DEMANDS)
def test_what_asks_for_too_much_is_not_checked(case, rectified, no_large_step):
    nodes, why = DEMANDS[case]
    graph = _graph(nodes, pack_array(np.ones((1, 1, 63, 63), np.float32)))
    answer = verify(resealed(replaced(rectified, (*DATA, "operation", "graph"), graph)))
    assert answer.status is Status.UNDECIDED, str(answer)
    assert why in str(answer.evidence)


def test_arguments_by_name_cost_the_same():
    spent = []
    image = torch.zeros(4, 4)
    for args, kwargs in (([_n(0), _n(0)], {}), ([], {"mat2": _n(0), "self": _n(0)})):
        nodes = [_node("input", [4, 4]), {**_node("mm.default", [4, 4]), "args": args, "kwargs": kwargs}]
        cost = []
        Program({"nodes": nodes, "constants": [], "output": _n(1)}, cost.append).at(image.numpy())
        spent.append(sum(cost))
    assert spent[0] == spent[1] > 0


def test_more_runs_than_there_is_time_for_are_not_made(different, monkeypatch):
    monkeypatch.setattr(work, "MOST", 1000)
    assert "asks for more than 4,000 products" in str(verify(resealed(different)))
    monkeypatch.undo()
    monkeypatch.setattr(costs, "MOST", 1000)
    assert "asks for more than 1,000 products" in str(verify(resealed(different)))
    monkeypatch.undo()
    assert verify(resealed(different)).status is Status.PROVED


@pytest.mark.parametrize("operation", [lambda x: x.flip(-1), lambda x: x[..., :-1] * torch.arange(5.0)])
def test_responses_count_each(operation, monkeypatch):
    verdict = as_conv2d(operation, (1, 5, 6))
    assert verify(verdict).status is Status.PROVED
    side = verdict.evidence.data["operation"]
    monkeypatch.setattr(means, "_RUNS", 1)
    monkeypatch.setattr(work, "MOST", 3 * work.of_side(side))
    assert "which would take minutes" in str(verify(verdict))


def test_fractions_are_counted(monkeypatch):
    verdict = equal_maps(lambda x: x / 3, lambda x: x * 0.34, (1, 4, 4), rounded=True)
    assert verify(verdict).status is Status.PROVED
    monkeypatch.setattr(rounded, "FRACTIONS", 0)
    assert "would have to be compared as fractions" in str(verify(verdict))


def test_long_fractions_count_more():
    short, long = (rounded._Exact(bits) for bits in (100, 100_000))
    assert short.left > 10_000 * long.left
