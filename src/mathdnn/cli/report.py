"""`mathdnn report`: the page again, from the results alone."""

from __future__ import annotations

from pathlib import Path

from mathdnn.cli.named import no_empty_folders, reading
from mathdnn.cli.output import Named


def report(results: Named, /, *, out: Named = Path("reproduction")) -> int:
    """Draw the page again from a results.json.

    Parameters
    ----------
    results
        The results.json that mathdnn reproduce wrote.
    out
        Folder for index.html and results.json.
    """
    from mathdnn.report import prepare_output, read_results, write_report

    with reading(f"report {results}"):
        document = read_results(results)
    with no_empty_folders(out):
        prepare_output(out)
        page = write_report(document, out)
    print(f"the page: {page}")
    return 0
