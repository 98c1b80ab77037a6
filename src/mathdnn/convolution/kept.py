"""What an operation keeps between calls, put back after its code was read.

Code that keeps a result (`self.last = x`, a moving average, a cache, a list that a hook fills) keeps a fake tensor when
it is run on a fake image, and fails at the next real call. So what the operation can be seen to hold is noted before
each reading, and put back after it: the attributes of modules as they were; what functions keep in their closures and
globals, and other objects in their attributes, only where a fake tensor came in, as others may write there meanwhile.
"""

from __future__ import annotations

import functools
import itertools
import types
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses import FakeTensor
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST = 100_000  # things looked at: more than the modules of any network hold, and less than a second
_SKIPPED = (torch.Tensor, type, types.ModuleType, str, bytes, int, float, complex, type(None))
_ABSENT = object()


@contextmanager
def put_back(operation: Any) -> Iterator[Notes]:
    """What `operation` keeps is afterwards what it was before, however the block ends."""
    notes = Notes(operation)
    try:
        yield notes
    finally:
        for undo in notes.undo:
            undo()


class Notes:
    """What can be reached from an operation, the nearest first, as functions that put it back."""

    def __init__(self, operation: Any) -> None:
        self.operation = operation
        self.undo: list[Callable[[], None]] = []
        self.held: list[tuple[Any, Any]] = []  # (container, what it held)
        self.todo = deque([(operation, True)])  # (thing, whether whatever changes in it is put back)
        seen: dict[int, Any] = {}  # keeps what was seen alive, so that no id is given twice
        while self.todo and len(seen) < _MOST:
            thing, always = self.todo.popleft()
            if not isinstance(thing, _SKIPPED) and id(thing) not in seen:
                seen[id(thing)] = thing
                self._note(thing, always)

    def _note(self, thing: Any, always: bool) -> None:
        if isinstance(thing, dict):
            held = dict(thing)
            self.held.append((thing, held))
            self.undo.append(lambda: _undo_dict(thing, held, always))
            self._later(always, *held.values())
        elif isinstance(thing, (list, deque)):
            items = list(thing)
            self.held.append((thing, items))
            self.undo.append(lambda: _undo_list(thing, items, always))
            self._later(always, *items)
        elif isinstance(thing, (tuple, set, frozenset)):
            self._later(always, *thing)
        elif isinstance(thing, types.FunctionType):
            self._function(thing)
        elif isinstance(thing, types.MethodType):
            self._later(always, thing.__self__, thing.__func__)
        elif isinstance(thing, functools.partial):
            self._later(always, thing.func, thing.args, thing.keywords)
        else:
            own = getattr(thing, "__dict__", None)
            if isinstance(own, dict):
                self._later(isinstance(thing, torch.nn.Module) or thing is self.operation, own)

    def _function(self, function: types.FunctionType) -> None:
        if function.__module__ is not None and function.__module__.split(".")[0] == "torch":
            return
        for cell in function.__closure__ or ():
            value = _content(cell)
            self.held.append((cell, [value]))
            self.undo.append(lambda cell=cell, value=value: _undo_cell(cell, value))  # type: ignore[misc]
            self._later(False, value)
        names = {name: function.__globals__.get(name, _ABSENT) for name in function.__code__.co_names}
        self.held.append((function.__globals__, names))
        self.undo.append(lambda: _undo_names(function.__globals__, names))
        self._later(False, *names.values(), function.__defaults__, function.__kwdefaults__, function.__dict__)

    def replaced(self) -> list[torch.Tensor]:
        """The tensors that were kept in a place where now something else is, or nothing."""
        found = []
        for thing, held in self.held:
            if isinstance(held, dict):
                pairs = [(value, thing.get(key, _ABSENT)) for key, value in held.items()]
            else:
                now = [_content(thing)] if isinstance(thing, types.CellType) else list(thing)
                pairs = list(itertools.zip_longest(held, now, fillvalue=_ABSENT))
            found += [leaf for value, new in pairs if new is not value for leaf in tree_leaves(value)]
        return [leaf for leaf in found if isinstance(leaf, torch.Tensor)]

    def _later(self, always: bool, *things: Any) -> None:
        self.todo.extend((thing, always) for thing in things)


def _undo_dict(thing: dict[Any, Any], held: dict[Any, Any], always: bool) -> None:
    for key in [key for key in thing if key not in held]:
        if always or _holds_fake(thing[key]):
            del thing[key]
    for key, value in held.items():
        now = thing.get(key, _ABSENT)
        if now is not value and (always or _holds_fake(now)):
            thing[key] = value


def _undo_list(thing: list[Any] | deque[Any], held: list[Any], always: bool) -> None:
    now = list(thing)
    same = len(now) == len(held) and all(a is b for a, b in zip(now, held, strict=True))
    if not same and (always or _holds_fake(now)):
        thing.clear()
        thing.extend(held)


def _undo_cell(cell: types.CellType, value: Any) -> None:
    if not _holds_fake(_content(cell)):
        return
    if value is _ABSENT:
        del cell.cell_contents
    else:
        cell.cell_contents = value


def _undo_names(names: dict[str, Any], held: dict[str, Any]) -> None:
    for name, value in held.items():
        now = names.get(name, _ABSENT)
        if now is value or not _holds_fake(now):
            continue
        if value is _ABSENT:
            del names[name]
        else:
            names[name] = value


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # of a variable that has no value yet
        return _ABSENT


def _holds_fake(value: Any) -> bool:
    return any(isinstance(leaf, FakeTensor) for leaf in tree_leaves(value))
