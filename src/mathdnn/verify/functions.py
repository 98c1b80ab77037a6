"""The closed list of functions that a certificate may name: a name is data, and nothing else is ever run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

WIDTH = {"float16": (16, 10), "bfloat16": (16, 7), "float32": (32, 23)}  # bits, and those of them after the point
# fmt: off
_FUNCTIONAL = (
    "celu", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu", "relu6",
    "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
)
_PLAIN = (
    "abs", "asinh", "atan", "ceil", "cos", "erf", "exp", "expm1", "floor", "log", "log1p", "neg", "relu", "round",
    "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "tanh",
)
_NUMPY = (
    "abs", "arcsinh", "arctan", "ceil", "cos", "exp", "expm1", "floor", "log", "log1p", "negative", "sign", "sin",
    "sinh", "sqrt", "square", "tanh",
)
_ONNX = (
    "Abs", "Atan", "Ceil", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "Log", "Mish", "Relu", "Selu",
    "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Tanh",
)
# fmt: on


def function_of(d: dict[str, Any]) -> tuple[Callable[..., Any] | None, str]:
    """The function of that name on bits, or None and why: not in the list, or another version runs here."""
    found = _found(str(d["function"]), str(d["library"]), str(d["dtype"]))
    if found is None:
        return None, f"{d['function']!r} is not in the list of functions that the checker runs"
    f, version, instructions = found
    if (version, instructions) != (d["version"], d["instruction_set"]):
        here = f"{d['library']} {version} on {instructions}"
        return None, f"here runs {here}, not {d['version']} on {d['instruction_set']}"
    return f, ""


def _found(name: str, library: str, dtype: str) -> tuple[Callable[..., Any], str, str] | None:
    module, _, last = name.rpartition(".")
    if library == "torch" and dtype in WIDTH and (module, last) in _TORCH_NAMES:
        return _torch(module, last, dtype)
    if library == "numpy" and module == "numpy" and last in _NUMPY and dtype in ("float16", "float32"):
        f = getattr(np, last)

        def on_numpy(bits: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                out = f(bits.view(dtype))
            return np.ascontiguousarray(out).view(bits.dtype)

        return on_numpy, np.__version__, _features()
    if library == "onnxruntime" and name.startswith("onnx:") and name[5:] in _ONNX and dtype != "bfloat16":
        return _onnx(name[5:], dtype)
    return None


_TORCH_NAMES = {("torch", n) for n in _PLAIN} | {("torch.nn.functional", n) for n in _FUNCTIONAL}


def _torch(module: str, last: str, dtype: str) -> tuple[Callable[..., Any], str, str]:
    import torch

    f = getattr(torch if module == "torch" else torch.nn.functional, last)

    def on_torch(bits: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(bits)
        out: np.ndarray = f(tensor.view(getattr(torch, dtype))).contiguous().view(tensor.dtype).numpy()
        return out

    return on_torch, torch.__version__.split("+")[0], torch.backends.cpu.get_cpu_capability()


def _onnx(operator: str, dtype: str) -> tuple[Callable[..., Any], str, str] | None:
    try:
        import onnx
        import onnxruntime
    except ImportError:
        return None
    kind = {"float32": 1, "float16": 10}[dtype]
    ends = [onnx.helper.make_tensor_value_info(n, kind, None) for n in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node(operator, ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def on_onnx(bits: np.ndarray) -> np.ndarray:
        out: np.ndarray = session.run(None, {"x": np.ascontiguousarray(bits).view(dtype)})[0].view(bits.dtype)
        return out

    return on_onnx, onnxruntime.__version__, _features()


def _features() -> str:
    core: Any = importlib.import_module("numpy._core._multiarray_umath")
    return " ".join(n for n in core.__cpu_dispatch__ if core.__cpu_features__.get(n)) or "baseline"


def floats(bits: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "float32":
        return bits.astype(np.int32, copy=False).view(np.float32)
    if dtype == "float16":
        return bits.astype(np.int16, copy=False).view(np.float16).astype(np.float32)
    return (bits.astype(np.int32) << 16).view(np.float32)


def bits_of(array: np.ndarray, dtype: str) -> np.ndarray:
    """The bits of values that travelled as an array (bfloat16 as float32)."""
    if dtype == "bfloat16":
        return (array.astype(np.float32).view(np.int32) >> 16).astype(np.int16)
    return array.view(np.int32 if dtype == "float32" else np.int16)


def rises(d: dict[str, Any]) -> str:
    """The claim about a scan of the function in the data."""
    return (
        f"{d['function']} ({d['library']} {d['version']}, {d['instruction_set']}, vector body) "
        f"is nondecreasing over every {d['dtype']} from -inf to inf"
    )


def commutes(d: dict[str, Any]) -> str:
    """The claim about pooling before and after the function in the data."""
    return f"{d['function']} commutes with max pooling over every {d['dtype']} image without NaN"
