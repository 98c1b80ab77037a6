"""Verdicts about nondecreasing and commuting: against every window of a set of values, and re-run from their JSON."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.oracles import monotone as oracle
from tests.saboteurs.monotone import ARGUMENTS
from torch.nn import functional as F

from mathdnn.errors import InvalidInput
from mathdnn.monotone import commutes_with_max_pool, is_nondecreasing
from mathdnn.monotone.floats import FORMATS, bits_at, values_of
from mathdnn.monotone.functions import elementwise
from mathdnn.monotone.nondecreasing import gather
from mathdnn.verdict import Equality, Status, Verdict, unpack_array

ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softsign": F.softsign,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "floor": torch.floor,
    "round": torch.round,
    "sign": torch.sign,
    "abs": torch.abs,
    "neg": torch.neg,
    "zero": lambda x: x * 0,
    "one": torch.ones_like,
    "nan": lambda x: x * float("nan"),
    "nan above one": lambda x: torch.where(x > 1, float("nan"), x),
    "nan below one": lambda x: torch.where(x < 1, float("nan"), x),
    "sign of zero": lambda x: torch.copysign(torch.ones_like(x), x),
    "flush": lambda x: torch.where(x.abs() < 1, x * 0, x),
}


def sample(dtype: str) -> tuple[np.ndarray, list[float]]:
    """Values of a format that show most: specials, small numbers, neighbours. As bits and as floats."""
    form = FORMATS[dtype]
    one = ((1 << (form.width - 2 - form.mantissa)) - 1) << form.mantissa
    near = [k + d for k in (0, 1 << form.mantissa, one, 2 * one, form.infinity - 2) for d in range(-2, 3)]
    steps = list(range(0, form.infinity + 1, form.infinity // 60))
    places = np.unique([p for k in near + steps for p in (k, -1 - k) if form.first <= p <= form.infinity])
    bits = bits_at(places, form)
    return bits, [float(v) for v in values_of(bits, form)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_proof_is_never_contradicted_by_a_window(name, dtype):
    form = FORMATS[dtype]
    bits, values = sample(dtype)
    f = elementwise(ACTIVATIONS[name], form)
    outputs = values_of(f.on_bits(np.resize(bits, 8192))[: len(bits)], form)
    lookup = {v.tobytes(): float(y) for v, y in zip(values_of(bits, form), outputs, strict=True)}
    seen = oracle.commutes(lambda x: lookup[np.float32(x).tobytes()], values)
    verdict = commutes_with_max_pool(ACTIVATIONS[name], dtype, path="vector body")
    allowed = {"bitwise": ["bitwise"], "equal as values": ["bitwise", "values"]}
    if verdict.status is Status.PROVED:
        assert seen in allowed[str(verdict.equality)]
        if verdict.equality is Equality.VALUES:
            stronger = commutes_with_max_pool(ACTIVATIONS[name], dtype, path="vector body", equality="bitwise")
            if np.isnan(outputs).any() and stronger.status is Status.UNDECIDED:
                assert "may change the bits of a NaN" in stronger.evidence.why  # channels last, say
                return
            assert stronger.status is Status.REFUTED
            replay(stronger, ACTIVATIONS[name], bits_differ=True)
    else:
        assert verdict.status is Status.REFUTED
        replay(verdict, ACTIVATIONS[name])


def replay(verdict: Verdict, f, bits_differ: bool = False) -> None:
    """The image from the verdict's own JSON, through torch alone: the two ways differ."""
    evidence = Verdict.from_json(verdict.to_json()).evidence
    dtype = getattr(torch, evidence.data["dtype"])
    image = torch.from_numpy(unpack_array(evidence.input["image"])).to(dtype)
    window = tuple(evidence.input["window"])
    first, last = f(F.max_pool2d(image, window)).flatten(), F.max_pool2d(f(image), window).flatten()
    cell = evidence.data["cell"]
    claimed = torch.from_numpy(unpack_array(evidence.claimed["pooling_first"])).to(dtype).flatten()
    found = torch.from_numpy(unpack_array(evidence.found["pooling_last"])).to(dtype).flatten()
    assert torch.equal(first.nan_to_num(7), claimed.nan_to_num(7))
    assert torch.equal(last.nan_to_num(7), found.nan_to_num(7))
    one, other = first[cell], last[cell]
    assert one != other or (bits_differ and one.signbit() != other.signbit())


@pytest.mark.parametrize("name", ["relu", "gelu", "nan", "nan above one", "nan below one", "flush", "sign of zero"])
def test_stopping_early_changes_no_answer(name):
    whole, early = (commutes_with_max_pool(ACTIVATIONS[name], "bfloat16", stop_at_first=stop) for stop in (False, True))
    assert (whole.status, whole.equality) == (early.status, early.equality)


@pytest.mark.parametrize("name", ["gelu", "softsign", "sigmoid"])
def test_float32_refutations_come_quickly_and_rerun(name):
    verdict = commutes_with_max_pool(ACTIVATIONS[name], stop_at_first=True)
    assert verdict.status is Status.REFUTED
    replay(verdict, ACTIVATIONS[name], bits_differ=True)


