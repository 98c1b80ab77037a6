"""The multiply-adds that a LeNet-5 cannot do without, for the roofline.

forward       every layer's, the zeros of C1's padding left out
a step        forward, the gradient by each layer's weights, and by each layer's input but the images
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mathdnn.lenet import count

if TYPE_CHECKING:
    from mathdnn.lenet import LeNet5


def forward(model: LeNet5) -> float:
    """Floating-point operations an image; a multiply-add is two."""
    return 2.0 * (count(model).multiply_adds - _zeros(model))


def step(model: LeNet5) -> float:
    """Floating-point operations an image of a training step."""
    first = count(model).rows[0].multiply_adds or 0
    return 3 * forward(model) - 2.0 * (first - _zeros(model))


def _zeros(model: LeNet5) -> int:
    """C1's multiply-adds with padding."""
    c1: Any = model.c1
    row = count(model).rows[0]
    inside: int = c1.out_channels
    for size, taps, pad in zip(row.output_shape[1:], c1.kernel_size, c1.padding, strict=True):
        inside *= sum(pad <= position + tap < size + pad for position in range(size) for tap in range(taps))
    return (row.multiply_adds or 0) - inside
