"""Batch-1 SGD on a margin loss, compiled: the face of src/native/sgd.cpp. `mathdnn.margin.sgd` says what is computed.

The same bits on every instruction set and with every number of threads: 32 fixed accumulators, a fixed order, own
elementary functions, no contraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

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
    labels: Sequence[Float32[np.ndarray, " n"]],
    w: Float32[np.ndarray, "runs d"],
    *,
    scores: Sequence[Float32[np.ndarray, " steps"]] = (),
    loss: str,
    lr: float,
    weight_decay: float = 0.0,
    decay: str = "constant",
    steps_before: int = 0,
    threads: int = 1,
    instruction_set: str | None = None,
) -> list[int]:
    """Train the rows of `w` in place, run r along `orders[r]` with `labels[r]`, -1 or +1 in each row that it visits.

    X: rows of float32, or of bytes that stand for byte / 255 (the same bits as float32 rows so divided). Where `scores`
    are given, run r writes into `scores[r]` the score of each step's row before the step.
    Returns, a run, -1 or the first 0-based step whose score was not finite (the run stops there).
    The interpreter lock is released; an interrupt stops all runs within about a millisecond. `instruction_set` is the
    best of this processor unless given. Raises `InvalidInput` before anything is computed.
    """
    _check_shapes(X, orders, labels, w, scores)
    _check_settings(loss, decay, lr, weight_decay, steps_before, threads)
    import mathdnn.native._native as kernels

    orders = [np.array(order, np.int64) for order in orders]  # copies: nobody changes a row after the check
    labels = [np.require(label, np.float32, ["C", "A"]) for label in labels]
    for order, label in zip(orders, labels, strict=True):
        if not kernels.sgd_usable(order, label):
            _refuse_visits(order, label)
    return kernels.sgd_many(
        _rows(X),
        orders,
        labels,
        w,
        list(scores),
        LOSSES.index(loss),
        DECAYS.index(decay),
        float(lr),
        float(weight_decay),
        int(steps_before),
        int(threads),
        _known_set(instruction_set),
    )


def read_rows(X: Float32[np.ndarray, "n d"], order: Int64[np.ndarray, " steps"]) -> float:
    """The sum over the rows in that order (their whole blocks of 64): what an epoch's reading alone takes.

    The time to compare an epoch with, for no epoch over such rows can take less. Raises `InvalidInput`.
    """
    _check_shapes(X, [order], [np.empty(len(X))], np.empty((1, X.shape[1]), np.float32), ())
    if X.dtype != np.float32 or (order.size and not (order.min() >= 0 and order.max() < len(X))):
        _refuse("X, order", "float32 rows that exist", f"{X.dtype}, rows {order.min()} to {order.max()} of {len(X)}")
    import mathdnn.native._native as kernels

    total: float = kernels.sgd_read(_rows(X), np.require(order, np.int64, ["C", "A"]), _known_set(None))
    return total


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


def _check_shapes(
    X: np.ndarray,
    orders: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    w: np.ndarray,
    scores: Sequence[np.ndarray],
) -> None:
    """Shapes that fit together; the compiled check looks at the rows and the labels that are visited."""
    if X.ndim != 2 or X.dtype not in (np.dtype(np.float32), np.dtype(np.uint8)):
        _refuse("X", "a matrix of float32 or uint8", f"shape {X.shape}, dtype {X.dtype}")
    if not _can_be_filled(w, (len(orders), X.shape[1])):
        _refuse("w", f"a writeable float32 array of {(len(orders), X.shape[1])}", f"shape {w.shape}, dtype {w.dtype}")
    if len(labels) != len(orders):
        _refuse("labels", f"{len(orders)} runs", f"{len(labels)}")
    for order, label in zip(orders, labels, strict=True):
        if order.ndim != 1 or order.dtype.kind not in "iu":
            _refuse("orders", "one row index a step", f"shape {order.shape}, dtype {order.dtype}")
        if label.shape != (len(X),):
            _refuse("labels", f"{len(X)}, one a row", f"shape {label.shape}")
    if scores and not (
        len(scores) == len(orders) and all(map(_can_be_filled, scores, (order.shape for order in orders)))
    ):
        _refuse("scores", "a writeable float32 array a run, one score a step", f"{len(scores)} arrays")


def _can_be_filled(array: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether the kernel can write float32 of that shape into it."""
    return array.dtype == np.float32 and array.shape == shape and array.flags.carray and array.flags.writeable


def _refuse_visits(order: np.ndarray, labels: np.ndarray) -> NoReturn:
    """Say which of the visited rows or labels cannot be used."""
    if order.min() < 0 or order.max() >= len(labels):
        _refuse("orders", f"rows 0 to {len(labels) - 1}", f"{order.min()} to {order.max()}")
    visited = labels[order]
    _refuse("labels", "-1 and +1", f"{visited[np.abs(visited) != 1][0]:g}")


def _check_settings(loss: str, decay: str, lr: float, weight_decay: float, steps_before: int, threads: int) -> None:
    if loss not in LOSSES:
        _refuse("loss", f"one of {', '.join(LOSSES)}", repr(loss))
    if decay not in DECAYS:
        _refuse("decay", f"one of {', '.join(DECAYS)}", repr(decay))
    if not (0 < lr < np.inf) or not (0 <= weight_decay < np.inf):
        _refuse("lr, weight_decay", "a finite step above 0 and a finite decay from 0", f"{lr!r} and {weight_decay!r}")
    if threads < 1 or steps_before < 0:
        _refuse("threads, steps_before", "at least 1 and 0", f"{threads!r} and {steps_before!r}")


def _refuse(argument: str, expected: str, got: str) -> NoReturn:
    raise InvalidInput(sentence(f"sgd_runs({argument}=...)", expected, got, "see mathdnn.margin.sgd"))
