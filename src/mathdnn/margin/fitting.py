"""What both estimators ask of their settings, and that a fit succeeds whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.base import BaseEstimator

from mathdnn.errors import InvalidInput, is_whole, sentence


@contextmanager
def all_or_nothing(model: BaseEstimator) -> Iterator[None]:
    """A fit that fails leaves the model, and the draws it goes on from, as they were."""
    before, rng = dict(vars(model)), getattr(model, "_rng", None)
    state = rng.get_state() if rng is not None else None
    try:
        yield
    except BaseException:
        vars(model).clear()
        vars(model).update(before)
        if rng is not None:
            rng.set_state(state)
        raise


def check_epochs(who: str, epochs: object) -> None:
    """Raise `InvalidInput` unless `epochs` is a whole number from 1."""
    if not is_whole(epochs) or epochs < 1:
        raise InvalidInput(sentence(f"{who}(epochs=...)", "a whole number from 1", repr(epochs), "choose another"))


def check_switches(model: BaseEstimator) -> None:
    """Raise `InvalidInput` unless `shuffle` and `fit_intercept` are true or false: "no" would count as true."""
    for name in ("shuffle", "fit_intercept"):
        value = getattr(model, name)
        if not isinstance(value, bool | np.bool_):
            who = f"{type(model).__name__}({name}=...)"
            raise InvalidInput(sentence(who, "True or False", repr(value), "choose one of them"))
