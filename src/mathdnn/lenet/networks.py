"""LeNet-5 as the homework asks for it, readable in one sitting.

    28x28 -> C1 5x5 (padding 2) - tanh - mean of 2x2 - tanh - C3 5x5 - tanh - mean of 2x2 - tanh
          -> 400 -> 120 - tanh -> 84 - tanh -> 10 scores

Source: the fourth homework of *Mathematical Foundations of Deep Neural Networks* (Seoul National University),
problem 7; C3's connection table is Table I of LeCun, Bottou, Bengio, Haffner (1998).
60,806 parameters with it, 61,706 with full connections.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from mathdnn.errors import InvalidInput, sentence
from mathdnn.lenet.table import ConnectionTable
from mathdnn.lenet.table_conv import TableConv2d

if TYPE_CHECKING:
    from jaxtyping import Float


class LeNet5(nn.Sequential):
    """The homework's network: images (n, 1, 28, 28), float, to ten scores (n, 10) for cross-entropy.

    `c3` is "table" (Table I, 1,516 parameters in C3), "full" (2,416), or any `ConnectionTable` over 6 input maps.
    """

    input_shape = (1, 28, 28)

    def __init__(
        self,
        c3: Literal["table", "full"] | ConnectionTable = "table",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        convolution = _c3(c3, at)
        maps = convolution.out_channels
        layers: dict[str, nn.Module] = {  # what leaves the layer, for each image
            "c1": nn.Conv2d(1, 6, 5, padding=2, **at),  # 6, 28, 28
            "c1_tanh": nn.Tanh(),
            "s2": nn.AvgPool2d(2),  # 6, 14, 14
            "s2_tanh": nn.Tanh(),
            "c3": convolution,  # 16, 10, 10
            "c3_tanh": nn.Tanh(),
            "s4": nn.AvgPool2d(2),  # 16, 5, 5
            "s4_tanh": nn.Tanh(),
            "flatten": nn.Flatten(),  # 400
            "c5": nn.Linear(maps * 5 * 5, 120, **at),
            "c5_tanh": nn.Tanh(),
            "f6": nn.Linear(120, 84, **at),
            "f6_tanh": nn.Tanh(),
            "output": nn.Linear(84, 10, **at),
        }
        super().__init__(OrderedDict(layers))

    def forward(self, x: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        if tuple(x.shape[1:]) != self.input_shape:
            expected = "images of shape (n, 1, 28, 28)"
            raise InvalidInput(sentence("LeNet5.forward(x)", expected, f"shape {tuple(x.shape)}", "reshape or resize"))
        scores: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return scores


def _c3(c3: Any, at: dict[str, Any]) -> nn.Conv2d | TableConv2d:
    if isinstance(c3, str) and c3 == "full":
        return nn.Conv2d(6, 16, 5, **at)
    table = ConnectionTable.lenet() if isinstance(c3, str) and c3 == "table" else c3
    if not isinstance(table, ConnectionTable):
        expected = '"table", "full" or a ConnectionTable'
        raise InvalidInput(sentence("LeNet5(c3=...)", expected, repr(c3)[:60], "choose one of them"))
    if table.in_channels != 6:
        got = f"{table.in_channels} input maps"
        raise InvalidInput(sentence("LeNet5(c3=...)", "a table over the 6 maps of S2", got, "give such a table"))
    return TableConv2d(table, 5, **at)


@torch.no_grad()
def initialise(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw every weight and bias of `model` again from `generator` alone: uniform in ±1/sqrt(fan-in), torch's default.

    Knows Conv2d, Linear and TableConv2d, and raises `InvalidInput` for any other layer that holds parameters.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, TableConv2d):
            layer.reset_parameters(generator)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            bound = layer.weight[0].numel() ** -0.5
            for parameter in layer.parameters(recurse=False):
                parameter.uniform_(-bound, bound, generator=generator)
        elif next(layer.parameters(recurse=False), None) is not None:
            got = f"{name or 'the model'}, a {type(layer).__name__}"
            raise InvalidInput(sentence("initialise(model)", "Conv2d, Linear and TableConv2d", got, "draw it yourself"))
    return model
