"""Cyclic stochastic gradient descent with batch size 1 on a margin loss: a linear score without bias.

    x_i, y_i    row i of X (n, d) and its label, -1 or +1;   l a loss of the margin (`mathdnn.margin.losses`)
    order       (epochs, n'): the rows in the order in which they are visited, t = 1, 2, ... over all epochs
    eta_t       lr ("constant"), lr / t ("inverse"), lr / sqrt(t) ("inverse_sqrt");   lambda: weight decay

    for i in order:   z = w . x_i;   w <- (1 - eta_t lambda) w - eta_t y_i l'(y_i z) x_i

Source: homework 4 problem 5 of M1407.001200 (constant step, lambda = 0); lr / t is Robbins and Monro 1951.

`literal` is the specification. The compiled form computes the same in float32 with one fixed order of summation, and
gives the same bits on every processor and with every number of threads; how far the two can lie apart is
`mathdnn.margin.agreement_bound`. Bytes stand for byte / 255, rounded to float32.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np

from mathdnn import native
from mathdnn.errors import Diverged, InvalidInput, sentence
from mathdnn.margin.losses import LOSSES

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

    Rows = Float[np.ndarray, "n d"] | UInt8[np.ndarray, "n d"]

Implementation = Literal["auto", "native", "literal"]
DECAYS = ("constant", "inverse", "inverse_sqrt")
IMPLEMENTATIONS = ("auto", "native", "literal")
BATCH = 64  # runs whose orders lie in memory at once: 64 x 12,000 row numbers are 6 MB


@dataclass(frozen=True, eq=False)
class SgdRun:
    """One run of many: labels `y` (n,), -1 or +1 where `order` (epochs, n') goes, and initial weights `w0` (d,)."""

    y: Float[np.ndarray, " n"]
    order: Int[np.ndarray, "epochs visits"]
    w0: Float[np.ndarray, " d"]


@dataclass(frozen=True)
class Settings:
    """What all runs share: the loss by name, the step, weight decay, how the step decays, and steps taken before."""

    loss: str
    lr: float
    weight_decay: float = 0.0
    decay: str = "constant"
    steps_before: int = 0

    def rate(self, t: int) -> float:
        """eta_t for the t-th step of this run, t = 1, 2, ...; a decaying step counts on from `steps_before`."""
        count = self.steps_before + t
        return self.lr / {"constant": 1.0, "inverse": float(count), "inverse_sqrt": math.sqrt(count)}[self.decay]


def sgd(
    X: Rows,
    y: Float[np.ndarray, " n"],
    order: Int[np.ndarray, "epochs visits"],
    *,
    loss: str,
    lr: float,
    w0: Float[np.ndarray, " d"],
    weight_decay: float = 0.0,
    decay: str = "constant",
    steps_before: int = 0,
    implementation: Implementation = "auto",
) -> Float[np.ndarray, " d"]:
    """The weights (d,) after one pass over the rows of X for each row of `order`; `w0` is left alone.

    X: float32, float64 or uint8 (byte / 255); the weights are float64 for float64 rows, else float32. `loss` is a name
    in `LOSSES`, `decay` one of "constant", "inverse", "inverse_sqrt". implementation: "native" is the compiled form
    (float32 and uint8), "literal" the NumPy loop, "auto" the compiled one where it can be used. A decaying step
    counts on from `steps_before`, so that a run cut into calls is the run in one call.
    Raises `InvalidInput` for arguments that do not fit together and for NaN or infinite data, `Diverged` with the step
    where a score or the weights leave the finite numbers.
    """
    run = SgdRun(y, order, w0)
    settings = Settings(loss, lr, weight_decay, decay, steps_before)
    weights: np.ndarray = _many(X, [run], settings, 1, implementation)[0]
    return weights


def sgd_many(
    X: Rows,
    runs: Iterable[SgdRun],
    *,
    loss: str,
    lr: float,
    weight_decay: float = 0.0,
    decay: str = "constant",
    steps_before: int = 0,
    threads: int | None = None,
    implementation: Implementation = "auto",
) -> Float[np.ndarray, "runs d"]:
    """The weights (runs, d) of many independent runs over the same rows X, as `sgd` gives them one by one.

    `runs` may be a generator: 64 runs are drawn at a time, so that memory does not grow with their number. `threads` is
    the number of processors this process may use unless given; it changes no bit. Raises as `sgd` does.
    """
    return _many(X, runs, Settings(loss, lr, weight_decay, decay, steps_before), threads, implementation)


def literal(
    X: Rows,
    targets: Float[np.ndarray, " steps"],
    order: Int[np.ndarray, " steps"],
    w: Float[np.ndarray, " d"],
    settings: Settings,
) -> int:
    """The specification: trains w in place; returns -1, or the first 0-based step whose score was not finite."""
    derivative = LOSSES[settings.loss].derivative
    number = w.dtype.type
    with np.errstate(over="ignore", invalid="ignore"):
        for t, i in enumerate(order):
            x = X[i] if X.dtype == w.dtype else X[i].astype(w.dtype) / number(255)
            y = targets[t]
            z = w @ x
            if not np.isfinite(z):
                return t
            eta = settings.rate(t + 1)
            w *= number(1 - eta * settings.weight_decay)
            w -= number(eta) * y * derivative(y * z) * x
    return -1


def _many(X: Rows, runs: Iterable[SgdRun], settings: Settings, threads: int | None, implementation: str) -> np.ndarray:
    _check_settings(settings, threads, implementation)
    rows = _checked_rows(X)
    fast = _use_native(rows, implementation)
    count = threads or _processors()
    done = [_batch(rows, batch, settings, count, fast) for batch in _batches(runs)]
    return np.concatenate(done) if done else np.empty((0, rows.shape[1]), _weight_dtype(rows))


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(runs: Iterable[SgdRun]) -> Iterator[list[SgdRun]]:
    remaining = iter(runs)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _batch(rows: Rows, runs: Sequence[SgdRun], settings: Settings, threads: int, fast: bool) -> np.ndarray:
    checked = [_checked_run(rows, run) for run in runs]
    orders, targets = [order for order, _, _ in checked], [target for _, target, _ in checked]
    w = np.stack([start for _, _, start in checked])
    failed = _train(rows, orders, targets, w, settings, threads, fast)
    for run, (order, step) in enumerate(zip(orders, failed, strict=True)):
        if step >= 0 or not np.isfinite(w[run]).all():
            _explain(rows, order, step, settings)
    return w


def _train(
    rows: Rows,
    orders: list[np.ndarray],
    targets: list[np.ndarray],
    w: np.ndarray,
    settings: Settings,
    threads: int,
    fast: bool,
) -> list[int]:
    """Train the rows of w in place; for each, -1 or the step that failed."""
    if fast:
        from mathdnn.native.sgd import sgd_runs

        return sgd_runs(rows, orders, targets, w, **asdict(settings), threads=threads)
    if threads == 1 or len(orders) == 1:
        return [literal(rows, target, order, v, settings) for target, order, v in zip(targets, orders, w, strict=True)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda target, order, v: literal(rows, target, order, v, settings), targets, orders, w))


