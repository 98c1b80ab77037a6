"""LeNet-5 as others would train it: PyTorch's three ways over the connection table, and JAX.

Each peer has its best honest form: the images lie in memory as float32, a step gathers its batch and nothing is read
through a DataLoader, gradients are set to None, and the optimizer is the fused one. JAX convolves channels last, which
its processor back end wants, in one jitted step that gives its old weights away.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mathdnn.lenet import LeNet5, TableConv2d, to_masked_conv2d, to_separate_convolutions

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int64

LR, BATCH = 0.1, 100


class SeparateConvolutions(nn.Module):
    """The published solution's C3: sixteen `nn.Conv2d`, each over the maps it reads, and their outputs joined."""

    def __init__(self, layer: TableConv2d) -> None:
        super().__init__()
        self.maps = [list(inputs) for inputs in layer.table.maps]
        self.parts = to_separate_convolutions(layer)

    def forward(self, x: Float[Tensor, "n 6 h w"]) -> Float[Tensor, "n 16 p q"]:
        return torch.cat([part(x[:, inputs]) for part, inputs in zip(self.parts, self.maps, strict=True)], dim=1)


class MaskedConvolution(nn.Module):
    """One dense convolution whose weight is multiplied by the table's mask, so that no gradient reaches the zeros."""

    mask: Tensor

    def __init__(self, layer: TableConv2d) -> None:
        super().__init__()
        dense = to_masked_conv2d(layer)
        self.weight, self.bias = dense.weight, dense.bias
        self.stride, self.padding, self.dilation = dense.stride, dense.padding, dense.dilation
        self.register_buffer("mask", torch.from_numpy(layer.table.mask()).to(self.weight.dtype)[:, :, None, None])

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o p q"]:
        return F.conv2d(x, self.weight * self.mask, self.bias, self.stride, self.padding, self.dilation)


class GroupedConvolution(nn.Conv2d):
    """torch's own convolution with groups, with the weights of a layer whose table is exactly groups."""

    def __init__(self, layer: TableConv2d) -> None:
        inputs, outputs, groups = layer.in_channels, layer.out_channels, layer.table.groups
        steps = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        super().__init__(inputs, outputs, *steps, groups or 1, dtype=layer.weight.dtype)
        with torch.no_grad():
            self.weight.copy_(layer.weight.view_as(self.weight))
            if self.bias is not None and layer.bias is not None:
                self.bias.copy_(layer.bias)


def with_c3(model: nn.Sequential, c3: nn.Module) -> nn.Sequential:
    """A copy of LeNet-5 with other layers in the place of C3, as a plain `nn.Sequential`."""
    from copy import deepcopy

    return nn.Sequential(*(c3 if name == "c3" else deepcopy(layer) for name, layer in model.named_children()))


class TorchArm:
    """Epochs of `model` in torch, and the scores it gives after a few steps from where it stood."""

    def __init__(self, model: nn.Module, images: Tensor, labels: Tensor, *, compiled: bool = False) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.call: Callable[..., Any] = torch.compile(model) if compiled else model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=True)

    def train(self, order: Int64[np.ndarray, "n"]) -> None:
        for index in torch.split(torch.from_numpy(order), BATCH):
            self.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(self.call(self.images[index]), self.labels[index])
            torch.autograd.backward(loss)
            self.optimizer.step()

    def sample(self, order: Int64[np.ndarray, "n"], judged: Tensor) -> Float32[np.ndarray, "n 10"]:
        self.train(order)
        with torch.inference_mode():
            scores: np.ndarray = self.model(judged).numpy()
        return scores


def jax_missing() -> str:
    """Why there is no JAX arm, or ""."""
    return "" if importlib.util.find_spec("jax") else "jax is not installed (pip install mathdnn[bench])"


class JaxArm:
    """LeNet-5 with full connections in JAX: one jitted step, and an epoch of them."""

    def __init__(self, model: LeNet5, images: Tensor, labels: Tensor) -> None:
        import jax
        import jax.numpy as jnp

        self.images = jnp.asarray(images.permute(0, 2, 3, 1).numpy())
        self.labels, self.jnp = jnp.asarray(labels.numpy().astype(np.int32)), jnp
        self.weights = {name: jnp.asarray(_jax_layout(p.detach().numpy())) for name, p in model.named_parameters()}
        self.scores = jax.jit(_jax_scores)

        def loss(weights: Any, x: Any, y: Any) -> Any:
            right = jnp.take_along_axis(jax.nn.log_softmax(_jax_scores(weights, x)), y[:, None], axis=1)
            return -right.mean()

        def step(weights: Any, images: Any, labels: Any, index: Any) -> Any:
            slopes = jax.grad(loss)(weights, images[index], labels[index])
            return jax.tree.map(lambda w, slope: w - LR * slope, weights, slopes)

        self.step = jax.jit(step, donate_argnums=0)

    def train(self, order: Int64[np.ndarray, "n"]) -> None:
        for index in np.split(order.astype(np.int32), range(BATCH, len(order), BATCH)):
            self.weights = self.step(self.weights, self.images, self.labels, index)
        self.weights["output.bias"].block_until_ready()

    def sample(self, order: Int64[np.ndarray, "n"], judged: Tensor) -> Float32[np.ndarray, "n 10"]:
        self.train(order)
        return np.asarray(self.scores(self.weights, self.jnp.asarray(judged.permute(0, 2, 3, 1).numpy())))


def _jax_layout(weight: np.ndarray) -> np.ndarray:
    """o i h w -> h w i o, o i -> i o."""
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def _jax_scores(w: Any, x: Any) -> Any:
    import jax.numpy as jnp
    from jax import lax

    def convolve(x: Any, name: str, padding: Any) -> Any:
        kinds = ("NHWC", "HWIO", "NHWC")
        return (
            lax.conv_general_dilated(x, w[f"{name}.weight"], (1, 1), padding, dimension_numbers=kinds)
            + w[f"{name}.bias"]
        )

    def halve(x: Any) -> Any:
        n, rows, columns, maps = x.shape
        return x.reshape(n, rows // 2, 2, columns // 2, 2, maps).mean((2, 4))

    x = jnp.tanh(halve(jnp.tanh(convolve(x, "c1", ((2, 2), (2, 2))))))
    x = jnp.tanh(halve(jnp.tanh(convolve(x, "c3", "VALID"))))
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # torch flattens maps first
    for name in ("c5", "f6"):
        x = jnp.tanh(x @ w[f"{name}.weight"] + w[f"{name}.bias"])
    return x @ w["output.weight"] + w["output.bias"]
