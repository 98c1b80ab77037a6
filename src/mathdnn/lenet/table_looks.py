"""What may be known of a tensor's numbers: whether they can be read, and whether all of them are finite."""

from __future__ import annotations

import cmath

import torch
from torch import Tensor

from mathdnn import native

_is_batchedtensor = torch._C._functorch.is_batchedtensor
_is_legacy_batchedtensor = torch._C._functorch.is_legacy_batchedtensor


def stands_for_many(x: object) -> bool:
    """Whether `x` is a batch within vmap, or autograd's older one (`is_grads_batched`); its type does not say."""
    return isinstance(x, Tensor) and (_is_legacy_batchedtensor(x) or _is_batchedtensor(x))


def on_processor(x: Tensor) -> bool:
    """Whether it is an ordinary tensor on the processor, and no stand-in for others."""
    return x.is_cpu and type(x) in (Tensor, torch.nn.Parameter) and not stands_for_many(x)


def plain(x: Tensor) -> bool:
    """Whether the kernels may read the numbers: there are kernels, for this kind, and it is no stand-in for others."""
    return x.dtype in (torch.float32, torch.float64) and on_processor(x) and native.available()


def seen_finite(x: Tensor) -> bool:
    """True only if every number in `x` is finite; a look at the values, so on a GPU it waits for them.

    True as well where there are no values to look at, or those of many cannot be told apart.
    """
    if x.is_meta or stands_for_many(x):
        return True
    dtype = x.dtype if x.is_complex() or x.dtype == torch.float64 else torch.float32
    return cmath.isfinite(x.sum(dtype=dtype).item())
