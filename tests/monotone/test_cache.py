"""Kept scans: found again, never believed when damaged, forged, impossible or no longer true."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os

import msgspec
import numpy as np
import pytest
import torch

from mathdnn.errors import InvalidInput
from mathdnn.monotone import cache, commutes_with_max_pool, is_nondecreasing
from mathdnn.monotone.floats import FORMATS
from mathdnn.monotone.found import Fall, Span
from mathdnn.monotone.functions import elementwise
from mathdnn.monotone.scan import scan
from mathdnn.verify import verify

HALF, FULL = FORMATS["float16"], FORMATS["float32"]


@pytest.fixture(scope="module")
def scanned():
    """A scan of every float32, about two seconds."""
    f = elementwise("torch.relu", FULL)
    return f, scan(f)


@pytest.fixture
def kept(scanned, tmp_path):
    f, found = scanned
    cache.save(f, found, tmp_path)
    (path,) = tmp_path.iterdir()
    return f, found, tmp_path, path


def write(path, found) -> None:
    """A file whose hash fits."""
    body = found if isinstance(found, bytes) else msgspec.json.encode(found)
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def test_a_kept_scan_is_the_scan(kept):
    f, found, folder, _ = kept
    assert cache.load(f, folder) == found
    assert cache.load(f, None) is None
    assert cache.load(elementwise("torch.sigmoid", FULL), folder) is None


def test_a_verdict_says_that_its_scan_was_kept(kept):
    _, _, folder, path = kept
    written = path.stat().st_mtime_ns
    verdict = is_nondecreasing("torch.relu", cache=folder)
    assert verdict.status == "proved"
    assert verdict.assumptions[0].statement == "the scan that an earlier run kept is this function's"
    assert path.stat().st_mtime_ns == written
    assert not any("kept" in a.statement for a in is_nondecreasing("torch.relu", "float16", cache=folder).assumptions)


@pytest.mark.slow
def test_a_verdict_whose_scan_was_kept_verifies(kept):
    _, _, folder, _ = kept
    assert verify(commutes_with_max_pool("torch.relu", cache=folder)).status == "proved"


def test_damage_is_noticed(kept, rng):
    f, _, folder, path = kept
    whole = path.read_bytes()
    for _ in range(100):
        at = int(rng.integers(0, len(whole)))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :])
        assert cache.load(f, folder) is None
    path.write_bytes(whole[:-5])
    assert cache.load(f, folder) is None
    path.write_bytes(b"")
    assert cache.load(f, folder) is None


def test_a_scan_of_another_function_is_not_believed(kept):
    f, found, folder, _ = kept
    other = dataclasses.replace(f, on_bits=lambda bits: np.zeros_like(bits))
    assert cache.load(other, folder) is None
    cache.save(f, dataclasses.replace(found, decreasing=1, complete=False), folder)
    assert cache.load(f, folder) == found


def test_what_falls_is_seen_though_the_file_says_that_nothing_does(kept):
    f, found, folder, path = kept

    def falls(bits):  # between the ends of chunks, so that the digest fits
        out = f.on_bits(bits).copy()
        out[np.isin(bits & 0x7FFFF, (1000, 2000))] = 0
        return out

    forged = dataclasses.replace(f, on_bits=falls)
    assert cache.live_ends(forged).tobytes() == cache.live_ends(f).tobytes()
    write(path, found)
    assert cache.load(f, folder) == found
    assert cache.load(forged, folder) is None


FALL = Fall(5, 7, 6)
IMPOSSIBLE = {
    "no first fall": {"decreasing": 3},
    "no falls": {"first_fall": FALL, "worst_fall": FALL, "worst_ulps": 1},
    "a place beyond all": {"decreasing": 1, "first_fall": Fall(10**30, 7, 6), "worst_fall": Fall(10**30, 7, 6)},
    "bits beyond all": {"decreasing": 1, "first_fall": Fall(5, 10**12, 6), "worst_fall": FALL, "worst_ulps": 1},
    "a fall that rises": {"decreasing": 1, "first_fall": Fall(5, 6, 7), "worst_fall": FALL, "worst_ulps": 1},
    "falls by more": {"decreasing": 1, "first_fall": FALL, "worst_fall": FALL, "worst_ulps": 10**30},
    "a fall that is none here": {"decreasing": 1, "first_fall": FALL, "worst_fall": FALL, "worst_ulps": 1},
    "falls without number": {"decreasing": 10**12, "first_fall": FALL, "worst_fall": FALL, "worst_ulps": 1},
    "no first nan": {"nan_outputs": 3, "nan_bits": (0x7FC00000,)},
    "a first nan beyond all": {"nan_outputs": 3, "nan_bits": (0x7FC00000,), "first_nan": 10**30},
    "a nan that is none here": {"nan_outputs": 1, "nan_bits": (0x7FC00000,), "first_nan": FULL.infinity},
    "a nan that is a number": {"nan_outputs": 1, "nan_bits": (1,), "first_nan": FULL.infinity},
    "a zero that is none": {"zero_bits": (0, 1)},
    "a sign of zero left out": {"zero_bits": (0,)},
    "no zero from other numbers": {"nonzero_to_zero": False},
    "a span beyond all": {"spans": (Span(0, 10**25),)},
    "a span left out": {"spans": ()},
    "another chunk": {"chunk": 4096},
    "fewer values": {"values": 12},
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_no_scan_finds_is_not_believed(case, kept):
    f, found, folder, path = kept
    plain = json.loads(msgspec.json.encode(dataclasses.replace(found, **IMPOSSIBLE[case])))
    write(path, json.dumps(plain).encode())
    assert cache.load(f, folder) is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner")
def test_a_file_that_others_may_write_is_not_believed(kept, monkeypatch):
    f, found, folder, path = kept
    for mode in (0o620, 0o602, 0o666):
        path.chmod(mode)
        assert cache.load(f, folder) is None
    path.chmod(0o600)
    assert cache.load(f, folder) == found
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    assert cache.load(f, folder) is None


def test_what_is_no_file_is_not_waited_for(kept):
    f, found, folder, path = kept
    path.unlink()
    os.mkfifo(path)
    assert cache.load(f, folder) is None
    path.unlink()
    path.symlink_to("/dev/zero")
    assert cache.load(f, folder) is None
    path.unlink()
    path.mkdir()
    assert cache.load(f, folder) is None
    path.rmdir()
    write(path, found)
    with path.open("ab") as file:
        file.truncate(cache.LARGEST + 1)
    assert cache.load(f, folder) is None


def test_functions_without_a_name_are_not_kept(scanned, tmp_path):
    f, found = scanned
    cache.save(dataclasses.replace(f, known=False), found, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_narrow_formats_are_not_kept(tmp_path):
    assert is_nondecreasing("torch.tanh", "float16", cache=tmp_path).status == "proved"
    assert list(tmp_path.iterdir()) == []


def test_a_function_put_in_the_librarys_place_is_neither_kept_nor_found(kept, monkeypatch):
    _, found, folder, _ = kept
    own = torch.relu

    @functools.wraps(own)
    def relu(x):
        return torch.where(x == 1, -own(x), own(x))

    monkeypatch.setattr(torch, "relu", relu)
    for f in ("torch.relu", torch.relu):
        impostor = elementwise(f, FULL)
        assert cache.load(impostor, folder) is None
        assert is_nondecreasing(f, "float16", cache=folder).status == "refuted"
    monkeypatch.setattr(torch, "relu", torch.sin)
    assert cache.load(elementwise("torch.relu", FULL), folder) is None
    monkeypatch.undo()
    assert cache.load(elementwise("torch.relu", FULL), folder) == found


def test_a_folder_that_cannot_be_written_is_no_error(scanned, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    f, found = scanned
    cache.save(f, found, blocked / "sub")
    assert cache.load(f, blocked / "sub") is None


@pytest.mark.parametrize("ask", [is_nondecreasing, commutes_with_max_pool])
@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("threads", -1, "None or 1 to 1024, got -1; leave it out."),
        ("threads", 0, "None or 1 to 1024, got 0; leave it out."),
        ("threads", "2", "None or 1 to 1024, got '2'; leave it out."),
        ("threads", True, "None or 1 to 1024, got True; leave it out."),
        ("progress", 3, "None or a function of values done and all, got 3; leave it out."),
        ("cache", 5, "None, True, False or a folder's path, got 5; leave it out."),
        ("cache", "a\0x", "None, True, False or a folder's path, got 'a\\x00x'; leave it out."),
        ("cache", "", "None, True, False or a folder's path, got ''; leave it out."),
        ("cache", b"x", "None, True, False or a folder's path, got b'x'; leave it out."),
    ],
)
def test_options_that_are_none_are_refused_in_one_sentence(ask, option, value, expected):
    with pytest.raises(InvalidInput, match=rf"^{ask.__name__}\({option}=...\): expected ") as error:
        ask("torch.relu", "float16", **{option: value})
    assert str(error.value) == f"{ask.__name__}({option}=...): expected {expected}"
