"""The pairwise linear classifier: one binary linear unit for each pair of classes.

    z           the score of unit i/j (i < j) at x, from a loss with y = +1 on class i and y = -1 on class j
    out(i/j)    the unit's output in [-1, 1], trained to +1 on class i and to -1 on class j
    score_i = sum_j out(i/j) - sum_j out(j/i);   the class with the highest score is predicted, the first of equal ones

Source: LeCun, Bottou, Bengio and Haffner 1998, section III.C.2 (45 units for ten digits, 7.6 % test error).

What out is depends on the loss, for it is the output that the loss drives to +-1. Sum of squares: with
out = 2 sigma(z) - 1 = tanh(z/2), the loss 2 sigma(-y z)^2 is (y - out)^2 / 2 to the letter. Logistic and exponential:
the mean of y under the unit's own probability, tanh(z/2) and tanh(z). Hinges: z cut at +-1, where the loss is content
and z says no more. Summing the scores z themselves lets one far-out unit overrule the others: on MNIST it doubles the
test error, from 7 to 14 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from mathdnn.errors import InvalidInput, is_whole, sentence
from mathdnn.margin.classifier import LOG_ODDS, finite_data, initial_weights, scores, training_rows
from mathdnn.margin.fitting import all_or_nothing, check_epochs, check_switches
from mathdnn.margin.run import Implementation, SgdRun
from mathdnn.margin.sgd import sgd_many

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped


class PairwiseLinearClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear classifier for two or more classes, made of one unit for each pair of them.

    The settings are those of `MarginClassifier`; every unit has its own initial weights and orders. n_jobs: threads, as
    scikit-learn counts them (None is 1, -1 all processors); they change no bit.

    After `fit`: classes_ (k,), pairs_ (units, 2) of indices (i, j) into classes_, pair_coef_ (units, d) and
    pair_intercept_ (units,), positive towards class i. Raises as `MarginClassifier` does.
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
        n_jobs: int | None = None,
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
        self.n_jobs = n_jobs
        self.implementation = implementation

    def fit(self, X: Float[np.ndarray, "n d"], y: Shaped[np.ndarray, " n"]) -> PairwiseLinearClassifier:
        """Train all units from new initial weights. X (n, d) of finite numbers, y (n,) of two or more classes."""
        check_epochs("PairwiseLinearClassifier", self.epochs)
        check_switches(self)
        if self.n_jobs is not None and (not is_whole(self.n_jobs) or self.n_jobs == 0):
            expected, do = "None or a whole number other than 0", "give the number of threads, or -1 for all processors"
            raise InvalidInput(sentence("PairwiseLinearClassifier(n_jobs=...)", expected, repr(self.n_jobs), do))
        with all_or_nothing(self):
            self._fit(X, y)
        return self

    def _fit(self, X: Any, y: Any) -> None:
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_all_finite=False)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            got, do = "1 class", "give examples of the others"
            raise InvalidInput(sentence("PairwiseLinearClassifier(y=...)", "two or more classes", got, do))
        rows = training_rows(X, self.fit_intercept)
        with finite_data("fit", X):
            units = sgd_many(
                rows, self._runs(labels, len(classes), rows.shape[1]), loss=self.loss, lr=self.lr,
                weight_decay=self.weight_decay, decay=self.decay, threads=effective_n_jobs(self.n_jobs),
                implementation=self.implementation,
            ).astype(np.float64)  # fmt: skip
        self.classes_ = classes
        self.pairs_ = np.array(list(combinations(range(len(classes)), 2)))
        self.pair_coef_ = units[:, : self.n_features_in_]
        self.pair_intercept_ = units[:, self.n_features_in_ :].sum(axis=1)

    def _runs(self, labels: np.ndarray, k: int, count: int) -> Iterator[SgdRun]:
        """One run a pair, drawn as it is needed."""
        rng = check_random_state(self.random_state)
        rows_of = [np.flatnonzero(labels == i) for i in range(k)]
        for i, j in combinations(range(k), 2):
            y = (labels == i).astype(np.int8) - (labels == j)
            rows = np.sort(np.concatenate([rows_of[i], rows_of[j]]))
            start = initial_weights(rng, count, self.n_features_in_)
            epochs = [rng.permutation(rows) if self.shuffle else rows for _ in range(self.epochs)]
            yield SgdRun(y, np.stack(epochs), start)

    def decision_function(self, X: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n ..."]:
        """The scores (n, k), between -(k - 1) and k - 1; for two classes (n,), the score of classes_[1]."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False, ensure_all_finite=False)
        outputs = unit_output(self.loss, scores(X, self.pair_coef_, self.pair_intercept_))
        total: np.ndarray = outputs @ pair_signs(self.pairs_, len(self.classes_))
        return total[:, 1] if len(self.classes_) == 2 else total

    def predict(self, X: Float[np.ndarray, "n d"]) -> Shaped[np.ndarray, " n"]:
        """The class with the highest score, the first of equal ones."""
        score = self.decision_function(X)
        chosen: np.ndarray = self.classes_[(score > 0).astype(int) if score.ndim == 1 else score.argmax(axis=1)]
        return chosen


def unit_output(loss: str, z: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """out in [-1, 1] for the score z of a unit, see the module."""
    if loss in LOG_ODDS:
        mean: np.ndarray = np.tanh(LOG_ODDS[loss] / 2 * z)
        return mean
    return np.asarray(np.clip(z, -1, 1))


def pair_signs(pairs: Int[np.ndarray, "units 2"], k: int) -> Float[np.ndarray, "units k"]:
    """+1 where unit i/j speaks for class i, -1 where it speaks against class j."""
    signs = np.zeros((len(pairs), k))
    signs[np.arange(len(pairs)), pairs[:, 0]] = 1
    signs[np.arange(len(pairs)), pairs[:, 1]] = -1
    return signs
