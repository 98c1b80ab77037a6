"""Verdicts as a forger would have them: a field changed, bytes changed, content changed under a seal that fits."""

from __future__ import annotations

import copy
import hashlib
import json

import msgspec

from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status, Verdict
from mathdnn.verify import verify


def rejected(text) -> bool:
    try:
        return verify(Verdict.from_json(text)).status is not Status.PROVED
    except InvalidInput:
        return True


def replaced(plain, path, value):
    """A copy of plain data with another value at a path of keys."""
    plain = copy.deepcopy(plain)
    at = plain
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return plain


def each_field_changed(verdict, most):
    """(path, text): a verdict's fields changed in turn, spread over all of them where there are more than `most`."""
    plain = verdict.to_plain()
    paths = list(_leaves(plain))
    for path in paths[:: max(1, len(paths) // most)]:
        value = plain
        for key in path:
            value = value[key]
        yield path, json.dumps(replaced(plain, path, _changed(value)))


def random_mutations(verdict, rng, number):
    """Texts with one to three bytes changed at random, those left out that are no verdict or the same."""
    text = verdict.to_json(indent=0).encode()
    for _ in range(number):
        mutated = bytearray(text)
        for at in rng.integers(len(text), size=rng.integers(1, 4)):
            mutated[at] = rng.integers(32, 127)
        try:
            same = Verdict.from_json(bytes(mutated)) == verdict
        except InvalidInput:
            continue
        if not same:
            yield bytes(mutated)


def resealed(plain) -> Verdict:
    """The changed content with a seal that fits."""
    verdict = Verdict.from_json(json.dumps(plain))
    data = {key: value for key, value in verdict.evidence.data.items() if key != "seal"}
    bare = msgspec.structs.replace(verdict, evidence=msgspec.structs.replace(verdict.evidence, data=data))
    seal = hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()
    return msgspec.structs.replace(
        verdict, evidence=msgspec.structs.replace(verdict.evidence, data={**data, "seal": seal})
    )


def _leaves(plain, path=()):
    if isinstance(plain, dict | list):
        for key, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
            yield from _leaves(value, (*path, key))
    else:
        yield path


def _changed(value):
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, str):
        return value[:-1] + ("1" if value[-1:] != "1" else "2")
    return value + 1
