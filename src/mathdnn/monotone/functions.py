"""Elementwise functions of three libraries behind one face: bits in, bits out.

A name is resolved only inside torch, torch.nn.functional, numpy and the ONNX operators ("onnx:Tanh"): a name is data
and imports nothing else. Any callable can be given as well.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mathdnn.errors import InvalidInput, printed, sentence
from mathdnn.monotone.floats import Format
from mathdnn.monotone.guard import LONGEST, guarded, modes_here

Evaluate = Callable[[np.ndarray], np.ndarray]
# other names that torch and NumPy themselves give to functions of one argument
ALIASES = {
    "abs": "absolute", "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
    "atanh": "arctanh", "conj": "conjugate", "logsigmoid": "log_sigmoid",
}  # fmt: skip


@dataclass(frozen=True)
class Elementwise:
    """A function from floats of one format to floats of the same format.

    `name`, `library`, `version`, `instruction_set` say whose it is and what runs; `known` whether the name alone finds
    it again; `on_bits(bits)` evaluates an integer array (any strides) that holds the values' bits and gives bits back,
    which no later call changes.
    """

    name: str
    library: str
    version: str
    instruction_set: str
    form: Format
    known: bool
    on_bits: Evaluate


def elementwise(
    f: Any, form: Format, who: str = "is_nondecreasing(f=...)", *, time_limit: float | None = LONGEST
) -> Elementwise:
    """The function behind a name or a callable, probed once. `time_limit`: seconds for a call of one's own function.

    Raises `InvalidInput` for what cannot be scanned, when it is probed or called later.
    """
    target, name, known = _named(f, who) if isinstance(f, str) else (f, _name(f), _found_again(f))
    if isinstance(target, str):
        made = _onnx(target, form, who)
    elif _is_numpy(target):
        made = _numpy(target, name, form, known, who)
    else:
        made = _torch(target, name, form, known, who)
    made = guarded(made, who, time_limit)
    _probe(made, who)
    return made


def _named(name: str, who: str) -> tuple[Any, str, bool]:
    if name.startswith("onnx:"):
        return name, name, True
    module, _, attribute = name.rpartition(".")
    module = {"np": "numpy", "F": "torch.nn.functional"}.get(module, module)
    found = None
    if module in ("torch", "torch.nn.functional", "numpy") and not attribute.startswith("_"):
        found = getattr(importlib.import_module(module), attribute, None)
    if not callable(found) or isinstance(found, type):
        raise InvalidInput(
            sentence(
                who,
                "a callable, or a name such as torch.tanh, torch.nn.functional.gelu, numpy.tanh, onnx:Tanh",
                repr(name),
                "give a name that these libraries have",
            )
        )
    own = _is_own(found, attribute)
    replaced = not own and isinstance(found, np.ufunc | types.BuiltinFunctionType | types.FunctionType)
    return found, f"{module}.{attribute}" + (f" as replaced by {found.__name__}" if replaced else ""), own


def _is_own(f: Any, name: str) -> bool:
    """Whether a function that torch or NumPy has by this name is theirs, and not one that was put in its place."""
    if getattr(f, "__name__", None) not in (name, ALIASES.get(name)):
        return False
    if isinstance(f, np.ufunc):
        return getattr(np, f.__name__, None) is f
    if not isinstance(f, types.FunctionType):
        return isinstance(f, types.BuiltinFunctionType)
    home = importlib.import_module(str(f.__module__).partition(".")[0]).__file__
    return home is not None and Path(f.__code__.co_filename).is_relative_to(Path(home).parent)


def _name(f: Any) -> str:
    found = _found_again(f)
    if found:
        return public_name(f)
    name = getattr(f, "__qualname__", None)
    return " ".join((name if isinstance(name, str) and name else printed(f)).split())[:200]


def public_name(f: Any) -> str:
    """The name by which torch or NumPy has this function of theirs; "" for any other callable."""
    name = getattr(f, "__name__", "")
    if not isinstance(name, str) or not name:
        return ""
    for module in ("numpy",) if isinstance(f, np.ufunc) else ("torch", "torch.nn.functional"):
        if getattr(importlib.import_module(module), name, None) is f and _is_own(f, name):
            return f"{module}.{name}"
    return ""


def _found_again(f: Any) -> bool:
    return public_name(f) != ""


def _is_numpy(f: Any) -> bool:
    return isinstance(f, np.ufunc) or str(getattr(f, "__module__", "")).split(".")[0] == "numpy"


def _torch(f: Any, name: str, form: Format, known: bool, who: str) -> Elementwise:
    import torch

    if not callable(f):
        raise InvalidInput(sentence(who, "a callable or a name", f"{type(f).__name__} {f!r:.40}", "pass a function"))
    floating, integer = getattr(torch, form.name), torch.int32 if form.width == 32 else torch.int16
    modes = contextlib.nullcontext if known else modes_here()

    def on_bits(bits: np.ndarray) -> np.ndarray:
        with torch.inference_mode(False):  # a tensor that is made in it counts no changes
            x = torch.from_numpy(bits).view(floating)
        untouched = x._version
        with modes():
            y = f(x)
        _require(x._version == untouched, who, "a function that leaves its input alone", f"{name} that changes it")
        _require(isinstance(y, torch.Tensor), who, "a torch tensor from a torch tensor", type(y).__name__)
        _require(y.dtype == floating, who, f"{form.name} from {form.name}", str(y.dtype).removeprefix("torch."))
        _require(y.shape == x.shape, who, f"the shape {tuple(x.shape)} back", f"{tuple(y.shape)}")
        out: np.ndarray = y.detach().resolve_neg().contiguous().view(integer).numpy()
        return out if known else out.copy()  # one's own function may write into the same memory again

    return Elementwise(
        name, "torch", torch.__version__.split("+")[0], torch.backends.cpu.get_cpu_capability(), form, known, on_bits
    )


def _numpy(f: Any, name: str, form: Format, known: bool, who: str) -> Elementwise:
    _require(form.name != "bfloat16", who, "float16 or float32 for a NumPy function", "bfloat16")
    floating = np.dtype(form.name)

    def on_bits(bits: np.ndarray) -> np.ndarray:
        x = bits.view(floating)
        with np.errstate(all="ignore"):
            y = f(x)
        _require(isinstance(y, np.ndarray), who, "an array from an array", type(y).__name__)
        _require(y.dtype == floating, who, f"{form.name} from {form.name}", str(y.dtype))
        _require(y.shape == x.shape, who, f"the shape {x.shape} back", f"{y.shape}")
        out: np.ndarray = np.ascontiguousarray(y).view(form.integer)
        return out if known else out.copy()

    return Elementwise(name, "numpy", np.__version__, _numpy_instruction_set(), form, known, on_bits)


def _numpy_instruction_set() -> str:
    """The instruction sets that NumPy found on this processor and was built to dispatch to."""
    core: Any = importlib.import_module("numpy._core._multiarray_umath")
    features, dispatch = core.__cpu_features__, core.__cpu_dispatch__
    return " ".join(name for name in dispatch if features.get(name)) or "baseline"


def _onnx(name: str, form: Format, who: str) -> Elementwise:
    operator = name.removeprefix("onnx:")
    try:
        import onnx
        import onnxruntime
    except ImportError:
        raise InvalidInput(
            sentence(who, "onnx and onnxruntime installed", f"{name} without them", "install mathdnn[onnx]")
        ) from None
    session = _onnx_session(onnx, onnxruntime, operator, form, who)
    floating = np.dtype(form.name)

    def on_bits(bits: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(bits).view(floating)
        y: np.ndarray = session.run(None, {"x": x})[0]
        _require(y.shape == x.shape, who, f"the shape {x.shape} back", f"{y.shape} from {name}")
        return y.view(form.integer)

    return Elementwise(name, "onnxruntime", onnxruntime.__version__, _numpy_instruction_set(), form, True, on_bits)


def _onnx_session(onnx: Any, onnxruntime: Any, operator: str, form: Format, who: str) -> Any:
    kind = {"float32": 1, "float16": 10, "bfloat16": 16}[form.name]
    value = onnx.helper.make_tensor_value_info
    try:
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(operator, ["x"], ["y"])],
            "one",
            [value("x", kind, None)],
            [value("y", kind, None)],
        )
        opset = [onnx.helper.make_opsetid("", 20)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the libraries raise many kinds
        raise InvalidInput(
            sentence(
                who,
                f"an elementwise ONNX operator that onnxruntime runs in {form.name}",
                f"onnx:{operator} ({' '.join(str(error).split())[:120]})",
                "check the operator's name",
            )
        ) from None


def _require(true: bool, who: str, expected: str, got: str) -> None:
    if not true:
        raise InvalidInput(sentence(who, expected, got, "give an elementwise function of one format"))


def _probe(f: Elementwise, who: str) -> None:
    """Call f on a few values: it must run, keep its input, repeat itself, and look at one element at a time.

    Half of the elements change, the first or the last; and all change places. A multiple of 64 values is all vector
    body, so that an elementwise kernel gives each value the same output everywhere in it.
    """
    rng = np.random.default_rng(0)
    bits: Any = rng.normal(size=(2, 128)).astype(np.float32).astype(np.float16).view(np.int16)
    if f.form.name != "float16":
        wide = bits.view(np.float16).astype(np.float32).view(np.int32)
        bits = wide if f.form.width == 32 else (wide >> 16).astype(np.int16)
    one = bits[0].copy()
    kept = one.copy()
    first, again = f.on_bits(one).copy(), f.on_bits(kept.copy()).copy()
    _require(bool((one == kept).all()), who, "a function that leaves its input alone", f"{f.name} that changes it")
    _require(bool((first == again).all()), who, "the same output twice", f"{f.name} with two outputs")
    alone = "an output element that depends on its own input element alone"
    for same, changed in ((slice(None, 64), slice(64, None)), (slice(64, None), slice(None, 64))):
        other = bits[0].copy()
        other[changed] = bits[1, changed]
        got = f"{f.name}, where changing one half of the input changed the other half of the output"
        _require(bool((first[same] == f.on_bits(other)[same]).all()), who, alone, got)
    for order in (np.arange(128)[::-1], rng.permutation(128)):
        got = f"{f.name}, whose outputs do not change places as its inputs do"
        _require(bool((first[order] == f.on_bits(bits[0, order].copy())).all()), who, alone, got)
