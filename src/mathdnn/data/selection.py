"""Parts of a data set: two labels as a margin problem, and a validation split that never touches the test split.

    z_i, y_i        pixels / 255 in [0, 1], flattened;  y_i = -1 for the negative label, +1 for the positive one
    v_c             validation images of class c: v * n_c / n, rounded by largest remainders (Hamilton's method)

Which images of a class are held out: those with the smallest keys, one raw 64-bit output of PCG64(seed) an image. Only
a bit generator's raw stream is fixed across NumPy versions (NEP 19), so the split is the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.data.dataset import CLASSES, Dataset, Split, digest
from mathdnn.errors import DataError, InvalidInput, is_whole, sentence
from mathdnn.native.memory import aligned_rows

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Int64, UInt8


@dataclass(frozen=True, eq=False)
class ThreeWay:
    """A data set in three: `train` and `validation` share out the training images, `test` is untouched."""

    name: str
    train: Split
    validation: Split
    test: Split
    digest: str


def label_pair(
    split: Split, negative: int, positive: int
) -> tuple[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n"]]:
    """The images of two labels, in their order, as float32 rows in [0, 1], with labels -1 (negative) and +1 (positive).

    4 and 9 of MNIST's training split: 5,842 + 5,949 = 11,791 rows of 784. Each row begins with a cache line; images of
    28 x 28 fill theirs, so that the rows are contiguous. Raises `InvalidInput` for a label outside 0..9 or the same one
    twice, `DataError` where the split has no image of a label.
    """
    who = f"label_pair(negative={negative!r}, positive={positive!r})"
    _require(split, Split, "label_pair(split)", "pass data.train or data.test")
    known = all(is_whole(label) and 0 <= label < CLASSES for label in (negative, positive))
    if not known or negative == positive:
        raise InvalidInput(sentence(who, "two different labels from 0 to 9", "these", "choose others"))
    for label in (negative, positive):
        if not (split.labels == label).any():
            raise DataError(sentence(who, f"images of label {label}", "none in the split", "choose another label"))
    rows = np.flatnonzero((split.labels == negative) | (split.labels == positive))
    images = split.images[rows].reshape(len(rows), -1)
    scaled = np.arange(256, dtype=np.float32) / np.float32(255)
    numbers = np.take(scaled, images, out=aligned_rows(*images.shape), mode="clip")  # "raise" would write a copy first
    return numbers, np.where(split.labels[rows] == positive, np.float32(1), np.float32(-1))


def split_train_validation(dataset: Dataset, validation: int = 10_000, seed: int = 0) -> ThreeWay:
    """Hold `validation` training images out, each class in proportion; the same for the same seed, on every machine.

    Both parts keep the order of the data set. Raises `InvalidInput` unless 1 <= validation < n and seed >= 0, both of
    them whole numbers.
    """
    _require(dataset, Dataset, "split_train_validation(dataset)", "pass what load_mnist() gives")
    n = len(dataset.train)
    if not (is_whole(validation) and is_whole(seed)) or not 1 <= validation < n or seed < 0:
        who = f"split_train_validation(validation={validation!r}, seed={seed!r})"
        raise InvalidInput(
            sentence(who, f"1 to {n - 1} images and a whole seed of 0 or more", "these", "choose others")
        )
    held_out = _hold_out(dataset.train.labels, validation, seed)
    train, valid = _part(dataset.train, ~held_out), _part(dataset.train, held_out)
    test = dataset.test
    name = f"{dataset.name} ({validation} held out, seed {seed})"
    contents = digest(train.images, train.labels, valid.images, valid.labels, test.images, test.labels)
    return ThreeWay(name, train, valid, test, contents)


def _require(given: object, kind: type, who: str, do: str) -> None:
    if not isinstance(given, kind):
        raise InvalidInput(sentence(who, f"a {kind.__name__}", f"a {type(given).__name__}", do))


def _part(split: Split, rows: Bool[np.ndarray, "n"]) -> Split:
    return Split(split.images[rows], split.labels[rows])


def _hold_out(labels: UInt8[np.ndarray, "n"], validation: int, seed: int) -> Bool[np.ndarray, "n"]:
    keys = np.random.PCG64(seed).random_raw(len(labels))
    held_out = np.zeros(len(labels), dtype=bool)
    for label, count in enumerate(_shares(np.bincount(labels, minlength=CLASSES), validation)):
        rows = np.flatnonzero(labels == label)
        held_out[rows[np.argsort(keys[rows], kind="stable")[:count]]] = True
    return held_out


def _shares(counts: Int64[np.ndarray, "c"], total: int) -> Int64[np.ndarray, "c"]:
    """`total` shared out in proportion to `counts`: rounded down, then one more where the remainder is largest."""
    whole, remainder = np.divmod(counts * total, counts.sum())
    missing = total - int(whole.sum())
    whole[np.argsort(-remainder, kind="stable")[:missing]] += 1
    return whole
