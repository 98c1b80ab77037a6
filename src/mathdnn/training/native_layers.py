"""A torch network as the native engine's layers, or the first thing in it that the engine cannot run, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from mathdnn.errors import is_whole
from mathdnn.lenet import ConnectionTable, LeNet5, LeNet5_1998, TableConv2d
from mathdnn.lenet.paper import BACKGROUND, DigitDistance, PadTo32, ScaledTanh, Subsample
from mathdnn.native.layers import Activation, Convolution, Dense, Distance, Expect, Flatten, Layer, Pad, Pool
from mathdnn.training.memory import share_memory

Pair = tuple[int, int]
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_PLAIN = {nn.Tanh: "tanh", nn.ReLU: "relu", nn.Sigmoid: "sigmoid"}
_KINDS = (
    *_PLAIN, nn.Sequential, nn.Identity, nn.Flatten, nn.Linear, nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d, nn.ZeroPad2d,
    nn.ConstantPad2d, TableConv2d, LeNet5, LeNet5_1998, ScaledTanh, Subsample, PadTo32, DigitDistance,
)  # fmt: skip
_METHODS = ("__call__", "_call_impl", "forward", "_conv_forward")
_FIRST = {kind: {name: getattr(kind, name, None) for name in _METHODS} for kind in _KINDS}
"""What each kind computed when this file was imported: somebody may put another function in its place later."""
_FUNCTIONS: dict[Any, tuple[str, ...]] = {
    nn.functional: ("linear", "conv2d", "avg_pool2d", "max_pool2d", "relu", "pad"),
    torch: ("tanh", "sigmoid", "relu", "conv2d", "max_pool2d"),
    torch.Tensor: ("flatten", "square", "sum", "__mul__", "__rmul__", "__add__", "__sub__", "__neg__", "__getitem__"),
}
_FIRST_FUNCTIONS = {(home, name): getattr(home, name) for home, names in _FUNCTIONS.items() for name in names}
"""What the kinds call, as it was then."""


class Unknown(Exception):
    """What the engine cannot run; the message names it."""


class _Odd(Exception):
    """A size that is neither one whole number nor two, or is too small: torch's to judge."""


def native_layers(model: nn.Module, *, training: bool = True) -> tuple[tuple[Layer, ...], tuple[nn.Parameter, ...]]:
    """The layers of `model`, and its parameters in the engine's order. Raises `Unknown`.

    With `training` all parameters must be trainable, each belong to one layer and have memory of its own.
    """
    layers: list[Layer] = []
    parameters: list[nn.Parameter] = []
    unflattened = ""
    _require_usual_torch()
    for name, module in _leaves(model, ""):
        try:
            found = _layer(module)
        except _Odd:
            found = None
        if found is None:
            raise Unknown(f"{name or 'the model'} ({_words(module)}), which it cannot run")
        if any(isinstance(layer, Dense | Distance) for layer in found) and not any(map(_is_flatten, layers)):
            unflattened = unflattened or f"{name or 'the model'} ({_words(module)}) with no Flatten before it"
        layers += found
        parameters += _parameters(module)
    for parameter in parameters:
        if type(parameter) is not nn.Parameter:
            raise Unknown(f"weights that are a {type(parameter).__name__}, where it has parameters only")
        if parameter.layout is not torch.strided:
            raise Unknown(f"weights in the layout {parameter.layout}, where it has strided ones only")
        if parameter.is_neg():
            raise Unknown("weights that are a negated view, where it reads numbers as they lie")
        if parameter.dtype != torch.float32:
            raise Unknown(f"weights of {parameter.dtype}, where it has float32 only")
        if parameter.device.type != "cpu":
            raise Unknown(f"weights on {parameter.device}, where it has the processor only")
    if training:
        _require_trainable(parameters, [m.codes for m in model.modules() if type(m) is DigitDistance])
    if not any(isinstance(layer, Dense | Convolution) for layer in layers):
        raise Unknown("no convolution and no linear layer")
    if unflattened or not any(map(_is_flatten, layers)):
        raise Unknown(unflattened or "maps at the end, with no Flatten")
    return tuple(layers), tuple(parameters)


