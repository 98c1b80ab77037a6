"""The real-number side: which known functions are nondecreasing over the reals, and why.

A function is written as a term in x built from pieces whose direction is known; a term's direction follows from rules
that a reader can check one by one (`direction`):

    x, exp t, log t (t > 0), erf t, atan t, floor t, t + u, c t (c >= 0), max(t, c), min(t, c)     keep the direction
    -t, c t (c < 0), 1/t (t > 0)                                                             turn it round
    t u with t, u >= 0 and of one direction                                                  keeps it

Convention at kinks: none needed, no derivative is taken. What is not nondecreasing has two points a < b with
f(a) > f(b), farther apart than any rounding of the double precision in which they are computed.
Source: homework 4, problem 4; the parameters: torch's and ONNX's own defaults; GELU: Hendrycks and Gimpel 2016; SiLU:
Elfwing et al. 2017; Mish: Misra 2019.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

from mathdnn.errors import InvalidInput, sentence
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import Certificate, Counterexample, Equality, Plain, Verdict, proved, refuted, undecided

KIND = "monotone term"
X = "x"
_SELU_ALPHA, _SELU_SCALE = "1.6732632423543772", "1.0507009873554805"
_ONNX_ALPHA, _ONNX_SCALE = "1.67326319217681884765625", "1.05070102214813232421875"  # the same in float32
_ABOVE, _BELOW = ["max", X, "0"], ["min", X, "0"]
_EXPM1_BELOW = ["add", ["exp", _BELOW], "-1"]
_ONE_PLUS_EXP = ["add", "1", ["exp", X]]
_ONE_PLUS_EXP_NEG = ["add", "1", ["exp", ["neg", X]]]

# name: (the term, the usual reason: the sign of the derivative)
TERMS: dict[str, tuple[Plain, str]] = {
    "identity": (X, "f' = 1"),
    "relu": (_ABOVE, "f' = 0 for x < 0, 1 for x > 0"),
    "relu6": (["min", _ABOVE, "6"], "f' is 0 or 1"),
    "leakyrelu": (["add", _ABOVE, ["scale", "0.01", _BELOW]], "f' is 0.01 or 1"),
    "hardtanh": (["min", ["max", X, "-1"], "1"], "f' is 0 or 1"),
    "hardsigmoid": (["min", ["max", ["add", ["scale", "1/6", X], "1/2"], "0"], "1"], "f' is 0 or 1/6"),
    "sigmoid": (["recip", _ONE_PLUS_EXP_NEG], "f' = f (1 - f) > 0"),
    "tanh": (
        ["add", "1", ["scale", "-2", ["recip", ["add", "1", ["exp", ["scale", "2", X]]]]]],
        "f' = 1 - tanh(x)^2 = 1/cosh(x)^2 > 0",
    ),
    "elu": (["add", _ABOVE, _EXPM1_BELOW], "f' = exp(min(x, 0)) > 0"),
    "celu": (["add", _ABOVE, _EXPM1_BELOW], "f' = exp(min(x, 0)) > 0 (alpha = 1)"),
    "selu": (
        ["scale", _SELU_SCALE, ["add", _ABOVE, ["scale", _SELU_ALPHA, _EXPM1_BELOW]]],
        "f' = scale for x > 0, scale alpha exp(x) for x < 0, both positive",
    ),
    "softplus": (["log", _ONE_PLUS_EXP], "f' = 1/(1 + exp(-x)) > 0"),
    "logsigmoid": (["neg", ["log", _ONE_PLUS_EXP_NEG]], "f' = 1/(1 + exp(x)) > 0"),
    "softsign": (
        ["add", ["recip", ["add", "1", ["max", ["neg", X], "0"]]], ["neg", ["recip", ["add", "1", _ABOVE]]]],
        "f' = 1/(1 + |x|)^2 > 0",
    ),
    "erf": (["erf", X], "f' = 2 exp(-x^2)/sqrt(pi) > 0"),
    "exp": (["exp", X], "f' = exp(x) > 0"),
    "atan": (["atan", X], "f' = 1/(1 + x^2) > 0"),
    "floor": (["floor", X], "steps upwards"),
    "ceil": (["neg", ["floor", ["neg", X]]], "steps upwards"),
    "softshrink": (["add", ["max", ["add", X, "-0.5"], "0"], ["min", ["add", X, "0.5"], "0"]], "f' is 0 or 1"),
    "squaredrelu": (["mul", _ABOVE, _ABOVE], "f' = 2 max(x, 0) >= 0"),
    "onnx:HardSigmoid": (["min", ["max", ["add", ["scale", "0.2", X], "0.5"], "0"], "1"], "f' is 0 or 0.2"),
    "onnx:Selu": (
        ["scale", _ONNX_SCALE, ["add", _ABOVE, ["scale", _ONNX_ALPHA, _EXPM1_BELOW]]],
        "f' = gamma for x > 0, gamma alpha exp(x) for x < 0, both positive",
    ),
}


def _gelu(x: float) -> float:
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


# name: (the function in double precision, its formula, a, b with a < b and f(a) > f(b), where it does hold)
FALLING: dict[str, tuple[Any, str, str, str, str]] = {
    "gelu": (_gelu, "x Phi(x)", "-2", "-1", "for x >= -0.7517915 only"),
    "silu": (lambda x: x / (1 + math.exp(-x)), "x/(1 + exp(-x))", "-3", "-2", "for x >= -1.2784645 only"),
    "mish": (lambda x: x * math.tanh(math.log1p(math.exp(x))), "x tanh(log(1 + exp(x)))", "-3", "-2",
             "for x >= -1.1924312 only"),
    "hardswish": (lambda x: x * min(max(x + 3, 0), 6) / 6, "x min(max(x + 3, 0), 6)/6", "-3", "-2",
                  "for x >= -3/2, and for x <= -3"),
    "abs": (abs, "|x|", "-1", "0", "for x >= 0 only"),
    "square": (lambda x: x * x, "x^2", "-1", "0", "for x >= 0 only"),
    "sin": (math.sin, "sin(x)", "2", "3", "between -pi/2 and pi/2, and a period on"),
    "cos": (math.cos, "cos(x)", "0", "1", "between -pi and 0, and a period on"),
}  # fmt: skip
_NAME = re.compile(r"(?:onnx:)?(?:[A-Za-z]\w*\.)*[A-Za-z]\w*(?:\(\))?", re.ASCII)
_HOMES = ("", "torch", "nn", "torch.nn", "F", "functional", "torch.nn.functional")
ALIASES = {"arctan": "atan", "swish": "silu", "hardsilu": "hardswish", "absolute": "abs"}
_PLAIN = frozenset({"tanh", "exp", "atan", "floor", "ceil", "sin", "cos"})
# what other libraries call by these names: NumPy's identity and ONNX's HardSigmoid and Selu are other functions
_NUMPY = _PLAIN | {"abs", "square"}
_OF: dict[str, frozenset[str]] = {"np": _NUMPY, "numpy": _NUMPY, "math": _PLAIN | {"erf"}}
_ONNX = _PLAIN | {
    "identity", "relu", "leakyrelu", "sigmoid", "elu", "celu", "softplus", "softsign", "erf", "gelu", "silu", "mish",
    "hardswish", "abs",
}  # fmt: skip


def over_the_reals(name: Any) -> Verdict:
    """Whether a known function is nondecreasing over the reals, and so commutes with every max pooling there.

    `name` is "tanh", "torch.tanh", "onnx:Tanh", "torch.nn.functional.gelu", or torch's or NumPy's own function or
    module of that name, with its default parameters. All others are undecided, one's own functions too, whatever their
    name. Nothing is said about floats: that is `commutes_with_max_pool`.
    """
    key = canonical(name)
    claim = f"{key} is nondecreasing over the reals, and so commutes with every max pooling"
    if key in TERMS:
        term, reason = TERMS[key]
        method = f"{reason}; as a term of monotone pieces: {show(term)}"
        data = {"function": key, "term": term, "reason": reason}
        return sealed(proved(claim, Certificate(KIND, method, data), equality=Equality.REALS))
    if key in FALLING:
        return sealed(refuted(claim, _two_cells(key), equality=Equality.REALS))
    known = ", ".join(sorted([*TERMS, *FALLING]))
    return undecided(claim, f"{key!r} is not a function known here ({known})", "a term for it in monotone.reals")


def _two_cells(key: str) -> Counterexample:
    f, formula, a, b, holds = FALLING[key]
    high, low = f(float(a)), f(float(b))
    statement = (
        f"f(x) = {formula}: f({a}) = {high:.6g} > f({b}) = {low:.6g}; the image [{a}, {b}] pooled first gives "
        f"{low:.6g}, pooled last {high:.6g}; nondecreasing {holds}"
    )
    data = {"kind": "two cells", "function": key, "formula": formula, "holds": holds}
    return Counterexample(statement, [a, b], {"pooling_first": low}, {"pooling_last": high}, data)


def converse() -> Verdict:
    """Commuting with max pooling for every image, with two or more cells in a window, forces nondecreasing."""
    method = (
        "let a < b and fill a window with a, but for one cell b: commuting says f(b) = max(f(a), f(b)), that is "
        "f(a) <= f(b); the three orders of f(a) and f(b) are listed with what each gives"
    )
    cases = [
        [order, order in ("f(a) < f(b)", "f(a) = f(b)")] for order in ("f(a) < f(b)", "f(a) = f(b)", "f(a) > f(b)")
    ]
    claim = "a function that commutes with max pooling over windows of two or more cells is nondecreasing"
    evidence = Certificate("orders of two values", method, {"commutes": cases})
    return sealed(proved(claim, evidence, equality=Equality.REALS))


def canonical(name: Any) -> str:
    """The key of a function in the tables: last part of its name, lower case, letters and digits only.

    For what is not known to be torch's or NumPy's own, with its default parameters, a text that no table has. Raises
    `InvalidInput` for a text that is more than a name.
    """
    if not isinstance(name, str):
        name = _name_of(name)
        if not _NAME.fullmatch(name):
            return str(name)
    elif not _NAME.fullmatch(name):
        expected = "a function's name alone, without signs or parameters"
        raise InvalidInput(sentence("over_the_reals(name=...)", expected, f"{name!r:.60}", "say tanh or torch.tanh"))
    library, _, bare = name.removesuffix("()").rpartition(":")
    home, _, last = bare.rpartition(".")
    key = last.replace("_", "").lower()
    key = ALIASES.get(key, key)
    if library:
        theirs = next((own for own in TERMS if own.lower() == f"onnx:{key}"), None)
        return theirs or (key if not home and key in _ONNX else str(name))
    return key if home in _HOMES or key in _OF.get(home, ()) else str(name)


def _name_of(f: Any) -> str:
    """The name of torch's or NumPy's own function, module or module's class; else a text with more than a name."""
    from mathdnn.monotone.functions import public_name

    kind = f if isinstance(f, type) else type(f)
    if not kind.__module__.startswith("torch.nn.modules."):
        theirs = f"{getattr(f, '__module__', None)}:{getattr(f, '__qualname__', kind.__qualname__)}"
        return (public_name(f) if kind is not f else "") or " ".join(theirs.split())[:200]
    import torch

    name = kind.__name__
    if getattr(torch.nn, name, None) is kind:
        if kind is f or name.lower() not in (*TERMS, *FALLING) or _as_made(f, kind()):
            return name
        return f"{name}({f.extra_repr() or 'changed'})"[:200]
    return f"{kind.__module__}:{kind.__qualname__}"[:200]


