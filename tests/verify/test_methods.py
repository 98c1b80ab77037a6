"""The method that a certificate tells is that of the evidence in it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.verify.tampering import resealed
from torch import nn

from mathdnn.backprop import check_exact
from mathdnn.convolution import ConvForm, as_conv2d, equal_maps
from mathdnn.monotone import commutes_with_max_pool, is_nondecreasing
from mathdnn.monotone.reals import converse
from mathdnn.verdict import Status
from mathdnn.verify import running, verify

THIRD = ConvForm.of([[[["1/3"]]]])
TRUE = {
    "layer": lambda: as_conv2d(nn.AvgPool2d(2), (1, 4, 4)),
    "one size": lambda: as_conv2d(nn.Upsample(size=(4, 4)), (1, 4, 4)),
    "equal": lambda: equal_maps(THIRD, THIRD, (1, 2, 2)),
    "rounded": lambda: equal_maps(THIRD, THIRD.rounded("float32"), (1, 2, 2), rounded=True),
    "opaque": lambda: as_conv2d(lambda a: np.diff(a, axis=0), (3, 4), opaque=True),
    "scan": lambda: is_nondecreasing("torch.relu", "bfloat16"),
    "pooling": lambda: commutes_with_max_pool("torch.relu", "bfloat16"),
    "orders": converse,
    "derivative": lambda: check_exact((1, 2, 1))["dyL/dAl"],
}


NUMBER = r"(?<=constants \()[0-9]|(?<=constants: )[0-9]|(?<=pixel \()[0-9]|[0-9][0-9,]* (?:values|entries)"


def test_one_of_a_kind_is_no_plural():
    one, third = (1, 1, 1), THIRD.rounded("float32")
    assert equal_maps(THIRD, THIRD, one).evidence.method.endswith(
        ": all coefficients (1) and constants (1) are the same rationals"
    )
    assert equal_maps(THIRD, third, one, rounded=True).evidence.method.endswith("(coefficients: 1, constants: 1)")
    assert "; all coefficients (1) and constants (1) are those of" in as_conv2d(nn.Identity(), one).evidence.method
    opaque = as_conv2d(lambda a: 2 * a, (1, 1), opaque=True)
    assert opaque.evidence.method == "the operation was called once for each pixel (1), and every response was compared"


@pytest.mark.parametrize("case", TRUE)
def test_another_method_is_rejected(case):
    verdict = TRUE[case]()
    assert verdict.status is Status.PROVED
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))
    method = verdict.evidence.method
    told = [f"as a notary saw, {method}", "as said", method.replace("e", "3", 1), method[1:]]
    numbers = [found.start() for found in re.finditer(NUMBER, method)]
    told += [f"{method[:start]}7{method[start:]}" for start in numbers]
    for other in told:
        plain = verdict.to_plain()
        plain["evidence"]["method"] = other
        answer = verify(resealed(plain))
        assert answer.status is Status.REFUTED, other
        assert re.search("the method is not that of such|the claim is not what the evidence shows", str(answer)), answer


def test_the_shapes_of_a_graph_are_derived_once(monkeypatch):
    verdict = as_conv2d(nn.Sequential(nn.ReLU(), nn.Sigmoid(), nn.Tanh()), (1, 3, 3))
    derived, shape = [], running._shape
    monkeypatch.setattr(running, "_shape", lambda made: derived.append(made) or shape(made))
    assert verify(verdict).status is Status.PROVED
    nodes = verdict.to_plain()["evidence"]["data"]["operation"]["graph"]["nodes"]
    assert len(derived) == len(nodes) - 1
