"""mathdnn verify: true evidence holds, changed evidence does not, hostile files are refused, no prover is loaded."""

# ruff: noqa: E501 (sentences are compared whole)

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from tests.report.example import document
from tests.verify.tampering import resealed

from mathdnn.backprop import check_autograd, check_exact, typed_formula
from mathdnn.cli import main
from mathdnn.convolution import ConvForm, equal_maps
from mathdnn.errors import InvalidInput
from mathdnn.homework import CLAIMS
from mathdnn.homework.algebra import derivative, letter, power, prove_identity
from mathdnn.homework.combine import all_of
from mathdnn.homework.problem5_algebra import decide_bounds, decide_sos_derivative
from mathdnn.homework.problem7_counts import TABLE, agree
from mathdnn.monotone import is_nondecreasing
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Assumption, Certificate, Equality, Status, Verdict, proved, undecided
from mathdnn.verify import verify
from mathdnn.verify.claims import is_known, why_another
from mathdnn.verify.homework import check

S, T = letter("s"), letter("t")
BOX = ConvForm.of([[[[Fraction(1, 9)] * 3] * 3]], padding=1)
IDENTITY = prove_identity("(s + t)^2", power(S + T, 2), S * S + 2 * S * T + T * T, assumptions=(Assumption("a", "b"),))
SUM = agree("LeNet-5 with Table I has 60,806 parameters", TABLE, 60_806, 60_806)
ALL = all_of("both", [IDENTITY, prove_identity("d", derivative(power(S, 3), "s"), 3 * power(S, 2))])
VERDICTS = {
    "convolution": lambda: equal_maps(BOX, BOX, (1, 4, 4)),
    "scan": lambda: is_nondecreasing("torch.tanh", "float16"),
    "fall": lambda: is_nondecreasing("torch.sin", "float16"),
    "derivatives": lambda: check_exact((2, 2, 1))["dyL/dx"],
    "a wrong derivative": lambda: _typed("A[l]"),
    "a derivative of a wrong shape": lambda: _typed("A[l].T @ diag(s[l])"),
    "identity": lambda: IDENTITY,
    "identity with a derivative": lambda: decide_sos_derivative(None).verdict,
    "bounds": lambda: decide_bounds(None).verdict,
    "no identity": lambda: prove_identity("s = s^2", S, power(S, 2)),
    "parts": lambda: ALL,
    "parts of parts": lambda: all_of("all", [ALL, SUM]),
    "a part that fails": lambda: all_of("all", [SUM, prove_identity("s = t", S, T)]),
    "sum": lambda: SUM,
    "another sum": lambda: agree("LeNet-5 with Table I has 61,706 parameters", TABLE, 61_706, 60_806),
}


def _typed(text):
    return check_exact((2, 3, 1), formulas={"mine": typed_formula(text, "dyl/dyl-1")})["mine"]


def put(verdict, path):
    path.write_text(verdict.to_json())
    return str(path)


def agreed(verdict):
    """What is said after a claim in a person's own words, which nothing checks."""
    more = f", assuming: {'; '.join(map(str, verdict.assumptions))}" if verdict.assumptions else ""
    return f" (if its reader agrees that what was checked says so{more})"


def said(verdict):
    """A claim that is refuted is never printed as one that holds."""
    return f"refuted: {verdict.claim}" if verdict.status is Status.REFUTED else verdict.claim


@pytest.mark.parametrize("case", VERDICTS)
def test_true_evidence_holds(case, tmp_path, capsys):
    verdict = VERDICTS[case]()
    assert main(["verify", put(verdict, tmp_path / "c.json")]) == 0
    out, err = capsys.readouterr()
    free = any(word in case for word in ("identity", "bounds", "part", "sum"))
    assert (out.splitlines()[0], err) == (f"HOLDS: {said(verdict)}{agreed(verdict) if free else ''}", "")
    assert out.splitlines()[1].startswith("  checked again by code of its own")


