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

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from mathdnn import native
from mathdnn.errors import Diverged, InvalidInput, sentence
from mathdnn.margin.losses import LOSSES
from mathdnn.margin.run import (
    Implementation,
    Settings,
    SgdRun,
    check_settings,
    check_visits,
    checked_rows,
    checked_run,
    refuse,
    weight_dtype,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from mathdnn.margin.run import Rows

BATCH = 64  # runs whose orders lie in memory at once: 64 x 12,000 row numbers are 6 MB


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
    settings = Settings(loss, lr, weight_decay, decay, steps_before)
    check_settings(settings, 1, implementation)
    rows = checked_rows(X)
    weights: np.ndarray = _batch(rows, [SgdRun(y, order, w0)], settings, 1, _use_native(rows, implementation))[0]
    return weights


def sgd_and_scores(
    X: Rows, run: SgdRun, settings: Settings, implementation: Implementation = "auto"
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " steps"]]:
    """What `sgd` gives, and the score that each step met, before it: z of the formula above. Raises as `sgd` does."""
    check_settings(settings, 1, implementation)
    rows = checked_rows(X)
    scores = np.empty(np.size(run.order), weight_dtype(rows))
    return _batch(rows, [run], settings, 1, _use_native(rows, implementation), [scores])[0], scores


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
    labels: Float[np.ndarray, " n"],
    order: Int[np.ndarray, " steps"],
    w: Float[np.ndarray, " d"],
    settings: Settings,
    scores: Float[np.ndarray, " steps"] | None = None,
) -> int:
    """The specification: trains w in place; returns -1, or the first 0-based step whose score was not finite."""
    derivative = LOSSES[settings.loss].derivative
    number = w.dtype.type
    with np.errstate(over="ignore", invalid="ignore"):
        for t, i in enumerate(order):
            x = X[i] if X.dtype == w.dtype else X[i].astype(w.dtype) / number(255)
            y = labels[i]
            z = w @ x
            if not np.isfinite(z):
                return t
            if scores is not None:
                scores[t] = z
            eta = settings.rate(t + 1)
            w *= number(1 - eta * settings.weight_decay)
            w -= number(eta) * y * derivative(y * z) * x
    return -1


def _many(X: Rows, runs: Iterable[SgdRun], settings: Settings, threads: int | None, implementation: str) -> np.ndarray:
    check_settings(settings, threads, implementation)
    rows = checked_rows(X)
    fast = _use_native(rows, implementation)
    count = threads or _processors()
    done = [_batch(rows, batch, settings, count, fast) for batch in _batches(runs)]
    return np.concatenate(done) if done else np.empty((0, rows.shape[1]), weight_dtype(rows))


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(runs: Iterable[SgdRun]) -> Iterator[list[SgdRun]]:
    if not isinstance(runs, Iterable):
        refuse("sgd_many(runs=...)", "runs that are each a SgdRun", f"a {type(runs).__name__}", "put them into a list")
    remaining = iter(runs)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _batch(
    rows: Rows,
    runs: Sequence[SgdRun],
    settings: Settings,
    threads: int,
    fast: bool,
    scores: Sequence[np.ndarray] = (),
) -> np.ndarray:
    checked = [checked_run(rows, run) for run in runs]
    orders, labels = [order for order, _, _ in checked], [label for _, label, _ in checked]
    w = np.stack([start for _, _, start in checked])
    failed = _train(rows, orders, labels, w, settings, threads, fast, scores)
    if max(failed) >= 0 or not np.isfinite(w).all():
        for run, (order, step) in enumerate(zip(orders, failed, strict=True)):
            if step >= 0 or not np.isfinite(w[run]).all():
                _explain(rows, order, step, settings)
    return w


def _train(
    rows: Rows,
    orders: list[np.ndarray],
    labels: list[np.ndarray],
    w: np.ndarray,
    settings: Settings,
    threads: int,
    fast: bool,
    scores: Sequence[np.ndarray],
) -> list[int]:
    """Train the rows of w in place; for each, -1 or the step that failed."""
    if fast:
        from mathdnn.native.sgd import sgd_runs

        try:
            return sgd_runs(rows, orders, labels, w, scores=scores, **vars(settings), threads=threads)
        except InvalidInput:  # found by the compiled check, before the first step; said here in the caller's words
            check_visits(orders, labels)
            raise
    check_visits(orders, labels)

    def train(run: int) -> int:
        return literal(rows, labels[run], orders[run], w[run], settings, scores[run] if scores else None)

    if threads == 1 or len(orders) == 1:
        return list(map(train, range(len(orders))))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(train, range(len(orders))))


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
            f"take a smaller lr{' or weight_decay' if settings.weight_decay else ''}, or scale the data",
        )
    )


def _use_native(rows: np.ndarray, implementation: str) -> bool:
    if implementation == "native" and rows.dtype == np.float64:
        refuse("sgd(implementation='native')", "float32 or uint8 rows", "float64", "convert X, or take 'literal'")
    if implementation == "native" and not native.available():
        refuse("sgd(implementation='native')", "the compiled kernels", "an installation without", "take 'literal'")
    return implementation != "literal" and rows.dtype != np.float64 and native.available()
