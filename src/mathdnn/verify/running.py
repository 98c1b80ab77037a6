"""Runs a graph in floats: torch's own operations, named by the file and allowed by this list, on the file's images.

The list holds functions of tensors only: nothing that draws, writes, reads a file or keeps anything. What a node says
of its shape is held against what torch derives without computing, before anything is computed.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.verdict import unpack_array
from mathdnn.verify.costs import STEP, cost_of, parts_of
from mathdnn.verify.keeping import Kept
from mathdnn.verify.numbers import ROOM, Malformed, TooMany
from mathdnn.verify.unrounded import MOVES

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = """
    abs acos adaptive_avg_pool1d _adaptive_avg_pool2d adaptive_max_pool2d add addmm alias all amax amin any arange
    argmax argmin argsort asin asinh atan atan2 atanh avg_pool1d avg_pool2d avg_pool3d bitwise_and bitwise_not
    bitwise_or bitwise_xor bmm cat ceil celu channel_shuffle clamp clamp_max clamp_min clone constant_pad_nd
    contiguous convolution copy cos cosh cummax cummin cumprod cumsum detach diagonal div elu eq erf erfc exp exp2
    expand expm1 fill flip floor floor_divide fmod frac full_like gather ge gelu glu grid_sampler_2d gt hardshrink
    hardsigmoid hardswish hardtanh im2col index index_put index_select isinf isnan isneginf isposinf kthvalue le
    leaky_relu lift_fresh_copy linalg_inv_ex _linalg_solve_ex linalg_vector_norm log log10 log1p log2
    log_sigmoid_forward _log_softmax logical_and logical_not logical_or logical_xor logsumexp lt masked_fill
    masked_scatter max max_pool2d_with_indices maximum mean median min minimum mish mm mode mul nansum
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training native_channel_shuffle
    native_group_norm native_layer_norm ne neg new_zeros norm ones_like permute pixel_shuffle pixel_unshuffle
    positive pow _prelu_kernel prod reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu remainder
    repeat replication_pad1d replication_pad2d replication_pad3d reshape roll rot90 round rsqrt rsub scalar_tensor
    scatter scatter_add select select_scatter selu sgn sigmoid sign silu sin sinh slice slice_scatter _softmax
    softplus softshrink sort split split_with_sizes sqrt square squeeze stack std sub sum t tan tanh threshold
    _to_copy topk transpose tril triu trunc unbind unfold _unsafe_view unsqueeze upsample_bicubic2d
    _upsample_bicubic2d_aa upsample_bilinear2d _upsample_bilinear2d_aa upsample_linear1d upsample_nearest1d
    upsample_nearest2d upsample_nearest3d upsample_trilinear3d var var_mean view where zeros_like"""
ALLOWED = frozenset(_NAMES.split())
_NAME = re.compile(r"[a-z0-9_]{1,60}")


class Open(Exception):
    """What intervals do not tell; the message says why."""


class Unlisted(Exception):
    """An operation of torch that is not on the list; the message names it."""


def run(graph: dict[str, Any], image: np.ndarray, *, finite: bool = False) -> np.ndarray:
    """The graph's output for one image: see `Program.at`."""
    return Program(graph).at(image, finite=finite)


class Program:
    """A graph to be run at several images: what does not depend on the image is looked at once.

    spend: takes what a step costs before it is first run; most: numbers in a result."""

    def __init__(self, graph: dict[str, Any], spend: Callable[[int], None] = lambda _: None, most: int = ROOM) -> None:
        import torch

        self.graph, self.spend, self.most = graph, spend, most
        spend(STEP * len(graph["nodes"]))
        self.constants = [
            torch.from_numpy(item if isinstance(item, np.ndarray) else unpack_array(item))
            for item in graph["constants"]
        ]
        self.known = [node["op"] in ("input", "getitem") for node in graph["nodes"]]  # what is no operation, or fits

    def at(self, image: np.ndarray, *, finite: bool = False) -> np.ndarray:
        """The output for one image, as torch computes it here.

        finite: refuse what overflows on the way. Raises `Malformed`, `Unlisted`, torch's errors.
        """
        kept = Kept(self.graph, len(self.constants))
        for place, node in enumerate(self.graph["nodes"]):
            value = self._value(place, node, kept.values, image)
            if finite and place:
                _require_no_overflow(node, kept.values, self.constants, value)
            kept.add(value)
        output = self.graph["output"]
        found = self.constants[output["constant"]] if "constant" in output else kept.values[output["node"]]
        result: np.ndarray = found.numpy()
        return result

    def _value(self, place: int, node: dict[str, Any], values: list[Any], image: np.ndarray) -> Any:
        import torch

        if place == 0:
            if node["op"] != "input" or node["shape"] != list(image.shape) or node["dtype"] != image.dtype.name:
                raise Malformed("the image is no input of the graph")
            return torch.from_numpy(image.copy())
        if node["op"] == "getitem":
            parts, k = values[node["args"][0]["node"]], node["args"][1]
            if not isinstance(parts, list | tuple) or type(k) is not int or not 0 <= k < len(parts):
                raise Malformed("a getitem that takes no result of several")
            return parts[k]
        if not self.known[place]:
            _require_fit(node, values, self.constants, self.spend, self.most)
            self.known[place] = True
        return compute(node, values, self.constants)


def numbers_in(argument: Any) -> list[Any]:
    """The numbers that a node's arguments write out; those that JSON does not write are as long as any."""
    if isinstance(argument, dict):
        return [math.inf] if "float" in argument else []
    if isinstance(argument, list):
        return [number for part in argument for number in numbers_in(part)]
    return [argument]


