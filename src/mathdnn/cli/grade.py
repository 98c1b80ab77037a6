"""`mathdnn grade`: a kernel, a count or a derivative that was handed in, right with a certificate or wrong with why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from mathdnn.cli.answer import answer
from mathdnn.cli.formulas import check_typed
from mathdnn.cli.named import foreign, load_operation, require_place, require_time_limit, sizes
from mathdnn.cli.output import Json, Whole
from mathdnn.cli.weights import read_list, read_numbers
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from mathdnn.verdict import Verdict

EPILOGUE = """Examples:

mathdnn grade conv --target finite-difference --weight kernel.npy --padding 1
mathdnn grade conv --target sobel-x --padding 1 \\
    --weight "[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]"
mathdnn grade count 60806 --of lenet5
mathdnn grade derivative dyl/dyl-1 "diag(s[l]) @ A[l]"

Exit codes: 0 right, 1 wrong or undecided (the answer says which), 2 misuse."""

CONV = """Examples:

mathdnn grade conv --target finite-difference --weight kernel.npy --padding 1
mathdnn grade conv --target filters:blur --weight "[[1/4, 1/2, 1/4]]"

FILE is NPY (no pickles) or JSON; typed numbers may be fractions."""

COUNT = """Examples:

mathdnn grade count 60806 --of lenet5
mathdnn grade count 416,520 --of lenet5 --c3 full --what multiply-adds"""

DERIVATIVE = """Examples:

mathdnn grade derivative dyl/dyl-1 "diag(sigma'(z_l)) A_l"
mathdnn grade derivative dyL/dAl "diag(s[l]) @ G[l].T @ y[l-1].T"

A[l], b[l], y[l], s[l] = sigma'(z_l), G[l] = dy_L/dy_l, I, l, L;
diag(v), outer(u, v), X.T, @, *, +, - and whole numbers; or as
on paper and in LaTeX: A_l, y_{l-1}^T, sigma'(A_l y_{l-1} + b_l)."""

WIDEST = 256  # of stride, padding and dilation

grade = App(name="grade", help="Grade a kernel, a count or a derivative.", help_epilogue=EPILOGUE)


@grade.command(help_epilogue=CONV)
def conv(
    *,
    target: str,
    weight: Annotated[str, Parameter(allow_leading_hyphen=True)],
    bias: str | None = None,
    stride: str = "1",
    padding: str = "0",
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
    dilation: str = "1",
    groups: Whole = 1,
    shape: str | None = None,
    time_limit: float = 60.0,
    json: Json = False,
    save: Path | None = None,
) -> int:
    """Does a convolution compute what it should?

    Parameters
    ----------
    target
        A name from the catalogue (a wrong one lists them), or MODULE:NAME.
    weight
        FILE or typed: (out, in / groups, h, w), (out, h, w) or (h, w).
    bias
        FILE or typed, one number for each output channel.
    stride
        One number, or height,width.
    padding
        One number, height,width, or top,bottom,left,right.
    padding_mode
        What lies outside of the image.
    dilation
        One number, or height,width.
    groups
        Of channels.
    shape
        Of the images. [default: channels x 7 x 8]
    time_limit
        Seconds for each call of a target of yours.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    require_time_limit(time_limit, "grade conv --time-limit")
    require_place(save, "grade conv --save")
    layer: dict[str, Any] = {
        "bias": None if bias is None else read_list(bias, "grade conv --bias"),
        "stride": _geometry(stride, "stride", (1, 2)),
        "padding": _geometry(padding, "padding", (1, 2, 4)),
        "padding_mode": padding_mode,
        "dilation": _geometry(dilation, "dilation", (1, 2)),
        "groups": groups,
        "input_shape": None if shape is None else _image(shape),
        "seconds": time_limit,
        "name": target,
    }
    numbers = read_numbers(weight, "grade conv --weight")
    goal = load_operation(target, f"grade conv --target {target}") if ":" in target else target
    with foreign(f"grade conv --target {target}"):
        verdict = _grade(numbers, goal, layer)
    return _mark(verdict, json=json, save=save)


def _geometry(text: str, name: str, lengths: tuple[int, ...]) -> Any:
    who = f"grade conv --{name}"
    found = sizes(text, who, "1 or 1,2")
    if len(found) not in lengths or max(found) > WIDEST:
        expected = f"{' or '.join(map(str, lengths))} numbers up to {WIDEST}"
        raise InvalidInput(sentence(who, expected, repr(text[:60]), "write them with commas"))
    if len(found) == 4:
        return found[:2], found[2:]
    return found[0] if len(found) == 1 else found


def _image(text: str) -> tuple[int, ...]:
    found = sizes(text, "grade conv --shape", "1,7,8")
    if len(found) != 3:
        raise InvalidInput(sentence("grade conv --shape", "channels, height, width", repr(text[:60]), "give three"))
    return found


def _grade(numbers: Any, goal: Any, layer: dict[str, Any]) -> Verdict:
    """The exact verdict; where that is no, and every weight is the float next to the right one, the proof of that."""
    from mathdnn.convolution import grade as grade_kernel
    from mathdnn.convolution.catalogue import CATALOGUE

    verdict = grade_kernel(numbers, goal, **layer)
    if verdict.status.value != "refuted" or not isinstance(goal, str):
        return verdict
    form, floats = CATALOGUE[goal](), _floats(numbers)
    for dtype in ("float64", "float32"):
        if form.is_exact_in(dtype):
            continue
        near = grade_kernel(floats, form.rounded(dtype), **layer)
        if near.status.value == "proved":
            return _rounded(near, verdict.claim, dtype)
    return verdict


def _rounded(near: Verdict, claim: str, dtype: str) -> Verdict:
    """The proof for the rounded target, which says so and is sealed anew."""
    from mathdnn.convolution.certificate import certified
    from mathdnn.verdict import Certificate

    evidence = near.evidence
    assert isinstance(evidence, Certificate)
    data = {key: value for key, value in evidence.data.items() if key != "seal"}
    words = f"{claim}, every weight the nearest {dtype}"
    return certified(words, evidence.method, data, equality=near.equality, assumptions=near.assumptions)


def _floats(numbers: Any) -> Any:
    return [_floats(part) for part in numbers] if isinstance(numbers, list) else float(numbers)


def _mark(verdict: Verdict, *, json: bool, save: Path | None) -> int:
    mark = {"proved": "RIGHT", "refuted": "WRONG"}.get(verdict.status.value, verdict.status.value.upper())
    lines = [f"{mark}: {verdict.claim}", f"  {verdict.evidence}"]
    return answer(verdict, json=json, save=save, words="\n".join(lines))


@grade.command(help_epilogue=COUNT)
def count(
    number: str,
    /,
    *,
    of: Literal["lenet5", "lenet5-1998"],
    c3: Literal["table", "full"] = "table",
    what: Literal["parameters", "connections", "multiply-adds"] = "parameters",
    json: Json = False,
    save: Path | None = None,
) -> int:
    """Is a network's count right?

    Parameters
    ----------
    number
        What was handed in, as 60806 or 60,806.
    of
        The network.
    c3
        The third layer's connections: Table I, or all.
    what
        What is counted.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    require_place(save, "grade count --save")
    if not re.fullmatch(r"[0-9]{1,15}|[0-9]{1,3}(,[0-9]{3}){1,4}", number):
        raise InvalidInput(sentence("grade count", "a whole number, as in 60,806", repr(number[:60]), "write it so"))
    if of == "lenet5-1998" and c3 == "full":
        expected, do = "the table, which the paper's network always has", "leave --c3 out, or grade lenet5"
        raise InvalidInput(sentence("grade count --of lenet5-1998 --c3", expected, "full", do))
    return _mark(_count(int(number.replace(",", "")), of, c3, what), json=json, save=save)


