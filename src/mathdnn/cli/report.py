"""`mathdnn report`: the page again, from the results alone."""

from __future__ import annotations

from pathlib import Path

from mathdnn.cli.named import reading
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
    prepare_output(out)
    print(f"the page: {write_report(document, out)}")
    return 0
