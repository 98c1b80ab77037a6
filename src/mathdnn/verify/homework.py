"""Checks what the homework's claims rest on: identities of polynomials, sums of products, and claims made of parts.

An identity is evaluated as it was written. At a point of random whole numbers below 2^64 two different polynomials of
degree d agree with probability at most d / 2^64 (Schwartz 1980, Zippel 1979); d stays under 2^12 and three points are
taken, so a wrong one passes with probability under 2^-150. Nothing is expanded, so this is another method than the
prover's. Derivatives are dual numbers.
"""

from __future__ import annotations

import itertools
import random
import re
from fractions import Fraction
from math import prod
from typing import Any

import msgspec

from mathdnn.verdict import Certificate, Counterexample, Equality, Status, Undecided, Verdict
from mathdnn.verify.sealing import BROKEN, quoted, rational, seal_holds

Answer = tuple[bool | None, str]
KINDS = (
    "all-of", "one-of-all-fails", "polynomial-identity", "polynomial-identity-fails", "sum-of-products",
    "sum-of-products-differs",
)  # fmt: skip
POINTS = 3
_DEEPEST, _HEAVIEST, _MOST = 60, 1 << 12, 10_000  # of a tree; of a tree; parts or products
_LONGEST = 40  # characters of a letter
_AGREED = "if its reader agrees that what was checked says so"
_KEYS = {
    "all-of": {"parts"}, "one-of-all-fails": {"kind", "part"}, "polynomial-identity": {"left", "right"},
    "polynomial-identity-fails": {"kind", "left", "right"}, "sum-of-products": {"terms", "total", "counted"},
    "sum-of-products-differs": {"kind", "formula"},
}  # fmt: skip
_WRONG = (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, RecursionError, AttributeError)


def check(verdict: Verdict) -> Answer:
    """(True, what holds), (False, why not), or (None, why this machine cannot say)."""
    evidence = verdict.evidence
    if not isinstance(evidence, Certificate | Counterexample):
        return None, "there is no certificate or counterexample in it"
    if not seal_holds(verdict):
        return False, BROKEN
    if not _rests_on_nothing_more(verdict):
        return False, "the equality or the assumptions are not what the evidence rests on"
    kind = evidence.kind if isinstance(evidence, Certificate) else str(evidence.data.get("kind"))
    if set(evidence.data) != {*_KEYS[kind], "seal"}:
        return False, "there is more or less in it than such evidence holds"
    try:
        if isinstance(evidence, Certificate):
            return {"all-of": _all, "polynomial-identity": _identity, "sum-of-products": _sum}[evidence.kind](verdict)
        counter = {"one-of-all-fails": _part, "polynomial-identity-fails": _point, "sum-of-products-differs": _other}
        return counter[kind](verdict, evidence)
    except (*_WRONG, msgspec.MsgspecError) as error:
        return False, f"the evidence is malformed ({type(error).__name__}: {str(error)[:80]})"


def sentence_of(verdict: Verdict) -> str:
    """The claim, and that it is one: a person's sentence, which no code reads."""
    assumed = "; ".join(_apart(str(assumption)) for assumption in verdict.assumptions)
    more = f", assuming: {assumed}" if assumed else ""
    return f"{_apart(verdict.claim)} ({_AGREED}{more})"


def _apart(text: str) -> str:
    """A person's words, in quotes where their end could be taken for that of what is said around them."""
    depth = [0, *itertools.accumulate((c == "(") - (c == ")") for c in text)]
    return quoted(text) if min(depth) < 0 or depth[-1] or _AGREED in text or '"' in text else text


def _rests_on_nothing_more(verdict: Verdict) -> bool:
    """An identity is one over the reals, of which a person may assume more to have the claim; sums assume nothing. What
    is made of parts is held against them."""
    if isinstance(verdict.evidence, Certificate):
        kind, equality = verdict.evidence.kind, Equality.REALS
    else:
        kind, equality = str(_data(verdict).get("kind")), None
    if kind.startswith("sum-of-products"):
        return verdict.equality is None and not verdict.assumptions
    return not kind.startswith("polynomial-identity") or verdict.equality is equality


def _data(verdict: Verdict) -> dict[str, Any]:
    data: dict[str, Any] = verdict.evidence.data  # type: ignore[union-attr]
    return data


