"""Forgeries with a seal that fits: verdicts that say what no evidence shows, each built as a forger would build it."""

from __future__ import annotations

import copy
import random
import re

import msgspec
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.verify.tampering import resealed

from mathdnn.convolution import ConvForm, as_conv2d, equal_maps
from mathdnn.convolution.trace import trace
from mathdnn.verdict import Certificate, Counterexample, Equality, Status, Verdict, pack_array
from mathdnn.verify import verify
from mathdnn.verify.counterexamples import check

SOBEL = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])[None, None]


def sobel(x):
    return F.conv2d(x, SOBEL)


def identity(x):
    return x * 1


def proved(claim, data, assumptions):
    evidence = Certificate("convolution", "as said", data)
    return resealed(
        Verdict(claim, Status.PROVED, evidence, equality=Equality.REALS, assumptions=assumptions).to_plain()
    )


def refuted(claim, data, images, claimed, found, assumptions=()):
    evidence = Counterexample("as said", images, claimed, found, data)
    made = Verdict(claim, Status.REFUTED, evidence, equality=Equality.REALS, assumptions=assumptions)
    return resealed(made.to_plain())


def known(operation, shape):
    verdict = as_conv2d(operation, shape)
    data = copy.deepcopy(verdict.evidence.data)
    data.pop("sizes", None)
    return verdict, data


def with_data(verdict, data, claim=None):
    evidence = msgspec.structs.replace(verdict.evidence, data=data)
    return resealed(msgspec.structs.replace(verdict, evidence=evidence, claim=claim or verdict.claim).to_plain())


def truncation_without_dtypes():
    graph = trace(lambda x: x.long().float(), (1, 1, 4, 4)).to_plain()
    for node in graph["nodes"]:
        node["dtype"] = None if node["dtype"] == "int64" else node["dtype"]
    verdict, data = known(identity, (1, 4, 4))
    data["left"], data["rounding"]["slope"] = {"graph": graph, "input": [1, 1, 4, 4]}, 1.0
    claim = "on 1 x 4 x 4 images, the operation is" + verdict.claim.split(", the operation is")[1]
    return proved(claim, data, verdict.assumptions[:1])


def narrowing_without_dtypes():
    verdict = as_conv2d(lambda x: x.float().double(), (1, 4, 4), dtype=torch.float64)
    data = copy.deepcopy(verdict.evidence.data)
    data.pop("sizes", None)
    for node in data["left"]["graph"]["nodes"]:
        node["dtype"] = None if node["dtype"] == "float32" else node["dtype"]
    data["rounding"]["slope"] = 1e-15
    claim = "on 1 x 4 x 4 images, the operation is" + verdict.claim.split(", the operation is")[1]
    return proved(claim, data, verdict.assumptions[:1])


def another_shape_of_as_many_pixels():
    def turned(x):
        return sobel(x.reshape(x.shape[0], 1, 9, 8))

    data = copy.deepcopy(equal_maps(turned, turned, (1, 8, 9)).evidence.data)
    verdict, other = known(sobel, (1, 9, 8))
    data["right"], data["rounding"] = other["right"], other["rounding"]
    form = verdict.evidence.form
    return proved(f"on 1 x 8 x 9 images, the operation is this convolution: {form}", data, verdict.assumptions[:1])


def responses_to_images_on_their_side():
    verdict = as_conv2d(lambda x: np.asarray(x) * 2, (6, 4), opaque=True)
    data = copy.deepcopy(verdict.evidence.data)
    assert data["left"]["input"] == [6, 4]
    data["left"]["input"] = [4, 6]
    return with_data(verdict, data, verdict.claim.replace("6 x 4", "4 x 6"))


def a_size_that_nothing_was_shown_at():
    verdict, data = known(sobel, (1, 8, 9))
    data["at_the_size_asked"] = {"data": {"left": {"input": [1, 1, 500, 500]}}}
    form = verdict.evidence.form
    return proved(f"on 1 x 500 x 500 images, the operation is this convolution: {form}", data, verdict.assumptions[:1])


def a_side_that_no_refutation_has():
    verdict, data = known(F.relu, (1, 5, 5))
    data["left"] = {"input": [3, 500, 500]}
    return with_data(verdict, data, verdict.claim.replace("1 x 5 x 5", "3 x 500 x 500"))


