"""Small images as the page shows them: kernels as cells with their values, larger ones as PNG, pixel by pixel.

    t in [-1, 1]   a diverging value over the largest |value| of its picture;   0 is white, -1 blue, +1 red
    t in [0, 1]    a plain value between 0 (or the lowest, if negative) and the highest of its picture;   1 is ink
    v in [0, 1]    a light value, grey or each of red, green and blue, as a screen shows it;   1 is light

Colours are given for a light page. On a dark one the style sheet turns lightness round and keeps the hue, of all but
light values.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.report.document import Images, Tile

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

CELLS = 7  # sides up to this are drawn as cells with values, where the values are short
LONGEST = 5  # characters in a cell
WHITE, BLACK = np.array([255.0, 255.0, 255.0]), np.array([24.0, 23.0, 22.0])
BLUE, RED = np.array([33.0, 102.0, 172.0]), np.array([178.0, 45.0, 43.0])  # ColorBrewer RdBu's ends, told apart by all


@dataclass(frozen=True)
class Cell:
    """A value as text, the colour of its ground, and whether the text on it must be light."""

    text: str
    ground: str
    light: bool


@dataclass(frozen=True)
class Shown:
    """One image ready for the page: `cells`, or else `uri`, a PNG; `alt` says it in words; `light` as its tile's."""

    title: str
    alt: str
    cells: tuple[tuple[Cell, ...], ...] = ()
    uri: str = ""
    light: bool = False


def show(picture: Images) -> list[Shown]:
    """Every image of a picture, on scales that they share."""
    inked = [tile for tile in picture.images if not _is_light(tile)]
    scales = {kind: _scale([tile for tile in inked if tile.diverging is kind]) for kind in (True, False)}
    return [_show(tile, *scales[tile.diverging]) for tile in picture.images]


def _is_light(tile: Tile) -> bool:
    return tile.light or tile.colour


def _scale(tiles: Sequence[Tile]) -> tuple[float, float]:
    values = [value for tile in tiles for row in tile.pixels for value in row]
    return min([0.0, *values]), max([0.0, *values])


def _show(tile: Tile, low: float, high: float) -> Shown:
    if _is_light(tile):
        values = np.array(tile.pixels)
        shade = values.reshape(len(values), -1, 3) if tile.colour else np.repeat(values[..., None], 3, axis=2)
        colours = np.rint(255 * shade.clip(0, 1)).astype(np.uint8)
        alt = f"{tile.title}, {shade.shape[0]} by {shade.shape[1]} pixels"
        return Shown(tile.title, alt, uri=_png(colours), light=True)
    texts = [[_short(value) for value in row] for row in tile.pixels]
    size = f"{len(texts)} by {len(texts[0])}"
    colours = _colours(np.array(tile.pixels), low, high, tile.diverging)
    small = len(texts) <= CELLS and len(texts[0]) <= CELLS
    if small and all(len(text) <= LONGEST for row in texts for text in row):
        cells = tuple(
            tuple(_cell(text, c) for text, c in zip(*pair, strict=True)) for pair in zip(texts, colours, strict=True)
        )
        words = "; ".join(" ".join(row) for row in texts)
        return Shown(tile.title, f"{tile.title}, {size}, by rows: {words}", cells=cells)
    return Shown(tile.title, f"{tile.title}, {size} pixels", uri=_png(colours))


def _colours(values: Float[np.ndarray, "h w"], low: float, high: float, diverging: bool) -> UInt8[np.ndarray, "h w 3"]:
    if diverging:
        t = (values / (max(-low, high) or 1.0))[..., None]
        colours = WHITE + np.abs(t) * (np.where(t < 0, BLUE, RED) - WHITE)
    else:
        t = ((values - low) / ((high - low) or 1.0))[..., None]
        colours = WHITE + t * (BLACK - WHITE)
    return np.asarray(np.rint(colours), dtype=np.uint8)


def _cell(text: str, colour: UInt8[np.ndarray, "3"]) -> Cell:
    red, green, blue = (int(part) for part in colour)
    return Cell(text, f"#{red:02x}{green:02x}{blue:02x}", 0.299 * red + 0.587 * green + 0.114 * blue < 140)


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", "−").replace("−0.", "−.").removeprefix("0") if value else "0"


def _png(colours: UInt8[np.ndarray, "h w 3"]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(colours).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
