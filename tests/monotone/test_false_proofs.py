"""Questions whose answer is no, or not known, and that a look at less than all would answer with yes."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mathdnn.errors import InvalidInput
from mathdnn.monotone import commutes_with_max_pool, is_nondecreasing, over_the_reals
from mathdnn.verdict import Equality, Status, unpack_array


def falls_on_images(x):
    return -x if x.dim() == 4 else x


def test_a_function_that_looks_at_the_shape_does_not_commute_on_the_vector_body():
    verdict = commutes_with_max_pool(falls_on_images, "float16", path="vector body")
    assert verdict.status is Status.UNDECIDED
    assert "in the images than in the vector body" in verdict.evidence.why
    body = commutes_with_max_pool("torch.relu", "float16", path="vector body")
    assert body.status is Status.PROVED


def falls_among_subnormals(x):
    i = x.view(torch.int16)
    return torch.where((i > 0) & (i < 0x80), 0x80 - i, i).to(torch.int16).view(torch.bfloat16)


@pytest.fixture
def flush():
    yield lambda: torch.set_flush_denormal(True)
    torch.set_flush_denormal(False)


def test_falls_among_subnormals_are_seen_or_the_mode_is_refused(flush):
    verdict = is_nondecreasing(falls_among_subnormals, "bfloat16")
    assert (verdict.status, verdict.evidence.data["decreasing"]) == ("refuted", 126)
    flush()
    for ask in (is_nondecreasing, commutes_with_max_pool):
        with pytest.raises(
            InvalidInput, match=r"^a scan of every float: expected a processor that keeps subnormals, got"
        ):
            ask(falls_among_subnormals, "bfloat16")


@pytest.mark.parametrize("time_limit", [None, 60.0])
def test_a_function_that_sets_the_mode_itself_is_not_proved(flush, time_limit):
    def sets_it(x):
        torch.set_flush_denormal(x.numel() > 128)
        return falls_among_subnormals(x)

    try:
        assert is_nondecreasing(sets_it, "bfloat16", time_limit=time_limit).status is not Status.PROVED
    except InvalidInput as error:
        assert "keeps subnormals" in str(error)  # noqa: PT017 (either answer is right)


def two_nans(x):
    i = x.view(torch.int16)
    nan = torch.where(x > 2, 0x7E00, -512).to(torch.int16)
    return torch.where(x > 1, nan, i).view(torch.float16)


def test_nan_of_several_bits_are_not_the_same_to_the_bit():
    image = torch.tensor([[[[3.0, 1.5]]]], dtype=torch.float16)
    first, last = two_nans(F.max_pool2d(image, (1, 2))), F.max_pool2d(two_nans(image), (1, 2))
    assert first.view(torch.int16).item() != last.view(torch.int16).item()
    verdict = commutes_with_max_pool(two_nans, "float16")
    assert (verdict.status, verdict.equality) == ("proved", Equality.VALUES)
    assert verdict.claim.endswith(", as values (the sign of a zero and the bits of a NaN may differ)")
    bitwise = commutes_with_max_pool(two_nans, "float16", equality="bitwise")
    assert bitwise.status == "refuted"
    assert str(bitwise.evidence).endswith(", NaN of other bits")
    cells = torch.from_numpy(unpack_array(bitwise.evidence.input["image"]))
    assert two_nans(F.max_pool2d(cells, (1, 2))).view(torch.int16).item() != (
        F.max_pool2d(two_nans(cells), (1, 2)).view(torch.int16).item()
    )


def test_nan_whose_bits_depend_on_the_position_are_not_the_same_to_the_bit():
    def nan_above_one(x):
        nan = torch.full_like(x.contiguous(), float("nan")).view(torch.int16) | (-32768 if x.numel() < 64 else 0)
        return torch.where(x > 1, nan.view(torch.float16), x)

    verdict = commutes_with_max_pool(nan_above_one, "float16")
    assert (verdict.status, verdict.equality) == ("proved", Equality.VALUES)


def test_nan_of_the_same_bits_commute_to_the_bit():
    verdict = commutes_with_max_pool(lambda x: torch.where(x > 1, float("nan"), x), "float16")
    assert (verdict.status, verdict.equality) == ("proved", Equality.BITWISE)
    assert any(a.because.endswith(", and kept its bits") for a in verdict.assumptions)


def relu(x):
    return -x


def hooked(module):
    module.register_forward_hook(lambda _module, _input, output: -output)
    return module


def with_forward(module):
    module.forward = lambda x: -x
    return module


class ReLU(nn.Module):
    def forward(self, x):
        return -x


OTHERS = {
    "negative slope": nn.LeakyReLU(-1.0),
    "alpha": nn.ELU(alpha=-5.0),
    "beta": nn.Softplus(beta=-1),
    "bounds": nn.Hardtanh(1, 3),
    "an array": nn.ELU(np.array([1.0, -5.0])),
    "tanh's GELU": nn.GELU("tanh"),
    "hook": hooked(nn.ReLU()),
    "forward": with_forward(nn.Tanh()),
    "one's own": relu,
    "one's own module": ReLU(),
    "one's own class": ReLU,
    "partial": functools.partial(F.leaky_relu, negative_slope=-1),
    "another library": "mine.relu",
}


@pytest.mark.parametrize("case", OTHERS)
def test_over_the_reals_nothing_is_said_of_another_function_of_the_same_name(case):
    verdict = over_the_reals(OTHERS[case])
    assert verdict.status is Status.UNDECIDED
    assert "is not a function known here (" in verdict.evidence.why


@pytest.mark.parametrize(
    "text", ["-tanh", "sigmoid'", "LeakyReLU(negative_slope=-1)", "tanh(-x)", "1-relu", "", "relu\n", "onnx:"]
)
def test_over_the_reals_a_text_that_is_more_than_a_name_is_refused(text):
    with pytest.raises(InvalidInput, match=r"^over_the_reals\(name=...\): expected a function's name alone, without"):
        over_the_reals(text)


@pytest.mark.parametrize(
    ("f", "key"),
    [
        (nn.LeakyReLU(0.01, inplace=True).eval(), "leakyrelu"),
        (nn.ELU(alpha=1), "elu"),
        (nn.Softplus(), "softplus"),
        (nn.ReLU, "relu"),
        (np.tanh, "tanh"),
        ("F.logsigmoid", "logsigmoid"),
        (F.softsign, "softsign"),
    ],
)
def test_the_libraries_own_functions_with_their_defaults_are_known(f, key):
    verdict = over_the_reals(f)
    assert (verdict.status, verdict.evidence.data["function"]) == ("proved", key)


@pytest.mark.parametrize(
    ("module", "name", "by", "asked", "dtype"),
    [
        (F, "softsign", F.tanh, "torch.nn.functional.softsign", "bfloat16"),
        (np, "sin", np.tanh, "numpy.sin", "float16"),
        (torch, "sin", torch.tanh, "torch.sin", "float16"),
    ],
)
def test_another_function_under_the_librarys_name_is_called_so(monkeypatch, module, name, by, asked, dtype):
    monkeypatch.setattr(module, name, by)
    verdict = is_nondecreasing(asked, dtype)
    data = verdict.evidence.data
    assert data.get("known", False) is False
    assert data["function"] == f"{asked} as replaced by tanh"
    assert verdict.claim.startswith(f"{asked} as replaced by tanh (")


@pytest.mark.parametrize(
    "name", ["numpy.abs", "numpy.atan", "torch.nn.functional.logsigmoid", "torch.tanh", "numpy.exp"]
)
def test_the_librarys_other_names_for_its_functions_are_its_own(name):
    from mathdnn.monotone.floats import FORMATS
    from mathdnn.monotone.functions import elementwise

    f = elementwise(name, FORMATS["float16"])
    assert (f.name, f.known) == (name, True)
