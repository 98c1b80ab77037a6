"""A run goes on with the data it began with, whatever digest these bear."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from tests.training.cases import RECIPES, Stop, plain_net, stopping_at, tiny_data

from mathdnn.data import Dataset, Split, digest, split_train_validation
from mathdnn.errors import RunError
from mathdnn.training import train
from mathdnn.training.checks import data_digest


def dataset(n=70, seed=0, digest=""):
    data = tiny_data(n, seed=seed)
    return Dataset("tiny", *(Split(part.images, part.labels) for part in (data.train, data.test)), digest)


def begin(folder, data):
    with pytest.raises(Stop, match=r"^$"):
        train(plain_net(), data, RECIPES["plain"], run=folder, progress=stopping_at(2), report_steps=1)


def one_pixel_brighter(data):
    images = data.train.images.copy()
    images[-1, 0, 0] += 1
    return dataclasses.replace(data, train=Split(images, data.train.labels))


OTHERS = [
    (dataset(), dataset(seed=1)),
    (dataset(), dataset(n=40)),
    (dataset(), one_pixel_brighter(dataset())),
    (dataset(digest="of the loader"), one_pixel_brighter(dataset(digest="of the loader"))),
]


@pytest.mark.parametrize(("first", "other"), OTHERS, ids=["other", "fewer", "one pixel", "a copied digest"])
def test_a_run_does_not_go_on_with_other_data(tmp_path, first, other):
    begin(tmp_path / "run", first)
    with pytest.raises(
        RunError, match=r"^train\(run=.*\): expected the data the run began with, .*; resume with the s"
    ):
        train(plain_net(), other, RECIPES["plain"], run=tmp_path / "run", resume=True)


def test_a_run_goes_on_with_the_same_arrays_whatever_holds_them(tmp_path):
    begin(tmp_path / "run", dataset())
    run = train(plain_net(), tiny_data(), RECIPES["plain"], run=tmp_path / "run", resume=True)
    assert run.finished


def test_the_data_of_a_run_are_known_by_the_digest_of_the_loader():
    data = dataset()
    own = digest(data.train.images, data.train.labels, data.test.images, data.test.labels)
    assert data_digest(data.train, data.test) == own


def test_the_judged_split_counts_and_the_order_of_bytes_does_not():
    data = split_train_validation(dataset(), 10)
    assert data_digest(data.train, data.test) != data_digest(data.train, data.validation)
    labels = data.train.labels
    swapped, plain = (
        SimpleNamespace(train=SimpleNamespace(images=data.train.images, labels=labels.astype(kind)), test=data.test)
        for kind in (">i8", "<i8")
    )
    assert data_digest(swapped.train, swapped.test) == data_digest(plain.train, plain.test)
    assert np.array_equal(swapped.train.labels, plain.train.labels)
