"""Linear classifiers on a margin loss: the losses, batch-1 SGD literal and compiled, scikit-learn estimators.

The estimators are imported where they are first used, since scikit-learn takes a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mathdnn.margin.agreement import agreement_bound
from mathdnn.margin.losses import LOSSES, MarginLoss, margin_loss, right, sigmoid, softplus
from mathdnn.margin.run import SgdRun
from mathdnn.margin.sgd import sgd, sgd_many

if TYPE_CHECKING:
    from mathdnn.margin.classifier import MarginClassifier
    from mathdnn.margin.pairwise import PairwiseLinearClassifier

__all__ = [
    "LOSSES",
    "MarginClassifier",
    "MarginLoss",
    "PairwiseLinearClassifier",
    "SgdRun",
    "agreement_bound",
    "margin_loss",
    "right",
    "sgd",
    "sgd_many",
    "sigmoid",
    "softplus",
]

_LAZY = {
    "MarginClassifier": "mathdnn.margin.classifier",
    "PairwiseLinearClassifier": "mathdnn.margin.pairwise",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
