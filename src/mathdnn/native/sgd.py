"""Batch-1 SGD on a margin loss, compiled: the face of src/native/sgd.cpp. `mathdnn.margin.sgd` says what is computed.

The same bits on every instruction set and with every number of threads: 32 fixed accumulators, a fixed order, own
elementary functions, no contraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64, UInt8

LOSSES = ("logistic", "sum_of_squares", "hinge", "squared_hinge", "exponential")  # MarginLoss in sgd.hpp
DECAYS = ("constant", "inverse", "inverse_sqrt")  # Decay in sgd.hpp
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")


def sgd_runs(
    X: Float32[np.ndarray, "n d"] | UInt8[np.ndarray, "n d"],
    orders: Sequence[Int64[np.ndarray, " steps"]],
    targets: Sequence[Float32[np.ndarray, " steps"]],
    w: Float32[np.ndarray, "runs d"],
    *,
    loss: str,
    lr: float,
    weight_decay: float = 0.0,
    decay: str = "constant",
    steps_before: int = 0,
    threads: int = 1,
    instruction_set: str | None = None,
) -> list[int]:
    """Train the rows of `w` in place, run r along `orders[r]` with the labels `targets[r]`, one a step.

    X: rows of float32, or of bytes that stand for byte / 255 (the same bits as float32 rows so divided).
    Returns, a run, -1 or the first 0-based step whose score was not finite (the run stops there).
    The interpreter lock is released; an interrupt stops all runs within about a millisecond. `instruction_set` is the
    best of this processor unless given. Raises `InvalidInput` before anything is computed.
    """
    _check_shapes(X, orders, targets, w)
    _check_settings(loss, decay, lr, weight_decay, steps_before, threads)
    import mathdnn.native._native as kernels

    return kernels.sgd_many(
        _rows(X),
        [np.require(order, np.int64, ["C", "A"]) for order in orders],
        [np.require(target, np.float32, ["C", "A"]) for target in targets],
        w,
        LOSSES.index(loss),
        DECAYS.index(decay),
        float(lr),
        float(weight_decay),
        int(steps_before),
        int(threads),
        _known_set(instruction_set),
    )


def derivative(
    loss: str, margins: Float32[np.ndarray, " n"], *, instruction_set: str | None = None
) -> Float32[np.ndarray, " n"]:
    """dl/dm at each margin, as the kernel computes it (its own exp): within 8 ulp of the truth."""
    if loss not in LOSSES:
        raise InvalidInput(sentence("derivative(loss=...)", f"one of {', '.join(LOSSES)}", repr(loss), "choose one"))
    import mathdnn.native._native as kernels

    margins = np.require(margins, np.float32, ["C", "A"])
    out = np.empty_like(margins)
    kernels.sgd_derivative(LOSSES.index(loss), margins, out, _known_set(instruction_set))
    return out


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that this processor and this build have, the simplest first."""
    from mathdnn.native import instruction_set

    return INSTRUCTION_SETS[: INSTRUCTION_SETS.index(instruction_set()) + 1]


def _known_set(name: str | None) -> str:
    have = instruction_sets()
    if name is None:
        return have[-1]
    if name not in have:
        raise InvalidInput(sentence("sgd(instruction_set=...)", f"one of {', '.join(have)}", repr(name), "choose one"))
    return name


def _rows(X: np.ndarray) -> np.ndarray:
    """X itself where the kernel can walk it (packed rows at any distance, aligned or not), else a packed copy."""
    walkable = X.strides[1] == X.itemsize and X.strides[0] % X.itemsize == 0
    return X if walkable or X.size == 0 else np.require(X, X.dtype.newbyteorder("="), ["C", "A"])


def _check_shapes(X: np.ndarray, orders: Sequence[np.ndarray], targets: Sequence[np.ndarray], w: np.ndarray) -> None:
    """Everything a pointer relies on: shapes that fit together and rows that exist."""
    if X.ndim != 2 or X.dtype not in (np.dtype(np.float32), np.dtype(np.uint8)):
        _refuse("X", "a matrix of float32 or uint8", f"shape {X.shape}, dtype {X.dtype}")
    if w.dtype != np.float32 or w.shape != (len(orders), X.shape[1]) or not (w.flags.carray and w.flags.writeable):
        _refuse("w", f"a writeable float32 array of {(len(orders), X.shape[1])}", f"shape {w.shape}, dtype {w.dtype}")
    if len(targets) != len(orders):
        _refuse("targets", f"{len(orders)} runs", f"{len(targets)}")
    for order, target in zip(orders, targets, strict=True):
        if order.ndim != 1 or order.shape != target.shape or order.dtype.kind not in "iu":
            _refuse("orders", "one row index and one label a step", f"shapes {order.shape} and {target.shape}")
        if order.size and not (order.min() >= 0 and order.max() < len(X)):
            _refuse("orders", f"rows 0 to {len(X) - 1}", f"{order.min()} to {order.max()}")


def _check_settings(loss: str, decay: str, lr: float, weight_decay: float, steps_before: int, threads: int) -> None:
    if loss not in LOSSES:
        _refuse("loss", f"one of {', '.join(LOSSES)}", repr(loss))
    if decay not in DECAYS:
        _refuse("decay", f"one of {', '.join(DECAYS)}", repr(decay))
    if not (0 < lr < np.inf) or not (0 <= weight_decay < np.inf):
        _refuse("lr, weight_decay", "a finite step above 0 and a finite decay from 0", f"{lr!r} and {weight_decay!r}")
    if threads < 1 or steps_before < 0:
        _refuse("threads, steps_before", "at least 1 and 0", f"{threads!r} and {steps_before!r}")


def _refuse(argument: str, expected: str, got: str) -> None:
    raise InvalidInput(sentence(f"sgd_runs({argument}=...)", expected, got, "see mathdnn.margin.sgd"))
