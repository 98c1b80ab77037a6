"""The seven problems, in order, with what a reader should know before the cards."""

from __future__ import annotations

from dataclasses import dataclass

import mathdnn.homework.problem1 as problem1
import mathdnn.homework.problem2 as problem2
import mathdnn.homework.problem3 as problem3
import mathdnn.homework.problem4 as problem4
import mathdnn.homework.problem5 as problem5
import mathdnn.homework.problem6 as problem6
import mathdnn.homework.problem7 as problem7
from mathdnn.homework.claim import Claim


@dataclass(frozen=True)
class Problem:
    """A problem's number, its title and two sentences of introduction."""

    number: int
    title: str
    introduction: str


_MODULES = (problem1, problem2, problem3, problem4, problem5, problem6, problem7)

PROBLEMS: tuple[Problem, ...] = tuple(
    Problem(number, module.TITLE, module.INTRODUCTION) for number, module in enumerate(_MODULES, 1)
)
CLAIMS: tuple[Claim, ...] = tuple(claim for module in _MODULES for claim in module.CLAIMS)
