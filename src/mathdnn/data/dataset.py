"""Images with labels as frozen values, and MNIST or a folder of its format loaded and checked every time.

    images[i, r, c]   uint8, 0 = background .. 255 = ink        labels[i]   uint8, 0 .. 9

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition" (1998), section III-A.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.data.files import checked_path
from mathdnn.data.idx import read_idx
from mathdnn.errors import DataError, sentence

if TYPE_CHECKING:
    from jaxtyping import Shaped, UInt8

CLASSES = 10
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of the unpacked MNIST files. It guards against damage and mix-ups, not against malice."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels: at least one of each, equally many, labels 0 to 9. Raises `DataError` otherwise."""

    images: UInt8[np.ndarray, "n h w"]
    labels: UInt8[np.ndarray, "n"]

    def __post_init__(self) -> None:
        check_images(self.images, "Split(images=...)")
        check_labels(self.labels, "Split(labels=...)")
        if len(self.images) != len(self.labels):
            got = f"{len(self.images)} images and {len(self.labels)} labels"
            raise DataError(sentence("Split(images, labels)", "one label an image", got, "give equally many"))

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split of equally large images; `digest` is the SHA-256 of their contents."""

    name: str
    train: Split
    test: Split
    digest: str


def load_mnist(root: str | os.PathLike[str] | None = None) -> Dataset:
    """MNIST as it is shipped with mathdnn (its MD5 checked), or the four files of that format in the folder `root`.

    The files are named as MNIST's, `train-images-idx3-ubyte` or `train-images.idx3-ubyte` and so on, plain or with
    `.gz` (which is taken first, since it carries a checksum). 60,000 + 10,000 images of 28 x 28 for MNIST.
    Raises `DataError` for a file that is missing, damaged, swapped with another or does not fit the others, and
    `InvalidInput` for a `root` that is no path.
    """
    if root is None:
        with importlib.resources.as_file(importlib.resources.files("mathdnn.data") / "mnist") as folder:
            arrays = [_checked(read_idx(folder / f"{stem}.gz"), stem) for stem in FILES]
        return _dataset("MNIST", *arrays)
    folder = checked_path(root, "load_mnist(root=...)")
    paths = [_find(folder, stem) for stem in FILES]
    arrays = [read_idx(path) for path in paths]
    _check_files(paths, arrays)
    return _dataset(readable(folder.resolve().name) or "data", *arrays)


def readable(name: str) -> str:
    """`name` as text that can be written: a byte of a file name that is no UTF-8, such as ff, becomes \\udcff."""
    return name.encode("utf-8", "backslashreplace").decode()


def digest(*arrays: Shaped[np.ndarray, ...]) -> str:
    """SHA-256 over the dtype, shape and little-endian bytes of each array in turn, in hexadecimal."""
    state = hashlib.sha256()
    for array in arrays:
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        state.update(f"{little.dtype.str} {array.shape}\n".encode())
        state.update(little.reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def check_images(images: Shaped[np.ndarray, ...], who: str) -> None:
    """Raise `DataError` unless `images` is (n, h, w) uint8, none of them zero."""
    expected = "images: uint8 pixels, shape (n, h, w)"
    _check_array(images, who, expected)
    if images.dtype.kind == "f" and np.isnan(images).any():
        got = f"{int(np.isnan(images).sum())} NaN among {images.dtype} values"
        raise DataError(sentence(who, expected, got, "replace the NaN and scale the pixels to 0..255"))
    if images.ndim == 1 and images.dtype == np.uint8:
        raise DataError(sentence(who, expected, f"shape {images.shape}, as labels have", "swap the two"))
    if images.dtype != np.uint8 or images.ndim != 3 or 0 in images.shape:
        got = f"{images.dtype}, shape {images.shape}"
        raise DataError(sentence(who, expected, got, "give at least one grey image with pixels 0..255"))


def check_labels(labels: Shaped[np.ndarray, ...], who: str) -> None:
    """Raise `DataError` unless `labels` is (n,) uint8 with values 0 to 9."""
    expected = "labels: uint8, shape (n,)"
    _check_array(labels, who, expected)
    if labels.ndim == 3:
        raise DataError(sentence(who, expected, f"shape {labels.shape}, as images have", "swap the two"))
    if labels.dtype != np.uint8 or labels.ndim != 1 or not labels.size:
        got = f"{labels.dtype}, shape {labels.shape}"
        raise DataError(sentence(who, expected, got, "give one whole number an image"))
    if labels.max() >= CLASSES:
        where = int(np.argmax(labels >= CLASSES))
        got = f"label {labels[where]} at position {where}"
        raise DataError(sentence(who, f"labels from 0 to {CLASSES - 1}", got, "relabel or leave these images out"))


def _check_array(values: Any, who: str, expected: str) -> None:
    if not isinstance(values, np.ndarray):
        do = "make it an array of NumPy: np.array(..., dtype=np.uint8)"
        raise DataError(sentence(who, expected, f"a {type(values).__name__}", do))


def _checked(array: Shaped[np.ndarray, ...], stem: str) -> Shaped[np.ndarray, ...]:
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    state = hashlib.md5(header, usedforsecurity=False)
    state.update(array.reshape(-1).data)
    if state.hexdigest() != MD5[stem]:
        got = f"MD5 {state.hexdigest()}"
        raise DataError(sentence(f"load_mnist() of {stem}", f"MD5 {MD5[stem]}", got, "install mathdnn again"))
    return array


def _find(folder: Path, stem: str) -> Path:
    dotted = stem.replace("-idx", ".idx")
    names = [f"{stem}.gz", f"{dotted}.gz", stem, dotted]
    for name in names:
        if os.path.lexists(folder / name):
            return folder / name
    who = f"load_mnist(root={os.fspath(folder)})"
    if not folder.is_dir():
        got = "something that is not a folder" if os.path.lexists(folder) else "no folder of that name"
        raise DataError(sentence(who, "a folder with four IDX files", got, "check the path"))
    raise DataError(sentence(who, f"one of the files {', '.join(names)}", "none of them", "put the file there"))


def _check_files(paths: list[Path], arrays: list[Shaped[np.ndarray, ...]]) -> None:
    for path, array, check in zip(paths, arrays, [check_images, check_labels] * 2, strict=True):
        check(array, f"load_mnist() of {path}")
    for first in (0, 2):
        if len(arrays[first]) != len(arrays[first + 1]):
            expected = f"{len(arrays[first])} labels, one an image of {paths[first].name}"
            got = f"{len(arrays[first + 1])}"
            do = "take both files from the same data set"
            raise DataError(sentence(f"load_mnist() of {paths[first + 1]}", expected, got, do))
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        expected = "images of {} x {} pixels as in {}".format(*arrays[0].shape[1:], paths[0].name)
        got = "{} x {}".format(*arrays[2].shape[1:])
        do = "take both files from the same data set"
        raise DataError(sentence(f"load_mnist() of {paths[2]}", expected, got, do))


def _dataset(name: str, *arrays: Shaped[np.ndarray, ...]) -> Dataset:
    return Dataset(name, Split(*arrays[:2]), Split(*arrays[2:]), digest(*arrays))
