"""A perceptron read from an `nn.Sequential`: only what computes exactly the formulas of `mlp` is let through.

What a module computes is known for torch's own classes as they come. A subclass, a hook, a parametrization or a
`forward` set on the object can compute anything, without a trace in the weights; all of them are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mathdnn.backprop.activations import ACTIVATIONS, THRESHOLD, Activation
from mathdnn.errors import InvalidInput, printed, sentence

WHO = "MLP.from_sequential(model=...)"
HOOKS = {
    "_forward_pre_hooks": "a forward pre-hook",
    "_forward_hooks": "a forward hook",
    "_backward_pre_hooks": "a backward pre-hook",
    "_backward_hooks": "a backward hook",
}


def read_sequential(model: Any) -> tuple[list[Any], list[Any], list[Activation]]:
    """The weights, the biases and the activations between. Raises `InvalidInput`, naming the layer, for any other."""
    import torch

    if type(model) is not torch.nn.Sequential:
        raise InvalidInput(sentence(WHO, "an nn.Sequential", type(model).__name__, "wrap the layers in one"))
    _require_no_global_hooks()
    weights: list[Any] = []
    biases: list[Any] = []
    between: list[Activation] = []
    for index, layer in enumerate(_unnested(model)):
        _require_plain(layer, f"{_shown(layer)} at {index}")
        if type(layer) is torch.nn.Linear and len(weights) == len(between):
            weights.append(layer.weight.detach())
            biases.append(layer.bias.detach() if layer.bias is not None else layer.weight.new_zeros(layer.out_features))
        elif (found := _activation_of(layer)) is not None and len(weights) == len(between) + 1:
            between.append(found)
        elif not _passes(layer):
            got, do = f"{_shown(layer)} at {index}", "leave it out, or give MLP the weights and an Activation"
            raise InvalidInput(sentence(WHO, "Linear layers with one activation between each two", got, do))
    if not weights or len(weights) != len(between) + 1:
        raise InvalidInput(
            sentence(WHO, "a Linear layer at the end", f"{len(weights)} Linear, {len(between)} activations", "add it")
        )
    return weights, biases, between


def _unnested(model: Any, name: str = "the model") -> Iterator[Any]:
    """The layers of a Sequential, those of a Sequential within it in its place."""
    import torch

    _require_plain(model, name)
    for child, layer in model._modules.items():
        if type(layer) is torch.nn.Sequential:
            yield from _unnested(layer, f"the Sequential {child!r}")
        else:
            yield layer


def _shown(layer: Any) -> str:
    """A layer as it prints, in one line."""
    return f"{' '.join(printed(layer).split()):.100}"


def _require_plain(module: Any, name: str) -> None:
    """Raise `InvalidInput` for a module that computes something else than its class says."""
    import torch

    if isinstance(module, torch.nn.modules.lazy.LazyModuleMixin):
        do = "run the model once on an input, which makes them"
        raise InvalidInput(sentence(WHO, "layers that have their weights", f"{name}, without", do))
    own = getattr(module, "__dict__", {})
    found = next((words for kind, words in HOOKS.items() if own.get(kind)), None)
    do = "remove it, and give the layers the weights that it makes"
    if isinstance(module, torch.nn.Module) and torch.nn.utils.parametrize.is_parametrized(module):
        found, do = "a parametrization", "remove it by torch.nn.utils.parametrize.remove_parametrizations"
    elif "forward" in own or "_call_impl" in own:
        found, do = "a forward of its own", "take layers as torch makes them, or give MLP the weights"
    if found is not None:
        raise InvalidInput(sentence(WHO, "layers that compute what their class says", f"{name} with {found}", do))


def _require_no_global_hooks() -> None:
    import torch

    for kind, words in HOOKS.items():
        if getattr(torch.nn.modules.module, f"_global{kind}", None):
            do = "remove it for the time of the call"
            raise InvalidInput(
                sentence(WHO, "layers that compute what their class says", f"{words} on all modules", do)
            )


def _passes(layer: Any) -> bool:
    """Whether a layer leaves (batch, n) as it is: Flatten from the first axis would take the batch for features."""
    import torch

    if type(layer) is torch.nn.Flatten:
        return layer.start_dim in (1, -1) and layer.end_dim in (1, -1)
    return type(layer) is torch.nn.Dropout and not layer.training


def _activation_of(layer: Any) -> Activation | None:
    """The activation that a torch module with default settings computes."""
    import torch

    nn = torch.nn
    settings = {nn.ELU: ("alpha", 1.0), nn.GELU: ("approximate", "none"), nn.LeakyReLU: ("negative_slope", 0.01)}
    names = {nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.ReLU: "relu", nn.Identity: "identity", nn.ELU: "elu",
             nn.Softplus: "softplus", nn.Softsign: "softsign", nn.GELU: "gelu", nn.SiLU: "silu",
             nn.LeakyReLU: "leaky_relu", nn.Hardtanh: "hardtanh"}  # fmt: skip
    name = names.get(type(layer))
    wanted = settings.get(type(layer))
    if name is None or (wanted is not None and getattr(layer, wanted[0]) != wanted[1]):
        return None
    if name == "softplus" and (layer.beta, layer.threshold) != (1.0, THRESHOLD):
        return None
    if name == "hardtanh" and (layer.min_val, layer.max_val) != (-1.0, 1.0):
        return None
    return ACTIVATIONS[name]
