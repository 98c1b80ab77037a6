"""Where tensors lie in memory: numbers that are trained apart must not be the same ones.

    the places of a tensor   first + sum_k i_k stride_k,  0 <= i_k < size_k
    its span                 from the first of them to the end of the last

Two tensors with spans apart share nothing; two combs that lie between each other's teeth count as sharing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def share_memory(written: Sequence[torch.Tensor], read: Sequence[torch.Tensor] = ()) -> bool:
    """Whether one of `written` may share a number with itself, with another one or with one of `read`."""
    if any(map(_meets_itself, written)):
        return True
    spans = [(*_span(tensor), write) for write, group in ((True, written), (False, read)) for tensor in group]
    end, written_end = 0, 0
    for first, last, write in sorted(span for span in spans if span[0] < span[1]):
        if first < (end if write else written_end):
            return True
        end, written_end = max(end, last), max(written_end, last if write else 0)
    return False


def repeats(tensor: torch.Tensor) -> bool:
    """Whether one number stands for many, as `expand` makes it: torch then refuses to write there."""
    return any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))


def _meets_itself(tensor: torch.Tensor) -> bool:
    """Unless each step is longer than all shorter ones together reach, two places may be one."""
    reach = 0
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride <= reach:
            return True
        reach += stride * max(size - 1, 0)
    return False


def _span(tensor: torch.Tensor) -> tuple[int, int]:
    """The address of the first byte, and the one behind the last; equal where there is none."""
    first = tensor.data_ptr()
    if tensor.numel() == 0:
        return first, first
    steps = sum(stride * (size - 1) for stride, size in zip(tensor.stride(), tensor.shape, strict=True))
    return first, first + (steps + 1) * tensor.element_size()
