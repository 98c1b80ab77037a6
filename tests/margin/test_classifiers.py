"""The estimators: scikit-learn's own checks, the homework's conventions, and the sums of LeCun et al. 1998."""

from __future__ import annotations

import pickle
import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.oracles.margin import pairwise_scores

from mathdnn.errors import Diverged, InvalidInput
from mathdnn.margin import LOSSES, MarginClassifier, PairwiseLinearClassifier, sgd, sigmoid
from mathdnn.margin.classes import _two_whole_numbers, two_classes
from mathdnn.margin.classifier import training_rows
from mathdnn.margin.pairwise import unit_output

ESTIMATORS = [
    MarginClassifier(),
    MarginClassifier("sum_of_squares"),
    MarginClassifier("hinge", fit_intercept=True),
    PairwiseLinearClassifier(),
    PairwiseLinearClassifier("sum_of_squares", n_jobs=2),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_own_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # the checks provoke scikit-learn's own warnings
        check(estimator)


def blobs(rng: np.random.Generator, k: int = 2, n: int = 300, d: int = 5):
    """k clouds of points and their class names."""
    y = rng.integers(0, k, n)
    X = rng.normal(size=(k, d))[y] * 3 + rng.normal(size=(n, d))
    return X.astype(np.float32), np.array([f"class {i}" for i in range(k)])[y]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns(loss, rng):
    X, y = blobs(rng)
    model = MarginClassifier(loss, lr=0.01, epochs=5, fit_intercept=True, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.9
    assert len(model.loss_curve_) == 5
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert (model.coef_.shape, model.intercept_.shape, model.t_) == ((1, 5), (1,), 1500)


@pytest.mark.parametrize("kind", [MarginClassifier, PairwiseLinearClassifier])
def test_only_an_intercept_can_part_one_sided_data(kind):
    X = np.linspace(1, 2, 200)[:, None]
    settings = {"lr": 0.1, "epochs": 50, "random_state": 0}
    assert kind(fit_intercept=True, **settings).fit(X, X[:, 0] > 1.5).score(X, X[:, 0] > 1.5) > 0.95
    assert kind(**settings).fit(X, X[:, 0] > 1.5).score(X, X[:, 0] > 1.5) == 0.5


def test_fit_is_the_sgd_of_its_draws(rng):
    X, y = blobs(rng)
    model = MarginClassifier(epochs=2, random_state=7).fit(X, y)
    draws = np.random.RandomState(7)
    w0 = draws.uniform(-(5**-0.5), 5**-0.5, 5).astype(np.float32)
    order = np.stack([draws.permutation(300), draws.permutation(300)])
    labels = np.where(y == "class 1", 1.0, -1.0)
    np.testing.assert_array_equal(model.coef_[0], sgd(X, labels, order, loss="logistic", lr=255e-4, w0=w0))
    assert model.intercept_.tolist() == [0.0]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_curve_is_the_mean_loss_of_the_examples_as_they_were_met(loss, rng):
    X, y = blobs(rng, n=30)
    model = MarginClassifier(loss, lr=0.01, epochs=2, random_state=7).fit(X, y)
    draws, labels, curve = np.random.RandomState(7), np.where(y == "class 1", 1.0, -1.0), []
    w = draws.uniform(-(5**-0.5), 5**-0.5, 5)
    for _ in range(2):
        met = []
        for i in draws.permutation(30):
            met.append(LOSSES[loss].value(labels[i] * (w @ X[i])))
            w = w - 0.01 * labels[i] * LOSSES[loss].derivative(labels[i] * (w @ X[i])) * X[i]
        curve.append(np.mean(met))
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("bad", "said"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "-inf")])
@pytest.mark.parametrize("kind", [MarginClassifier, PairwiseLinearClassifier])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(kind, bad, said, dtype, rng):
    X, y = blobs(rng, n=200)
    good = kind(random_state=0, fit_intercept=True).fit(X, y)
    for row, column in ((0, 0), (199, 4), (70, 2)):
        wrong = X.astype(dtype)
        wrong[row, column] = bad
        got = f"expected finite numbers, got {said} in row {row}, column {column}; remove or replace it."
        with pytest.raises(InvalidInput, match=f"^{re.escape(f'fit(X=...): {got}')}$"):
            kind(random_state=0).fit(wrong, y)
        with pytest.raises(InvalidInput, match=f"^{re.escape(f'predict(X=...): {got}')}$"):
            good.predict(wrong)
        if kind is MarginClassifier:
            with pytest.raises(InvalidInput, match=f"^{re.escape(f'partial_fit(X=...): {got}')}$"):
                clone(good).partial_fit(wrong, y)
    wrong = X.astype(np.float64)
    wrong[3, 1] = bad
    wrong[5, 1] = 1e300  # what is not a number comes before what is too large, and before a step that is
    with pytest.raises(InvalidInput, match=f"got {said} in row 3, column 1"):
        kind("squared_hinge", lr=1e6).fit(wrong, y)


