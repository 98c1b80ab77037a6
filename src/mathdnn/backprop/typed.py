"""A formula typed by a person, read as data: names, indices, a few functions, and nothing else.

    A[l]  b[l]  y[l-1]  s[l] = sigma'(z_l)  G[l] = dy_L/dy_l  I (n_L x n_L)  l  L
    diag(s[l])  outer(X, y[l-1])  transpose: X.T        X @ Y  X * Y  X + Y  X - Y  -X  whole numbers

and the usual notation for these (`notation`). y and b are columns, as in the source; s is a column where it meets one
(`aligned`), and else a row; outer(X, v)[..., k] = X[...] v[k], where a column X is a vector (`_column`). Everything is
computed in whole numbers of any size: in those of 64 bits 2^64 is 0. Where n_L = 1 the source drops the index of the
output: a result without its axis is taken for that case, and a number for a Jacobian of one entry.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mathdnn.backprop import literal
from mathdnn.backprop.literal import FORMULAS, Formula, Misfit, Values
from mathdnn.backprop.notation import Unread, translated
from mathdnn.errors import InvalidInput, sentence

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.MatMult: operator.matmul,
    ast.Mult: operator.mul,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "diag": (1, lambda net, v: _diagonal(v)),
    "outer": (2, lambda net, X, v: np.multiply.outer(_column(X, len(net.b[net.L])), np.ravel(v))),
}
_WORDS = {ast.MatMult: "@", ast.Mult: "*", ast.Add: "+", ast.Sub: "-"}
_PIECES = "A[l], b[l], y[l], s[l], G[l], I, l, L, diag, outer, .T, @, *, +, - and whole numbers"
_LONGEST = 400
_LARGEST = 1 << 16  # numbers that one operation may pair: a heuristic, right formulas for 64 weights pair 4096


def derivative_name(of: str) -> str:
    """The key of `FORMULAS` for a derivative written dyl/dyl-1, dy_l/dy_{l-1}, ∂y_l/∂y_{l-1}. Raises `InvalidInput`."""
    name = re.sub(r"[_{}\s]", "", of).replace("∂", "d") if isinstance(of, str) else of
    if not isinstance(name, str) or name not in FORMULAS:
        raise _wrong("of=...", f"one of {', '.join(FORMULAS)}", f"{of!r:.60}", "say which derivative it is")
    return name


def typed_formula(text: str, of: str) -> Formula:
    """The formula that `text` says for the derivative `of` (one of `FORMULAS`: "dyL/dAl", "dyl/dyl-1", ...).

    To be handed to `check_exact(formulas={"mine": ...})`. Raises `InvalidInput`, naming the piece, for what is not one
    of the pieces above.

    >>> from mathdnn.backprop import check_exact
    >>> right = typed_formula("diag(s[l]) @ G[l].T @ y[l-1].T", "dyL/dAl")
    >>> check_exact((2, 2, 1), formulas={"mine": right})["mine"].status
    <Status.PROVED: 'proved'>
    >>> wrong = typed_formula("G[l].T @ y[l-1].T", "dyL/dAl")
    >>> check_exact((2, 2, 1), formulas={"mine": wrong})["mine"].status
    <Status.REFUTED: 'refuted'>
    """
    of = derivative_name(of)
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        do = "write it shorter" if isinstance(text, str) and text.strip() else "write one"
        raise _wrong("text", f"a formula of at most {_LONGEST} characters", f"{text!r:.60}", do)
    tree, read = _read(text.strip())
    _refuse_the_question(tree, text, of)
    return dataclasses.replace(FORMULAS[of], text=f"{of} = {read}", typed=read, closed=_closed(tree, of))


def _refuse_the_question(tree: ast.expr, text: str, of: str) -> None:
    """dy_L/dx and dy_L/dy_{L-1} are G[0] and G[L-1]: no answer to what they are themselves."""
    own = {"dyL/dx": [0, 0], "dyL/dyL-1": [4, 6]}.get(of)  # for L = 5 and 7, so that no other index is the same
    for node in ast.walk(tree) if own else ():
        if not isinstance(node, ast.Subscript) or ast.unparse(node.value) != "G":
            continue
        if [_index(node.slice, L) for L in (5, 7)] == own:
            got, do = f"{ast.unparse(node)}, which is {of} itself, in {text!r:.100}", "write what it is"
            raise _wrong("text", "an answer in other terms than the question", got, do)


def _index(node: ast.expr, L: int) -> int | None:
    """A layer's number for l = L, or None for what is none."""
    try:
        return _number(node, L)
    except KeyError:
        return None


