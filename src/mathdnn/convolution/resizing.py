"""What torch does not do with sizes that are symbols, done so that they stay symbols.

Resizing takes sizes through floats, which need numbers; new arrays of an open size need the image that has it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_MOST = 16  # times larger
A_NUMBER = "torch takes the image's height or width as a number"
_MADE = {torch.zeros: "new_zeros", torch.ones: "new_ones", torch.full: "new_full", torch.empty: "new_empty"}


class Resizing(TorchFunctionMode):
    """`interpolate` by a whole factor, given as one or by its sizes, or by 1/2, 1/4, 1/8, keeps its sizes symbols, and
    so does `torch.zeros`. Of what does not, it knows the call."""

    image: torch.Tensor | None = None  # the image that is being traced
    call = ""  # the call of torch that runs, or ran last
    fixed = ""  # what made the image's sizes numbers

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._look("its code takes the image's height or width as a number")
        self.call = _written(func, kwargs)
        made = self._called(func, args, kwargs)
        self._look(f"{A_NUMBER} in {self.call}")
        return made

    def _look(self, why: str) -> None:
        if self.image is not None and not self.fixed and not all(map(_is_symbol, self.image.shape[-2:])):
            self.fixed = why

    def _called(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if func is torch.nn.functional.interpolate:
            made = _resized(*args, **kwargs)
            if made is not None:
                return made
        if func in _MADE and self.image is not None and _is_open([*args, kwargs.get("size", ())]):
            kwargs = {"dtype": torch.get_default_dtype(), **kwargs}
            sizes = args if func is torch.full or not args or not isinstance(args[0], (int, torch.SymInt)) else (args,)
            return getattr(self.image, _MADE[func])(*sizes, **kwargs)
        return func(*args, **kwargs)


def _is_symbol(size: Any) -> bool:
    return isinstance(size, torch.SymInt) and size.node.expr.is_Symbol


def _written(func: Any, kwargs: dict[str, Any]) -> str:
    """A call of torch in words, with what it is told by name: interpolate(scale_factor=2, mode='linear')."""
    told = [f"{name}={value!r:.40}" for name, value in kwargs.items() if value is not None and _is_plain(value)]
    return f"{getattr(func, '__name__', 'a call')}({', '.join(told)})"


def _is_plain(value: Any) -> bool:
    """Whether a value is numbers or text that say something: False says nothing."""
    if isinstance(value, (tuple, list)):
        return all(type(part) in (int, float) for part in value)
    return type(value) in (int, float, str) or value is True


def _is_open(sizes: Any) -> bool:
    """Whether a symbol is among the sizes."""
    return any(_is_open(size) if isinstance(size, (list, tuple)) else isinstance(size, torch.SymInt) for size in sizes)


def _times(new: Any, old: Any) -> int | None:
    """How many times as large a size is, where that is one whole number whatever the symbols are."""
    new, old = (n.node.expr if isinstance(n, torch.SymInt) else n for n in (new, old))
    return next((k for k in range(1, _MOST + 1) if bool(new == k * old)), None)


def _resized(
    image: torch.Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> torch.Tensor | None:
    """`interpolate` with sizes that stay symbols, or None where torch's own way is to be taken."""
    if image.ndim != 4 or align_corners or antialias or (size is not None and scale_factor is not None):
        return None
    both = scale_factor if size is None else size
    factors = list(both) if isinstance(both, (list, tuple)) else [both] * 2
    if size is not None and len(factors) == 2:
        factors = [_times(n, old) for n, old in zip(factors, image.shape[2:], strict=True)]
    shares = () if recompute_scale_factor or size is not None else (0.5, 0.25, 0.125)  # of an odd size they would round
    if len(factors) != 2 or not all(isinstance(f, (int, float)) and (f == int(f) >= 1 or f in shares) for f in factors):
        return None
    sizes = [n * int(f) if f >= 1 else n // int(1 / f) for n, f in zip(image.shape[2:], factors, strict=True)]
    scales = [float(f) for f in factors]
    if mode == "nearest":
        return torch.ops.aten.upsample_nearest2d.default(image, sizes, *scales)  # type: ignore[no-any-return]
    if mode == "bilinear":
        return torch.ops.aten.upsample_bilinear2d.default(image, sizes, False, *scales)  # type: ignore[no-any-return]
    if mode == "bicubic":
        return torch.ops.aten.upsample_bicubic2d.default(image, sizes, False, *scales)  # type: ignore[no-any-return]
    return None
