"""Report: verdicts and runs as one self-contained page with figures, drawn from the results document alone.

The document is what `results.json` holds; `document` describes it, and the data of each kind of picture. Every name is
imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathdnn.report.document import check_results
    from mathdnn.report.page import render
    from mathdnn.report.write import prepare_output, read_results, write_report

_HOME = {
    "check_results": "document",
    "render": "page",
    "prepare_output": "write",
    "read_results": "write",
    "write_report": "write",
}

__all__ = ["check_results", "prepare_output", "read_results", "render", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mathdnn.report' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mathdnn.report.{_HOME[name]}"), name)
    globals()[name] = value
    return value