def _require_usual_torch() -> None:
    """Raise `Unknown` where torch computes something else at present than what its modules are known for."""
    if any(getattr(nn.modules.module, f"_global{hooks}") for hooks in _HOOKS):
        raise Unknown("hooks on all modules, which it would not call")
    if torch.is_autocast_enabled("cpu"):
        raise Unknown("an autocast block, where it computes in float32 only")
    stack: Any = _get_current_function_mode_stack
    modes: list[Any] = [*stack(), *_get_current_dispatch_mode_stack()]
    for mode in modes:
        if type(mode) is not DeviceContext:  # says only where new tensors are made
            raise Unknown(f"a {type(mode).__name__} block, which would not see its operations")
    for (home, name), first in _FIRST_FUNCTIONS.items():
        if getattr(home, name) is not first:
            raise Unknown(f"another {home.__name__}.{name} than at first, which it would not call")


def _require_trainable(parameters: list[nn.Parameter], constants: list[torch.Tensor]) -> None:
    """The engine steps a copy of each parameter and takes `constants` as they are."""
    for parameter in parameters:
        if not parameter.requires_grad:
            raise Unknown("a parameter that is not to be trained")
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            raise Unknown("a parameter with hooks, which it would not call")
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        raise Unknown("two layers with one parameter")
    if share_memory(parameters, constants):
        raise Unknown("weights that share memory, which it would train apart")


def _is_flatten(layer: Layer) -> bool:
    return isinstance(layer, Flatten)