def _as_made(module: Any, default: Any) -> bool:
    """Whether a module has all that one with the default parameters has, and nothing else: no hook, no new forward."""
    one, other = (
        {name: value for name, value in vars(m).items() if name not in ("inplace", "training")}
        for m in (module, default)
    )
    return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())


def _same(one: Any, other: Any) -> bool:
    plain: Any = (int, float, str, dict, set, type(None))
    return isinstance(one, plain) and isinstance(other, plain) and bool(one == other)


def direction(term: Plain) -> tuple[int, Fraction | None]:
    """(1, 0 or -1: the term rises, is constant or falls; a lower bound of its values, None where there is none).

    Raises `ValueError` where the rules say nothing. `exp` is bounded below by 0, which it does not reach.
    """
    if term == X:
        return 1, None
    if isinstance(term, str):
        return 0, Fraction(term)
    head, *rest = term
    found: tuple[int, Fraction | None] = _RULES[head](*rest)
    return found


def _keep(bound: Fraction | None = None) -> Any:
    return lambda t: (direction(t)[0], bound)


def _neg(t: Plain) -> tuple[int, Fraction | None]:
    return -direction(t)[0], None


def _scale(c: str, t: Plain) -> tuple[int, Fraction | None]:
    way, low = direction(t)
    factor = Fraction(c)
    if factor < 0:
        return -way, None
    return way if factor else 0, None if low is None else factor * low


