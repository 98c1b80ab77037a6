"""Running an operation's code once to read it: on a fake image, which has a shape and no values.

What is computed from the image is fake, whoever asks, so code that looks at a pixel (a branch, `.item()`, `.numpy()`)
fails. Constants are fake, too, at the first reading, so that the image may be written into them. At the second they are
real, computed by torch at once, and code may look at them (a library that checks its own kernel for being positive).
A real tensor holds nothing of the image, by induction over the calls of torch:

- a call without a fake tensor, and without a symbol for a size, gives real tensors; any other call gives fake ones;
- a call that would write what is fake into a real tensor, or give a view of one, is refused, as is one that writes
  into a tensor that was there before the reading began (the next call would see another value);
- memory that nobody has written is fake;
- a real tensor that meets a fake one enters the graph as a copy of what it holds at that moment.

An error raised while reading counts, even where the operation's own code catches it: on a real image it would not have
been raised. Not excluded: code that asks what kind of tensor it was given, and threads that look at memory behind
torch's back.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from mathdnn.convolution.overlapping import refuse_overlap
from mathdnn.convolution.symbols import SYMBOLS
from mathdnn.convolution.watched import NotTraced, Reading, watched

if TYPE_CHECKING:
    from collections.abc import Callable

aten = torch.ops.aten

EMPTY = {"empty", "empty_like", "new_empty", "new_empty_strided", "empty_strided", "empty_permuted"}
_PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)

_RESIZED = {"resize_", "resize_as_", "resize", "set_", "set_data"}  # show memory that nobody has written
_TRAINED = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"}  # write running means without saying so
_MEMORY = {
    "__dlpack__", "to_dlpack", "_to_dlpack", "data_ptr", "untyped_storage", "storage", "_typed_storage",
    "__reduce_ex__", "__reduce__", "apply_", "map_", "map2_",
}  # fmt: skip
_TEXT = {"__repr__", "__str__", "__format__"}


class ChangesInput(Exception):
    """The operation writes into the image it was given."""


class RandomOperation(Exception):
    """The operation draws random numbers; the message names the operation."""


class FakeImages(FakeTensorMode):  # type: ignore[no-untyped-call]
    """Fake tensors that are never written into a real one. Looks at every call, from whichever thread."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_non_fake_inputs=True, **options)
        self.reading: Reading | None = None
        self.shared = False  # whether a call has written into memory that it also read, in other places

    def dispatch(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            if self.reading is not None and any(isinstance(leaf, FakeTensor) for leaf in tree_leaves((args, kwargs))):
                _refuse_alias(func, args, kwargs or {})
                _refuse_told(func)
                _refuse_training(func, args, kwargs or {})
                self.shared = refuse_overlap(func, args, kwargs or {}) or self.shared
            return self._call(func, types, args, kwargs or {})
        except Exception as error:
            if self.reading is not None:
                self.reading.note(error)
            raise

    def _call(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return super().dispatch(func, types, args, kwargs)


class _Functions(TorchFunctionMode):
    """Looks at every function of torch that the code calls, those that leave torch included."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            name = getattr(func, "__name__", "")
            if name in _MEMORY | _TEXT and args and isinstance(args[0], FakeTensor):
                raise NotTraced(f"it looks at {'the text' if name in _TEXT else 'the memory'} of what it computes")
            return func(*args, **(kwargs or {}))
        except Exception as error:
            self.reading.note(error)
            raise


class _RealConstants(TorchDispatchMode):
    """Sends each call of torch to where it belongs: real tensors to torch, fake ones on to the reading."""

    def __init__(self, reading: Reading, fake: FakeImages) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reading, self.fake = reading, fake
        self.own: dict[int, torch.UntypedStorage] = {}  # the memory of tensors made during the reading, kept alive

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return self._call(func, args, kwargs or {})
        except Exception as error:
            self.reading.note(error)
            raise

    def _call(self, func: Any, args: Any, kwargs: Any) -> Any:
        leaves = tree_leaves((args, kwargs))
        _allow(func, args, kwargs, [type(leaf) for leaf in leaves if isinstance(leaf, torch.Tensor)])
        if any(isinstance(leaf, (FakeTensor, *SYMBOLS)) for leaf in leaves):
            _refuse_alias(func, args, kwargs)
            args, kwargs = tree_map_only(torch.Tensor, self._snapshot, (args, kwargs))
            with self.fake:
                return func(*args, **kwargs)
        if func.overloadpacket.__name__ in EMPTY:
            with self.fake:
                return func(*args, **kwargs)
        with disable_proxy_modes_tracing(), unset_fake_temporarily():
            return self._real(func, args, kwargs)

    def _snapshot(self, tensor: torch.Tensor) -> torch.Tensor:
        if isinstance(tensor, FakeTensor):
            return tensor
        with disable_proxy_modes_tracing(), unset_fake_temporarily():
            return tensor.detach().clone()

    def _real(self, func: Any, args: Any, kwargs: Any) -> Any:
        if func.overloadpacket.__name__ in _RESIZED:
            raise NotTraced("it uses uninitialised memory")
        if func is aten.lift_fresh.default:  # how torch.tensor hands its new tensor over
            func = aten.clone.default
        for tensor in _written(func, args, kwargs):
            if tensor.untyped_storage()._cdata not in self.own:
                raise NotTraced("it writes into a tensor that it keeps between calls")
        refuse_overlap(func, args, kwargs)
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        made = func(*args, **kwargs)
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in given:
                self.own[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return made


def read_code(
    operation: Callable[[Any], Any], image: FakeTensor, fake: FakeImages, *, real: bool, table: Any = None
) -> torch.fx.GraphModule:
    """The calls of torch that `operation` makes on `image`, a tensor of `fake`; real: whether constants are; table:
    simpler operations to write calls in.

    Raises whatever the operation's code met, caught or not: `NotTraced`, `RandomOperation`, torch's own errors.
    """
    import torch._dynamo

    reading = Reading()
    constants: Any = _RealConstants(reading, fake) if real else nullcontext()
    as_written = torch._dynamo.config.patch(error_on_nested_fx_trace=False)  # not as torch.compile made it

    def run(given: Any) -> Any:  # of one argument, whatever defaults the operation has
        with as_written, constants, _Functions(reading), watched(reading):
            return operation(given)

    fake.reading = reading
    try:
        made = make_fx(
            run,
            table or {},
            tracing_mode="real" if real else "fake",
            _allow_non_fake_inputs=True,
            _error_on_data_dependent_ops=not real,
        )(image)
    except Exception as error:
        raise (reading.trouble or error) from None
    finally:
        fake.reading = None
    if reading.trouble is not None:
        raise reading.trouble
    assert isinstance(made, torch.fx.GraphModule)
    _refuse_kept(made.graph)
    return made


def _refuse_kept(graph: torch.fx.Graph) -> None:
    """Raise `NotTraced` where a call writes into a tensor that was there before, or into a view of one."""
    kept = set()
    for node in graph.nodes:
        if node.op == "get_attr":
            kept.add(node)
        elif node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            for write, value in _marked(node.target, node.args, node.kwargs):
                if kept.intersection(part for part in tree_leaves(value) if isinstance(part, torch.fx.Node)):
                    if write:
                        raise NotTraced("it writes into a tensor that it keeps between calls")
                    kept.add(node)


def _allow(func: Any, args: Any, kwargs: Any, kinds: list[type]) -> None:
    if foreign(func):
        raise NotTraced(f"it calls {func}, of which nothing is known")
    if torch.Tag.nondeterministic_seeded in func.tags:
        raise RandomOperation(str(func))
    _refuse_training(func, args, kwargs)
    strange = [kind.__name__ for kind in kinds if kind not in (*_PLAIN, FakeTensor)]
    if strange:
        raise NotTraced(f"it uses a tensor of a kind of its own ({strange[0]})")


def foreign(func: Any) -> bool:
    """Whether an operator is not torch's own, so that nothing is known of it but what its author says."""
    return func.namespace not in ("aten", "prim", "prims")


def _refuse_told(func: Any) -> None:
    """Raise `NotTraced` where a foreign operator tells Python a number: its author's, not one that holds for images."""
    if foreign(func) and any("Tensor" not in str(result.type) for result in func._schema.returns):
        raise NotTraced(f"it calls {func}, of which nothing is known")


def _refuse_training(func: Any, args: Any, kwargs: Any) -> None:
    given = {**dict(zip((a.name for a in func._schema.arguments), args, strict=False)), **kwargs}
    if func.overloadpacket.__name__ in _TRAINED and given.get("training") and given.get("running_mean") is not None:
        raise NotTraced("it trains a normalisation")


def _marked(func: Any, args: Any, kwargs: Any) -> list[tuple[bool, Any]]:
    """(written?, what is given) for each argument that the schema says is written into, or shared with the result."""
    given = {**dict(zip((a.name for a in func._schema.arguments), args, strict=False)), **kwargs}
    return [
        (argument.alias_info.is_write, given[argument.name])
        for argument in func._schema.arguments
        if argument.alias_info is not None and argument.name in given
    ]


def _written(func: Any, args: Any, kwargs: Any) -> list[torch.Tensor]:
    marked = [value for write, value in _marked(func, args, kwargs) if write]
    return [leaf for leaf in tree_leaves(marked) if isinstance(leaf, torch.Tensor)]


def _refuse_alias(func: Any, args: Any, kwargs: Any) -> None:
    """Raise `NotTraced` where a call with something fake would write into a real tensor or show it."""
    if func is aten.lift_fresh.default:
        return
    for write, value in _marked(func, args, kwargs):
        if any(isinstance(leaf, torch.Tensor) and not isinstance(leaf, FakeTensor) for leaf in tree_leaves(value)):
            what = "writes values of the image into" if write else "takes a view with sizes of the image of"
            raise NotTraced(f"it {what} a constant ({func})")
