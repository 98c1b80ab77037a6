"""Which layers a network calls, in order, with the shapes that go in and out: one forward pass without numbers.

A leaf is a module without children, or with parameters of its own; its inside is its own affair. What a forward
computes outside of any leaf (`F.relu(x)`, `x @ w`) belongs to no layer and is reported by the operation's name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from mathdnn.errors import InvalidInput, sentence

Shape = tuple[int, ...]
Call = tuple[str, nn.Module, Shape, Shape]
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


def walk(model: nn.Module, shape: Shape) -> tuple[list[Call], list[str]]:
    """The leaf calls (name, layer, input shape, output shape; no batch) and what ran outside of any leaf."""
    calls: list[Call] = []
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


def _is_leaf(layer: nn.Module) -> bool:
    return next(layer.children(), None) is None or next(layer.parameters(recurse=False), None) is not None


def _hooks(name: str, layer: nn.Module, calls: list[Call], watch: _Watch) -> list[Any]:
    def enter(_layer: nn.Module, _inputs: Any) -> None:
        watch.inside += 1

    def leave(_layer: nn.Module, inputs: Any, output: Any) -> None:
        watch.inside -= 1
        if not watch.inside:
            calls.append((name or type(layer).__name__, layer, _shape(inputs), _shape((output,))))

    return [layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave)]


def _shape(values: tuple[Any, ...]) -> Shape:
    return tuple(values[0].shape[1:]) if values and isinstance(values[0], torch.Tensor) else ()


def _run(model: nn.Module, shape: Shape, watch: _Watch) -> None:
    """Two images (batch normalisation refuses one) on the meta device, where tensors have shapes and no numbers."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
    ghosts = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
    try:
        images = torch.empty((2, *shape), dtype=dtype, device="meta")  # torch refuses more bytes than it can count
        with torch.no_grad(), watch:
            functional_call(model, ghosts, (images,))
    except InvalidInput:
        raise
    except Exception as error:
        reason = str(error).split("\n")[0][:200]
        expected = f"a model that runs on images of shape {shape}"
        raise InvalidInput(sentence("count(model)", expected, reason, "correct the shape or the model")) from error