def _all(verdict: Verdict) -> Answer:
    from mathdnn.verify import verify

    parts = [msgspec.convert(part, Verdict) for part in _data(verdict)["parts"]]
    if not 1 <= len(parts) <= _MOST or any(part.status is not Status.PROVED for part in parts):
        return False, "a part is not proved"
    if tuple(dict.fromkeys(item for part in parts for item in part.assumptions)) != verdict.assumptions:
        return False, "the assumptions are not those of the parts"
    equalities = {part.equality for part in parts}
    if verdict.equality is not (equalities.pop() if len(equalities) == 1 else None):
        return False, "the equality is not that of the parts"
    said = []
    for number, part in enumerate(parts, start=1):
        answer = verify(part)
        said.append(_said(answer) or _claim(answer))
        if answer.status is not Status.PROVED:
            holds = None if answer.status is Status.UNDECIDED else False
            return holds, f"part {number} of {len(parts)} ({part.claim:.120}): {_said(answer)}"
    shown = "; ".join(dict.fromkeys(said[:2])) + ("; ..." if len(parts) > 2 else "")
    return True, f"{_count(len(parts))}, each checked, that are the claim if its reader agrees: {shown}"


def _said(answer: Verdict) -> str:
    """What the checker says of a part, without what it says of every part."""
    words = answer.evidence.why if isinstance(answer.evidence, Undecided) else str(answer.evidence)
    return words.removeprefix("checked again by code of its own").removeprefix(": ")


def _claim(answer: Verdict) -> str:
    """What of a part's claim was checked."""
    from mathdnn.verify import CLAIM

    return answer.claim.removeprefix(CLAIM)


def _part(verdict: Verdict, evidence: Counterexample) -> Answer:
    from mathdnn.verify import verify

    part = msgspec.convert(evidence.data["part"], Verdict)
    shown = part.evidence
    if part.status is not Status.REFUTED or not isinstance(shown, Counterexample):
        return False, "the part is not refuted"
    same = ("statement", "input", "claimed", "found")
    if any(getattr(shown, name) != getattr(evidence, name) for name in same):
        return False, "the counterexample is not that of the part"
    if (part.assumptions, part.equality) != (verdict.assumptions, verdict.equality):
        return False, "the assumptions or the equality are not those of the part"
    answer = verify(part)
    if answer.status is Status.PROVED:
        return True, f"one part fails ({_claim(answer):.120}): {_said(answer)}"
    return None if answer.status is Status.UNDECIDED else False, _said(answer)


def _identity(verdict: Verdict) -> Answer:
    left, right = (_data(verdict)[side] for side in ("left", "right"))
    names = sorted(_names(left) | _names(right))
    generator = random.SystemRandom()
    for _ in range(POINTS):
        at = {name: Fraction(generator.randrange(1 << 64)) for name in names}
        if _value(left, at)[0] != _value(right, at)[0]:
            return False, "the two sides are different polynomials"
    return True, f"{_written(left)} = {_written(right)} (at {POINTS} random points)"


def _point(verdict: Verdict, evidence: Counterexample) -> Answer:
    at = {name: rational(value) for name, value in evidence.input.items()}
    for side in ("left", "right"):
        _names(evidence.data[side])
    found, claimed = (_value(evidence.data[side], at)[0] for side in ("left", "right"))
    if [str(found), str(claimed)] != [evidence.found, evidence.claimed]:
        return False, f"the sides are {found} and {claimed} there"
    if found == claimed:
        return False, "the sides are equal there"
    return True, f"{_written(evidence.data['left'])} and {_written(evidence.data['right'])} are {found} and {claimed}"


def _names(tree: Any) -> set[str]:
    """The letters of a tree; raises ValueError for one that is too deep or too heavy to evaluate."""
    names: set[str] = set()
    _weigh(tree, names, 0)
    return names


def _weigh(tree: Any, names: set[str], depth: int) -> int:
    """A bound on the degree and on the digits: leaves weigh 1, sums and products add, a power multiplies."""
    kind = tree[0]
    if depth > _DEEPEST:
        raise ValueError("a tree too deep")
    if kind == "letter" and len(tree) == 2:
        if not _is_letter(tree[1]):
            raise ValueError(f"{tree[1]!r:.40} is no letter")
        names.add(tree[1])
        weight = 1
    elif kind == "number" and len(tree) == 2:
        weight = 1 + len(str(rational(tree[1]))) // 20
    elif kind in ("+", "*") and len(tree) == 3:
        weight = _weigh(tree[1], names, depth + 1) + _weigh(tree[2], names, depth + 1)
    elif kind == "^" and len(tree) == 3 and type(tree[2]) is int and 0 <= tree[2] <= 64:
        weight = 1 + _weigh(tree[1], names, depth + 1) * tree[2]
    elif kind == "d" and len(tree) == 3 and _is_letter(tree[2]):
        weight = 2 * _weigh(tree[1], names, depth + 1)
    else:
        raise ValueError(f"{tree!r:.60} is no expression")
    if weight > _HEAVIEST:
        raise ValueError("a tree too large")
    return weight


