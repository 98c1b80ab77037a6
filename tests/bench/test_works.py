"""A smoke run over every work: the arms compute the same thing, and the document says everything. No time is judged."""

from __future__ import annotations

import importlib.util
import json
import re

import numpy as np
import pytest
import torch

from mathdnn.bench import WORKS, operations, select
from mathdnn.bench.grid import AGAIN, GRID, OWN, PEER, figures, is_slower
from mathdnn.bench.peers import GroupedConvolution, MaskedConvolution, SeparateConvolutions
from mathdnn.bench.times import Times
from mathdnn.cli import main
from mathdnn.errors import InvalidInput
from mathdnn.lenet import ConnectionTable, LeNet5, TableConv2d, table_conv2d_literal

QUICK = [work.name for work in WORKS if work.name not in ("reproduce", "epochs")]
COMPARED = {"sgd": 6, "pairs": 2, "lenet": 6, "layer": 4, "grid": 6, "inference": 3}  # arms with a sample


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    out, picture = folder / "bench.json", folder / "roofline.svg"
    assert main(["bench", *QUICK, "--quick", "--out", str(out), "--picture", str(picture)]) == 0
    assert picture.read_text().count("<svg") == 1
    return json.loads(out.read_text())


def test_the_document_is_complete(document):
    assert document["complete"]
    assert [work["name"] for work in document["works"]] == QUICK == document["settings"]["works"]
    assert {"processor", "cores", "instruction_set"} <= document["machine"].keys()
    assert {"mathdnn", "torch", "numpy"} <= document["versions"].keys()
    for work in document["works"]:
        assert work["complete"]
        assert work["arms"]
        assert work["figures"]
        assert all(arm["raw"] for arm in work["arms"].values())
        assert all(figure["reached"] is None for figure in work["figures"])


@pytest.mark.parametrize(("name", "arms"), COMPARED.items())
def test_every_arm_computes_the_same(document, name, arms):
    work = next(work for work in document["works"] if work["name"] == name)
    missing = [left["name"] for left in work["left_out"] if "not installed" in left["why"]]
    assert len(work["agreement"]) == arms - len(missing)
    assert all(row["difference"] <= row["tolerance"] for row in work["agreement"])


def test_what_is_not_measured_is_named(document):
    left = {left["name"] for work in document["works"] for left in work["left_out"]}
    assert {"PyTorch, full, compiled", "PyTorch, 16 convolutions, compiled"} <= left
    for package, arm in (("jax", "JAX jit, full"), ("onnxruntime", "onnxruntime")):
        assert (arm in left) == (importlib.util.find_spec(package) is None)


def test_works_are_chosen_by_name():
    assert [work.name for work in select(["lenet", "sgd"])] == ["sgd", "lenet"]
    assert select([]) == WORKS
    words = f"bench(works): expected {', '.join(work.name for work in WORKS)}, got speed; name some of these."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        select(["sgd", "speed"])


@pytest.mark.parametrize("peer", [SeparateConvolutions, MaskedConvolution])
def test_peers_convolve_over_the_table(peer):
    layer = TableConv2d(ConnectionTable.lenet(), 5)
    x = torch.randn(3, 6, 14, 14, generator=torch.Generator().manual_seed(0))
    wanted = table_conv2d_literal(x, layer.weight, layer.bias, layer.table)
    torch.testing.assert_close(peer(layer)(x), wanted, rtol=0, atol=1e-5)


def test_a_masked_convolution_learns_nothing_off_the_table():
    layer = TableConv2d(ConnectionTable.lenet(), 5)
    masked = MaskedConvolution(layer)
    masked(torch.ones(1, 6, 14, 14)).square().sum().backward()
    assert np.array_equal(masked.weight.grad.abs().sum((2, 3)).numpy() != 0, layer.table.mask())


@pytest.mark.parametrize("option", ["--out", "--picture"])
def test_a_place_that_cannot_be_written_is_said_before_anything_is_measured(option, capsys):
    assert main(["bench", "pairs", option, "nowhere/file"]) == 2
    assert capsys.readouterr().err == (
        f"mathdnn: bench {option} nowhere/file: expected a file in a folder that may be written, "
        "got no folder nowhere; name another file.\n"
    )


def test_an_older_file_stays_until_there_is_something_to_write(tmp_path, monkeypatch, capsys):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("mathdnn.bench.measure", stop)
    out, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    out.write_text("older")
    picture.write_text("older")
    assert main(["bench", "pairs", "--out", str(out), "--picture", str(picture)]) == 130
    assert (out.read_text(), picture.read_text()) == ("older", "older")


def test_torchs_groups_convolve_over_a_table_that_is_groups():
    layer = TableConv2d(ConnectionTable.grouped(6, 4, 2), 3, stride=2, padding=1)
    x = torch.randn(2, 6, 7, 7, generator=torch.Generator().manual_seed(0))
    wanted = table_conv2d_literal(x, layer.weight, layer.bias, layer.table, 2, 1)
    torch.testing.assert_close(GroupedConvolution(layer)(x), wanted, rtol=0, atol=1e-5)


def test_a_size_is_slower_only_below_all_that_the_peer_comes_to_against_itself():
    peer, again = [1.0] * 11, [1.1, 0.9] * 5 + [1.0]
    for own, slower in ((0.5, False), (1.05, False), (2.0, True)):
        times = Times({OWN + "s": [own] * 11, PEER + "s": peer, AGAIN + "s": again})
        assert is_slower(times, "s") == slower
        assert figures(times)[0].value == slower


def test_the_grid_names_every_size_once_and_is_large():
    assert len({str(size) for size in GRID}) == len(GRID) >= 40


def test_a_steps_operations_leave_out_the_zeros_of_padding_and_the_images_gradient():
    c1 = torch.conv2d(torch.ones(1, 1, 28, 28), torch.ones(6, 1, 5, 5), padding=2).sum().item()
    for form, c3 in (("table", 60 * 25 * 100), ("full", 96 * 25 * 100)):
        rest = c3 + 400 * 120 + 120 * 84 + 84 * 10
        assert operations.forward(LeNet5(form)) == 2 * (c1 + rest)
        assert operations.step(LeNet5(form)) == 2 * (2 * c1 + 3 * rest)
