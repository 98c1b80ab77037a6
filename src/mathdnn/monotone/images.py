"""Images through both orders of max pooling, and what torch's own max pooling does with zeros and NaN.

Legend: X an image of one row, its cells given by their bits; first = f(pool(X)), last = pool(f(X)).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.monotone.floats import Format, bits_at, is_nan, text, values_of
from mathdnn.monotone.functions import Elementwise
from mathdnn.monotone.nondecreasing import pack_bits, ulps_between
from mathdnn.monotone.position import sample_places
from mathdnn.monotone.scan import TILE
from mathdnn.verdict import Counterexample, Equality

if TYPE_CHECKING:
    import torch


def first_of_equals(form: Format) -> bool:
    """Whether torch's max_pool2d returns the first of two zeros of either sign, contiguous and channels last."""
    import torch

    cells = torch.tensor([-0.0, 0.0, 0.0, -0.0], dtype=getattr(torch, form.name), device="cpu")
    return all(bool((p.signbit() == image[..., ::2].signbit()).all()) for image, p in _pooled_in_pairs(cells))


def keeps_nan(form: Format, bits: int | None = None) -> bool:
    """Whether torch's max_pool2d gives NaN for a NaN at either end of a window, contiguous and channels last.

    With `bits`, those of the NaN: whether it gives just these.
    """
    import torch

    integer = torch.int32 if form.width == 32 else torch.int16
    nan = form.infinity + (1 << (form.mantissa - 1)) if bits is None else bits
    window = torch.tensor([nan, form.infinity, form.infinity, nan], dtype=integer, device="cpu")
    cells = window.view(getattr(torch, form.name))
    pooled = [p for _, p in _pooled_in_pairs(cells)]
    if bits is None:
        return all(bool(p.isnan().all()) for p in pooled)
    return all(bool((p.contiguous().view(integer) == bits).all()) for p in pooled)


def _pooled_in_pairs(cells: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """An image of the cells, wide enough for a vector body, and its max pool over 1 x 2, in both layouts."""
    import torch

    image = cells.repeat(64).view(1, 1, 1, -1).repeat(1, 32, 2, 1)
    for order in (torch.contiguous_format, torch.channels_last):
        yield image, torch.nn.functional.max_pool2d(image.contiguous(memory_format=order), (1, 2))


def zero_image(f: Elementwise) -> list[int]:
    """A window whose two ways give zeros of two signs: of x < x' with such outputs, pooling last keeps x's zero.

    Tried are -1, 1, the zeros and the extremes first, since they read best, and then a sample of the format.
    """
    one = ((1 << (f.form.width - 2 - f.form.mantissa)) - 1) << f.form.mantissa
    few = np.array([-one - 1, -1, 0, one, -2, 1, f.form.first, f.form.infinity])
    for places in (few, sample_places(f.form)):
        bits = bits_at(places, f.form)
        out = f.on_bits(np.resize(bits, -(-len(bits) // 4096) * 4096))[: len(bits)]
        zero = values_of(out, f.form) == 0
        minus, plus = (bits[zero & sign] for sign in (out < 0, out >= 0))
        for x, z in ((m, p) for m in minus[:4] for p in plus[:4]):
            low, high = values_of(np.array([x, z]), f.form)
            if low != high:
                return [int(x), int(z)] if low < high else [int(z), int(x)]
    return []


def nan_image(f: Elementwise) -> list[int]:
    """A window of two values whose outputs are NaN of the least and the greatest bits, where there are two."""
    bits = bits_at(sample_places(f.form), f.form)
    out = f.on_bits(bits)
    nans = np.flatnonzero(is_nan(out, f.form))
    if not len(nans):
        return []
    return [int(bits[nans[out[nans].argmin()]]), int(bits[nans[out[nans].argmax()]])]


def in_the_body(f: Elementwise, cells: list[int], ways: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether the two ways give what the vector body gives for this window, over and over."""
    whole = both_ways(f, cells, TILE, len(cells))
    return all(bool((one == body[: len(one)]).all()) for one, body in zip(ways, whole, strict=True))


def both_ways(f: Elementwise, cells: list[int], copies: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """The bits of f(pool(X)) and pool(f(X)) for X the cells repeated in one row, through torch's max_pool2d."""
    image = np.tile(np.array(cells, f.form.integer), copies)
    first = f.on_bits(max_pool(image, window, f.form))
    last = max_pool(f.on_bits(image), window, f.form)
    return first, last


def max_pool(bits: np.ndarray, window: int, form: Format) -> np.ndarray:
    """torch's max_pool2d with a window of one row, on a row of values given by their bits."""
    import torch

    integer = torch.int32 if form.width == 32 else torch.int16
    x = torch.from_numpy(np.ascontiguousarray(bits)).view(getattr(torch, form.name)).view(1, 1, 1, -1)
    pooled: np.ndarray = torch.nn.functional.max_pool2d(x, (1, window)).reshape(-1).view(integer).numpy()
    return pooled


def differ(first: np.ndarray, last: np.ndarray, form: Format, equality: Equality, *, nan: bool = False) -> np.ndarray:
    """The cells where the two ways differ; with `nan`, by the bits of a NaN too."""
    unequal = first != last if equality is Equality.BITWISE else values_of(first, form) != values_of(last, form)
    return np.flatnonzero(unequal & (nan | ~(is_nan(first, form) & is_nan(last, form))))


def shown_by(
    f: Elementwise, cells: list[int], window: int, first: np.ndarray, last: np.ndarray, at: int, data: dict[str, Any]
) -> Counterexample:
    """The counterexample: an image whose two ways differ at the cell `at`."""
    a, b = int(first[at]), int(last[at])
    nans = int(is_nan(np.array([a, b], f.form.integer), f.form).sum())
    ulps = ulps_between(a, b, f.form)
    apart = f"{ulps:,} unit{'s' * (ulps != 1)} in the last place apart"
    apart = (apart, "one of them NaN", "NaN of other bits")[nans]
    same = len(set(cells)) == 1
    shown = f"all {text(cells[0], f.form)}" if same else ", ".join(text(c, f.form) for c in cells[:window])
    statement = (
        f"the 1x{len(cells)} image of windows [{shown}] under a 1x{window} max pool: pooling first gives "
        f"{text(a, f.form)}, pooling last {text(b, f.form)} at cell {at}, {apart}"
    )
    return Counterexample(
        statement,
        {"image": pack_bits(np.array(cells).reshape(1, 1, 1, -1), f.form), "window": [1, window]},
        {"pooling_first": pack_bits(first.reshape(1, 1, 1, -1), f.form)},
        {"pooling_last": pack_bits(last.reshape(1, 1, 1, -1), f.form)},
        {**data, "kind": "two orders of pooling", "cell": at},
    )
