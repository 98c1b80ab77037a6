"""Certificates of convolutions: true ones pass, changed ones do not, even with a new seal."""

from __future__ import annotations

import functools
import re
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
from mathdnn.verdict import Status, pack_array, unpack_array
from mathdnn.verify import verify
from mathdnn.verify.computing import COMPUTING
from mathdnn.verify.moving import MOVING
from mathdnn.verify.resampling import RESAMPLING
from mathdnn.verify.wording import text as worded

NINTHS = ConvForm.of([[[[Fraction(1, 9)] * 3] * 3]] * 2, stride=3, groups=2)


ROUNDED_TO_FLOAT32 = ", every coefficient of the second operation is the first's, rounded to float32"


def _layer() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Conv2d(2, 2, 3, stride=2, padding=1, padding_mode="reflect")


TRUE = {
    "layer": lambda: as_conv2d(_layer(), (2, 7, 8)),
    "differences": lambda: as_conv2d(lambda x: F.pad(x, (0, 1))[..., 1:] - x, (1, 4, 5)),
    "equal": lambda: equal_maps(nn.AvgPool2d(3), NINTHS, (2, 6, 9)),
    "rounded": lambda: equal_maps(lambda x: F.avg_pool2d(-x, 3), _negated(), (1, 6, 6), rounded=True),
    "forms": lambda: equal_maps(NINTHS, NINTHS, (2, 6, 9), dtype="float64"),
    "forms, rounded": lambda: equal_maps(NINTHS, NINTHS.rounded("float64"), (2, 6, 9), dtype="float64", rounded=True),
    "transposed": lambda: as_conv2d(nn.Upsample(scale_factor=2, mode="bilinear"), (1, 5, 6)),
    "nearest": lambda: as_conv2d(lambda x: F.interpolate(x, scale_factor=2)[..., ::2, ::2], (1, 5, 6)),
    "opaque": lambda: as_conv2d(lambda a: np.diff(a, axis=0), (5, 4), opaque=True),
    "opaque batch": lambda: as_conv2d(lambda a: np.diff(a, axis=2) + 1, (2, 1, 4, 3), opaque=True),
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
    ("opaque batch", ("evidence", "data", "left", "responses"), pack_array(np.zeros((24, 18)))),
]


@pytest.mark.parametrize(("name", "path", "value"), [*FORGERIES, *TRANSPOSED])
def test_a_forgery_with_a_seal_that_fits_isrejected(name, path, value):
    forged = resealed(replaced(TRUE[name]().to_plain(), path, value))
    assert verify(forged).status is not Status.PROVED


@pytest.mark.parametrize(("pixel", "place"), [(23, 17), (23, 0), (0, 17)])
def test_a_response_of_another_image_of_a_batch_is_checked_too(pixel, place):
    verdict = TRUE["opaque batch"]()
    responses = unpack_array(verdict.evidence.data["left"]["responses"]).copy()
    responses[pixel, place] += 1
    forged = replaced(verdict.to_plain(), ("evidence", "data", "left", "responses"), pack_array(responses))
    assert "a response is not the convolution's" in str(verify(resealed(forged)))


def test_a_new_seal_alone_is_no_forgery(verdict):
    assert verify(resealed(verdict.to_plain())).status is Status.PROVED


def test_the_checker_says_in_its_own_words_what_it_checked():
    assert "both sides are the same map on 1 x 2 x 7 x 8 images" in str(verify(TRUE["layer"]()).evidence)


FILTER = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
BY_CONSTANTS = {
    "times ones": lambda x: x * torch.ones_like(x),
    "constant first": lambda x: torch.ones_like(x).mul(x),
    "over twos": lambda x: x / (torch.ones_like(x) * 2),
    "times threes": lambda x: x * torch.full_like(x, 3.0),
    "plus nothing": lambda x: x + torch.zeros_like(x) * x,
    "normalised": lambda x: F.conv2d(x, FILTER) / F.conv2d(torch.ones_like(x), FILTER),
}


@pytest.mark.parametrize("name", BY_CONSTANTS)
def test_a_factor_of_the_images_size_that_holds_no_pixel_is_a_constant(name):
    verdict = as_conv2d(BY_CONSTANTS[name], (1, 12, 14))
    assert "every height of at least" in verdict.claim
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


