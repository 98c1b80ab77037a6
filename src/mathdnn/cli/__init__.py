"""The command line: one file a command, thin. Parse, call, print, exit code.

    0 done, or it holds     1 refuted or undecided (commands that decide one claim)     2 misuse     130 interrupted

Misuse is whatever raises `MathdnnError`: wrong arguments, unusable files, an output that cannot be written, training
that diverges. It prints one sentence on standard error. Anything else is a defect of mathdnn and keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return the exit code."""
    try:
        from mathdnn.cli.app import run
    except KeyboardInterrupt:  # the modules take a tenth of a second, in which `run` cannot see to it yet
        print("mathdnn: interrupted", file=sys.stderr)
        return 130
    return run(sys.argv[1:] if argv is None else list(argv))
