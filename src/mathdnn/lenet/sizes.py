"""Sizes of a table convolution: what stands for two whole numbers, and how much padding a word asks for."""

from __future__ import annotations

from typing import Any, NoReturn

from mathdnn.errors import InvalidInput, is_whole, sentence

Size = int | tuple[int, int]


def padding_sides(
    padding: tuple[int, int] | str, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)); "same" puts the odd one at the bottom and right, as torch does."""
    if not isinstance(padding, str):
        return (padding[0], padding[0]), (padding[1], padding[1])
    if padding not in ("same", "valid"):
        _refuse("TableConv2d(padding=...)", "a size, 'same' or 'valid'", repr(padding), "choose one")
    if padding == "valid":
        return (0, 0), (0, 0)
    if stride != (1, 1):
        _refuse("TableConv2d(padding='same')", "stride 1", f"stride {stride}", "give the padding as numbers")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return (totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2)


def pair(size: Any, name: str, least: int) -> tuple[int, int]:
    """The two numbers that `size` stands for. Raises `InvalidInput` unless they are whole and at least `least`."""
    both = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(both) != 2 or any(not is_whole(n) or n < least for n in both):
        _refuse(f"TableConv2d({name}=...)", f"a whole number from {least}, or two", repr(size), "correct it")
    if max(both) >= 1 << 31:
        _refuse(f"TableConv2d({name}=...)", "whole numbers below 2^31", repr(size), "take a smaller one")
    return int(both[0]), int(both[1])


def _refuse(who: str, expected: str, got: str, do: str) -> NoReturn:
    raise InvalidInput(sentence(who, expected, got, do))
