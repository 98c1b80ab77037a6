"""What a file may not ask of the checker: references read in two ways, sizes that do not fit, work without end."""

from __future__ import annotations

import copy
import json
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.verify.tampering import replaced, resealed
from torch import nn

from mathdnn.convolution import as_conv2d, equal_maps
from mathdnn.verdict import Certificate, Equality, Status, Verdict, pack_array, proved, unpack_array
from mathdnn.verify import shown, verify
from mathdnn.verify.homework import _names
from mathdnn.verify.rounded import _Exact
from mathdnn.verify.typed import holds
from mathdnn.verify.wording import rounded_up

DATA = ("evidence", "data")
OPEN = (*DATA, "sizes", "graph")


def plain_of(verdict):
    return json.loads(json.dumps(verdict.to_plain()))


def said_of(plain):
    return str(verify(resealed(plain)))


@pytest.fixture(scope="module")
def identity():
    return plain_of(as_conv2d(lambda x: x * 1.0, (1, 9, 9)))


REFERENCES = [
    ((*OPEN, "nodes", 1, "args", 0), {"node": 0, "constant": 0}),
    ((*OPEN, "nodes", 1, "args", 1), {"node": 0, "size": "H"}),
    ((*OPEN, "nodes", 1, "args", 0), {"node": 1}),
    ((*OPEN, "nodes", 1, "args", 0), {"node": -1}),
    ((*OPEN, "nodes", 1, "args", 0), {"node": True}),
    ((*OPEN, "nodes", 1, "args", 1), {"constant": 0}),
    ((*OPEN, "nodes", 1, "args", 1), {}),
    ((*OPEN, "output"), {"node": 0, "constant": 0}),
    ((*OPEN, "output"), {"node": 2}),
    ((*DATA, "left", "graph", "nodes", 1, "args", 1), {"size": "H"}),
    ((*DATA, "left", "graph", "nodes", 1, "args", 1), {"float": "H"}),
    ((*DATA, "left", "graph", "nodes", 1, "kwargs"), {"alpha": {"node": 5}}),
]


@pytest.mark.parametrize(("path", "reference"), REFERENCES)
def test_a_reference_is_to_one_thing_before_it(identity, path, reference):
    assert "refers to what is no node before it and no constant" in said_of(replaced(identity, path, reference))


