"""The counts of problem 7: each is read off the network layer by layer, and again by the formula one writes by hand.

A layer's hand formula is a sum of products of its sizes; the certificate holds the factors, so that checking it is
multiplying and adding.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from mathdnn.homework.claim import Finding, Picture
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Certificate, Counterexample, Verdict, proved, refuted

if TYPE_CHECKING:
    from mathdnn.homework.resources import Resources

Terms = tuple[tuple[str, tuple[tuple[int, ...], ...]], ...]  # (layer, the products that are added)

C1 = ("C1", ((6, 25), (6,)))
C3_TABLE = ("C3", ((60, 25), (16,)))
C3_FULL = ("C3", ((96, 25), (16,)))
DENSE = (("C5", ((120, 400), (120,))), ("F6", ((84, 120), (84,))), ("output", ((10, 84), (10,))))

TABLE: Terms = (C1, C3_TABLE, *DENSE)
FULL: Terms = (C1, C3_FULL, *DENSE)


# Trainable parameters and connections of LeCun, Bottou, Bengio, Haffner (1998), section II.B, one product a kind of
# weight.
PAPER_PARAMETERS: Terms = (
    ("C1", ((6, 26),)),
    ("S2", ((6, 2),)),
    ("C3", ((60, 25), (16,))),
    ("S4", ((16, 2),)),
    ("C5", ((120, 401),)),
    ("F6", ((84, 121),)),
)
PAPER_CONNECTIONS: Terms = (
    ("C1", ((6, 26, 784),)),
    ("S2", ((6, 5, 196),)),
    ("C3", ((60, 25, 100), (16, 100))),
    ("S4", ((16, 5, 25),)),
    ("C5", ((120, 401),)),
    ("F6", ((84, 121),)),
    ("output", ((84, 10),)),
)


def total(terms: Terms) -> int:
    return sum(prod(factors) for _, products in terms for factors in products)


def agree(claim: str, terms: Terms, claimed: int, counted: int, remark: str = "") -> Verdict:
    """Proved where the hand formula, the network and the claim are one number; `remark` ends a refutation."""
    by_hand = total(terms)
    plain = [{"layer": layer, "products": [list(factors) for factors in products]} for layer, products in terms]
    if by_hand == counted == claimed:
        method = f"counted, there are {counted:,}, and term by term the formula gives {by_hand:,}"
        data = {"terms": plain, "total": claimed, "counted": counted}
        return sealed(proved(claim, Certificate("sum-of-products", method, data)))
    statement = (
        f"The network holds {counted:,} and the formula gives {by_hand:,}, where {claimed:,} was claimed. {remark}"
    )
    data = {"kind": "sum-of-products-differs", "formula": by_hand}
    return sealed(refuted(claim, Counterexample(statement.strip(), plain, claimed, counted, data)))


def _parameters(c3: str) -> int:
    from mathdnn.lenet import LeNet5, count

    return count(LeNet5(c3=c3)).parameters  # type: ignore[arg-type]


def decide_table_shape(resources: Resources) -> Finding:
    from mathdnn.lenet import ConnectionTable

    table = ConnectionTable.lenet()
    fan_out = [sum(image in maps for maps in table.maps) for image in range(table.in_channels)]
    edges = sum(len(maps) for maps in table.maps)
    claim = "Table I has 60 of 96 edges, and every input map feeds exactly 10 output maps"
    terms: Terms = (("3 inputs", ((6, 3),)), ("4 inputs", ((9, 4),)), ("6 inputs", ((1, 6),)))
    verdict = agree(claim, terms, 60, edges)
    if fan_out != [10] * 6:
        verdict = refuted(claim, Counterexample(f"The input maps feed {fan_out} output maps.", [], [10] * 6, fan_out))
    rows = [[image in maps for maps in table.maps] for image in range(table.in_channels)]
    data = {"rows": rows, "row_label": "input map", "column_label": "output map"}
    return Finding(
        f"{edges} of {16 * 6} edges, fan-out {fan_out}",
        verdict,
        (Picture("table", "Table I of the 1998 paper.", data),),
    )


def decide_table(resources: Resources) -> Finding:
    counted = _parameters("table")
    return Finding(f"{counted:,}", agree("LeNet-5 with Table I has 60,806 parameters", TABLE, 60_806, counted))


def decide_full(resources: Resources) -> Finding:
    counted = _parameters("full")
    return Finding(f"{counted:,}", agree("LeNet-5 with a full C3 has 61,706 parameters", FULL, 61_706, counted))


def decide_difference(resources: Resources) -> Finding:
    saved = _parameters("full") - _parameters("table")
    terms: Terms = (("C3: 96 - 60 = 36 kernels of 5x5", ((36, 25),)),)
    return Finding(f"{saved}", agree("the table saves 36 x 25 = 900 parameters", terms, 900, saved))


def decide_hand_formula(resources: Resources) -> Finding:
    from mathdnn.lenet import LeNet5, count

    rows = [row.parameters for row in count(LeNet5(c3="table")).rows if row.parameters]
    by_hand = [total((term,)) for term in TABLE]
    claim = "6(25+1) + (60·25+16) + 120(400+1) + 84(120+1) + 10(84+1) = 60,806, each term its layer's count"
    verdict = agree(claim, TABLE, 60_806, sum(rows))
    if rows != by_hand:
        verdict = refuted(claim, Counterexample("A term differs from its layer.", [], by_hand, rows))
    return Finding(" + ".join(f"{value:,}" for value in rows) + f" = {sum(rows):,}", verdict)


def decide_multiply_adds(resources: Resources) -> Finding:
    from mathdnn.lenet import LeNet5, count

    counted = {arm: count(LeNet5(c3=arm)).multiply_adds for arm in ("table", "full")}
    claim = "one forward pass takes 326,520 multiply-adds with the table and 416,520 with full connections"
    rest: Terms = (("C1", ((6, 25, 784),)), ("C5", ((120, 400),)), ("F6", ((84, 120),)), ("output", ((10, 84),)))
    table = agree(claim, (*rest, ("C3", ((60, 25, 100),))), 326_520, counted["table"])
    full = agree(claim, (*rest, ("C3", ((96, 25, 100),))), 416_520, counted["full"])
    return Finding(f"{counted['table']:,} and {counted['full']:,}", _both(claim, table, full))


def decide_1998(resources: Resources) -> Finding:
    from mathdnn.lenet import LeNet5_1998, count

    account = count(LeNet5_1998())
    claim = "the network of the 1998 paper has 60,000 trainable parameters and 340,908 connections"
    parameters = agree(claim, PAPER_PARAMETERS, 60_000, account.parameters)
    connections = agree(claim, PAPER_CONNECTIONS, 340_908, account.connections)
    return Finding(f"{account.parameters:,} and {account.connections:,}", _both(claim, parameters, connections))


def _both(claim: str, *verdicts: Verdict) -> Verdict:
    from mathdnn.homework.combine import all_of

    return all_of(claim, verdicts)
