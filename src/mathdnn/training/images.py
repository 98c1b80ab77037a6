"""The images of a split on the device: gathered, moved and scaled one batch at a time.

out[i, r, c] = in[i, r - down_i, c - right_i],   0 where that lies outside
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import pad

from mathdnn.errors import InvalidInput, sentence
from mathdnn.training.batches import pixel_table
from mathdnn.training.record import PixelScale

if TYPE_CHECKING:
    from jaxtyping import Float, Int64, Shaped


class Images:
    """Images (n, h, w), kept as they came (uint8 or float32) on `device`, and labels (n,) as int64.

    Pixels of uint8 are 0..255; those of floating images are taken as u / 255 already.
    """

    def __init__(self, split: Any, scale: PixelScale, device: torch.device, dtype: torch.dtype) -> None:
        images = split.images if split.images.dtype == np.uint8 else split.images.astype(np.float32)
        self.pixels = torch.from_numpy(np.array(images)).to(device)
        self.labels = torch.from_numpy(np.asarray(split.labels).astype(np.int64)).to(device)
        self.table = torch.from_numpy(pixel_table(scale)).to(device, dtype)
        self.scale, self.dtype = scale, dtype

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(
        self, index: Int64[torch.Tensor, "b"] | slice, shifts: Int64[torch.Tensor, "b 2"] | None = None, reach: int = 0
    ) -> tuple[Float[torch.Tensor, "b 1 h w"], Int64[torch.Tensor, "b"]]:
        """The scaled images and the labels at `index`, each moved by its row of `shifts` (at most `reach`)."""
        pixels = self.pixels[index]
        if shifts is not None:
            pixels = move(pixels, shifts, reach)
        return self._scaled(pixels).unsqueeze(1), self.labels[index]

    def _scaled(self, pixels: Shaped[torch.Tensor, "b h w"]) -> Float[torch.Tensor, "b h w"]:
        if pixels.dtype == torch.uint8:
            return self.table.index_select(0, pixels.reshape(-1).int()).view(pixels.shape)
        return pixels.to(self.dtype) * self.scale.gain + self.scale.offset


def move(
    pixels: Shaped[torch.Tensor, "b h w"], shifts: Int64[torch.Tensor, "b 2"], reach: int
) -> Shaped[torch.Tensor, "b h w"]:
    """Each image moved down and right by its row of `shifts` (within -reach .. reach), the border filled with 0."""
    b, h, w = pixels.shape
    device = pixels.device
    rows = (reach + torch.arange(h, device=device)) - shifts[:, :1]  # b h
    columns = (reach + torch.arange(w, device=device)) - shifts[:, 1:]  # b w
    image = torch.arange(b, device=device)[:, None, None]
    return pad(pixels, (reach,) * 4)[image, rows[:, :, None], columns[:, None, :]]


@dataclass(frozen=True, eq=False)
class Arrays:
    """A split that was checked: images (n, h, w), uint8 or floats from 0 to 1, and n whole labels, n > 0."""

    images: Shaped[np.ndarray, "n h w"]
    labels: Shaped[np.ndarray, "n"]


def checked_split(split: Any, who: str) -> Arrays:
    """The arrays of a split, which may hold torch tensors or lists as well. Raises `InvalidInput`."""
    for name in ("images", "labels"):
        if not hasattr(split, name):
            got = f"a {type(split).__name__} without {name}"
            raise InvalidInput(sentence(who, "a split with images and labels", got, "give both"))
    images, labels = checked_images(split.images, who), _array(split.labels, "labels", who)
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        got = f"{labels.dtype} labels of shape {labels.shape}"
        raise InvalidInput(sentence(who, f"{len(images)} whole labels, one an image", got, "give one label an image"))
    return Arrays(images, labels)


def checked_images(given: Any, who: str) -> Shaped[np.ndarray, "n h w"]:
    """The images as one array. Raises `InvalidInput` unless they are (n, h, w), n > 0, uint8 or floats from 0 to 1."""
    images = _array(given, "images", who)
    if images.ndim != 3 or 0 in images.shape or (images.dtype != np.uint8 and images.dtype.kind != "f"):
        got = f"{images.dtype} of shape {images.shape}"
        raise InvalidInput(sentence(who, "images (n, h, w), uint8 or floating", got, "give at least one grey image"))
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        got = f"{int((~np.isfinite(images)).sum())} values that are NaN or infinite"
        raise InvalidInput(sentence(who, "finite pixels", got, "replace these values"))
    if images.dtype.kind == "f" and not 0 <= images.min() <= images.max() <= 1:
        got, do = f"values from {images.min():.4g} to {images.max():.4g}", "divide what goes to 255 by 255, or clip it"
        raise InvalidInput(sentence(who, "floating pixels from 0 to 1", got, do))
    return images


def _array(values: Any, what: str, who: str) -> Shaped[np.ndarray, "..."]:
    try:
        return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    except (TypeError, ValueError, RuntimeError) as error:
        got = f"a {type(values).__name__} with the answer {str(error).splitlines()[0]!r:.120}"
        raise InvalidInput(sentence(who, f"an array of {what}", got, "pass a NumPy array")) from None
