"""The commands by name, each imported when it is called, and what becomes of their errors.

A new command is one file with one function that returns an exit code (or None for 0), and one entry in `COMMANDS`.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from mathdnn import __version__
from mathdnn.cli.output import say
from mathdnn.cli.spoken import spoken
from mathdnn.errors import InvalidInput, MathdnnError, sentence, shown

_NARROWEST = 20
COMPLETION = "--install-completion"  # which cyclopts does

COMMANDS: dict[str, tuple[str, str | None]] = {
    "reproduce": (
        "Check every claim of the homework; write a page and results.json.",
        """mathdnn reproduce
mathdnn reproduce 1 2 3 6 --out fast
mathdnn reproduce 7 --seeds 10 --data fashion-mnist""",
    ),
    "prove": (
        "Is it a convolution? Does it never fall? Are the derivatives right?",
        None,
    ),
    "grade": (
        "Grade a kernel, a count or a derivative.",
        None,
    ),
    "verify": (
        "Check a saved verdict, or a results.json, by independent code.",
        """mathdnn verify blur.json
mathdnn verify reproduction/results.json --json

Exit codes: 0 it holds; 1 rejected, or undecided where nothing can check it
here (the answer says which); 2 misuse. Nothing in a file is ever run.""",
    ),
    "train": (
        "Train LeNet-5 on MNIST or data in its format; defaults: the homework's.",
        """mathdnn train lenet5 --out run
mathdnn train lenet5 --out run --resume
mathdnn train lenet5 --c3 full --momentum 0.9 --nesterov --schedule one_cycle""",
    ),
    "predict": (
        "Say which digit a picture shows.",
        """mathdnn predict run digit.png
mathdnn predict run scan1.jpg scan2.jpg --json""",
    ),
    "count": (
        "Count parameters, connections and multiply-adds, by layer.",
        """mathdnn count lenet5
mathdnn count lenet5 --c3 full
mathdnn count lenet5-1998 --json""",
    ),
    "bench": (
        "Measure speed beside the peers and the machine's limits.",
        """mathdnn bench --out bench.json --picture roofline.svg
mathdnn bench sgd lenet --rounds 6
mathdnn bench --quick --json""",
    ),
    "report": (
        "Draw the page again from a results.json.",
        "mathdnn report reproduction/results.json --out again",
    ),
}
"""Name: what the command does, in a line, and examples (None for a group of commands, which has its own). The order is
that of the help."""

HELP = "The mathematics of convolutional networks, executable."

EPILOGUE = """Examples:

mathdnn reproduce                          every claim of the homework
mathdnn reproduce 1 2 3 6 --out fast       some of its problems, in seconds
mathdnn train lenet5 --out run --seed 1    LeNet-5 with its connection table
mathdnn predict run digit.png              which digit is this?
mathdnn count lenet5 --c3 full --json      what each layer costs
mathdnn prove monotone torch.tanh          over every float32
mathdnn prove conv my:op --shape 1,28,28   is it a convolution, and which?

Exit codes: 0 done or holds, 1 refuted or undecided, 2 misuse, 130 interrupted."""

MISUSE, INTERRUPTED, NO_READER = 2, 130, 141  # the last two as shells count SIGINT and SIGPIPE


def build() -> App:
    """The application; no command's module is imported yet."""
    app = App(
        name="mathdnn",
        version=__version__,
        help=HELP,
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
    )
    for place, (name, (line, examples)) in enumerate(COMMANDS.items()):
        more = {} if examples is None else {"help_epilogue": f"Examples:\n\n{examples}"}
        app.command(f"mathdnn.cli.{name}:{name}", name=name, help=line, sort_key=place, **more)
    app.register_install_completion_command(name=COMPLETION)
    return app


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; misuse ends in one sentence on standard error."""
    try:
        _prepare_streams()
        _require_here()
        code = build()(list(argv))
        sys.stdout.flush()
        return int(code or 0)
    except CycloptsError as error:
        command = " ".join(["mathdnn", *(error.command_chain or ())])
        return _complain(f"{' '.join(str(error).split())} See {command} --help.", MISUSE)
    except MathdnnError as error:
        return _complain(spoken(str(error), argv), MISUSE)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _forget_stdout()
        return NO_READER
    except SystemExit as stop:  # rich leaves this way where nobody reads
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        return NO_READER
    except OSError as error:  # files are written by functions that raise OutputError; this is standard output or a name
        if error.errno in (errno.ENAMETOOLONG, errno.EIO) or argv[:1] == [COMPLETION]:
            place = f" for {error.filename}" if error.filename else ""
            got, do = f"the answer {error.strerror!r}{place}", "check the names, the rights and the disk"
            who = argv[0] if argv else "mathdnn"
            return _complain(sentence(who, "files and folders that can be used", got, do), MISUSE)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or error.filename is not None:
            raise
        _forget_stdout()
        return _complain(f"standard output: {error.strerror or error}; give it room.", MISUSE)


def _prepare_streams() -> None:
    """What is printed to a stream that who started this has closed goes nowhere; what it cannot hold is written out.

    In fewer columns than a table's own lines take, the tables of --help would never end; 0 means that nobody knows.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) < _NARROWEST:
        os.environ["COLUMNS"] = str(_NARROWEST if int(columns) else 80)


def _require_here() -> None:
    """Raise `InvalidInput` where the current folder is gone: Python and torch fail there in words of their own."""
    try:
        os.getcwd()
    except OSError as error:
        got = f"the answer {error.strerror!r}"
        raise InvalidInput(sentence("the current folder", "one that exists", got, "go to another")) from None


def _complain(message: str, code: int) -> int:
    say(f"mathdnn: {shown(message)}")  # one line, whatever characters are in a name
    return code


def _forget_stdout() -> None:
    """Point standard output nowhere, so that the interpreter's last flush has nothing to complain of."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
