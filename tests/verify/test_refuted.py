"""Counterexamples of convolutions: true ones pass from their file alone, changed ones do not, even with a new seal."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.verify.tampering import each_field_changed, random_mutations, rejected, replaced, resealed
from torch import nn

from mathdnn.convolution import ConvForm, as_conv2d, equal_maps, grade, reproduces
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status, pack_array
from mathdnn.verify import verify
from mathdnn.verify.running import ALLOWED


def _bump(x: torch.Tensor) -> torch.Tensor:
    y = F.conv2d(x, torch.ones(1, 1, 3, 3), padding=1).clone()
    y[..., 0, 3] += x[..., 0, 3]
    return y


RAMP = torch.arange(5.0)
REFUTED = {
    "border": lambda: as_conv2d(_bump, (1, 6, 7)),
    "inside": lambda: as_conv2d(lambda x: x.flip(-1), (1, 5, 5)),
    "bias": lambda: as_conv2d(lambda x: x + RAMP, (1, 4, 5)),
    "batch": lambda: as_conv2d(lambda x: x - x.mean(0, keepdim=True), (2, 1, 4, 5)),
    "second image": lambda: as_conv2d(lambda x: torch.cat([x[:1], 2 * x[1:]]), (2, 1, 4, 5)),
    "relu": lambda: as_conv2d(nn.ReLU(), (1, 4, 5)),
    "layers": lambda: as_conv2d(
        lambda x: F.interpolate(x[:, None], scale_factor=2, mode="trilinear")[:, 0].abs(), (1, 3, 4)
    ),
    "sums": lambda: as_conv2d(lambda x: F.max_pool2d(x, 2), (1, 4, 4)),
    "infinite": lambda: as_conv2d(lambda x: F.pad(x, (1, 1), value=float("-inf")).unfold(-1, 3, 1).amax(-1), (1, 4, 4)),
    "equal": lambda: equal_maps(nn.AvgPool2d(3), ConvForm.of([[[[1, 0], [0, 0]]]]), (1, 5, 6)),
    "sizes": lambda: equal_maps(nn.AvgPool2d(2), nn.AvgPool2d(3), (1, 6, 6)),
    "rounded": lambda: equal_maps(lambda x: x / 3, lambda x: x * 0.34, (1, 2, 2), rounded=True),
    "not affine": lambda: equal_maps(nn.ReLU(), nn.Identity(), (1, 3, 3)),
    "graded": lambda: grade([[0, -1, 0], [0, 1, 0], [0, 0, 0]], "sobel-x", padding=1),
}


@pytest.fixture(scope="module", params=REFUTED)
def verdict(request):
    return REFUTED[request.param]()


def test_a_true_counterexample_passes_from_its_file(verdict, tmp_path):
    path = tmp_path / "counterexample.json"
    path.write_text(verdict.to_json())
    assert verdict.status is Status.REFUTED
    assert verify(path).status is Status.PROVED, str(verify(path))


STRIDES_TOO_LONG = [((1, 4, 6), (1, 1), 2), ((1, 4, 6), (1, 2), 3), ((1, 5, 5), (2, 1), 3)]


@pytest.mark.parametrize(("shape", "kernel", "stride"), STRIDES_TOO_LONG)
def test_strides_whose_last_window_begins_beyond_the_padding_need_no_responses(shape, kernel, stride):
    def rows_apart(x):
        return F.conv_transpose2d(F.avg_pool2d(x, 2, 1)[..., 0::2, :], torch.full((1, 1, *kernel), 2.0), stride=stride)

    verdict = as_conv2d(rows_apart, shape)
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


def test_every_field_changed_in_turn_isrejected(verdict):
    for path, text in each_field_changed(verdict, 200):
        assert rejected(text), path


def test_500_random_mutations_arerejected(verdict, rng):
    for text in random_mutations(verdict, rng, 50):  # times twelve counterexamples
        assert rejected(text)


DATA = ("evidence", "data")
GRAPH = (*DATA, "operation", "graph")
CONVOLUTION = {"nodes": [{"op": "input", "args": [], "kwargs": {}, "shape": [1, 1, 5, 5], "dtype": "float32"}],
               "constants": [], "output": {"node": 0}}  # fmt: skip
FORGERIES = [
    ("inside", GRAPH, CONVOLUTION),  # the identity, which is a convolution
    ("inside", (*DATA, "pairs"), []),
    ("inside", (*DATA, "output_places", 0), 3),
    ("border", (*DATA, "borders"), []),
    ("border", (*DATA, "borders", 0, "form", "weight", "values", 4), "3"),
    ("border", (*DATA, "borders", 0, "form", "padding_mode"), "circular"),
    ("border", (*DATA, "borders", 0, "pixel"), 30),
    ("bias", (*DATA, "output_places"), [0, 0]),
    ("batch", (*DATA, "pixels", 0), 0),
    ("second image", (*DATA, "output_places", 1), 21),
    ("relu", (*GRAPH, "nodes", 1, "op"), "aten.neg.default"),
    ("relu", (*GRAPH, "nodes", 1, "op"), "aten.from_file.default"),
    ("relu", (*GRAPH, "nodes", 1, "shape"), [1, 1, 4, 6]),
    ("relu", (*DATA, "factor"), 3),
    ("relu", (*DATA, "law"), "f(3 x) = 3 f(x)"),
    ("equal", (*DATA, "right"), None),
    ("equal", (*DATA, "pixel"), 1),
    ("rounded", (*DATA, "relation"), "rounded to float16"),
    ("sizes", (*DATA, "at_the_size_asked", "claimed"), pack_array(torch.zeros(1, 1, 2, 2).numpy())),
]


@pytest.mark.parametrize(("name", "path", "value"), FORGERIES)
def test_forgeries_with_a_seal_that_fits_arerejected(name, path, value):
    plain = REFUTED[name]().to_plain()
    at = plain
    for key in path[:-1]:
        at = at[key]
    if value is None:
        value = plain["evidence"]["data"]["left"]
    assert at[path[-1]] != value
    assert rejected(resealed(replaced(plain, path, value)).to_json())


LIES = [
    ("inside", ("claim",), "the moon is no convolution"),
    ("inside", ("claim",), lambda claim: claim.replace("5 x 5", "50 x 50")),
    ("inside", ("claim",), lambda claim: claim.replace("stride up to (3, 3)", "stride up to (9, 9)")),
    ("inside", ("claim",), lambda claim: claim.replace("padding up to (2, 2)", "padding up to (4, 4)")),
    ("bias", ("claim",), lambda claim: claim.replace("with one bias for each output channel", "of any kind")),
    ("batch", ("claim",), lambda claim: claim.replace("(of each image of the batch alone)", "")),
    ("relu", ("claim",), lambda claim: claim.replace(", so it is affine", "")),
    ("relu", ("claim",), "on 1 x 4 x 5 images, both operations are the same map"),
    ("equal", ("claim",), "on 1 x 50 x 60 images, both operations are the same map"),
    ("graded", ("claim",), "on 1 x 70 x 80 images, the convolution handed in computes sobel-x"),
    ("inside", ("assumptions",), []),
    ("equal", ("assumptions",), []),
    ("relu", ("assumptions",), [{"statement": "it is Monday", "because": ""}]),
    ("inside", ("equality",), "bitwise"),
    ("rounded", ("equality",), "exact over the reals"),
]


@pytest.mark.parametrize(("name", "path", "value"), LIES)
def test_a_sentence_that_the_data_do_not_say_is_rejected_under_a_seal_that_fits(name, path, value):
    plain = REFUTED[name]().to_plain()
    after = value(plain[path[0]]) if callable(value) else value
    assert after != plain[path[0]]
    answer = verify(resealed(replaced(plain, path, after)))
    assert answer.status is Status.REFUTED
    assert "malformed" not in str(answer)


def test_a_claim_in_words_of_the_askers_own_is_not_repeated_as_checked():
    free = verify(equal_maps(nn.AvgPool2d(2), nn.AvgPool2d(3), (1, 6, 6), claim="the pools are Caesar"))
    said = "the evidence holds for: on 1 x 1 x 6 x 6 images, both operations are the same map (called "
    assert free.status is Status.PROVED
    assert free.claim.startswith(said)


def test_where_one_of_two_maps_is_not_affine_no_more_is_said_of_them():
    answer = verify(REFUTED["not affine"]())
    assert answer.claim.startswith("the evidence holds for: on 1 x 1 x 3 x 3 images, the operation is affine (called ")


@pytest.mark.parametrize("name", ["relu", "inside", "graded"])
def test_an_image_that_shows_nothing_isrejected(name):
    plain = REFUTED[name]().to_plain()
    given = plain["evidence"]["input"]
    packed = given if "bits" in given else given["x"]
    packed["bits"] = "0" * len(packed["bits"])
    assert rejected(resealed(plain).to_json())


def test_two_equal_sides_with_a_seal_arerejected():
    plain = REFUTED["equal"]().to_plain()
    data = plain["evidence"]["data"]
    for part in (data, data["at_the_size_asked"]["data"]):
        part["right"] = part["left"]
    plain["evidence"]["found"] = plain["evidence"]["claimed"]
    assert "agree at the image" in str(verify(resealed(plain)))


def test_the_list_of_operations_holds_no_that_draw_write_or_read():
    assert not {name for name in ALLOWED if name.endswith("_") or "rand" in name or "file" in name or "drop" in name}


def test_without_a_graph_it_says_how_to_check():
    found = as_conv2d(lambda x: 2 * x if x[..., 0, 0] > 0 else x, (1, 4, 5))
    assert "mathdnn.convolution.reproduces(verdict, operation)" in str(verify(found))
    with pytest.raises(
        InvalidInput, match=r"^reproduces\(verdict\): expected a counterexample to a convolution, got a"
    ):
        reproduces(as_conv2d(nn.Identity(), (1, 3, 3)), nn.Identity())
