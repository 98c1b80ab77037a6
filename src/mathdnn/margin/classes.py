"""The two classes of a binary classifier, as labels name them: the first of them, sorted, is -1, the other +1."""

from __future__ import annotations

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from mathdnn.errors import InvalidInput, sentence


def two_classes(y: np.ndarray) -> np.ndarray:
    """The two classes, sorted. Raises `InvalidInput` for any other number of them."""
    if (both := _two_whole_numbers(y)) is not None:
        return both
    check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) == 2:
        return classes
    if len(classes) > 2:
        # the second sentence is scikit-learn's own
        got = f"{len(classes)}. Only binary classification is supported. The type of the target is {type_of_target(y)}"
        raise InvalidInput(
            sentence("MarginClassifier(y=...)", "two classes", got, "take PairwiseLinearClassifier for more")
        )
    raise InvalidInput(sentence("MarginClassifier(y=...)", "two classes", "1 class", "give examples of both"))


def _two_whole_numbers(y: np.ndarray) -> np.ndarray | None:
    """What np.unique gives for labels of two whole numbers, without sorting; None for all others."""
    if y.dtype.kind not in "biuf" or y.ndim != 1 or y.size == 0:
        return None
    both = np.array([y.min(), y.max()])
    if (
        both[0] == both[1]
        or not (np.isfinite(both) & (both == np.floor(both))).all()
        or not ((y == both[0]) | (y == both[1])).all()
    ):
        return None
    return both


def named_classes(given: object) -> np.ndarray:
    """The two classes that `partial_fit` was told. Raises `InvalidInput` for any other number, or what are none."""
    try:
        return two_classes(np.asarray(given).ravel())
    except ValueError:
        do = "name both, as y has them"
        raise InvalidInput(sentence("partial_fit(classes=...)", "two classes", f"{given!r:.60}", do)) from None


def check_known(y: np.ndarray, classes: np.ndarray) -> None:
    """Raise `InvalidInput` for a label that is not one of the classes."""
    check_classification_targets(y)
    unknown = np.setdiff1d(y, classes)
    if unknown.size:
        (label,), (one, other) = unknown[:1].tolist(), classes.tolist()
        got, do = f"the label {label!r}", "name both at first, as y has them"  # '0' is another label than 0
        raise InvalidInput(sentence("partial_fit(y=...)", f"the classes {one!r} and {other!r}", got, do))


def check_same(given: object, classes: np.ndarray) -> None:
    """Raise `InvalidInput` for classes that are not those of the first call; their order is free."""
    try:
        names = set(np.asarray(given).ravel().tolist())
    except (TypeError, ValueError):  # lists of lists
        names = set()
    if names != set(classes.tolist()):
        one, other = classes.tolist()
        expected = f"the classes of the first call, {one!r} and {other!r}"
        do = "leave them out, or begin with another classifier"
        raise InvalidInput(sentence("partial_fit(classes=...)", expected, f"{given!r:.60}", do))


def signs(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """-1 for the first class and +1 for the second, as float32."""
    return np.where(y == classes[1], np.float32(1), np.float32(-1))