def _is_letter(name: Any) -> bool:
    """Of ASCII: two that look alike are one."""
    return type(name) is str and name.isidentifier() and name.isascii() and len(name) <= _LONGEST


def _value(tree: Any, at: dict[str, Fraction], by: str = "") -> tuple[Fraction, Fraction]:
    """(value, derivative by the letter `by`) of a tree that was weighed, at a point."""
    kind = tree[0]
    if kind == "letter":
        return at[tree[1]], Fraction(tree[1] == by)
    if kind == "number":
        return rational(tree[1]), Fraction(0)
    if kind == "d":
        if by:
            raise ValueError("a derivative of a derivative")
        return _value(tree[1], at, tree[2])[1], Fraction(0)
    a, da = _value(tree[1], at, by)
    if kind == "^":
        n = tree[2]
        return a**n, n * a ** (n - 1) * da if n else Fraction(0)
    b, db = _value(tree[2], at, by)
    return (a + b, da + db) if kind == "+" else (a * b, a * db + da * b)


def _written(tree: Any) -> str:
    """The tree as a person writes it."""
    kind, *rest = tree
    if kind in ("letter", "number"):
        return str(rest[0])
    if kind == "d":
        return f"d({_written(rest[0])})/d{rest[1]}"
    if kind == "^":
        return f"({_written(rest[0])})^{rest[1]}"
    return f"({_written(rest[0])} {kind} {_written(rest[1])})"


def _total(terms: Any) -> int:
    if not isinstance(terms, list) or not 1 <= sum(len(term["products"]) for term in terms) <= _MOST:
        raise ValueError("no list of products")
    factors = [list(product) for term in terms for product in term["products"]]
    if any(type(factor) is not int or not 0 < factor < 1 << 32 for product in factors for factor in product):
        raise ValueError("a factor that is no size")
    if not all(0 < len(product) <= 8 for product in factors) or any(set(t) != {"layer", "products"} for t in terms):
        raise ValueError("no list of products")
    return sum(prod(product) for product in factors)


def _sum(verdict: Verdict) -> Answer:
    d = _data(verdict)
    made = _total(d["terms"])
    if not made == d["total"] == d["counted"] or type(d["total"]) is not int or type(d["counted"]) is not int:
        return False, f"the products add up to {made:,}"
    if not _speaks_of(verdict, made):
        return False, f"the claim does not speak of {made:,}"
    if str(verdict.evidence) != f"counted, there are {made:,}, and term by term the formula gives {made:,}":
        return False, "the method is not that of such a certificate"
    return True, f"the products add up to {made:,}; that their factors are the network's sizes is for the reader to see"


def _other(verdict: Verdict, evidence: Counterexample) -> Answer:
    made, claimed, found = _total(evidence.input), evidence.claimed, evidence.found
    if made != evidence.data["formula"] or any(type(n) is not int for n in (evidence.data["formula"], claimed, found)):
        return False, f"the products add up to {made:,}"
    if found == claimed:
        return False, f"{found:,} is the number that was claimed"
    if not _speaks_of(verdict, claimed):
        return False, f"the claim does not speak of {claimed:,}"
    if made == claimed:
        return False, f"the products add up to {made:,}, as was claimed; that {found:,} were counted, no product shows"
    counted = f"{found:,} were counted" if found == made else f"that {found:,} were counted, no product shows"
    return True, f"the products add up to {made:,}, {counted}, {claimed:,} claimed"


def _speaks_of(verdict: Verdict, number: int) -> bool:
    """Whether the claim holds the number, and not as digits of another one."""
    return bool(re.search(rf"(?<!\d)(?<!\d[.,]){number:,}(?![.,]?\d)", verdict.claim))


def _count(n: int) -> str:
    return f"{n} part{'s' if n > 1 else ''}"
