"""`mathdnn verify`: check a saved verdict, or every verdict of a results.json, and load nothing of the provers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from mathdnn.cli.answer import FAILS, HOLDS, answer
from mathdnn.cli.named import reading
from mathdnn.cli.output import Json, Named, print_json, print_table
from mathdnn.data.files import open_regular
from mathdnn.errors import InvalidInput, sentence, shown
from mathdnn.plain import require_readable
from mathdnn.verdict import Estimate, Undecided, Verdict

LARGEST = 1 << 29  # bytes
WORD = {"proved": "holds", "refuted": "rejected", "undecided": "not checked"}


class _Entry(msgspec.Struct, frozen=True):
    """What of a claim in a results.json is checked."""

    id: str
    status: str
    verdict: Verdict
    statement: str | None = None


class _Results(msgspec.Struct, frozen=True):
    claims: tuple[_Entry, ...]


def verify(file: Named, /, *, json: Json = False) -> int:
    """Check a saved verdict, or all of a results.json, by independent code.

    Parameters
    ----------
    file
        What --save wrote, or the results.json of mathdnn reproduce.
    json
        Print one JSON document.
    """
    content = _read(file)
    found = _decode(content, file)
    if isinstance(found, _Results):
        return _results(found, json=json)
    from mathdnn.verify import CLAIM
    from mathdnn.verify import verify as check

    checked = check(found)
    no = f"{found.status!s}: " if found.status.value in ("refuted", "contradicted") else ""  # what holds is the no
    what = checked.claim.removeprefix(CLAIM) if checked.status.value == "proved" else found.claim
    words = f"{WORD[checked.status.value].upper()}: {no}{shown(what)}\n  {shown(str(checked.evidence))}"
    return answer(checked, json=json, words=words)


def _read(path: Path) -> bytes:
    who = f"verify {path}"
    with reading(who), open_regular(path, who) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise InvalidInput(sentence(who, f"at most {LARGEST:,} bytes", f"{size:,}", "check the file"))
        return file.read(LARGEST + 1)


def _decode(content: bytes, path: Path) -> Verdict | _Results:
    """A verdict or results, told apart by their keys. Raises `InvalidInput` for anything else."""
    expected, do = "a verdict as --save writes it, or a results.json", "check the file"
    try:
        keys = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        require_readable(content)
        if "claims" in keys:
            return msgspec.json.decode(content, type=_Results)
        return msgspec.json.decode(content, type=Verdict)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        deep = isinstance(error, RecursionError)
        got = "a tree too deep" if deep else f"something else ({shown(str(error).rstrip('.'))})"
        raise InvalidInput(sentence(f"verify {path}", expected, got, do)) from None


def _results(found: _Results, *, json: bool) -> int:
    rows = [_row(entry) for entry in found.claims]
    words = [row["checked"] for row in rows]
    if json:
        print_json({"claims": rows})
    else:
        columns = ("claim", "checked", "verdict", "what the verdict says", "why")
        print_table(columns, [[shown(cell) for cell in row.values()] for row in rows])
        print("What the document itself says of a claim's outcome (found, published) is not compared with its verdict.")
        holding, rejected, open_ = (words.count(word) for word in WORD.values())
        print(f"{holding} hold{'s' * (holding == 1)}, {rejected} rejected, {open_} not checked (runs, or no checker).")
    return FAILS if "rejected" in words or "holds" not in words else HOLDS


def _row(entry: _Entry) -> dict[str, Any]:
    """What was checked is the verdict's own sentence, which has to be one of the claim that the id names."""
    from mathdnn.verify import CLAIM
    from mathdnn.verify import verify as check
    from mathdnn.verify.claims import is_known, why_another

    verdict = entry.verdict
    row = {"claim": entry.id, "checked": "not checked", "verdict": str(verdict.status), "says": verdict.claim[:300]}
    if entry.status != verdict.status.value:
        return {**row, "checked": "rejected", "why": f"the document says {entry.status[:20]}"}
    if not is_known(entry.id):
        return {**row, "why": "the homework has no claim of this id: check the verdict alone, saved to a file"}
    another = why_another(entry.id, entry.statement, verdict)
    if another:
        return {**row, "checked": "rejected", "why": another}
    if isinstance(verdict.evidence, Estimate | Undecided):
        return {**row, "why": "runs: repeat them" if isinstance(verdict.evidence, Estimate) else "nothing was decided"}
    checked = check(verdict)
    why = checked.evidence.why if isinstance(checked.evidence, Undecided) else str(checked.evidence)
    why = why.removeprefix("checked again by code of its own: ")
    says = checked.claim.removeprefix(CLAIM) if checked.status.value == "proved" else verdict.claim
    return {**row, "checked": WORD[checked.status.value], "says": says[:300], "why": why[:300]}
