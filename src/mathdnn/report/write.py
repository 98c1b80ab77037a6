"""Reading results, and writing the page with them: each file appears whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mathdnn.data.files import open_regular, replace_file
from mathdnn.errors import InvalidInput, OutputError, sentence
from mathdnn.plain import require_readable
from mathdnn.report.document import check_results

PAGE, RESULTS = "index.html", "results.json"
MAX_BYTES = 256_000_000  # a thousand times what a run of all problems writes


def prepare_output(folder: str | os.PathLike[str]) -> Path:
    """Make `folder` where it is missing, and see that page and results can be written in it. Raises `OutputError`."""
    folder = Path(folder)
    who, do = f"prepare_output(folder={os.fspath(folder)})", "choose a folder that may be written"
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(sentence(who, "a folder", "something that is not a folder", do))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # of root, rights alone say nothing
            pass
    except OSError as error:
        got = f"the answer {error.strerror or str(error)!r}"
        raise OutputError(sentence(who, "a folder that may be written", got, do)) from error
    for place in (folder / PAGE, folder / RESULTS):
        if place.exists() and not place.is_file():
            got = f"something else of the name {place.name}"
            raise OutputError(sentence(who, f"a folder for files of the names {PAGE} and {RESULTS}", got, do))
    return folder


def write_report(results: dict[str, Any], folder: str | os.PathLike[str]) -> Path:
    """Write results.json and index.html into `folder` (made where missing) and return the page's path.

    Both are drawn in memory first; each is then written whole or not at all. Raises `InvalidInput` for a document that
    cannot be drawn, `OutputError` where the folder refuses.
    """
    from mathdnn.report.page import render

    page = render(results).encode()
    document = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False).encode()
    folder = prepare_output(folder)
    replace_file(folder / RESULTS, document, "write_report(folder=...)")
    replace_file(folder / PAGE, page, "write_report(folder=...)")
    return folder / PAGE


def read_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The document in a results.json, checked. Raises `DataError` or `InvalidInput` for anything else."""
    who = f"read_results({os.fspath(path)})"
    with open_regular(path, who) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            expected = f"at most {MAX_BYTES:,} bytes"
            raise InvalidInput(sentence(who, expected, f"{size:,}", "name a results.json of mathdnn reproduce"))
        content = file.read()
    try:
        require_readable(content)
        results: dict[str, Any] = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        got, do = f"something else ({str(error).rstrip('.')})", "name a results.json of mathdnn reproduce"
        raise InvalidInput(sentence(who, "one JSON document", got, do)) from None
    check_results(results, who)
    return results


def _refuse_constant(name: str) -> None:
    raise ValueError(f"the number {name}, which JSON does not have")
