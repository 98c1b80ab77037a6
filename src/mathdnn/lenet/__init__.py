"""Networks with a connection table: the table, the layer, LeNet-5 in two forms, and what each layer costs.

The table alone needs no torch; every name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathdnn.lenet.accounting import Account, LayerCount, cost, count
    from mathdnn.lenet.convert import (
        from_masked_conv2d,
        from_separate_convolutions,
        to_masked_conv2d,
        to_separate_convolutions,
    )
    from mathdnn.lenet.networks import LeNet5, initialise
    from mathdnn.lenet.paper import LeNet5_1998, rbf_loss
    from mathdnn.lenet.table import ConnectionTable
    from mathdnn.lenet.table_conv import Plan, TableConv2d, plan
    from mathdnn.lenet.table_literal import table_conv2d_literal

_HOME = {
    "Account": "accounting",
    "ConnectionTable": "table",
    "LayerCount": "accounting",
    "LeNet5": "networks",
    "LeNet5_1998": "paper",
    "Plan": "table_conv",
    "TableConv2d": "table_conv",
    "cost": "accounting",
    "count": "accounting",
    "from_masked_conv2d": "convert",
    "from_separate_convolutions": "convert",
    "initialise": "networks",
    "plan": "table_conv",
    "rbf_loss": "paper",
    "table_conv2d_literal": "table_literal",
    "to_masked_conv2d": "convert",
    "to_separate_convolutions": "convert",
}

__all__ = [
    "Account",
    "ConnectionTable",
    "LayerCount",
    "LeNet5",
    "LeNet5_1998",
    "Plan",
    "TableConv2d",
    "cost",
    "count",
    "from_masked_conv2d",
    "from_separate_convolutions",
    "initialise",
    "plan",
    "rbf_loss",
    "table_conv2d_literal",
    "to_masked_conv2d",
    "to_separate_convolutions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mathdnn.lenet' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mathdnn.lenet.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
