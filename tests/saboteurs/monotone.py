"""Wrong twins of the scan and of the argument that follows it. Each names the law that must reject it."""

from __future__ import annotations

import numpy as np

from mathdnn.monotone.floats import Format, bits_at, values_of


def _falls(f, form: Format, places: np.ndarray) -> list[int]:
    y = values_of(f(bits_at(places, form)), form)
    return [int(k) for k in places[:-1][y[1:] < y[:-1]]]


def never_crosses_zero(f, form: Format) -> list[int]:
    """Law: a fall between two neighbours is found wherever it lies (here: at zero)."""
    return _falls(f, form, np.arange(form.first, 0)) + _falls(f, form, np.arange(0, form.infinity + 1))


def skips_subnormals(f, form: Format) -> list[int]:
    """Law: the same (here: among the subnormals)."""
    smallest = 1 << form.mantissa
    return _falls(f, form, np.arange(form.first, -smallest)) + _falls(f, form, np.arange(smallest, form.infinity + 1))


def stops_before_infinity(f, form: Format) -> list[int]:
    """Law: the same (here: at the infinities)."""
    return _falls(f, form, np.arange(form.first + 1, form.infinity))


def forgets_borders(f, form: Format, chunk: int = 1000) -> list[int]:
    """Law: the same (here: across the borders of chunks)."""
    starts = range(form.first, form.infinity + 1, chunk)
    return [k for s in starts for k in _falls(f, form, np.arange(s, min(s + chunk, form.infinity + 1)))]


def orders_bits_as_they_are(f, form: Format) -> list[int]:
    """Law: the places of values are ordered as the values are (here: negative ones run backwards)."""
    bits = np.arange(-form.magnitude - 1, form.magnitude + 1)
    magnitude = bits & form.magnitude
    bits = bits[magnitude <= form.infinity].astype(form.integer)
    y = values_of(f(bits), form)
    return [int(k) for k in np.flatnonzero(y[1:] < y[:-1])]


SCANS = [never_crosses_zero, skips_subnormals, stops_before_infinity, forgets_borders, orders_bits_as_they_are]


def monotone_is_bitwise(decreasing: int, zero_bits: tuple[int, ...], nonzero_to_zero: bool) -> str:
    """Law: relu over float16 commutes as values only, since relu(-1) is +0.0 and relu(-0.0) is -0.0."""
    return "bitwise" if not decreasing else "no"


def zeros_ignored_where_all_are_zero(decreasing: int, zero_bits: tuple[int, ...], nonzero_to_zero: bool) -> str:
    """Law: the same; a scan that sees one sign of zero only."""
    return "bitwise" if not decreasing and len(zero_bits[:1]) < 2 else "values"


ARGUMENTS = [monotone_is_bitwise, zeros_ignored_where_all_are_zero]