@pytest.mark.parametrize("kind", [MarginClassifier, PairwiseLinearClassifier])
def test_numbers_without_a_finite_score_are_not_predicted(kind, rng):
    X, y = blobs(rng, n=200)
    model = kind(random_state=0).fit(X, y)
    large = np.zeros_like(X, dtype=np.float64)
    large[150] = 1.7e308 * np.sign(rng.normal(size=X.shape[1]))
    said = "predict(X=...): expected numbers with a finite score, got another in row 150; scale the data as for fit."
    assert model.predict(1e-100 * large).shape == (200,)
    weights = model.coef_ if kind is MarginClassifier else model.pair_coef_
    weights[:] = 3 * np.sign(large[150])
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        model.predict(large)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.int64, np.float32, np.float64, str])
def test_the_two_classes_are_those_of_unique(dtype):
    for labels in ([0, 1, 1, 0], [1, 0], [1, 1, 0]):
        y = np.array(labels).astype(dtype)
        found = two_classes(y)
        np.testing.assert_array_equal(found, np.unique(y))
        assert found.dtype == np.unique(y).dtype
    for labels in ([0.5, 1.0], [0, 1, 2], [1, 1]):
        with pytest.raises(ValueError, match=r"Unknown label type|two classes"):
            two_classes(np.array(labels))
    assert _two_whole_numbers(np.array([1.0, np.inf])) is None


def test_the_same_seed_gives_the_same_weights_and_another_other_ones(rng):
    X, y = blobs(rng, k=3)
    first, again, other = (PairwiseLinearClassifier(random_state=seed).fit(X, y).pair_coef_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_threads_change_no_bit(rng):
    X, y = blobs(rng, k=6)
    models = [PairwiseLinearClassifier(random_state=0, n_jobs=jobs).fit(X, y) for jobs in (None, 2, 5)]
    for model in models[1:]:
        assert model.pair_coef_.tobytes() == models[0].pair_coef_.tobytes()


def test_a_tie_is_predicted_as_the_first_class(rng):
    X, y = blobs(rng)
    model = MarginClassifier(random_state=0).fit(X, y)
    nothing = np.zeros((1, 5), np.float32)
    assert model.decision_function(nothing).tolist() == [0.0]
    assert model.predict(nothing).tolist() == ["class 0"]
    assert model.predict_proba(nothing).tolist() == [[0.5, 0.5]]
    assert PairwiseLinearClassifier(random_state=0).fit(X, y).predict(nothing).tolist() == ["class 0"]


def test_probabilities_are_the_sigma_of_the_score(rng):
    X, y = blobs(rng)
    for loss, slope in (("logistic", 1), ("sum_of_squares", 1), ("exponential", 2)):
        model = MarginClassifier(loss, lr=1e-3, random_state=0).fit(X, y)
        z = model.decision_function(X)
        np.testing.assert_array_equal(model.predict_proba(X), np.stack([sigmoid(-slope * z), sigmoid(slope * z)], 1))
    assert not hasattr(MarginClassifier("hinge").fit(X, y), "predict_proba")


def test_partial_fit_goes_on_where_fit_stopped(rng):
    X, y = blobs(rng)
    settings = {"decay": "inverse", "lr": 1.0, "fit_intercept": True, "random_state": 3}
    whole = MarginClassifier(epochs=3, **settings).fit(X, y)
    steps = MarginClassifier(epochs=1, **settings).fit(X, y).partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(steps.coef_, whole.coef_)
    assert (steps.t_, steps.loss_curve_) == (900, whole.loss_curve_)
    first = MarginClassifier(**settings).partial_fit(X[:1], y[:1], classes=["class 0", "class 1"])
    assert first.t_ == 1
    sentence = "partial_fit(y=...): expected the classes 'class 0' and 'class 1', got the label 'other'; name both at "
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}first, as y has them\\.$"):
        first.partial_fit(X[:1], ["other"])


def test_labels_that_are_numbers_are_told_from_text():
    words = "partial_fit(y=...): expected the classes '0' and '1', got the label 0; name both at first, as y has them."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        MarginClassifier().partial_fit([[1.0], [2.0]], [0, 1], classes=["0", "1"])


