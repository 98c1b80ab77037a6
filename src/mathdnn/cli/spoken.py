"""An error of the library, which speaks of arguments, said with the options of the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OPTION = {"root": "--data", "run": "--out", "folder": "--out", "input_shape": "--shape"}  # where the names differ
_WHO = re.compile(r"\w+\((\w+)=(.*?)\)(?:\((.*?)\))?(?=: expected )", re.DOTALL)  # the last: a file made for it
_SETTING = re.compile(r"\b(pass )?(\w+)=(True\b|'(\w+)')")


def spoken(message: str, argv: Sequence[str]) -> str:
    """The message; where it names an argument that an option of `argv` gave, that option in its place."""
    if not argv:
        return message
    given = {token.partition("=")[0] for token in argv if token.startswith("--")}
    said, semicolon, do = message.rpartition("; ")
    for option in given:
        if (argument := _argument(option)).count("_"):  # other names are words, too
            do = re.sub(rf"\b{argument}\b", option, do)
    who = _WHO.match(said)
    if who is None or (argv[0] == "grade" and who[1] != "save"):  # else its sentences speak of what was handed in
        return f"{said}{semicolon}{do}"
    argument, value = who[1], who[3] or who[2].strip("'")
    option = _OPTION.get(argument, f"--{argument.replace('_', '-')}")
    if option not in given and argument != "folder":  # which is --out, given or not
        return f"{said}{semicolon}{do}"
    do = do.replace(f"change {argument}", f"change {option}").replace("without resume", "without --resume")
    command = " ".join(argv[: 2 if argv[0] in ("prove", "grade") else 1])
    shown = "" if value in ("...", "True") else f" {value}"
    return f"{command} {option}{shown}{said[who.end() :]}{semicolon}{_SETTING.sub(_as_option, do)}"


def _argument(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _as_option(setting: re.Match[str]) -> str:
    verb, argument, _, word = setting.groups()
    option = f"--{argument.replace('_', '-')}{f' {word}' if word else ''}"
    return f"add {option}" if verb else option
