"""Bench: each figure of speed beside its peers and the machine's limits, in one run. torch is loaded when it begins."""

from mathdnn.bench.picture import roofline
from mathdnn.bench.run import Disagree, measure
from mathdnn.bench.work import Arm, Built, Figure, LeftOut, Settings, Work
from mathdnn.bench.works import WORKS, select

__all__ = [
    "WORKS",
    "Arm",
    "Built",
    "Disagree",
    "Figure",
    "LeftOut",
    "Settings",
    "Work",
    "measure",
    "roofline",
    "select",
]
