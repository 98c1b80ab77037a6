"""A run of the SGD as values, and what is refused before it starts. `mathdnn.margin.sgd` says what a run computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

import numpy as np

from mathdnn.errors import InvalidInput, as_number, is_whole, sentence
from mathdnn.margin.losses import LOSSES

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

    Rows = Float[np.ndarray, "n d"] | UInt8[np.ndarray, "n d"]

Implementation = Literal["auto", "native", "literal"]
DECAYS = ("constant", "inverse", "inverse_sqrt")
IMPLEMENTATIONS = ("auto", "native", "literal")
MOST_STEPS = 1 << 53  # a float counts no further one by one
MOST_THREADS = 1 << 16  # heuristic: more than any machine runs at once


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


def weight_dtype(rows: np.ndarray) -> np.dtype[np.floating]:
    """The weights are float64 for float64 rows, else float32."""
    return np.dtype(np.float64 if rows.dtype == np.float64 else np.float32)


def check_settings(settings: Settings, threads: int | None, implementation: str) -> None:
    """Raise `InvalidInput` for a setting that cannot be."""
    for name, value, choices in (
        ("loss", settings.loss, LOSSES),
        ("decay", settings.decay, DECAYS),
        ("implementation", implementation, IMPLEMENTATIONS),
    ):
        if not isinstance(value, str) or value not in choices:
            refuse(f"sgd({name}=...)", f"one of {', '.join(choices)}", repr(value), "choose one of them")
    if not (_is_real(settings.lr) and 0 < as_number(settings.lr) < math.inf):
        refuse("sgd(lr=...)", "a finite number above 0", f"{settings.lr!r:.40}", "choose a step")
    if not (_is_real(settings.weight_decay) and 0 <= as_number(settings.weight_decay) < math.inf):
        refuse("sgd(weight_decay=...)", "a finite number from 0", f"{settings.weight_decay!r:.40}", "choose another")
    if not is_whole(settings.steps_before) or not 0 <= settings.steps_before <= MOST_STEPS:
        expected, got = "a whole number from 0 to 2^53", f"{settings.steps_before!r:.40}"
        refuse("sgd(steps_before=...)", expected, got, "choose another")
    if threads is not None and (not is_whole(threads) or not 1 <= threads <= MOST_THREADS):
        expected = f"None or a whole number from 1 to {MOST_THREADS:,}"
        refuse("sgd_many(threads=...)", expected, f"{threads!r:.40}", "choose another")


def _is_real(value: object) -> bool:
    return isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)


def checked_rows(X: Rows) -> Rows:
    """X in this machine's byte order. Raises `InvalidInput` unless it is a matrix of a known type."""
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        got = f"shape {X.shape}" if isinstance(X, np.ndarray) else type(X).__name__
        refuse("sgd(X=...)", "an array of n rows and d columns", got, "reshape it")
    if X.dtype.newbyteorder("=") not in (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.uint8)):
        refuse("sgd(X=...)", "float32, float64 or uint8", f"dtype {X.dtype}", "convert it")
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def checked_run(rows: Rows, run: SgdRun) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The run's order, flat, the labels of the rows, and a fresh copy of its initial weights."""
    n, d = rows.shape
    if not isinstance(run, SgdRun):
        refuse("sgd_many(runs=...)", "runs that are each a SgdRun", f"a {type(run).__name__}", "SgdRun(y, order, w0)")
    order, y, w0 = (_array(name, getattr(run, name)) for name in ("order", "y", "w0"))
    if order.ndim != 2 or order.dtype.kind not in "iu":
        refuse("sgd(order=...)", "whole numbers (epochs, n)", f"shape {order.shape}, dtype {order.dtype}", "reshape it")
    if y.shape != (n,):
        refuse("sgd(y=...)", f"{n} labels, one a row", f"shape {y.shape}", "give one label a row")
    if y.dtype.kind not in "biuf":
        refuse("sgd(y=...)", "labels -1 and +1", f"dtype {y.dtype}", "map the two classes to -1 and +1")
    dtype = weight_dtype(rows)
    if w0.shape != (d,) or w0.dtype.kind != "f" or not (np.abs(w0) <= np.finfo(dtype).max).all():
        got = f"shape {w0.shape}, dtype {w0.dtype}"
        refuse("sgd(w0=...)", f"{d} floats that are finite in {dtype}", got, "give one weight a column")
    return order.astype(np.int64, copy=False).ravel(), y.astype(dtype, copy=False), w0.astype(dtype)


def _array(name: str, values: object) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:
        refuse(f"sgd({name}=...)", "an array", "rows of several lengths", "make them equally long")


def check_visits(orders: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> None:
    """Raise `InvalidInput` for a row that does not exist, or one that is visited without a label of -1 or +1."""
    for order, y in zip(orders, labels, strict=True):
        if order.size and not (order.min() >= 0 and order.max() < len(y)):
            do = "leave the others out"
            refuse("sgd(order=...)", f"rows 0 to {len(y) - 1}", f"{order.min()} to {order.max()}", do)
        visited = y[order]
        if not (np.abs(visited) == 1).all():
            wrong = visited[np.abs(visited) != 1][0]
            refuse("sgd(y=...)", "labels -1 and +1", f"{wrong:g}", "map the two classes to -1 and +1")


def refuse(who: str, expected: str, got: str, do: str) -> NoReturn:
    """Raise `InvalidInput` with that sentence."""
    raise InvalidInput(sentence(who, expected, got, do))
