"""IDX files, read slowly and plainly: the whole file at once, value by value. Refuses what is not exactly one array."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

LETTERS = {8: ("B", 1), 9: ("b", 1), 11: ("h", 2), 12: ("i", 4), 13: ("I", 4), 14: ("Q", 8)}  # floats as their bits
NAMES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}


def unpack_gzip(raw: bytes) -> bytes:
    """One gzip member by RFC 1952, its flags, deflate stream, CRC and length taken apart by hand."""
    if len(raw) < 18 or raw[2] != 8 or raw[3] & 0xE0:
        raise ValueError("header")
    flags, at = raw[3], 10
    if flags & 4:
        at += 2 + int.from_bytes(raw[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            at = raw.index(b"\0", at) + 1
    if flags & 2:
        if int.from_bytes(raw[at : at + 2], "little") != zlib.crc32(raw[:at]) & 0xFFFF:
            raise ValueError("header checksum")
        at += 2
    inflate = zlib.decompressobj(wbits=-15)
    try:
        content = inflate.decompress(raw[at:])
    except zlib.error as error:
        raise ValueError(str(error)) from error
    crc, size = zlib.crc32(content), len(content) % 2**32
    if not inflate.eof or inflate.unused_data != struct.pack("<II", crc, size):
        raise ValueError("trailer")
    return content


def read(path: Path) -> np.ndarray:
    """The array in the file, or `ValueError`."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = unpack_gzip(raw)
    if len(raw) < 4 or raw[0] or raw[1] or raw[2] not in LETTERS or not 1 <= raw[3] <= 32:
        raise ValueError("magic")
    code, rank = raw[2], raw[3]
    if len(raw) < 4 + 4 * rank:
        raise ValueError("sizes")
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    letter, width = LETTERS[code]
    count, span = 1, width
    for size in shape:
        count *= size
        span *= size or 1
    if span > 2**31 or len(raw) != 4 + 4 * rank + width * count:
        raise ValueError("length")
    values = [struct.unpack_from(f">{letter}", raw, 4 + 4 * rank + width * i)[0] for i in range(count)]
    if code >= 13:  # by way of Python's floats a signalling NaN would turn quiet
        return np.array(values, dtype=f"uint{8 * width}").view(NAMES[code]).reshape(shape)
    return np.array(values, dtype=NAMES[code]).reshape(shape)
