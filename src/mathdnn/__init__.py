"""mathdnn: the mathematics of convolutional networks, executable.

Bring an operation, a model, data or a claim; get a proof or the smallest counterexample, a faster equal model, or
numbers that can be trusted. Every name below is imported when it is first used, so that `import mathdnn` is quick.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "load_mnist": "mathdnn.data",
    "ConnectionTable": "mathdnn.lenet",
    "TableConv2d": "mathdnn.lenet",
    "LeNet5": "mathdnn.lenet",
    "LeNet5_1998": "mathdnn.lenet",
    "count": "mathdnn.lenet",
    "MarginClassifier": "mathdnn.margin",
    "PairwiseLinearClassifier": "mathdnn.margin",
    "Recipe": "mathdnn.training",
    "train": "mathdnn.training",
    "Verdict": "mathdnn.verdict",
    "as_conv2d": "mathdnn.convolution",
    "ConvForm": "mathdnn.convolution",
    "is_nondecreasing": "mathdnn.monotone",
    "commutes_with_max_pool": "mathdnn.monotone",
    "MLP": "mathdnn.backprop",
    "verify": "mathdnn.verify",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mathdnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