NOT_LINEAR = {
    "a square": ([("mul", 0, 0), ("sub", 1, 1), ("add", 0, 2)], "a product of two values that depend on the image"),
    "a factor made from the image": ([("sub", 0, 0), ("mul", 1, 0), ("add", 2, 0)], "a product of two values"),
    "a quotient": ([("div", 0, 0), ("sub", 1, 1), ("add", 0, 2)], "a division by a value that depends on the image"),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
@pytest.mark.parametrize("where", ["left", "sizes"])
def test_a_factor_that_a_pixel_enters_is_no_constant_even_if_it_cancels(name, where):
    steps, why = NOT_LINEAR[name]
    plain = as_conv2d(lambda x: x * torch.ones_like(x), (1, 12, 14)).to_plain()
    graph = plain["evidence"]["data"][where]["graph"]
    like = graph["nodes"][0]
    made = [{**like, "op": f"aten.{op}.Tensor", "args": [{"node": k} for k in used]} for op, *used in steps]
    graph["nodes"] = [like, *made]
    graph["output"] = {"node": len(steps)}
    assert why in str(verify(resealed(plain)))


def test_a_division_by_a_constant_that_is_0_somewhere_is_refused():
    plain = as_conv2d(lambda x: x / torch.ones_like(x), (1, 12, 14)).to_plain()
    full = next(node for node in plain["evidence"]["data"]["sizes"]["graph"]["nodes"] if node["op"] == "full")
    full["args"][1] = 0
    assert "a division by 0" in str(verify(resealed(plain)))


CERTIFICATE = ("evidence", "data")
SAME = "both operations are the same map"
LIES = [
    ("layer", ("claim",), "the moon is a convolution"),
    ("layer", ("claim",), lambda claim: claim.replace("7 x 8", "9 x 9")),
    ("layer", ("claim",), lambda claim: claim.replace("stride 2", "stride 3")),
    ("layer", ("claim",), lambda claim: claim.replace("reflect padding 1", "padding 1")),
    ("layer", ("claim",), lambda claim: f"{claim}, and so on all images"),
    ("layer", ("claim",), f"on 2 x 7 x 8 images, {SAME}"),
    ("differences", ("claim",), lambda claim: claim.replace("-1", "-2", 1)),
    ("differences", ("claim",), lambda claim: re.sub("width of at least [0-9]+", "width of at least 1", claim)),
    ("differences", (*CERTIFICATE, "sizes", "least"), [30, 30]),
    ("transposed", ("claim",), lambda claim: claim.replace("transposed ", "")),
    ("transposed", ("claim",), lambda claim: claim.replace(" of the image continued by its border pixels", "")),
    ("nearest", ("claim",), lambda claim: claim.replace(", up to 65536", "")),
    ("equal", ("claim",), f"on 2 x 60 x 90 images, {SAME}"),
    ("equal", ("claim",), "on 2 x 6 x 9 images, the operation is this convolution: the moon"),
    ("opaque", ("claim",), lambda claim: claim.replace("to within", "to far within")),
    ("opaque", (*CERTIFICATE, "tolerance"), 1e9),
    ("layer", (*CERTIFICATE, "rounding", "holds_for"), "everything"),
    ("layer", ("assumptions",), []),
    ("layer", ("assumptions",), lambda all_: all_[:1]),
    ("differences", ("assumptions",), lambda all_: all_[1:]),
    ("equal", ("assumptions",), []),
    ("opaque", ("assumptions",), []),
    ("opaque", ("assumptions",), lambda all_: all_[:2]),
    ("opaque", ("assumptions", 2, "statement"), "responses within 1.0e-99 of each other are one weight"),
    ("layer", ("equality",), "bitwise"),
    ("rounded", ("equality",), "exact over the reals"),
    ("rounded", ("claim",), "on 1 x 6 x 6 images, both operations are the same map"),
    ("rounded", ("claim",), lambda claim: claim.replace("float32", "float64")),
    ("equal", ("claim",), lambda claim: claim.split(", ")[0] + ROUNDED_TO_FLOAT32),
    ("opaque", ("equality",), "exact over the reals"),
]


@pytest.mark.parametrize(("name", "path", "value"), LIES)
def test_a_sentence_that_the_data_do_not_say_is_rejected_under_a_seal_that_fits(name, path, value):
    plain = TRUE[name]().to_plain()
    before = functools.reduce(lambda at, key: at[key], path, plain)
    after = value(before) if callable(value) else value
    assert after != before
    answer = verify(resealed(replaced(plain, path, after)))
    assert answer.status is Status.REFUTED
    assert "malformed" not in str(answer)


def test_a_claim_in_words_of_the_askers_own_is_not_repeated_as_checked():
    free = verify(equal_maps(nn.AvgPool2d(3), NINTHS, (2, 6, 9), claim="the pool is Caesar"))
    assert free.status is Status.PROVED
    said = "the evidence holds for: on 1 x 2 x 6 x 9 images, both operations are the same map"
    assert free.claim == f'{said} (called "the pool is Caesar" in the file, which is no part of what is checked)'


FORMS = [
    ConvForm.of(
        [[[[Fraction(1, 3), Fraction(0.1)]]]], [Fraction(1, 7)], padding=((0, 1), (2, 0)), padding_mode="zeros"
    ),
    ConvForm.of([[[[1, 2], [3, 4]]]] * 4, stride=(1, 2), dilation=(2, 1), groups=2, padding=(1, 0)),
    ConvForm.of(np.arange(700).reshape(7, 4, 5, 5), list(range(7)), padding=2, padding_mode="circular"),
    ConvForm.of(np.full((1, 1, 5, 20), 1 / 3), [1 / 3], dilation=2),
    ConvForm.of([[[[1, 2], [3, 4]]]] * 2, stride=2, groups=2, transposed=True, output_padding=(1, 0)),
    ConvForm.of([[[[1] * 4] * 4]], stride=2, padding=3, transposed=True, padding_mode="replicate"),
]


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_prover_and_checker_word_a_layer_alike(form):
    assert worded(form.to_plain()) == str(form)


def test_prover_and_checker_know_the_same_operations():
    assert not set(MOVING) & set(COMPUTING)
    missing = (MOVES | set(LINEAR)) - set(MOVING) - set(COMPUTING) - set(RESAMPLING)
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
