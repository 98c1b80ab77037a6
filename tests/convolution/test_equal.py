"""equal_maps: the homework's identities, the smallest images, and the three ways of being equal."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.oracles.convolution import matrix
from torch import nn

from mathdnn.convolution import ConvForm, catalogue, equal_maps
from mathdnn.verdict import Equality, Status, Verdict, unpack_array
from mathdnn.verify import verify

SOLUTION = [[[[-1, 0, 0], [1, 0, 0], [0, 0, 0]]], [[[-1, 1, 0], [0, 0, 0], [0, 0, 0]]]]


def differences(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([F.pad(x, (0, 0, 0, 1))[..., 1:, :] - x, F.pad(x, (0, 1))[..., 1:] - x], dim=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 1), (2, 2), (7, 6), (28, 28)])
def test_problem_1(size):
    shape = (1, *size)
    wrong = equal_maps(differences, ConvForm.of(SOLUTION, padding=1), shape)
    assert wrong.status is Status.REFUTED
    assert wrong.evidence.statement.startswith("For the 1 x 1 image [1], the first gives -1 and the second 0")
    assert unpack_array(wrong.evidence.input).tolist() == [[[[1.0]]]]
    assert equal_maps(differences, catalogue.finite_differences(), shape).status is Status.PROVED
    shifted = ConvForm.of(SOLUTION, padding=((0, 2), (0, 2)))
    assert equal_maps(differences, shifted.to_module(), shape).status is Status.PROVED


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_problem_2(k, channels):
    shape = (channels, 2 * k, 3 * k)
    across = np.zeros((channels, channels, k, k), dtype=object)
    for c in range(channels):
        across[c, c] = Fraction(1, k * k)
    for form in (catalogue.average_pool(k, channels), ConvForm.of(across, stride=k)):
        assert form.output_size(*shape[1:]) == (2, 3)
        verdict = equal_maps(nn.AvgPool2d(k), form, shape)
        assert verdict.status is Status.PROVED
        assert verdict.equality is Equality.REALS
        assert equal_maps(nn.AvgPool2d(k), form.to_module(), shape, rounded=True).status is Status.PROVED


def test_a_float_weight_is_the_rational_it_is():
    form = catalogue.average_pool(3)
    layer = form.to_module()
    exact = equal_maps(nn.AvgPool2d(3), layer, (1, 6, 6))
    assert exact.status is Status.REFUTED
    assert exact.evidence.statement.endswith("The two differ only by a rounding of the weights.")
    assert equal_maps(form.rounded(), layer, (1, 6, 6)).status is Status.PROVED
    rounded = equal_maps(nn.AvgPool2d(3), layer, (1, 6, 6), rounded=True)
    assert rounded.equality is None
    assert rounded.claim.endswith("every coefficient of the second operation is the first's, rounded to float32")
    assert verify(rounded).status is Status.PROVED


BOX = np.full((1, 1, 3, 3), Fraction(1, 9))
OFF = {
    "eight weights": (lambda w: np.where(np.arange(9).reshape(w.shape) == 4, 0.11111111, 7), {"padding": 1}),
    "stride": (lambda w: 0.11111111 + 0 * w, {"padding": 1, "stride": 2}),
    "padding mode": (lambda w: 0.11111111 + 0 * w, {"padding": 1, "padding_mode": "replicate"}),
    "padding of one side": (lambda w: 0.11111111 + 0 * w, {"padding": ((1, 1), (0, 2))}),
    "bias": (lambda w: 0.11111111 + 0 * w, {"padding": 1, "bias": [1]}),
    "a small bias": (lambda w: 0.11111111 + 0 * w, {"padding": 1, "bias": [Fraction(1, 10**9)]}),
}


@pytest.mark.parametrize("name", OFF)
@pytest.mark.parametrize("smallest", [True, False])
def test_what_differs_by_more_than_a_rounding_is_not_called_one(name, smallest):
    change, more = OFF[name]
    verdict = equal_maps(ConvForm.of(BOX, padding=1), ConvForm.of(change(BOX), **more), (1, 7, 8), smallest=smallest)
    assert verdict.status is Status.REFUTED
    assert "rounding" not in str(verdict)


def test_forms_of_other_strides_do_not_differ_by_a_rounding_on_an_image_of_one_output():
    verdict = equal_maps(ConvForm.of(BOX), ConvForm.of(0.11111111 + 0 * BOX, stride=2), (1, 3, 3))
    assert verdict.status is Status.REFUTED
    assert "rounding" not in str(verdict)


def test_a_smaller_image_on_which_more_differs_is_no_rounding():
    layer = ConvForm.of(BOX, padding=1).to_module()
    verdict = equal_maps(ConvForm.of(BOX, padding=1), lambda x: layer(x) * (1 if x.shape[-1] == 8 else 2), (1, 7, 8))
    assert "1 x 1 image" in verdict.evidence.statement
    assert "rounding" not in verdict.evidence.statement


def test_problem_3():
    weights = (0.299, 0.587, 0.114)

    def grey(x):
        return weights[0] * x[:, 0:1] + weights[1] * x[:, 1:2] + weights[2] * x[:, 2:3]

    for dtype in (torch.float32, torch.float64):
        layer = nn.Conv2d(3, 1, 1, bias=False, dtype=dtype)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(weights, dtype=dtype)[None, :, None, None])
        assert equal_maps(grey, layer, (3, 5, 4), dtype=dtype).status is Status.PROVED
    assert equal_maps(grey, catalogue.grey(), (3, 5, 4)).status is Status.REFUTED
    assert equal_maps(catalogue.grey(), grey, (3, 5, 4), rounded=True).status is Status.PROVED


def test_what_differs_only_by_a_constant_is_shown_on_zeros():
    verdict = equal_maps(lambda x: x + 1, lambda x: x + 2, (1, 3, 3))
    assert verdict.evidence.statement == (
        "For the 1 x 1 image of zeros, the first gives 1 and the second 2 at output (0, 0, 0)."
    )


def test_what_differs_only_at_the_asked_size_is_shown_there():
    verdict = equal_maps(lambda x: x * (2 if x.shape[-1] == 5 else 1), lambda x: x, (1, 1, 5))
    assert unpack_array(verdict.evidence.input).shape == (1, 1, 1, 5)


def test_other_output_sizes_are_a_difference():
    verdict = equal_maps(nn.AvgPool2d(2), nn.AvgPool2d(2, ceil_mode=True), (1, 3, 4))
    assert "the outputs have shapes" in verdict.evidence.statement


def test_a_nonlinear_side_against_a_linear_one():
    verdict = equal_maps(F.relu, lambda x: x, (1, 2, 2))
    assert verdict.status is Status.REFUTED
    assert verdict.evidence.statement.startswith("The first operation is not affine, and the other is: f(-1 x) =")


def test_two_nonlinear_sides_stay_open():
    verdict = equal_maps(F.relu, lambda x: x.clamp(min=0), (1, 2, 2))
    assert verdict.status is Status.UNDECIDED
    assert "aten.relu.default is not shown to be affine" in str(verdict)


def test_the_rounding_bound_holds(rng):
    """|float32 result of one - float32 result of the other| <= slope max|x| + offset, on images that try to break
    it."""
    first, second = nn.AvgPool2d(3, 1), nn.Sequential(nn.AvgPool2d((3, 1), 1), nn.AvgPool2d((1, 3), 1))
    verdict = equal_maps(first, second, (1, 9, 9))
    bound = verdict.evidence.data["rounding"]
    worst = 0.0
    for _ in range(200):
        x = torch.from_numpy(rng.uniform(-1, 1, (1, 1, 9, 9)).astype(np.float32)).sign() * torch.rand(1, 1, 9, 9).pow(
            0.01
        )
        worst = max(worst, float((first(x).double() - second(x).double()).abs().max() / x.abs().max()))
    assert 0 < worst <= bound["slope"]
    assert bound["slope"] < 1e-5


def test_json_and_back(tmp_path):
    verdict = equal_maps(differences, catalogue.finite_differences(), (1, 4, 4), claim="so it is")
    assert verdict.claim == "so it is"
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert verdict.evidence.form == catalogue.finite_differences()


def test_the_exact_matrix_is_the_measured_one():
    """Column by column against impulses in float64 (the oracle), for a layer with every kind of argument."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=1, padding_mode="reflect", groups=2, dtype=torch.float64)
    measured, constant = matrix(lambda x: layer(torch.from_numpy(x)[None]).detach()[0].numpy(), (2, 6, 5))
    verdict = equal_maps(layer, ConvForm.from_module(layer), (2, 6, 5), dtype="float64")
    form = verdict.evidence.form
    found, bias = matrix(lambda x: form(torch.from_numpy(x)[None])[0].numpy(), (2, 6, 5))
    np.testing.assert_allclose(found, measured, atol=1e-15)
    np.testing.assert_allclose(bias, constant, atol=1e-15)