def _explain(rows: Rows, order: np.ndarray, step: int, settings: Settings) -> None:
    """Say why a score was not finite: the data, or the step size. Looked for only now: it costs nothing before."""
    if step >= 0 and rows.dtype != np.uint8 and not np.isfinite(rows[order[step]]).all():
        row = int(order[step])
        column = int(np.flatnonzero(~np.isfinite(rows[row]))[0])
        value = f"{rows[row, column]} in row {row}, column {column}"
        raise InvalidInput(sentence("sgd(X=...)", "finite numbers", value, "remove or replace it"))
    at = f"step {step + 1}" if step >= 0 else f"step {order.size}, the last"
    raise Diverged(
        sentence(
            f"sgd(loss={settings.loss!r}, lr={settings.lr:g})",
            "weights that stay finite",
            f"a score or weights that are not at {at} of {order.size}",
            "take a smaller lr, or scale the data",
        )
    )


def _weight_dtype(rows: np.ndarray) -> np.dtype[np.floating]:
    return np.dtype(np.float64 if rows.dtype == np.float64 else np.float32)


def _use_native(rows: np.ndarray, implementation: str) -> bool:
    if implementation == "native" and rows.dtype == np.float64:
        _refuse("sgd(implementation='native')", "float32 or uint8 rows", "float64", "convert X, or take 'literal'")
    if implementation == "native" and not native.available():
        _refuse("sgd(implementation='native')", "the compiled kernels", "an installation without", "take 'literal'")
    return implementation != "literal" and rows.dtype != np.float64 and native.available()


