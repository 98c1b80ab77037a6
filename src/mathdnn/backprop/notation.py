"""The usual ways to write a derivative, put into the pieces of `typed`: subscripts, LaTeX, products without a sign.

    A_l  A_{l-1}  A[l]  Aₗ₋₁       A[l], A[l-1]                sigma'(z_l)  σ'(A_l y_{l-1} + b_l)   s[l]
    dy_L/dy_l  ∂y_L/∂y_l           G[l]                        X^T  X^\\top  Xᵀ  X.T                    X.T
    X Y  X · Y  X @ Y              X @ Y                       X ⊙ Y  X * Y                           X * Y
    u ⊗ v  outer(u, v)             outer(u, v)                 x                                      y[0]

A number before something multiplies it. What is read is said with the answer, for a person to agree with.
"""

from __future__ import annotations

import re

_SUBSCRIPTS = str.maketrans("ₗ₀₁₂₃₄₅₆₇₈₉₋₊", "l0123456789-+")
_T = r"(?:\\top|\\intercal|\\(?:mathsf|mathrm)\s*(?:\{T\}|T)|⊤|T)(?![a-zA-Z])"
_LATEX = (
    (r"\\(?:left|right|quad|displaystyle)(?![a-zA-Z])|\\[,;!:]|[$]|\\ ", " "),
    (r"\\d?frac\s*\{([^{}]*(?:\{[^{}]*\})?[^{}]*)\}\s*\{([^{}]*(?:\{[^{}]*\})?[^{}]*)\}", r"(\1/\2)"),
    (r"\\(?:operatorname|mathrm|text|mathop)\*?\s*\{\s*diag\s*\}|\\diag(?![a-zA-Z])", "diag"),
    (r"\\sigma(?![a-zA-Z])", "σ"), (r"\\partial(?![a-zA-Z])", "∂"), (r"\\cdot(?![a-zA-Z])", "·"),
    (r"\\(?:odot|circ)(?![a-zA-Z])", "⊙"), (r"\\otimes(?![a-zA-Z])", "⊗"), (r"\^\s*\{?\s*\\prime\s*\}?", "'"),
    (rf"\^\s*(?:\{{\s*{_T}\s*\}}|{_T})|ᵀ|⊤", ".T "),
    ("[′’]", "'"), ("−", "-"), ("[∘]", "⊙"),
    ("[ₗ₀-₉₋₊]+", lambda found: "_{" + found[0].translate(_SUBSCRIPTS) + "}"),
)  # fmt: skip
_INDEX = r"[lL0-9]+(?:\s*[-+]\s*[0-9]+)?"
_PLACE = rf"\s*(?:_\s*\{{\s*({_INDEX})\s*\}}|_\s*\(\s*({_INDEX})\s*\)|\[\s*({_INDEX})\s*\]|_([lL]|[0-9]+)(?!\w))"
_LAYER = re.compile(rf"([AbyzsG]){_PLACE}")
_SIZE = r"(?:_\{\s*n_(?:L|\{\s*L\s*\})\s*\}|_\{\s*L\s*\}|_L)"  # of I, which has one
_FRACTION = re.compile(rf"(?:d|∂)\s*y{_PLACE}\s*/\s*(?:d|∂)\s*(?:y{_PLACE}|(x)(?![a-zA-Z_]))")
_SLOPE = re.compile(r"(?:σ|sigma|phi|φ)\s*(?:_prime|')\s*(?:_[lL0-9]\s*)?(?=\()")
_PRODUCT = re.compile(r"(@|·|\*(?!\*)|⊙|⊗)\s*")
_NUMBER = re.compile(r"[-+* ()0-9lL]+")  # and sums and products of them
Term = tuple[str, int]  # text, and how tightly it holds together
SUM, PRODUCT, ATOM = range(3)


class Unread(ValueError):
    """Not the usual notation either; says where."""


def translated(text: str) -> str:
    """The formula in the pieces of `typed`. Raises `Unread`."""
    for pattern, plain in _LATEX:
        text = re.sub(pattern, plain, text)
    try:
        reader = _Reader(text)
        found, _ = reader.sum()
    except RecursionError:
        raise Unread("brackets too deep") from None
    if reader.rest():
        raise Unread(f"{reader.rest():.40}")
    if re.search(r"\bz\[", found):
        raise Unread("z_l outside of sigma'")
    return found