def test_json_is_the_checkers_verdict(tmp_path, capsys):
    assert main(["verify", put(SUM, tmp_path / "c.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == verify(SUM).to_plain()


def test_what_has_no_checker_is_said_to_be_unchecked(tmp_path, capsys):
    assert main(["verify", put(proved("a", Certificate("mine", "b")), tmp_path / "c.json")]) == 1
    assert capsys.readouterr().out.startswith("NOT CHECKED: a\n  no checker knows evidence of the kind 'mine'")
    assert main(["verify", put(undecided("a", "b", "c"), tmp_path / "c.json")]) == 1
    assert capsys.readouterr().out == (
        "NOT CHECKED: a\n  nothing was decided; it would be decided by what the verdict names\n"
    )
    supported = check_autograd((2, 2, 1), runs=2)["dyL/dx"]
    assert main(["verify", put(supported, tmp_path / "c.json")]) == 1
    words = "\n  it rests on runs, which a file cannot repeat; it would be decided by repeating them\n"
    assert capsys.readouterr().out == f"NOT CHECKED: {supported.claim}{words}"


def leaves(tree, path=()):
    """The paths of everything in plain data that is no container."""
    if isinstance(tree, dict | list):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, item in items:
            yield from leaves(item, (*path, key))
    else:
        yield path


def changed(plain, path):
    """The same with one leaf changed to another value of its kind."""
    other = copy.deepcopy(plain)
    *most, last = path
    place = other
    for key in most:
        place = place[key]
    old = place[last]
    place[last] = {bool: lambda: not old, int: lambda: old + 1, str: lambda: f"{old}1"}.get(type(old), lambda: "1")()
    return other


@pytest.mark.parametrize("case", ["identity", "no identity", "parts", "sum", "another sum", "a part that fails"])
def test_a_changed_field_is_rejected_or_unreadable(case):
    plain = VERDICTS[case]().to_plain()
    count = 0
    for path in leaves(plain):
        try:
            verdict = Verdict.from_json(json.dumps(changed(plain, path)))
        except InvalidInput:
            continue
        count += 1
        assert verify(verdict).status is not Status.PROVED, path
    assert count > 5


def lie(verdict, data=None, **more):
    """The verdict with other data, sealed again by whoever changed it."""
    old = {key: value for key, value in verdict.evidence.data.items() if key != "seal"}
    fields = {key: more.pop(key) for key in ("statement", "input", "claimed", "found") if key in more}
    evidence = msgspec.structs.replace(verdict.evidence, data={**old, **(data or {})}, **fields)
    return sealed(msgspec.structs.replace(verdict, evidence=evidence, **more))


def tower(height):
    tree = ["letter", "s"]
    for _ in range(height):
        tree = ["^", tree, 64]
    return tree


def deep(height):
    tree = ["letter", "s"]
    for _ in range(height):
        tree = ["+", tree, ["number", "0"]]
    return tree


FALSE = prove_identity("s = t", S, T)
OTHER = agree("LeNet-5 has 61,706", TABLE, 61_706, 60_806)
TERMS = SUM.evidence.data["terms"]
LIES = {
    "other side": (lie(IDENTITY, {"left": ["letter", "s"]}), "the two sides are different polynomials"),
    "off by little": (
        lie(IDENTITY, {"left": ["+", IDENTITY.evidence.data["right"], ["number", "1/99999999999999999999"]]}),
        "the two sides are different polynomials",
    ),
    "no tree": (lie(IDENTITY, {"left": "s"}), "the evidence is malformed (ValueError: 's' is no expression)"),
    "code": (lie(IDENTITY, {"left": ["letter", "__import__('os')"]}), "the evidence is malformed (ValueError: "),
    "number": (lie(IDENTITY, {"left": ["number", "1e99"]}), "the evidence is malformed (ValueError: '1e99' is no rational"),
    "zero": (lie(IDENTITY, {"left": ["number", "1/0"]}), "the evidence is malformed (ZeroDivisionError"),
    "tower": (lie(IDENTITY, {"left": tower(9)}), "the evidence is malformed (ValueError: a tree too large)"),
    "deep": (lie(IDENTITY, {"left": deep(99)}), "the evidence is malformed (ValueError: a tree too deep)"),
    "power": (lie(IDENTITY, {"left": ["^", ["letter", "s"], -1]}), "the evidence is malformed (ValueError: ['^', "),
    "twice": (
        lie(IDENTITY, {"left": ["d", ["d", ["letter", "s"], "s"], "s"]}),
        "the evidence is malformed (ValueError: a derivative of a derivative)",
    ),
    "missing": (lie(IDENTITY, {"left": None}), "the evidence is malformed (TypeError"),
    "equal there": (lie(FALSE, input={"s": "1", "t": "1"}, found="1", claimed="1"), "the sides are equal there"),
    "not there": (lie(FALSE, found="7"), "the sides are 1 and 1/2 there"),
    "no point": (lie(FALSE, input={}), "the evidence is malformed (KeyError"),
    "no parts": (lie(ALL, {"parts": []}), "a part is not proved"),
    "false part": (lie(ALL, {"parts": [FALSE.to_plain()]}), "a part is not proved"),
    "odd part": (lie(ALL, {"parts": [1]}), "the evidence is malformed (ValidationError"),
    "changed part": (
        lie(ALL, {"parts": [lie(IDENTITY, {"left": ["letter", "s"]}).to_plain()]}),
        "part 1 of 1 ((s + t)^2): the two sides are different polynomials",
    ),
    "hidden assumption": (lie(ALL, assumptions=()), "the assumptions are not those of the parts"),
    "equality": (lie(ALL, equality=Equality.BITWISE), "the equality is not that of the parts"),
    "total": (lie(SUM, {"total": 60_807}), "the products add up to 60,806"),
    "counted": (lie(SUM, {"counted": 60_805}), "the products add up to 60,806"),
    "claim": (lie(SUM, claim="LeNet-5 has 60,807 parameters"), "the claim does not speak of 60,806"),
    "terms": (lie(SUM, {"terms": TERMS[1:]}), "the products add up to 60,650"),
    "factor": (lie(SUM, {"terms": [{"layer": "C1", "products": [[60806.0]]}]}), "the evidence is malformed (ValueError"),
    "negative": (
        lie(SUM, {"terms": [{"layer": "C1", "products": [[-1, -60806]]}]}),
        "the evidence is malformed (ValueError: a factor that is no size)",
    ),
    "no terms": (lie(SUM, {"terms": []}), "the evidence is malformed (ValueError: no list of products)"),
    "a flag": (lie(SUM, {"total": True}), "the products add up to 60,806"),
    "right after all": (lie(OTHER, claimed=60_806), "60,806 is the number that was claimed"),
    "formula": (lie(OTHER, {"formula": 3}), "the products add up to 60,806"),
    "digits of a number": (lie(SUM, claim="the sum is 160,806"), "the claim does not speak of 60,806"),
    "the end of a number": (
        lie(SUM, {"terms": [{"layer": "a", "products": [[806]]}], "total": 806, "counted": 806}),
        "the claim does not speak of 806",
    ),
    "the start of a number": (
        lie(SUM, {"terms": [{"layer": "a", "products": [[60]]}], "total": 60, "counted": 60}),
        "the claim does not speak of 60",
    ),
    "another count": (lie(OTHER, found=61_706), "61,706 is the number that was claimed"),
    "a count of its own": (
        lie(OTHER, claim="LeNet-5 has 60,806", claimed=60_806, found=1),
        "the products add up to 60,806, as was claimed",
    ),
    "a claim of its own": (lie(OTHER, claimed=7), "the claim does not speak of 7"),
    "identity to the bit": (lie(IDENTITY, equality=Equality.BITWISE), "the equality or the assumptions are not"),
    "no identity to the bit": (lie(FALSE, equality=Equality.BITWISE), "the equality or the assumptions are not"),
    "sum to the bit": (lie(SUM, equality=Equality.BITWISE), "the equality or the assumptions are not"),
    "sum that assumes": (lie(SUM, assumptions=(Assumption("pi is 3"),)), "the equality or the assumptions are not"),
    "other sum that assumes": (lie(OTHER, assumptions=(Assumption("a"),)), "the equality or the assumptions are not"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_lies_that_are_sealed_again_are_rejected(case, tmp_path, capsys):
    verdict, words = LIES[case]
    holds, why = check(verdict)
    assert holds is False
    assert why.startswith(words)
    assert main(["verify", put(verdict, tmp_path / "c.json")]) == 1
    assert capsys.readouterr().out.startswith(f"REJECTED: {said(verdict)}\n  {words[:60]}")


def test_a_claim_in_words_of_its_own_is_not_said_to_hold():
    one = lie(IDENTITY, {"left": ["number", "1"], "right": ["number", "1"]}, claim="pi is 3", assumptions=())
    assert verify(one).claim == f"the evidence holds for: pi is 3{agreed(one)}"
    assert verify(IDENTITY).claim.endswith(", assuming: a (b))")


HIDING = "x\x1b[1A\x1b[2KHOLDS: all is well\nHOLDS: so is this\r\x9b2K\u202e\u2066\u2028"
WRITTEN = r"x\x1b[1A\x1b[2KHOLDS: all is well\nHOLDS: so is this\r\x9b2K\u202e\u2066\u2028"


@pytest.mark.parametrize("status", ["proved", "refuted", "undecided"])
def test_what_a_file_says_moves_no_cursor(status, tmp_path, capsys):
    verdicts = {
        "proved": lie(IDENTITY, claim=HIDING),
        "refuted": lie(FALSE, claim=HIDING, found="7"),
        "undecided": proved(HIDING, Certificate(HIDING, "b")),
    }
    main(["verify", put(verdicts[status], tmp_path / "c.json")])
    out = capsys.readouterr().out
    assert out.count("\n") == 2
    assert WRITTEN in out.splitlines()[0]
    assert out.replace("\n", "").isprintable()


def test_no_table_and_no_error_moves_a_cursor(tmp_path, capsys):
    document = results()
    document["claims"][0]["id"] = document["claims"][1]["status"] = HIDING
    check_results(document, tmp_path)
    assert capsys.readouterr().out.replace("\n", "").isprintable()
    (tmp_path / "c.json").write_text(json.dumps({"claim": "a", "status": HIDING}))
    assert main(["verify", str(tmp_path / "c.json")]) == 2
    assert capsys.readouterr().err.rstrip("\n").isprintable()


def test_a_counterexample_that_is_not_its_parts_is_rejected():
    whole = all_of("all", [SUM, FALSE])
    assert check(lie(whole, found="8")) == (False, "the counterexample is not that of the part")
    assert check(lie(whole, {"part": SUM.to_plain()})) == (False, "the part is not refuted")
    part = lie(FALSE, found="7", claimed="1/2")
    assert check(lie(whole, {"part": part.to_plain()}, found="7")) == (False, "the sides are 1 and 1/2 there")


@pytest.mark.parametrize("case", ["parts of parts", "convolution", "derivatives", "fall"])
def test_500_random_mutations_are_rejected_or_change_nothing(case, rng, tmp_path, capsys):
    verdict = VERDICTS[case]()
    whole, path = verdict.to_json().encode(), tmp_path / "c.json"
    for _ in range(500):
        at, other = int(rng.integers(0, len(whole))), int(rng.integers(1, 256))
        content = whole[:at] + bytes([whole[at] ^ other]) + whole[at + 1 :]
        path.write_bytes(content)
        code = main(["verify", str(path)])
        assert code in (1, 2) or Verdict.from_json(content) == verdict
    assert "Traceback" not in capsys.readouterr().err


EXPECTED = "a verdict as --save writes it, or a results.json"
HOSTILE = {
    "empty": (b"", "Input data was truncated"),
    "text": (b"proved", "JSON is malformed: invalid character (byte 0)"),
    "list": (b"[]", "Expected `object`, got `array`"),
    "no verdict": (b"{}", "Object missing required field `claim`"),
    "unknown": (b'{"claim": "a", "status": "sure"}', "Invalid enum value 'sure' - at `$.status`"),
    "no claims": (b'{"claims": 3}', "Expected `array`, got `int` - at `$.claims`"),
    "odd claims": (b'{"claims": [3]}', "Expected `object`, got `int` - at `$.claims[0]`"),
    "deep": (b"[" * 200_000, "Expected `object`, got `array`"),
    "deeper": (b'{"a":' * 200_000, "a tree too deep"),
    "not UTF-8": (b'{"claim": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 11: invalid start byte"),
    "pickle": (b"\x80\x04\x95", "JSON is malformed: invalid character (byte 0)"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_one_sentence(case, tmp_path, capsys):
    content, got = HOSTILE[case]
    path = tmp_path / "c.json"
    path.write_bytes(content)
    assert main(["verify", str(path)]) == 2
    out, err = capsys.readouterr()
    got = got if case == "deeper" else f"something else ({got})"
    assert (out, err) == ("", f"mathdnn: verify {path}: expected {EXPECTED}, got {got}; check the file.\n")


@pytest.mark.parametrize("depth", [900, 5_000, 100_000])
def test_deep_evidence_is_refused_or_rejected(depth, tmp_path, capsys):
    text = json.dumps(IDENTITY.to_plain())
    nested = "[" * depth + "]" * depth
    path = tmp_path / "c.json"
    path.write_text(text.replace('"left": [', f'"left": [{nested}, ', 1))
    assert main(["verify", str(path)]) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_a_pickled_array_is_refused(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.array([print], dtype=object), allow_pickle=True)
    assert main(["verify", str(tmp_path / "a.npy")]) == 2
    assert "got something else (JSON is malformed" in capsys.readouterr().err


def test_a_file_too_large_is_not_read(tmp_path, capsys):
    path = tmp_path / "c.json"
    with path.open("wb") as file:
        file.truncate((1 << 29) + 1)
    assert main(["verify", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"mathdnn: verify {path}: expected at most 536,870,912 bytes, got 536,870,913; check the file.\n"
    )


def test_what_is_no_file_is_one_sentence(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    os.mkfifo(tmp_path / "pipe")
    assert main(["verify", str(tmp_path / "pipe")]) == 2
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"mathdnn: verify {tmp_path}: expected a regular file, got a folder; name the file itself.",
        (
            f"mathdnn: verify {tmp_path}/pipe: expected a regular file, got something that is not a regular file (a pipe, a "
            "device); name the file itself."
        ),
        f"mathdnn: verify {tmp_path}/none: expected a file, got none of that name; check the path.",
    ]


PROVERS = ("mathdnn.convolution", "mathdnn.monotone", "mathdnn.backprop", "mathdnn.homework", "mathdnn.report", "torch")


@pytest.mark.parametrize("case", ["convolution", "derivatives", "parts of parts"])
def test_nothing_of_the_provers_is_loaded(case, tmp_path):
    put(VERDICTS[case](), tmp_path / "c.json")
    code = (
        "import sys; from mathdnn.cli import main; code = main(['verify', 'c.json']); "
        f"print(code, [name for name in {PROVERS!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


HOMEWORK = {
    "7.parameters-table": SUM,
    "5.sos-closed-form": lie(ALL, claim="SOS = 2 sigma(-y z)^2"),
    "5.kl-derivative": lie(FALSE, claim="d KL/dz = -y sigma(-y z)"),
}


def entry(name, verdict):
    return {"id": name, "status": verdict.status.value, "verdict": verdict.to_plain(), "pictures": []}


def results(**changes):
    """Three claims of the homework; those named by their last word have another verdict."""
    found = {name: changes.get(name.split("-")[-1], verdict) for name, verdict in HOMEWORK.items()}
    return {"claims": [entry(name, verdict) for name, verdict in found.items()]}


def check_results(document, tmp_path, *more):
    (tmp_path / "results.json").write_text(json.dumps(document))
    return main(["verify", str(tmp_path / "results.json"), *more])


def test_results_are_checked_claim_by_claim(tmp_path, capsys):
    assert check_results(results(), tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if line[1:2].isdigit()] == [
        ["7.parameters-table", "holds", "proved"],
        ["5.sos-closed-form", "holds", "proved"],
        ["5.kl-derivative", "holds", "refuted"],
    ]
    assert lines[-1] == "3 hold, 0 rejected, 0 not checked (runs, or no checker)."
    assert check_results({"claims": results()["claims"][:1]}, tmp_path) == 0
    assert capsys.readouterr().out.endswith("\n1 holds, 0 rejected, 0 not checked (runs, or no checker).\n")


def test_one_rejected_claim_fails_the_document(tmp_path, capsys):
    assert check_results(results(table=lie(SUM, {"total": 1})), tmp_path, "--json") == 1
    rows = json.loads(capsys.readouterr().out)["claims"]
    assert [row["checked"] for row in rows] == ["rejected", "holds", "holds"]
    assert rows[0]["why"] == "the products add up to 60,806"


def test_a_verdict_under_another_claims_id_is_rejected(tmp_path, capsys):
    for other in (HOMEWORK["5.sos-closed-form"], ALL, undecided("SOS = 2 sigma(-y z)^2", "b", "c")):
        assert check_results(results(table=other), tmp_path, "--json") == 1
        row = json.loads(capsys.readouterr().out)["claims"][0]
        words = "the claim of this id is: LeNet-5 with Table I has 60,806 parameters."
        assert row["checked"] == "rejected"
        assert row["why"] == f"the verdict is about something else; {words}"


def test_a_document_that_states_another_claim_is_rejected(tmp_path, capsys):
    document = results()
    document["claims"][0]["statement"] = "The number of parameters is 12."
    assert check_results(document, tmp_path, "--json") == 1
    row = json.loads(capsys.readouterr().out)["claims"][0]
    assert row["checked"] == "rejected"
    assert row["why"].startswith("the document states another claim; the one of this id is: LeNet-5 with Table I")


def test_a_verdict_under_an_unknown_id_is_not_said_to_hold(tmp_path, capsys):
    document = results()
    document["claims"][0]["id"] = "problem-4"
    check_results(document, tmp_path, "--json")
    row = json.loads(capsys.readouterr().out)["claims"][0]
    assert row["checked"] == "not checked"
    assert row["why"].startswith("the homework has no claim of this id")
    check_results({"claims": document["claims"][:1]}, tmp_path)
    assert "is not compared with its verdict" in capsys.readouterr().out


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_checker_knows_each_claim_of_the_homework(claim):
    """tests/homework compares the sentences of what was decided."""
    assert is_known(claim.id)
    no_data = undecided(claim.statement.rstrip("."), "these data do not do for it", "other data")
    assert why_another(claim.id, claim.statement, no_data) == ""


def test_a_status_that_is_not_the_verdicts_own_is_rejected(tmp_path, capsys):
    document = results()
    document["claims"][2]["status"] = "proved"
    assert check_results(document, tmp_path) == 1
    assert "the document says proved" in capsys.readouterr().out


def test_results_of_runs_alone_check_nothing(tmp_path, capsys):
    assert check_results(document(), tmp_path) == 1
    assert ".x" not in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_one_sentence(capsys):
    assert main(["verify", "/proc/self/mem"]) == 2
    assert capsys.readouterr().err == (
        "mathdnn: verify /proc/self/mem: expected a readable file, got the answer 'Input/output error'; check the path "
        "and the disk.\n"
    )


@pytest.mark.parametrize("dtype", ["9" * 5000, "(" * 300, "float32,float32", "V8"], ids=["9s", "brackets", "two", "V8"])
def test_an_array_of_a_dtype_that_is_none_is_rejected(dtype, tmp_path, capsys):
    plain, path = equal_maps(BOX, ConvForm.of([[[[1]]]]), (1, 4, 4)).to_plain(), tmp_path / "wrong.json"
    assert plain["evidence"]["input"]["dtype"]
    plain["evidence"]["input"]["dtype"] = dtype
    path.write_text(resealed(plain).to_json())
    assert main(["verify", str(path)]) == 1
    out, err = capsys.readouterr()
    assert (out[:9], err) == ("REJECTED:", "")
    assert "expected dtype, shape and bits that fit together, got dtype '" in out


def test_a_document_that_says_a_thing_twice_is_none(tmp_path, capsys):
    """Of which one reader would show the first and another check the last."""
    path = tmp_path / "twice.json"
    path.write_text('{"claim": "x", "claims": [], "claims": []}')
    assert main(["verify", str(path)]) == 2
    assert "got something else (the key 'claims' twice); check the file" in capsys.readouterr().err
