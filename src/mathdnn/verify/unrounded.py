"""Which results of a graph floats did not round, so that nothing is to be moved there.

A number is short where it is a whole multiple of 2^-10 and at most 2^10. Sums of up to 2^13 products of two short
numbers fit float64, and their quotients by short numbers, or by counts up to 2^13, are multiples of 2^-40 over at most
2^13: what is computed for them, off by 2^-50 of 2^33 at most, is short only where it is the result itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHARE, _LARGEST, _TERMS = 2.0**10, 2.0**10, 1 << 13
_NAMES = """
    abs add addmm avg_pool1d avg_pool2d avg_pool3d bmm ceil convolution cumsum div eq floor floor_divide fmod frac ge gt
    le logical_and logical_not logical_or logical_xor lt mean mm mul ne neg relu remainder round rsub sgn sign sub sum
    _to_copy trunc"""
ARITHMETIC = frozenset(_NAMES.split())


def is_short(value: Any) -> bool:
    """Whether every number of a tensor, or the number, is short."""
    if value is None or isinstance(value, bool | str):
        return True
    if isinstance(value, int | float):
        return abs(value) <= _LARGEST and float(value * _SHARE).is_integer()
    if isinstance(value, list | tuple):
        return all(map(is_short, value))
    if not value.is_floating_point():
        return bool((value.abs() <= _LARGEST).all()) if value.dtype.is_signed else bool((value <= _LARGEST).all())
    return value.numel() <= _TERMS and bool(((value.abs() <= _LARGEST) & (value * _SHARE % 1 == 0)).all())


def unrounded(base: str, moves: frozenset[str], operands: Iterable[Any], made: Any) -> bool:
    """Whether nothing was rounded in a result, made by an operation of numbers that nothing was rounded in."""
    return (base in ARITHMETIC or base in moves) and is_short(made) and all(map(is_short, operands))
