"""From one size to all: statements about every size are right, and never made where the size matters."""

from __future__ import annotations

import copy
import itertools
import pickle
import re

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from tests.saboteurs import convolution as saboteurs
from tests.verify.tampering import resealed
from torch import nn

from mathdnn.convolution import ConvForm, as_conv2d, equal_maps, form_of
from mathdnn.convolution.evaluate import evaluate
from mathdnn.convolution.growing import Class, Unclear
from mathdnn.convolution.pool import Pool
from mathdnn.convolution.sizes import RULES
from mathdnn.convolution.stationary import Larger, Longer
from mathdnn.convolution.stationary.walk import Walk
from mathdnn.convolution.symbolic import trace_sizes
from mathdnn.convolution.watched import NotTraced
from mathdnn.verdict import Status
from mathdnn.verify import verify
from mathdnn.verify.growing import Grid
from mathdnn.verify.numbers import Malformed
from mathdnn.verify.sizes import RULES as CHECKER_RULES
from mathdnn.verify.stationary import track_of
from mathdnn.verify.stationary.reader import Reader


def _layer(cls, *args, **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(*args, **kwargs).eval().requires_grad_(False)


def _in_place(x):
    y = torch.zeros_like(x)
    y[..., 1:] += x[..., :-1]
    y[..., :-1] -= x[..., 1:]
    return y


def _zeros_between(x):
    y = torch.zeros(*x.shape[:2], 2 * x.shape[2], 3 * x.shape[3])
    y[..., ::2, 1::3] = x
    return y


def _first_column(x):
    y = x.clone()
    y[..., 0] = x[..., 1]
    return torch.cat([x[..., :1], y[..., 1:]], -1)


ALL = {
    "identity": (lambda x: x, 2),
    "layer": (_layer(nn.Conv2d, 2, 3, 3, padding=1), 2),
    "valid": (_layer(nn.Conv2d, 2, 3, (2, 5)), 2),
    "strided": (_layer(nn.Conv2d, 2, 1, 3, stride=2, padding=1, dilation=2), 2),
    "strided by 3, reflected": (_layer(nn.Conv2d, 1, 1, 4, stride=3, padding=2, padding_mode="reflect"), 1),
    "grouped and circular": (_layer(nn.Conv2d, 4, 4, 3, padding=1, padding_mode="circular", groups=2), 4),
    "replicated": (_layer(nn.Conv2d, 1, 2, 5, padding=2, padding_mode="replicate"), 1),
    "one after the other": (nn.Sequential(_layer(nn.Conv2d, 1, 2, 3), _layer(nn.Conv2d, 2, 1, 3, stride=2)), 1),
    "average": (nn.AvgPool2d(3, 1, 1), 1),
    "pool": (nn.AvgPool2d(3), 1),
    "pool with stride 2": (nn.AvgPool2d(3, 2, 1), 1),
    "smallest of one": (lambda x: -F.max_pool2d(-x, 1, 2), 2),
    "differences": (lambda x: torch.cat([F.pad(x, (0, 0, 0, 1))[..., 1:, :] - x, F.pad(x, (0, 1))[..., 1:] - x], 1), 1),
    "in place": (_in_place, 1),
    "first column again": (_first_column, 1),
    "roll": (lambda x: x - x.roll((1, -2), (-2, -1)), 1),
    "edges repeated": (lambda x: torch.cat([x[..., :1], x, x[..., -1:]], -1)[..., 2:], 1),
    "second difference": (lambda x: x[..., 2:] - 2 * x[..., 1:-1] + x[..., :-2], 1),
    "sizes as numbers": (lambda x: sum(x[..., k : x.shape[-1] - 2 + k] for k in range(3)), 1),
    "grey": (lambda x: (x * torch.tensor([0.3, 0.6, 0.1])[:, None, None]).sum(1, keepdim=True), 3),
    "colours": (lambda x: torch.einsum("oc,nchw->nohw", torch.ones(2, 3), x), 3),
    "swapped": (lambda x: x[:, [2, 0, 1]], 3),
    "batch normalisation": (_layer(nn.BatchNorm2d, 2), 2),
    "unfolded": (lambda x: x.unfold(-1, 3, 1).sum(-1), 1),
    "columns": (lambda x: F.unfold(x, 3, padding=1).reshape(1, 9, *x.shape[-2:]), 1),
    "every second": (lambda x: x[..., 1::2, ::2], 1),
    "halved": (lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"), 1),
    "halved with cubic weights": (lambda x: F.interpolate(x, scale_factor=0.5, mode="bicubic"), 1),
    "a quarter with cubic weights": (lambda x: F.interpolate(x, scale_factor=0.25, mode="bicubic"), 1),
    "upsampled with cubic weights": (nn.Upsample(scale_factor=(2, 3), mode="bicubic"), 1),
    "transposed with stride 1": (_layer(nn.ConvTranspose2d, 2, 1, 3, padding=1), 2),
    "constant": (lambda x: torch.ones_like(x) * 3, 1),
    "without a batch": (lambda x: torch.stack([x[0] - x[1], x[1]]), 2),
    "zeros between": (lambda x: _zeros_between(x), 1),
    "upsampled": (nn.Upsample(scale_factor=2), 2),
    "upsampled linearly": (nn.Upsample(scale_factor=(2, 3), mode="bilinear"), 1),
    "transposed": (_layer(nn.ConvTranspose2d, 2, 1, 3, stride=2, padding=1, output_padding=1), 2),
    "upsampled to sizes": (lambda x: F.interpolate(x, size=(2 * x.shape[-2], 2 * x.shape[-1])), 1),
    "upsampled to sizes linearly": (
        lambda x: F.interpolate(x, size=[3 * x.shape[-2], x.shape[-1]], mode="bilinear"),
        1,
    ),
    "upsampled by recomputed factors": (
        lambda x: F.interpolate(x, scale_factor=2, recompute_scale_factor=True, mode="bilinear"),
        1,
    ),
    "shuffled": (nn.PixelShuffle(2), 4),
    "columns twice": (lambda x: x.repeat_interleave(2, -1), 1),
    "plane": (lambda x: x[1:] - x[:-1], None),
}
SOME = {
    "even sizes": (nn.PixelUnshuffle(2), 1, "height of at least 4 with remainder 0 modulo 2"),
    "even widths": (lambda x: x if x.shape[-1] % 2 else 2 * x, 1, "width of at least 2 with remainder 0 modulo 2"),
    "patches by half its size": (
        lambda x: x.reshape(x.shape[0], x.shape[1], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean((3, 5)),
        1,
        "width of at least 4 with remainder 0 modulo 2",
    ),
    "patches to channels": (
        lambda x: (
            x.reshape(1, x.shape[-3], x.shape[-2] // 2, 2, x.shape[-1] // 2, 2)
            .permute(0, 1, 3, 5, 2, 4)
            .reshape(1, -1, x.shape[-2] // 2, x.shape[-1] // 2)
        ),
        2,
        "width of at least 4 with remainder 0 modulo 2",
    ),
    "wider than 20": (lambda x: F.avg_pool2d(x, 3, 1) if x.shape[-1] > 20 else x.flip(-1), 1, "width of at least 21"),
    "other than 28": (lambda x: x.flip(-1) if x.shape[-2] == 28 else x, 1, "every height of at least 29"),
}


def _scaled(x):
    h, w = x.shape[-2:]
    return x / (h * w)


def _text(x):
    return 2 * x if str(x.shape[-1]) == "37" else x


def _checked(x):
    torch._check(x.shape[-1] < 100)
    return x


def _known(x):
    return {24: x}.get(x.shape[-1], 2 * x)


ONE = {
    "mean taken away": lambda x: x - x.mean((-1, -2), keepdim=True),
    "scaled by the size": _scaled,
    "scaled by one side": lambda x: x * (1.0 / x.shape[-1]),
    "scaled by the number of pixels": lambda x: x * x.numel(),
    "scaled by a whole number of rows": lambda x: x * int(x.shape[-2]),
    "plus its width": lambda x: x + x.shape[-1],
    "filled with its width": lambda x: x + torch.full_like(x, x.shape[-1]),
    "a line of its width": lambda x: x + 0 * torch.linspace(0, 1, x.shape[-1]),
    "wide kernel": lambda x: F.avg_pool2d(x, (1, x.shape[-1])),
    "padded by half its width": lambda x: F.pad(x, (x.shape[-1] // 2, 0)),
    "rolled by half its width": lambda x: x.roll(x.shape[-1] // 2, -1),
    "halves swapped": lambda x: torch.cat([x[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2]], -1),
    "branch at 30 columns": lambda x: x if x.shape[-1] < 30 else 2 * x,
    "branch at 100 rows": lambda x: x.flip(-1) if x.shape[-2] > 100 else x,
    "branch at 10000 pixels": lambda x: x if x.shape[-2] * x.shape[-1] < 10_000 else 2 * x,
    "branch on this width": lambda x: x if x.shape[-1] == 24 else 2 * x,
    "branch on a list of widths": lambda x: x if x.shape[-1] in (24, 28) else 2 * x,
    "branch on the text of the width": _text,
    "branch on the text of half the width": lambda x: 2 * x if str(x.shape[-1] / 2) == "18.5" else x,
    "branch on the text of a comparison": lambda x: 2 * x if str(x.shape[-1] > 100) == "True" else x,
    "branch on the pickled width": lambda x: 2 * x if pickle.loads(pickle.dumps(x.shape[-1])) > 300 else x,
    "branch on a copy of this shape": lambda x: x if copy.deepcopy(x.shape)[-1] == 24 else 2 * x,
    "a table of widths": _known,
    "checked against a width": _checked,
    "an array of its width": lambda x: x + torch.zeros(x.shape[-1], x.shape[-1])[0].add(1),
    "an identity of its width": lambda x: x @ torch.eye(x.shape[-1]),
    "a number made of its width": lambda x: x * torch.tensor(x.shape[-1]),
    "an array from NumPy": lambda x: x * torch.from_numpy(np.ones(x.shape[-1], np.float32)),
    "an array not of its size": lambda x: x + x.new_zeros(1, 1, 1, 1) + torch.empty(x.shape[-1]).fill_(0).sum(),
    "a loop over its columns": lambda x: torch.cat([x[..., k : k + 1] for k in range(x.shape[-1])], -1),
    "a list of its rows": lambda x: torch.stack(list(x[0, 0]))[None, None],
    "global average": nn.AdaptiveAvgPool2d(1),
    "running sum": lambda x: x.cumsum(-1),
    "to 12 by 12": nn.AdaptiveAvgPool2d((9, 12)),
    "as wide a kernel": lambda x: F.conv2d(x, torch.ones(1, 1, 1, x.shape[-1])),
    "standardised by size": lambda x: x / (x.shape[-1] ** 0.5),
    "layer of its own width": lambda x: x @ torch.eye(24),
}


def _statement(op, shape):
    verdict = as_conv2d(op, shape)
    assert verdict.status is Status.PROVED, str(verdict)
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))
    sizes = verdict.evidence.data.get("sizes")
    assert (sizes is not None) == (", and for every height" in verdict.claim)
    assert (sizes is not None) == ("and for every height" in str(verify(verdict)))
    return verdict, sizes


def _holds_at(op, form, channels, height, width):
    shape = (height, width) if channels is None else (channels, height, width)
    verdict = equal_maps(op, form, shape)
    assert verdict.status is Status.PROVED, (shape, str(verdict))


def _shape(channels, height=18, width=24):
    return (height, width) if channels is None else (channels, height, width)


@pytest.mark.parametrize("name", ALL)
def test_every_size(name):
    op, channels = ALL[name]
    verdict, sizes = _statement(op, _shape(channels))
    assert sizes is not None, str(verdict)
    (h, w), (p, q) = sizes["least"], sizes["period"]
    assert sizes["remainders"] == [list(range(p)), list(range(q))]
    assert max(h, w) <= 14
    for height, width in ((h, w), (h + 1, w + 2), (h + 5, w + 1), (h + 2, w + 6)):
        _holds_at(op, form_of(verdict), channels, height, width)


@pytest.mark.parametrize("name", SOME)
def test_some_sizes(name):
    op, channels, words = SOME[name]
    verdict, sizes = _statement(op, _shape(channels))
    assert words in verdict.claim
    (h, w), (p, q) = sizes["least"], sizes["period"]
    for height, width in ((h, w), (h + p, w + 2 * q), (h + 3 * p, w)):
        _holds_at(op, form_of(verdict), channels, height, width)


SAID_BY_TORCH = {
    "bytes": lambda x: x * (1 + 0 * x.nbytes),
}


@pytest.mark.parametrize("name", SAID_BY_TORCH)
def test_why_other_sizes_are_open_names_no_place_in_torchs_code(name):
    verdict, sizes = _statement(SAID_BY_TORCH[name], (1, 18, 24))
    assert sizes is None
    why = verdict.evidence.method.partition("is left open, since ")[2]
    assert not re.search(r"/|cpp|frame|c10|Exception raised", why.replace("sizes/strides", "")), why
    assert re.search(r"Error: [A-Z][A-Za-z ]{10}", why), why


A_NUMBER = "torch takes the image's height or width as a number in "
FIXED = {
    "nearest-exact": (
        lambda x: F.interpolate(x, scale_factor=2, mode="nearest-exact"),
        A_NUMBER + "interpolate(scale_factor=2, mode='nearest-exact')",
    ),
    "antialiased": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", antialias=True),
        A_NUMBER + "interpolate(scale_factor=2, mode='bilinear', antialias=True)",
    ),
    "a third": (
        lambda x: F.interpolate(x, scale_factor=1 / 3),
        A_NUMBER + "interpolate(scale_factor=0.3333333333333333, mode='nearest')",
    ),
    "lines": (
        lambda x: F.interpolate(x[:, 0], scale_factor=2, mode="linear")[:, None],
        A_NUMBER + "interpolate(scale_factor=2, mode='linear')",
    ),
    "to one size": (
        lambda x: F.interpolate(x, size=(36, 48)),
        A_NUMBER + "interpolate(size=(36, 48), mode='nearest')",
    ),
    "half, and its size again": (
        lambda x: F.interpolate(x, scale_factor=0.5, recompute_scale_factor=True),
        A_NUMBER + "interpolate(scale_factor=0.5, mode='nearest', recompute_scale_factor=True)",
    ),
    "two sides of one size": (
        lambda x: F.interpolate(x, size=(x.shape[-1] - 6, x.shape[-1])),
        A_NUMBER + "interpolate(mode='nearest')",
    ),
    "blocks": (lambda x: torch.kron(x, torch.ones(1, 1, 2, 2)), A_NUMBER + "kron()"),
    "volume": (
        lambda x: F.interpolate(x[:, :, None], size=(1, x.shape[-2], 2 * x.shape[-1]))[:, :, 0],
        A_NUMBER + "interpolate(mode='nearest')",
    ),
    "its own code": (
        lambda x: x * int(x.shape[-2]),
        "its code takes the image's height or width as a number",
    ),
}


@pytest.mark.parametrize("name", FIXED)
def test_what_fixes_the_size_is_named(name):
    op, why = FIXED[name]
    verdict, sizes = _statement(op, (1, 18, 24))
    assert sizes is None
    assert verdict.evidence.method.partition("is left open, since ")[2] == why


@pytest.mark.parametrize("shape", [(1, 70, 10), (1, 10, 70)])
def test_why_other_sizes_are_open_is_the_same_whichever_side_is_longer(shape):
    verdict, _ = _statement(lambda x: x if x.shape[-1] != x.shape[-2] else 2 * x, shape)
    why = "its code asks about the image's size, and does something else on other sizes"
    assert verdict.evidence.method.endswith(why)


@pytest.mark.parametrize("look", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_size_is_the_size(look):
    _, sizes = _statement(lambda x: x if look(x.shape[-1] / 2) < 18 else 2 * x, (1, 18, 24))
    assert sizes is None
    _, sizes = _statement(lambda x: 2 * x if look(x.shape[-1]) > 5 else x, (1, 18, 24))
    assert sizes["least"] == [2, 6]


@pytest.mark.parametrize("name", ONE)
def test_one_size_only(name):
    verdict, sizes = _statement(ONE[name], (1, 18, 24))
    assert sizes is None
    assert "; whether it is on images of other sizes is left open, since " in verdict.evidence.method


STEPS = {
    "conv": lambda k: _layer(nn.Conv2d, 1, 1, k, padding=k // 2),
    "valid conv": lambda k: _layer(nn.Conv2d, 1, 1, (k, 1)),
    "reflected conv": lambda k: _layer(nn.Conv2d, 1, 1, k, padding=k - 1, padding_mode="reflect"),
    "strided": lambda k: _layer(nn.Conv2d, 1, 1, 2, stride=(1, min(k, 2)), padding=1),
    "transposed": lambda k: _layer(nn.ConvTranspose2d, 1, 1, k, stride=min(k, 2), padding=k // 2),
    "pad": lambda k: lambda x: F.pad(x, (k, 0, 0, k - 1)),
    "circle": lambda k: lambda x: F.pad(x, (k, 1, 0, k), mode="circular"),
    "repeat": lambda k: lambda x: F.pad(x, (0, k, 1, 0), mode="replicate"),
    "cut": lambda k: lambda x: x[..., k - 1 :, :-k],
    "roll": lambda k: lambda x: x.roll(k, -1),
    "edge": lambda k: lambda x: torch.cat([x, k * x[..., -1:]], -1),
    "edge of rows": lambda k: lambda x: torch.cat([x[..., k : k + 1, :], x], -2),
    "pool": lambda k: nn.AvgPool2d((1, k), 1),
    "pool of two": lambda k: nn.AvgPool2d(2, min(k, 2), 1, count_include_pad=k > 1),
    "in place": lambda k: _in_place,
    "upsample": lambda k: nn.Upsample(scale_factor=min(k, 2)),
    "bilinear": lambda k: nn.Upsample(scale_factor=2, mode="bilinear"),
    "doubled": lambda k: lambda x: x.repeat_interleave(2, -1),
    "every second": lambda k: lambda x: x[..., ::2],
    "zeros between": lambda k: _zeros_between,
    "every second changed": lambda k: lambda x: _every_second(x, k),
    "column": lambda k: lambda x: _column(x, k),
}


def _every_second(x, k):
    y = x.clone()
    y[..., k::2] = 2 * x[..., :-k:2] if k % 2 == 0 else 3 * x[..., k::2]
    return y


def _column(x, k):
    y = 2 * x
    y[..., :, -k] = x[..., :, 0]
    return y


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 3)), min_size=1, max_size=4), st.data())
def test_chains_of_steps_grow_as_the_rules_say(steps, data):
    """The argument itself: every row at a later size is the row of its twin at the class's first size, moved."""
    _check_chain(nn.Sequential(*(_Step(STEPS[name](k)) for name, k in steps)), data)


class _Step(nn.Module):
    def __init__(self, op):
        super().__init__()
        self.op = op

    def forward(self, x):
        return self.op(x)


def _check_chain(op, data):
    try:
        graph = trace_sizes(op, (1, 1, 12, 14))
        start, period, value = _walked(graph)
    except (Unclear, NotTraced):
        return
    _checker_agrees(graph, start, period, value)
    steps = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    later = tuple(n + p * k for n, p, k in zip(start, period, steps, strict=True))
    known, found = (_rows(graph.at(*size), size) for size in (start, later))
    assert found == _predicted(known, value, start, later, period)


def _checker_agrees(graph, start, period, value):
    """The checker's own account of the graph says the same."""
    plain = graph.to_plain()
    array = Reader(plain, list(graph.graph.constants), Grid(start, period), CHECKER_RULES, 1 << 10).run()
    for axis in (0, 1):
        track, field, along = track_of(array, axis), value.field(axis), value.along[axis]
        assert (track.length, track.growth) == (field.length, field.growth)
        assert (track.zone, track.low, track.high, track.end) == (along.zone, along.low, along.high, along.end)


def _walked(graph):
    """The first class on which the argument holds, as `sizes` looks for it, but with no form to compare with."""
    start, period = [3, 4], [1, 1]
    for _ in range(200):
        try:
            walk = Walk(graph.graph, Class(tuple(start), tuple(period)), RULES)
            value = walk.run()
            walk.compare(value, value)
            if all(walk.sizes.holds(guard) for guard in graph.guards):
                return tuple(start), tuple(period), value
            start = [n + p for n, p in zip(start, period, strict=True)]
        except Larger as error:
            start[error.axis] += -(-error.pixels // period[error.axis]) * period[error.axis]
        except Longer as error:
            period[error.axis] *= error.factor
    raise Unclear("no class was found")


def _rows(graph, size):
    """{(i, j): {(y, x): coefficient, "constant": value}} in exact numbers."""
    pool = Pool(size[0] * size[1])
    ids, _ = evaluate(graph, pool)
    ids = ids.reshape(ids.shape[-2:])
    made = {
        (i, j): {"constant": pool.numbers.values[int(pool.constant_codes(row))]} for (i, j), row in np.ndenumerate(ids)
    }
    place, pixel, code = pool.entries(ids.ravel())
    for at, y, number in zip(place.tolist(), pixel.tolist(), code.tolist(), strict=True):
        made[divmod(at, ids.shape[1])][divmod(y, size[1])] = pool.numbers.values[number]
    return made


def _twin(i, length, along, growth, period, grown):
    """The element at the class's start that element i is a copy of, and how its pixels move."""
    if i < along.zone:
        return i, None
    if i >= length - along.zone:
        return i - grown[0], None
    turns, rest = divmod(i - along.zone, growth)
    return along.zone + rest, turns * period


def _predicted(known, value, start, later, period):
    fields = [value.field(axis) for axis in (0, 1)]
    lengths = [f.length + f.growth * (n - m) // p for f, n, m, p in zip(fields, later, start, period, strict=True)]
    made = {}
    for place in itertools.product(*map(range, lengths)):
        twins = [
            _twin(place[k], lengths[k], value.along[k], fields[k].growth, period[k], (lengths[k] - fields[k].length,))
            for k in (0, 1)
        ]
        row = known[twins[0][0], twins[1][0]]
        made[place] = {"constant": row["constant"]}
        for pixel in row.keys() - {"constant"}:
            made[place][tuple(_moved(pixel[k], twins[k][1], value.along[k], start[k], later[k]) for k in (0, 1))] = row[
                pixel
            ]
    return made


def _moved(y, by, along, start, later):
    if by is not None:
        return y + by
    assert y < along.end or y >= start - along.end, "a zone that reaches further than it says"
    return y if y < along.end else y + later - start


def test_conditions_are_shown_or_not():
    sizes = Class((8, 9), (2, 3))
    assert sizes.holds(["==", ["%", "H", 2], 0])
    assert sizes.holds(["and", [">=", ["*", "H", "W"], 72], ["!=", ["//", "W", 3], 2]])
    assert sizes.holds(["==", ["max", 1, ["+", "W", -2]], ["+", "W", -2]])
    assert not sizes.holds(["<", "H", 1000])
    assert not sizes.holds(["!=", "W", 12])
    with pytest.raises(Unclear, match=r"^a size is divided with a remainder that is not the same along the class$"):
        sizes.holds(["==", ["%", "W", 2], 1])


DIVIDED = [  # a size, and what it is on all heights 8, 10, 12, ... and widths 9, 12, 15, ...; None where it changes
    (["//", "H", ["//", "H", 2]], 2),
    (["%", ["+", "H", 1], ["//", "H", 2]], 1),
    (["//", ["+", "H", -1], ["//", "H", 2]], 1),
    (["//", 3, "H"], 0),
    (["//", "H", ["+", "H", -7]], None),  # 8, 3, 2, 2, 1, ...
    (["//", ["*", "H", "H"], "H"], None),
    (["//", "H", "W"], None),
    (["%", "H", ["+", 20, ["*", -1, "H"]]], None),
    (["//", ["*", -1, "H"], "H"], -1),
]


@pytest.mark.parametrize(("size", "value"), DIVIDED)
def test_a_size_divided_by_a_size(size, value):
    """The prover and the checker, each on its own, say what the quotient is where it is one number."""
    prover, checker = Class((8, 9), (2, 3)), Grid((8, 9), (2, 3))
    for read in (lambda: prover.holds(["==", size, value]), lambda: checker.holds(["==", size, value])):
        if value is None:
            with pytest.raises((Unclear, Malformed), match=r"the quotient is not the same|quotient of two sizes"):
                read()
        else:
            assert read()


SABOTEURS = [
    (saboteurs.ignores_guards, lambda x: x if x.shape[-1] < 5000 else 2 * x, (1, 6, 8), (1, 2, 5000)),
    (saboteurs.tries_three_sizes, _text, (1, 6, 8), (1, 6, 37)),
    (saboteurs.keeps_what_was_a_size, lambda x: x * int(x.shape[-1]), (1, 6, 8), (1, 6, 9)),
    (saboteurs.starts_too_early, lambda x: _second_from_behind(x), (1, 3, 3), (1, 5, 5)),
]


def _second_from_behind(x):
    """Nothing on images three pixels wide, where the second pixel is the last but one."""
    y = x.clone()
    y[..., 1] = x[..., -2]
    return y


@pytest.mark.parametrize(("saboteur", "op", "shape", "wrong"), SABOTEURS)
def test_wrong_arguers_are_caught(saboteur, op, shape, wrong):
    """Each says "on every size" of an operation of which that is wrong, and of which as_conv2d does not say it."""
    assert saboteur(op, shape)
    verdict, sizes = _statement(op, shape)
    assert sizes is None
    assert equal_maps(op, form_of(verdict), wrong, smallest=False).status is Status.REFUTED


def test_the_statement_is_one_sentence():
    verdict = as_conv2d(nn.AvgPool2d(2), (1, 6, 6))
    assert verdict.claim == (
        "on 1 x 6 x 6 images, and for every height of at least 4 and every width of at least 4, the operation is this "
        "convolution: 2x2 convolution, 1 -> 1 channels, stride 2, padding 0, no bias, weight [[[[1/4, 1/4], [1/4, "
        "1/4]]]]"
    )
    assert isinstance(form_of(verdict), ConvForm)
    assert "looks at the image's size as a number only" in str(verdict)


def _up_and_down(x):
    """16 times 15 as large, and the last row of each 240."""
    return nn.Upsample(scale_factor=(15, 1))(nn.Upsample(scale_factor=(16, 1))(x))[..., 239::240, :]


def test_the_nearest_pixel_is_found_in_the_largest_image_too():
    """For k = 15 the first index that float32 rounds up is 10186169: in row 42442 of an image, each of 240 rows."""
    verdict = as_conv2d(_up_and_down, (1, 8, 4))
    assert "up to 42442, the operation is" in verdict.claim
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))
    rows = torch.arange(42444.0).reshape(1, 1, -1, 1)
    assert torch.equal(_up_and_down(rows[:, :, :-2]), rows[:, :, :-2])
    assert not torch.equal(_up_and_down(rows), rows)
    plain = verdict.to_plain()
    plain["evidence"]["data"]["sizes"]["most"] = 42443
    plain["claim"] = plain["claim"].replace("42442", "42443")
    assert "a factor that float32 rounds" in str(verify(resealed(plain)))