def test_relu_needs_the_third_word():
    verdict = commutes_with_max_pool(torch.relu, "float16")
    assert (verdict.status, verdict.equality) == (Status.PROVED, Equality.VALUES)
    bitwise = commutes_with_max_pool(torch.relu, "float16", equality="bitwise")
    assert str(bitwise.evidence) == (
        "the 1x2 image of windows [-1 (0xbc00), -0 (0x8000)] under a 1x2 max pool: pooling first gives "
        "-0 (0x8000), pooling last 0 (0x0000) at cell 0, 1 unit in the last place apart"
    )


@pytest.mark.parametrize("saboteur", ARGUMENTS)
def test_arguments_that_forget_the_zeros_are_rejected(saboteur):
    found = gather(elementwise(torch.relu, FORMATS["float16"])).scan
    assert saboteur(found.decreasing, found.zero_bits, found.nonzero_to_zero) == "bitwise"  # what relu is not
    assert oracle.commutes(lambda x: x if x >= 0 else 0.0, [-1.0, -0.0, 0.0, 1.0]) == "values"
    assert (set(found.zero_bits), found.nonzero_to_zero) == ({0, -32768}, True)


def test_a_certificate_says_what_ran():
    verdict = is_nondecreasing("torch.tanh", "bfloat16")
    data = verdict.evidence.data
    assert verdict.claim == (
        f"torch.tanh (torch {torch.__version__.split('+')[0]}, {torch.backends.cpu.get_cpu_capability()}, vector body) "
        "is nondecreasing over every bfloat16 from -inf to inf"
    )
    assert (data["values"], data["decreasing"], data["on_nan"]) == (65282, 0, "254 of the 254 NaN give NaN")
    assert data["at_zero"] == "f(-0.0) is -0 (0x8000) and f(+0.0) is 0 (0x0000)"
    assert data["positions"] == (
        "the same bits in the vector body and in the other layouts, on all 65,282 values, "
        "at the ends of tensors on some of them"
    )


def test_gelu_is_nondecreasing_from_its_valley_on():
    verdict = is_nondecreasing(F.gelu, "bfloat16")
    assert verdict.status is Status.REFUTED
    low = float(verdict.evidence.data["regions"][-1].split("[")[1].split(",")[0])
    assert -0.82 < low < -0.70  # the valley of the real GELU is at -0.7518; bfloat16 is flat around it
    assert verdict.evidence.data["complete"] is True


def test_of_two_zeros_each_comes_first_once():
    def falls_at_plus_zero(x):  # f(-0) is a number above f(+0) = 0
        least = x.new_full((), 2.0**-24)
        return torch.where((x == 0) & x.signbit(), least, torch.where(x > 0, x.clamp(min=2.0**-24), x))

    verdict = commutes_with_max_pool(falls_at_plus_zero, "float16")
    assert verdict.status == "refuted"
    image = unpack_array(verdict.evidence.input["image"])
    assert image.shape == (1, 1, 1, 2)


def test_nan_above_all_numbers_needs_a_pool_that_keeps_it(monkeypatch):
    def nan_at_infinity(x):
        return torch.where(x == float("inf"), x.new_full((), float("nan")), x)

    verdict = commutes_with_max_pool(nan_at_infinity, "float16")
    assert verdict.status == "proved"
    assert "max pooling gives NaN where its window holds one" in [a.statement for a in verdict.assumptions]
    assert "a function that is nondecreasing up to where it gives NaN" in verdict.evidence.method
    assert not any("NaN" in a.statement for a in commutes_with_max_pool("torch.relu", "float16").assumptions)
    own = F.max_pool2d
    monkeypatch.setattr(F, "max_pool2d", lambda x, window: own(x.nan_to_num(nan=-1.0), window))
    assert commutes_with_max_pool(nan_at_infinity, "float16").status == "undecided"


def test_nan_from_a_number_is_not_ordered():
    verdict = is_nondecreasing(torch.log, "float16")
    assert str(verdict.evidence) == (
        "f(-inf (0xfc00)) is NaN, which is not ordered; 31,744 of 63,490 values give NaN, "
        "and no pair of neighbours falls"
    )


@pytest.mark.parametrize(("name", "shape"), [("onnx:Flatten", r"\(128, 1\)"), ("onnx:Squeeze", r"\(\)")])
def test_an_onnx_operator_that_changes_the_shape_is_refused(name, shape):
    pytest.importorskip("onnxruntime")
    with pytest.raises(
        InvalidInput, match=rf"^is_nondecreasing\(f=...\): expected the shape .*, got {shape} from {name};"
    ):
        is_nondecreasing(name, "float16")


def test_an_onnx_operator_by_name():
    pytest.importorskip("onnxruntime")
    verdict = is_nondecreasing("onnx:Softsign", stop_at_first=True)
    assert verdict.status is Status.REFUTED
    assert verdict.evidence.data["library"] == "onnxruntime"


