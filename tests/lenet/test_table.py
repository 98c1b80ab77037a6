"""The connection table: Table I to the cell, two spellings, every refusal a whole sentence, JSON both ways."""

from __future__ import annotations

import re
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from tests.oracles.lenet import table_i

from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable


@st.composite
def tables(draw, most=13):
    channels = draw(st.integers(1, most))
    subset = st.sets(st.integers(0, channels - 1), min_size=1).map(tuple)
    return ConnectionTable(channels, tuple(draw(st.lists(subset, min_size=1, max_size=6))))


def test_table_i_is_the_papers():
    table = ConnectionTable.lenet()
    assert (table.mask() == table_i()).all()
    assert (table.in_channels, table.out_channels, len(table.edges)) == (6, 16, 60)
    assert table.fan_in == (3,) * 6 + (4,) * 9 + (6,)
    assert table.fan_out == (10,) * 6


def test_a_transposed_table_is_rejected():
    turned = ConnectionTable.from_mask(table_i().T)
    assert turned != ConnectionTable.lenet()
    assert turned.fan_out != (10,) * 6


@given(tables())
def test_edges_are_ordered_by_output_map_then_input_map(table):
    assert list(table.edges) == sorted(set(table.edges))
    assert {tuple(edge) for edge in np.argwhere(table.mask()).tolist()} == set(table.edges)


@given(tables())
def test_every_spelling_reads_back_the_same_table(table):
    commas = ";".join(",".join(map(str, inputs)) for inputs in table.maps) + ";"
    assert ConnectionTable.parse(commas, table.in_channels) == table
    assert ConnectionTable.from_json(table.to_json()) == table
    assert ConnectionTable.from_mask(table.mask()) == table
    assert hash(ConnectionTable(table.in_channels, [list(m)[::-1] for m in table.maps])) == hash(table)
    if table.in_channels <= 10:
        digits = " | ".join("".join(map(str, inputs)) for inputs in table.maps)
        assert ConnectionTable.parse(digits, table.in_channels) == table


@given(tables())
def test_fan_in_and_fan_out_are_the_sums_of_the_mask(table):
    assert table.fan_in == tuple(table.mask().sum(axis=1).tolist())
    assert table.fan_out == tuple(table.mask().sum(axis=0).tolist())


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_groups_are_recognised(groups, wide, high):
    table = ConnectionTable.grouped(groups * wide, groups * high, groups)
    assert table.groups == groups
    blocks = np.kron(np.eye(groups, dtype=bool), np.ones((high, wide), dtype=bool))
    assert (table.mask() == blocks).all()


@pytest.mark.parametrize("kind", [np.array, np.int64, np.uint8])
def test_a_seed_of_numpy_is_the_same_seed(kind):
    assert ConnectionTable.random(7, 5, 3, kind(3)) == ConnectionTable.random(7, 5, 3, 3)


def test_full_and_one_to_one():
    assert ConnectionTable.full(3, 2).mask().all()
    assert ConnectionTable.one_to_one(4).maps == ((0,), (1,), (2,), (3,))
    assert ConnectionTable.lenet().groups is None


def test_random_fan_in_comes_from_the_seed_alone_and_from_everywhere(seed):
    table = ConnectionTable.random(7, 500, 3, seed)
    assert table == ConnectionTable.random(7, 500, 3, np.random.default_rng(seed))
    assert table != ConnectionTable.random(7, 500, 3, seed + 1)
    assert set(table.fan_in) == {3}
    assert min(table.fan_out) > 150  # 500 * 3 / 7 = 214 expected, standard deviation 11


def test_it_says_what_it_is():
    assert ConnectionTable(3, ((0,), (0, 1))).describe() == (
        "3 input maps, 2 output maps, 3 of 6 edges.\n"
        "An output map reads 1 to 2 input maps; an input map feeds 0 to 2 output maps.\n"
        "Read by no output map: input 2.\n"
        "\n"
        "  0 1\n"
        "0 X X\n"
        "1 . X\n"
        "2 . ."
    )
    assert "Exactly 2 groups." in ConnectionTable.grouped(4, 2, 2).describe()


