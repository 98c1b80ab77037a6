"""IDX files: what is read is what an independent reader reads; all else is refused before memory is taken."""

from __future__ import annotations

import gzip
import os
import re
import struct
import tracemalloc
import zlib

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from tests.oracles import idx as oracle
from tests.saboteurs import data as saboteurs

from mathdnn.data import read_idx, write_idx
from mathdnn.errors import DataError, InvalidInput, OutputError

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
ARRAYS = arrays.arrays(st.sampled_from(DTYPES), arrays.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=5))


def idx(code: int, shape: tuple[int, ...], body: bytes) -> bytes:
    return bytes((0, 0, code, len(shape))) + b"".join(size.to_bytes(4, "big") for size in shape) + body


GOOD = idx(8, (2, 3), bytes(range(6)))
PACKED = gzip.compress(GOOD, mtime=0)


@given(array=ARRAYS, swapped=st.booleans(), ending=st.sampled_from(["", ".gz"]))
def test_round_trip(tmp_path_factory, array, swapped, ending):
    path = tmp_path_factory.getbasetemp() / f"round{ending}"
    write_idx(path, array.astype(array.dtype.newbyteorder()) if swapped else array)
    for back in (read_idx(path), oracle.read(path)):
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert back.tobytes() == array.tobytes()
    assert path.read_bytes()[:2] == (b"\x1f\x8b" if ending else b"\0\0")


def mutations(rng: np.random.Generator, count: int):
    """`count` damaged files of random types and shapes: bits, bytes, runs of bytes, cuts, joins, lies in the header."""
    for _ in range(count):
        dtype = np.dtype(rng.choice(DTYPES))
        shape = tuple(int(size) for size in rng.integers(0, 5, rng.integers(1, 4)))
        code = {name: code for code, name in oracle.NAMES.items()}[dtype.name]
        body = rng.bytes(int(np.prod(shape)) * dtype.itemsize)
        raw = idx(code, shape, body)
        inside = rng.random() < 0.5
        packed = rng.random() < 0.5
        raw = damage(raw, rng) if inside or not packed else raw
        raw = gzip.compress(raw, mtime=0) if packed else raw
        yield raw if inside or not packed else damage(raw, rng)


def damage(raw: bytes, rng: np.random.Generator) -> bytes:
    at, to = sorted(int(i) for i in rng.integers(0, len(raw) + 1, 2))
    flipped = bytearray(raw)
    flipped[min(at, len(raw) - 1)] ^= 1 << int(rng.integers(8))
    header = bytearray(raw)
    header[int(rng.integers(min(8, len(raw))))] = int(rng.integers(256))
    kinds = [
        bytes(flipped),
        bytes(header),
        raw[:at],
        raw[:at] + raw[to:],
        raw[:at] + rng.bytes(3) + raw[at:],
        raw + rng.bytes(int(rng.integers(1, 4))),
        raw + raw,
        raw[:at] + bytes(to - at) + raw[to:],
    ]
    return kinds[int(rng.integers(len(kinds)))]


def law_of_the_oracle(reader, path, files) -> int:
    """The reader reads what the oracle reads, with the same bits, and refuses what it refuses."""
    read = 0
    for raw in files:
        path.write_bytes(raw)
        try:
            expected = oracle.read(path)
        except ValueError:
            expected = None
        try:
            found = reader(path)
        except (ValueError, EOFError, OSError, zlib.error, struct.error, IndexError):
            found = None
        assert (found is None) == (expected is None), raw
        if expected is not None:
            read += 1
            assert found.shape == expected.shape, raw
            assert found.dtype.newbyteorder("=") == expected.dtype, raw
            assert found.astype(expected.dtype).tobytes() == expected.tobytes(), raw
    return read


def test_mutated_files_are_refused_or_read_as_the_oracle_reads_them(tmp_path, rng):
    read = law_of_the_oracle(read_idx, tmp_path / "file", mutations(rng, 600))
    assert 20 < read < 300  # both sides of the law are exercised


@pytest.mark.parametrize(
    "twin",
    [
        saboteurs.read_little_endian,
        saboteurs.read_columns_first,
        saboteurs.read_all_as_unsigned,
        saboteurs.read_with_trailing_bytes,
        saboteurs.read_several_members,
        saboteurs.read_without_crc,
    ],
)
def test_the_law_rejects_wrong_readers(twin, tmp_path, rng):
    good = [
        PACKED,
        gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:]),
        idx(11, (2, 2), bytes(range(8))),
        idx(9, (1,), b"\xff"),
    ]
    files = [*good, *mutations(rng, 600)]
    files.append(PACKED[:-8] + bytes(4) + PACKED[-4:])
    with pytest.raises(AssertionError, match="assert"):
        law_of_the_oracle(twin, tmp_path / "file", files)


