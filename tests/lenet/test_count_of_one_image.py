"""What belongs to one image is counted wherever a network puts it, and what belongs to none is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mathdnn.lenet import ConnectionTable, LeNet5, TableConv2d, cost, count
from mathdnn.lenet.paper import DigitDistance

TABLE = ConnectionTable.parse("0 01")


class Through(nn.Module):
    """`layer`, with what is done before and after."""

    def __init__(self, layer, way):
        super().__init__()
        self.layer, self.way = layer, way

    def forward(self, x):
        return self.way(self.layer, x)


def colours(layer, x):
    n, c, h, w = x.shape
    return layer(x.reshape(n * c, 1, h, w)).reshape(n, -1)


def patches(layer, x):
    return layer(x.reshape(-1, 16)).reshape(len(x), -1)


def sequence_first(layer, x):
    return layer(x[:, 0].permute(1, 0, 2)).permute(1, 0, 2)


def image_by_image(layer, x):
    return torch.stack([layer(image) for image in x])


def batch_by_batch_of_one(layer, x):
    return torch.cat([layer(x[i : i + 1]) for i in range(len(x))])


def twice_by_image(layer, x):
    return torch.stack([layer(layer(image)) for image in x])


C = nn.Conv2d(1, 4, 3)
COUNTED = {
    "colours": (C, colours, (3, 8, 8), (3, 4, 6, 6), 3 * 4 * 36 * 9, 3 * 4 * 36 * 10),
    "patches": (nn.Linear(16, 8), patches, (1, 8, 8), (4, 8), 4 * 16 * 8, 4 * 17 * 8),
    "sequence first": (nn.Linear(8, 3), sequence_first, (1, 5, 8), (5, 3), 5 * 8 * 3, 5 * 9 * 3),
    "image by image": (C, image_by_image, (1, 8, 8), (4, 6, 6), 4 * 36 * 9, 4 * 36 * 10),
    "batches of one": (C, batch_by_batch_of_one, (1, 8, 8), (1, 4, 6, 6), 4 * 36 * 9, 4 * 36 * 10),
    "tables in batches of one": (TableConv2d(TABLE, 3), batch_by_batch_of_one, (2, 5, 5), (1, 2, 3, 3), 27 * 9, 29 * 9),
    "tables": (TableConv2d(TABLE, 3), image_by_image, (2, 5, 5), (2, 3, 3), 27 * 9, 29 * 9),
    "windows": (nn.AvgPool2d(2), colours, (3, 8, 8), (3, 1, 4, 4), 0, 3 * 16 * 4),
    "codes": (DigitDistance(), batch_by_batch_of_one, (84,), (1, 10), 840, 840),
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_layer_costs_what_all_its_inputs_of_one_image_cost(name):
    layer, way, shape, given, multiply_adds, connections = COUNTED[name]
    account = count(Through(layer, way), shape)
    (row,) = account.rows
    assert (row.multiply_adds, row.connections, row.output_shape) == (multiply_adds, connections, given)
    assert row.parameters == sum(p.numel() for p in layer.parameters())
    assert not [why for why in account.not_counted if why.startswith("layer")]


def test_a_layer_called_twice_an_image_has_two_rows():
    account = count(Through(nn.Linear(6, 6), twice_by_image), (6,))
    assert [(row.name, row.parameters, row.multiply_adds) for row in account.rows] == [
        ("layer", 42, 36),
        ("layer", 0, 36),
    ]


class Odd(nn.Module):
    """A layer on a constant, one on all pairs of images, one on one more, one as often as it likes."""

    def __init__(self):
        super().__init__()
        self.constant, self.pairs, self.more = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.often, self.free = nn.Linear(4, 4), nn.Tanh()

    def forward(self, x):
        n = len(x)
        self.constant(x.new_zeros(3, 4))
        self.free(x.new_zeros(3, 4))
        self.pairs(x[:, None].expand(n, n, 4))
        self.more(torch.cat([x[:1], x]))
        for _ in range(n - 1):
            self.often(x)
        return x


def test_what_is_no_image_s_is_named_and_not_counted():
    account = count(Odd(), (4,))
    kinds = [why for why in account.not_counted if "outside of any layer" not in why]
    assert kinds == [
        "constant, a Linear: no part that is one image's, since (3, 4) comes of 2 images and (3, 4) of 4",
        "pairs, a Linear: no part that is one image's, since (2, 2, 4) comes of 2 images and (4, 4, 4) of 4",
        "more, a Linear: no part that is one image's, since (3, 4) comes of 2 images and (5, 4) of 4",
        "often, a Linear: no part that is one image's, since for 2 images it is called 1 and for 4 images 3 times",
    ]
    assert (account.parameters, account.multiply_adds) == (80, 0)
    assert [row.multiply_adds for row in account.rows] == [None, 0, None, None, None]


def test_a_layer_that_folds_between_its_input_and_its_output_is_named_unless_it_is_free():
    class Fold(nn.Linear):
        def forward(self, x):
            return super().forward(x.reshape(-1, 2))

    cost.register(Fold, cost.dispatch(nn.Linear))
    (why,) = count(Fold(2, 3), (4,)).not_counted
    assert why == "Fold, a Fold: no part that is one image's, since 1 of its inputs and 2 of its outputs belong to one"
    account = count(nn.Flatten(0), (2, 3))
    assert (account.rows[0].output_shape, account.connections, account.not_counted) == ((6,), 0, ())


def test_a_rule_of_ones_own_is_asked_for_one_input():
    class Mine(nn.Module):
        def forward(self, x):
            return x[:, :2]

    asked = []
    cost.register(Mine, lambda layer, taken, given: asked.append((taken, given)) or (5, 7))
    row = count(Through(Mine(), patches), (1, 8, 8)).rows[0]
    assert (asked, row.connections, row.multiply_adds) == ([((16,), (2,))], 20, 28)


def test_ordinary_networks_have_one_input_an_image():
    assert {row.name: row.output_shape for row in count(LeNet5()).rows}["c1"] == (6, 28, 28)
