"""Sizes as symbols: the code of an operation may compute with them and compare them, and no more."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.convolution.growing import Unclear
from mathdnn.convolution.watched import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

SYMBOLS = (torch.SymInt, torch.SymFloat, torch.SymBool)


@contextmanager
def guarded(reading: Reading) -> Iterator[None]:
    """A symbol shows no text, hash or bytes to the operation's code, which could branch on them without a guard. And
    torch logs what it cannot do with symbols; here that is an answer, not an error."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    own = {(kind, name): getattr(kind, name) for kind in SYMBOLS for name in ("__repr__", "__hash__")}
    for (kind, name), method in own.items():
        setattr(kind, name, _torch_alone(method, "text" if name == "__repr__" else "hash", reading))
    # A copy of a symbol would hold the guards on it to itself: it is the symbol, as that of a number is the number.
    lent: dict[str, Callable[..., Any]] = {
        "__copy__": lambda symbol: symbol,
        "__deepcopy__": lambda symbol, _: symbol,
        "__reduce_ex__": _torch_alone(object.__reduce_ex__, "pickled form", reading),
    }
    for kind in SYMBOLS:
        for name, method in lent.items():
            setattr(kind, name, method)
    try:
        yield
    finally:
        log.disabled = before
        for (kind, name), method in own.items():
            setattr(kind, name, method)
        for kind in SYMBOLS:
            for name in lent:
                delattr(kind, name)


def _torch_alone(method: Callable[..., Any], what: str, reading: Reading) -> Callable[..., Any]:
    """The method, for torch's own code; anybody else ends the reading, even where they catch the error."""

    def refuse(symbol: Any, *more: Any) -> Any:
        if not sys._getframe(1).f_globals.get("__name__", "").startswith(("torch.", "sympy.", "logging")):
            error = Unclear(f"it looks at the {what} of the image's size")
            reading.note(error)
            raise error
        return method(symbol, *more)

    return refuse