def _number(node: ast.expr, L: int) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id="l" | "L"):
            return L
        case ast.UnaryOp(operand=operand):
            return -_number(operand, L)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as op, right=right):
            return int(_BINARY[type(op)](_number(left, L), _number(right, L)))
    raise KeyError


def _read(text: str) -> tuple[ast.expr, str]:
    """The formula in the pieces above, as it stands or out of the usual notation."""
    if "#" in text:
        raise _wrong("text", _PIECES, f"'#' in {text!r:.100}", "write the formula alone")
    try:
        return _tree(text), text
    except InvalidInput as error:
        complaint = error
    try:
        read = translated(text)
    except Unread as error:
        said = str(error)
        if ", which" in said or "dy_L" in said or not (_is_python(text) or said.startswith("no ")):
            raise _wrong("text", _PIECES, f"{said!r:.90} in {text!r:.100}", "write it with these") from None
        raise complaint from None
    if len(read) > _LONGEST:
        raise _wrong("text", f"a formula of at most {_LONGEST} characters", f"{len(read)}", "write it shorter")
    return _tree(read), read


def _is_python(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _tree(text: str) -> ast.expr:
    if found := re.search("[0-9]+[A-Za-z_]+", text):  # 0b_1 is 0 times b_1; to Python it is 1
        raise _wrong("text", _PIECES, f"{found[0]!r:.60} in {text!r}", "write it with these")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _wrong("text", "a formula", repr(text), "check the brackets") from None
    _check_pieces(tree, text)
    return tree


def _wrong(what: str, expected: str, got: str, do: str) -> InvalidInput:
    return InvalidInput(sentence(f"typed_formula({what})", expected, got, do))


def _check_pieces(tree: ast.expr, text: str) -> None:
    allowed = (
        ast.BinOp,
        ast.UnaryOp,
        ast.USub,
        ast.Name,
        ast.Load,
        ast.Subscript,
        ast.Call,
        ast.Attribute,
        ast.Constant,
    )
    indexed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        known = isinstance(node, allowed) or type(node) in _BINARY
        if isinstance(node, ast.Name):  # a layered name needs its layer, a function its brackets
            bare = {"I", "l", "L"} | ({"A", "b", "y", "s", "G"} if id(node) in indexed else set())
            known = node.id in bare | (set(_FUNCTIONS) if id(node) in called else set())
        if isinstance(node, ast.Subscript):  # of a layered name alone: y[l][0] is an entry, and no piece
            known = isinstance(node.value, ast.Name) and node.value.id not in ("I", "l", "L")
        if isinstance(node, ast.Attribute):
            known = node.attr == "T"
        if isinstance(node, ast.Constant):
            known = type(node.value) is int and abs(node.value) <= 1000
        if isinstance(node, ast.Call):
            arity = _FUNCTIONS.get(getattr(node.func, "id", ""), (0,))[0]
            known = bool(arity) and len(node.args) == arity and not node.keywords
        if not known:
            piece = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise _wrong("text", _PIECES, f"{piece!r:.60} in {text!r}", "write it with these")


def _closed(tree: ast.expr, of: str) -> Callable[[Values, int], Any]:
    def closed(v: Values, l: int) -> Any:  # noqa: E741
        value = np.asarray(_evaluate(tree, v, l), dtype=object)
        outputs = len(v.y[l if FORMULAS[of].output == "l" else v.L])
        by = {"A": v.A[l], "b": v.b[l], "y": v.y[l - 1], "x": v.y[0]}[FORMULAS[of].by]
        if outputs == 1 and (value.shape == by.shape or value.size == by.size == 1):
            return value.reshape(1, *by.shape)
        return value

    return closed


def _evaluate(node: ast.expr, v: Values, l: int) -> Any:  # noqa: E741
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return {"l": l, "L": v.L, "I": _identity(v)}[node.id]
    if isinstance(node, ast.UnaryOp):
        return -_evaluate(node.operand, v, l)
    if isinstance(node, ast.Attribute):
        return np.asarray(_evaluate(node.value, v, l), dtype=object).T
    if isinstance(node, ast.Subscript):
        return _layer(ast.unparse(node.value), _evaluate(node.slice, v, l), v)
    if isinstance(node, ast.BinOp):
        parts, operation, word = [node.left, node.right], _BINARY[type(node.op)], _WORDS[type(node.op)]
    else:
        assert isinstance(node, ast.Call)
        word = ast.unparse(node.func)
        parts, operation = node.args, functools.partial(_FUNCTIONS[word][1], v)
    return _applied(operation, word, parts, [_evaluate(part, v, l) for part in parts])


def _identity(v: Values) -> Any:
    """n_L x n_L, in whole numbers of any size: those of a fixed size would come round to others."""
    return np.eye(len(v.b[v.L]), dtype=object)


def _applied(operation: Callable[..., Any], word: str, parts: Sequence[ast.expr], values: list[Any]) -> Any:
    _require_small(*values)
    arrays = [np.asarray(value, dtype=object) for value in values]
    try:
        return operation(*(aligned(*arrays) if word in ("*", "+", "-") else arrays))
    except InvalidInput:  # a product too large
        raise
    except (ValueError, TypeError):
        sizes = [f"{ast.unparse(part)} is {_size(value)}" for part, value in zip(parts, values, strict=True)]
        raise Misfit(f"{' and '.join(sizes)}, which {word} does not take") from None


def _require_small(*values: Any) -> None:
    if math.prod(np.size(value) for value in values) > _LARGEST:
        raise _wrong("text", f"products of at most {_LARGEST:,} numbers", "more", "write it shorter")


def _diagonal(v: Any) -> Any:
    """A vector, a column or a row put on the diagonal; of a larger table its diagonal is taken."""
    v = np.ravel(v) if v.ndim == 2 and 1 in v.shape else v
    if v.ndim == 1:
        _require_small(v, v)
    return np.diag(v)


def _column(X: Any, outputs: int) -> Any:
    """A column as a vector: u (x) y of two columns is the table u y^T. With as many rows as there are outputs, several,
    it is the table n_L x n_l of a layer of one unit, to which `outer` adds an axis as to every other."""
    return X[:, 0] if X.ndim == 2 and X.shape[1] == 1 and X.shape[0] not in (1, outputs) else X


def aligned(a: Any, b: Any) -> tuple[Any, Any]:
    """Both as they meet entry by entry: a vector that meets a column is one. Raises ValueError for another length.

    NumPy takes the vector for a row, and repeats both to a table that no formula means."""
    for vector, column in ((a, b), (b, a)):
        if vector.ndim == 1 and column.ndim == 2 and column.shape[1] == 1 < min(len(vector), len(column)):
            if len(vector) != len(column):
                raise ValueError("a column of another length")
            return tuple(x[:, None] if x.ndim == 1 else x for x in (a, b))
    return a, b


def _size(value: Any) -> str:
    return " x ".join(map(str, np.shape(value))) or "one number"


def _layer(name: str, index: Any, v: Values) -> Any:
    """The quantity of that layer; y and b as columns. Raises `Misfit` for a layer that has none."""
    if np.ndim(index) or not isinstance(index, int) or not 0 <= index <= v.L:
        raise Misfit(f"{name}[{index if np.ndim(index) == 0 else '...'}] is not there")
    if name == "G":
        return _identity(v) if index == v.L else literal.G(v, index)
    found = getattr(v, name)[index] if index < len(getattr(v, name)) else None
    if found is None or not len(found):
        raise Misfit(f"{name}[{index}] is not there")
    return np.asarray(found)[:, None] if name in ("y", "b") else found