def _leaves(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    if any(getattr(module, hooks) for hooks in _HOOKS):
        raise Unknown(f"{name or 'the model'} with hooks, which it would not call")
    own = next((name for name in vars(module) if callable(getattr(type(module), name, None))), None)
    if own is not None:
        raise Unknown(f"{name or 'the model'} with its own {own}, which it would not call")
    for kind in type(module).__mro__:
        for method, first in _FIRST.get(kind, {}).items():
            if getattr(kind, method, None) is not first:
                where = f"{name or 'the model'}, a {kind.__name__} whose class has another {method} than at first"
                raise Unknown(f"{where}, which it would not call")
    if type(module) not in (nn.Sequential, LeNet5, LeNet5_1998):
        yield name, module
        return
    if isinstance(module, LeNet5):
        yield name, module  # its own question about the images' shape
    for key, child in module._modules.items():  # `named_children` leaves out the second use of a module
        if child is not None:
            yield from _leaves(child, f"{name}.{key}" if name else key)


def _layer(module: Any) -> list[Layer] | None:
    """The layers that do what `module` does; None where there are none."""
    kind: Any = type(module)
    if kind in _PLAIN:
        return [Activation(_PLAIN[kind])]
    if kind is nn.Identity:
        return []
    if kind is LeNet5:
        return [Expect(tuple(module.input_shape))]
    if kind is ScaledTanh:
        return [Activation("scaled_tanh", 1.7159, 2 / 3)]
    if kind is Subsample:
        return [Pool("subsample", (2, 2), (2, 2))]
    if kind is PadTo32:
        return [Pad((2, 2, 2, 2), BACKGROUND, to=(32, 32))]
    if kind in (nn.ZeroPad2d, nn.ConstantPad2d):
        left, right, above, below = _sizes(module.padding, 4, 0)
        return [Pad((left, right, above, below), float(module.value))]
    if kind is DigitDistance:
        return [Distance(tuple(map(tuple, module.codes.float().tolist())))]
    if kind is nn.Flatten:
        return [Flatten()] if (module.start_dim, module.end_dim) == (1, -1) else None
    if kind is nn.Linear:
        whole = module.weight.shape == (module.out_features, module.in_features)
        one_each = _one_each(module.bias, module.out_features)
        return [Dense(module.out_features, module.bias is not None)] if whole and one_each else None
    if kind in (nn.Conv2d, TableConv2d):
        return _convolution(module)
    if kind in (nn.AvgPool2d, nn.MaxPool2d):
        return _pool(module)
    return None


def _convolution(module: Any) -> list[Layer] | None:
    if module.padding_mode != "zeros":
        return None
    if isinstance(module, TableConv2d):
        table, weights = module.table, [len(module.table.edges)]
    elif module.in_channels % module.groups or module.out_channels % module.groups:
        return None  # changed since it was built
    else:
        table = ConnectionTable.grouped(module.in_channels, module.out_channels, module.groups)
        weights = [module.out_channels, module.in_channels // module.groups]
    if module.weight.shape != (*weights, *module.kernel_size) or not _one_each(module.bias, module.out_channels):
        return None
    left, right, above, below = _border(module)
    rows, columns = min(above, below), min(left, right)
    more = (left - columns, right - columns, above - rows, below - rows)
    steps = (_pair(module.stride, 1), (rows, columns), _pair(module.dilation, 1))
    maps, kernel = table.maps, tuple(module.kernel_size)
    convolution = Convolution(module.in_channels, maps, kernel, *steps, bias=module.bias is not None)
    return [Pad(more), convolution] if any(more) else [convolution]


def _one_each(bias: torch.Tensor | None, count: int) -> bool:
    """No bias, or one for each result: torch adds a single one to all."""
    return bias is None or bias.shape == (count,)


def _border(module: Any) -> tuple[int, int, int, int]:
    """Zeros left, right, above and below; of an odd total "same" puts one more right and below, as torch does."""
    if module.padding == "valid":
        return 0, 0, 0, 0
    if module.padding == "same":
        if _pair(module.stride, 1) != (1, 1):
            raise _Odd
        down, across = (d * (k - 1) for d, k in zip(_pair(module.dilation, 1), module.kernel_size, strict=True))
        return across // 2, across - across // 2, down // 2, down - down // 2
    rows, columns = _pair(module.padding, 0)
    return columns, columns, rows, rows


def _pool(module: Any) -> list[Layer] | None:
    window, padding = _pair(module.kernel_size, 1), _pair(module.padding, 0)
    stride = _pair(module.kernel_size if module.stride is None else module.stride, 1)
    if any(2 * pad > side for pad, side in zip(padding, window, strict=True)):
        return None  # torch refuses it, in its own words
    if isinstance(module, nn.AvgPool2d):
        if module.divisor_override is not None and module.divisor_override < 1:
            return None
        more = (module.ceil_mode, module.count_include_pad, module.divisor_override)
        return [Pool("average", window, stride, padding, (1, 1), *more)]
    dilation = _pair(module.dilation, 1)
    if module.return_indices or (dilation != (1, 1) and padding != (0, 0)):  # then a window could miss all pixels
        return None
    return [Pool("maximum", window, stride, padding, dilation, module.ceil_mode)]


def _pair(size: Any, least: int) -> Pair:
    """As torch reads a size: one whole number, alone or in a tuple, stands for both."""
    one = size[0] if isinstance(size, tuple | list) and len(size) == 1 else size
    rows, columns = _sizes(one if isinstance(one, tuple | list) else (one, one), 2, least)
    return rows, columns


def _sizes(sizes: Any, count: int, least: int) -> tuple[int, ...]:
    if not isinstance(sizes, tuple | list) or len(sizes) != count:
        raise _Odd
    if any(not is_whole(size) or size < least for size in sizes):
        raise _Odd
    return tuple(map(int, sizes))


def _parameters(module: Any) -> list[nn.Parameter]:
    """Weight before bias: what comes first in `NetworkPlan.parameters`."""
    if isinstance(module, LeNet5):
        return []  # its layers give their own
    weight = module.coefficient if isinstance(module, Subsample) else getattr(module, "weight", None)
    return [p for p in (weight, getattr(module, "bias", None)) if p is not None]


def _words(module: Any) -> str:
    if getattr(module, "padding_mode", "zeros") != "zeros":
        return f"{type(module).__name__} with padding_mode={module.padding_mode}"
    if next(module.children(), None) is not None:
        return type(module).__name__
    try:
        return repr(module)
    except Exception:  # torch's own words need sizes of the kind that it was built with
        return type(module).__name__
