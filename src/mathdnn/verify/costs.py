"""How much a step of a graph asks of torch, known from shapes before it is done: a few bytes can ask for hours.

Counted in nanoseconds or so of two cores in float64 (measured, the worst of two kinds of shapes each): 8 for a number
that is read, made or copied into the columns that a convolution is a product with, as much for each of its digits in
base 2 where numbers are put in order, 1 for a number of a window, an eighth for a product of matrices. Steps of few
numbers take the time of calling them.
"""

from __future__ import annotations

import math
from typing import Any

from mathdnn.verify.numbers import ROOM, TooMany

MOST = 1 << 38  # of a file: five minutes or so. A network like VGG-16 on 224 x 224 pixels takes 2^36.5
STEP, _NUMBER = 1 << 16, 8
ENCLOSED = 8  # times as much: what intervals take of what floats do
_COLUMNS = 2 * ROOM  # numbers of the image that a convolution copies at once
_ORDERING = frozenset(["argsort", "kthvalue", "median", "mode", "sort", "topk"])
_FACTORS = 1 << 12  # of a product: up to here one after the other is enclosed


def parts_of(base: str, args: list[Any]) -> int:
    """The results of a step."""
    if base == "split_with_sizes":
        return len(args[1])
    if base in ("split", "unbind"):
        return int(args[0].shape[args[-1]] // (max(1, args[1]) if base == "split" else 1))
    return 1


def cost_of(base: str, args: list[Any], results: list[Any]) -> int:
    """The cost of a step, of all its arguments and results, which need have no values. Raises `TooMany` where it takes
    more memory than there may be."""
    given = [value for value in _flat(args) if hasattr(value, "numel")]
    read, made = (sum(value.numel() for value in values) for values in (given, results))
    cost = _NUMBER * max(read, made)
    if base in _ORDERING:
        return int(cost * max(2, read.bit_length()))
    if base in ("prod", "cumprod"):
        factors = given[0].shape[args[1]] if type(args[1]) is int and given[0].dim() else read
        return int(cost + STEP * min(_FACTORS, factors))
    return int(cost + _more(base, args, given, made, results))


def _more(base: str, args: list[Any], given: list[Any], made: int, results: list[Any]) -> Any:
    """What a step takes beside reading and writing."""
    if base == "convolution":
        return _of_convolution(args, made)
    if base in ("mm", "bmm", "addmm"):
        return given[-2].numel() * given[-1].shape[-1] // 8
    if base in ("linalg_inv_ex", "_linalg_solve_ex"):
        return made * given[0].shape[-1]
    if "pool" in base and "adaptive" not in base:
        axes = int(base[base.index("pool") + 4])
        return made * math.prod(args[1]) ** (axes if len(args[1]) == 1 else 1)
    if "adaptive" in base:
        sides = zip(args[0].shape[-len(args[1]) :], args[1], strict=True)
        return made * math.prod(n // max(1, wanted) + 2 for n, wanted in sides)
    if base.endswith("_aa"):
        return made * _taps(base, args[0], results[0])
    if "upsample" in base or base == "grid_sampler_2d":
        return 3 * _NUMBER * made
    return 0


def _of_convolution(args: list[Any], made: int) -> Any:
    """Each group of channels is a matrix of weights times columns, which are windows of the image (or of the result,
    where it is transposed)."""
    image, weight, transposed, groups = args[0], args[1], args[6], max(1, args[8])
    if 0 in weight.shape:
        return 0
    first, second, *window = weight.shape
    places = (image.numel() if transposed else made) // first
    columns = places * second * groups * math.prod(window)
    if columns // groups > _COLUMNS:
        raise TooMany(f"a convolution of windows of more than {_COLUMNS:,} numbers takes too much memory")
    return _NUMBER * columns + columns * (first // groups) // 8


def _taps(base: str, image: Any, result: Any) -> int:
    """Times that a pixel of the larger is read where an image is made smaller by weights, one way after the other."""
    wide = 2 if "cubic" in base else 1
    ratios = [n / max(1, wanted) for n, wanted in zip(image.shape[2:], result.shape[2:], strict=True)]
    return sum(math.ceil(2 * wide * max(1.0, ratio) + 3) * math.ceil(max(ratios)) for ratio in ratios)


def _flat(argument: Any) -> list[Any]:
    return [part for item in argument for part in _flat(item)] if isinstance(argument, list | tuple) else [argument]
