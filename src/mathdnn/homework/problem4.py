"""Problem 4: a nondecreasing activation commutes with max pooling.

sigma: an elementwise function; rho: a max pool. For sigma nondecreasing, sigma(rho(X)) = rho(sigma(X)) over the reals.
In floating point it is a statement about an implementation: it holds to the bit exactly where the implemented
function is nondecreasing over the ordered floats, which a scan of all of them decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathdnn.homework.claim import Claim, Finding, Picture
from mathdnn.homework.combine import all_of
from mathdnn.verdict import Status

if TYPE_CHECKING:
    from mathdnn.homework.resources import Resources

TITLE = "Activation and max pooling commute"
INTRODUCTION = (
    "The largest of some values stays the largest under a nondecreasing function, so pooling may come before or "
    "after it. "
    "Compilers rely on it; whether it holds to the bit depends on the function as implemented, not as defined."
)


def decide_reals(resources: Resources) -> Finding:
    """The theorem and its converse, then the functions one by one."""
    from mathdnn.monotone.reals import converse, over_the_reals

    claim = "tanh, ReLU and softsign are nondecreasing over the reals, so each commutes with every max pooling there"
    verdict = all_of(claim, [over_the_reals(name) for name in ("tanh", "relu", "softsign")] + [converse()])
    return Finding(
        "over the reals, for every window; and conversely, only for nondecreasing functions", verdict, (_curves(),)
    )


def _in_float32(name: str, **options: object):  # type: ignore[no-untyped-def]
    def decide(resources: Resources) -> Finding:
        from mathdnn.monotone import commutes_with_max_pool

        def progress(done: int, total: int) -> None:
            resources.progress(f"every float32 through {name}", done / total)

        verdict = commutes_with_max_pool(name, "float32", progress=progress, **options)  # type: ignore[arg-type]
        return Finding(str(verdict.evidence), verdict)

    return decide


def _curves() -> Picture:
    """The four functions near the origin, where GELU is seen to fall."""
    import torch

    x = torch.linspace(-4, 3, 141)
    functions = {
        "tanh": torch.tanh,
        "ReLU": torch.relu,
        "softsign": torch.nn.functional.softsign,
        "GELU": torch.nn.functional.gelu,
    }
    series = [{"name": name, "runs": [function(x).tolist()]} for name, function in functions.items()]
    data = {"x": x.tolist(), "xlabel": "x", "ylabel": "σ(x)", "logy": False, "series": series, "published": None}
    return Picture("curves", "Three of these never fall over the reals; GELU falls on the left of -0.75.", data)


_SCAN = "every float32 from -inf to inf is evaluated in order, and each compared with the one before"
_FALL = "float32 values are evaluated in order until one falls; two images show it through torch's own max pooling"

CLAIMS = (
    Claim(
        4,
        "4.reals",
        "Over the reals",
        "A nondecreasing activation commutes with max pooling: σ(ρ(X)) = ρ(σ(X)).",
        "proved",
        "a rule of direction for each piece of the function's formula; the theorem and its converse by cases",
        Status.PROVED,
        decide_reals,
    ),
    Claim(
        4,
        "4.tanh-float32",
        "tanh, to the bit",
        "torch's tanh in float32 commutes with max pooling to the bit.",
        "not discussed",
        _SCAN,
        Status.PROVED,
        _in_float32("torch.tanh", cache=False),
    ),
    Claim(
        4,
        "4.relu-float32",
        "ReLU in float32",
        "torch's ReLU in float32 commutes with max pooling, but for the sign of zero.",
        "not discussed",
        _SCAN,
        Status.PROVED,
        _in_float32("torch.relu", cache=False),
    ),
    Claim(
        4,
        "4.softsign-float32",
        "softsign in float32",
        "torch's softsign in float32 commutes with max pooling (over the reals it does).",
        "not discussed",
        _FALL,
        Status.REFUTED,
        _in_float32("torch.nn.functional.softsign", cache=False, stop_at_first=True, path="vector body"),
    ),
    Claim(
        4,
        "4.gelu-float32",
        "GELU",
        "GELU commutes with max pooling.",
        "not discussed",
        _FALL,
        Status.REFUTED,
        _in_float32("torch.nn.functional.gelu", cache=False, stop_at_first=True, path="vector body"),
    ),
)