REFUSED = [
    (lambda: ConnectionTable(3, ()),
     ("ConnectionTable(maps=...): expected at least one output map, got an empty table; "
     "add an output map.")),
    (lambda: ConnectionTable(3, ((0,), ())),
     ("ConnectionTable(maps[1]): expected at least one input map, got an empty "
     "output map; list the input maps it reads.")),
    (lambda: ConnectionTable(3, ((0, 2, 0),)),
     ("ConnectionTable(maps[0]): expected each input map once, got 0 twice; "
     "name it once.")),
    (lambda: ConnectionTable(3, ((0, 3),)),
     ("ConnectionTable(maps[0]): expected input maps 0 to 2, got 3; correct the "
     "index or give more input maps.")),
    (lambda: ConnectionTable(3, ((-1,),)),
     ("ConnectionTable(maps[0]): expected input maps 0 to 2, got -1; correct the "
     "index or give more input maps.")),
    (lambda: ConnectionTable(3, ((0.5,),)),
     ("ConnectionTable(maps[0]): expected a whole number, got float 0.5; give an "
     "integer.")),
    (lambda: ConnectionTable(3, ((True,),)),
     ("ConnectionTable(maps[0]): expected a whole number, got bool True; give "
     "an integer.")),
    (lambda: ConnectionTable(0, ((0,),)),
     ("ConnectionTable(in_channels=...): expected at least one input map, got 0; "
     "give at least 1.")),
    (lambda: ConnectionTable(3, "012"),
     ("ConnectionTable(maps=...): expected lists of input maps, got text '012'; use "
     "ConnectionTable.parse.")),
    (lambda: ConnectionTable(3, (1, 2)),
     ("ConnectionTable(maps=...): expected a list of input maps for each output "
     "map, got (1, 2); nest it.")),
    (lambda: ConnectionTable.parse(" \n"),
     ("ConnectionTable.parse(text): expected at least one output map, got an "
     "empty table; add an output map.")),
    (lambda: ConnectionTable.parse("01 2x"),
     ("ConnectionTable.parse(text): expected whole numbers from 0, got 'x'; "
     'write maps as "012 123" or "0,1,12; 3".')),
    (lambda: ConnectionTable.parse("0,1;;2"),
     ("ConnectionTable(maps[1]): expected at least one input map, got an empty "
     "output map; list the input maps it reads.")),
    (lambda: ConnectionTable.parse("012", 2),
     ("ConnectionTable(maps[0]): expected input maps 0 to 1, got 2; correct "
     "the index or give more input maps.")),
    (lambda: ConnectionTable.from_mask([[1, 2]]),
     ("ConnectionTable.from_mask(matrix): expected only 0 and 1, got 2; "
     "write 1 for an edge and 0 for none.")),
    (lambda: ConnectionTable.from_mask([1, 0]),
     ("ConnectionTable.from_mask(matrix): expected a matrix of 0 and 1, "
     "output maps by input maps, got shape (2,) of int64; give two dimensions of numbers.")),
    (lambda: ConnectionTable.grouped(6, 4, 4),
     ("ConnectionTable.grouped(groups=...): expected a divisor of "
     "in_channels=6 and out_channels=4, got 4; choose a common divisor.")),
    (lambda: ConnectionTable.random(3, 4, 5, 0),
     ("ConnectionTable.random(fan_in=...): expected 1 to in_channels=3, "
     "got 5; choose a number in between.")),
    (lambda: ConnectionTable.random(3, 4, 2, -1),
     ("ConnectionTable.random(seed=...): expected a whole number from 0, "
     "got -1; give such a seed.")),
]  # fmt: skip


@pytest.mark.parametrize(("build", "said"), REFUSED, ids=[said[:60] for _, said in REFUSED])
def test_what_is_no_table_is_refused_in_one_sentence(build, said):
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        build()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", '{"in_channels":1,"maps":[[0]],"x":1}', '{"in_channels":1.5,"maps":[]}', b"\xff", "\ud800"),
        *(None, 3, ["a"]),
    ],
)
def test_what_is_no_json_table_is_refused(text):
    with pytest.raises(
        InvalidInput, match=r"^ConnectionTable.from_json\(text\): expected a table as to_json writes it"
    ):
        ConnectionTable.from_json(text)


def test_the_table_needs_no_torch():
    code = (
        "import sys; from mathdnn.lenet import ConnectionTable; ConnectionTable.lenet(); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_a_grid_that_nobody_can_read_is_refused():
    words = (
        "ConnectionTable.describe(): expected a grid of at most 10,000,000 places, got 10000000000000 x 1; "
        "read `maps` instead."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        ConnectionTable(10**13, [[0]]).describe()
