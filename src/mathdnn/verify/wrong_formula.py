"""Checks the refutation of a formula: the network at one point, or the shape of what the formula gives.

The derivative is computed by dual numbers, forward, scalar by scalar; the formula's own value from its text. Both are
compared with what the file says modulo a random prime (`typed`), so that numbers with very many digits take no time.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from mathdnn.verdict import Counterexample, Verdict
from mathdnn.verify.sealing import rational
from mathdnn.verify.typed import Field, Network, Unreadable, parameter, read, value

Answer = tuple[bool | None, str]
KINDS = ("a wrong entry", "a wrong shape")
TEXTS = {
    "dyL/dbL": ("dy_L/db_L = I", "L", "b", True),
    "dyL/dyL-1": ("dy_L/dy_{L-1} = A_L", "L", "y", True),
    "dyl/dbl": ("dy_l/db_l = diag(sigma'(z_l))", "l", "b", False),
    "dyl/dyl-1": ("dy_l/dy_{l-1} = diag(sigma'(z_l)) A_l", "l", "y", False),
    "dyL/dAL": ("dy_L[i]/dA_L[j,k] = [i = j] y_{L-1}[k]", "L", "A", True),
    "dyL/dAl": ("dy_L[i]/dA_l[j,k] = (dy_L/dy_l)[i,j] sigma'(z_l)[j] y_{l-1}[k]", "L", "A", False),
    "dyL/dbl": ("dy_L/db_l = (dy_L/dy_l) diag(sigma'(z_l))", "L", "b", False),
    "dyL/dx": ("dy_L/dx = A_L diag(sigma'(z_{L-1})) A_{L-1} ... diag(sigma'(z_1)) A_1", "L", "x", True),
}


def network(claim: str, d: dict[str, Any], any_sigma: bool) -> tuple[list[int], list[Fraction] | None, str, str]:
    """(widths, sigma's coefficients, the text that was typed, why the claim is not about these) of a formula's data."""
    text, widths, written = TEXTS[d["formula"]][0], d["widths"], d["coefficients"]
    if type(d["text"]) is not str or any(type(n) is not int for n in widths) or type(written) not in (list, type(None)):
        raise ValueError("a text, widths or coefficients of another type")
    if not 3 <= len(widths) <= 6 or min(widths) < 1 or sum(a * b for a, b in itertools.pairwise(widths)) > 64:
        return widths, None, "", f"the widths {widths} are not those of a small network"
    cs = None if written is None else [rational(c) for c in written]
    typed = d["text"].removeprefix(f"{d['formula']} = ") if d["text"] != text else ""
    full = f"{d['formula']} = {typed}" if typed else text
    which = "every differentiable sigma" if any_sigma else f"sigma = {d['sigma']}"
    if claim != f"{full} for every {'-'.join(map(str, widths))} perceptron and {which}" or d["text"] != full:
        return widths, cs, typed, "the evidence is for another claim"
    if cs is not None and d["sigma"] != "polynomial " + " + ".join(f"{c} t^{k}" for k, c in enumerate(cs)):
        return widths, cs, typed, "sigma is not the polynomial of these coefficients"
    return widths, cs, typed, ""


def check(verdict: Verdict, evidence: Counterexample) -> Answer:
    """(True, what is so), (False, why not), (None, why) for a formula whose text is not in the file."""
    d, l = evidence.data, evidence.input["layer"]  # noqa: E741
    if d["formula"] not in TEXTS:
        return None, "the formula is code, which the file does not hold"
    if type(d["any"]) is not bool:
        return False, "the evidence does not say for which sigma"
    widths, cs, typed, why = network(verdict.claim, d, d["any"])
    if why or not typed:
        return False, why or "this formula is right"
    last = TEXTS[d["formula"]][3]
    if type(l) is not int or not (l == len(widths) - 1 if last else 1 <= l < len(widths) - 1):
        return False, f"the formula does not speak of l = {l!r:.20}"
    ask = _entry if d["kind"] == "a wrong entry" else _shape
    return ask(evidence, d, typed, widths, cs, l)


def _shape(
    evidence: Counterexample,
    d: dict[str, Any],
    typed: str,
    widths: list[int],
    cs: list[Fraction] | None,
    l: int,  # noqa: E741
) -> Answer:
    """The formula's shape, with numbers that are drawn: it is as was found, and not the Jacobian's."""
    _, output, by, _ = TEXTS[d["formula"]]
    right = (widths[l if output == "l" else -1], *parameter(by, widths, l))
    tree, field = read(typed), Field()
    net = Network(widths, cs, field, field.anywhere)
    try:
        found = value(tree, net, l, right).shape
    except Unreadable:
        raise
    except (ValueError, IndexError, TypeError, AttributeError):
        found = None
    said = "no value" if found is None else _times(found)
    if d["shape"] != (None if found is None else list(found)) or [evidence.claimed, evidence.found] != [
        said,
        _times(right),
    ]:
        return False, f"the formula gives {said} there, the Jacobian is {_times(right)}"
    if found == right:
        return False, "the formula has the Jacobian's shape"
    if cs is None and (d["any"], d["sigma"]) != (True, None):
        return False, "sigma is any, and said to be another"
    if evidence.input != {"layer": l, "widths": widths}:
        return False, "the network of the counterexample is another"
    given = "has no value" if found is None else f"gives {said}"
    return (
        True,
        f"for l = {l} in a {'-'.join(map(str, widths))} network the formula {given}, the Jacobian is {_times(right)}",
    )


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _entry(
    evidence: Counterexample,
    d: dict[str, Any],
    typed: str,
    widths: list[int],
    cs: list[Fraction] | None,
    l: int,  # noqa: E741
) -> Answer:
    """The derivative and the formula at the given numbers: they are what was found and claimed, and differ."""
    if cs is None:
        return False, "numbers need a sigma"
    _, output, by, _ = TEXTS[d["formula"]]
    point = {name: rational(number) for name, number in evidence.input["point"].items()}
    out = l if output == "l" else len(widths) - 1
    shape = (widths[out], *parameter(by, widths, l))
    entry = tuple(i - 1 for i in d["entry"] if type(i) is int)
    if len(entry) != len(shape) or not all(0 <= i < n for i, n in zip(entry, shape, strict=True)):
        return False, "the entry is not one of the Jacobian"
    field, claimed, found = Field(), rational(evidence.claimed), rational(evidence.found)
    net = Network(widths, cs, field, lambda name: field.of(point[name]))
    true = net.derivative(by, l, entry[1:], out)[entry[0]]
    given = value(read(typed), net, l, shape)
    if given.shape != shape:
        return False, f"the formula gives {_times(given.shape)} there, the Jacobian is {_times(shape)}"
    if true != field.of(found) or given[entry] != field.of(claimed):
        return False, f"the derivative is not {found} there, or the formula not {claimed}"
    if found == claimed:
        return False, "the formula is right there"
    if set(evidence.input) != {"layer", "sigma", "point"} or evidence.input["sigma"] != d["sigma"]:
        return False, "the network of the counterexample is another"
    at = ",".join(str(i + 1) for i in entry)
    return True, f"at the numbers given, entry [{at}] for l = {l}: the formula is {claimed}, the derivative {found}"