def an_output_counted_from_behind():
    side = equal_maps(identity, identity, (1, 4, 4)).evidence.data["left"]
    x = np.zeros((1, 1, 4, 4), np.float32)
    x.flat[15] = 1
    data = {
        "kind": "no convolution",
        "operation": side,
        "reason": "another image",
        "output_places": [-1],
        "pixels": [15],
    }
    claim = "on 1 x 4 x 4 images, the operation is a convolution (of each image of the batch alone)"
    image = {"x": pack_array(x)}
    return refuted(claim, data, image, "1", image, as_conv2d(identity, (1, 4, 4)).assumptions[:1])


def one_map_with_and_without_a_batch():
    def alone(x):
        return x * 1 if x.dim() == 3 else 1 / 0

    verdict = equal_maps(alone, ConvForm.of([[[[1]]]]), (1, 4, 4))
    zeros, data = np.zeros((1, 4, 4), np.float32), verdict.evidence.data
    data = {"kind": "maps differ", "left": data["left"], "right": data["right"], "relation": "equal", "pixel": -1}
    data["output_shapes"] = [[1, 4, 4], [1, 1, 4, 4]]
    claim = "on 1 x 4 x 4 images, both operations are the same map"
    packed = pack_array(zeros)
    return refuted(claim, data, packed, packed, pack_array(zeros[None]), verdict.assumptions)


def rounding_for_a_law_that_fails():
    def cancels(x):
        return (x + 1e10) - 1e10

    side = equal_maps(cancels, cancels, (1, 4, 4)).evidence.data["left"]
    x = torch.full((1, 1, 4, 4), 300.0)
    claimed, found = (2 * cancels(x) - cancels(0 * x)).double().numpy(), cancels(2 * x).numpy()
    data = {"kind": "not affine", "operation": side, "factor": 2, "law": "f(2 x) = 2 f(x) + -1 f(0)"}
    claim = "on 1 x 4 x 4 images, the operation is a convolution, so it is affine"
    return refuted(claim, data, {"x": pack_array(x.numpy())}, pack_array(claimed), pack_array(found))


def law(f, shape, x, dtype):
    """A refutation of f(2 x) = 2 f(x) - f(0) by what comes out of f, which is affine over the reals."""
    side = {"graph": trace(f, (1, *shape), dtype=dtype).to_plain(), "input": [1, *shape]}
    image = torch.zeros((1, *shape), dtype=dtype)
    image.flatten()[0] = x
    claimed, found = (2 * f(image) - f(0 * image)).double().numpy(), f(2 * image).numpy()
    assert (claimed != found).any()
    data = {"kind": "not affine", "operation": side, "factor": 2, "law": "f(2 x) = 2 f(x) + -1 f(0)"}
    size = " x ".join(map(str, shape))
    return refuted(
        f"on {size} images, the operation is a convolution, so it is affine",
        data, {"x": pack_array(image.numpy())}, pack_array(claimed), pack_array(found),
    )  # fmt: skip


def rounding_beside_a_step_without_a_rule():
    return law(lambda x: (torch.maximum(x, x) + 1e8) - 1e8, (1, 4, 4), 5, torch.float32)


def rounding_that_is_made_large():
    return law(lambda x: ((torch.maximum(x, x) + 1e16) - 1e16) * 1e15, (1, 4, 4), 1, torch.float64)


def digits_lost_below_the_smallest_float():
    return law(lambda x: torch.maximum(x, x) * 1e-200 * 2e-124 * 1e200 * 1e124, (1, 4, 4), 1.2, torch.float64)


def an_entry_that_is_a_list():
    verdict = as_conv2d(lambda x: x.flip(-1), (1, 5, 5))
    data = copy.deepcopy(verdict.evidence.data)
    data["pairs"][0][0][3] = [[]]
    return with_data(verdict, data)


