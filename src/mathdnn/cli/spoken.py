"""An error of the library, which speaks of arguments, said with the options of the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OPTION = {
    "root": "--data", "run": "--out", "folder": "--out", "input_shape": "--shape", "text": "--formula",
}  # fmt: skip
"""Of arguments, where the names differ."""
_READ = {"load_run", "read_digit", "read_idx", "read_results"}  # files that are named without an option
_ASKED = {
    "as_conv2d", "bench", "check_exact", "commutes_with_max_pool", "equal_maps", "grade", "is_nondecreasing",
    "MLP.from_sequential", "reproduce", "typed_formula",
}  # fmt: skip
"""The functions that a command asks: what they say of other arguments concerns what no option gave."""
_WHO = re.compile(r"([\w.]+)(?:\(((?:(\w+)=)?(.*?))\)(?:\((.*?)\))?)?(?=: expected )", re.DOTALL)
"""A function, what is in its brackets, an argument and its value there, and a file that was made for it."""
_SETTING = re.compile(r"\b(pass )?(\w+)=(True\b|'(\w+)')")


def spoken(message: str, argv: Sequence[str]) -> str:
    """The message; in place of a function's name the command's, with the option or the file that it is about."""
    if not argv:
        return message
    given = {token.partition("=")[0] for token in argv if token.startswith("--")}
    said, semicolon, do = message.rpartition("; ")
    for option in given:
        if (argument := _argument(option)).count("_"):  # other names are words, too
            do = re.sub(rf"\b{argument}\b", option, do)
    who = _WHO.match(re.sub(r"^load_mnist\(\) of (.*?)(?=: expected )", r"read_idx(\1)", said, flags=re.DOTALL))
    name = None if who is None else _name(who, given)
    if who is None or name is None:
        return f"{said}{semicolon}{do}"
    if argument := who[3]:
        do = do.replace(f"change {argument}", f"change {_option(argument)}")
    do = do.replace("without resume", "without --resume").replace("read it with load_run", "predict with it")
    do = _SETTING.sub(_as_option, do)
    command = " ".join(argv[: 2 if argv[0] in ("prove", "grade") else 1])
    return f"{command}{name and ' '}{name}{who.string[who.end() :]}{semicolon}{do}"


def _name(who: re.Match[str], given: set[str]) -> str | None:
    """What to say after the command: an option, with its value where that is known, or a file; None to leave it all."""
    function, inside, argument, value, file = who.groups()
    if function in _READ:
        return str(inside)
    if inside and ((option := _option(argument or inside)) in given or argument == "folder"):  # which is always --out
        value = file or value.strip("'")
        return option if value in ("...", "True", inside) else f"{option} {value}"
    return "" if function in _ASKED else None


def _option(argument: str) -> str:
    return _OPTION.get(argument, f"--{argument.replace('_', '-')}")


def _argument(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _as_option(setting: re.Match[str]) -> str:
    verb, argument, _, word = setting.groups()
    option = f"--{argument.replace('_', '-')}{f' {word}' if word else ''}"
    return f"add {option}" if verb else option