def _check_settings(settings: Settings, threads: int | None, implementation: str) -> None:
    for name, value, choices in (
        ("loss", settings.loss, LOSSES),
        ("decay", settings.decay, DECAYS),
        ("implementation", implementation, IMPLEMENTATIONS),
    ):
        if value not in choices:
            _refuse(f"sgd({name}=...)", f"one of {', '.join(choices)}", repr(value), "choose one of them")
    if not (_is_real(settings.lr) and 0 < settings.lr < math.inf):
        _refuse("sgd(lr=...)", "a finite number above 0", repr(settings.lr), "choose a step")
    if not (_is_real(settings.weight_decay) and 0 <= settings.weight_decay < math.inf):
        _refuse("sgd(weight_decay=...)", "a finite number from 0", repr(settings.weight_decay), "choose another")
    if not isinstance(settings.steps_before, int | np.integer) or settings.steps_before < 0:
        _refuse("sgd(steps_before=...)", "a whole number from 0", repr(settings.steps_before), "choose another")
    if threads is not None and (not isinstance(threads, int | np.integer) or threads < 1):
        _refuse("sgd_many(threads=...)", "None or a whole number from 1", repr(threads), "choose another")


def _is_real(value: object) -> bool:
    return isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)


def _checked_rows(X: Rows) -> Rows:
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        got = f"shape {X.shape}" if isinstance(X, np.ndarray) else type(X).__name__
        _refuse("sgd(X=...)", "an array of n rows and d columns", got, "reshape it")
    if X.dtype.newbyteorder("=") not in (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.uint8)):
        _refuse("sgd(X=...)", "float32, float64 or uint8", f"dtype {X.dtype}", "convert it")
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def _checked_run(rows: Rows, run: SgdRun) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The run's order, flat, its labels along that order, and a fresh copy of its initial weights."""
    n, d = rows.shape
    order, y, w0 = np.asarray(run.order), np.asarray(run.y), np.asarray(run.w0)
    if order.ndim != 2 or order.dtype.kind not in "iu":
        _refuse(
            "sgd(order=...)", "whole numbers (epochs, n)", f"shape {order.shape}, dtype {order.dtype}", "reshape it"
        )
    if order.size and not (order.min() >= 0 and order.max() < n):
        _refuse("sgd(order=...)", f"rows 0 to {n - 1}", f"{order.min()} to {order.max()}", "leave the others out")
    if y.shape != (n,):
        _refuse("sgd(y=...)", f"{n} labels, one a row", f"shape {y.shape}", "give one label a row")
    if w0.shape != (d,) or w0.dtype.kind != "f" or not np.isfinite(w0).all():
        _refuse("sgd(w0=...)", f"{d} finite floats", f"shape {w0.shape}, dtype {w0.dtype}", "give one weight a column")
    flat = order.astype(np.int64, copy=False).ravel()
    targets = y[flat].astype(_weight_dtype(rows))
    if not (np.abs(targets) == 1).all():
        wrong = targets[np.abs(targets) != 1][0]
        _refuse("sgd(y=...)", "labels -1 and +1", f"{wrong:g}", "map the two classes to -1 and +1")
    return flat, targets, w0.astype(_weight_dtype(rows))


def _refuse(who: str, expected: str, got: str, do: str) -> None:
    raise InvalidInput(sentence(who, expected, got, do))
