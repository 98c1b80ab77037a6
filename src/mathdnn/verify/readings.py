"""Images that show the weights of a layer: an output that one pixel enters answers with the weight of that pixel's tap.

Pixels that share no output are 1 in the same image, at each place one channel of every group. A float that a layer has
at several taps is shown once at least; what an image shows besides is read, too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from mathdnn.verify.layers import Layer
from mathdnn.verify.sides import full

Reading = tuple[np.ndarray, np.ndarray, np.ndarray]  # a flat image; which weights it shows, and at which outputs
_PLACES = 16  # along a line, at most, are looked at for one image: heuristic, many layers need one place a channel


class _Line:
    """Where pixels of a line share no output: every `step` pixels."""

    def __init__(self, table: np.ndarray, size: int, stride: int) -> None:
        first, last = np.where(table < 0, size, table).min(1), table.max(1)
        self.step = max(1, int((last - first).max(initial=0)) + 1)
        while math.gcd(self.step, stride) > 1:  # or all of them would be reached by the same taps
            self.step += 1
        self.output = np.full((size, table.shape[1]), -1)  # (pixels, taps)
        i, a = np.nonzero(table >= 0)
        self.output[table[i, a], a] = i
        self.offsets = sorted(range(min(self.step, size)), key=self._hidden)

    def _hidden(self, offset: int) -> tuple[int, int]:
        """How many taps no pixel shows from an offset on, and how many the best of them does not."""
        shown = self.output[offset :: self.step] >= 0
        return int((~shown.any(0)).sum()), int((~shown).sum(1).min())

    def places(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pixels from each offset on, and which taps each shows (1) or not (0)."""
        for offset in self.offsets:
            found = np.arange(offset, len(self.output), self.step)
            if len(found) > _PLACES:
                found = found[np.linspace(0, len(found) - 1, _PLACES).astype(int)]
            yield found, (self.output[found] >= 0) * 1.0


class Readings:
    """The images for a layer; `missing` says whether, after the last of them, a float was not shown."""

    def __init__(self, layer: Layer, lines: tuple[np.ndarray, np.ndarray]) -> None:
        self.layer, count = layer, math.prod(layer.shape)
        strides = [1, 1] if layer.form.get("transposed") else layer.form["stride"]
        self.rows, self.columns = (_Line(*parts) for parts in zip(lines, full(layer.input)[2:], strides, strict=True))
        self.plane = len(lines[0]), len(lines[1])
        self.number = np.arange(count).reshape(layer.shape)
        self.fresh = layer.weights[:count] != 0  # a weight 0 stands for 0
        floats, kinds = np.unique(layer.weights[:count], return_inverse=True)
        self.kinds = kinds.reshape(layer.shape)
        entered = np.outer((self.rows.output >= 0).any(0), (self.columns.output >= 0).any(0))
        self.wanted = np.zeros(len(floats), bool)
        self.wanted[self.kinds[:, :, entered]] = True
        self.wanted &= floats != 0

    @property
    def missing(self) -> bool:
        return bool(self.wanted.any())

    def __iter__(self) -> Iterator[Reading]:
        count = self.number.size
        biases = np.arange(count, len(self.layer.weights))
        yield np.zeros(math.prod(self.layer.input), np.int8), biases, (biases - count) * math.prod(self.plane)
        for down, right in itertools.product(list(self.rows.places()), list(self.columns.places())):
            while (reading := self._image(*down, *right)) is not None:
                yield reading
            if not self.missing:
                return

    def _image(self, rows: np.ndarray, a: np.ndarray, columns: np.ndarray, b: np.ndarray) -> Reading | None:
        """At each place the channel, and first the places, that show most of what is wanted."""
        image = np.zeros((self.layer.form["groups"], self.layer.shape[1], *full(self.layer.input)[2:]), np.int8)
        free, read = np.ones((len(rows), len(columns))), []
        while self.missing:
            wanted = self.wanted[self.kinds].any(0).astype(float)
            gain = a @ wanted @ b.T * free
            channel, y, x = np.unravel_index(int(gain.argmax()), gain.shape)
            if not gain[channel, y, x]:
                break
            free[y, x] = 0
            image[:, channel, rows[y], columns[x]] = 1
            read.append(self._read(int(channel), self.rows.output[rows[y]], self.columns.output[columns[x]]))
        if not read:
            return None
        taps, outputs = (np.concatenate(parts) for parts in zip(*read, strict=True))
        return image.ravel(), taps, outputs

    def _read(self, channel: int, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which weights a pixel of a channel shows for the first time, and at which outputs; (taps,) outputs each."""
        inside = (i >= 0)[:, None] & (j >= 0)
        taps = self.number[:, channel, inside]
        planes = np.arange(len(taps))[:, None] * math.prod(self.plane)
        outputs = planes + (i[:, None] * self.plane[1] + j)[inside]
        new = self.fresh[taps]
        self.fresh[taps] = False
        self.wanted[self.kinds.ravel()[taps]] = False
        return taps[new], outputs[new]
