"""What a graph gives over the reals lies in the checker's intervals, and laws fail only where these are apart."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.verify.operations import OPERATIONS, SHAPE
from tests.verify.tampering import rejected, resealed

from mathdnn.convolution import as_conv2d, reproduces
from mathdnn.convolution.trace import trace
from mathdnn.verdict import Status, pack_array
from mathdnn.verify import verify
from mathdnn.verify.enclosing import apart
from mathdnn.verify.enclosing.intervals import Interval
from mathdnn.verify.enclosing.run import RULES, Enclosing
from mathdnn.verify.numbers import Malformed
from mathdnn.verify.running import ALLOWED, Open, Program, widened

WITHOUT = {"arange", "mode"}  # it reads nothing; and what comes most often is no matter of size


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_an_operation_gives_lies_within(name, rng):
    """On images drawn from intervals of many widths, run in float64: also where numbers are equal, or 0."""
    graph = trace(OPERATIONS[name], SHAPE).to_plain()
    enclosing, program, told = Enclosing(graph), Program(widened(graph)), 0
    for trial in range(16):
        scale, share = (1, 0.1, 10, 3)[trial % 4], (0, 1e-9, 1e-3, 0.3)[trial // 4]
        middle = (rng.random(SHAPE) - 0.5) * 2 * scale
        middle = np.round(middle * 2) / 2 if trial % 3 == 0 else middle
        low, high = middle - share * scale * rng.random(SHAPE), middle + share * scale * rng.random(SHAPE)
        try:
            found = enclosing.at(_between(low, high))
        except Open:
            continue
        told += 1
        for k in range(6):
            way = rng.random(SHAPE) if k % 2 else np.round(rng.random(SHAPE))
            image = np.clip(low + (high - low) * way, low, high)
            value = torch.from_numpy(program.at(image)).double()
            lost = 2.0**-48 * value.abs()  # of the image's own run
            assert ((value >= found.low - lost) & (value <= found.high + lost) | value.isnan()).all(), (trial, k)
    assert told


def _between(low, high):
    ends = torch.from_numpy(low), torch.from_numpy(high)
    return Interval(ends[0], ends[0]) if (low == high).all() else Interval(*ends)


EXACT = {
    "tanh": (torch.tanh, mpmath.tanh), "exp": (torch.exp, mpmath.exp), "erf": (torch.erf, mpmath.erf),
    "erfc": (torch.erfc, mpmath.erfc), "log1p": (lambda x: torch.log1p(x.abs()), lambda x: mpmath.log1p(abs(x))),
    "sigmoid": (torch.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))), "sin": (torch.sin, mpmath.sin),
    "gelu": (F.gelu, mpmath.ncdf), "expm1": (torch.expm1, mpmath.expm1), "sinh": (torch.sinh, mpmath.sinh),
    "softplus": (F.softplus, None), "elu": (F.elu, lambda x: x if x > 0 else mpmath.expm1(x)),
    "tan": (lambda x: (x / 16).tan(), lambda x: mpmath.tan(x / 16)),
    "cosh": (torch.cosh, mpmath.cosh), "atan": (torch.atan, mpmath.atan),
    "log": (lambda x: x.abs().log(), lambda x: mpmath.log(abs(x))),
    "cube": (lambda x: x**3, lambda x: x**3), "third": (lambda x: x / 3, lambda x: x / 3), "silu": (F.silu, None),
    "square": (torch.square, lambda x: x * x), "rsqrt": (lambda x: x.abs().rsqrt(), lambda x: 1 / mpmath.sqrt(abs(x))),
    "root": (lambda x: x.abs() ** 0.3, lambda x: abs(x) ** mpmath.mpf(0.3)),
    "exp2": (torch.exp2, lambda x: mpmath.mpf(2) ** x),
}  # fmt: skip
LONGER = {
    "gelu": lambda x: x * mpmath.ncdf(x),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)) if x <= 20 else x,  # torch's own, beyond its threshold
}


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_value_lies_within(name, rng):
    """At single numbers, against arithmetic of 60 digits."""
    operation, exact = EXACT[name][0], LONGER.get(name, EXACT[name][1])
    numbers = np.concatenate([rng.standard_normal(60) * np.repeat([1e-12, 1e-3, 1, 8], 15), [0.5, -1.5, 2.0, 1.0]])
    image = np.ascontiguousarray(numbers.reshape(1, 8, 8).astype(np.float32).astype(np.float64))
    found = Enclosing(trace(operation, (1, 8, 8)).to_plain()).at(_between(image, image))
    with mpmath.workdps(60):
        for x, low, high in zip(image.ravel(), found.low.flatten(), found.high.flatten(), strict=True):
            assert mpmath.mpf(low.item()) <= exact(mpmath.mpf(float(x))) <= mpmath.mpf(high.item()), x
            assert high - low <= 2.0**-40 * (1 + abs(low)), x


def test_every_operation_that_a_file_may_have_run_has_bounds():
    assert ALLOWED - RULES.keys() == WITHOUT
    assert set(RULES) <= ALLOWED


def _noise(x):
    """0 over the reals, and what float64 rounds at most."""
    return (x + 2.0**60) - 2.0**60 - x


NOISE = {  # each is affine over the reals, and in floats the square, or the size, of x
    "not 0": lambda x: x * x * (_noise(x) != 0),
    "square above 0": lambda x: x * x * (_noise(x).square() > 0),
    "sum of squares": lambda x: x.abs() * (_noise(x).square().sum() > 0),
    "sign of a size": lambda x: x * x * _noise(x).abs().sign(),
    "quotient": lambda x: x * x * (_noise(x) / (_noise(x) + 1e-30)),
    "rounded up": lambda x: x.abs() * (_noise(x).abs().clamp(max=1)).ceil(),
    "larger than another": lambda x: torch.where(_noise(x).abs() > _noise(x).abs() / 2, x * x, x),
    "place": lambda x: x.abs() * torch.stack([_noise(x), 0 * x]).abs().argmin(0),
}


@pytest.mark.parametrize("name", NOISE)
def test_what_rounding_makes_of_a_step_is_no_refutation(name, monkeypatch):
    assert as_conv2d(NOISE[name], (1, 3, 4)).status is Status.UNDECIDED
    monkeypatch.setattr("mathdnn.convolution.nonlinear._lasts", lambda *_: True)
    verdict = as_conv2d(NOISE[name], (1, 3, 4))
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is not Status.PROVED, str(verify(verdict))


WITHOUT_A_VALUE_AT_ZERO = {
    "reciprocal": lambda x: 1 / x,
    "logarithm": torch.log,
    "shares": lambda x: x / x.sum(),
    "unit length": lambda x: x / x.norm(),
    "standardised": lambda x: (x - x.mean()) / x.std(),
    "from 0 to 1": lambda x: (x - x.amin()) / (x.amax() - x.amin()),
    "step at 0": lambda x: torch.floor((x + 1) / 3 * 3),
    "power": lambda x: x**x,
}


@pytest.mark.parametrize("name", WITHOUT_A_VALUE_AT_ZERO)
def test_what_has_no_value_at_0_is_refuted_around_another_image(name):
    verdict = as_conv2d(WITHOUT_A_VALUE_AT_ZERO[name], (1, 3, 4))
    assert verdict.status is Status.REFUTED
    assert verdict.evidence.data["law"] == "f(z + 2 x) = 2 f(z + x) + -1 f(z)"
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


CHANGED = {
    "a law around 0": {"law": "f(2 x) = 2 f(x) + -1 f(0)"},
    "a law of sums": {"law": "f(z + x + y) = f(z + x) + f(z + y) - f(z)"},
    "a law of sums, and its factor": {"law": "f(z + x + y) = f(z + x) + f(z + y) - f(z)", "factor": None},
    "another factor": {"law": "f(z + 3 x) = 3 f(z + x) + -2 f(z)", "factor": 3},
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_law_around_an_image_is_no_other_law(name):
    plain = as_conv2d(torch.log, (1, 3, 4)).to_plain()
    plain["evidence"]["data"] |= CHANGED[name]
    assert rejected(resealed(plain).to_json())


@pytest.mark.parametrize("other", ["another size", "no numbers", "a fourth image", "none"])
def test_the_images_of_a_law_are_those_that_it_names(other):
    plain = as_conv2d(torch.log, (1, 3, 4)).to_plain()
    images = plain["evidence"]["input"]
    if other == "none":
        del images["z"]
    else:
        shape, kind = (1, 1, 1) if other == "another size" else (1, 3, 4), int if other == "no numbers" else np.float32
        images["w" if other == "a fourth image" else "z"] = pack_array(np.ones(shape, kind))
    assert rejected(resealed(plain).to_json())


def test_affine_operations_keep_every_law(rng):
    """Whatever floats make of them."""
    graphs = [
        trace(operation, (1, 4, 4)).to_plain()
        for operation in (
            lambda x: F.avg_pool2d(x, 3, 1, 1) * 0.1 + 0.3,
            lambda x: (x + 1e8) - 1e8,
            lambda x: F.interpolate(x[None], size=(7, 5), mode="bicubic")[0],
            lambda x: torch.maximum(x, x) / 3,
            lambda x: (x / 3).abs() - (x / 3).abs() + x,
        )
    ]
    for graph in graphs:
        for factor in (None, 2, -1):
            images = {name: rng.standard_normal((1, 4, 4)).astype(np.float32) for name in "xyz"}
            assert not apart(graph, images, factor)


def _unless(holds, x):
    """x, unless rounding, or what has no value, decides."""
    return torch.where(holds, x, x * x)


def _small(x):
    """Its squares are too small for floats, or nearly."""
    return (0.3 * x.abs() + 1) * 2.0**-538


def _nearest(x):
    """In three columns: of the second and the third the float 1/3 is nearer to the second."""
    place = torch.tensor([1 / 3, -0.75], dtype=torch.float64)
    return F.grid_sample(x[:, None], place[None, None, None], "nearest", align_corners=False)[:, 0]


NO_MATTER_OF_THE_REALS = {  # each is affine over the reals, or has no value there; and torch's floats are affine
    "0 / 0": lambda x: torch.nan_to_num(x / x, nan=1.0),
    "a root of less than 0": lambda x: _unless((x * 0 - 1).sqrt().isnan(), x),
    "an angle of no sine": lambda x: _unless((x * 0 + 2).asin().isnan(), x),
    "no number": lambda x: _unless((torch.tensor(torch.nan) * x).isnan(), x),
    "products too small": lambda x: x * (_small(x) @ _small(x).mT).sign()[..., :1],
    "whole numbers beyond floats": lambda x: (
        x + x * x * (((x > 0.5).long() + 2**53).double() - 2.0**53 - (x > 0.5).double())
    ),
    "a cast of what may be 0": lambda x: x * x * torch.zeros_like(x, dtype=torch.bool).copy_(_noise(x)),
    "a place between two pixels": lambda x: x * (_nearest(x[..., :3]) - x[:, :1, 1:2]),
}


@pytest.mark.parametrize("name", NO_MATTER_OF_THE_REALS)
def test_what_has_no_value_and_what_floats_do_not_hold_is_no_refutation(name, rng):
    graph = trace(NO_MATTER_OF_THE_REALS[name], (1, 4, 4), torch.float64).to_plain()
    for factor in (None, 2, -1, None, 2, -1):
        images = {name: rng.standard_normal((1, 4, 4)) for name in "xy"}
        try:
            assert not apart(graph, images, factor)
        except Open:
            continue


def test_images_that_overflow_are_no_refutation():
    graph = trace(lambda x: x / 4, (1, 1, 1), torch.float64).to_plain()
    assert not apart(graph, {"x": np.full((1, 1, 1), 1.2e308)}, 2)
    with pytest.raises(Malformed, match=r"^images that are no floats$"):
        apart(graph, {"x": np.full((1, 1, 1), np.inf)}, 2)


EXACTLY = [
    (lambda x: torch.round(x, decimals=1), 0.15, 0.1),  # the float 0.15 is less than that
    (lambda x: F.softplus(x, 10, 1), 0.1, 0.1),  # and the float 0.1 more than 1/10
    (lambda x: torch.linalg.vector_norm(torch.stack([x, 0 * x]), 100, 0), 1e-5, 1e-5),
    (lambda x: torch.linalg.vector_norm(torch.stack([x, 0 * x]), 2, 0), 1e200, 1e200),
    (F.hardswish, 1.5e308, 1.5e308),
]


@pytest.mark.parametrize(("operation", "x", "exact"), EXACTLY)
def test_where_floats_round_another_way_overflow_or_underflow_the_exact_value_lies_within(operation, x, exact):
    point = torch.full((1, 1, 1), x, dtype=torch.float64)
    found = Enclosing(trace(operation, (1, 1, 1), torch.float64).to_plain()).at(Interval(point, point))
    assert found.low.item() * (1 - 2.0**-52) <= exact <= found.high.item() * (1 + 2.0**-52)


def test_a_pixel_of_nearly_no_weight_may_be_large():
    """Between 4 pixels, against exact weights."""
    size = 20
    graph = trace(lambda x: F.interpolate(x, size=(1, size), mode="bilinear"), (1, 1, 1, 4), torch.float64).to_plain()
    for k in range(4):
        image = np.array([0.2025, 0.7, -0.3, 0.9]) * np.where(np.arange(4) == k, 1e13, 1)
        found = Enclosing(graph).at(_between(image.reshape(1, 1, 1, 4), image.reshape(1, 1, 1, 4)))
        for j, (low, high) in enumerate(zip(found.low.flatten(), found.high.flatten(), strict=True)):
            place = min(max(Fraction(4 * (2 * j + 1), 2 * size) - Fraction(1, 2), Fraction(0)), Fraction(3))
            a, b = (Fraction(image[min(int(place) + step, 3)]) for step in (0, 1))
            assert Fraction(low.item()) <= a + (b - a) * (place - int(place)) <= Fraction(high.item()), (k, j)


FALLING = {
    "elu": lambda x: F.elu(x, -1.0),
    "divisor": lambda x: F.avg_pool3d(x, 1, divisor_override=-2),
    "no order": lambda x: x.topk(3, sorted=False)[0],
    "digits": lambda x: x.view(torch.int64) * 1.0,
    "digits of truth": lambda x: ((x > 0) & 2) * 1.0,
}


@pytest.mark.parametrize("name", FALLING)
def test_what_does_not_grow_with_its_numbers_is_left_open(name):
    enclosing = Enclosing(trace(FALLING[name], (1, 2, 4, 4), torch.float64).to_plain())
    with pytest.raises(Open, match=r"below 0$|in no order$|^the digits of "):
        enclosing.at(_between(*(np.full((1, 2, 4, 4), end) for end in (-0.3, 0.4))))


def _node(op, args, shape, dtype, /, **kwargs):
    return {"op": op, "args": args, "kwargs": kwargs, "shape": shape, "dtype": dtype}


X, FIRST = {"node": 0}, _node("input", [], [1, 2, 2], "float64")
FORGED = {
    "it writes": _node("aten.add.out", [X, X], [1, 2, 2], "float64", out={"constant": 0}),
    "a hidden type": _node("aten.sum.default", [X], [], None, dtype="half"),
    "a part of one array": _node("getitem", [X, 0], [2, 2], "float64"),
    "complex": _node("aten._to_copy.default", [X], [1, 2, 2], None, dtype="complex128"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_node_that_is_not_what_it_seems_is_no_part_of_a_graph(name):
    graph = {"nodes": [FIRST, FORGED[name]], "constants": [pack_array(np.zeros((1, 2, 2)))], "output": {"node": 1}}
    with pytest.raises(Malformed, match=r" writes into | gives \w+, not None$|^a getitem that takes no result of "):
        Program(graph).at(np.ones((1, 2, 2)))


def test_what_a_layer_in_training_keeps_is_the_same_for_every_image():
    c, arguments = {"constant": 0}, [None, None, {"constant": 0}, {"constant": 0}, True, 0.5, 1e-5]
    nodes = [FIRST, _node("aten.native_batch_norm.default", [X, *arguments], None, None)]
    nodes += [_node("getitem", [{"node": 1}, 0], [1, 2, 2], "float64")]
    nodes += [_node("aten.view.default", [c, [2, 1]], [2, 1], "float64")]
    nodes += [_node("aten.add.Tensor", [{"node": 2}, {"node": 3}], [1, 2, 2], "float64")]
    program = Program({"nodes": nodes, "constants": [pack_array(np.ones(2))], "output": {"node": 4}})
    image = np.arange(4.0).reshape(1, 2, 2)
    assert np.array_equal(program.at(image), program.at(image))
    assert np.array_equal(program.constants[0], [1, 1])


def test_sums_of_images_are_exact():
    """x + y rounds to y in float64: a step between the two is not passed."""
    graph = trace(lambda x: (x > 1).float(), (1, 1, 1), torch.float64).to_plain()
    one, tiny = np.ones((1, 1, 1)), np.full((1, 1, 1), 2.0**-60)
    assert not apart(graph, {"x": tiny, "y": one}, None)
    assert apart(graph, {"x": one, "y": one}, None)


def test_what_comes_most_often_is_known_where_nothing_was_rounded():
    verdict = as_conv2d(lambda x: x.mode(-1)[0][..., None] ** 2, (1, 3, 4))
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is Status.PROVED


def test_where_no_bounds_are_known_the_file_alone_does_not_tell(monkeypatch):
    monkeypatch.setattr("mathdnn.convolution.nonlinear._lasts", lambda *_: True)
    verdict = as_conv2d(lambda x: (x / 3).mode(-1)[0][..., None] ** 2, (1, 3, 4))
    checked = verify(verdict)
    assert checked.status is Status.UNDECIDED
    assert "(no bounds over the reals are known for aten.mode), so it has to be run itself" in str(checked)


def test_truth_values_and_places_beside_a_number_are_verified():
    """torch makes float32 of them, in float64 graphs too."""
    for operation in (lambda x: (x > 0) * 0.3, lambda x: x.argmax(-1, keepdim=True) * 0.1, lambda x: (x > 0) / 3):
        verdict = as_conv2d(operation, (1, 3, 4))
        assert verdict.status is Status.REFUTED
        assert verify(verdict).status is Status.PROVED, str(verify(verdict))


def test_a_law_around_an_image_is_run_again_on_the_operation():
    verdict = as_conv2d(torch.log, (1, 3, 4))
    assert reproduces(verdict, torch.log).status is Status.PROVED
    assert reproduces(verdict, torch.log2).status is Status.REFUTED
    assert reproduces(as_conv2d(lambda x: x / x.sum(), (1, 3, 4), opaque=True), lambda x: x / x.sum()).status is (
        Status.PROVED
    )


def _of_unknown_truth(op, dtype):
    """What an operation makes of whole numbers of a kind, of 200 of which each may be 0 or 1."""
    reduced = op != "neg"
    args = [{"node": 2}, *([0] if op == "cumsum" else [[0]] if reduced else [])]
    shape, kwargs = [] if op == "sum" else [300], {"dtype": dtype} if reduced else {}
    nodes = [
        {"op": "input", "args": [], "kwargs": {}, "shape": [300], "dtype": "float64"},
        _node("aten.gt.Scalar", [{"node": 0}, 0], [300], "bool"),
        _node("aten._to_copy.default", [{"node": 1}], [300], dtype, dtype=dtype),
        _node(f"aten.{op}.{'dim_IntList' if op == 'sum' else 'default'}", args, shape, dtype, **kwargs),
        _node("aten._to_copy.default", [{"node": 3}], shape, "float64", dtype="float64"),
    ]
    image = torch.arange(300.0, dtype=torch.float64) - 250
    return Enclosing({"nodes": nodes, "constants": [], "output": {"node": 4}}).at(Interval(image, image + 200))


@pytest.mark.parametrize(
    ("op", "dtype"), [("neg", "uint8"), ("sum", "uint8"), ("sum", "int8"), ("cumsum", "int8"), ("cumsum", "uint8")]
)
def test_whole_numbers_that_begin_anew_where_their_range_ends_are_not_enclosed(op, dtype):
    with pytest.raises(Open, match=r"^whole numbers beyond their range$|^sums of truth values that are not known$"):
        _of_unknown_truth(op, dtype)


def test_whole_numbers_of_many_digits_are_enclosed():
    for op, low, high in (("neg", -1, 0), ("sum", 49, 249)):
        found = _of_unknown_truth(op, "int64")
        assert (found.low.min(), found.high.max()) == (low, high)


def test_the_size_of_the_least_whole_number_is_not_enclosed():
    """In 8 bits |-128| is -128."""
    nodes = [
        {"op": "input", "args": [], "kwargs": {}, "shape": [2], "dtype": "float64"},
        _node("aten._to_copy.default", [{"node": 0}], [2], "int8", dtype="int8"),
        _node("aten.abs.default", [{"node": 1}], [2], "int8"),
    ]
    graph = Enclosing({"nodes": nodes, "constants": [], "output": {"node": 2}})
    low = torch.tensor([-127.0, 3.0], dtype=torch.float64)
    assert graph.at(Interval(low, low + 9)).high.tolist() == [127, 12]
    with pytest.raises(Open, match=r"^whole numbers beyond their range$"):
        graph.at(Interval(low - 1, low + 9))


@pytest.mark.parametrize("op", ["copy", "slice_scatter"])
def test_whole_numbers_put_among_shorter_ones_are_not_enclosed(op):
    nodes = [
        {"op": "input", "args": [], "kwargs": {}, "shape": [2], "dtype": "float64"},
        _node("aten._to_copy.default", [{"node": 0}], [2], "int64", dtype="int64"),
        _node("aten.zeros_like.default", [{"node": 1}], [2], "int8", dtype="int8"),
        _node(f"aten.{op}.default", [{"node": 2}, {"node": 1}], [2], "int8"),
    ]
    low = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(Open, match=r"^whole numbers that may be beyond the range of others$"):
        Enclosing({"nodes": nodes, "constants": [], "output": {"node": 3}}).at(Interval(low, low + 300))


def test_what_begins_anew_below_0_is_no_violation_where_only_rounding_makes_it():
    """Over the reals x / 3 * 3 is x, so that nothing is subtracted; in floats -1 of 8 bits without a sign is 255."""
    graph = trace(lambda x: x + (-((x / 3 * 3 - x) > 0).to(torch.uint8)).to(x.dtype), (1, 2, 2), torch.float64)
    image = np.random.default_rng(0).random((1, 2, 2))
    with pytest.raises(Open, match=r"^whole numbers beyond their range$"):
        apart(graph.to_plain(), {"x": image}, -1)