@pytest.mark.parametrize("classes", [5, [0], [0, 1, 2], [None, 1], [[0], [1, 2]]])
def test_classes_that_are_not_two_are_one_sentence(classes):
    words = f"partial_fit(classes=...): expected two classes, got {classes!r}; name both, as y has them."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        MarginClassifier().partial_fit([[1.0], [2.0]], [0, 1], classes=classes)


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_later_classes_must_be_the_first_ones(begin, rng):
    X, y = blobs(rng)
    model, twin = MarginClassifier(random_state=3), MarginClassifier(random_state=3)
    for one in (model, twin):
        one.fit(X, y) if begin == "fit" else one.partial_fit(X, y, classes=["class 1", "class 0"])
    before = "partial_fit(classes=...): expected the classes of the first call, 'class 0' and 'class 1', got "
    for other in (["class 0", "class 2"], ["class 0"], ["class 0", "class 1", "class 2"], [0, 1], [], [[0], [1, 2]]):
        words = f"{before}{other!r:.60}; leave them out, or begin with another classifier."
        with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
            model.partial_fit(X, y, classes=other)
    for same in (["class 0", "class 1"], ["class 1", "class 0"], np.unique(y), None):
        model.partial_fit(X, y, classes=same)
        twin.partial_fit(X, y)
    np.testing.assert_array_equal(model.coef_, twin.coef_)


@pytest.mark.parametrize("loss", LOSSES)
def test_pairwise_scores_are_lecuns_sums(loss, rng):
    X, y = blobs(rng, k=4)
    model = PairwiseLinearClassifier(loss, lr=3e-3, epochs=10, random_state=0, fit_intercept=True).fit(X, y)
    z = X.astype(np.float64) @ model.pair_coef_.T + model.pair_intercept_
    outputs = {(i, j): unit_output(loss, z[:, unit]) for unit, (i, j) in enumerate(model.pairs_.tolist())}
    expected = pairwise_scores(outputs, 4)
    np.testing.assert_allclose(model.decision_function(X), expected, atol=1e-12)
    assert (model.predict(X) == model.classes_[expected.argmax(axis=1)]).all()
    flipped = pairwise_scores({pair: -output for pair, output in outputs.items()}, 4)  # the saboteur: signs swapped
    assert np.abs(model.decision_function(X) - flipped).max() > 1
    assert model.score(X, y) > 0.8


def test_the_sum_of_squares_is_half_the_squared_error_of_the_unit_output():
    z = np.linspace(-30, 30, 601)
    for y in (-1, 1):
        half = (y - unit_output("sum_of_squares", z)) ** 2 / 2
        np.testing.assert_allclose(LOSSES["sum_of_squares"].value(y * z), half, atol=1e-15)


def test_two_classes_of_the_pairwise_classifier_are_one_unit(rng):
    X, y = blobs(rng)
    model = PairwiseLinearClassifier(random_state=0).fit(X, y)
    assert model.pair_coef_.shape == (1, 5)
    score = model.decision_function(X)
    assert score.shape == (300,)
    assert (model.predict(X) == np.where(score > 0, "class 1", "class 0")).all()
    assert model.score(X, y) > 0.9


def test_they_clone_pickle_and_stand_in_a_pipeline(rng):
    X, y = blobs(rng, k=3)
    pipeline = make_pipeline(StandardScaler(), PairwiseLinearClassifier(random_state=0)).fit(X, y)
    assert (pickle.loads(pickle.dumps(pipeline)).predict(X) == pipeline.predict(X)).all()
    assert clone(MarginClassifier("hinge", lr=0.5)).get_params()["lr"] == 0.5