class _Reader:
    """Reads a text from left to right; each method takes one piece away."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text.strip(), 0

    def rest(self) -> str:
        return self.text[self.at :].strip()

    def take(self, pattern: str | re.Pattern[str]) -> re.Match[str] | None:
        found = re.compile(r"\s*").match(self.text, self.at)
        start = found.end() if found else self.at
        match = re.compile(pattern).match(self.text, start)
        if match:
            self.at = match.end()
        return match

    def need(self, mark: str) -> None:
        if not self.take(re.escape(mark)):
            raise Unread(f"{self.rest():.40}" if self.rest() else f"no {mark} at the end")

    def sum(self) -> Term:
        text, holds = self.product()
        while sign := self.take(r"[-+]"):
            text, holds = f"{text} {sign[0]} {_held(self.product(), PRODUCT)}", SUM
        return text, holds

    def product(self) -> Term:
        left = self.signed()
        while True:
            sign = self.take(_PRODUCT)
            if not sign and not re.match(r"[\w(∂σφ]", self.rest()):
                return left
            right = self.signed()
            if sign and sign[1] == "⊗":
                left = f"outer({left[0]}, {right[0]})", ATOM
                continue
            plain = bool(_NUMBER.fullmatch(left[0]) or _NUMBER.fullmatch(right[0]))
            word = "*" if (sign and sign[1] in "*⊙") or plain else "@"
            left = f"{_held(left, PRODUCT)} {word} {_held(right, ATOM)}", PRODUCT

    def signed(self) -> Term:
        if self.take("-"):
            return f"-{_held(self.signed(), ATOM)}", PRODUCT
        text, holds = self.atom()
        while self.take(r"\.T(?![a-zA-Z])"):
            text, holds = f"{_held((text, holds), ATOM)}.T", ATOM
        return text, holds

    def atom(self) -> Term:
        if found := self.take(_SLOPE):
            return f"s[{self.inside()}]", ATOM
        if found := self.take(_FRACTION):
            self.unambiguous(found[0], "dy_L/dy", found[8])
            return _fraction(*found.groups()), ATOM
        if found := self.take(_LAYER):
            self.unambiguous(found[0], found[1], found[5])
            return f"{found[1]}[{_index(*found.groups()[1:])}]", ATOM
        if found := self.take(r"(diag|outer)\s*\("):
            return self.call(found[1]), ATOM
        if found := self.take(rf"I{_SIZE}?(?![\w{{])|[lL](?!\w)|[0-9]{{1,4}}(?![0-9.])"):
            return found[0][0] if found[0][0] == "I" else found[0], ATOM
        if self.take(r"x(?!\w)"):
            return "y[0]", ATOM
        if bracket := self.take(r"[(\[]"):
            text, holds = self.sum()
            self.need({"(": ")", "[": "]"}[bracket[0]])
            return text, holds
        raise Unread(f"{self.rest():.40}" if self.rest() else "nothing where a piece should be")

    def unambiguous(self, piece: str, of: str, bare: str | None) -> None:
        """Raise `Unread` for y_l-1, its index without brackets: y_l - 1, or y_{l-1}?"""
        if bare and re.match(r"[-+][0-9]", self.text[self.at :]):
            raise Unread(f"{piece}{self.text[self.at : self.at + 2]}, which may mean {of}_{{...}}")

    def call(self, name: str) -> str:
        first, _ = self.sum()
        if name == "outer":
            self.need(",")
            first = f"{first}, {self.sum()[0]}"
        self.need(")")
        return f"{name}({first})"

    def inside(self) -> str:
        """The layer k of z_k, or of A_k y_{k-1} + b_k, in brackets."""
        self.need("(")
        text, _ = self.sum()
        self.need(")")
        if found := re.fullmatch(r"z\[([^]]*)\]", text):
            return found[1]
        found = re.fullmatch(r"(?:b\[([^]]*)\] \+ )?A\[([^]]*)\] @ y\[([^]]*)\](?: \+ b\[([^]]*)\])?", text)
        biases = [place for place in (found[1], found[4]) if place is not None] if found else []
        if not found or biases != [found[2]] or _below(found[2]) != found[3]:
            raise Unread(f"sigma'({text:.40}), which is not of z_l = A_l y_{{l-1}} + b_l")
        return found[2]


def _held(term: Term, tightly: int) -> str:
    return term[0] if term[1] >= tightly else f"({term[0]})"


def _index(*found: str | None) -> str:
    """The index in one way: l, l-1, 2. Raises `Unread` for ll and its like."""
    text = next(part for part in found if part).replace(" ", "")
    if not re.fullmatch(r"(?:[lL]|[0-9]{1,2})(?:[-+][0-9]{1,2})?", text):
        raise Unread(f"the index {text:.20}")
    return text


def _below(index: str) -> str:
    """The index one less: l -> l-1, L-1 -> L-2, 1 -> 0."""
    base, sign, step = re.fullmatch(r"(\w+)(?:([-+])(\d+))?", index).groups()  # type: ignore[union-attr]
    if base.isdigit() and not sign:
        return str(int(base) - 1)
    offset = (int(step) if sign == "+" else -int(step or 0)) - 1
    return f"{base}{offset:+d}" if offset else base


def _fraction(*found: str | None) -> str:
    above, below = found[:4], found[4:8]
    if _index(*above) != "L":
        raise Unread("a derivative other than dy_L/dy_l, which is G[l]")
    return "G[0]" if found[8] else f"G[{_index(*below)}]"