def _count(claimed: int, of: str, c3: str, what: str) -> Verdict:
    from mathdnn.homework.problem7_counts import agree

    account = _account(of, c3)
    field = what.replace("-", "_")
    rows = [(row.name, getattr(row, field)) for row in account.rows]
    terms = tuple((name, ((value,),)) for name, value in rows if value)
    claim = f"{_name(of, c3)} has {claimed:,} {what}"
    return agree(claim, terms, claimed, sum(value or 0 for _, value in rows), _hint(claimed, of, c3, what))


def _name(of: str, c3: str) -> str:
    if of == "lenet5-1998":
        return "the network of the 1998 paper"
    return "LeNet-5 with Table I" if c3 == "table" else "LeNet-5 with a full C3"


def _account(of: str, c3: str) -> Any:
    from mathdnn.lenet import LeNet5, LeNet5_1998
    from mathdnn.lenet import count as count_layers

    return count_layers(LeNet5(c3) if of == "lenet5" else LeNet5_1998())  # type: ignore[arg-type]


def _hint(claimed: int, of: str, c3: str, what: str) -> str:
    """What the number would be right for, where it would be."""
    for network, table in (("lenet5", "table"), ("lenet5", "full"), ("lenet5-1998", "table")):
        account = _account(network, table)
        for kind in ("parameters", "connections", "multiply-adds"):
            value = getattr(account, kind.replace("-", "_"))
            if value == claimed and (network, table, kind) != (of, c3, what):
                return f"{claimed:,} is the number of {kind} of {_name(network, table)}."
    field = what.replace("-", "_")
    part = next((row.name for row in _account(of, c3).rows if getattr(row, field) == claimed > 0), "")
    if part:
        return f"{claimed:,} is the number of {what} of its part {part} alone."
    if what == "parameters" and of == "lenet5" and claimed == _without_biases(c3):
        return "That leaves out the biases."
    return ""


def _without_biases(c3: str) -> int:
    from mathdnn.lenet import LeNet5

    named = LeNet5(c3).named_parameters()  # type: ignore[arg-type]
    return sum(value.numel() for name, value in named if not name.endswith("bias"))


@grade.command(help_epilogue=DERIVATIVE)
def derivative(
    of: str,
    formula: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    widths: Annotated[tuple[str, ...], Parameter(negative="")] = ("2-3-1", "2-3-2-1", "1-2-2-2-1"),
    json: Json = False,
    save: Path | None = None,
) -> int:
    """Is a closed form of a perceptron's derivative right?

    Parameters
    ----------
    of
        dyL/dbL, dyL/dyL-1, dyl/dbl, dyl/dyl-1, dyL/dAL, dyL/dAl, dyL/dbl or dyL/dx; lower-case l is any hidden layer.
    formula
        What was handed in.
    widths
        Networks n_0-...-n_L to check it on, exactly.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    require_place(save, "grade derivative --save")
    from mathdnn.homework.combine import all_of

    shapes = [sizes(text, "grade derivative --widths", "2-3-2-1", "-") for text in widths]
    parts = [check_typed(of, formula, shape, None, "grade derivative") for shape in shapes]
    read = parts[0].claim.partition(" for every ")[0]
    claim = f"{read.partition(' = ')[0]} = {' '.join(formula.split())}"
    return _mark(all_of(claim if claim == read else f"{claim}, read as {read}", parts), json=json, save=save)
