"""Which results of a graph floats did not round: they are the numbers that the graph has over the reals.

Some operations round nothing: they move numbers, choose among them, compare them. Of the others, a number is short
where it is a whole multiple of 2^-10 and at most 2^10. Sums of up to 2^13 products of two short numbers fit float64,
and their quotients by short numbers, or by counts up to 2^13, are multiples of 2^-40 over at most 2^13: what is
computed for them, off by 2^-50 of 2^33 at most, is short only where it is the result itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHARE, _LARGEST, _TERMS = 2.0**10, 2.0**10, 1 << 13
_NAMES = """
    add addmm avg_pool1d avg_pool2d avg_pool3d bmm convolution cumsum div floor_divide fmod frac mean mm mul remainder
    round rsub sub sum"""
ARITHMETIC = frozenset(_NAMES.split())
_MOVES = """
    getitem _unsafe_view adaptive_max_pool2d alias amax amin cat channel_shuffle clamp clamp_max clamp_min clone
    constant_pad_nd contiguous copy cummax cummin detach diagonal expand fill flip full_like gather hardshrink im2col
    index index_put index_select kthvalue lift_fresh_copy masked_fill masked_scatter max max_pool2d_with_indices maximum
    median min minimum mode native_channel_shuffle new_zeros ones_like permute pixel_shuffle pixel_unshuffle positive
    reflection_pad1d reflection_pad2d reflection_pad3d relu repeat replication_pad1d replication_pad2d
    replication_pad3d reshape roll rot90 scalar_tensor scatter select select_scatter slice slice_scatter sort split
    split_with_sizes squeeze stack t topk transpose tril triu unbind unfold unsqueeze upsample_nearest1d
    upsample_nearest2d upsample_nearest3d view where zeros_like"""
MOVES = frozenset(_MOVES.split())
_EXACT = MOVES | frozenset(["abs", "ceil", "floor", "hardtanh", "neg", "sgn", "sign", "trunc"])


def is_short(value: Any) -> bool:
    """Whether every number of a tensor, or the number, is short."""
    if value is None or isinstance(value, bool | str):
        return True
    if isinstance(value, int | float):
        return abs(value) <= _LARGEST and float(value * _SHARE).is_integer()
    if isinstance(value, list | tuple):
        return all(map(is_short, value))
    if not value.is_floating_point():
        return bool((value.double().abs() <= _LARGEST).all())
    return value.numel() <= _TERMS and bool(((value.abs() <= _LARGEST) & (value * _SHARE % 1 == 0)).all())


def unrounded(node: dict[str, Any], operands: Iterable[Any], made: list[Any]) -> bool:
    """Whether nothing was rounded in the results of a node, made from numbers that nothing was rounded in."""
    base, form = node["op"].split(".")[1:]
    if not any(part.is_floating_point() for part in made):
        return True
    if base in _EXACT and not _adds_up(base, form, node):
        return True
    if base == "addmm" and not {node["kwargs"].get(name, 1) for name in ("alpha", "beta")} <= {-1, 0, 1}:
        return False  # products of three
    return base in ARITHMETIC and all(map(is_short, made)) and all(map(is_short, operands))


def _adds_up(base: str, form: str, node: dict[str, Any]) -> bool:
    """Whether numbers are put where they meet others, and computed with."""
    args = node["args"]
    accumulate = args[3] if len(args) > 3 else node["kwargs"].get("accumulate", False)
    return (base == "index_put" and accumulate is not False) or (base == "scatter" and form not in ("src", "value"))
