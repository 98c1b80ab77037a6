"""IDX files, read strictly: every byte is accounted for before its memory is taken.

    byte 0, 1     0, 0
    byte 2        t = type code: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    byte 3        r = rank, 1 .. 32
    then          r sizes s_1 .. s_r, 32 bits each, unsigned
    then          s_1 * ... * s_r values, the last index fastest

All numbers are big endian. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (1998),
section "File formats". The file may be wrapped in one gzip member (RFC 1952).
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from mathdnn.data.files import checked_path, open_regular, replace_file
from mathdnn.errors import DataError, InvalidInput, as_number, sentence

if TYPE_CHECKING:
    from jaxtyping import Shaped

TYPES = {0x08: np.uint8, 0x09: np.int8, 0x0B: np.int16, 0x0C: np.int32, 0x0D: np.float32, 0x0E: np.float64}
CODES = {np.dtype(kind): code for code, kind in TYPES.items()}

MAX_BYTES = 2**31
"""The largest published file of this format, EMNIST ByClass, unpacks to 0.55e9 bytes; this leaves a factor of four."""

MAX_RANK = 32  # what every NumPy since 1.0 can hold
_CHUNK = 1 << 18  # heuristic: larger pieces were not faster on MNIST
_AGAIN = "get the file again"


class _Source(Protocol):
    def expect(self, declared: int) -> None: ...  # raises DataError where that many more bytes cannot be there
    def read(self, size: int) -> bytearray: ...  # `size` bytes, or fewer where the file ends
    def finish(self) -> None: ...  # raises DataError unless the file ends here


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Shaped[np.ndarray, ...]:
    """The array in an IDX file, plain or gzipped (told by its content, not its name), in the machine's byte order.

    `max_bytes` limits the unpacked size that the header may declare; from a gzipped file at most one byte more than
    declared is ever unpacked. Raises `DataError` for whatever is not exactly one IDX array, `InvalidInput` for a `path`
    that is none or a limit that is no number.
    """
    checked_path(path, "read_idx(path)")
    if not as_number(max_bytes) >= 0:
        got = f"{max_bytes!r:.40}"
        raise InvalidInput(sentence("read_idx(max_bytes=...)", "a number of bytes, 0 or more", got, "leave it out"))
    who = f"read_idx({os.fspath(path)})"
    with open_regular(path, who) as file:
        try:
            return _read(_open_source(file, who), max_bytes, who)
        except OSError as error:
            got = f"the answer {error.strerror or str(error)!r}"
            raise DataError(sentence(who, "a readable file", got, "check the disk")) from error


def write_idx(path: str | os.PathLike[str], array: Shaped[np.ndarray, ...]) -> None:
    """Write an array as an IDX file, gzipped where the name ends in `.gz`; equal arrays give equal bytes.

    The file appears whole or not at all. Raises `InvalidInput` for an array that IDX cannot hold, `OutputError` where
    the file cannot be written.
    """
    checked_path(path, "write_idx(path)")
    array = np.asarray(array)
    who = f"write_idx({os.fspath(path)})"
    code = CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        kinds = ", ".join(str(kind) for kind in CODES)
        raise InvalidInput(sentence(who, f"one of {kinds}", f"dtype {array.dtype}", "convert the array"))
    if not 1 <= array.ndim <= MAX_RANK or max(array.shape) >= 2**32:
        expected = f"1 to {MAX_RANK} dimensions below 2^32 each"
        raise InvalidInput(sentence(who, expected, f"shape {array.shape}", "reshape or cut the array"))
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
    replace_file(path, _gzip(content) if os.fspath(path).endswith(".gz") else content, "write_idx")


def _read(source: _Source, max_bytes: int, who: str) -> Shaped[np.ndarray, ...]:
    dtype, shape = _read_header(source, who)
    declared = _declared_bytes(dtype, shape, max_bytes, who)
    source.expect(declared)
    body = source.read(declared)
    if len(body) < declared:
        expected = f"{declared} bytes of values ({_words(dtype, shape)})"
        raise DataError(sentence(who, expected, f"{len(body)} bytes", _AGAIN))
    source.finish()
    array = np.frombuffer(body, dtype.newbyteorder(">")).reshape(shape)
    return array.astype(dtype, copy=False)


def _gzip(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content, mtime=0)


def _read_header(source: _Source, who: str) -> tuple[np.dtype, tuple[int, ...]]:
    magic = bytes(source.read(4))
    if len(magic) < 4:
        raise DataError(sentence(who, "an IDX header of at least 8 bytes", f"{len(magic)} bytes", _AGAIN))
    if magic[:2] != b"\0\0" or magic[2] not in TYPES or not 1 <= magic[3] <= MAX_RANK:
        codes = ", ".join(f"{code:02x}" for code in TYPES)
        expected = f"an IDX file (it begins 00 00, a type code of {codes}, a rank of 1 to {MAX_RANK})"
        raise DataError(sentence(who, expected, f"the first bytes {magic.hex(' ')}", "name an IDX file"))
    rank = magic[3]
    sizes = bytes(source.read(4 * rank))
    if len(sizes) < 4 * rank:
        got = f"a file that ends after {4 + len(sizes)} bytes"
        raise DataError(sentence(who, f"a header of {4 + 4 * rank} bytes for rank {rank}", got, _AGAIN))
    return np.dtype(TYPES[magic[2]]), struct.unpack(f">{rank}I", sizes)


def _declared_bytes(dtype: np.dtype, shape: tuple[int, ...], max_bytes: int, who: str) -> int:
    """Bytes of values. A size of 0 does not excuse the others: NumPy could not hold the shape either."""
    spanned = dtype.itemsize * math.prod(max(size, 1) for size in shape)
    if spanned > max_bytes:
        expected = f"at most {max_bytes} bytes of values"
        got = f"a header that declares {spanned} ({_words(dtype, shape)})"
        raise DataError(sentence(who, expected, got, "check the file, or raise max_bytes"))
    return dtype.itemsize * math.prod(shape)


def _words(dtype: np.dtype, shape: tuple[int, ...]) -> str:
    return f"{' x '.join(map(str, shape))} {dtype}"


def _open_source(file: BinaryIO, who: str) -> _Source:
    size = os.fstat(file.fileno()).st_size
    start = file.read(2)
    if not start:
        raise DataError(sentence(who, "an IDX file", "an empty file", _AGAIN))
    file.seek(0)
    return _Gzip(file, who) if start == b"\x1f\x8b" else _Plain(file, who, size)


class _Plain:
    """A file as it lies; its length is known beforehand."""

    def __init__(self, file: BinaryIO, who: str, size: int) -> None:
        self._file, self._who, self._size = file, who, size

    def expect(self, declared: int) -> None:
        """Check the length of the whole file before its values are read."""
        header = self._file.tell()
        if self._size != header + declared:
            expected = f"{header + declared} bytes as its header declares"
            raise DataError(sentence(self._who, expected, f"a file of {self._size} bytes", _AGAIN))

    def read(self, size: int) -> bytearray:
        body = bytearray(size)
        count = self._file.readinto(body)  # type: ignore[attr-defined]  # typeshed's BinaryIO lacks it
        del body[count:]
        return body

    def finish(self) -> None:
        if self._file.read(1):
            raise DataError(sentence(self._who, "a file that nobody writes to", "more bytes while reading", _AGAIN))


class _Gzip:
    """One gzip member, unpacked as it is asked for. zlib checks the CRC and the length in its trailer."""

    def __init__(self, file: BinaryIO, who: str) -> None:
        self._file, self._who = file, who
        self._unpacker = zlib.decompressobj(wbits=31)
        self._packed = b""

    def expect(self, declared: int) -> None:
        """Nothing: memory grows only with what really unpacks, and never past what is declared."""

    def read(self, size: int) -> bytearray:
        body = bytearray()
        while len(body) < size and not self._unpacker.eof:
            piece = self._unpack(size - len(body))
            if piece is None:
                break
            body += piece
        return body

    def finish(self) -> None:
        """Unpack one byte more, which must not be there; then nothing may follow the member."""
        while not self._unpacker.eof:
            piece = self._unpack(1)
            if piece is None:
                raise DataError(sentence(self._who, "a complete gzip file", "one that is cut off", _AGAIN))
            if piece:
                got = "more bytes packed behind them"
                raise DataError(sentence(self._who, "as many values as its header declares", got, _AGAIN))
        rest = self._unpacker.unused_data or self._file.read(1)
        if rest:
            got = "another member behind it" if rest[:1] == b"\x1f" else "other bytes behind it"
            raise DataError(sentence(self._who, "one gzip member and nothing else", got, _AGAIN))

    def _unpack(self, size: int) -> bytes | None:
        """At most `size` bytes; None at the end of the file."""
        if not self._packed:
            self._packed = self._file.read(_CHUNK)
            ended = not self._packed
        else:
            ended = False
        try:
            piece = self._unpacker.decompress(self._packed, size)
        except zlib.error as error:
            raise DataError(sentence(self._who, "a sound gzip file", f"the answer {str(error)!r}", _AGAIN)) from None
        self._packed = self._unpacker.unconsumed_tail
        return None if ended and not piece and not self._unpacker.eof else piece