FORGERIES = {
    truncation_without_dtypes: "names shape .1, 1, 4, 4. and dtype None",
    narrowing_without_dtypes: "names shape .1, 1, 4, 4. and dtype None",
    another_shape_of_as_many_pixels: "images of different sizes",
    responses_to_images_on_their_side: "images of different sizes",
    a_size_that_nothing_was_shown_at: "Object contains unknown field .at_the_size_asked",
    a_side_that_no_refutation_has: "the claim is not what the evidence shows",
    an_output_counted_from_behind: "there is no such output",
    one_map_with_and_without_a_batch: "the two sides agree at the image",
    rounding_for_a_law_that_fails: "affine over the reals",
    rounding_beside_a_step_without_a_rule: "the law is not seen to fail over the reals",
    rounding_that_is_made_large: "the law is not seen to fail over the reals",
    digits_lost_below_the_smallest_float: "the law is not seen to fail over the reals",
    an_entry_that_is_a_list: "six whole numbers",
}


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.__name__)
def test_a_forgery_is_rejected_and_the_reason_told(forgery):
    answer = verify(forgery())
    assert answer.status is Status.REFUTED, str(answer)
    assert re.search(FORGERIES[forgery], str(answer)), str(answer)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("step", ["convolution", "product", "sum"])
def test_refutations_in_coarse_floats_verify(dtype, step):
    kernel = SOBEL[0, 0].to(dtype)
    steps = {
        "convolution": lambda x: F.conv2d(x, kernel[None, None]),
        "product": lambda x: x * kernel,
        "sum": lambda x: x + kernel,
    }
    verdict = as_conv2d(lambda x: F.relu(steps[step](x.to(dtype))).float(), (1, 3, 3))
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


STEPS = {
    "floor": torch.floor,
    "round": lambda x: torch.round(x * 127) / 127,
    "least float": lambda x: F.pad(x, (1, 1), value=torch.finfo(x.dtype).min).unfold(-1, 3, 1).amax(-1),
    "near a corner": lambda x: F.leaky_relu(x, 0.99),
    "a mean": lambda x: x - x.std(),
    "a large factor": lambda x: F.relu(x) * 1e20,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", STEPS)
def test_refutations_by_steps_and_large_numbers_verify(case, dtype):
    verdict = as_conv2d(STEPS[case], (1, 4, 5), dtype=dtype)
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


AT_WHOLE_NUMBERS = {
    "a round half up": lambda x: torch.round(x + 0.5),
    "a sign at 0": lambda x: torch.sgn(x - 1),
    "a threshold reached": lambda x: torch.where(x >= 1, 1.0, 0.0),
    "a sum": lambda x: torch.floor(F.conv2d(x, torch.ones(1, 1, 2, 2)) + 1),
}


@pytest.mark.parametrize("case", AT_WHOLE_NUMBERS)
def test_a_step_at_numbers_that_floats_did_not_round_is_a_step(case):
    verdict = as_conv2d(AT_WHOLE_NUMBERS[case], (1, 4, 5))
    assert verdict.status is Status.REFUTED
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


def by_rounding(step):
    """Over the reals both are 0: what decides is the rounding of x + 2^60, up in half of the tries."""

    def decided_by_rounding(x):
        lost = (x + 2.0**60) - 2.0**60 - x
        return torch.where(lost * x.abs() > 0, 1.0, 0.0) + getattr(torch, step)(x * 0)

    def decided_by_rounding_in_a_step(x):
        lost = (x + 2.0**60) - 2.0**60 - x
        return getattr(torch, step)(torch.clamp(lost * x.abs(), -0.6, 0.6) * 2)

    return decided_by_rounding, decided_by_rounding_in_a_step


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("step", ["floor", "round", "trunc", "sign"])
def test_a_step_in_the_graph_lets_no_rounding_pass(step, which, monkeypatch):
    assert as_conv2d(by_rounding(step)[which], (1, 3, 3)).status is Status.UNDECIDED
    monkeypatch.setattr("mathdnn.convolution.nonlinear._lasts", lambda *_: True)
    verdict = as_conv2d(by_rounding(step)[which], (1, 3, 3))
    assert verdict.status is Status.REFUTED
    holds, why = check(verdict, random.Random(1))
    assert (holds, why.partition(":")[0]) == (False, "the law is not seen to fail over the reals")


@pytest.mark.parametrize(("divisor", "factor"), [(3, 3), (7, 7), (0.1, 0.1)])
def test_what_is_refuted_verifies_though_a_step_lies_at_a_rounded_number(divisor, factor):
    """floor(x + 1), but for what floats make of it: whether that is whole at x = 0 they decide."""
    verdict = as_conv2d(lambda x: torch.floor((x + 1) / divisor * factor), (1, 4, 4))
    assert verdict.status is Status.UNDECIDED or verify(verdict).status is Status.PROVED
