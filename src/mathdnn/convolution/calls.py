"""Someone else's operation, called with care: the shape it takes, one call within a time limit, what it must not do.

Shapes: an operation takes images (C, H, W) or batches (N, C, H, W); a plane (H, W) counts as one channel. For an input
shape of three numbers it is called with a batch of one, and where it does not take that, with the image itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses import FakeTensor

from mathdnn.convolution.limit import OutOfTime, limited
from mathdnn.errors import InvalidInput, sentence

Operation = Callable[[Any], Any]
Shape = tuple[int, ...]

_PIXELS = 1 << 26  # an image of 67 million values: more than any layer sees, less than 1 GB
_UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}


class TooSlow(InvalidInput):
    """A call that reached its time limit; no other way to call is tried."""


@dataclass(frozen=True)
class Settings:
    """How operations are called: `who` asks (for messages), dtype, batches or single images, and the limits."""

    who: str
    dtype: torch.dtype = torch.float32
    batched: bool | None = None
    seconds: float = 60.0
    seed: int = 0

    @property
    def unit_roundoff(self) -> float:
        return _UNIT[str(self.dtype).removeprefix("torch.")]


@dataclass(frozen=True)
class Called:
    """An operation with the shape it is called with: `call` takes that shape; `output` is the shape it gave."""

    call: Operation
    shape: Shape
    output: Shape


def refuse(who: str, expected: str, got: str, do: str) -> InvalidInput:
    return InvalidInput(sentence(who, expected, got, do))


def require_shape(who: str, shape: Any) -> Shape:
    """The shape as a tuple of 2, 3 or 4 positive whole numbers. Raises `InvalidInput`."""
    made = tuple(shape) if isinstance(shape, (tuple, list, torch.Size)) else ()
    if not 2 <= len(made) <= 4 or any(type(size) is not int or size < 1 for size in made):
        raise refuse(
            f"{who}(input_shape=...)",
            "(H, W), (C, H, W) or (N, C, H, W) with positive whole numbers",
            f"{shape!r:.60}",
            "give the shape of one image",
        )
    if math.prod(made) > _PIXELS:
        raise refuse(
            f"{who}(input_shape=...)",
            f"at most {_PIXELS} values",
            f"{' x '.join(map(str, made))} = {math.prod(made)}",
            "ask about a smaller image: the same kernel shows on it",
        )
    return made


def settings(who: str, dtype: torch.dtype | str | None, batched: bool | None, seconds: float) -> Settings:
    """Checked settings. Raises `InvalidInput` for a dtype other than float32 and float64, or no time limit."""
    made = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype or torch.float32
    if made not in (torch.float32, torch.float64):
        raise refuse(f"{who}(dtype=...)", "torch.float32 or torch.float64", f"{dtype!r:.60}", "ask in one of these")
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (number and 0 < seconds <= 86_400):
        expected, do = "seconds from above 0 to 86400", "give a time limit"
        raise refuse(f"{who}(seconds=...)", expected, f"{seconds!r:.40}", do)
    if torch.is_autocast_enabled("cpu"):  # the operation is called in a thread of its own, where it would not hold
        raise refuse(who, "a call outside of torch.autocast", "one within", "put the autocast into the operation")
    return Settings(who, made, batched, seconds)


def find_call(operation: Any, shape: Shape, how: Settings) -> Called:
    """Whether the operation takes the image in a batch or alone, found by calling it. Raises `InvalidInput`."""
    if not callable(operation):
        given = f"a {type(operation).__name__}"
        raise refuse(how.who, "a callable or an nn.Module", given, "give the operation itself")
    if isinstance(operation, torch.nn.Module) and any(
        t.is_meta for t in (*operation.parameters(), *operation.buffers())
    ):
        expected, do = "a module whose weights have values", "build it on the cpu, or load its weights"
        raise refuse(how.who, expected, "one with weights on device meta", do)
    shapes = [shape]
    if len(shape) == 3:
        shapes = [s for s, batch in (((1, *shape), True), (shape, False)) if how.batched in (None, batch)]
    failure: InvalidInput | None = None
    for candidate in shapes:
        try:
            return Called(operation, candidate, call_once(operation, candidate, how))
        except TooSlow:
            raise
        except InvalidInput as error:
            failure = failure or error
    assert failure is not None
    raise failure


def call_once(operation: Operation, shape: Shape, how: Settings) -> Shape:
    """The output's shape for a random image, after the checks that every operation has to pass."""
    image = torch.rand(shape, dtype=how.dtype, generator=torch.Generator().manual_seed(how.seed))
    output = run(operation, image, how)
    size = "x".join(map(str, shape))
    ranks = (2, 3) if len(shape) < 4 else (4,)
    if output.ndim not in ranks or output.numel() == 0 or (output.ndim == 4 and output.shape[0] != shape[0]):
        raise refuse(
            how.who,
            "an image for an image, and a batch for a batch of the same length",
            f"shape {tuple(output.shape)} for {size}",
            "return (C, H, W) or (N, C, H, W)",
        )
    return tuple(output.shape)