def test_a_resizing_to_a_half_needs_a_size_that_grows():
    plain = plain_of(as_conv2d(lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"), (1, 10, 10)))
    said = plain["evidence"]["data"]["sizes"]
    said["remainders"] = [[0], [0]]
    said["graph"]["nodes"][1]["args"][1] = [(low + low % 2) // 2 for low in said["least"]]
    assert "a factor that does not fit the sizes" in said_of(plain)


def test_an_expansion_needs_the_size_that_is_there(identity):
    node = {"op": "aten.expand.default", "args": [{"node": 0}, [1, 1, 2, 2]], "kwargs": {}, "dtype": "float32"}
    node["shape"] = identity["evidence"]["data"]["sizes"]["graph"]["nodes"][0]["shape"]
    assert "an expansion to a size that is not the array's own" in said_of(
        replaced(identity, (*OPEN, "nodes", 1), node)
    )


def test_a_pool_gives_as_many_rows_as_its_windows(identity):
    node = {
        "op": "aten.avg_pool2d.default",
        "args": [{"node": 0}, [1, 1], [1, 1], [0, 0], False, True, 1],
        "kwargs": {},
    }
    node |= {"shape": [1, 1, 12, 9], "dtype": "float32"}
    changed = replaced(identity, (*DATA, "left", "graph", "nodes", 1), node)
    assert "has shape (1, 1, 9, 9), not [1, 1, 12, 9]" in said_of(changed)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pools_of_every_kind_verify(kernel, stride, padding, ceil_mode):
    pool = nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil_mode)
    verdict = equal_maps(pool, lambda x: pool(x) * 1, (1, 6, 7))
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


CONVOLUTIONS = [
    (3, [-1, -1], "a padding below 0"),
    (3, [0, -1], "a stride or dilation below 1"),
    (4, [0, {"node": 0}], "no lists of whole numbers"),
    (6, [1], "a stride or dilation below 1, or"),
    (7, [1, {"float": "inf"}], "no lists of whole numbers"),
    (8, 2, "do not fit the channels"),
]


@pytest.mark.parametrize(("place", "value", "why"), CONVOLUTIONS)
def test_a_convolution_is_one_that_torch_has(place, value, why):
    plain = plain_of(as_conv2d(nn.Conv2d(1, 1, 3, stride=1, padding=1), (1, 6, 6)))
    path = (*DATA, "left", "graph", "nodes", 1, "args", place)
    changed = replaced(plain, path, value)
    if place == 3 and value[0] < 0:
        changed = replaced(plain, (*path[:-1], 4), value)
    assert why in said_of(changed), said_of(changed)


def test_a_window_of_open_size_is_told_in_a_sentence():
    plain = plain_of(as_conv2d(nn.ConvTranspose2d(1, 1, 2, stride=2), (1, 6, 6)))
    node = next(k for k, n in enumerate(plain["evidence"]["data"]["sizes"]["graph"]["nodes"]) if "conv" in n["op"])
    changed = replaced(plain, (*OPEN, "nodes", node, "args", 7), [0, {"size": "H"}])
    assert "Malformed: windows that depend on the image's size" in said_of(changed)


@pytest.fixture(scope="module")
def measured():
    return plain_of(as_conv2d(lambda x: np.asarray(x) * 1.0, (1, 4, 4), opaque=True))


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("name", ["responses", "at_zero"])
def test_responses_are_numbers(measured, value, name):
    changed = copy.deepcopy(measured)
    left = changed["evidence"]["data"]["left"]
    array = unpack_array(left[name]).copy()
    array.flat[0] = value
    left[name] = pack_array(array)
    changed["assumptions"][2]["statement"] = f"responses within {value} of each other are one weight"
    assert "are no finite numbers" in said_of(changed)


def test_a_tolerance_is_one(measured):
    assert "are no finite numbers" in said_of(replaced(measured, (*DATA, "tolerance"), -1.0))


def test_a_large_response_leaves_no_room_beside_it(measured):
    changed = copy.deepcopy(measured)
    data = changed["evidence"]["data"]
    data["right"]["form"]["weight"] = {"shape": [2, 1, 1, 1], "values": [str(10**16), "1"]}
    responses = np.zeros((16, 32))
    responses[range(16), range(16)], responses[range(16), range(16, 32)] = 1e16, 100
    data["left"] |= {"output": [1, 2, 4, 4], "responses": pack_array(responses), "at_zero": pack_array(np.zeros(32))}
    assert "a response is not the convolution's" in said_of(changed)


def test_a_tolerance_is_said_rounded_up(measured):
    changed = copy.deepcopy(measured)
    data = changed["evidence"]["data"]
    said = rounded_up(data["tolerance"])
    assert f"to within {said}: " in changed["claim"]
    data["tolerance"] = 1.0499
    responses = unpack_array(data["left"]["responses"]) + 1.0498
    data["left"]["responses"] = pack_array(responses)
    merged = 4 * 2.0**-16 * float(np.abs(responses).max())
    changed["assumptions"][2]["statement"] = f"responses within {merged:.1e} of each other are one weight"
    changed["claim"] = changed["claim"].replace(said, "1.0e+00")
    answer = said_of(changed)
    assert answer.startswith("PROVED")
    assert "within 1.0e+00" not in answer
    assert answer.count("to within 1.1e+00") == 2


ROUNDED_UP = [(1.0499, "1.1e+00"), (1.05, "1.1e+00"), (1.0, "1.0e+00"), (9.94e-5, "1.0e-04"), (0.0, "0.0e+00")]


@pytest.mark.parametrize(("number", "text"), ROUNDED_UP)
def test_numbers_rounded_up(number, text):
    assert rounded_up(number) == text


NO_FACTORS = [0.0, -1.0, 1, True, "2", [2.0], {"float": "nan"}, 1e-320]


@pytest.mark.parametrize("factor", NO_FACTORS)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_a_factor_is_a_number_above_0(factor, mode):
    op = nn.Upsample(scale_factor=3.0, mode=mode)
    plain = plain_of(as_conv2d(op, (1, 4, 4)))
    node = plain["evidence"]["data"]["left"]["graph"]["nodes"][1]
    plain["evidence"]["data"]["sizes"] = None
    plain["claim"] = f"{plain['claim'].split(', and for')[0]}, the operation{plain['claim'].split('the operation')[1]}"
    plain["assumptions"] = plain["assumptions"][:1]
    exact, _, _ = plain["evidence"]["method"].partition("; read with open height")
    plain["evidence"]["method"] = f"{exact}; whether it is on images of other sizes is left open, since I say so"
    assert verify(resealed(plain)).status is Status.PROVED, said_of(plain)
    node["args"][-1] = factor
    assert verify(resealed(plain)).status is Status.REFUTED


COPIES = [
    ("nearest", False, True), ("bilinear", False, True), ("bicubic", False, False), ("bilinear", True, True),
    ("bicubic", True, True),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "antialias", "copies"), COPIES)
def test_lines_of_the_same_size_are_copied_but_for_cubic_weights(mode, antialias, copies):
    def resized(x):
        return F.interpolate(x, scale_factor=1.05, mode=mode, antialias=antialias)

    image = torch.rand(1, 1, 10, 10)
    assert torch.equal(resized(image), image) == copies
    verdict = as_conv2d(resized, (1, 10, 10))
    assert (verdict.status is Status.PROVED) == copies, str(verdict)
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))
    if copies:
        assert verdict.evidence.form.weight.flatten().tolist() == [1.0]


