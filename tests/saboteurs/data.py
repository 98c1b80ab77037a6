"""Wrong twins of the data room. Each says in its docstring which law must reject it."""

from __future__ import annotations

import gzip
import struct

import numpy as np

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def _bytes(path, unpack=gzip.decompress):
    raw = path.read_bytes()
    return unpack(raw) if raw[:2] == b"\x1f\x8b" else raw


def _array(raw, dtype=None, order="C", length=None):
    if len(raw) < 8 or raw[:2] != b"\0\0" or raw[2] not in TYPES or not 1 <= raw[3] <= 32:
        raise ValueError("magic")
    shape = struct.unpack_from(f">{raw[3]}I", raw, 4)
    values = np.frombuffer(raw[4 + 4 * raw[3] :], dtype or TYPES[raw[2]])
    count = int(np.prod(shape, dtype=object))
    if (len(values) != count) if length is None else (len(values) < count):
        raise ValueError("length")
    return values[:count].reshape(shape, order=order)


def read_little_endian(path):
    """Rejected by: reads what the oracle reads."""
    raw = _bytes(path)
    return _array(raw, TYPES.get(raw[2], "u1").replace(">", "<"))


def read_columns_first(path):
    """Rejected by: reads what the oracle reads."""
    return _array(_bytes(path), order="F")


def read_all_as_unsigned(path):
    """Rejected by: reads what the oracle reads."""
    raw = _bytes(path)
    return _array(raw, TYPES.get(raw[2], "u1").replace("i", "u"))


def read_with_trailing_bytes(path):
    """Rejected by: refuses what the oracle refuses."""
    return _array(_bytes(path), length="at least")


def read_several_members(path):
    """Rejected by: refuses what the oracle refuses (gzip.decompress joins members)."""
    return _array(_bytes(path))


def read_without_crc(path):
    """Rejected by: refuses what the oracle refuses."""
    import zlib

    return _array(_bytes(path, lambda raw: zlib.decompressobj(-15).decompress(raw[10:])))


def label_pair_swapped(split, negative, positive):
    """Rejected by: the first label is -1."""
    from mathdnn.data import label_pair

    pixels, labels = label_pair(split, negative, positive)
    return pixels, -labels


def label_pair_over_256(split, negative, positive):
    """Rejected by: full ink is exactly 1."""
    from mathdnn.data import label_pair

    pixels, labels = label_pair(split, negative, positive)
    return pixels * np.float32(255 / 256), labels


def label_pair_sorted(split, negative, positive):
    """Rejected by: the order of the data set is kept."""
    from mathdnn.data import label_pair

    pixels, labels = label_pair(split, negative, positive)
    order = np.argsort(labels, kind="stable")
    return pixels[order], labels[order]


def split_last(dataset, validation, seed):
    """Rejected by: each class in proportion (the last images, whatever their labels)."""
    from mathdnn.data import Split, ThreeWay

    train = dataset.train
    cut = len(train) - validation
    first, last = Split(train.images[:cut], train.labels[:cut]), Split(train.images[cut:], train.labels[cut:])
    return ThreeWay("last", first, last, dataset.test, "")


def split_from_test(dataset, validation, seed):
    """Rejected by: a choice never sees the test split."""
    from mathdnn.data import Split, ThreeWay, split_train_validation

    honest = split_train_validation(dataset, validation, seed)
    peek = Split(dataset.test.images[:validation], dataset.test.labels[:validation])
    return ThreeWay("peek", honest.train, peek, dataset.test, "")


def split_overlapping(dataset, validation, seed):
    """Rejected by: train and validation share out the training images."""
    from mathdnn.data import ThreeWay, split_train_validation

    honest = split_train_validation(dataset, validation, seed)
    return ThreeWay("all", dataset.train, honest.validation, dataset.test, "")