def test_misuse_is_refused_in_one_sentence(rng):
    X, y = blobs(rng, k=3)
    two, more, one = MarginClassifier(), PairwiseLinearClassifier(), y[:1].repeat(300)
    binary = "3. Only binary classification is supported. The type of the target is multiclass"
    for model, labels, who, expected, got, do in (
        (two, y, "MarginClassifier(y=...)", "two classes", binary, "take PairwiseLinearClassifier for more"),
        (two, one, "MarginClassifier(y=...)", "two classes", "1 class", "give examples of both"),
        (more, one, "PairwiseLinearClassifier(y=...)", "two or more classes", "1 class", "give examples of the others"),
        (
            clone(two).set_params(epochs=0),
            y,
            "MarginClassifier(epochs=...)",
            "a whole number from 1",
            "0",
            "choose another",
        ),
        (PairwiseLinearClassifier(lr=-1), y, "sgd(lr=...)", "a finite number above 0", "-1", "choose a step"),
        (
            PairwiseLinearClassifier(shuffle="no"),
            y,
            "PairwiseLinearClassifier(shuffle=...)",
            "True or False",
            "'no'",
            "choose one of them",
        ),
        (
            PairwiseLinearClassifier(n_jobs="all"),
            y,
            "PairwiseLinearClassifier(n_jobs=...)",
            "None or a whole number other than 0",
            "'all'",
            "give the number of threads, or -1 for all processors",
        ),
    ):
        with pytest.raises(InvalidInput, match=f"^{re.escape(f'{who}: expected {expected}, got {got}; {do}.')}$"):
            model.fit(X, labels)
    sentence = "fit(X=...): expected numbers within float32, below 3.4e38, got 1e+300; scale the data."
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        MarginClassifier().fit([[1e300], [1.0]], [0, 1])


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_a_text_is_no_truth_value(learn):
    sentence = "MarginClassifier(fit_intercept=...): expected True or False, got 'no'; choose one of them."
    with pytest.raises(InvalidInput, match=f"^{re.escape(sentence)}$"):
        getattr(MarginClassifier(fit_intercept="no"), learn)([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", [MarginClassifier, PairwiseLinearClassifier])
def test_the_memorys_layout_changes_no_bit(model, dtype, rng):
    X = rng.random((200, 783)).astype(dtype)
    fitted = model(random_state=0).fit(X, rng.integers(0, 2, 200))
    np.testing.assert_array_equal(fitted.decision_function(np.asfortranarray(X)), fitted.decision_function(X))


def test_divergence_is_an_error_not_a_model(rng):
    X, y = blobs(rng)
    sentence = (
        r"sgd\(loss='squared_hinge', lr=1e\+06\): .* not at step \d+ of 300; take a smaller lr, or scale the data\."
    )
    with pytest.raises(Diverged, match=f"^{sentence}$"):
        MarginClassifier("squared_hinge", lr=1e6, random_state=0).fit(X, y)


def test_importing_the_room_leaves_scikit_learn_alone():
    import subprocess
    import sys

    code = "import sys, mathdnn.margin; assert not {'sklearn', 'torch', 'scipy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_rows_that_have_to_be_copied_begin_where_the_kernels_read_them_fastest(rng):
    X = rng.random((6, 5))
    rows = training_rows(X, 2)  # any truth value, as before
    assert rows.ctypes.data % 64 == rows.strides[0] % 64 == 0
    np.testing.assert_array_equal(rows, np.column_stack([X.astype(np.float32), np.ones(6, np.float32)]))
    as_given = X.astype(np.float32)
    assert training_rows(as_given, False) is as_given


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_training_that_fails_leaves_the_model_as_it_was(learn, rng):
    X, y = blobs(rng)
    model = MarginClassifier("exponential", lr=0.01, random_state=0).fit(X, y)
    twin = MarginClassifier("exponential", lr=0.01, random_state=0).fit(X, y)
    before = pickle.dumps(model)
    model.lr = 1e30
    other = np.where(y == y[0], "a", "b") if learn == "fit" else y
    with pytest.raises(Diverged, match=r"^sgd\(loss='exponential', lr=1e\+30\)"):
        getattr(model, learn)(X, other)
    broken = X.copy()
    broken[7, 2] = np.nan
    with pytest.raises(InvalidInput, match=rf"^{learn}\(X=...\): expected finite numbers, got NaN in row 7, column 2"):
        getattr(model, learn)(broken, other)
    if learn == "fit":
        with pytest.raises(InvalidInput, match="two classes, got 1 class"):
            model.fit(X[:, :3], np.zeros(len(X)))
    model.lr = 0.01
    assert pickle.dumps(model) == before
    assert np.array_equal(model.partial_fit(X, y).coef_, twin.partial_fit(X, y).coef_)
    assert model.loss_curve_ == twin.loss_curve_


def test_a_first_partial_fit_that_fails_leaves_no_fitted_model(rng):
    X, y = blobs(rng)
    model = MarginClassifier("exponential", lr=1e30)
    before = dict(vars(model))
    with pytest.raises(Diverged, match=r"^sgd\(loss='exponential', lr=1e\+30\)"):
        model.partial_fit(X, y)
    assert vars(model) == before


def test_a_failed_fit_leaves_the_pairwise_model_as_it_was(rng):
    X, y = blobs(rng, k=3)
    model = PairwiseLinearClassifier(random_state=0).fit(X, y)
    before = pickle.dumps(model)
    with pytest.raises(InvalidInput, match="two or more classes, got 1 class"):
        model.fit(X[:, :3], np.zeros(len(X)))
    assert pickle.dumps(model) == before
    assert model.score(X, y) > 0.5


def test_a_numpy_number_of_threads_is_a_number_of_threads(rng):
    X, y = blobs(rng, k=3)
    jobs = [PairwiseLinearClassifier(random_state=0, n_jobs=n).fit(X, y).pair_coef_ for n in (2, np.int64(2))]
    assert np.array_equal(*jobs)


@pytest.mark.parametrize("kind", [MarginClassifier, PairwiseLinearClassifier])
def test_a_loss_that_is_no_name_is_refused_in_one_sentence(kind, rng):
    X, y = blobs(rng)
    with pytest.raises(InvalidInput, match=r"loss(=...)?\): expected one of .*, got \['x'\]; choose one of them\.$"):
        kind(["x"]).fit(X, y)
    assert not hasattr(kind(["x"]), "predict_proba")
