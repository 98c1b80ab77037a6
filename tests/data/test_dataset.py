"""MNIST and folders of its format: loaded whole and checked, or refused in one sentence."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from mathdnn.data import Split, digest, load_mnist, read_idx, write_idx
from mathdnn.data import dataset as module
from mathdnn.data.digit_image import read_digit
from mathdnn.errors import DataError, InvalidInput

DIGEST = "b24b06c7f82492e214276c2737bd1c19b067ff2fe97fe31e21e38ce0cb76fc42"
STEMS = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


@pytest.fixture
def contents(rng):
    def images(n):
        return rng.integers(0, 256, (n, 4, 5), dtype=np.uint8)

    def labels(n):
        return rng.integers(0, 10, n, dtype=np.uint8)

    return {STEMS[0]: images(7), STEMS[1]: labels(7), STEMS[2]: images(3), STEMS[3]: labels(3)}


def fill(folder, contents, rename=str):
    for stem, array in contents.items():
        write_idx(folder / rename(stem), array)


@pytest.mark.parametrize(("call", "who"), [
    (load_mnist, "load_mnist(root=...)"),
    (read_idx, "read_idx(path)"),
    (lambda path: write_idx(path, np.zeros(3, np.uint8)), "write_idx(path)"),
    (read_digit, "read_digit(path)"),
])  # fmt: skip
@pytest.mark.parametrize(("path", "got"), [(3, "a int"), (b"mnist", "a bytes"), (2.5, "a float"), (["a"], "a list")])
def test_what_is_no_path_is_one_sentence(call, who, path, got):
    words = f"{who}: expected a path: text or a Path, got {got}; write it as text."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        call(path)


def test_the_embedded_mnist():
    data = load_mnist()
    assert data.name == "MNIST"
    assert data.train.images.shape == (60_000, 28, 28)
    assert data.test.images.shape == (10_000, 28, 28)
    assert np.bincount(data.train.labels)[[4, 9]].tolist() == [5842, 5949]
    assert np.bincount(data.test.labels)[[4, 9]].tolist() == [982, 1009]
    assert data.digest == DIGEST


def test_a_damaged_embedded_file_is_noticed(monkeypatch):
    monkeypatch.setattr(module, "read_idx", lambda path: np.zeros((2, 2), np.uint8))
    found = hashlib.md5(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0]), usedforsecurity=False).hexdigest()
    with pytest.raises(DataError, match=r"^load_mnist") as caught:
        load_mnist()
    assert str(caught.value) == (
        "load_mnist() of train-images-idx3-ubyte: expected MD5 6bbc9ace898e44ae57da46a324031adb, "
        f"got MD5 {found}; install mathdnn again."
    )


@pytest.mark.parametrize(
    "rename",
    [
        str,
        lambda stem: f"{stem}.gz",
        lambda stem: stem.replace("-idx", ".idx"),
        lambda stem: stem.replace("-idx", ".idx") + ".gz",
    ],
    ids=["plain", "gz", "dotted", "dotted gz"],
)
def test_a_folder_under_each_naming(rename, tmp_path, contents):
    fill(tmp_path, contents, rename)
    data = load_mnist(tmp_path)
    assert data.name == tmp_path.name
    for found, stem in zip(
        [data.train.images, data.train.labels, data.test.images, data.test.labels], STEMS, strict=True
    ):
        assert (found == contents[stem]).all()
    assert data.digest == digest(*contents.values())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_whose_name_is_no_text_is_called_by_one_that_can_be_written(tmp_path, contents):
    folder = tmp_path / os.fsdecode(b"d\xff")
    folder.mkdir()
    fill(folder, contents)
    assert load_mnist(folder).name == "d\\udcff"
    assert load_mnist(folder).name.encode() == b"d\\udcff"


def test_the_packed_file_is_taken_where_both_lie(tmp_path, contents):
    fill(tmp_path, contents, lambda stem: f"{stem}.gz")
    (tmp_path / STEMS[0]).write_bytes(b"left over")
    assert len(load_mnist(tmp_path).train) == 7


def bad(stem, change):
    """One file changed: what the folder then lacks or holds too much."""
    return lambda contents: contents.update({stem: change(contents[stem])})


def swap(first, second):
    return lambda contents: contents.update({first: contents[second], second: contents[first]})


NAN = np.array([[[0.5, np.nan], [np.nan, 1.0]]], "float32")
REFUSED = {
    "missing": (
        lambda contents: contents.pop(STEMS[1]),
        (
            "load_mnist(root={root}): expected one of the files train-labels-idx1-ubyte.gz, "
            "train-labels.idx1-ubyte.gz, train-labels-idx1-ubyte, "
            "train-labels.idx1-ubyte, got none of them; put the file there."
        ),
    ),
    "images for labels": (
        swap(STEMS[0], STEMS[1]),
        (
            "load_mnist() of {root}/train-images-idx3-ubyte: expected images: uint8 pixels, shape (n, h, w), "
            "got shape (7,), as labels have; swap the two."
        ),
    ),
    "labels are images": (
        lambda contents: contents.update({STEMS[3]: contents[STEMS[2]]}),
        (
            "load_mnist() of {root}/t10k-labels-idx1-ubyte: expected labels: uint8, shape (n,), "
            "got shape (3, 4, 5), as images have; swap the two."
        ),
    ),
    "label out of range": (
        bad(STEMS[3], lambda labels: np.array([1, 10, 2], np.uint8)),
        (
            "load_mnist() of {root}/t10k-labels-idx1-ubyte: expected labels from 0 to 9, got label 10 at position 1; "
            "relabel or leave these images out."
        ),
    ),
    "label count": (
        bad(STEMS[1], lambda labels: labels[:-1]),
        (
            "load_mnist() of {root}/train-labels-idx1-ubyte: expected 7 labels, one an image of "
            "train-images-idx3-ubyte, got 6; take both files from the same data set."
        ),
    ),
    "image size": (
        bad(STEMS[2], lambda images: images[:, :, :4]),
        (
            "load_mnist() of {root}/t10k-images-idx3-ubyte: expected images of 4 x 5 pixels as in "
            "train-images-idx3-ubyte, got 4 x 4; take both files from the same data set."
        ),
    ),
    "NaN": (
        bad(STEMS[0], lambda images: NAN),
        (
            "load_mnist() of {root}/train-images-idx3-ubyte: expected images: uint8 pixels, shape (n, h, w), "
            "got 2 NaN among float32 values; replace the NaN and scale the pixels to 0..255."
        ),
    ),
    "signed pixels": (
        bad(STEMS[0], lambda images: images.astype("int16")),
        (
            "load_mnist() of {root}/train-images-idx3-ubyte: expected images: uint8 pixels, shape (n, h, w), "
            "got int16, shape (7, 4, 5); give at least one grey image with pixels 0..255."
        ),
    ),
    "colour": (
        bad(STEMS[0], lambda images: images[..., None]),
        (
            "load_mnist() of {root}/train-images-idx3-ubyte: expected images: uint8 pixels, shape (n, h, w), "
            "got uint8, shape (7, 4, 5, 1); give at least one grey image with pixels 0..255."
        ),
    ),
    "no image": (
        bad(STEMS[2], lambda images: images[:0]),
        (
            "load_mnist() of {root}/t10k-images-idx3-ubyte: expected images: uint8 pixels, shape (n, h, w), "
            "got uint8, shape (0, 4, 5); give at least one grey image with pixels 0..255."
        ),
    ),
    "wide labels": (
        bad(STEMS[1], lambda labels: labels.astype("int32")),
        (
            "load_mnist() of {root}/train-labels-idx1-ubyte: expected labels: uint8, shape (n,), "
            "got int32, shape (7,); give one whole number an image."
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_bad_folder_has_its_sentence(name, tmp_path, contents):
    change, words = REFUSED[name]
    change(contents)
    fill(tmp_path, contents)
    with pytest.raises(DataError, match=r"^load_mnist") as caught:
        load_mnist(tmp_path)
    assert str(caught.value) == words.format(root=tmp_path)


def test_a_folder_that_is_none_has_its_sentence(tmp_path):
    (tmp_path / "file").touch()
    for name, got in {"none": "no folder of that name", "file": "something that is not a folder"}.items():
        with pytest.raises(DataError, match=r"^load_mnist") as caught:
            load_mnist(tmp_path / name)
        assert str(caught.value) == (
            f"load_mnist(root={tmp_path / name}): expected a folder with four IDX files, got {got}; check the path."
        )


def test_a_damaged_file_names_itself(tmp_path, contents):
    fill(tmp_path, contents)
    path = tmp_path / f"{STEMS[2]}.gz"
    path.write_bytes(gzip.compress((tmp_path / STEMS[2]).read_bytes())[:-1])
    with pytest.raises(DataError, match=r"^read_idx") as caught:
        load_mnist(tmp_path)
    assert str(caught.value) == (
        f"read_idx({path}): expected a complete gzip file, got one that is cut off; get the file again."
    )


def test_a_split_checks_its_own(contents):
    with pytest.raises(
        DataError, match=r"^Split\(images, labels\): expected one label an image, got 7 images and 3 la"
    ):
        Split(contents[STEMS[0]], contents[STEMS[3]])


@pytest.mark.parametrize("swap", [False, True])
def test_lists_are_no_split(swap, contents):
    images, labels = contents[STEMS[0]], contents[STEMS[1]]
    who, expected = ("labels", r"uint8, shape \(n,\)") if swap else ("images", r"uint8 pixels, shape \(n, h, w\)")
    words = rf"^Split\({who}=...\): expected {who}: {expected}, got a list; make it an array of NumPy"
    with pytest.raises(DataError, match=words):
        Split(images, labels.tolist()) if swap else Split(images.tolist(), labels)


def test_the_digest_tells_contents_shapes_and_types_apart(contents):
    image = contents[STEMS[0]]
    others = [image[::-1], image.reshape(7, 5, 4), image.view(np.int8), image[:6], image.astype("int16")]
    digests = {digest(image), *(digest(other) for other in others), digest(image, image), digest()}
    assert len(digests) == len(others) + 3
    assert digest(image.astype(">i2")) == digest(image.astype("<i2"))
    assert digest(np.asfortranarray(image)) == digest(image)


def test_the_room_loads_neither_torch_nor_scipy():
    code = (
        "import sys, mathdnn.data; mathdnn.data.load_mnist(); print({'torch', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout == "set()\n"
