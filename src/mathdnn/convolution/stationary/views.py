"""Views: the same elements in the same order under other dimensions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from mathdnn.convolution.growing import Poly, Unclear, multiply, number
from mathdnn.convolution.stationary import Atom, Dim, Field, Value, fixed, product

if TYPE_CHECKING:
    from mathdnn.convolution.stationary.walk import Walk


def view(w: Walk, value: Value, shape: list[Poly]) -> Value:
    """Groups of old factors and new dimensions of one size, the smallest that are, each regrouped on its own."""
    atoms = [atom for dim in value.dims for atom in dim]
    wanted = [poly for poly in shape if poly != {(0, 0): 1}]
    dims: list[Dim] = []
    while wanted:
        old, new = _group(atoms, wanted)
        for part in _regrouped(w, old, new):
            dims.append(part)
        atoms, wanted = atoms[len(old) :], wanted[len(new) :]
    if atoms:
        raise Unclear("a view joins what grows in different ways")
    ones = iter(dims)
    made = tuple(() if poly == {(0, 0): 1} else next(ones) for poly in shape)
    return _resettled(w, value, made)


def _group(atoms: list[Atom], wanted: list[Poly]) -> tuple[tuple[Atom, ...], list[Poly]]:
    """The fewest leading atoms and sizes with one product."""
    for total in range(2, len(atoms) + len(wanted) + 1):
        for count in range(1, total):
            if count <= len(atoms) and total - count <= len(wanted):
                made: Poly = {(0, 0): 1}
                for poly in wanted[: total - count]:
                    made = multiply(made, poly)
                if product(tuple(atoms[:count])) == made:
                    return tuple(atoms[:count]), wanted[: total - count]
    raise Unclear("a view mixes rows, columns and channels")


def _regrouped(w: Walk, old: tuple[Atom, ...], new: list[Poly]) -> list[Dim]:
    fields = [atom for atom in old if isinstance(atom, Field)]
    if not fields:
        return list(fixed(*(number(poly) or 0 for poly in new)))
    if len(new) == 1:
        if len(fields) == 1 and isinstance(old[0], Field):  # (field, k): k elements for each
            k = math.prod(atom for atom in old[1:] if isinstance(atom, int))
            return [(Field(fields[0].axis, fields[0].length * k, fields[0].growth * k),)]
        return [old]
    sizes = [number(poly) for poly in new[1:]]
    if len(old) == 1 and None not in sizes:  # field -> (field / k, k)
        k = math.prod(size or 0 for size in sizes)
        return [(w.divide(fields[0], k, fields[0].length // k),), *fixed(*(size or 0 for size in sizes))]
    raise Unclear("a view mixes rows, columns and channels")


def _resettled(w: Walk, value: Value, dims: tuple[Dim, ...]) -> Value:
    made = Value(dims, value.along)
    along = list(value.along)
    for axis in (0, 1):
        before, after = value.field(axis), made.field(axis)
        if before is None or after is None or before == after:
            continue
        mine = value.along[axis]
        step = w.pitch(after) - w.pitch(before)  # i = k i' + q: (k - 1) pitches more after a split, fewer after a join
        offsets = mine.shifted(min(step, Fraction(0)), max(step, Fraction(0)))
        zone = -(-mine.zone * after.growth // before.growth)
        along[axis] = w.settle(after, zone, offsets, mine.end)
    return Value(dims, (along[0], along[1]))