REFUSED = {
    "empty": (b"", "expected an IDX file, got an empty file; get the file again."),
    "one byte": (b"\0", "expected an IDX header of at least 8 bytes, got 1 bytes; get the file again."),
    "a picture": (
        b"\x89PNG\r\n\x1a\n",
        (
            "expected an IDX file (it begins 00 00, a type code of 08, 09, 0b, 0c, 0d, 0e, a rank of 1 to 32), "
            "got the first bytes 89 50 4e 47; name an IDX file."
        ),
    ),
    "type code": (
        idx(10, (1,), b"x"),
        (
            "expected an IDX file (it begins 00 00, a type code of 08, 09, 0b, 0c, 0d, 0e, a rank of 1 to 32), "
            "got the first bytes 00 00 0a 01; name an IDX file."
        ),
    ),
    "rank 0": (
        idx(8, (), b"x"),
        (
            "expected an IDX file (it begins 00 00, a type code of 08, 09, 0b, 0c, 0d, 0e, a rank of 1 to 32), "
            "got the first bytes 00 00 08 00; name an IDX file."
        ),
    ),
    "header cut": (
        GOOD[:10],
        "expected a header of 12 bytes for rank 2, got a file that ends after 10 bytes; get the file again.",
    ),
    "cut": (GOOD[:-1], "expected 18 bytes as its header declares, got a file of 17 bytes; get the file again."),
    "trailing": (GOOD + b"\0", "expected 18 bytes as its header declares, got a file of 19 bytes; get the file again."),
    "oversized": (
        idx(14, (2**20, 2**10), b""),
        (
            "expected at most 2147483648 bytes of values, got a header that declares 8589934592 "
            "(1048576 x 1024 float64); check the file, or raise max_bytes."
        ),
    ),
    "empty but immense": (
        idx(8, (0, 2**32 - 1, 2**32 - 1), b""),
        (
            "expected at most 2147483648 bytes of values, got a header that declares 18446744065119617025 "
            "(0 x 4294967295 x 4294967295 uint8); check the file, or raise max_bytes."
        ),
    ),
    "gzip cut": (PACKED[:-3], "expected a complete gzip file, got one that is cut off; get the file again."),
    "gzip cut early": (PACKED[:12], "expected an IDX header of at least 8 bytes, got 1 bytes; get the file again."),
    "gzip short": (
        gzip.compress(GOOD[:-2]),
        "expected 6 bytes of values (2 x 3 uint8), got 4 bytes; get the file again.",
    ),
    "gzip long": (
        gzip.compress(GOOD + b"\0"),
        "expected as many values as its header declares, got more bytes packed behind them; get the file again.",
    ),
    "gzip CRC": (
        PACKED[:-8] + bytes(4) + PACKED[-4:],
        (
            "expected a sound gzip file, got the answer 'Error -3 while decompressing data: incorrect data check'; "
            "get the file again."
        ),
    ),
    "gzip length": (
        PACKED[:-4] + bytes(4),
        (
            "expected a sound gzip file, got the answer 'Error -3 while decompressing data: incorrect length check'; "
            "get the file again."
        ),
    ),
    "gzip members": (
        PACKED + gzip.compress(b""),
        "expected one gzip member and nothing else, got another member behind it; get the file again.",
    ),
    "gzip trailing": (
        PACKED + b"\0",
        "expected one gzip member and nothing else, got other bytes behind it; get the file again.",
    ),
}


@pytest.mark.parametrize("limit", [None, float("nan"), "1", -1])
def test_a_limit_that_is_no_number_is_one_sentence(limit, tmp_path):
    write_idx(tmp_path / "a", np.zeros(3, np.uint8))
    words = f"read_idx(max_bytes=...): expected a number of bytes, 0 or more, got {limit!r}; leave it out."
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        read_idx(tmp_path / "a", max_bytes=limit)


@pytest.mark.parametrize("name", REFUSED)
def test_each_bad_file_has_its_sentence(name, tmp_path):
    raw, words = REFUSED[name]
    path = tmp_path / "file"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"^read_idx") as caught:
        read_idx(path)
    assert str(caught.value) == f"read_idx({path}): {words}"