def require_steady(called: Called, how: Settings) -> None:
    """Raise `InvalidInput` for an operation that gives two outputs for one image."""
    image = torch.rand(called.shape, dtype=how.dtype, generator=torch.Generator().manual_seed(how.seed))
    if not torch.equal(run(called.call, image, how), run(called.call, image, how)):
        expected, got = "the same output at every call", "two outputs for one image"
        raise refuse(how.who, expected, got, "make the operation deterministic")


def run(operation: Operation, image: torch.Tensor, how: Settings) -> torch.Tensor:
    """One call within the time limit; its result as a checked tensor. Raises `InvalidInput`."""
    given = image.clone()
    try:
        output = _call(operation, given, how)
    except OutOfTime:
        raise too_slow(how) from None
    except (MemoryError, Exception) as error:
        if type(error).__module__ == FakeTensor.__module__:  # torch's own words say nothing to who knows no fake tensor
            raise _keeps_values(how) from None
        expected = f"an operation that runs on a {how.dtype} image of shape {tuple(image.shape)}"
        raise refuse(how.who, expected, _said(error), "check the operation and the shape") from None
    dense = isinstance(output, torch.Tensor) and output.layout is torch.strided and not output.is_nested
    if not dense or isinstance(output, torch.masked.MaskedTensor):
        nested = isinstance(output, torch.Tensor) and output.is_nested
        what = "None" if output is None else "a nested tensor" if nested else f"a {type(output).__name__}"
        strange = isinstance(output, torch.Tensor) and output.layout is not torch.strided
        what += f" of layout {output.layout}" if strange else ""
        do = "return one dense tensor, or with opaque one NumPy array"
        raise refuse(how.who, "a tensor back", what, do)
    if isinstance(output, FakeTensor):
        raise _keeps_values(how)
    if output.device.type != "cpu":
        raise refuse(how.who, "a result on the cpu", f"one on {output.device}", "move the operation to the cpu")
    if output.dtype != image.dtype:
        raise refuse(
            how.who,
            f"the image's own dtype {image.dtype} back",
            f"{output.dtype}",
            "convert the result, or ask in that dtype",
        )
    if not torch.equal(given, image):
        expected, got = "an operation that leaves its input alone", "one that writes into it"
        raise refuse(how.who, expected, got, "let it work on a copy")
    if not bool(torch.isfinite(output).all()):
        raise refuse(how.who, "finite numbers for finite pixels", "NaN or infinity", "keep the operation finite")
    found: torch.Tensor = output.detach().resolve_conj().resolve_neg()
    return found


def run_with_gradients(
    operation: Operation, image: torch.Tensor, how: Settings, *, required: bool
) -> torch.Tensor | None:
    """The result of one call with gradients enabled, and where `required` on an image that requires them; None where
    that does not give a tensor, which says nothing (torch refuses writing into such an image)."""
    try:
        output = _call(operation, image.clone().requires_grad_(required), how, gradients=True)
    except (OutOfTime, MemoryError, Exception):
        return None
    plain = isinstance(output, torch.Tensor) and not isinstance(output, FakeTensor) and output.device.type == "cpu"
    return output.detach() if plain and output.layout is torch.strided and not output.is_complex() else None


def _call(operation: Operation, given: torch.Tensor, how: Settings, *, gradients: bool = False) -> Any:
    def call() -> Any:
        with torch.set_grad_enabled(gradients):
            return operation(given)

    return limited(call, how.seconds)


def _keeps_values(how: Settings) -> InvalidInput:
    """For a fake tensor that comes back from the reading, as the operation keeps it where `kept` cannot see it."""
    expected, got = "an operation that keeps no values between calls", "one that used what it kept while it was read"
    return refuse(how.who, expected, got, "let it compute its values anew at each call, and build it again")


def _said(error: BaseException) -> str:
    """What an operation raised, in one line."""
    text = (str(error).strip().splitlines() or ["no message"])[0].removesuffix(".")
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return "one that needs more memory than there is"
    return f"{type(error).__name__}: {text[:200]}"


def too_slow(how: Settings) -> InvalidInput:
    expected, do = f"an operation that ends within {how.seconds:g} seconds", "allow it more, or give a smaller image"
    return TooSlow(sentence(how.who, expected, "one that had not", do))
