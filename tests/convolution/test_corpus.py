"""The corpus: every "proved" is right, every refutation reproduces from its own file, few truths are missed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.convolution.corpus import CASES, Case
from tests.saboteurs import convolution as saboteurs

from mathdnn.convolution import ConvForm, as_conv2d, form_of, reproduces
from mathdnn.verdict import Status, Verdict, unpack_array
from mathdnn.verify import verify

MISSED: set[str] = set()  # convolutions that stay undecided
IDS = [case.name for case in CASES]


def _call(case: Case, image: np.ndarray) -> np.ndarray:
    if case.opaque:
        return np.asarray(case.op(image.copy()))
    with torch.no_grad():
        return case.op(torch.from_numpy(image.copy())).numpy()


def test_the_corpus_is_large_and_nearly_all_its_convolutions_are_found():
    truths = [case for case in CASES if case.convolution]
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(MISSED) <= 0.05 * len(truths)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_verdict_is_right(case):
    verdict = as_conv2d(case.op, case.shape, opaque=case.opaque)
    assert Verdict.from_json(verdict.to_json()) == verdict
    if case.convolution and case.name not in MISSED:
        assert verdict.status is Status.PROVED, str(verdict)
    if verdict.status is Status.PROVED:
        assert case.convolution
        _agrees_on_random_images(case, form_of(verdict))
        assert verify(verdict).status is Status.PROVED
    elif verdict.status is Status.REFUTED:
        assert not case.convolution
        _reproduces(case, Verdict.from_json(verdict.to_json()))
        _is_verified(case, Verdict.from_json(verdict.to_json()))


# the Python code of two looks at pixels, and the graph of one at complex numbers
LEAVES_NO_GRAPH = {"shifted by its sum", "branch on a pixel", "Fourier whitened"}


def _is_verified(case: Case, verdict: Verdict) -> None:
    """By its file alone where the operation has a graph; else by running the operation on the images in the file."""
    checked = verify(verdict)
    if case.opaque or case.name in LEAVES_NO_GRAPH:
        assert checked.status is Status.UNDECIDED
        assert "has to be run itself" in str(checked)
        assert reproduces(verdict, case.op).status is Status.PROVED
        assert reproduces(verdict, lambda image: case.op(image) * 2 + 1).status is Status.REFUTED
    else:
        assert checked.status is Status.PROVED, str(checked)


def _agrees_on_random_images(case: Case, form: ConvForm) -> None:
    """Against torch's own convolution with the form's weights."""
    generator = np.random.default_rng(0)
    layer = form.to_module(torch.float64)
    for _ in range(2):
        image = generator.standard_normal(case.shape).astype(np.float64 if case.opaque else np.float32)
        full = image.reshape((1,) * (4 - image.ndim) + image.shape)
        expected = layer(torch.from_numpy(full).double()).numpy()
        found = _as_called(case, image)
        np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=2e-4)


def _as_called(case: Case, image: np.ndarray) -> np.ndarray:
    """In a batch of one where the operation takes that, as `as_conv2d` does."""
    if image.ndim == 3 and not case.opaque:
        try:
            output = _call(case, image[None])
        except (RuntimeError, ValueError, IndexError, NotImplementedError):
            return _call(case, image)
        if output.ndim == 4 and output.shape[0] == 1:
            return output
    return _call(case, image)


def _reproduces(case: Case, verdict: Verdict) -> None:
    """The file alone, with the operation, shows the same numbers again."""
    evidence = verdict.evidence
    images = {name: unpack_array(packed) for name, packed in evidence.input.items()}
    law = evidence.data.get("law")
    if law is None:
        for name, image in images.items():
            np.testing.assert_array_equal(_call(case, image), unpack_array(evidence.found[name]))
        return
    zero = _call(case, np.zeros_like(images["x"]))
    if "y" in images:
        at, expected = images["x"] + images["y"], _call(case, images["x"]) + _call(case, images["y"]) - zero
    else:
        factor = int(law[2 : law.index(" x")])
        at, expected = factor * images["x"], factor * _call(case, images["x"]) + (1 - factor) * zero
    found = _call(case, at.astype(images["x"].dtype))
    np.testing.assert_allclose(found, unpack_array(evidence.found), rtol=1e-6, atol=1e-6)
    assert np.abs(found - expected).max() > 5e-4 * max(np.abs(found).max(), np.abs(expected).max())


def _second_channel_wrong(x):
    return torch.cat([x[:, :1], x[:, 1:].flip(-1)], dim=1)


@pytest.mark.parametrize(
    ("saboteur", "op", "shape"),
    [
        (saboteurs.no_border_check, next(c.op for c in CASES if c.name == "one border pixel off"), (1, 9, 8)),
        (saboteurs.single_channel_probe, _second_channel_wrong, (2, 9, 8)),
        (saboteurs.no_linearity_check, F.relu, (1, 9, 8)),
        (saboteurs.one_size_only_claimed_for_all, next(c.op for c in CASES if c.name == "right on 28"), (1, 9, 8)),
    ],
)
def test_the_corpus_catches_wrong_recognisers(saboteur, op, shape):
    assert saboteur(op, shape)  # it says "a convolution"
    assert as_conv2d(op, shape).status is Status.REFUTED  # and it is none
