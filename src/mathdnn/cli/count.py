"""`mathdnn count`: parameters, connections and multiply-adds, layer by layer."""

from __future__ import annotations

from typing import Literal

from mathdnn.cli.output import Json, print_json
from mathdnn.errors import InvalidInput, sentence


def count(
    network: Literal["lenet5", "lenet5-1998"], /, *, c3: Literal["table", "full"] = "table", json: Json = False
) -> int:
    """Count parameters, connections and multiply-adds, layer by layer.

    Parameters
    ----------
    network
        The homework's network, or the one of the 1998 paper.
    c3
        The connections of the third layer: Table I of the paper, or all of them.
    json
        Print one JSON document.
    """
    if network == "lenet5-1998" and c3 == "full":
        expected, do = "the table, which the paper's network always has", "leave --c3 out, or count lenet5"
        raise InvalidInput(sentence("count lenet5-1998 --c3", expected, "full", do))
    from mathdnn.lenet import LeNet5, LeNet5_1998
    from mathdnn.lenet import count as count_layers

    account = count_layers(LeNet5(c3) if network == "lenet5" else LeNet5_1998())
    if json:
        totals = {name: getattr(account, name) for name in ("parameters", "connections", "multiply_adds")}
        print_json({"network": network, "c3": c3, **account.to_plain(), "totals": totals})
    else:
        print(account)
    return 0
