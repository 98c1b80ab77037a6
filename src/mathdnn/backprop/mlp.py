"""A multilayer perceptron with all its intermediate values.

Legend: l = 1..L layers, n_l units in layer l, y_0 = x the input; code keeps lists in which layer l is entry l - 1 of
weights, biases and z, and entry l of y.

    z_l = A_l y_{l-1} + b_l          l = 1..L
    y_l = sigma_l(z_l)               l = 1..L-1
    y_L = z_L

Source: Ernest K. Ryu, Mathematical Foundations of Deep Neural Networks, homework 4, problem 6 (there n_L = 1).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathdnn.backprop.activations import ACTIVATIONS, Activation, activation
from mathdnn.backprop.memory import require
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float


@dataclass(frozen=True)
class Trace:
    """Every value of one forward pass: `y` is y_0..y_L, `z` is z_1..z_L, `slopes` sigma'(z_1)..sigma'(z_{L-1})."""

    y: tuple[Any, ...]
    z: tuple[Any, ...]
    slopes: tuple[Any, ...]


class MLP:
    """A multilayer perceptron with weights A_1..A_L, biases b_1..b_L and activations between.

    `weights[l-1]` is a tensor (n_l, n_{l-1}), `biases[l-1]` is (n_l,), of one floating dtype; `activation` is a name,
    an `Activation`, or a sequence of L - 1 of them. Raises `InvalidInput` where the shapes do not fit together.
    """

    def __init__(
        self,
        weights: Sequence[Float[torch.Tensor, "out in"]],
        biases: Sequence[Float[torch.Tensor, " out"]],
        activation: str | Activation | Sequence[str | Activation] = "tanh",
    ) -> None:
        self.weights = tuple(_tensor(a, "MLP(weights=...)", 2) for a in _many(weights, "MLP(weights=...)"))
        self.biases = tuple(_tensor(b, "MLP(biases=...)", 1) for b in _many(biases, "MLP(biases=...)"))
        _check_shapes(self.weights, self.biases)
        self.activations = _activations(activation, len(self.weights) - 1)

    @property
    def layers(self) -> int:
        """L."""
        return len(self.weights)

    @property
    def widths(self) -> tuple[int, ...]:
        """n_0..n_L."""
        return (self.weights[0].shape[1], *(a.shape[0] for a in self.weights))

    def forward(self, x: Float[torch.Tensor, "*batch n0"]) -> Trace:
        """All intermediate values at x, a tensor (n_0,) or (batch, n_0). Raises `InvalidInput` for another shape."""
        y = _check_input(self, x)
        ys, zs, slopes = [y], [], []
        for layer, (A, b) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            z = b.addmv(A, y) if y.dim() == 1 else b.addmm(y, A.T)  # A y + b; (batch, n_l)
            zs.append(z)
            if layer < self.layers:
                y, slope = self.activations[layer - 1].both(z)
                slopes.append(slope)
            ys.append(y if layer < self.layers else z)
        return Trace(tuple(ys), tuple(zs), tuple(slopes))

    def __call__(self, x: Float[torch.Tensor, "*batch n0"]) -> Float[torch.Tensor, "*batch nL"]:
        """y_L at x."""
        y: torch.Tensor = self.forward(x).y[-1]
        return y

    @classmethod
    def random(
        cls, widths: Sequence[int], activation: str | Activation = "tanh", *, seed: int = 0, dtype: Any = None
    ) -> MLP:
        """A network of these widths n_0..n_L, uniform in +-1/sqrt(n_{l-1}) like torch's own linear layer."""
        import torch

        sizes = _check_widths(widths)
        rng = torch.Generator().manual_seed(seed)
        weights, biases = [], []
        for fan_in, fan_out in itertools.pairwise(sizes):
            bound = fan_in**-0.5
            draw = torch.rand(fan_out, fan_in + 1, generator=rng, dtype=torch.float64) * 2 * bound - bound
            weights.append(draw[:, :-1].to(dtype or torch.float64).contiguous())
            biases.append(draw[:, -1].to(dtype or torch.float64).contiguous())
        return cls(weights, biases, activation)

    @classmethod
    def from_sequential(cls, model: Any) -> MLP:
        """The perceptron in an `nn.Sequential` of Linear layers with an activation between each two.

        Flatten and Dropout in evaluation mode are passed over, a Sequential within is read in its place. Raises
        `InvalidInput`, naming the layer, for any other.
        """
        return cls(*_read_sequential(model))


def _check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    sizes, who = tuple(widths), "MLP.random(widths=...)"
    if len(sizes) < 2 or not all(type(n) is int and n >= 1 for n in sizes):
        raise InvalidInput(
            sentence(who, "n_0..n_L, at least two, each at least 1", f"{sizes!r:.60}", "write whole numbers")
        )
    largest = max(a * b for a, b in itertools.pairwise(sizes))
    require(8 * (2 * largest + sum(a * b for a, b in itertools.pairwise(sizes))), who, "take smaller widths")
    return sizes


