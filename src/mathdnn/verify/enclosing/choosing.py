"""Rules on intervals for what rounds nothing: numbers moved, chosen among, compared, cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.verify.enclosing import intervals as iv
from mathdnn.verify.enclosing.intervals import Interval, settled
from mathdnn.verify.enclosing.sums import weighed
from mathdnn.verify.running import Open
from mathdnn.verify.unrounded import MOVES

if TYPE_CHECKING:
    from mathdnn.verify.enclosing.run import Enclosing

_INDEXED = "gather index index_put index_select scatter masked_scatter"
_ORDERED = "adaptive_max_pool2d cummax cummin kthvalue max max_pool2d_with_indices median min sort topk"
_WINDOWS = ("max_pool2d_with_indices", "adaptive_max_pool2d", "cummax", "cummin")
_CHOSEN = "getitem masked_fill mode split split_with_sizes unbind where"
_MOVED = MOVES - frozenset(f"{_CHOSEN} {_INDEXED} {_ORDERED}".split())


def _moved(m: Enclosing) -> Interval:
    """An operation that grows with each of its numbers and rounds none, its places known."""
    kind = m.node["dtype"]
    for part in m.operands():
        if not part.exact and not part.low.is_floating_point() and not _holds(kind, part.low.dtype):
            raise Open("whole numbers that may be beyond the range of others")
    low = m.low()
    return settled(low, m.high())


def _holds(kind: str | None, other: torch.dtype) -> bool:
    """Whether numbers of a kind hold all those of another, not of floats."""
    made = getattr(torch, str(kind))
    if made.is_floating_point or other == torch.bool:
        return True
    if made == torch.bool:
        return False
    of, wanted = torch.iinfo(made), torch.iinfo(other)
    return bool(of.min <= wanted.min and wanted.max <= of.max)


def _several(m: Enclosing) -> list[Interval]:
    return [settled(low, high) for low, high in zip(m.low(), m.high(), strict=True)]


def _indexed(m: Enclosing) -> Interval:
    """Numbers moved to places that are whole numbers, or truth values, of width 0."""
    for part in m.operands():
        if not part.exact and not part.low.is_floating_point():
            raise Open("a place follows from numbers that may be equal")
    if m.base == "scatter" and m.form not in ("src", "value"):
        raise Open("no bounds over the reals are known for a scatter that computes")
    if m.base == "index_put" and m.argument(3, "accumulate", False):
        return weighed(m)
    return _moved(m)


def _ordered(m: Enclosing) -> Interval | list[Interval | None]:
    """The k-th of numbers grows with each of them. Where it lies is known where none is nearly equal."""
    low, high = m.low(), m.high()
    if m.base == "topk" and not m.argument(4, "sorted", True):
        raise Open("numbers in no order")
    if not isinstance(low, list | tuple):
        return settled(low, high)
    places = Interval(low[1], low[1]) if m.base not in _WINDOWS and _apart(m) else None
    return [settled(low[0], high[0]), places]


def _apart(m: Enclosing) -> bool:
    """Whether along the axis that is asked no two intervals share a number."""
    a = m.operand(m.node["args"][0])
    if not a.low.dim():
        return True
    axis = {"sort": 1, "argsort": 1, "topk": 2, "kthvalue": 2}.get(m.base, 1)
    default = None if m.base in ("argmax", "argmin") else -1
    if m.form == "stable":
        return False
    along = m.argument(axis, "dim", default)
    low, high = (end.flatten() if along is None else end for end in a)
    order = low.argsort(dim=along if along is not None else 0)
    low, high = (end.gather(along if along is not None else 0, order) for end in (low, high))
    size = low.shape[along or 0]
    return bool((high.narrow(along or 0, 0, size - 1) < low.narrow(along or 0, 1, size - 1)).all()) if size else True


def _place(m: Enclosing) -> Interval:
    if not _apart(m):
        raise Open("a place follows from numbers that may be equal")
    low = m.low()
    return Interval(low, low)


def _compared(m: Enclosing) -> Interval:
    a, b = m.first(), m.second()
    if m.node["args"][0] == m.node["args"][1] and all(bool(end.isfinite().all()) for end in a):  # one number
        made = torch.full(a.low.shape, m.base in ("eq", "ge", "le"))
        return Interval(made, made)
    if m.base in ("eq", "ne"):
        equal = iv.same(a, b)
        return equal if m.base == "eq" else iv.inverted(equal)
    a, b = (a, b) if m.base in ("gt", "ge") else (b, a)
    return iv.greater(a, b, equal=m.base in ("ge", "le"))


def _truth(m: Enclosing, argument: Any) -> Interval:
    """A truth value, or whether a number is not 0."""
    a = m.operand(argument)
    if a.low.dtype == torch.bool:
        return a
    zero = a.low.new_zeros(())
    return iv.inverted(iv.same(a, Interval(zero, zero)))


def _logical(m: Enclosing) -> Interval:
    operands = [m.operand(argument) for argument in m.node["args"][:2]]
    if m.base.startswith("bitwise") and any(operand.low.dtype != torch.bool for operand in operands):
        raise Open("the digits of whole numbers that are not known")
    values = [_truth(m, argument) for argument in m.node["args"][:2]]
    if m.base.endswith("not"):
        return iv.inverted(values[0])
    a, b = values
    if m.base.endswith("xor"):
        unsure = (a.low ^ a.high) | (b.low ^ b.high)
        return settled((a.low ^ b.low) & ~unsure, (a.low ^ b.low) | unsure)
    if m.base.endswith("and"):
        return settled(a.low & b.low, a.high & b.high)
    return settled(a.low | b.low, a.high | b.high)


def _any(m: Enclosing) -> Interval:
    a = _truth(m, m.node["args"][0])
    return settled(m.computed(lambda _: a.low), m.computed(lambda _: a.high))


def _where(m: Enclosing) -> Interval:
    return iv.chosen(_truth(m, m.node["args"][0]), m.second(), m.floats(m.node["args"][2]))


def _filled(m: Enclosing) -> Interval:
    return iv.chosen(_truth(m, m.node["args"][1]), m.floats(m.node["args"][2]), m.first())


def _threshold(m: Enclosing) -> Interval:
    x = m.first()
    return iv.chosen(iv.greater(x, m.second(), equal=False), x, m.floats(m.node["args"][2]))


def _no_number(m: Enclosing) -> Interval:
    """Whether it is infinite, or no number: over the reals nothing is that has a value."""
    x = m.first()
    if any(bool(end.isinf().any()) for end in x):
        raise Open("numbers that may be infinite, or have no value")
    made = torch.zeros_like(x.low, dtype=torch.bool)
    return Interval(made, made)


def _cast(m: Enclosing) -> Interval:
    """Floats are floats; a whole number is what is left of the dot; a truth value whether it is not 0."""
    a, dtype = m.operand(m.node["args"][0]), m.node["dtype"]
    if dtype == "bool":
        return _truth(m, m.node["args"][0])
    if dtype == "float64" or a.low.dtype == torch.bool:
        return settled(m.low(), m.high())
    low, high = (end.trunc() if end.is_floating_point() else end for end in a)
    limits = torch.iinfo(getattr(torch, dtype))
    if low.numel() and not (low.min() >= limits.min and high.max() <= min(limits.max, 2**53)):
        raise Open("whole numbers beyond their range")
    return settled(m.computed(lambda _: low), m.computed(lambda _: high))


RULES: dict[str, Callable[[Enclosing], Any]] = {
    name: rule
    for names, rule in (
        (" ".join(_MOVED) + " ceil floor hardtanh sgn sign trunc", _moved),
        ("split split_with_sizes unbind", _several),
        (_INDEXED, _indexed),
        (_ORDERED, _ordered),
        ("argmax argmin argsort", _place),
        ("eq ge gt le lt ne", _compared),
        ("bitwise_and bitwise_not bitwise_or bitwise_xor logical_and logical_not logical_or logical_xor", _logical),
        ("all any", _any),
        ("where", _where),
        ("masked_fill", _filled),
        ("threshold", _threshold),
        ("isinf isnan isneginf isposinf", _no_number),
        ("_to_copy", _cast),
    )
    for name in names.split()
}
