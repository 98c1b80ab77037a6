"""Kept scans: found again, never believed when damaged or no longer true."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch

from mathdnn.monotone import cache, is_nondecreasing
from mathdnn.monotone.floats import FORMATS
from mathdnn.monotone.functions import elementwise
from mathdnn.monotone.scan import scan

HALF = FORMATS["float16"]


@pytest.fixture
def kept(tmp_path):
    f = elementwise("torch.tanh", HALF)
    found = scan(f)
    cache.save(f, found, tmp_path)
    (path,) = tmp_path.iterdir()
    return f, found, tmp_path, path


def test_a_kept_scan_is_the_scan(kept):
    f, found, folder, _ = kept
    assert cache.load(f, folder) == found
    assert cache.load(f, None) is None
    assert cache.load(elementwise("torch.sigmoid", HALF), folder) is None


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


def test_functions_without_a_name_are_not_kept(tmp_path):
    f = elementwise(lambda x: x, HALF)
    cache.save(f, scan(f), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_function_put_in_the_librarys_place_is_neither_kept_nor_found(kept, monkeypatch):
    _, found, folder, _ = kept
    own = torch.tanh

    @functools.wraps(own)
    def tanh(x):
        return torch.where(x == 1, -own(x), own(x))

    monkeypatch.setattr(torch, "tanh", tanh)
    for f in ("torch.tanh", torch.tanh):
        impostor = elementwise(f, HALF)
        assert cache.load(impostor, folder) is None
        assert is_nondecreasing(f, "float16", cache=folder).status == "refuted"
    monkeypatch.setattr(torch, "tanh", torch.sin)
    assert cache.load(elementwise("torch.tanh", HALF), folder) is None
    monkeypatch.undo()
    assert cache.load(elementwise("torch.tanh", HALF), folder) == found


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    f = elementwise("torch.tanh", HALF)
    cache.save(f, scan(f), blocked / "sub")
    assert cache.load(f, blocked / "sub") is None
