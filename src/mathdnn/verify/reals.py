"""The real-number side: a term's direction by rules, and whether it is the function of its name."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from mathdnn.verdict import Certificate, Counterexample, Equality, Verdict
from mathdnn.verify.sealing import number

Answer = tuple[bool | None, str]
_DEEPEST, _MOST = 60, 1000  # of a term: its depth, its pieces
_PARTS = {
    "max": 2, "min": 2, "scale": 2, "neg": 1, "recip": 1, "log": 1, "exp": 1, "erf": 1, "atan": 1, "floor": 1,
    "add": None, "mul": None,
}  # of each head, how many; None: one or more  # fmt: skip
_LEAST: dict[str, Fraction | float] = {
    "exp": Fraction(0), "erf": Fraction(-1), "atan": Fraction(-2), "floor": -math.inf,
}  # fmt: skip
_OTHERS = False, "the equality, the assumptions or the data are not what the evidence rests on"


def check_term(verdict: Verdict, evidence: Certificate) -> Answer:
    """The term rises by the rules, and at many points it is the function of that name."""
    name, term = evidence.data["function"], evidence.data["term"]
    if verdict.claim != f"{name} is nondecreasing over the reals, and so commutes with every max pooling":
        return False, "the evidence is for another claim"
    if not _bare(verdict, evidence.data, {"function", "term", "reason"}):
        return _OTHERS
    if name not in _REAL:
        return None, f"{name!r} is not a function that the checker knows"
    if _pieces(term, 0) > _MOST:
        raise ValueError("a term too large")
    way, _ = _direction(term)
    drawn = random.SystemRandom()  # no term can be made to fit points that nobody knows
    points = [k / 8 for k in range(-40, 41)] + [drawn.uniform(-5, 5) for _ in range(80)]
    same = all(math.isclose(_value(term, x), _REAL[name](x), rel_tol=1e-9, abs_tol=1e-12) for x in points)
    if way < 0 or not same:
        return False, "the term falls, or is another function"
    reason = _REASONS.get(name)
    told = evidence.data["reason"] == reason and evidence.method == f"{reason}; {_PIECES}{_written(term)}"
    return (True, "") if told else (False, "the method or the reason is not that of such a certificate")


def _written(term: Any) -> str:
    """The term as a person writes it."""
    if isinstance(term, str):
        return term
    head, rest = _opened(term)
    parts = [_written(part) for part in rest]
    if head in ("add", "mul", "scale"):
        return "(" + (" + " if head == "add" else " * ").join(parts) + ")"
    return {"neg": f"-{parts[0]}", "recip": f"1/{parts[0]}"}.get(head, f"{head}({', '.join(parts)})")


def _bare(verdict: Verdict, data: dict[str, Any], keys: set[str]) -> bool:
    """Whether the verdict is over the reals, assumes nothing and says nothing more."""
    return verdict.equality is Equality.REALS and not verdict.assumptions and set(data) == {*keys, "seal"}


def _pieces(term: Any, depth: int) -> int:
    """How many pieces a term has. Raises ValueError for one too deep to read."""
    if depth > _DEEPEST:
        raise ValueError("a term too deep")
    return 1 + sum(_pieces(part, depth + 1) for part in (term if isinstance(term, list) else ()))


def _opened(t: Any) -> tuple[str, list[Any]]:
    """(head, parts) of a term, which has as many as its head takes."""
    head, *rest = t
    if head not in _PARTS:
        raise ValueError(f"no rule for {head!r:.20}")
    wanted = _PARTS[head]
    if len(rest) != wanted and (wanted or not rest):
        raise ValueError(f"{head} of {len(rest)} parts")
    return head, rest


def _direction(t: Any) -> tuple[int, Fraction | float]:
    """(1 rises, 0 constant, -1 falls; a lower bound, exactly)."""
    if t == "x":
        return 1, -math.inf
    if isinstance(t, str):
        return 0, number(t)
    head, rest = _opened(t)
    if head in ("max", "min", "scale"):
        said, inner = rest if head == "scale" else rest[::-1]
        way, low = _direction(inner)
        c = number(said)
        if head == "scale":
            return (way, c * low if c else Fraction(0)) if c >= 0 else (-way, -math.inf)
        return (way, max(low, c)) if head == "max" else (way, min(low, c))
    parts = [_direction(u) for u in rest]
    ways = {w for w, _ in parts if w}
    low = parts[0][1]
    if head == "add" and len(ways) < 2:
        return (ways or {0}).pop(), sum((b for _, b in parts), Fraction(0))
    if head == "mul" and len(ways) < 2 and all(b >= 0 for _, b in parts):
        return (ways or {0}).pop(), math.prod((b for _, b in parts), start=Fraction(1))
    if head == "neg":
        return -parts[0][0], -math.inf
    if head in ("recip", "log") and low > 0:
        return (-parts[0][0], Fraction(0)) if head == "recip" else (parts[0][0], -math.inf)
    if head in _LEAST:
        return parts[0][0], _LEAST[head]
    raise ValueError(f"no rule for {head}")


def _number(text: str) -> float:
    return float(number(text))


def _value(t: Any, x: float) -> float:
    if t == "x":
        return x
    if isinstance(t, str):
        return _number(t)
    head, rest = _opened(t)
    a = [_value(u, x) for u in rest]
    one: dict[str, Callable[[], float]] = {
        "neg": lambda: -a[0], "recip": lambda: 1 / a[0], "exp": lambda: math.exp(a[0]), "log": lambda: math.log(a[0]),
        "erf": lambda: math.erf(a[0]), "atan": lambda: math.atan(a[0]), "floor": lambda: float(math.floor(a[0])),
        "add": lambda: sum(a), "mul": lambda: math.prod(a), "scale": lambda: a[0] * a[1],
        "max": lambda: max(a), "min": lambda: min(a),
    }  # fmt: skip
    return one[head]()


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


_REAL: dict[str, Callable[[float], float]] = {
    "identity": lambda x: x, "relu": lambda x: max(x, 0), "relu6": lambda x: min(max(x, 0), 6), "exp": math.exp,
    "leakyrelu": lambda x: x if x > 0 else 0.01 * x, "hardtanh": lambda x: min(max(x, -1), 1), "tanh": math.tanh,
    "hardsigmoid": lambda x: min(max(x + 3, 0), 6) / 6, "sigmoid": _sigmoid, "erf": math.erf, "atan": math.atan,
    "elu": lambda x: x if x > 0 else math.expm1(x), "celu": lambda x: x if x > 0 else math.expm1(x),
    "onnx:HardSigmoid": lambda x: min(max(0.2 * x + 0.5, 0), 1),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "onnx:Selu": lambda x: 1.0507010221481323 * (x if x > 0 else 1.6732631921768188 * math.expm1(x)),
    "softplus": lambda x: math.log1p(math.exp(x)), "logsigmoid": lambda x: -math.log1p(math.exp(-x)),
    "softsign": lambda x: x / (1 + abs(x)), "floor": lambda x: float(math.floor(x)), "silu": lambda x: x * _sigmoid(x),
    "ceil": lambda x: float(math.ceil(x)), "softshrink": lambda x: math.copysign(max(abs(x) - 0.5, 0), x),
    "squaredrelu": lambda x: max(x, 0) ** 2, "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))), "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "abs": abs, "square": lambda x: x * x, "sin": math.sin, "cos": math.cos,
}  # fmt: skip


_PIECES = "as a term of monotone pieces: "
_REASONS = {  # why each rises, as its derivative says; the term says it again
    "identity": "f' = 1", "relu": "f' = 0 for x < 0, 1 for x > 0", "relu6": "f' is 0 or 1",
    "leakyrelu": "f' is 0.01 or 1", "hardtanh": "f' is 0 or 1", "hardsigmoid": "f' is 0 or 1/6",
    "sigmoid": "f' = f (1 - f) > 0", "tanh": "f' = 1 - tanh(x)^2 = 1/cosh(x)^2 > 0",
    "elu": "f' = exp(min(x, 0)) > 0", "celu": "f' = exp(min(x, 0)) > 0 (alpha = 1)",
    "selu": "f' = scale for x > 0, scale alpha exp(x) for x < 0, both positive",
    "softplus": "f' = 1/(1 + exp(-x)) > 0", "logsigmoid": "f' = 1/(1 + exp(x)) > 0",
    "softsign": "f' = 1/(1 + |x|)^2 > 0", "erf": "f' = 2 exp(-x^2)/sqrt(pi) > 0", "exp": "f' = exp(x) > 0",
    "atan": "f' = 1/(1 + x^2) > 0", "floor": "steps upwards", "ceil": "steps upwards", "softshrink": "f' is 0 or 1",
    "squaredrelu": "f' = 2 max(x, 0) >= 0", "onnx:HardSigmoid": "f' is 0 or 0.2",
    "onnx:Selu": "f' = gamma for x > 0, gamma alpha exp(x) for x < 0, both positive",
}  # fmt: skip
_FALLING = {  # each as a formula, and where it rises
    "gelu": ("x Phi(x)", "for x >= -0.7517915 only"), "silu": ("x/(1 + exp(-x))", "for x >= -1.2784645 only"),
    "mish": ("x tanh(log(1 + exp(x)))", "for x >= -1.1924312 only"),
    "hardswish": ("x min(max(x + 3, 0), 6)/6", "for x >= -3/2, and for x <= -3"),
    "abs": ("|x|", "for x >= 0 only"), "square": ("x^2", "for x >= 0 only"),
    "sin": ("sin(x)", "between -pi/2 and pi/2, and a period on"),
    "cos": ("cos(x)", "between -pi and 0, and a period on"),
}  # fmt: skip


def check_two_cells(verdict: Verdict, evidence: Counterexample) -> Answer:
    name = evidence.data["function"]
    if name not in _REAL:
        return None, f"{name!r} is not a function that the checker knows"
    if verdict.claim != f"{name} is nondecreasing over the reals, and so commutes with every max pooling":
        return False, "the evidence is for another claim"
    if not _bare(verdict, evidence.data, {"kind", "function", "formula", "holds"}):
        return _OTHERS
    a, b = (_number(t) for t in evidence.input)
    high, low = _REAL[name](a), _REAL[name](b)
    said = evidence.claimed["pooling_first"], evidence.found["pooling_last"]
    if bool in map(type, said) or not (math.isclose(said[0], low) and math.isclose(said[1], high)):
        return False, f"the two ways give {low:.6g} and {high:.6g}, which the file does not say"
    if not (a < b and high > low + 1e-9):
        return False, f"{name} does not fall from {a} to {b}"
    told = tuple(evidence.data[key] for key in ("formula", "holds"))
    if told != _FALLING.get(name) or evidence.statement != _sentence(*told, evidence.input, high, low):
        return False, "the sentence, the formula or where it holds are not those of such a counterexample"
    return True, ""


def _sentence(formula: str, holds: str, cells: list[str], high: float, low: float) -> str:
    a, b = cells
    return (
        f"f(x) = {formula}: f({a}) = {high:.6g} > f({b}) = {low:.6g}; the image [{a}, {b}] pooled first gives "
        f"{low:.6g}, pooled last {high:.6g}; nondecreasing {holds}"
    )


_BY_ORDERS = (
    "let a < b and fill a window with a, but for one cell b: commuting says f(b) = max(f(a), f(b)), that is "
    "f(a) <= f(b); the three orders of f(a) and f(b) are listed with what each gives"
)


def check_orders(verdict: Verdict, evidence: Certificate) -> Answer:
    """f(b) = max(f(a), f(b)) in each of the three orders of f(a), f(b)."""
    wanted = [[f"f(a) {sign} f(b)", max(a, b) == b] for sign, a, b in (("<", 0, 1), ("=", 0, 0), (">", 1, 0))]
    if verdict.claim != "a function that commutes with max pooling over windows of two or more cells is nondecreasing":
        return False, "the evidence is for another claim"
    if not _bare(verdict, evidence.data, {"commutes"}):
        return _OTHERS
    if evidence.method != _BY_ORDERS:
        return False, "the method is not that of such a certificate"
    right = repr(evidence.data["commutes"]) == repr(wanted)  # 1 is not True here
    return (True, "") if right else (False, "the three orders are not as listed")