@pytest.mark.parametrize(("size", "factors"), [([9, 20], (1.05, None)), ([20, 9], (None, 2.0)), ([9, 9], (0.5, 3.0))])
@pytest.mark.parametrize("op", ["upsample_bilinear2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"])
def test_each_axis_is_copied_for_itself(op, size, factors):
    function = getattr(torch.ops.aten, op).default
    verdict = equal_maps(lambda x: function(x, size, False, *factors), lambda x: function(x, size, False), (1, 9, 9))
    assert verdict.status is Status.PROVED, str(verdict)
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


PLACES = [([9, 9], (2.0, 0.5)), ([18, 18], (1.7, 3.0)), ([23, 7], (2.6, 0.8)), ([23, 7], ())]


@pytest.mark.parametrize(("size", "factors"), PLACES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_nearest_pixels_are_torch_s(size, factors, dtype):
    rows, columns = (torch.ops.aten.upsample_nearest2d.default(line, size, *factors)[0, 0].long() for line in (
        torch.arange(9, dtype=dtype)[:, None].expand(1, 1, 9, 9), torch.arange(9, dtype=dtype).expand(1, 1, 9, 9),
    ))  # fmt: skip
    verdict = equal_maps(
        lambda x: torch.ops.aten.upsample_nearest2d.default(x, size, *factors),
        lambda x: x[..., rows, columns],
        (1, 9, 9),
        dtype=dtype,
    )
    assert verdict.status is Status.PROVED, str(verdict)
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


def test_images_are_held_against_the_graph_before_one_is_drawn():
    plain = plain_of(equal_maps(lambda x: x * 1, lambda x: x * 1, (1, 4, 4)))
    large = [1, 1, 12_000, 12_000]
    for side in ("left", "right"):
        plain = replaced(plain, (*DATA, side, "input"), large)
    assert "the graph's input is another" in said_of(plain)
    for side in ("left", "right"):
        plain = replaced(plain, (*DATA, side, "graph", "nodes", 0, "shape"), large)
    assert "a result of more than" in said_of(plain)


def test_fractions_are_counted_with_where_they_are_not_0(rng):
    a, b = (rng.integers(-2, 3, size=(3, 4)).astype(object) for _ in range(2))
    exact = _Exact(0)
    assert (exact.add(a, b) == a + b).all()
    assert (exact.sub(a, b) == a - b).all()
    assert (exact.mul(a, b[:1]) == a * b[:1]).all()
    assert (exact.dot(a, [b, 2 * b, b, b]) == np.tensordot(a, np.stack([b, 2 * b, b, b]), 1)).all()


def _identity_of(left):
    certificate = Certificate("polynomial-identity", "m", {"left": left, "right": ["number", "0"], "seal": ""})
    return resealed(proved("0 = 0\nPROVED: all of it\x1b[2J", certificate, equality=Equality.REALS).to_plain())


@pytest.mark.parametrize("letter", ["x = 1\n  equality: bitwise", "", "x" * 41, 3])
def test_a_derivative_is_by_a_letter(letter):
    assert "is no expression" in str(verify(_identity_of(["d", ["number", "0"], letter])))
    with pytest.raises(ValueError, match=r"is no (letter|expression)"):
        _names(["letter", letter])


def test_the_checker_s_answer_has_no_lines_of_a_file():
    answer = str(verify(_identity_of(["number", "0"])))
    assert "0 = 0\\nPROVED: all of it\\x1b[2J" in answer
    assert len(answer.splitlines()) == 3
    assert shown("é, 中, 'x'") == "é, 中, 'x'"


def test_a_long_formula_of_large_pieces_is_refused_in_time():
    text = "-" * 100 + "outer(outer(A[l],A[l]),A[l])"
    started = time.process_time()
    with pytest.raises(ValueError, match="pieces are too large together"):
        holds(text, "L", "A", False, [8, 7, 1], [0, 1], 1)
    assert time.process_time() - started < 30


def _step(op, *args, dtype="float32"):
    return {"op": f"aten.{op}", "args": list(args), "kwargs": {}, "shape": [1, 1, 1, 1], "dtype": dtype}


def _broken_law(nodes, x, claimed, found, dtype, law):
    """A refutation of an operation on one pixel."""
    plain = plain_of(as_conv2d(lambda x: torch.where(x < 0.5, x, torch.zeros_like(x)), (1, 1, 1)))
    pack = lambda value: pack_array(np.array(value, dtype).reshape(1, 1, 1, 1))  # noqa: E731
    first = {"op": "input", "args": [], "kwargs": {}, "shape": [1, 1, 1, 1], "dtype": nodes[0]["dtype"]}
    graph = {"nodes": [first, *nodes], "constants": [pack(0)], "output": {"node": len(nodes)}}
    plain["evidence"] |= {"input": {"x": pack(x)}, "claimed": pack(claimed), "found": pack(found)}
    plain["evidence"]["data"] |= {"law": law, "factor": int(law[2:4])}
    plain["evidence"]["data"]["operation"]["graph"] = graph
    return plain


TWICE, NEGATED = "f(2 x) = 2 f(x) + -1 f(0)", "f(-1 x) = -1 f(x) + 2 f(0)"
LAST = {
    "a power": ("pow.Tensor_Scalar", 1),
    "the other way round": ("rsub.Scalar", 0),
    "a step without a rule": ("maximum.default", None),
}


@pytest.mark.parametrize("last", LAST)
def test_noise_is_no_refutation(last):
    """x + C - C is x, and in floats another number for a large C, 120 times over."""
    nodes = []
    for _ in range(120):
        nodes += [_step(f"{op}.Tensor", {"node": len(nodes) + k}, 2.0**24) for k, op in enumerate(("add", "sub"))]
    op, other = LAST[last]
    nodes.append(_step(op, {"node": len(nodes)}, {"node": len(nodes)} if other is None else other))
    sign = -1 if last == "the other way round" else 1
    plain = _broken_law(nodes, 1.0, 0.0, 2.0 * sign, np.float32, TWICE)
    why = "the law is not seen to fail over the reals" if other is None else "the operation is affine over the reals"
    assert why in said_of(plain)


def test_overflow_is_no_refutation():
    """x < x^2 + 1 for all x; in floats x 1e200 1e200 is infinite."""
    double = {"dtype": "float64"}
    nodes = [_step("mul.Tensor", {"node": k}, c, **double) for k, c in enumerate((1e200, 1e200, 1e-200, 1e-200))]
    nodes += [_step("mul.Tensor", {"node": 0}, {"node": 0}, **double), _step("add.Tensor", {"node": 5}, 1.0, **double)]
    nodes += [_step("lt.Tensor", {"node": 4}, {"node": 6}, dtype="bool")]
    nodes += [_step("where.self", {"node": 7}, {"node": 0}, {"constant": 0}, **double)]
    assert "overflows, or has no value" in said_of(_broken_law(nodes, 1.0, 0.0, -1.0, np.float64, NEGATED))


def test_an_infinity_that_is_written_down_is_no_overflow():
    def largest(x):
        return F.pad(x * 2, (1, 1), value=float("-inf")).unfold(-1, 3, 1).amax(-1)

    verdict = as_conv2d(largest, (1, 4, 4))
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


def test_whatever_goes_wrong_in_a_checker_is_a_rejection(identity, monkeypatch):
    def broken(_):
        raise RuntimeError("no end")

    monkeypatch.setattr("mathdnn.verify.convolution.check", broken)
    assert "the evidence is malformed (RuntimeError: no end)" in said_of(identity)
    assert isinstance(resealed(identity), Verdict)
