"""Damaged checkpoints: none loads other weights in silence."""

from __future__ import annotations

import json
import os

import msgspec
import pytest
import torch
from tests.training.cases import RECIPES, start, tiny_data, tiny_net

from mathdnn.errors import RunError
from mathdnn.training import load_run, tensor_digest, train
from mathdnn.training.checkpoint import NAME, decode, encode


def test_another_format_version_is_named(tmp_path):
    start(tmp_path, 3)
    content = (tmp_path / NAME).read_bytes().replace(b'{\\"format\\":1,', b'{\\"format\\":2,', 1)
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(RunError, match=r": expected .*; ") as caught:
        load_run(tmp_path)
    assert str(caught.value) == (
        f"load_run({tmp_path}): expected a run of format 1, got format 2; "
        "read it with the mathdnn that wrote it, or train again."
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(tiny_net(), tiny_data(), RECIPES["sgd"], run=folder)
    return (folder / NAME).read_bytes()


def mutated(content, rng):
    """One of: flipped bit, changed byte in the header, cut, doubled, zeroed or swapped stretch, inserted byte."""
    bytes_, n = bytearray(content), len(content)
    header = 8 + int.from_bytes(content[:8], "little")
    place = int(rng.integers(n))
    stretch = slice(place, min(n, place + int(rng.integers(1, 200))))
    match int(rng.integers(7)):
        case 0:
            bytes_[place] ^= 1 << int(rng.integers(8))
        case 1:
            bytes_[int(rng.integers(header))] = int(rng.integers(256))
        case 2:
            del bytes_[place:]
        case 3:
            bytes_[stretch] = bytes_[stretch] * 2
        case 4:
            bytes_[stretch] = bytes(stretch.stop - stretch.start)
        case 5:
            digits = [i for i in range(header) if bytes_[i : i + 1].isdigit()]
            bytes_[digits[int(rng.integers(len(digits)))]] = ord(str(rng.integers(10)))
        case 6:
            bytes_.insert(place, int(rng.integers(256)))
    return bytes(bytes_)


def test_of_1000_mutated_checkpoints_none_loads_anything_else(whole, rng):
    record, position, tensors = decode(whole, "test")
    expected, refused = tensor_digest(tensors), 0
    for _ in range(1000):
        content = mutated(whole, rng)
        try:
            found = decode(content, "load_run(x)")
        except RunError:
            refused += 1
        else:
            assert found[:2] == (record, position)
            assert tensor_digest(found[2]) == expected
    assert refused > 900


def test_renamed_tensors_and_other_records_are_noticed(whole):
    names = [b'"model.0.weight"', b'"model.0.biasss"'[:16]]
    assert names[0] in whole
    with pytest.raises(
        RunError, match=r"expected a whole checkpoint.safetensors, got other contents than its digest says"
    ):
        decode(whole.replace(*names), "test")
    with pytest.raises(
        RunError, match=r"expected a whole checkpoint.safetensors, got other contents than its digest says"
    ):
        decode(whole.replace(b'\\"seed\\":0', b'\\"seed\\":1'), "test")


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 7, b"\xff" * 100, b"{}", b"\x02" + b"\x00" * 7 + b"{}", b"\x80\x04N."]
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(RunError, match=r": expected .*; ") as caught:
        load_run(tmp_path)
    assert str(caught.value) == (
        f"load_run({tmp_path}): expected a whole {NAME}, got no header of mathdnn; "
        "it is damaged or not of mathdnn; train again."
    )


def test_a_folder_or_a_pipe_in_the_place_of_the_file(tmp_path):
    (tmp_path / "a" / NAME).mkdir(parents=True)
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / NAME)
    for folder in ("a", "b"):
        with pytest.raises(
            RunError, match=rf"expected a file {NAME}, got something that is no regular file; choose a run"
        ):
            load_run(tmp_path / folder)


def forged(folder, *, tensors=None, position=None, **record):
    """A run's file changed, with a digest that fits: anybody can make one."""
    saved, at, held = decode((folder / NAME).read_bytes(), "forged")
    changed = {**held, **(tensors or {})}
    at = msgspec.structs.replace(at, **(position or {}))
    content = encode(msgspec.structs.replace(saved, **record), at, {k: t for k, t in changed.items() if t is not None})
    (folder / NAME).write_bytes(content)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"model.0.weight": torch.zeros(1, 2)}, r"for 0.weight one of shape \(1, 2\) and torch.float32"),
        ({"model.0.weight": torch.zeros(4, 1, 3, 3, dtype=torch.complex64)}, "for 0.weight one of shape"),
        ({"model.0.weight": None}, "for 0.weight none"),
        ({"model.more": torch.zeros(1)}, "a tensor 'more' that the network has not"),
        ({"model.0.bias": torch.full((4,), torch.nan)}, "numbers in 0.bias that are not finite"),
    ],
    ids=["shape", "kind", "missing", "more", "nan"],
)
def test_forged_weights_are_one_sentence(whole, tmp_path, tensors, words):
    (tmp_path / NAME).write_bytes(whole)
    forged(tmp_path, tensors=tensors)
    model = tiny_net()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with pytest.raises(RunError, match=words):
        load_run(tmp_path).into(model)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_a_header_whose_end_is_no_whole_number_is_one_sentence(whole, tmp_path):
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    last = max((part for part in header.values() if "data_offsets" in part), key=lambda part: part["data_offsets"][1])
    last["data_offsets"][1] = float(last["data_offsets"][1])
    text = json.dumps(header).encode()
    (tmp_path / NAME).write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
    with pytest.raises(RunError, match="it is damaged or not of mathdnn"):
        load_run(tmp_path)


@pytest.mark.parametrize("byte", [0, 255])
def test_a_forged_state_of_the_random_draws_is_one_sentence(byte, tmp_path):
    start(tmp_path, 3)
    forged(tmp_path, tensors={"random.cpu": torch.full_like(torch.get_rng_state(), byte)})
    model, draws = tiny_net(seed=1), torch.get_rng_state()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    words = rf"^train\(resume=True\): expected a whole {NAME}, got a state of the random draws at which torch answers "
    with pytest.raises(RunError, match=words + r".*; it is damaged or not of mathdnn; train again\.$"):
        train(model, tiny_data(), RECIPES["sgd"], seed=4, run=tmp_path, resume=True)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), draws)


@pytest.mark.parametrize(
    "position", [{"epoch": -3}, {"epoch": 99}, {"step": -1}, {"seconds": -1.0}], ids=lambda given: next(iter(given))
)
def test_a_place_where_no_run_stands_is_one_sentence(tmp_path, position):
    start(tmp_path, 3)
    forged(tmp_path, position=position)
    with pytest.raises(RunError, match=r"got step -?\d+ of epoch -?\d+ after 0 epochs; it is damaged"):
        load_run(tmp_path)


def test_a_file_longer_than_its_header_says_is_not_read(whole, tmp_path):
    with (tmp_path / NAME).open("wb") as file:
        file.write(whole)
        file.truncate(1 << 40)  # sparse: it takes no room, and reading it would
    with pytest.raises(RunError, match=r"got 1,099,511,627,776 bytes, which is not what its header says"):
        load_run(tmp_path)
