"""`mathdnn grade`: a kernel, a count or a derivative that was handed in, right with a certificate or wrong with why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from mathdnn.cli.answer import marked
from mathdnn.cli.formulas import check_typed
from mathdnn.cli.grade_conv import EXAMPLES, conv
from mathdnn.cli.named import require_place, sizes
from mathdnn.cli.output import Json, MaybeNamed
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

COUNT = """Examples:

mathdnn grade count 60806 --of lenet5
mathdnn grade count 416,520 --of lenet5 --c3 full --what multiply-adds"""

DERIVATIVE = """Examples:

mathdnn grade derivative dyl/dyl-1 "diag(sigma'(z_l)) A_l"
mathdnn grade derivative dyL/dAl "diag(s[l]) @ G[l].T @ y[l-1].T"

A[l], b[l], y[l], s[l] = sigma'(z_l), G[l] = dy_L/dy_l, I, l, L;
diag(v), outer(u, v), X.T, @, *, +, - and whole numbers; or as
on paper and in LaTeX: A_l, y_{l-1}^T, sigma'(A_l y_{l-1} + b_l)."""

WIDTHS = ("2-3-1", "2-3-2-1", "1-2-2-2-1")

grade = App(name="grade", help="Grade a kernel, a count or a derivative.", help_epilogue=EPILOGUE)
grade.command(help_epilogue=EXAMPLES)(conv)


@grade.command(help_epilogue=COUNT)
def count(
    number: str,
    /,
    *,
    of: Literal["lenet5", "lenet5-1998"],
    c3: Literal["table", "full"] = "table",
    what: Literal["parameters", "connections", "multiply-adds"] = "parameters",
    json: Json = False,
    save: MaybeNamed = None,
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
    return marked(_count(int(number.replace(",", "")), of, c3, what), json=json, save=save)


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
    widths: Annotated[tuple[str, ...], Parameter(negative="", show_default=", ".join)] = WIDTHS,
    json: Json = False,
    save: MaybeNamed = None,
) -> int:
    """Is a closed form of a perceptron's derivative right?

    Parameters
    ----------
    of
        dyL/dbL, dyL/dyL-1, dyl/dbl, dyl/dyl-1, dyL/dAL, dyL/dAl, dyL/dbl or dyL/dx; lower-case l is any hidden layer.
    formula
        What was handed in.
    widths
        Network n_0-...-n_L to check it on, exactly; again for a further one.
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
    return marked(all_of(claim if claim == read else f"{claim}, read as {read}", parts), json=json, save=save)
