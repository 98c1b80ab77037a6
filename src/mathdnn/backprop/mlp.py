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
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathdnn.backprop.activations import Activation, activation
from mathdnn.backprop.memory import require
from mathdnn.backprop.sequential import read_sequential
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float


def own_dtype(like: torch.Tensor) -> AbstractContextManager[Any] | None:
    """What makes torch compute in its operands' own dtype where `torch.autocast` would multiply matrices in 16 bits;
    None where nothing of that is on."""
    import torch

    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else None


@dataclass(frozen=True)
class Trace:
    """Every value of one forward pass: `y` is y_0..y_L, `z` is z_1..z_L, `slopes` sigma'(z_1)..sigma'(z_{L-1})."""

    y: tuple[Any, ...]
    z: tuple[Any, ...]
    slopes: tuple[Any, ...]


class MLP:
    """A multilayer perceptron with weights A_1..A_L, biases b_1..b_L and activations between.

    `weights[l-1]` is a tensor (n_l, n_{l-1}), `biases[l-1]` is (n_l,), of one floating dtype (16, 32 or 64 bits) and on
    one device; they are not copied. `activation` is a name, an `Activation`, or a sequence of L - 1 of them. Raises
    `InvalidInput` where the shapes do not fit together.
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
        """All intermediate values at x, a tensor (n_0,) or (batch, n_0). Raises `InvalidInput` for another shape.

        y_0 is a copy of x: what is later written into x changes nothing of the trace."""
        y = _check_input(self, x).clone()
        if own := own_dtype(y):
            with own:
                return self.forward(y)
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
        if dtype is not None and not isinstance(dtype, torch.dtype):
            raise InvalidInput(
                sentence("MLP.random(dtype=...)", "a dtype of torch", f"{dtype!r:.40}", "write torch.float32, say")
            )
        require_seed(seed, "MLP.random(seed=...)")
        rng = torch.Generator("cpu").manual_seed(seed)
        weights, biases = [], []
        for fan_in, fan_out in itertools.pairwise(sizes):
            bound = fan_in**-0.5
            drawn = torch.rand(fan_out, fan_in + 1, generator=rng, dtype=torch.float64, device="cpu")
            draw = drawn * 2 * bound - bound
            weights.append(draw[:, :-1].to(dtype or torch.float64).contiguous())
            biases.append(draw[:, -1].to(dtype or torch.float64).contiguous())
        return cls(weights, biases, activation)

    @classmethod
    def from_sequential(cls, model: Any) -> MLP:
        """The perceptron in an `nn.Sequential` of Linear layers with an activation between each two.

        Flatten and Dropout in evaluation mode are passed over, a Sequential within is read in its place; layers may
        share their weights, each is a layer of its own here. Raises `InvalidInput`, naming the layer, for any other:
        also for a subclass, hooks, parametrizations, a patched `forward`, and lazy layers without weights.
        """
        return cls(*read_sequential(model))


def _check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    sizes, who = tuple(widths) if hasattr(widths, "__iter__") else (widths,), "MLP.random(widths=...)"
    if len(sizes) < 2 or not all(type(n) is int and n >= 1 for n in sizes):
        raise InvalidInput(
            sentence(who, "n_0..n_L, at least two, each at least 1", f"{sizes!r:.60}", "write whole numbers")
        )
    largest = max(a * b for a, b in itertools.pairwise(sizes))
    require(8 * (2 * largest + sum(a * b for a, b in itertools.pairwise(sizes))), who, "take smaller widths")
    return sizes


def _many(values: Any, who: str) -> list[Any]:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise InvalidInput(sentence(who, "a list of tensors, one a layer", f"{values!r:.40}", "give a list"))
    return list(values)


def _tensor(value: Any, who: str, rank: int) -> Any:
    import torch

    tensor = _as_tensor(value, who)
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.dim() != rank or not tensor.is_floating_point() or 0 in tensor.shape or tensor.is_meta:
        device = f" on {tensor.device}" if tensor.is_meta else ""
        got = f"shape {tuple(tensor.shape)}, {name}{device}"
        raise InvalidInput(sentence(who, f"floating tensors of {rank} dimension(s), none empty", got, "reshape it"))
    if tensor.layout != torch.strided:
        got = str(tensor.layout).removeprefix("torch.")
        raise InvalidInput(sentence(who, "dense tensors", got, "call to_dense() on it"))
    if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise InvalidInput(sentence(who, "floats of 16, 32 or 64 bits", name, "convert it, by .float() say"))
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
        if A.device != weights[0].device or b.device != A.device:
            got = f"A_{layer} on {A.device}, b_{layer} on {b.device}, A_1 on {weights[0].device}"
            raise InvalidInput(sentence("MLP(weights, biases)", "all on one device", got, "move them to one"))
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
    x, like = _as_tensor(x, "MLP.forward(x=...)"), mlp.weights[0]
    fits = x.dim() in (1, 2) and x.shape[-1] == mlp.widths[0] and x.dtype == like.dtype
    if not fits or x.device != like.device or x.layout != like.layout:
        where = "" if x.device == like.device else f" on {like.device}"
        expected = f"shape ({mlp.widths[0]},) or (batch, {mlp.widths[0]}) of {like.dtype}{where}"
        raise InvalidInput(sentence("MLP.forward(x=...)", expected, described(x, like), "reshape or convert it"))
    return x


def described(x: Any, like: Any) -> str:
    """Shape and type of what came, and where it differs from `like` its device and layout."""
    import torch

    if not isinstance(x, torch.Tensor):
        return f"{x!r:.40}"
    where = "" if x.device == like.device else f" on {x.device}"
    layout = "" if x.layout == like.layout else f", {str(x.layout).removeprefix('torch.')}"
    return f"shape {tuple(x.shape)} of {x.dtype}{where}{layout}"


def _as_tensor(value: Any, who: str) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        got = f"{value!r:.40} ({str(error)[:80]})"
        raise InvalidInput(sentence(who, "a tensor, or numbers of one shape", got, "give a tensor")) from None


def require_mlp(value: Any, who: str) -> None:
    """Raise `InvalidInput` for anything but an `MLP`."""
    if not isinstance(value, MLP):
        do = "make one, by MLP.from_sequential(model) say"
        raise InvalidInput(sentence(who, "an MLP", type(value).__name__, do))


def require_seed(seed: Any, who: str) -> None:
    """Raise `InvalidInput` for anything but a whole number that a generator takes, with room to count on from it."""
    if type(seed) is not int or not abs(seed) < 2**62:
        expected = "a whole number, less than 2^62 in size"
        raise InvalidInput(sentence(who, expected, f"{seed!r:.40}", "choose another seed"))