BAD = {
    "no name": ("torch.nope", r"got 'torch.nope'; give a name that these libraries have\.$"),
    "other module": ("os.system", r"got 'os.system'; give a name that these libraries have\.$"),
    "private": ("torch._C", r"got 'torch._C'; give a name"),
    "number": (3, r"expected a callable or a name, got int 3; pass a function\.$"),
    "reduces": (lambda x: x.sum(), r"expected the shape \(128,\) back, got \(\); give an elementwise function"),
    "mixes": (lambda x: x.softmax(0), r"expected an output element that depends on its own input element alone, got "),
    "in place": (torch.relu_, r"expected a function that leaves its input alone, got torch.relu_ that changes it; "),
    "random": (torch.rand_like, r"expected the same output twice, got torch.rand_like with two outputs; "),
    "other dtype": (lambda x: x.double(), r"expected float32 from float32, got float64; give"),
    "no tensor": (lambda x: 3, r"expected a torch tensor from a torch tensor, got int; give"),
    "raises": (lambda x: x.no_such, r"<lambda> raised AttributeError: 'Tensor' object has no attribute 'no_such'; "),
    "no operator": (
        "onnx:Nope",
        r"expected an elementwise ONNX operator that onnxruntime runs in float32, got onnx:No",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_scanned_is_refused_in_one_sentence(case):
    f, message = BAD[case]
    with pytest.raises(InvalidInput, match=message):
        is_nondecreasing(f)


def test_choices_are_checked():
    with pytest.raises(
        InvalidInput,
        match=r"^commutes_with_max_pool\(path=...\): expected one of 'everywhere', 'vector body', got 'tail'; ",
    ):
        commutes_with_max_pool(torch.tanh, path="tail")
    with pytest.raises(
        InvalidInput, match=r"^is_nondecreasing\(dtype=...\): expected one of float16, bfloat16, float32"
    ):
        is_nondecreasing(torch.tanh, "float64")
    with pytest.raises(InvalidInput, match=r"expected float16 or float32 for a NumPy function, got bfloat16; give"):
        is_nondecreasing(np.tanh, "bfloat16")


@pytest.mark.slow
def test_tanh_and_relu_commute_over_all_float32():
    tanh, relu = commutes_with_max_pool(torch.tanh), commutes_with_max_pool(torch.relu)
    assert (tanh.status, tanh.equality) == (Status.PROVED, Equality.BITWISE)
    assert (relu.status, relu.equality) == (Status.PROVED, Equality.VALUES)


def zero_of_a_sign_by_length(x):
    zero = torch.full_like(x, -0.0 if x.numel() < 64 else 0.0)
    return torch.where(x.abs() < 1, zero, x)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_scalar_tail_that_differs_by_the_sign_of_a_zero_alone_commutes_as_values(dtype):
    for equality in (None, "equal as values"):
        verdict = commutes_with_max_pool(zero_of_a_sign_by_length, dtype, equality=equality)
        assert (verdict.status, verdict.equality) == (Status.PROVED, Equality.VALUES)
        assert verdict.claim.endswith(" image without NaN, as values (the sign of a zero may differ)")
        same = "the same value gives the same value wherever it lies in a tensor, or a zero of the other sign"
        assert same in [assumption.statement for assumption in verdict.assumptions]
    bitwise = commutes_with_max_pool(zero_of_a_sign_by_length, dtype, equality="bitwise")
    assert (bitwise.status, bitwise.equality) == (Status.REFUTED, Equality.BITWISE)
    assert bitwise.claim.endswith(" image without NaN, to the bit")
    replay(bitwise, zero_of_a_sign_by_length, bits_differ=True)
    body = commutes_with_max_pool(zero_of_a_sign_by_length, dtype, path="vector body")
    place = "the same value gives the same bits wherever it lies in the vector body of a tensor"
    assert (body.status, body.assumptions[2].statement) == (Status.PROVED, place)


def test_a_scalar_tail_that_differs_as_a_value_does_not_commute_as_values():
    verdict = commutes_with_max_pool(torch.sigmoid, equality="equal as values")
    assert (verdict.status, verdict.equality) == (Status.REFUTED, Equality.VALUES)
    replay(verdict, torch.sigmoid)


def test_both_zeros_may_give_nan_of_other_bits():
    def nan_above_minus_one(x):
        return torch.where(x > -1, torch.copysign(torch.full_like(x, float("nan")), x), x)

    verdict = commutes_with_max_pool(nan_above_minus_one, "float16")
    assert (verdict.status, verdict.equality) == (Status.PROVED, Equality.VALUES)


def test_a_window_without_a_cell_of_the_image_is_left_out():
    beside = F.max_pool2d(torch.ones(1, 1, 1, 1), 2, stride=1, padding=1, dilation=2)
    assert beside.tolist() == [[[[-float("inf")]]]]
    verdict = commutes_with_max_pool(torch.tanh, "bfloat16")
    assert "every window holds a cell of the image" in [assumption.statement for assumption in verdict.assumptions]
