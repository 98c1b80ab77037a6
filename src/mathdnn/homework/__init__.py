"""The homework: seven problems, each claim of theirs as data, decided by the other rooms.

Source: Mathematical Foundations of Deep Neural Networks (M1407.001200, Seoul National University, Ernest K. Ryu),
homework 4, and one published solution of it, called *the solution* throughout.
"""

from mathdnn.homework.claim import Claim, Decided, Finding, Picture
from mathdnn.homework.problems import CLAIMS, PROBLEMS, Problem
from mathdnn.homework.reproduce import reproduce, results_document
from mathdnn.homework.resources import Resources

__all__ = [
    "CLAIMS",
    "PROBLEMS",
    "Claim",
    "Decided",
    "Finding",
    "Picture",
    "Problem",
    "Resources",
    "reproduce",
    "results_document",
]