def test_what_is_no_file_has_its_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    pipe = "something that is not a regular file (a pipe, a device)"
    cases = {
        tmp_path / "none": "expected a file, got none of that name; check the path.",
        tmp_path: "expected a regular file, got a folder; name the file itself.",
        tmp_path / "pipe": f"expected a regular file, got {pipe}; name the file itself.",
        "/dev/zero": f"expected a regular file, got {pipe}; name the file itself.",
        tmp_path / "loop": "expected a readable file, got the answer 'Too many levels of symbolic links'; "
        "check the path and its permissions.",
        "a\0b": "expected a readable file, got the answer 'embedded null byte'; check the path and its permissions.",
    }
    for path, words in cases.items():
        with pytest.raises(DataError, match=r"^read_idx") as caught:
            read_idx(path)
        assert str(caught.value) == f"read_idx({path}): {words}"


def test_an_unreadable_file_has_its_sentence(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(GOOD)

    def refuse(*_args, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # file modes do not bind an administrator
    with pytest.raises(DataError, match=r"^read_idx") as caught:
        read_idx(path)
    words = "expected a readable file, got the answer 'Permission denied'; check the path and its permissions."
    assert str(caught.value) == f"read_idx({path}): {words}"


def peak_of_refusal(path, match) -> int:
    read_idx_refused = pytest.raises(DataError, match=match)
    tracemalloc.start()
    try:
        with read_idx_refused:
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_takes_no_memory(tmp_path):
    """128 MiB of zeros in 130 KiB: unpacked no further than one byte past what the header declares."""
    packer = zlib.compressobj(1, wbits=31)
    zeros = bytes(2**20)
    pieces = [packer.compress(idx(8, (1000, 784), b""))] + [packer.compress(zeros) for _ in range(128)]
    path = tmp_path / "bomb.gz"
    path.write_bytes(b"".join([*pieces, packer.flush()]))
    assert peak_of_refusal(path, "more bytes packed behind them") < 4 * 2**20


@pytest.mark.parametrize("packed", [False, True])
def test_a_lying_header_takes_no_memory(packed, tmp_path):
    raw = idx(8, (2**31 - 1,), bytes(1000))
    path = tmp_path / "liar"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    assert peak_of_refusal(path, "got 1000 bytes|got a file of 1008 bytes") < 2**20


def test_a_limit_of_ones_own(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(PACKED)
    assert read_idx(path, max_bytes=6).shape == (2, 3)
    with pytest.raises(DataError, match=r"expected at most 5 bytes of values, got a header that declares 6 \(2 x 3"):
        read_idx(path, max_bytes=5)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(2, "int64"), "expected one of uint8, int8, int16, int32, float32, float64, got dtype int64; convert"),
        (np.array("a"), "expected one of uint8, int8, int16, int32, float32, float64, got dtype <U1; convert"),
        (np.zeros((), "uint8"), r"expected 1 to 32 dimensions below 2\^32 each, got shape \(\); reshape or cut"),
        (np.zeros((1,) * 33, "uint8"), r"expected 1 to 32 dimensions below 2\^32 each, got shape \(1, 1"),
        (np.zeros((0, 2**32), "uint8"), r"expected 1 to 32 dimensions below 2\^32 each, got shape \(0, 42949"),
    ],
)
def test_what_idx_cannot_hold_is_not_written(array, words, tmp_path):
    with pytest.raises(InvalidInput, match=rf"^write_idx\(.*file\): {words}"):
        write_idx(tmp_path / "file", array)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_half_written(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_idx(path, np.arange(3, dtype="uint8"))

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"^write_idx") as caught:
        write_idx(path, np.zeros(9, "uint8"))
    assert str(caught.value) == (
        f"write_idx({path}): expected a place to write, got the answer 'No space left on device'; "
        "choose a folder that exists, may be written and has room."
    )
    assert read_idx(path).tolist() == [0, 1, 2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_no_folder_to_write_to(tmp_path):
    with pytest.raises(OutputError, match=r"got the answer 'No such file or directory'; choose a folder that exists"):
        write_idx(tmp_path / "none" / "file", np.zeros(9, "uint8"))


def test_a_name_that_no_file_has(tmp_path):
    with pytest.raises(OutputError, match=r"got the answer 'embedded null byte'; choose a folder that exists"):
        write_idx(tmp_path / "a\0b", np.zeros(9, "uint8"))
