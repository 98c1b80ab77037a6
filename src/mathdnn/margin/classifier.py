"""A binary linear classifier on a margin loss, trained by batch-1 SGD: scikit-learn's contract around `sgd`.

    z = w . x + b;   y = -1 for classes_[0], +1 for classes_[1];   the loss l(y z) of `mathdnn.margin.losses`

Initial weights (and b, where there is one) are uniform in +-1/sqrt(d), torch's default of a linear layer; the intercept
is a weight on a column of ones, and decays as the others do. Source: homework 4 problem 5 of M1407.001200.

Ties: z = 0 is predicted as classes_[0], as scikit-learn's linear classifiers do, and predict_proba gives 1/2 each. The
homework counts a tie as right whichever the label: that is `mathdnn.margin.right`.

Trained in float32, by the compiled kernel where there is one; coef_ holds the same numbers as float64, and scores are
computed in float64.

NaN and infinite data are found without a pass of their own: each row is visited in an epoch, and a row that holds one
has a score that is not finite, whatever the weights (0 times infinity is NaN too), at which training stops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from mathdnn.errors import Diverged, InvalidInput, sentence
from mathdnn.margin.classes import check_known, check_same, named_classes, signs, two_classes
from mathdnn.margin.fitting import all_or_nothing, check_epochs, check_switches
from mathdnn.margin.losses import margin_loss, sigmoid
from mathdnn.margin.run import Implementation, Settings, SgdRun
from mathdnn.margin.sgd import sgd_and_scores
from mathdnn.native.memory import aligned_rows

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Shaped

# The score's slope in the model's log-odds: both losses are built on sigma(z), and the exponential loss is least, over
# all functions, at half the log-odds (Friedman, Hastie and Tibshirani 2000, lemma 1). The hinges give no probability.
LOG_ODDS = {"logistic": 1.0, "sum_of_squares": 1.0, "exponential": 2.0}
ROWS = 64  # rows scored at a time: their float64 copy stays in a core's cache up to some thousand columns


def _has_probability(model: MarginClassifier) -> bool:
    return isinstance(model.loss, str) and model.loss in LOG_ODDS


class MarginClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear classifier for two classes.

    loss: "logistic", "sum_of_squares", "hinge", "squared_hinge" or "exponential". lr: the step of a single example,
    255e-4 as in the homework (for inputs of about [0, 1]). decay: "constant", "inverse" (lr / t) or "inverse_sqrt".
    epochs: passes over the data, each in a new random order if `shuffle`. random_state: None, a seed or a RandomState.
    implementation: "auto", "native" or "literal", see `sgd`.

    After `fit`: classes_ (2,), coef_ (1, d), intercept_ (1,), n_features_in_, loss_curve_ (for each epoch the mean loss
    of the examples as they were met, each before its own step), t_ (steps taken). Raises `InvalidInput` (a ValueError)
    for unusable settings or data, `Diverged` where training leaves the finite numbers.
    """

    def __init__(
        self,
        loss: str = "logistic",
        *,
        lr: float = 255e-4,
        epochs: int = 1,
        shuffle: bool = True,
        fit_intercept: bool = False,
        weight_decay: float = 0.0,
        decay: str = "constant",
        random_state: int | np.random.RandomState | None = None,
        implementation: Implementation = "auto",
    ) -> None:
        self.loss = loss
        self.lr = lr
        self.epochs = epochs
        self.shuffle = shuffle
        self.fit_intercept = fit_intercept
        self.weight_decay = weight_decay
        self.decay = decay
        self.random_state = random_state
        self.implementation = implementation

    def fit(self, X: Float[np.ndarray, "n d"], y: Shaped[np.ndarray, " n"]) -> MarginClassifier:
        """Train from new initial weights. X (n, d) of finite numbers, y (n,) of two classes."""
        check_epochs("MarginClassifier", self.epochs)
        check_switches(self)
        with all_or_nothing(self):
            X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_all_finite=False)
            classes = two_classes(y)
            rows = training_rows(X, self.fit_intercept)
            rng = check_random_state(self.random_state)
            self._start(classes)
            with finite_data("fit", X):
                self._train(rows, signs(y, classes), initial_weights(rng, rows.shape[1], X.shape[1]), self.epochs, rng)
        return self

    def partial_fit(
        self,
        X: Float[np.ndarray, "n d"],
        y: Shaped[np.ndarray, " n"],
        classes: Shaped[np.ndarray, " 2"] | None = None,
    ) -> MarginClassifier:
        """One more epoch, on these examples, from the present weights.

        The first call needs `classes`, both of them; where a later one names some, they must be the same.
        """
        check_switches(self)
        with all_or_nothing(self):
            self._go_on(X, y, classes)
        return self

    def _go_on(self, X: Any, y: Any, classes: Any) -> None:
        first = not hasattr(self, "coef_")
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=first, ensure_all_finite=False)
        if not first and classes is not None:
            check_same(classes, self.classes_)
        if first:
            classes = two_classes(y) if classes is None else named_classes(classes)
        else:
            classes = self.classes_
        check_known(y, classes)
        rows = training_rows(X, self.fit_intercept)
        rng = check_random_state(self.random_state) if first else self._rng
        if first:
            self._start(classes)
        w = initial_weights(rng, rows.shape[1], X.shape[1]) if first else self._weights()
        with finite_data("partial_fit", X):
            self._train(rows, signs(y, classes), w, 1, rng)

    def _start(self, classes: np.ndarray) -> None:
        self.classes_ = classes
        self.t_ = 0
        self.loss_curve_: list[float] = []

    def _train(
        self, rows: Float32[np.ndarray, "n d"], y: np.ndarray, w: np.ndarray, epochs: int, rng: np.random.RandomState
    ) -> None:
        loss = margin_loss(self.loss)
        self.loss_curve_ = self.loss_curve_.copy()  # the list as it was stays whole, should this fail
        for order in orders(rng, len(rows), epochs, self.shuffle):
            settings = Settings(self.loss, self.lr, self.weight_decay, self.decay, self.t_)
            w, met = sgd_and_scores(rows, SgdRun(y, order, w), settings, self.implementation)
            self.t_ += order.size
            self.loss_curve_.append(float(loss.value(y[order[0]] * met.astype(np.float64)).mean()))
        d = self.n_features_in_
        self.coef_ = w[None, :d].astype(np.float64)
        self.intercept_ = w[d:].astype(np.float64) if self.fit_intercept else np.zeros(1)
        self._rng = rng  # partial_fit draws on

    def _weights(self) -> Float32[np.ndarray, " d"]:
        intercept = self.intercept_ if self.fit_intercept else np.empty(0)
        return np.concatenate([self.coef_[0], intercept]).astype(np.float32)

    def decision_function(self, X: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """The scores z (n,), positive for classes_[1]."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False, ensure_all_finite=False)
        return scores(X, self.coef_, self.intercept_)[:, 0]

    def predict(self, X: Float[np.ndarray, "n d"]) -> Shaped[np.ndarray, " n"]:
        """classes_[1] where z > 0, else classes_[0]."""
        z = self.decision_function(X)
        chosen: np.ndarray = self.classes_[(z > 0).astype(int)]
        return chosen

    @available_if(_has_probability)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 2"]:
        """Probabilities (n, 2) of both classes: sigma(-z), sigma(z); sigma of 2 z for the exponential loss.

        The hinges have none.
        """
        z = LOG_ODDS[self.loss] * self.decision_function(X)
        return np.stack([sigmoid(-z), sigmoid(z)], axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def training_rows(X: np.ndarray, fit_intercept: bool) -> Float32[np.ndarray, "n d"]:
    """X in float32, with a column of ones for the intercept; infinite where a number is too large."""
    if X.dtype == np.float32 and not fit_intercept:
        return X
    n, d = X.shape
    rows = aligned_rows(n, d + bool(fit_intercept))
    with np.errstate(over="ignore"):
        rows[:, :d] = X
    rows[:, d:] = 1
    return rows


@contextmanager
def finite_data(who: str, X: np.ndarray) -> Iterator[None]:
    """Where training on X fails, X is looked at: a number that cannot be used is the reason, whatever came of it."""
    try:
        yield
    except (Diverged, InvalidInput):
        check_finite(who, X)
        with np.errstate(over="ignore"):
            too_large = np.isinf(X.astype(np.float32, copy=False))
        if too_large.any():
            largest = f"{np.abs(X).max():.3g}"
            expected = "numbers within float32, below 3.4e38"
            raise InvalidInput(sentence(f"{who}(X=...)", expected, largest, "scale the data")) from None
        raise


def check_finite(who: str, X: np.ndarray, first_row: int = 0) -> None:
    """Raise `InvalidInput` with the first number that is not finite. The rows are counted from `first_row`."""
    finite = np.isfinite(X)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        value = "NaN" if np.isnan(X[row, column]) else f"{X[row, column]}"
        got = f"{value} in row {first_row + row}, column {column}"
        raise InvalidInput(sentence(f"{who}(X=...)", "finite numbers", got, "remove or replace it")) from None


def initial_weights(rng: np.random.RandomState, count: int, d: int) -> Float32[np.ndarray, " count"]:
    """`count` weights uniform in +-1/sqrt(d)."""
    return rng.uniform(-(d**-0.5), d**-0.5, count).astype(np.float32)


def orders(rng: np.random.RandomState, n: int, epochs: int, shuffle: bool) -> Iterator[np.ndarray]:
    """One order (1, n) an epoch."""
    for _ in range(epochs):
        yield (rng.permutation(n) if shuffle else np.arange(n))[None]


def scores(X: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> Float[np.ndarray, "n outputs"]:
    """X coef^T + intercept in float64, some rows at a time. Raises `InvalidInput` for numbers or scores not finite."""
    z = np.empty((len(X), len(coef)))
    for start in range(0, len(X), ROWS):
        part = slice(start, start + ROWS)
        rows = X[part].astype(np.float64, order="C")  # another layout is summed in another order
        check_finite("predict", rows, start)
        with np.errstate(over="ignore", invalid="ignore"):
            z[part] = rows @ coef.T + intercept
    finite = np.isfinite(z).all(axis=1)
    if not finite.all():  # infinities of both signs would be NaN, and predicted as the first class
        got, do = f"another in row {int(np.argmin(finite))}", "scale the data as for fit"
        raise InvalidInput(sentence("predict(X=...)", "numbers with a finite score", got, do))
    return z