def _read_sequential(model: Any) -> tuple[list[Any], list[Any], list[Activation]]:
    import torch

    who = "MLP.from_sequential(model=...)"
    if not isinstance(model, torch.nn.Sequential):
        raise InvalidInput(sentence(who, "an nn.Sequential", type(model).__name__, "wrap the layers in one"))
    weights: list[Any] = []
    biases: list[Any] = []
    between: list[Activation] = []
    for index, layer in enumerate(_unnested(model)):
        if isinstance(layer, torch.nn.Linear) and len(weights) == len(between):
            weights.append(layer.weight.detach())
            biases.append(layer.bias.detach() if layer.bias is not None else layer.weight.new_zeros(layer.out_features))
        elif (found := _activation_of(layer)) is not None and len(weights) == len(between) + 1:
            between.append(found)
        elif not _passes(layer):
            raise InvalidInput(
                sentence(
                    who,
                    "Linear layers with one activation between each two",
                    f"{layer} at {index}",
                    "leave it out, or give MLP the weights and an Activation",
                )
            )
    if not weights or len(weights) != len(between) + 1:
        raise InvalidInput(
            sentence(who, "a Linear layer at the end", f"{len(weights)} Linear, {len(between)} activations", "add it")
        )
    return weights, biases, between


def _unnested(model: Any) -> Iterator[Any]:
    """The layers of a Sequential, those of a Sequential within it in its place."""
    import torch

    for layer in model:
        if isinstance(layer, torch.nn.Sequential):
            yield from _unnested(layer)
        else:
            yield layer


def _passes(layer: Any) -> bool:
    import torch

    return isinstance(layer, torch.nn.Flatten) or (isinstance(layer, torch.nn.Dropout) and not layer.training)


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
    if name == "softplus" and (layer.beta, layer.threshold) != (1.0, 20.0):
        return None
    if name == "hardtanh" and (layer.min_val, layer.max_val) != (-1.0, 1.0):
        return None
    return ACTIVATIONS[name]


def _many(values: Any, who: str) -> list[Any]:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise InvalidInput(sentence(who, "a list of tensors, one a layer", f"{values!r:.40}", "give a list"))
    return list(values)


def _tensor(value: Any, who: str, rank: int) -> Any:
    tensor = _as_tensor(value, who)
    if tensor.dim() != rank or not tensor.is_floating_point() or 0 in tensor.shape or tensor.is_meta:
        device = f" on {tensor.device}" if tensor.is_meta else ""
        got = f"shape {tuple(tensor.shape)}, {str(tensor.dtype).removeprefix('torch.')}{device}"
        raise InvalidInput(sentence(who, f"floating tensors of {rank} dimension(s), none empty", got, "reshape it"))
    if not bool(tensor.isfinite().all()):
        raise InvalidInput(sentence(who, "finite values", "NaN or infinity", "check where they come from"))
    return tensor.detach()


def _check_shapes(weights: tuple[Any, ...], biases: tuple[Any, ...]) -> None:
    if not weights or len(weights) != len(biases):
        raise InvalidInput(
            sentence("MLP(weights, biases)", "one bias for each weight, at least one of each",
                     f"{len(weights)} weights, {len(biases)} biases", "give L of both")
        )  # fmt: skip
    width = weights[0].shape[1]
    for layer, (A, b) in enumerate(zip(weights, biases, strict=True), start=1):
        if A.shape[1] != width or b.shape[0] != A.shape[0] or A.dtype != b.dtype or A.dtype != weights[0].dtype:
            raise InvalidInput(
                sentence(
                    "MLP(weights, biases)",
                    f"A_{layer} (n_{layer}, {width}) and b_{layer} (n_{layer},) of one dtype",
                    f"A_{layer} {tuple(A.shape)} {A.dtype}, b_{layer} {tuple(b.shape)} {b.dtype}",
                    "let every layer take what the one before gives",
                )
            )
        width = A.shape[0]


def _activations(what: Any, count: int) -> tuple[Activation, ...]:
    if not isinstance(what, str | Activation) and not hasattr(what, "__iter__"):
        raise InvalidInput(
            sentence("MLP(activation=...)", "a name, an Activation, or a list of them", f"{what!r:.40}", "name one")
        )
    many = [what] * count if isinstance(what, str | Activation) else list(what)
    if len(many) != count:
        raise InvalidInput(
            sentence("MLP(activation=...)", f"one activation, or {count} of them", f"{len(many)}", "give L - 1")
        )
    return tuple(activation(one, "MLP(activation=...)") for one in many)


def _check_input(mlp: MLP, x: Any) -> Any:
    x = _as_tensor(x, "MLP.forward(x=...)")
    if x.dim() not in (1, 2) or x.shape[-1] != mlp.widths[0] or x.dtype != mlp.weights[0].dtype:
        raise InvalidInput(
            sentence(
                "MLP.forward(x=...)",
                f"shape ({mlp.widths[0]},) or (batch, {mlp.widths[0]}) of {mlp.weights[0].dtype}",
                f"shape {tuple(x.shape)} of {x.dtype}",
                "reshape or convert it",
            )
        )
    return x


def _as_tensor(value: Any, who: str) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        got = f"{value!r:.40} ({str(error)[:80]})"
        raise InvalidInput(sentence(who, "a tensor, or numbers of one shape", got, "give a tensor")) from None


def require_mlp(value: Any, who: str) -> None:
    """Raise `InvalidInput` for anything but an `MLP`."""
    if not isinstance(value, MLP):
        do = "make one, by MLP.from_sequential(model) say"
        raise InvalidInput(sentence(who, "an MLP", type(value).__name__, do))
