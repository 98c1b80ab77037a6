"""The compiled training engine: the face of src/native/engine.cpp. Everything is validated here, before a pointer.

The same bits for every number of threads, and for AVX2 and AVX-512: each lane is an image, sums run in a fixed order,
and the elementary functions are our own. Without fused multiply-add (the x86-64 baseline) bits differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from mathdnn.errors import InvalidInput, sentence
from mathdnn.native.layers import ACTIVATIONS
from mathdnn.native.network import NetworkPlan, Parameter
from mathdnn.native.program import numbers

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32, Int64, Shaped

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
ELEMENTARY = ("tanh", "exp", "log", "logistic")  # Elementary in kernels.hpp
LOSSES = ("cross_entropy", "squared")
OPTIMIZERS = ("sgd", "adamw")
PARAMETERS, FIRST, SECOND = range(3)  # what `state` gives: the parameters and the optimizer's tensors
_MOST = 2**31 - 1  # images in a batch or a call


@dataclass(frozen=True)
class Pictures:
    """Images (n, maps, rows, columns), uint8 or float32; a byte u is seen as table[u], a float x as gain x + offset."""

    images: Shaped[np.ndarray, "n maps rows columns"]
    table: Float32[np.ndarray, "256"]
    gain: float = 1.0
    offset: float = 0.0
    labels: Int32[np.ndarray, "n"] | None = None


class NativeEngine:
    """A network with its parameters and optimizer, on `threads` threads (default: the processor's, at most 8).

    `half_blocks` says whether the last 8 images of a batch or fewer are computed eight at a time, where there are
    kernels for it (AVX2, AVX-512); None, where that is faster here. Neither changes a bit while all numbers are finite.

    Raises `InvalidInput` for arguments that do not fit; nothing is computed before.
    """

    def __init__(
        self,
        plan: NetworkPlan,
        *,
        loss: str = "cross_entropy",
        optimizer: str = "sgd",
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        threads: int | None = None,
        instruction_set: str | None = None,
        half_blocks: bool | None = None,
    ) -> None:
        import mathdnn.native._native as kernels

        _one_of("loss", loss, LOSSES)
        _one_of("optimizer", optimizer, OPTIMIZERS)
        threads = usual_threads() if threads is None else threads
        if type(threads) is not int or not 1 <= threads <= 1024:
            _refuse("threads", "a whole number from 1 to 1024", repr(threads), "choose the number of cores")
        self.plan, self.threads = plan, threads
        try:
            self._engine = kernels.Engine(
                [[*b.shape, *b.padding, ACTIVATIONS.index(b.activation.kind)] for b in plan.buffers],
                [[b.activation.amplitude, b.activation.slope] for b in plan.buffers],
                [numbers(operation) for operation in plan.operations],
                -(-plan.floats // 16) * 16,
                LOSSES.index(loss),
                OPTIMIZERS.index(optimizer),
                float(momentum),
                float(weight_decay),
                bool(nesterov),
                threads,
                known_set(instruction_set),
                2 if half_blocks is None else int(bool(half_blocks)),  # Halves in engine.hpp
            )
        except MemoryError:
            got = f"none for {plan.bytes:,} bytes a block and thread"
            _refuse("plan", "memory for the network's buffers", got, "take smaller images, or torch")
        self._floats = -(-plan.floats // 16) * 16

    def load(self, tensors: Sequence[Float32[np.ndarray, "..."]], which: int = PARAMETERS) -> None:
        """Put in the parameters (or the optimizer's tensors), in the order and the shapes of `plan.parameters`."""
        flat = np.zeros(self._floats, np.float32)
        if [t.shape for t in tensors] != [p.shape for p in self.plan.parameters]:
            _refuse(
                "tensors", f"{[p.shape for p in self.plan.parameters]}", f"{[t.shape for t in tensors]}", "match them"
            )
        for parameter, tensor in zip(self.plan.parameters, tensors, strict=True):
            _view(flat, parameter)[...] = tensor.T if parameter.pitch else tensor
        self._engine.copy_state(which, flat, True)

    def state(self, which: int = PARAMETERS) -> list[Float32[np.ndarray, "..."]]:
        """The parameters (or the optimizer's tensors) in torch's shapes; empty where the optimizer keeps none."""
        flat = np.zeros(self._floats, np.float32)
        if not self._engine.copy_state(which, flat, False):
            return []
        return self._split(flat)

    def train(
        self,
        pictures: Pictures,
        order: Int64[np.ndarray, "n"],
        batch_size: int,
        rates: Sequence[float],
        *,
        first: int = 0,
        done: int = 0,
        shifts: Int64[np.ndarray, "images 2"] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> tuple[int, float]:
        """Steps first, first + 1, ... of the epoch that visits the images by `order`, one for each of `rates`.

        `done` counts the steps of the run before `first`; `shifts[i]` moves image i down and right, the border filled
        with byte 0. `stopped()` is asked after each step; an interrupt is raised between two steps. Returns the step
        reached and the sum of the images' losses. Raises `InvalidInput`.
        """
        labels = self._check(pictures, labelled=True)
        order, steps = self._indices(order, len(pictures.images)), [float(r) for r in rates]
        end = first + len(steps)
        if type(batch_size) is not int or not 1 <= batch_size <= _MOST:
            _refuse("batch_size", "a whole number from 1", repr(batch_size), "correct it")
        if first < 0 or done < 0 or (steps and (end - 1) * batch_size >= len(order)):
            got = f"steps {first} to {end} of {batch_size} among {len(order)} images"
            _refuse("rates", "one step size for each step of the epoch", got, "stop at its end")
        if shifts is not None:
            shifts = self._shifts(shifts, len(pictures.images))
        found: tuple[int, float] = self._engine.train(
            *_source(pictures, labels), order, shifts, batch_size, first, end, steps, done, stopped
        )
        return found

    def gradient(
        self, pictures: Pictures, order: Int64[np.ndarray, "n"] | None = None
    ) -> tuple[list[Float32[np.ndarray, "..."]], float]:
        """The gradient of the mean loss over one batch, in torch's shapes, and the sum of losses, without a step."""
        labels = self._check(pictures, labelled=True)
        order = self._indices(np.arange(len(pictures.images)) if order is None else order, len(pictures.images))
        if not len(order):
            _refuse("order", "at least one image", "none", "give one")
        flat = np.zeros(self._floats, np.float32)
        loss = self._engine.gradient(*_source(pictures, labels), order, flat)
        return self._split(flat), float(loss)

    def outputs(self, pictures: Pictures) -> Float32[np.ndarray, "n classes"]:
        """What the network gives for each image."""
        self._check(pictures, labelled=False)
        out = np.empty((len(pictures.images), self.plan.classes), np.float32)
        self._engine.run(*_source(pictures, None), out, None, None)
        return out

    def losses(self, pictures: Pictures) -> tuple[Float32[np.ndarray, "n"], Int32[np.ndarray, "n"]]:
        """Each image's loss and the class with the highest output, the first of equals."""
        labels = self._check(pictures, labelled=True)
        losses, best = np.empty(len(labels), np.float32), np.empty(len(labels), np.int32)
        self._engine.run(*_source(pictures, labels), None, losses, best)
        return losses, best

    def _split(self, flat: Float32[np.ndarray, "floats"]) -> list[Float32[np.ndarray, "..."]]:
        return [np.ascontiguousarray(_view(flat, p).T if p.pitch else _view(flat, p)) for p in self.plan.parameters]

    def _check(self, pictures: Pictures, *, labelled: bool) -> Int32[np.ndarray, "n"]:
        """The labels, a copy: nobody changes a number between the check and its use. So with orders and shifts."""
        images, shape, labels = pictures.images, self.plan.buffers[0].shape, pictures.labels
        packed = _packed(images)
        if images.dtype not in (np.uint8, np.float32) or images.shape[1:] != shape or not packed:
            got = f"{images.dtype} of shape {images.shape}{'' if packed else ', not packed'}"
            _refuse(
                "images", f"packed uint8 or float32 of shape (n, {', '.join(map(str, shape))})", got, "convert them"
            )
        if len(images) > _MOST:
            _refuse("images", f"at most {_MOST:,} images", f"{len(images):,}", "cut them")
        if pictures.table.dtype != np.float32 or pictures.table.shape != (256,) or not _packed(pictures.table):
            _refuse("table", "256 packed float32", f"{pictures.table.dtype} of {pictures.table.shape}", "convert it")
        if not labelled:
            return np.zeros(0, np.int32)
        labels = None if labels is None else np.array(labels)
        if labels is None or labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            got = "none" if labels is None else f"{labels.dtype} of shape {labels.shape}"
            _refuse("labels", "a whole number for each image", got, "give one an image")
        if len(labels) and not (labels.min() >= 0 and labels.max() < self.plan.classes):
            _refuse(
                "labels", f"classes 0 to {self.plan.classes - 1}", f"{labels.min()} to {labels.max()}", "correct them"
            )
        return np.require(labels, np.int32, ["C", "A"])

    def _indices(self, order: np.ndarray, images: int) -> Int64[np.ndarray, "n"]:
        order = np.array(order)
        if order.ndim != 1 or order.dtype.kind not in "iu":
            _refuse("order", "image numbers", f"{order.dtype} of shape {order.shape}", "give a permutation")
        if order.size and not (order.min() >= 0 and order.max() < images):
            _refuse("order", f"images 0 to {images - 1}", f"{order.min()} to {order.max()}", "correct it")
        return np.require(order, np.int64, ["C", "A"])

    def _shifts(self, shifts: np.ndarray, images: int) -> Int64[np.ndarray, "images 2"]:
        shifts = np.array(shifts)
        if shifts.shape != (images, 2) or shifts.dtype.kind not in "iu":
            _refuse("shifts", f"whole numbers of shape {(images, 2)}", f"shape {shifts.shape}", "give two an image")
        if shifts.size and not (shifts.min() >= -(2**20) and shifts.max() <= 2**20):
            _refuse("shifts", "at most 2^20 pixels", f"{shifts.min()} to {shifts.max()}", "move less")
        return np.require(shifts, np.int64, ["C", "A"])


def _packed(array: np.ndarray) -> bool:
    """Whether the kernels can read it, which need not write there."""
    return array.flags.c_contiguous and array.flags.aligned


def usual_threads() -> int:
    """As many threads as this process may use cores, at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores))


def known_set(name: str | None) -> str:
    """`name` where this processor and build have it; the best one for None."""
    from mathdnn.native import instruction_set

    have = INSTRUCTION_SETS[: INSTRUCTION_SETS.index(instruction_set()) + 1]
    if name is None:
        return have[-1]
    _one_of("instruction_set", name, have)
    return name


def elementary(
    function: str, x: Float32[np.ndarray, "n"], *, instruction_set: str | None = None
) -> Float32[np.ndarray, "n"]:
    """tanh, exp, log or logistic as the engine computes it."""
    import mathdnn.native._native as kernels

    _one_of("function", function, ELEMENTARY)
    flat = np.require(x, np.float32, ["C", "A"]).reshape(-1)
    out = np.empty_like(flat)
    kernels.elementary(ELEMENTARY.index(function), flat, out, known_set(instruction_set))
    return out.reshape(x.shape)


def scan(
    function: str, first: int = 0, end: int = 2**32, *, instruction_set: str | None = None
) -> tuple[float, float, int]:
    """Over the float32 number first .. end - 1 in their order (0 is the NaN of lowest order, 2^31 is +0).

    Returns the largest error in units of the last place against the C library's float64, where it is, and how many
    floats have a smaller value than the one before them.
    """
    import mathdnn.native._native as kernels

    _one_of("function", function, ELEMENTARY)
    if not 0 <= first < end <= 2**32:
        _refuse("first, end", "0 <= first < end <= 2^32", f"{first}, {end}", "correct them")
    found: tuple[float, float, int] = kernels.scan(ELEMENTARY.index(function), first, end, known_set(instruction_set))
    return found


def _view(flat: Float32[np.ndarray, "floats"], parameter: Parameter) -> np.ndarray:
    """The place of `parameter` in the engine's floats; a dense weight comes transposed, (inputs, outputs)."""
    if parameter.pitch:
        outputs, inputs = parameter.shape
        rows = flat[parameter.offset : parameter.offset + inputs * parameter.pitch].reshape(inputs, parameter.pitch)
        return rows[:, :outputs]
    return flat[parameter.offset : parameter.offset + int(np.prod(parameter.shape))].reshape(parameter.shape)


Source = tuple[np.ndarray, Any, np.ndarray, float, float]


def _source(pictures: Pictures, labels: Int32[np.ndarray, "n"] | None) -> Source:
    return pictures.images, labels, pictures.table, float(pictures.gain), float(pictures.offset)


def _one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        _refuse(name, f"one of {', '.join(choices)}", repr(value), "choose one")


def _refuse(name: str, expected: str, got: str, do: str) -> NoReturn:
    raise InvalidInput(sentence(f"NativeEngine({name}=...)", expected, got, do))
