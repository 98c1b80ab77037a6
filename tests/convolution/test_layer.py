"""ConvForm.from_module: what a layer computes, or a sentence; never the weights of one that computes another thing."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tests.convolution.test_form import forms
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from mathdnn.convolution import ConvForm, added, after, catalogue, padded, scaled
from mathdnn.errors import InvalidInput


class Doubled(nn.Conv2d):
    def forward(self, image):
        return 2 * super().forward(image)


class Rounder(nn.Conv2d):
    def _conv_forward(self, image, weight, bias):
        return super()._conv_forward(image, weight.round(), bias)


class Named(nn.Conv2d):
    """Adds nothing to what is computed."""

    role = "edges"


def hooked(kind):
    layer = nn.Conv2d(1, 1, 3)
    if kind == "before":
        layer.register_forward_pre_hook(lambda module, given: (given[0] + 1,))
    elif kind == "behind":
        layer.register_forward_hook(lambda module, given, made: made.relu())
    elif kind == "pruned":
        prune.l1_unstructured(layer, "weight", amount=3)
    else:
        layer.forward = lambda image: image
    return layer


def quantized():
    layer = nn.Conv2d(1, 1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to give such tensors up
        weight = torch.quantize_per_tensor(layer.weight.data, 0.1, 0, torch.qint8)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


class Counted(nn.Module):
    """Another weight at each look at it."""

    looks = 0

    def forward(self, weight):
        self.looks += 1
        return weight * self.looks


def moving():
    layer = nn.Conv2d(2, 2, 3)
    parametrize.register_parametrization(layer, "weight", Counted())
    return layer


REFUSED = {
    "own forward": (lambda: Doubled(1, 1, 3), "a Doubled with its own forward"),
    "own inner forward": (lambda: Rounder(1, 1, 3), "a Rounder with its own _conv_forward"),
    "forward of one layer": (lambda: hooked("instance"), "a Conv2d with its own forward"),
    "hook before": (lambda: hooked("before"), "a Conv2d with forward hooks"),
    "hook behind": (lambda: hooked("behind"), "a Conv2d with forward hooks"),
    "pruned": (lambda: hooked("pruned"), "a Conv2d with forward hooks"),
    "hooked sequence": (lambda: nn.Sequential(hooked("behind")), "a Conv2d with forward hooks"),
    "other weights": (moving, "a ParametrizedConv2d with other weights at each call"),
    "relu": (nn.ReLU, "a ReLU"),
    "linear": (lambda: nn.Linear(2, 2), "a Linear"),
    "none": (lambda: None, "None"),
    "line": (lambda: nn.Conv1d(1, 1, 3), "a Conv1d"),
    "lazy": (lambda: nn.LazyConv2d(1, 3), "a LazyConv2d without weights yet"),
    "meta": (lambda: nn.Conv2d(1, 1, 3, device="meta"), "one of torch.float32 on meta"),
    "complex": (lambda: nn.Conv2d(1, 1, 3, dtype=torch.complex64), "one of torch.complex64 on cpu"),
    "quantized": (quantized, "one of torch.qint8 on cpu"),
    "relu behind": (lambda: nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), "a Conv2d with a ReLU behind"),
    "relu before": (lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 3)), "a Sequential with a ReLU"),
    "two layers": (lambda: nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)), "a Conv2d with a Conv2d behind"),
    "pad by ones": (lambda: nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.Conv2d(1, 1, 3)), "a ConstantPad2d"),
    "two paddings": (
        lambda: nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(1, 1, 3, padding=1)),
        "reflect padding before a form without padding",
    ),
    "narrow pad": (
        lambda: nn.Sequential(nn.ReplicationPad2d(1), nn.ConvTranspose2d(1, 1, 9, padding=1)),
        "narrower than what it reads",
    ),
    "nothing": (lambda: nn.Sequential(), "a Sequential of nothing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_computes_another_thing_is_refused(name):
    make, words = REFUSED[name]
    with pytest.raises(InvalidInput, match=rf"^[^\n]*{re.escape(words)}[^\n]*\.$"):
        ConvForm.from_module(make())


LAYERS = {
    "named": lambda: Named(2, 3, 3, padding=(1, 2)),
    "weight norm": lambda: parametrizations.weight_norm(nn.Conv2d(2, 2, 3)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Conv2d(2, 2, 3)).eval(),
    "circular": lambda: nn.Conv2d(2, 2, 3, padding=(2, 1), padding_mode="circular"),
    "same, reflected": lambda: nn.Conv2d(2, 2, (4, 3), padding="same", padding_mode="reflect"),
    "half precision": lambda: nn.Conv2d(2, 2, 3, dtype=torch.float16),
    "transposed": lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1, bias=False),
    "one of a sequence": lambda: nn.Sequential(nn.Conv2d(2, 2, 3)),
    "wide pad": lambda: nn.Sequential(
        nn.ReplicationPad2d(3), nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1), nn.ZeroPad2d(-6)
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_what_it_computes(name):
    layer = LAYERS[name]()
    image = torch.randn(1, 2, 7, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ConvForm.from_module(layer)(image), layer.double()(image), atol=1e-6, rtol=1e-6)


def test_a_changed_padding_counts_as_torch_counts_it():
    """torch pads by what it worked out when the layer was built, in a border mode."""
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular").double()
    layer.padding = (2, 2)
    image = torch.randn(1, 1, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ConvForm.from_module(layer)(image), layer(image))


@given(forms() | forms(transposed=True))
@settings(max_examples=60)
def test_what_to_module_gives_comes_back(form):
    image = torch.from_numpy(np.random.default_rng(0).integers(-4, 5, (1, form.in_channels, 9, 8)).astype(np.float64))
    back = ConvForm.from_module(form.to_module(torch.float64))
    torch.testing.assert_close(back(image), form(image), atol=1e-12, rtol=0)
    assert back.padding_mode in (form.padding_mode, "zeros")


BAD = {
    "after a layer": (lambda f: after(f, nn.Conv2d(1, 1, 3)), r"after\(second, first\): expected a ConvForm.* Conv2d"),
    "after none": (lambda f: after(None, f), r"after\(second, first\): expected a ConvForm, got .* type NoneType"),
    "added to a number": (lambda f: added(f, 3), r"added\(a, b\): expected a ConvForm, got .* type int"),
    "scaled layer": (lambda f: scaled(nn.Conv2d(1, 1, 3), 2), r"scaled\(form\): expected a ConvForm.* Conv2d"),
    "padded text": (lambda f: padded("box-3", 1, 1, 1, 1), r"padded\(form\): expected a ConvForm, got .* type str"),
    "no padding": (lambda f: ConvForm.of([[[[1]]]], padding=None), r"padding=\.\.\.\): expected one or two .* None"),
    "padding of three": (lambda f: ConvForm.of([[[[1]]]], padding=(1, 1, 1)), r"padding=\.\.\.\): expected one or two"),
    "stride of text": (lambda f: ConvForm.of([[[[1]]]], stride="12"), r"stride=\.\.\.\): expected one or two .* '12'"),
    "half a group": (lambda f: ConvForm.of([[[[1]]]], groups=0.5), r"groups=\.\.\.\): expected a positive divisor"),
    "bias alone": (lambda f: ConvForm.of([[[[1]]]], bias=0.5), r"bias=\.\.\.\): expected a list of numbers, .* 0\.5"),
    "complex": (lambda f: ConvForm.of(torch.ones(1, 1, 1, 1) * 1j), r"a dense tensor of real numbers, got one"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_forms_are_made_of_numbers_and_forms(name):
    make, words = BAD[name]
    with pytest.raises(InvalidInput, match=words):
        make(catalogue.box(3))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "zeros"])
def test_a_transposed_form_with_rows_of_bias_alone_comes_back_from_its_layer(mode):
    form = ConvForm.of(
        [[[[1], [2], [4]]]],
        [3],
        stride=(1, 3),
        padding=((2, 0), (0, 0)),
        padding_mode=mode,
        dilation=(1, 3),
        transposed=True,
        output_padding=(0, 1),
    )
    assert ConvForm.from_module(form.to_module(torch.float64)) == form
