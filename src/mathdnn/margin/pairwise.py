"""The pairwise linear classifier: one binary linear unit for each pair of classes.

    out(i/j)    the score of unit i/j (i < j), trained to +1 on class i and to -1 on class j
    score_i = sum_j out(i/j) - sum_j out(j/i);   the class with the highest score is predicted, the first of equal ones

Source: LeCun, Bottou, Bengio and Haffner 1998, section III.C.2 (45 units for ten digits, 7.6 % test error). The scores
are sums of linear functions, so the trained classifier is one linear map: its rows are coef_.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from mathdnn.errors import InvalidInput, sentence
from mathdnn.margin.classifier import check_epochs, initial_weights, scores, training_rows
from mathdnn.margin.sgd import Implementation, SgdRun, sgd_many

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class PairwiseLinearClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear classifier for two or more classes, made of one unit for each pair of them.

    The settings are those of `MarginClassifier`; every unit has its own initial weights and orders. n_jobs: threads, as
    scikit-learn counts them (None is 1, -1 all processors); they change no bit.

    After `fit`: classes_ (k,), pairs_ (units, 2) of indices into classes_, pair_coef_ (units, d), pair_intercept_
    (units,), and the sums of these, coef_ (k, d) and intercept_ (k,); for two classes coef_ is (1, d), as scikit-learn
    has it. Raises as `MarginClassifier` does.
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
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64])
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            got, do = "1 class", "give examples of the others"
            raise InvalidInput(sentence("PairwiseLinearClassifier(y=...)", "two or more classes", got, do))
        rows = training_rows(X, self.fit_intercept)
        units = sgd_many(
            rows, self._runs(labels, len(classes), rows.shape[1]), loss=self.loss, lr=self.lr,
            weight_decay=self.weight_decay, decay=self.decay, threads=effective_n_jobs(self.n_jobs),
            implementation=self.implementation,
        ).astype(np.float64)  # fmt: skip
        self.classes_ = classes
        self.pairs_ = np.array(list(combinations(range(len(classes)), 2)))
        self._collect(units)
        return self

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

    def _collect(self, units: Float[np.ndarray, "units count"]) -> None:
        """score_i = sum_j out(i/j) - sum_j out(j/i), summed over the weights."""
        d, k = self.n_features_in_, len(self.classes_)
        total = np.zeros((k, units.shape[1]))
        np.add.at(total, self.pairs_[:, 0], units)
        np.subtract.at(total, self.pairs_[:, 1], units)
        if k == 2:
            total = total[1:]
        self.pair_coef_, self.pair_intercept_ = units[:, :d], units[:, d:].sum(axis=1)
        self.coef_, self.intercept_ = total[:, :d], total[:, d:].sum(axis=1)

    def decision_function(self, X: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n ..."]:
        """The scores (n, k); for two classes (n,), the score of classes_[1]."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        z = scores(X, self.coef_, self.intercept_)
        return z[:, 0] if len(self.classes_) == 2 else z

    def predict(self, X: Float[np.ndarray, "n d"]) -> Shaped[np.ndarray, " n"]:
        """The class with the highest score, the first of equal ones."""
        z = self.decision_function(X)
        chosen: np.ndarray = self.classes_[(z > 0).astype(int) if z.ndim == 1 else z.argmax(axis=1)]
        return chosen
