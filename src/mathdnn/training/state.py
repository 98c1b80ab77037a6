"""What a network holds at a moment: parameters, buffers (also those its `state_dict` leaves out) and extra state.

They are read and written where they lie. `state_dict` may give copies, in which what is written is lost: a class or a
hook can answer for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mathdnn.training.memory import repeats

if TYPE_CHECKING:
    from jaxtyping import UInt8


def tensors_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Each parameter, buffer and extra state by its name in `state_dict`; the first two share the model's memory."""
    held = {name: place[key] for name, place, key in _places(model)}
    live = {name: tensor.detach() for name, tensor in held.items() if tensor is not None}
    return live | {name: module.get_extra_state() for name, module in extra_states(model).items()}


def loose(model: torch.nn.Module) -> set[str]:
    """Names of what may come in any shape: extra state, and buffers that are still None."""
    return {*extra_states(model), *(name for name, place, key in _places(model) if place[key] is None)}


@torch.no_grad()
def put(model: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Write what `tensors_of` gave of such a model, in place."""
    device = next((p.device for p in model.parameters()), None)
    for name, place, key in _places(model):
        if place[key] is not None and not repeats(place[key]):
            place[key].copy_(tensors[name])
        elif place[key] is not None:  # one number stands for many, where nothing can be written
            place[key].data = tensors[name].to(place[key].device, copy=True)
        elif name in tensors:
            place[key] = tensors[name].to(device, copy=True)
    for name, module in extra_states(model).items():
        module.set_extra_state(tensors[name].to(module.get_extra_state().device, copy=True))


def extra_states(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The modules with a `get_extra_state` of their own, by the name that `state_dict` gives its answer."""
    first = torch.nn.Module.get_extra_state
    return {
        f"{path}._extra_state" if path else "_extra_state": module
        for path, module in model.named_modules(remove_duplicate=False)
        if type(module).get_extra_state is not first
    }


def unsaved(model: torch.nn.Module) -> set[str]:
    """Names of the buffers that are not to be saved with the network: most are constants."""
    return {
        f"{path}.{key}" if path else key
        for path, module in model.named_modules(remove_duplicate=False)
        for key in module._non_persistent_buffers_set
    }


def frozen(model: torch.nn.Module) -> tuple[str, ...]:
    """Names of the parameters that are not trained."""
    return tuple(sorted(name for name, parameter in model.named_parameters() if not parameter.requires_grad))


def remembered(model: torch.nn.Module) -> Callable[[], None]:
    """A function that gives the model its modules and tensors back, in the memory and with the numbers they have now.

    Copied and compared as bytes by numpy: torch would wake its threads for that, 4 ms a tensor on a busy machine.
    """
    places = [
        (place, dict(place))
        for module in model.modules()
        for place in (module._parameters, module._buffers, module._modules)
    ]
    tensors = [held for _, before in places for held in before.values() if isinstance(held, torch.Tensor)]
    held = [(tensor, tensor.detach(), tensor.requires_grad, bytes_of(tensor).copy()) for tensor in tensors]
    extra = [(module, module.get_extra_state().clone()) for module in extra_states(model).values()]

    def restore() -> None:
        place: Any
        for place, before in places:
            if not _same(place, before):
                place.clear()
                place.update(before)
        for tensor, memory, trained, was in held:
            if not tensor.is_set_to(memory):
                tensor.data = memory
            if tensor.requires_grad != trained:
                tensor.requires_grad_(trained)
            if not np.array_equal(bytes_of(memory), was):
                memory.copy_(torch.from_numpy(was).view(memory.dtype).view(memory.shape))
        for module, state in extra:
            module.set_extra_state(state)

    return torch.no_grad()(restore)


def _same(place: Any, before: Any) -> bool:
    return list(place.keys()) == list(before) and all(place[key] is tensor for key, tensor in before.items())


def bytes_of(tensor: torch.Tensor) -> UInt8[np.ndarray, "bytes"]:
    """The tensor's numbers as bytes, row by row: its own memory where it lies so on the processor."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    flat = plain.as_strided((plain.numel(),), (1,))  # reshape leaves a single number the step it was cut out with
    found: UInt8[np.ndarray, "bytes"] = flat.view(torch.uint8).numpy()
    return found


def _places(model: torch.nn.Module) -> Iterator[tuple[str, Any, str]]:
    """The name of each parameter and buffer, the dictionary it lies in, and its key there."""
    for path, module in model.named_modules(remove_duplicate=False):
        for place in (module._parameters, module._buffers):
            for key in list(place.keys()):  # TorchScript's cannot be iterated
                yield f"{path}.{key}" if path else key, place, key
