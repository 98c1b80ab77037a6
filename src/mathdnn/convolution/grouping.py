"""Places that do the same: columns of ids that are alike up to one common shift of their bases.

Column n is the same as column n' where every term has the same template, and every base the same distance from the
column's anchor, its largest base. Columns are told apart by a 64-bit mix of their terms, and then each is compared with
its group's first, term by term: the mix only saves time, and where two different columns share one, all are compared in
full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int64

_FACTOR = np.int64(-7046029254386353131)  # odd: no bit of a term is lost (2^64 / golden ratio, Knuth's)


@dataclass(frozen=True)
class Groups:
    """`ids` (g, t): the first column of each group, `anchor` its anchor; `place` (n): the group of each column,
    `anchors` the columns' own; `shape`: of each term."""

    ids: Int64[np.ndarray, "g t"]
    anchor: Int64[np.ndarray, " g"]
    place: Int64[np.ndarray, " n"]
    anchors: Int64[np.ndarray, " n"]
    shape: tuple[int, ...]


def grouped(terms: Sequence[np.ndarray] | np.ndarray, mask: int) -> Groups:
    """The groups of t arrays of ids of one shape; `mask` covers an id's base."""
    shape = np.shape(terms[0])
    size = int(np.prod(shape, dtype=np.int64))
    if len(terms) > max(64, size):  # few sums of many terms
        return _by_column(np.asarray(terms).reshape(len(terms), size), mask, shape)
    anchors = np.zeros(size, np.int64)
    for term in terms:
        np.maximum(anchors, term.ravel() & mask, out=anchors)
    mixed = np.zeros(size, np.int64)
    for term in _relative(terms, anchors, mask):
        mixed *= _FACTOR  # modulo 2^64
        mixed += term
    first, place = _first_of_each(mixed)
    for term in _relative(terms, anchors, mask):
        if (term[first][place] != term).any():
            return _by_column(np.stack([part.ravel() for part in terms]), mask, shape)
    ids = np.stack([term.ravel()[first] for term in terms], axis=1)
    return Groups(ids, anchors[first], place, anchors, shape)


def _relative(terms: Sequence[np.ndarray] | np.ndarray, anchors: np.ndarray, mask: int) -> Iterator[np.ndarray]:
    """Every term with its base counted from the anchor; constants have none."""
    for term in terms:
        flat = term.ravel()
        yield flat - np.where(flat & mask, anchors, 0)


def _first_of_each(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each different value stands first, and which it is at every place; quick where neighbours are alike."""
    new = np.ones(len(values), bool)
    new[1:] = values[1:] != values[:-1]
    heads = np.flatnonzero(new)
    _, first, place = np.unique(values[heads], return_index=True, return_inverse=True)
    return heads[first], np.repeat(place.ravel(), np.diff(np.append(heads, len(values))))


def _by_column(ids: Int64[np.ndarray, "t n"], mask: int, shape: tuple[int, ...]) -> Groups:
    """Column by column, each as it is."""
    base = ids & mask
    anchors = base.max(axis=0, initial=0)
    relative = np.ascontiguousarray((ids - np.where(base > 0, anchors, 0)).T)
    known: dict[bytes, int] = {}
    place = np.array([known.setdefault(column.tobytes(), len(known)) for column in relative], np.int64)
    first = np.unique(place, return_index=True)[1]
    return Groups(ids[:, first].T, anchors[first], place, anchors, shape)
