"""Numbers that are handed in: typed (`[[0, 1/9], [-1, 0.5]]`), as a JSON file, or as an NPY file without pickles.

All are data and taken exactly: a decimal is the decimal that is written, a float of an NPY file the float that it is.
A file says how large it is before anything of that size is made.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from mathdnn.cli.named import reading
from mathdnn.data.files import open_regular
from mathdnn.errors import InvalidInput, sentence

MOST = 100_000  # numbers: a kernel, not a network
LARGEST = 4_000_000  # bytes
AXES = 8  # of an array: more than a kernel has, and fewer than NumPy allows
_RATIO = re.compile(r"-?[0-9]{1,40}/[0-9]{1,40}")


def is_typed(text: str) -> bool:
    """Whether it is numbers that were typed, and no file's name."""
    return text.lstrip().startswith("[")


def read_numbers(text: str, who: str) -> Any:
    """Nested lists of whole numbers and fractions. Raises `InvalidInput` (or `DataError` for a file)."""
    if is_typed(text):
        quoted = text if '"' in text else _RATIO.sub(lambda found: f'"{found[0]}"', text)
        return _json(quoted, who)
    if not text.strip() or (re.fullmatch(r"-?[0-9][0-9./eE+-]*", text) and not os.path.exists(text)):
        raise _wrong(who, "numbers in brackets, or a file", repr(text[:40]))
    path = Path(text)
    with reading(f"{who} {text}"), open_regular(path, f"{who} {text}") as file:
        if os.fstat(file.fileno()).st_size > LARGEST:
            raise _wrong(f"{who} {text}", f"a file of at most {LARGEST:,} bytes", "a larger one")
        content = file.read(LARGEST + 1)
    if content.startswith(b"\x93NUMPY"):
        return _npy(content, f"{who} {text}")
    try:
        return _json(content.decode(), f"{who} {text}")
    except UnicodeDecodeError:
        raise _wrong(f"{who} {text}", "an NPY file or JSON", "neither") from None


def read_list(text: str, who: str) -> list[Any]:
    """The same, without lists in the list: one number for each output channel. Raises `InvalidInput`."""
    found = read_numbers(text, who)
    if not isinstance(found, list) or any(isinstance(number, list) for number in found):
        got = "lists in a list" if isinstance(found, list) else "a number without a list"
        raise InvalidInput(
            sentence(who, "one number for each output channel", got, "write them in one list, as in [0, 1/2]")
        )
    return found


def _wrong(who: str, expected: str, got: str) -> InvalidInput:
    return InvalidInput(sentence(who, expected, got, "write nested lists, as in [[0, 1], [-1, 0]], or an NPY file"))


def _json(text: str, who: str) -> Any:
    try:
        read = json.loads(text, parse_float=_decimal, parse_constant=_decimal, parse_int=_decimal)
        numbers, shape = _exact(read), _shape(read)
    except (ValueError, RecursionError) as error:
        got = "lists too deep" if isinstance(error, RecursionError) else str(error)[:120]
        raise _wrong(who, "nested lists of numbers, rows of equal length", got) from None
    if not 0 < math.prod(shape) <= MOST:
        raise _wrong(who, f"1 to {MOST:,} numbers", f"{math.prod(shape):,}")
    return numbers


def _decimal(text: str) -> Fraction:
    if len(text) > 60:
        raise ValueError(f"the number {text[:20]}... of {len(text)} characters, more than 60")
    if not re.fullmatch(r"-?[0-9.]+([eE][+-]?[0-9]{1,2})?", text):
        raise ValueError(f"the number {text[:40]}")
    return Fraction(text)


def _exact(item: Any) -> Any:
    if isinstance(item, list):
        return [_exact(part) for part in item]
    if isinstance(item, str) and _RATIO.fullmatch(item):
        if not int(item.partition("/")[2]):
            raise ValueError(f"{item[:40]}, which is no number")
        return Fraction(item)
    if isinstance(item, Fraction):
        return item
    raise ValueError(f"{_said(item)}, which is no number")


def _said(item: Any) -> str:
    return "a JSON object" if isinstance(item, dict) else f"{item!r:.40}"


def _shape(item: Any) -> tuple[int, ...]:
    if not isinstance(item, list):
        return ()
    shapes = {_shape(part) for part in item}
    if len(shapes) > 1:
        raise ValueError("rows of different lengths")
    return (len(item), *(shapes.pop() if shapes else ()))


def _npy(content: bytes, who: str) -> Any:
    """The array by its header, checked against the bytes that are there; never a pickle."""
    from numpy import frombuffer
    from numpy.lib import format as npy

    file = io.BytesIO(content)
    try:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(file)]
        shape, fortran, dtype = read(file)
    except Exception as error:  # the header is Python text, and a damaged one fails in many ways
        raise _wrong(who, "an NPY file", f"a damaged header ({' '.join(str(error).split())[:60]})") from None
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        got = "Python objects, which are pickles" if dtype.hasobject else f"{dtype}"
        raise _wrong(who, "an NPY file of whole numbers or floats", got)
    if len(shape) > AXES or not all(type(size) is int and size < 2**63 for size in shape):
        raise _wrong(who, "an NPY file", f"a damaged header (its shape is none of up to {AXES} sizes)")
    count, rest = math.prod(shape), content[file.tell() :]
    if not 0 < count <= MOST or min(shape, default=0) < 0 or count * dtype.itemsize != len(rest):
        raise _wrong(who, f"1 to {MOST:,} numbers, all there", f"shape {shape} and {len(rest)} bytes")
    array = frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")
    if dtype.kind == "f" and not (abs(array) < float("inf")).all():
        raise _wrong(who, "finite numbers", "infinities or NaN")
    return array.tolist()
