"""A picture of one digit, made into what MNIST's images are.

    g[r, c]    grey of the picture, 0..255                b    its background: the median of the outermost pixels
    ink        |g - b| on the side of b (lighter or darker) that lies farther from it, scaled to 0..1
    box        the rows and columns with ink above `EDGE`, scaled to fit 20 x 20, aspect kept, averaged as it shrinks
    field      28 x 28; the box is placed so that the centre of mass of its ink falls on the field's centre

Source: LeCun, Bottou, Bengio, Haffner (1998), section III-A. Their scaling began from bilevel images.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mathdnn.data.files import checked_path, open_regular
from mathdnn.errors import DataError, sentence

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

BOX, FIELD = 20, 28
MAX_PIXELS = 50_000_000  # a large telephone camera's; as much again in memory for each of a few copies
CONTRAST = 16.0  # heuristic: of 255; flat JPEGs were seen to vary by 5, a pencil on paper by 60
# heuristic: JPEG ringing beside a black stroke stays under a tenth of its depth; of the edges 0.05 to 0.25, 0.15 brings
# enlarged MNIST digits back nearest to themselves (and so does averaging, of three ways to shrink)
EDGE, FLOOR = 0.15, 0.1
TAIL = 65_536  # bytes searched for the end of a PNG; some programs write a little behind it
_DO = "give a PNG or JPEG of one digit"


def read_digit(path: str | os.PathLike[str]) -> UInt8[np.ndarray, "28 28"]:
    """Read a PNG or JPEG of a digit (any size, any mode, dark on light or light on dark) as an image like MNIST's.

    Returns 28 x 28 pixels, 0 background .. 255 ink. Raises `DataError` for what is no such picture: not an image,
    another format, truncated, more than 50 million pixels, all of one colour.
    """
    checked_path(path, "read_digit(path)")
    who = f"read_digit({os.fspath(path)})"
    return place(crop(ink(read_grey(path, who), who)))


def read_grey(path: str | os.PathLike[str], who: str) -> Float[np.ndarray, "h w"]:
    """The picture in shades 0..255, upright; where parts are transparent, on the ground its ink stands out from."""
    import struct
    import zlib

    from PIL import Image, ImageOps, UnidentifiedImageError

    with open_regular(path, who) as file, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as picture:
                _check_size(picture.size, who)
                grey = _grey(ImageOps.exif_transpose(picture))
                _check_end(picture.format, file, who)
                return grey
        except DataError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_large("a header that declares several times as many", who) from None
        except UnidentifiedImageError:
            got = "an empty file" if os.fstat(file.fileno()).st_size == 0 else "another kind of file, or a damaged one"
            raise DataError(sentence(who, "a PNG or JPEG image", got, _DO)) from None
        except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
            got = f"a damaged one ({str(error).rstrip('.')})"
            raise DataError(sentence(who, "a whole PNG or JPEG image", got, "get the file again")) from None


def ink(grey: Float[np.ndarray, "h w"], who: str) -> Float[np.ndarray, "h w"]:
    """How much ink lies on each pixel, 0..1. Raises `DataError` where nothing stands out."""
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    background = float(np.median(border))
    lighter, darker = float(grey.max()) - background, background - float(grey.min())
    contrast = max(lighter, darker)
    if contrast < CONTRAST:
        got = f"shades that differ by {contrast:.0f} from the border's"
        raise DataError(sentence(who, f"a digit that stands out by at least {CONTRAST:.0f} of 255 shades", got, _DO))
    depth = np.clip((grey - background) / (lighter if lighter > darker else -darker), 0.0, 1.0)
    return np.where(depth < FLOOR, 0.0, depth)


def crop(depth: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "a b"]:
    """The part with ink, fitted into 20 x 20 with its aspect kept; the deepest pixel is 1."""
    from PIL import Image

    rows, columns = np.flatnonzero((depth > EDGE).any(axis=1)), np.flatnonzero((depth > EDGE).any(axis=0))
    part = depth[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(part.shape)
    height, width = (max(1, round(side * scale)) for side in part.shape)
    way = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    picture = Image.fromarray(np.ascontiguousarray(part, dtype=np.float32))
    fitted: np.ndarray = np.asarray(picture.resize((width, height), way), dtype=np.float64)
    deepest: float = fitted.max()
    return fitted / deepest


def place(part: Float[np.ndarray, "a b"]) -> UInt8[np.ndarray, "28 28"]:
    """The part in a field of 28 x 28, its centre of mass as near to the field's centre as whole pixels allow."""
    field = np.zeros((FIELD, FIELD))
    mass = part.sum()
    spots = []
    for axis, side in enumerate(part.shape):
        centre = float((part.sum(axis=1 - axis) * np.arange(side)).sum() / mass)
        spots.append(min(max(round(FIELD / 2 - centre), 0), FIELD - side))
    field[spots[0] : spots[0] + part.shape[0], spots[1] : spots[1] + part.shape[1]] = part
    return np.asarray(np.rint(255 * field), dtype=np.uint8)


def _check_size(size: tuple[int, int], who: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise _too_large(f"{size[0]} x {size[1]}", who)


def _check_end(kind: str | None, file: BinaryIO, who: str) -> None:
    """A PNG ends in a chunk of its own; the decoder stops reading once it has the last pixel."""
    file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
    if kind == "PNG" and b"IEND\xae\x42\x60\x82" not in file.read():
        raise DataError(sentence(who, "a whole PNG or JPEG image", "a PNG without its end", "get the file again"))


def _too_large(got: str, who: str) -> DataError:
    return DataError(sentence(who, f"at most {MAX_PIXELS:,} pixels", got, "make the picture smaller"))


def _grey(picture: Any) -> Float[np.ndarray, "h w"]:
    if picture.mode.startswith("I"):  # 16 bits a pixel
        return np.asarray(picture, dtype=np.float64) / 257
    if picture.mode == "F":
        return np.asarray(picture, dtype=np.float64)
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return np.asarray(picture.convert("L"), dtype=np.float64)
    both = np.asarray(picture.convert("RGBA").convert("LA"), dtype=np.float64)
    grey, opacity = both[..., 0], both[..., 1] / 255
    if not opacity.any():
        return np.zeros_like(grey)
    ground = 255.0 if (grey * opacity).sum() / opacity.sum() < 128 else 0.0
    return opacity * grey + (1 - opacity) * ground
