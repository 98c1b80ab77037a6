"""Ordered floats, exhaustive scans, and commuting with max pooling."""

from __future__ import annotations

from mathdnn.monotone.commute import commutes_with_max_pool
from mathdnn.monotone.floats import FORMATS, Format
from mathdnn.monotone.nondecreasing import is_nondecreasing
from mathdnn.monotone.reals import over_the_reals

__all__ = ["FORMATS", "Format", "commutes_with_max_pool", "is_nondecreasing", "over_the_reals"]
