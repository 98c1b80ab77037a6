"""A derivative that a person typed, expanded within a time limit: a few products too many would take for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from mathdnn.verdict import Verdict

LONGEST = 60.0  # seconds for one network: a heuristic, right formulas take milliseconds


def check_typed(of: str, formula: str, widths: Sequence[int], sigma: Any, who: str) -> Verdict:
    """`check_exact` for a typed formula. Raises `InvalidInput` for one that cannot be read, evaluated or expanded."""
    from mathdnn.backprop import check_exact, derivative_name, typed_formula
    from mathdnn.convolution.limit import OutOfTime, limited

    of = derivative_name(of)
    mine = {of: typed_formula(formula, of)}
    try:
        return limited(lambda: check_exact(widths, sigma, formulas=mine)[of], LONGEST)
    except OutOfTime:
        expected, got = "a formula that can be expanded", f"{formula!r:.60}, which takes longer than {LONGEST:.0f} s"
        raise InvalidInput(sentence(who, expected, got, "write it with fewer products")) from None
    except InvalidInput:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        expected, got = "a formula with a value", f"{formula!r:.60} ({type(error).__name__}: {str(error)[:60]})"
        raise InvalidInput(sentence(who, expected, got, "check the indices and the shapes")) from None
