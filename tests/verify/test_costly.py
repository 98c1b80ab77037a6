"""Evidence that is small and asks for much: it is checked within its means, or rejected before anything is made."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from tests.verify.tampering import resealed

from mathdnn.backprop import check_exact, typed_formula
from mathdnn.convolution import equal_maps
from mathdnn.monotone import commutes_with_max_pool
from mathdnn.verdict import Status, pack_array
from mathdnn.verify import pooling, verify
from mathdnn.verify.graphs import Machine
from mathdnn.verify.numbers import ROOM, Absolute
from mathdnn.verify.running import run

LONG = [f"1/{10**199 + k}" for k in range(16)]
NETWORKS = {
    "many layers": ([1] * 6, ["1/3"] * 16),
    "wide layers": ([3] * 6, ["1/3"] * 16),
    "many digits": ([3] * 6, LONG),
}


def with_sigma(verdict, widths, coefficients):
    """A verdict about a typed formula, said of another network."""
    plain = verdict.to_plain()
    data = plain["evidence"]["data"]
    sigma = "polynomial " + " + ".join(f"{c} t^{k}" for k, c in enumerate(coefficients))
    data |= {"widths": widths, "coefficients": coefficients, "sigma": sigma}
    data["entries"] = widths[-1] ** 2
    plain["claim"] = f"{data['text']} for every {'-'.join(map(str, widths))} perceptron and sigma = {sigma}"
    if "method" in plain["evidence"]:
        entries = (
            "they are the same polynomial"
            if widths[-1] == 1
            else f"all {widths[-1] ** 2} entries are the same polynomials"
        )
        method = "both sides were written out as polynomials in the weights, biases and inputs"
        plain["evidence"]["method"] = f"{method}, and the sums z of every unit: {entries}"
    return resealed(plain)


@pytest.mark.parametrize("case", NETWORKS)
def test_a_derivative_with_many_digits_takes_no_time(case):
    typed = check_exact((2, 2, 2), formulas={"mine": typed_formula("I.T", "dyL/dbL")})["mine"]
    lie = with_sigma(typed, *NETWORKS[case])
    started = time.process_time()
    assert verify(lie).status is Status.PROVED  # it is true, whatever sigma is
    assert time.process_time() - started < 5


def test_an_entry_with_many_digits_takes_no_time():
    wrong = check_exact((2, 2, 2), formulas={"mine": typed_formula("A[L] @ A[L]", "dyL/dyL-1")})["mine"]
    lie = with_sigma(wrong, [2] * 6, LONG[:6])
    plain = lie.to_plain()
    plain["evidence"]["data"] |= {"any": False, "kind": "a wrong entry", "entry": [1, 1]}
    names = [f"A{m}_{j}_{k}" for m in range(1, 6) for j in (1, 2) for k in (1, 2)]
    names += [f"b{m}_{j}" for m in range(1, 6) for j in (1, 2)] + ["x_1", "x_2"]
    plain["evidence"] |= {
        "input": {"layer": 5, "point": dict.fromkeys(names, LONG[0])},
        "claimed": "1",
        "found": LONG[0],
    }
    started = time.process_time()
    assert str(verify(resealed(plain)).evidence) == f"the derivative is not {LONG[0]} there, or the formula not 1"
    assert time.process_time() - started < 5


def step(op, shape, *args):
    return {"op": op, "args": list(args), "kwargs": {}, "shape": shape, "dtype": "float32"}


def graph(*nodes, constants=()):
    return {"nodes": list(nodes), "constants": list(constants), "output": {"node": len(nodes) - 1}}


IMAGE = step("input", [1, 1, 4, 4])
FIRST, SMALL = {"node": 0}, [1, 1, 4, 4]
LARGE = {
    "repeated": step("aten.repeat.default", SMALL, FIRST, [1, 1, 4000, 4000]),
    "padded": step("aten.constant_pad_nd.default", SMALL, FIRST, [9000, 9000, 9000, 9000]),
    "reflected": step("aten.replication_pad2d.default", SMALL, FIRST, [9000, 9000, 9000, 9000]),
    "enlarged": step("aten.upsample_nearest2d.default", SMALL, FIRST, [20000, 20000]),
    "interpolated": step("aten.upsample_bilinear2d.default", SMALL, FIRST, [12_000, 12_000], False),
    "unfolded": step("aten.im2col.default", SMALL, FIRST, [1, 1], [1, 1], [9000, 9000], [1, 1]),
}


def peak(call):
    tracemalloc.start()
    try:
        said = str(call())
        return said, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", LARGE)
def test_a_large_result_is_refused_before_it_is_made(case):
    plain = equal_maps(lambda x: x * 1, lambda x: x * 1, (1, 4, 4)).to_plain()
    plain["evidence"]["data"]["left"]["graph"] = graph(IMAGE, LARGE[case])
    said, memory = peak(lambda: verify(resealed(plain)))
    assert f"a result of more than {ROOM:,} numbers" in said
    assert memory < 50e6


def test_results_of_a_broadcast_are_refused_too():
    long = pack_array(np.ones((1, 1, 20_000, 1), np.float32)), pack_array(np.ones((1, 1, 1, 20_000), np.float32))
    plain = equal_maps(lambda x: x * 1, lambda x: x * 1, (1, 4, 4)).to_plain()
    for op in ("aten.add.Tensor", "aten.sub.Tensor", "aten.mul.Tensor", "aten.div.Tensor"):
        node = step(op, SMALL, {"constant": 0}, {"constant": 1})
        plain["evidence"]["data"]["left"]["graph"] = graph(IMAGE, node, constants=long)
        said, memory = peak(lambda: verify(resealed(plain)))
        assert f"a result of more than {ROOM:,} numbers" in said, op
        assert memory < 50e6


@pytest.mark.parametrize("kind", ["upsample_bilinear2d", "_upsample_bicubic2d_aa"])
def test_a_line_that_takes_minutes_is_refused(kind):
    plain = equal_maps(lambda x: x * 1, lambda x: x * 1, (1, 4, 4)).to_plain()
    wide = step(f"aten.{kind}.default", [1, 1, 4, 1 << 20], FIRST, [4, 1 << 20], False)
    plain["evidence"]["data"]["left"]["graph"] = graph(IMAGE, wide)
    said, memory = peak(lambda: verify(resealed(plain)))
    assert "a line too long" in said
    assert memory < 50e6


def many():
    """A result of 8 MB, and 15 more made of it one after the other."""
    large = [1, 1, 1024, 1024]
    return graph(
        IMAGE,
        step("aten.repeat.default", large, FIRST, [1, 1, 256, 256]),
        *(step("aten.neg.default", large, {"node": k}) for k in range(1, 16)),
    )


def test_results_that_are_not_used_again_are_not_kept():
    machine = Machine(many(), [], Absolute())
    _, memory = peak(lambda: machine.run(np.ones((1, 1, 4, 4)))[0].shape)
    assert memory < 60e6
    assert sum(value is not None for value in machine.values) == 1


@pytest.mark.parametrize("room", [1 << 20, 1 << 22])
def test_what_is_kept_at_once_is_limited(room, monkeypatch):
    monkeypatch.setattr("mathdnn.verify.keeping.ROOM", room)
    image = np.ones((1, 1, 4, 4), np.float32)
    if room == 1 << 20:
        with pytest.raises(ValueError, match=r"^more than 1,048,576 numbers at once$"):
            Machine(many(), [], Absolute()).run(image)
        with pytest.raises(ValueError, match=r"^more than 1,048,576 numbers at once$"):
            run(many(), image)
    else:
        assert Machine(many(), [], Absolute()).run(image)[0].max() == 1
        assert run(many(), image).min() == -1


def test_an_image_on_the_vector_body_is_only_filled_up(monkeypatch):
    plain = commutes_with_max_pool("torch.nn.functional.gelu", "bfloat16").to_plain()
    cells, seen = 65_534, []
    zeros = np.zeros((1, 1, 1, cells), np.float32)
    plain["claim"] += pooling.BODY
    plain["evidence"] |= {
        "input": {"image": pack_array(zeros), "window": [1, 2]},
        "claimed": {"pooling_first": pack_array(zeros[..., ::2])},
        "found": {"pooling_last": pack_array(zeros[..., ::2])},
    }

    def identity(bits):
        seen.append(bits.size)
        return bits

    monkeypatch.setattr(pooling, "function_of", lambda _: (identity, ""))
    assert "agree at the cell" in str(verify(resealed(plain)))
    assert seen == [32_768, 65_536]