def _add(*terms: Plain) -> tuple[int, Fraction | None]:
    parts = [direction(t) for t in terms]
    ways = {way for way, _ in parts} - {0}
    if len(ways) > 1:
        raise ValueError("a sum of a rising and a falling term")
    lows = [low for _, low in parts]
    return next(iter(ways), 0), None if None in lows else sum((low for low in lows if low is not None), Fraction(0))


def _positive(t: Plain, what: str) -> int:
    way, low = direction(t)
    if low is None or low <= 0:
        raise ValueError(f"{what} of what is not known to be positive")
    return way


def _max(t: Plain, c: str) -> tuple[int, Fraction | None]:
    way, low = direction(t)
    return way, Fraction(c) if low is None else max(low, Fraction(c))


def _min(t: Plain, c: str) -> tuple[int, Fraction | None]:
    way, low = direction(t)
    return way, None if low is None else min(low, Fraction(c))


def _mul(t: Plain, u: Plain) -> tuple[int, Fraction | None]:
    (way, low), (other, base) = direction(t), direction(u)
    if way != other or low is None or base is None or low < 0 or base < 0:
        raise ValueError("a product whose factors are not both nonnegative and of one direction")
    return way, low * base


_RULES: dict[str, Any] = {
    "neg": _neg,
    "scale": _scale,
    "add": _add,
    "mul": _mul,
    "max": _max,
    "min": _min,
    "exp": _keep(Fraction(0)),
    "erf": _keep(Fraction(-1)),
    "atan": _keep(Fraction(-2)),
    "floor": _keep(),
    "log": lambda t: (_positive(t, "the logarithm"), None),
    "recip": lambda t: (-_positive(t, "the reciprocal"), Fraction(0)),
}


def show(term: Plain) -> str:
    """The term as a person writes it."""
    if isinstance(term, str):
        return term
    head, *rest = term
    parts = [show(t) for t in rest]
    if head in ("add", "mul", "scale"):
        return "(" + (" + " if head == "add" else " * ").join(parts) + ")"
    return {"neg": f"-{parts[0]}", "recip": f"1/{parts[0]}"}.get(head, f"{head}({', '.join(parts)})")
