"""Label pairs and the validation split: laws that wrong twins do not pass."""

from __future__ import annotations

import numpy as np
import pytest
from tests.saboteurs import data as saboteurs

from mathdnn.data import Dataset, Split, digest, label_pair, load_mnist, split_train_validation
from mathdnn.errors import DataError, InvalidInput


@pytest.fixture
def split(rng):
    return Split(rng.integers(0, 256, (200, 3, 2), dtype=np.uint8), rng.integers(0, 10, 200, dtype=np.uint8))


@pytest.fixture
def dataset(rng, split):
    """Sorted by label, each image with its own number in its pixels, test images apart from training images."""
    train = Split(np.arange(1, 1201, dtype=np.uint16).view(np.uint8).reshape(1200, 1, 2), np.repeat(split.labels, 6))
    train = Split(train.images, np.sort(train.labels))
    test = Split(np.arange(5001, 5301, dtype=np.uint16).view(np.uint8).reshape(300, 1, 2), train.labels[:300])
    return Dataset("numbered", train, test, "")


def law_of_the_pair(pair, split):
    """Only the two labels, in the data set's order, -1 then +1, full ink exactly 1."""
    pixels, labels = pair(split, 4, 9)
    rows = [row for row in range(len(split)) if split.labels[row] in (4, 9)]
    assert pixels.dtype == labels.dtype == np.float32
    assert labels.tolist() == [-1.0 if split.labels[row] == 4 else 1.0 for row in rows]
    expected = [[np.float32(value) / np.float32(255) for value in split.images[row].ravel()] for row in rows]
    assert (pixels == np.array(expected, np.float32)).all()


def law_of_the_split(divide, dataset):
    """Train and validation share out the training images in order, each class in proportion; test is untouched."""
    parts = divide(dataset, 250, 3)
    numbers = [part.images.reshape(-1, 2).copy().view(np.uint16).ravel() for part in (parts.train, parts.validation)]
    assert sorted(np.concatenate(numbers).tolist()) == list(range(1, 1201))
    for part, number in zip((parts.train, parts.validation), numbers, strict=True):
        assert (np.diff(number.astype(int)) > 0).all()
        assert (part.labels == dataset.train.labels[number - 1]).all()
    assert parts.test is dataset.test
    held, whole = (np.bincount(split.labels, minlength=10) for split in (parts.validation, dataset.train))
    assert held.sum() == 250
    assert (abs(held - 250 * whole / 1200) < 1).all()


def test_the_pair(split):
    law_of_the_pair(label_pair, split)


@pytest.mark.parametrize("side", [3, 28])
def test_the_rows_of_a_pair_begin_where_the_kernels_read_them_fastest(side, split, rng):
    images = rng.integers(0, 256, (200, side, side), dtype=np.uint8)
    X, _ = label_pair(Split(images, split.labels), 4, 9)
    assert X.ctypes.data % 64 == X.strides[0] % 64 == 0
    assert X.flags.c_contiguous == (side == 28)


def test_the_split(dataset):
    law_of_the_split(split_train_validation, dataset)


@pytest.mark.parametrize(
    "twin", [saboteurs.label_pair_swapped, saboteurs.label_pair_over_256, saboteurs.label_pair_sorted]
)
def test_the_law_rejects_wrong_pairs(twin, split):
    with pytest.raises(AssertionError, match="assert"):
        law_of_the_pair(twin, split)


@pytest.mark.parametrize("twin", [saboteurs.split_last, saboteurs.split_from_test, saboteurs.split_overlapping])
def test_the_law_rejects_wrong_splits(twin, dataset):
    with pytest.raises(AssertionError, match="assert"):
        law_of_the_split(twin, dataset)


def test_four_against_nine():
    data = load_mnist()
    for split, negative, positive in ((data.train, 5842, 5949), (data.test, 982, 1009)):
        pixels, labels = label_pair(split, 4, 9)
        assert pixels.shape == (negative + positive, 784)
        assert (labels == -1).sum() == negative
        assert (labels == 1).sum() == positive
        assert (pixels.min(), pixels.max()) == (0, 1)


def test_the_same_split_on_every_machine():
    parts = split_train_validation(load_mnist())
    assert len(parts.train) == 50_000
    assert np.bincount(parts.validation.labels).tolist() == [987, 1124, 993, 1022, 974, 904, 986, 1044, 975, 991]
    golden = "02df94751deb661151a56a213773392a36caa4f03f0e638798b3b1801b32e0b4"
    assert digest(parts.validation.images, parts.validation.labels) == golden


def test_another_seed_is_another_split(dataset):
    one, same, other = (split_train_validation(dataset, 100, seed) for seed in (0, 0, 1))
    assert one.digest == same.digest
    assert one.digest != other.digest
    assert one.name == "numbered (100 held out, seed 0)"


@pytest.mark.parametrize(("negative", "positive"), [(4, 4), (-1, 3), (3, 10), ([4], 9), (4.5, 9), ("4", 9)])
def test_labels_that_make_no_pair(negative, positive, split):
    with pytest.raises(InvalidInput, match=r"^label_pair") as caught:
        label_pair(split, negative, positive)
    assert str(caught.value) == (
        f"label_pair(negative={negative!r}, positive={positive!r}): expected two different labels from 0 to 9, "
        "got these; choose others."
    )


def test_a_label_without_images():
    split = Split(np.zeros((2, 1, 1), np.uint8), np.array([4, 4], np.uint8))
    with pytest.raises(DataError, match=r"^label_pair") as caught:
        label_pair(split, 4, 9)
    assert str(caught.value) == (
        "label_pair(negative=4, positive=9): expected images of label 9, got none in the split; choose another label."
    )


@pytest.mark.parametrize(("validation", "split_seed"), [(0, 0), (1200, 0), (-5, 0), (10, -1), (5.5, 0), (10, 0.5)])
def test_splits_that_cannot_be(validation, split_seed, dataset):
    with pytest.raises(InvalidInput, match=r"^split_train_validation") as caught:
        split_train_validation(dataset, validation, split_seed)
    assert str(caught.value) == (
        f"split_train_validation(validation={validation}, seed={split_seed}): expected 1 to 1199 images "
        "and a whole seed of 0 or more, got these; choose others."
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda data: label_pair(data, 4, 9),
            r"label_pair\(split\): expected a Split, got a Dataset; pass data.train or",
        ),
        (
            lambda data: split_train_validation(data.train),
            r"split_train_validation\(dataset\): expected a Dataset, got a Split; pass what load_mnist\(\) gives",
        ),
    ],
)
def test_a_data_set_is_no_split(call, words, dataset):
    with pytest.raises(InvalidInput, match=words):
        call(dataset)
