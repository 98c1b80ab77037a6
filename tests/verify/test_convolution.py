"""Certificates of convolutions: true ones pass, changed ones do not, even with a new seal."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.verify.tampering import each_field_changed, random_mutations, rejected, replaced, resealed
from torch import nn

from mathdnn.convolution import ConvForm, as_conv2d, equal_maps
from mathdnn.convolution.linear import LINEAR
from mathdnn.convolution.moves import MOVES
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status, pack_array
from mathdnn.verify import verify
from mathdnn.verify.computing import COMPUTING
from mathdnn.verify.moving import MOVING

NINTHS = ConvForm.of([[[[Fraction(1, 9)] * 3] * 3]] * 2, stride=3, groups=2)


def _layer() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Conv2d(2, 2, 3, stride=2, padding=1, padding_mode="reflect")


TRUE = {
    "layer": lambda: as_conv2d(_layer(), (2, 7, 8)),
    "differences": lambda: as_conv2d(lambda x: F.pad(x, (0, 1))[..., 1:] - x, (1, 4, 5)),
    "equal": lambda: equal_maps(nn.AvgPool2d(3), NINTHS, (2, 6, 9)),
    "rounded": lambda: equal_maps(lambda x: F.avg_pool2d(-x, 3), _negated(), (1, 6, 6), rounded=True),
    "transposed": lambda: as_conv2d(nn.Upsample(scale_factor=2, mode="bilinear"), (1, 5, 6)),
    "nearest": lambda: as_conv2d(lambda x: F.interpolate(x, scale_factor=2)[..., ::2, ::2], (1, 5, 6)),
    "opaque": lambda: as_conv2d(lambda a: np.diff(a, axis=0), (5, 4), opaque=True),
}


def _negated() -> nn.Module:
    return ConvForm.of([[[[Fraction(-1, 9)] * 3] * 3]], stride=3).to_module()


@pytest.fixture(scope="module", params=TRUE)
def verdict(request):
    return TRUE[request.param]()


def test_a_true_certificate_passes_from_its_file(verdict, tmp_path):
    path = tmp_path / "certificate.json"
    path.write_text(verdict.to_json())
    assert verdict.status is Status.PROVED
    assert verify(path).status is Status.PROVED


def test_every_field_changed_in_turn_isrejected(verdict):
    for path, text in each_field_changed(verdict, 300):
        assert rejected(text), path


def test_500_random_mutations_arerejected(verdict, rng):
    for text in random_mutations(verdict, rng, 100):  # times seven certificates
        assert rejected(text)


RIGHT = ("evidence", "data", "right", "form")
LEFT = ("evidence", "data", "left", "graph")
TRANSPOSED = [
    ("transposed", ("evidence", "data", "right", "form", *path), value)
    for path, value in (
        (("weight", "values", 5), "1/2"),
        (("weight", "shape"), [1, 1, 16, 1]),
        (("transposed",), False),
        (("transposed",), 1),
        (("stride",), [1, 2]),
        (("stride", 0), 3),
        (("stride", 0), 0),
        (("padding", 0, 0), 0),
        (("padding", 0), [2, 0]),
        (("padding", 0, 0), -1),
        (("padding", 1, 1), 1 << 20),
        (("output_padding",), [1, 0]),
        (("output_padding", 1), 1 << 20),
        (("padding_mode",), "zeros"),
        (("padding_mode",), "reflect"),
        (("padding_mode",), "circular"),
        (("bias",), ["1"]),
        (("groups",), 2),
        (("dilation", 0), 2),
    )
]
SIZES = ("evidence", "data", "sizes")
FORGERIES = [
    ("layer", (*SIZES, "least"), [3, 3]),
    ("layer", (*SIZES, "least", 0), 1 << 20),
    ("layer", (*SIZES, "period"), [1, 1]),
    ("layer", (*SIZES, "period"), [0, 2]),
    ("layer", (*SIZES, "remainders"), [[], []]),
    ("layer", (*SIZES, "remainders"), [[0, 0], [0, 1]]),
    ("layer", (*SIZES, "graph", "nodes", 0, "shape", 1), 3),
    ("layer", (*SIZES, "graph", "nodes", 0, "shape", 2), 7),
    ("layer", (*SIZES, "graph", "nodes", 1, "args", 1, 0), 2),
    ("layer", (*SIZES, "graph", "nodes", 1, "op"), "aten.replication_pad2d.default"),
    ("layer", (*SIZES, "graph", "nodes", 1, "op"), "aten.mean.dim"),
    ("layer", (*SIZES, "graph", "constants", 0), pack_array(np.zeros((2, 2, 3, 3), np.float32))),
    ("layer", (*SIZES, "graph", "guards"), [["<", "H", 1000]]),
    ("layer", (*SIZES, "graph", "guards"), [["==", ["%", "W", 2], 0]]),
    ("layer", (*SIZES, "graph", "guards"), [["==", ["**", "W", 2], 0]]),
    ("layer", (*SIZES, "graph", "output"), {"node": 0}),
    ("differences", (*SIZES, "graph", "nodes", 2, "args", 2), {"size": ["//", "W", 2]}),
    ("differences", (*SIZES, "graph", "nodes", 3, "args", 1), {"size": "W"}),
    ("nearest", (*SIZES, "most"), None),
    ("nearest", (*SIZES, "most"), 1 << 24),
    ("layer", (*RIGHT, "weight", "values", 4), "1/3"),
    ("layer", (*RIGHT, "weight", "values", 4), "1e999999999"),
    ("layer", (*RIGHT, "weight", "shape"), [2, 2, 9, 1]),
    ("layer", (*RIGHT, "bias", 0), "0"),
    ("layer", (*RIGHT, "bias"), None),
    ("layer", (*RIGHT, "stride"), [1, 2]),
    ("layer", (*RIGHT, "padding"), [[0, 2], [1, 1]]),
    ("layer", (*RIGHT, "padding"), [[1 << 40, 1], [1, 1]]),
    ("layer", (*RIGHT, "padding_mode"), "zeros"),
    ("layer", (*RIGHT, "dilation"), [0, 1]),
    ("layer", (*RIGHT, "groups"), 2),
    ("layer", (*RIGHT, "groups"), 0),
    ("layer", ("evidence", "data", "relation"), "alike"),
    ("layer", ("evidence", "data", "rounding", "slope"), 1e-9),
    ("layer", ("evidence", "data", "rounding", "offset"), 0.0),
    ("layer", ("evidence", "data", "rounding", "unit_roundoff"), 2.0**-53),
    ("layer", ("evidence", "data", "rounding", "slope"), None),
    ("layer", (*LEFT, "nodes", 1, "op"), "aten.replication_pad2d.default"),
    ("layer", (*LEFT, "nodes", 1, "op"), "os.system"),
    ("layer", (*LEFT, "nodes", 0, "op"), "aten.relu.default"),
    ("layer", (*LEFT, "nodes", 0, "shape"), [1, 2, 8, 7]),
    ("layer", (*LEFT, "constants", 0), pack_array(np.zeros((2, 2, 3, 3), np.float32))),
    ("layer", (*LEFT, "constants", 0), pack_array(np.full((2, 2, 3, 3), np.nan, np.float32))),
    ("layer", (*LEFT, "output"), {"node": 0}),
    ("layer", (*LEFT, "output"), {"node": 99}),
    ("differences", (*LEFT, "nodes"), []),
    ("equal", (*RIGHT, "weight", "values", 0), "7456541/67108864"),
    ("rounded", ("evidence", "data", "relation"), "equal"),
    ("rounded", ("evidence", "data", "relation"), "rounded to float64"),
    ("opaque", ("evidence", "data", "left", "at_zero"), pack_array(np.ones(16))),
    ("opaque", ("evidence", "data", "left", "responses"), pack_array(np.zeros((20, 16)))),
    ("opaque", (*RIGHT, "weight", "values", 0), "-2"),
    ("opaque", ("evidence", "kind"), "pickle"),
]


@pytest.mark.parametrize(("name", "path", "value"), [*FORGERIES, *TRANSPOSED])
def test_a_forgery_with_a_seal_that_fits_isrejected(name, path, value):
    forged = resealed(replaced(TRUE[name]().to_plain(), path, value))
    assert verify(forged).status is not Status.PROVED


def test_a_new_seal_alone_is_no_forgery(verdict):
    assert verify(resealed(verdict.to_plain())).status is Status.PROVED


def test_the_checker_says_in_its_own_words_what_it_checked():
    forged = resealed(replaced(TRUE["layer"]().to_plain(), ("claim",), "the moon is a convolution"))
    assert "both sides are the same map on 1 x 2 x 7 x 8 images" in str(verify(forged).evidence)


def test_prover_and_checker_know_the_same_operations():
    assert not set(MOVING) & set(COMPUTING)
    missing = (MOVES | set(LINEAR)) - set(MOVING) - set(COMPUTING)
    assert missing == set()


def test_the_checker_loads_nothing_of_the_provers(tmp_path):
    path = tmp_path / "certificate.json"
    path.write_text(TRUE["equal"]().to_json())
    code = (
        "import sys; from mathdnn.verify import verify; v = verify(sys.argv[1]); print(v.status);"
        "assert 'torch' not in sys.modules and not any(m.startswith('mathdnn.convolution') for m in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == "proved\n", done.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 10_000])
def test_a_file_that_holds_no_verdict_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "certificate.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"^Verdict.from_json\(text\): expected a verdict as to_json writes it, got"):
        verify(path)


def test_a_file_that_is_not_there_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(
        InvalidInput, match=r"^verify\(path\): expected a file with a verdict, got .*; check the path\.$"
    ):
        verify(tmp_path / "nothing.json")


def test_verify_is_called_by_its_public_name_whatever_was_imported_first(tmp_path):
    path = tmp_path / "certificate.json"
    path.write_text(TRUE["differences"]().to_json())
    for first in ("import mathdnn.verify.numbers", "from mathdnn import verify", "from mathdnn.verify import verify"):
        code = f"{first}; import sys, mathdnn; print(mathdnn.verify(sys.argv[1]).status)"
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        assert done.stdout == "proved\n", done.stderr
