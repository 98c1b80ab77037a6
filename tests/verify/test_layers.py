"""A layer that a side is: its lines, what its graph says of it, and the images that show its weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mathdnn.convolution.trace import trace
from mathdnn.verify.forms import form_output
from mathdnn.verify.layers import layer_of, lines_of
from mathdnn.verify.numbers import Modular
from mathdnn.verify.readings import Readings
from mathdnn.verify.sides import run

KERNEL = torch.ones(1, 1, 3, 3)
FIELD = Modular(2**31 - 1)
PLAIN = {"padding": [[0, 0], [0, 0]], "padding_mode": "zeros", "dilation": [1, 1], "groups": 1, "bias": None}
FORMS = {
    "plain": ({"stride": [1, 1]}, (2, 3, 3, 2), (3, 7, 6)),
    "padded": ({"stride": [1, 1], "padding": [[2, 0], [1, 3]], "bias": ["1/2", "-3"]}, (2, 1, 3, 2), (1, 4, 5)),
    "strides": ({"stride": [2, 3], "dilation": [2, 1]}, (4, 2, 3, 3), (2, 11, 10)),
    "groups": ({"stride": [2, 1], "groups": 3, "padding": [[1, 1], [1, 1]]}, (6, 2, 3, 3), (6, 9, 8)),
    "circular": ({"stride": [1, 2], "padding": [[1, 1], [2, 0]], "padding_mode": "circular"}, (1, 2, 3, 3), (2, 6, 6)),
    "one output": ({"stride": [1, 1]}, (2, 1, 5, 4), (1, 5, 4)),
    "one tap": ({"stride": [1, 1]}, (2, 40, 1, 1), (40, 3, 3)),
    "small image": ({"stride": [1, 1], "padding": [[2, 2], [2, 2]]}, (1, 1, 5, 5), (1, 2, 3)),
    "transposed": (
        {"stride": [2, 3], "transposed": True, "output_padding": [1, 0], "padding": [[1, 0], [2, 1]], "bias": ["7"]},
        (2, 1, 3, 4),
        (2, 5, 4),
    ),
    "transposed groups": (
        {"stride": [1, 2], "transposed": True, "output_padding": [0, 0], "groups": 2, "dilation": [2, 1]},
        (4, 3, 2, 2),
        (4, 4, 5),
    ),
}  # fmt: skip
TWICE = {
    "reflected": ({"stride": [1, 1], "padding": [[1, 1], [0, 0]], "padding_mode": "reflect"}, (1, 1, 3, 3), (1, 5, 5)),
    "repeated": ({"stride": [1, 1], "padding": [[0, 0], [1, 1]], "padding_mode": "replicate"}, (1, 1, 3, 3), (1, 5, 5)),
    "around": ({"stride": [1, 1], "padding": [[3, 3], [0, 0]], "padding_mode": "circular"}, (1, 1, 5, 1), (1, 4, 4)),
}


def side_of(case):
    changes, shape, image = case
    values = [str(k + 1) for k in range(int(np.prod(shape)))]
    return {"form": PLAIN | changes | {"weight": {"shape": list(shape), "values": values}}, "input": [1, *image]}


def responses(side):
    """(pixels, outputs): the response to each pixel, without the constants."""
    zero = np.zeros(int(np.prod(side["input"])), np.int64)
    constants = run(side, zero, FIELD)[0].ravel()
    return np.stack([FIELD.sub(run(side, one, FIELD)[0].ravel(), constants) for one in np.eye(zero.size, dtype=int)])


@pytest.mark.parametrize("name", FORMS)
def test_each_coefficient_of_a_layer_is_one_of_its_weights(name):
    side = side_of(FORMS[name])
    layer = layer_of(side)
    rows, columns = lines_of(layer)
    made = responses(side).reshape(*side["input"][1:], layer.shape[0], len(rows), len(columns))
    wanted = np.zeros_like(made)
    share, per = layer.shape[1], layer.shape[0] // layer.form["groups"]
    weights = layer.weights[: np.prod(layer.shape)].reshape(layer.shape)
    for (i, a), (j, b) in itertools.product(np.argwhere(rows >= 0), np.argwhere(columns >= 0)):
        for o, g in np.ndindex(layer.shape[:2]):
            wanted[o // per * share + g, rows[i, a], columns[j, b], o, i, j] += int(weights[o, g, a, b])
    assert np.array_equal(made, wanted)


@pytest.mark.parametrize("name", TWICE)
def test_a_line_that_has_a_pixel_twice_in_an_output_is_no_such_layer(name):
    assert lines_of(layer_of(side_of(TWICE[name]))) is None


def test_a_line_too_long_is_not_written_out():
    case = ({"stride": [2**27, 1], "transposed": True, "output_padding": [0, 0]}, (1, 1, 1, 1), (1, 3, 3))
    assert lines_of(layer_of(side_of(case))) is None


@pytest.mark.parametrize("name", FORMS)
def test_a_layer_with_its_own_weights_is_the_form(name, rng):
    side = side_of(FORMS[name])
    layer, point = layer_of(side), rng.integers(0, FIELD.prime, np.prod(side["input"]))
    wanted = form_output(side["form"], point.reshape(side["input"]), FIELD)[0]
    assert np.array_equal(layer.output(FIELD.array(layer.weights), point, FIELD), wanted)


@pytest.mark.parametrize("name", FORMS)
def test_readings_show_every_weight_once(name):
    side = side_of(FORMS[name])
    layer = layer_of(side)
    readings = Readings(layer, lines_of(layer))
    columns, seen = responses(side), []
    for image, taps, outputs in list(readings)[1:]:
        assert (layer.weights[taps] == columns[image != 0].sum(0)[outputs]).all()
        seen += taps.tolist()
    assert sorted(seen) == sorted(set(seen))
    assert not readings.missing
    assert set(layer.weights[seen]) == set(columns.ravel()) - {0}


def test_few_images_show_a_large_layer():
    for case, images in (
        (({"stride": [1, 1]}, (8, 3, 5, 5), (3, 32, 32)), 1),
        (({"stride": [1, 1], "groups": 16}, (16, 1, 3, 3), (16, 12, 12)), 1),
        (({"stride": [2, 2]}, (4, 3, 3, 3), (3, 64, 64)), 1),
        (({"stride": [1, 1]}, (3, 1, 6, 6), (1, 6, 6)), 36),
    ):
        layer = layer_of(side_of(case))
        assert len(list(Readings(layer, lines_of(layer)))) == 1 + images


def test_a_float_that_a_layer_has_everywhere_is_shown_once():
    side = side_of(({"stride": [1, 1]}, (1, 1, 6, 6), (1, 6, 6)))
    side["form"]["weight"]["values"] = ["1/4"] * 30 + ["0"] * 6
    layer = layer_of(side)
    assert len(list(Readings(layer, lines_of(layer)))) == 2


MODULES = {
    "plain": (nn.Conv2d(2, 3, 3, stride=2, padding=(1, 2)), (2, 7, 7)),
    "sides": (nn.Sequential(nn.ZeroPad2d((2, 0, 1, 3)), nn.Conv2d(1, 2, 3, padding=1)), (1, 5, 6)),
    "circular": (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular", bias=False), (2, 5, 6)),
    "transposed": (nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4, 5)),
}
OTHERS = {
    "two layers": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 3)), (1, 7, 7)),
    "no layer": (lambda x: x * 3, (1, 4, 4)),
    "another image": (lambda x: torch.conv2d(-x, torch.ones(1, 1, 2, 2, dtype=x.dtype)), (1, 4, 4)),
    "fewer channels": (lambda x: torch.conv2d(x[:, :1], torch.ones(1, 1, 2, 2, dtype=x.dtype)), (2, 4, 4)),
    "twice as wide": (
        lambda x: torch.conv2d(torch.cat([x[..., :1] * 2, x * 2, x], -1)[..., 1:], KERNEL.to(x.dtype)),
        (1, 4, 4),
    ),
    "a constant": (lambda x: torch.conv2d(x * 0 + 1, KERNEL.to(x.dtype)) + x[..., 1:3, 1:3], (1, 4, 4)),
    "a smaller image": (lambda x: torch.conv2d(x[..., 1:], torch.ones(1, 1, 2, 2, dtype=x.dtype)), (1, 4, 4)),
}


def traced(operation, image):
    return {"graph": trace(operation, (1, *image)).to_plain(), "input": [1, *image]}


@pytest.mark.parametrize("name", MODULES)
def test_a_graph_says_which_layer_it_is(name, rng):
    side = traced(*MODULES[name])
    point = rng.integers(0, FIELD.prime, np.prod(side["input"]))
    layer = layer_of(side)
    assert np.array_equal(layer.output(FIELD.array(layer.weights), point, FIELD), run(side, point, FIELD)[0])


@pytest.mark.parametrize("name", OTHERS)
def test_other_graphs_are_no_layer(name):
    assert layer_of(traced(*OTHERS[name])) is None


def test_weights_that_are_no_floats_and_several_images_are_no_layer():
    side = side_of(FORMS["plain"])
    assert layer_of(side | {"input": [2, 3, 7, 6]}) is None
    side["form"]["weight"]["values"][3] = "1/3"
    assert layer_of(side) is None


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("sides", [(0, 0), (1, 0), (0, 3), (3, 1), (2, 2)])
def test_how_a_graph_continues_its_image_is_read(mode, sides):
    pads = {"zeros": "constant"}.get(mode, mode)
    layer = layer_of(
        traced(lambda x: torch.conv2d(nn.functional.pad(x, (*sides, 1, 1), mode=pads), KERNEL.to(x.dtype)), (1, 4, 4))
    )
    assert layer.form["padding_mode"] == mode
    assert layer.form["padding"] == [[1, 1], [*sides]]


def test_a_long_line_is_read():
    layer = layer_of(
        traced(lambda x: torch.conv2d(nn.functional.pad(x, (9000, 9000)), KERNEL[:, :, :1].to(x.dtype)), (1, 1, 20_000))
    )
    assert layer.form["padding"] == [[0, 0], [9000, 9000]]
