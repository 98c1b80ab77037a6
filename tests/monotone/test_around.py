"""What is around a call: torch's modes, memory that a function keeps, other values in its tensor, names and homes."""

from __future__ import annotations

import re
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.monotone import cache, commutes_with_max_pool, is_nondecreasing, over_the_reals
from mathdnn.monotone.floats import FORMATS, bits_at
from mathdnn.monotone.functions import elementwise
from mathdnn.monotone.position import all_places, layouts, positions
from mathdnn.monotone.scan import scan
from mathdnn.verdict import Status
from mathdnn.verify import verify


def of_one_sign(x):
    return bool((~x.signbit()).all() | x.signbit().all())


LOOKS = {
    "one sign": (lambda x: x.clone() if of_one_sign(x) else -x, "tensors of one sign"),
    "one sign of many": (lambda x: x.clone() if of_one_sign(x) and x.numel() >= 1 << 18 else -x, "tensors of one sign"),
    "no infinity": (lambda x: -x if x.isfinite().all() else x, "finite values"),
    "a NaN": (lambda x: -x if x.isnan().any() else x, "company of extremes"),
    "all small": (lambda x: -x if x.numel() >= 1024 and (x.abs() < 2).all() else x, "near values"),
    "no zero": (lambda x: x if (x == 0).any() or x.numel() < 1024 else x / 2, "near values"),
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("case", LOOKS)
def test_a_function_that_looks_at_its_whole_tensor_is_not_proved(case, dtype):
    looks, layout = LOOKS[case]
    rises = is_nondecreasing(looks, dtype)
    body, everywhere = (commutes_with_max_pool(looks, dtype, path=path) for path in ("vector body", "everywhere"))
    assert not {rises.status, body.status, everywhere.status} & {Status.PROVED}
    if rises.status is Status.UNDECIDED:
        assert "which is all vector body to an elementwise function" in rises.evidence.why
    form = FORMATS[dtype]
    outputs = layouts(elementwise(looks, form), bits_at(all_places(form), form))
    assert (outputs[layout] != outputs["vector body"]).any()


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("name", ["torch.tanh", "torch.relu", "torch.exp"])
def test_the_libraries_functions_look_at_no_other_value(name, dtype):
    assert positions(elementwise(name, FORMATS[dtype])).differing == 0


def keeps_by_shape():
    kept = {}
    return lambda x: torch.tanh(x, out=kept.setdefault(tuple(x.shape), torch.empty(x.shape, dtype=x.dtype)))


def keeps_one():
    one = torch.empty(1 << 20, dtype=torch.bfloat16)
    return lambda x: torch.tanh(x, out=one[: x.numel()].view(x.shape))


@pytest.mark.parametrize("make", [keeps_by_shape, keeps_one])
def test_results_in_memory_that_is_used_again_are_the_same(make):
    plain = commutes_with_max_pool(torch.tanh, "bfloat16")
    found = commutes_with_max_pool(make(), "bfloat16")
    assert (found.status, found.equality) == (plain.status, plain.equality) == ("proved", "bitwise")


def test_an_array_in_memory_that_is_used_again_is_copied():
    class Kept:
        __module__ = "numpy.kept"
        place = np.empty(128, np.float16)

        def __call__(self, x):
            return np.multiply(x, 2, out=self.place[: x.size])

    f = elementwise(Kept(), FORMATS["float16"])
    assert (f.library, f.known) == ("numpy", False)
    first = f.on_bits(np.zeros(4, np.int16))
    f.on_bits(np.ones(4, np.int16))
    assert first.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("time_limit", [None, 60.0])
def test_ones_own_function_runs_in_one_thread_at_a_time(time_limit):
    inside, most = threading.Semaphore(1), []

    def f(x):
        most.append(inside.acquire(blocking=False))
        time.sleep(5e-4)  # so that another thread may come in
        if most[-1]:
            inside.release()
        return x + x

    scan(elementwise(f, FORMATS["float16"], time_limit=time_limit), threads=4, chunk=512)
    assert len(most) > 16
    assert all(most)


def test_a_known_functions_output_is_not_copied():
    f = elementwise("torch.detach", FORMATS["float16"])
    bits = np.arange(64, dtype=np.int16)
    assert f.known
    assert np.shares_memory(f.on_bits(bits), bits)


def falls_unless(asked):
    return lambda x: x.clone() if asked() else -x


@pytest.mark.parametrize("time_limit", [None, 60.0])
def test_torchs_modes_are_the_callers(time_limit):
    def ask(f):
        return is_nondecreasing(f, "bfloat16", time_limit=time_limit, threads=2).status

    records, inference = falls_unless(torch.is_grad_enabled), falls_unless(torch.is_inference_mode_enabled)
    casts = falls_unless(lambda: torch.is_autocast_enabled("cpu"))
    assert (ask(records), ask(inference), ask(casts)) == ("proved", "refuted", "refuted")
    with torch.no_grad():
        assert (ask(records), ask(inference)) == ("refuted", "refuted")
    with torch.inference_mode():
        assert (ask(records), ask(inference)) == ("refuted", "proved")
    with torch.autocast("cpu"):
        assert ask(casts) == "proved"


def test_inference_mode_is_no_change_of_the_input():
    plain = commutes_with_max_pool("torch.tanh", "bfloat16")
    with torch.inference_mode():
        assert commutes_with_max_pool("torch.tanh", "bfloat16") == plain
        assert is_nondecreasing(lambda x: x.tanh(), "bfloat16").status is Status.PROVED
        with pytest.raises(
            InvalidInput, match=r"expected a function that leaves its input alone, got .* that changes it"
        ):
            is_nondecreasing(lambda x: x.tanh_(), "bfloat16")


def test_a_default_device_changes_nothing():
    plain = commutes_with_max_pool("torch.tanh", "bfloat16")
    with torch.device("meta"):
        assert commutes_with_max_pool("torch.tanh", "bfloat16") == plain


def test_a_result_with_torchs_negative_bit_is_read():
    def f(x):
        return torch._neg_view(-x.tanh())

    assert commutes_with_max_pool(f, "bfloat16").status is Status.PROVED


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no")


class Unshown(nn.Module):
    def forward(self, x):
        return x

    def extra_repr(self):
        return self.missing


class Numbered:
    __name__ = 3

    def __call__(self, x):
        return x


def test_what_cannot_be_printed_or_named_has_the_name_of_its_type():
    def raises(x):
        raise Unprintable

    words = r"got .*raises raised Unprintable: Unprintable; give an elementwise function\.$"
    with pytest.raises(InvalidInput, match=words):
        is_nondecreasing(raises, "bfloat16")
    assert elementwise(Unshown(), FORMATS["bfloat16"]).name == "Unshown"
    assert re.search("Numbered object", elementwise(Numbered(), FORMATS["bfloat16"]).name)


def test_a_user_without_a_home_keeps_nothing(monkeypatch, tmp_path):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache.Path, "home", homeless)
    monkeypatch.setattr(cache.sys, "platform", "linux")
    f = elementwise("torch.relu", FORMATS["float32"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_folder() == tmp_path / "mathdnn" / "scans"
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(RuntimeError, match="home directory"):
        cache.default_folder()
    assert cache.load(f, True) is None
    cache.save(f, scan(elementwise("torch.relu", FORMATS["float16"])), True)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("onnx:HardSigmoid", "onnx:HardSigmoid"),
        ("onnx:Selu", "onnx:Selu"),
        ("onnx:Elu", "elu"),
        ("onnx:LeakyRelu", "leakyrelu"),
        ("numpy.exp", "exp"),
        ("math.erf", "erf"),
        ("torch.nn.functional.hardsigmoid", "hardsigmoid"),
    ],
)
def test_a_librarys_own_function_of_that_name_is_meant(name, key):
    verdict = over_the_reals(name)
    assert (verdict.status, verdict.evidence.data["function"]) == (Status.PROVED, key)
    assert verify(verdict).status is Status.PROVED


@pytest.mark.parametrize(
    "name",
    ["onnx:Clip", "numpy.clip", "torch.clip", np.clip, "numpy.identity", "onnx:Hardtanh", "onnx:Softshrink", "np.elu"],
)
def test_a_name_that_is_another_function_there_is_not_decided(name):
    assert over_the_reals(name).status is Status.UNDECIDED
