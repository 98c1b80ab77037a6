"""What each layer of a network costs: parameters, connections, multiply-adds.

    P  output numbers of one image      K  numbers that one of them reads      b = 1 with a bias, else 0

    connections = P (K + b)      multiply-adds = P K      parameters = what the optimizer sees, shared or not

The connections are the paper's (LeCun et al. 1998, section II.B): a bias is one, and a pixel of padding is read like
any other (C1 on 32 x 32: 28 * 28 * 6 * (25 + 1) = 122,304). Pooling has P * window connections and no multiply-add; the
paper's subsampling reads 4 pixels and a bias and multiplies once. Elementwise functions connect nothing.

A layer that `cost` does not know or whose `forward` is not the one that its rule was written for, whose work does not
grow with the number of images, or arithmetic done outside of any layer, is named in `not_counted`, never taken for
zero; `cost.register(MyLayer)` adds a rule. Of a layer that reads k inputs an image (colours or patches folded into the
batch) an image costs k times one input's.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import msgspec
from torch import nn

from mathdnn.errors import InvalidInput, is_whole, sentence
from mathdnn.lenet.paper import DigitDistance, PadTo32, ScaledTanh, Subsample
from mathdnn.lenet.table_conv import TableConv2d

if TYPE_CHECKING:
    from collections.abc import Sequence

Shape = tuple[int, ...]
_ELEMENTWISE = (
    nn.Identity, nn.Flatten, nn.Unflatten, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU,
    nn.Mish, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.LogSigmoid,
    nn.Dropout, nn.Dropout2d, nn.ZeroPad2d, nn.ConstantPad2d, ScaledTanh, PadTo32,
)  # fmt: skip


class LayerCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call of one layer on one image; `connections` and `multiply_adds` are None where no rule is known."""

    name: str
    kind: str
    output_shape: Shape
    parameters: int
    connections: int | None
    multiply_adds: int | None


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows in the order of the forward pass, and what could not be counted. The totals are over what was."""

    input_shape: Shape
    rows: tuple[LayerCount, ...]
    not_counted: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """All parameters, a shared layer's once."""
        return sum(row.parameters for row in self.rows)

    @property
    def connections(self) -> int:
        return sum(row.connections or 0 for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds or 0 for row in self.rows)

    def __str__(self) -> str:
        head = ("layer", "kind", "output", "parameters", "connections", "multiply-adds")
        totals = ("total", "", "", *map(_number, (self.parameters, self.connections, self.multiply_adds)))
        lines = [head, *map(_words, self.rows), totals]
        wide = [max(len(line[column]) for line in lines) for column in range(6)]
        table = ["  ".join([*map(str.ljust, line[:3], wide), *map(str.rjust, line[3:], wide[3:])]) for line in lines]
        table.insert(1, "-" * len(table[0]))
        table.insert(-1, "-" * len(table[0]))
        return "\n".join([*table, *(f"not counted: {what}" for what in self.not_counted)])

    def to_plain(self) -> dict[str, Any]:
        """The account as plain data, ready for `json.dumps`."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_json(self) -> str:
        """The account as one JSON object."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Account:
        """Read back what `to_json` wrote. Raises `InvalidInput` for anything else."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, RecursionError, UnicodeError, TypeError) as error:
            who, expected = "Account.from_json(text)", "an account as to_json writes it"
            raise InvalidInput(sentence(who, expected, str(error), "check the text")) from None


@singledispatch
def cost(layer: nn.Module, input_shape: Shape, output_shape: Shape) -> tuple[int, int] | None:
    """(connections, multiply-adds) of one call on one input, shapes without the batch; None for an unknown layer.

    A layer that is called image by image gets the shapes as they are, with a batch of one where it has one.
    """
    return (0, 0) if type(layer) in _ELEMENTWISE else None


@cost.register(nn.Conv1d)
@cost.register(nn.Conv2d)
@cost.register(nn.Conv3d)
@cost.register(nn.Linear)
def _(layer: nn.Conv2d | nn.Linear, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    reads = layer.weight[0].numel()  # (in / groups) * taps, or in_features
    return _cost(math.prod(output_shape), reads, layer.bias is not None)


@cost.register
def _(layer: TableConv2d, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    places = math.prod(output_shape) // layer.out_channels
    biases = 0 if layer.bias is None else layer.out_channels
    return places * (layer.weight.numel() + biases), places * layer.weight.numel()


@cost.register(nn.AvgPool2d)
@cost.register(nn.MaxPool2d)
def _(layer: nn.AvgPool2d | nn.MaxPool2d, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    given = layer.kernel_size
    size = tuple(given) if isinstance(given, tuple | list) else (given,)
    window = math.prod(size if len(size) == 2 else size * 2)  # one number, alone or in a tuple, stands for both
    return math.prod(output_shape) * window, 0


@cost.register
def _(layer: Subsample, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    return math.prod(output_shape) * (4 + 1), math.prod(output_shape)


@cost.register
def _(layer: DigitDistance, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    return _cost(math.prod(output_shape), layer.codes[0].numel(), bias=False)


def count(model: nn.Module, input_shape: Sequence[int] | None = None) -> Account:
    """Count every layer of `model` by two forward passes that compute shapes only; the model is left as it is.

    `input_shape` is one image's, without the batch: (1, 28, 28). Networks with an `input_shape` of their own (LeNet5)
    need none. Raises `InvalidInput` where no shape is known, or where the model does not run on it.
    """
    from mathdnn.lenet.walk import walk

    _require_module(model)
    shape = input_shape if input_shape is not None else getattr(model, "input_shape", None)
    if shape is None:
        got = f"a {type(model).__name__} without one"
        raise InvalidInput(sentence("count(input_shape=...)", "one image's shape", got, "give it, as in (1, 28, 28)"))
    whole = isinstance(shape, tuple | list) and all(map(is_whole, shape))
    if not whole or any(side < 1 for side in shape):
        raise InvalidInput(sentence("count(input_shape=...)", "positive whole numbers", f"{shape!r:.60}", "correct it"))
    if max(shape, default=0) >= 2**63:
        got = f"one of {max(shape).bit_length()} bits"
        raise InvalidInput(sentence("count(input_shape=...)", "numbers below 2^63", got, "give the shape of an image"))
    lazy = next((name for name, p in model.named_parameters() if nn.parameter.is_lazy(p)), None)
    if lazy is not None:
        got = f"{lazy} without one"
        raise InvalidInput(sentence("count(model)", "parameters that have a shape", got, "run the model once before"))
    shape = tuple(map(int, shape))
    calls, strangers = walk(model, shape)
    rows: list[LayerCount] = []
    unknown: list[str] = []
    seen: set[int] = set()
    for call in calls:
        name, layer, kind = call.name, call.layer, type(call.layer).__name__
        fresh = {id(p): p.numel() for p in layer.parameters() if id(p) not in seen}
        seen.update(fresh)
        one = cost(layer, call.taken, call.given) if _as_its_rule(layer) else None
        if one is None:
            unknown.append(f"{name}, a {kind}: no rule for its connections")
        elif call.why_not and one != (0, 0):
            unknown.append(f"{name}, a {kind}: no part that is one image's, since {call.why_not}")
            one = None
        connections, multiply_adds = (None, None) if one is None else (call.times * one[0], call.times * one[1])
        shape_of_all = call.given if call.times == 1 else (call.times, *call.given)
        rows.append(LayerCount(name, kind, shape_of_all, sum(fresh.values()), connections, multiply_adds))
    unused = [f"{n}: a parameter of no layer called" for n, p in model.named_parameters() if id(p) not in seen]
    return Account(shape, tuple(rows), tuple(dict.fromkeys([*unknown, *unused, *strangers])))


def _as_its_rule(layer: nn.Module) -> bool:
    """Whether a layer computes what the class does that its rule was written for."""
    kind = next(kind for kind in type(layer).__mro__ if kind in cost.registry)
    return kind in (object, nn.Module) or all(
        way not in vars(layer) and getattr(type(layer), way, None) is getattr(kind, way, None)
        for way in ("forward", "_conv_forward")
    )


def _require_module(model: Any) -> None:
    if not isinstance(model, nn.Module):
        got = type(model).__name__
        raise InvalidInput(sentence("count(model)", "a torch.nn.Module", got, "pass the network itself"))


def _cost(outputs: int, reads: int, bias: bool) -> tuple[int, int]:
    return outputs * (reads + bias), outputs * reads


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _words(row: LayerCount) -> tuple[str, ...]:
    shape = " x ".join(map(str, row.output_shape))
    return row.name, row.kind, shape, *map(_number, (row.parameters, row.connections, row.multiply_adds))
