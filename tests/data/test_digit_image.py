"""Pictures of digits become what MNIST's images are, whatever their size, mode and colours."""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from mathdnn.data import load_mnist
from mathdnn.data.digit_image import MAX_PIXELS, read_digit
from mathdnn.errors import DataError


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_mnist().test.images[:40]


def enlarged(digit: np.ndarray, times: int = 8) -> np.ndarray:
    return np.asarray(Image.fromarray(digit).resize((28 * times, 28 * times), Image.Resampling.BICUBIC))


def centre(image: np.ndarray) -> np.ndarray:
    where = np.indices(image.shape).reshape(2, -1)
    return (where * image.reshape(1, -1)).sum(axis=1) / image.sum()


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """The mean difference over the ink."""
    return float(np.abs(first.astype(float) - second).sum() / second.sum())


def save(picture: Image.Image, path, **more):
    picture.save(path, **more)
    return path


def test_a_digit_of_mnist_enlarged_comes_back(digits, tmp_path):
    far = [apart(read_digit(save(Image.fromarray(enlarged(digit)), tmp_path / "d.png")), digit) for digit in digits]
    assert np.median(far) < 0.2
    assert max(far) < 0.9  # a pixel's shift where the centre of mass lies between two


def test_the_box_is_twenty_and_the_mass_is_central(digits, tmp_path):
    for digit in digits:
        found = read_digit(save(Image.fromarray(enlarged(digit, 5)), tmp_path / "d.png"))
        rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
        assert found.max() == 255
        assert np.abs(centre(found) - 14).max() <= 0.51


def modes(grey: np.ndarray) -> dict[str, Image.Image]:
    """One digit, dark on light, in every mode that a picture comes in."""
    dark = Image.fromarray(255 - grey)
    ink = Image.merge("LA", (Image.new("L", dark.size, 0), Image.fromarray(grey)))
    return {
        "L": dark,
        "light on dark": Image.fromarray(grey),
        "RGB": dark.convert("RGB"),
        "palette": dark.quantize(16),
        "one bit": dark.convert("1"),
        "16 bit": Image.fromarray((255 - grey).astype(np.uint16) * 257),
        "black on nothing": ink,
        "RGBA": ink.convert("RGBA"),
        "white on nothing": Image.merge("LA", (Image.new("L", dark.size, 255), Image.fromarray(grey))),
        "blue on yellow": Image.composite(
            Image.new("RGB", dark.size, (20, 30, 160)),
            Image.new("RGB", dark.size, (250, 240, 150)),
            Image.fromarray(grey),
        ),
    }


@pytest.mark.parametrize("mode", modes(np.zeros((28, 28), np.uint8)))
def test_every_mode_says_the_same(digits, tmp_path, mode):
    grey = enlarged(digits[0])
    found = read_digit(save(modes(grey)[mode], tmp_path / "d.png"))
    assert apart(found, digits[0]) < (0.4 if mode == "one bit" else 0.2)


def test_a_jpeg_with_noise_and_a_wide_margin(digits, tmp_path, rng):
    page = np.full((600, 900), 235.0)
    page[200:424, 500:724] -= 0.8 * enlarged(digits[0])
    page += rng.normal(0, 3, page.shape)
    path = save(Image.fromarray(page.clip(0, 255).astype(np.uint8)), tmp_path / "d.jpg", quality=60)
    assert apart(read_digit(path), digits[0]) < 0.3


def test_a_photograph_lying_on_its_side_is_turned(digits, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right to see it upright
    picture = Image.fromarray(255 - enlarged(digits[0])).rotate(90)
    assert apart(read_digit(save(picture, tmp_path / "d.jpg", quality=95, exif=exif)), digits[0]) < 0.25


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (3, 3), (2000, 40)])
def test_lines_and_dots_fit_too(tmp_path, shape):
    page = np.zeros((shape[0] + 20, shape[1] + 20), np.uint8)
    page[10:-10, 10:-10] = 255
    found = read_digit(save(Image.fromarray(page), tmp_path / "d.png"))
    assert found.shape == (28, 28)
    assert found.max() == 255


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header declares `width` x `height` pixels that are not there."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 100))]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def whole(tmp_path) -> bytes:
    rows = np.add.outer(np.arange(90), np.arange(90)).astype(np.uint8)
    return save(Image.fromarray(rows), tmp_path / "whole.png").read_bytes()


DO = "give a PNG or JPEG of one digit."
BAD = {
    "empty": (b"", f"expected a PNG or JPEG image, got an empty file; {DO}"),
    "text": (b"seven", f"expected a PNG or JPEG image, got another kind of file, or a damaged one; {DO}"),
    "huge": (bomb(8000, 8000), f"expected at most {MAX_PIXELS:,} pixels, got 8000 x 8000; make the picture smaller."),
    "bomb": (
        bomb(60000, 60000),
        (
            f"expected at most {MAX_PIXELS:,} pixels, got a header that declares several times as many; "
            "make the picture smaller."
        ),
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_picture_is_refused(tmp_path, kind):
    content, sentence = BAD[kind]
    path = tmp_path / "d.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match="expected") as error:
        read_digit(path)
    assert str(error.value) == f"read_digit({path}): {sentence}"


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.99])
def test_a_truncated_picture_is_refused(tmp_path, share):
    content = whole(tmp_path)
    path = tmp_path / "d.png"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        DataError, match=r"expected a whole PNG or JPEG image, got (a damaged one \(.*\)|a PNG without its end); get"
    ):
        read_digit(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
def test_a_picture_of_one_colour_is_refused(tmp_path, mode):
    path = save(Image.new(mode, (50, 40)), tmp_path / "d.png")
    expected = (
        "expected a digit that stands out by at least 16 of 255 shades, got shades that differ by 0 from the border's"
    )
    with pytest.raises(DataError, match="stands out") as error:
        read_digit(path)
    assert str(error.value) == f"read_digit({path}): {expected}; {DO}"


def test_another_format_is_refused(tmp_path):
    path = save(Image.new("L", (50, 40)), tmp_path / "d.bmp")
    with pytest.raises(DataError, match="got another kind of file, or a damaged one"):
        read_digit(path)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="expected a regular file, got a folder"):
        read_digit(tmp_path)
    with pytest.raises(DataError, match="expected a file, got none of that name"):
        read_digit(tmp_path / "nothing.png")


def test_mutated_pictures_are_refused_or_read(tmp_path, rng):
    content = whole(tmp_path)
    path = tmp_path / "d.png"
    for _ in range(150):
        changed = bytearray(content)
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(DataError):
                assert read_digit(path).shape == (28, 28)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_truncated_jpeg_is_refused(tmp_path, share, rng):
    path = save(Image.fromarray(rng.integers(0, 255, (90, 90)).astype(np.uint8)), tmp_path / "d.jpg")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"got a damaged one \(image file is truncated .*\); get the file again\.$"):
        read_digit(path)
