"""Which layers a network calls, in order, with the shapes that go in and out: forward passes without numbers.

A leaf is a module without children, or with parameters of its own; its inside is its own affair. What a forward
computes outside of any leaf (`F.relu(x)`, `x @ w`) belongs to no layer and is reported by the operation's name.

What belongs to one image is found by doubling. With twice the images, one side of each shape doubles, from 2k to 4k:
k of the layer's inputs are one image's (a network may fold colours or patches into the batch), wherever that side is.
Or twice as many calls are made, of the same shapes (a layer called image by image). Anything else belongs to no image.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from mathdnn.errors import InvalidInput, sentence

Shape = tuple[int, ...]
Seen = tuple[str, nn.Module, Shape, Shape]
_FEW = 2  # images: batch normalisation refuses one
_ONLY_SHAPES = {
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "t",
    "detach", "alias", "clone", "expand", "slice", "select", "cat", "stack", "split", "chunk", "contiguous", "_to_copy",
}  # fmt: skip


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operations that run while no leaf does."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inside = 0
        self.strangers: dict[str, None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if not self.inside and name not in _ONLY_SHAPES:
            self.strangers[f"{name}: an operation outside of any layer"] = None
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Call:
    """One call of a leaf for one image: `times` inputs of shape `taken`, each to one of shape `given`.

    `why_not` says why that is not known; the shapes are then those that were seen.
    """

    name: str
    layer: nn.Module
    taken: Shape
    given: Shape
    times: int = 1
    why_not: str = ""


def walk(model: nn.Module, shape: Shape) -> tuple[list[Call], list[str]]:
    """The calls of leaves and what ran outside of any, for one image."""
    few, strangers = _calls(model, (_FEW, *shape))
    many, _ = _calls(model, (2 * _FEW, *shape))
    return _of_one_image(few, many), strangers


def _calls(model: nn.Module, shape: Shape) -> tuple[list[Seen], list[str]]:
    calls: list[Seen] = []
    watch = _Watch()
    hooks = [
        hook for name, layer in model.named_modules() if _is_leaf(layer) for hook in _hooks(name, layer, calls, watch)
    ]
    try:
        _run(model, shape, watch)
    finally:
        for hook in hooks:
            hook.remove()
    return calls, list(watch.strangers)


def _of_one_image(few: list[Seen], many: list[Seen]) -> list[Call]:
    found: list[Call] = []
    fewer, more = Counter(few), Counter(many)
    named = {name: ([c for c in few if c[0] == name], [c for c in many if c[0] == name]) for name, *_ in few}
    done: Counter[Any] = Counter()
    for call in few:
        some, all_of_them = named[call[0]]
        if len(some) == len(all_of_them):
            found.append(_compared(call, all_of_them[done[call[0]]]))
        elif any(more[each] != 2 * fewer[each] or fewer[each] % _FEW for each in some):
            why = f"for {_FEW} images it is called {len(some)} and for {2 * _FEW} images {len(all_of_them)} times"
            found += [Call(*call, why_not=why)] * (not done[call[0]])
        elif done[call] < fewer[call] // _FEW:
            found.append(Call(*call))
        done.update((call[0], call))
    return found


def _compared(few: Seen, many: Seen) -> Call:
    """The call among `few` images that is the other among twice as many."""
    name, layer, taken, given = few
    into, out = _doubled(taken, many[2]), _doubled(given, many[3])
    if out is None or (taken and into is None):
        return Call(*few, why_not=f"{given} comes of {_FEW} images and {many[3]} of {2 * _FEW}")
    times, read = given[out] // _FEW, 0 if into is None else taken[into] // _FEW
    if into is not None and read != times:
        both = (*taken[:into], read, *taken[into + 1 :]), (*given[:out], times, *given[out + 1 :])
        return Call(name, layer, *both, why_not=f"{read} of its inputs and {times} of its outputs belong to one")
    rest = () if into is None else taken[:into] + taken[into + 1 :]
    return Call(name, layer, rest, given[:out] + given[out + 1 :], times)


def _doubled(few: Shape, many: Shape) -> int | None:
    """The one side that doubles, where there is one, and it is a multiple of the images."""
    sides = [axis for axis, (a, b) in enumerate(zip(few, many, strict=False)) if a != b]
    right = len(few) == len(many) and len(sides) == 1 and many[sides[0]] == 2 * few[sides[0]]
    return sides[0] if right and few[sides[0]] % _FEW == 0 else None


def _is_leaf(layer: nn.Module) -> bool:
    return next(layer.children(), None) is None or next(layer.parameters(recurse=False), None) is not None


def _hooks(name: str, layer: nn.Module, calls: list[Seen], watch: _Watch) -> list[Any]:
    def enter(_layer: nn.Module, _inputs: Any) -> None:
        watch.inside += 1

    def leave(_layer: nn.Module, inputs: Any, output: Any) -> None:
        watch.inside -= 1
        if not watch.inside:
            calls.append((name or type(layer).__name__, layer, _shape(inputs), _shape((output,))))

    return [layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave)]


def _shape(values: tuple[Any, ...]) -> Shape:
    return tuple(values[0].shape) if values and isinstance(values[0], torch.Tensor) else ()


def _run(model: nn.Module, shape: Shape, watch: _Watch) -> None:
    """Images of `shape` on the meta device, where tensors have shapes and no numbers."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
    ghosts = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
    try:
        images = torch.empty(shape, dtype=dtype, device="meta")  # torch refuses more bytes than it can count
        with torch.no_grad(), watch:
            functional_call(model, ghosts, (images,))
    except InvalidInput:
        raise
    except Exception as error:
        reason = str(error).split("\n")[0][:200]
        expected = f"a model that runs on images of shape {shape[1:]}"
        raise InvalidInput(sentence("count(model)", expected, reason, "correct the shape or the model")) from error