def _require_no_overflow(node: dict[str, Any], values: list[Any], constants: list[Any], made: Any) -> None:
    """Over the reals nothing overflows: numbers that are not finite are written in the file, and then moved about."""
    base = node["op"].split(".")[1] if "." in node["op"] else "getitem"
    known = [values[part["node"]] if "node" in part else constants[part["constant"]] for part in arrays_in(node)]
    before = [_share_not_finite(value) for value in known]
    written = base in MOVES and "inf" in str([node["args"], node["kwargs"]])
    most = math.inf if written or (base in MOVES and any(before)) else sum(before)
    if _share_not_finite(made) > most:
        raise Malformed(f"{node['op']:.60} overflows, or has no value")


def arrays_in(node: dict[str, Any]) -> list[dict[str, int]]:
    todo, found = [node["args"], list(node["kwargs"].values())], []
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict) and "float" not in part:
            found.append(part)
    return found


def _share_not_finite(value: Any) -> float:
    parts = value if isinstance(value, list | tuple) else [value]
    wrong = [~part.isfinite() for part in parts if part.is_floating_point()]
    return max((float(part.double().mean()) for part in wrong if part.any()), default=0.0)


def widened(graph: dict[str, Any]) -> dict[str, Any]:
    """The graph with every float a float64."""
    made = [item if isinstance(item, np.ndarray) else unpack_array(item) for item in graph["constants"]]
    constants = [item.astype(np.float64) if item.dtype.kind == "f" else item for item in made]
    return {"nodes": _wide(graph["nodes"]), "constants": constants, "output": graph["output"]}


def _wide(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _wide(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_wide(item) for item in part]
    return "float64" if isinstance(part, str) and part in ("float16", "bfloat16", "float32") else part


def _operation(node: dict[str, Any]) -> Callable[..., Any]:
    """torch's own, which writes into nothing that it is given."""
    import torch

    library, base, overload = node["op"].split(".")
    if library != "aten" and _NAME.fullmatch(library) and _NAME.fullmatch(base):
        raise Unlisted(f"{library}.{base}")
    if library != "aten" or not _NAME.fullmatch(base) or not hasattr(torch.ops.aten, base):
        raise Malformed(f"no operation of torch: {node['op']:.60}")
    if base not in ALLOWED:
        raise Unlisted(f"aten.{base}")
    # a view's values are a reshape's, which asks for no layout: constants in a file have lost theirs
    name, form = (
        ("reshape", "default") if base in ("view", "_unsafe_view") and overload == "default" else (base, overload)
    )
    function: Callable[..., Any] = getattr(getattr(torch.ops.aten, name), form)
    if function._schema.is_mutable and base != "_native_batch_norm_legit":  # type: ignore[attr-defined]
        raise Malformed(f"{node['op']:.60} writes into what it is given")
    return function


def compute(node: dict[str, Any], values: Any, constants: Any) -> Any:
    """A node's value; its shape was derived before (`_require_fit`)."""
    import torch

    function, args, kwargs = _call(node, values, constants, "cpu")
    with torch.no_grad():
        made = function(*args, **kwargs)
    dtype = str(made.dtype).removeprefix("torch.") if hasattr(made, "dtype") else None
    if dtype != node["dtype"]:
        raise Malformed(f"{node['op']} gives {dtype}, not {node['dtype']}")
    return made


def _require_fit(node: dict[str, Any], values: Any, constants: Any, spend: Callable[[int], None], most: int) -> None:
    """Derive a node's shape without computing it, and spend what it costs. Raises `Malformed`, `TooMany`."""
    import torch

    function, args, kwargs = _call(node, values, constants, "meta")
    schema, base = function._schema.arguments, node["op"].split(".")[1]  # type: ignore[attr-defined]
    given = dict(zip((argument.name for argument in schema), args, strict=False)) | kwargs
    every = [given.get(argument.name, argument.default_value) for argument in schema]
    spend(STEP * (parts_of(base, every) - 1))
    try:
        made = function(*args, **kwargs)
    except NotImplementedError:  # no rule for it without computing: as the file says
        made = [] if node["shape"] is None else torch.empty(node["shape"], device="meta")
    results = list(made) if isinstance(made, list | tuple) else [made]
    if max((part.numel() for part in results), default=0) > most:
        raise TooMany(f"{node['op']} gives a result of more than {most:,} numbers")
    if (shape := _shape(made)) != node["shape"]:
        raise Malformed(f"{node['op']} gives {shape}, not {node['shape']}")
    spend(cost_of(base, every, results))


def _call(node: dict[str, Any], values: Any, constants: Any, device: str) -> tuple[Callable[..., Any], Any, Any]:
    """torch's operation, and its arguments."""
    import torch

    kept = "batch_norm" in node["op"]  # in training these write into the running mean and variance: into copies of them
    narrow = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(node["dtype"])  # in a file these are float32

    def known(argument: Any) -> Any:
        if isinstance(argument, dict) and argument.get("float") in ("inf", "-inf", "nan"):
            return float(argument["float"])
        if isinstance(argument, dict):
            if "node" in argument:
                return values[argument["node"]].to(device, copy=kept)
            constant = constants[argument["constant"]]
            halves = narrow is not None and constant.dtype is torch.float32 and constant.dim() > 0
            return constant.to(device, narrow if halves else constant.dtype, copy=kept)
        if isinstance(argument, list):
            return [known(item) for item in argument]
        return getattr(torch, argument) if isinstance(argument, str) and _is_dtype(argument) else argument

    return _operation(node), known(node["args"]), {key: known(value) for key, value in node["kwargs"].items()}


def _shape(made: Any) -> list[int] | None:
    return list(made.shape) if hasattr(made, "shape") else None


def _is_dtype(text: str) -> bool:
    import torch

    return isinstance(getattr(torch, text, None), torch.dtype)
