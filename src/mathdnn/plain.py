"""Plain data, which goes to JSON and back without loss, and arrays as such data; a document is refused that two readers
may take for two things, or that needs far more memory than its text.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    import numpy as np

Plain = Any  # None | bool | int | float | str | list[Plain] | dict[str, Plain]
_DTYPES = frozenset(
    ["bool", "float16", "float32", "float64", "float96", "float128"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)  # what `pack_array` writes; NumPy reads any other text as a little program, and fails on it in many ways
_MOST = 1 << 24  # things in a document: each may take a hundred times the memory of its text


def require_plain(value: Plain, who: str) -> None:
    """Raise `InvalidInput` unless `value` survives JSON without loss: plain types, finite floats, 64-bit integers."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return
    if (kind is float and math.isfinite(value)) or (kind is int and -(2**63) <= value < 2**64):
        return
    if kind is list:
        for item in value:
            require_plain(item, who)
        return
    if kind is dict and all(type(key) is str for key in value):
        for item in value.values():
            require_plain(item, who)
        return
    raise InvalidInput(
        sentence(
            who, "plain JSON data", f"{kind.__name__} {value!r:.60}", "pack arrays with pack_array, rationals as text"
        )
    )


def require_readable(text: str | bytes) -> None:
    """Raise ValueError or RecursionError for a JSON document of too many things, or one that says a thing twice.

    Of a key given twice each reader takes the one it likes, so such a document means two things.
    """
    document = text.encode() if isinstance(text, str) else text
    several = sum(document.count(mark) for mark in (b",", b"[", b"{"))
    if several > _MOST:
        raise ValueError(f"a document of more than {_MOST:,} things")
    json.loads(document, object_pairs_hook=_once, parse_int=_skipped, parse_float=_skipped)


def _once(pairs: list[tuple[str, Any]]) -> None:
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise ValueError(f"the key {key!r:.60} twice")
        keys.add(key)


def _skipped(_: str) -> None:
    """In the place of a number, which may have more digits than anyone should read."""


def pack_array(array: np.ndarray) -> dict[str, Plain]:
    """An array as plain data without loss: dtype, shape, and the values' own bits (little endian, hexadecimal).

    Small arrays (up to 64 values) also carry `values`, readable text, which `unpack_array` holds against the bits.
    """
    import numpy as np

    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise InvalidInput(
            sentence(
                "pack_array(array)", "numbers or booleans", f"dtype {array.dtype}", "convert it to a numeric array"
            )
        )
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
    packed: dict[str, Plain] = {"dtype": array.dtype.name, "shape": list(array.shape), "bits": little.tobytes().hex()}
    if array.size <= 64:
        packed["values"] = _said(array)
    return packed


def _said(array: np.ndarray) -> list[str]:
    return [str(value) for value in array.ravel().tolist()]


def unpack_array(packed: dict[str, Plain]) -> np.ndarray:
    """The array that `pack_array` packed. Raises `InvalidInput` where dtype, shape and bits do not fit together."""
    import numpy as np

    try:
        if packed["dtype"] not in _DTYPES:
            raise ValueError(f"dtype {packed['dtype']!r:.40}")
        dtype, shape, bits = np.dtype(packed["dtype"]), packed["shape"], packed["bits"]
        if type(shape) is not list or any(type(size) is not int or size < 0 for size in shape):
            raise ValueError(f"shape {shape!r:.40}")
        if len(bits) != 2 * dtype.itemsize * math.prod(shape):
            raise ValueError(f"{len(bits)} digits for shape {shape!r:.40}")
        raw = bytes.fromhex(bits)
        if dtype.kind == "b" and raw.strip(b"\0\1"):
            raise ValueError("booleans that are neither")
        array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
        _require_said(packed, array)
        return array
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            sentence("unpack_array(packed)", "dtype, shape and bits that fit together", str(error), "check the file")
        ) from None


def _require_said(packed: dict[str, Plain], array: np.ndarray) -> None:
    """The readable values, where there are any, are those of the bits; a reader may look at nothing else."""
    if not packed.keys() <= {"dtype", "shape", "bits", "values"}:
        raise ValueError("more keys than an array has")
    if "values" in packed and packed["values"] != _said(array):
        raise ValueError("values that are not those of the bits")
