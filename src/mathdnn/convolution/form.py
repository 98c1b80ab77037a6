"""A convolution as a value: exact weights, stride, padding on four sides, padding mode, dilation, groups.

n: sample, l: output channel, g: input channel of the group, a, b: place in the kernel; X is the padded input

    Y[n,l,i,j] = bias[l] + sum_{g,a,b} weight[l,g,a,b] X[n, g, s i + d a, t j + e b]        (cross-correlation, no flip)

with stride (s, t) and dilation (d, e). A transposed one (`transposed`) puts its kernel down at every pixel instead:

    Y[n,l,i,j] = bias[l] + sum_{g,y,x,a,b: s y + d a - p = i, t x + e b - q = j} weight[g,l,a,b] X[n,g,y,x]

for the (p, q) rows and columns of padding, which are cut off, over all y, x where X goes on (zeros: not at all). Its
attributes are those of torch's ConvTranspose2d, with a padding for each side. `flipped` gives a form in the other
convention, where the kernel is written turned by half a turn, as in mathematics and signal processing:
Y = bias + flipped * X.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.convolution.checked import constants, exactly, padding_of, pair, values
from mathdnn.convolution.rational import nearest
from mathdnn.errors import InvalidInput, is_whole, sentence

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

    from mathdnn.verdict import Plain

Kernel = tuple[tuple[tuple[tuple[Fraction, ...], ...], ...], ...]
Pair = tuple[int, int]
MODES = ("zeros", "reflect", "replicate", "circular")
_TORCH_MODE = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


def _require_format(who: str, dtype: str) -> None:
    if dtype not in ("float64", "float32", "float16"):
        expected = "float64, float32 or float16"
        raise InvalidInput(sentence(f"ConvForm.{who}(dtype=...)", expected, f"{dtype!r:.60}", "choose one of them"))


@dataclass(frozen=True)
class ConvForm:
    """A convolution, or a transposed one, with exact rational weights.

    `exact`: weights (out, in / groups, kernel height, kernel width), for a transposed one (in, out / groups, height,
    width); `exact_bias`: one for each output, or None; `padding`: ((top, bottom), (left, right)) pixels;
    `padding_mode`: zeros, reflect, replicate or circular; `output_padding`: rows and columns more, if transposed.
    Build one from numbers with `ConvForm.of`, from a layer with `ConvForm.from_module`.
    """

    exact: Kernel
    exact_bias: tuple[Fraction, ...] | None = None
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    padding_mode: str = "zeros"
    dilation: Pair = (1, 1)
    groups: int = 1
    transposed: bool = False
    output_padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        if self.padding_mode not in MODES:
            raise InvalidInput(
                sentence(
                    "ConvForm(padding_mode=...)",
                    " or ".join(MODES),
                    f"{self.padding_mode!r:.60}",
                    "choose one of these",
                )
            )
        if not is_whole(self.groups) or self.groups < 1 or not self.exact or len(self.exact) % self.groups:
            side = "input" if self.transposed else "output"
            raise InvalidInput(
                sentence(
                    "ConvForm(groups=...)",
                    f"a positive divisor of the {side} channels",
                    f"{self.groups!r:.60} with {len(self.exact)} {side} channels",
                    f"give every group the same number of {side}s",
                )
            )
        if not self.transposed and any(self.output_padding):
            raise InvalidInput(
                sentence(
                    "ConvForm(output_padding=...)",
                    "none for a convolution that is not transposed",
                    f"{self.output_padding}",
                    "say transposed=True, or leave it out",
                )
            )
        if self.exact_bias is not None and len(self.exact_bias) != self.out_channels:
            raise InvalidInput(
                sentence(
                    "ConvForm(bias=...)",
                    f"{self.out_channels} numbers, one for each output channel",
                    f"{len(self.exact_bias)}",
                    "give one for each",
                )
            )

    @classmethod
    def of(
        cls,
        weight: Any,
        bias: Any = None,
        *,
        stride: int | Pair = 1,
        padding: int | Pair | tuple[Pair, Pair] = 0,
        padding_mode: str = "zeros",
        dilation: int | Pair = 1,
        groups: int = 1,
        transposed: bool = False,
        output_padding: int | Pair = 0,
    ) -> ConvForm:
        """From nested lists, an array or a tensor of shape (out, in / groups, h, w); numbers are taken exactly.

        `padding`: one number, (height, width), or ((top, bottom), (left, right)); `transposed`: a transposed
        convolution, with weights of shape (in, out / groups, h, w). Raises `InvalidInput`.
        """
        array = values(weight, "ConvForm.of(weight)")
        if array.ndim != 4 or array.size == 0:
            raise InvalidInput(
                sentence(
                    "ConvForm.of(weight)",
                    "numbers of shape (out, in / groups, h, w)",
                    f"shape {array.shape}",
                    "reshape them",
                )
            )
        exact = tuple(
            tuple(tuple(tuple(exactly(v) for v in row) for row in plane) for plane in filters) for filters in array
        )
        steps, more = (
            (pair(stride, "stride", 1), pair(dilation, "dilation", 1)),
            pair(output_padding, "output_padding", 0),
        )
        offsets, sides = constants(bias, "ConvForm(bias=...)"), padding_of(padding)
        return cls(exact, offsets, steps[0], sides, padding_mode, steps[1], groups, transposed, more)

    @classmethod
    def from_module(cls, layer: torch.nn.Module) -> ConvForm:
        """The exact form of an `nn.Conv2d` or `nn.ConvTranspose2d`: its float weights as the rationals they are.

        Also of what `to_module` gives: an `nn.Sequential` of a pad before and a crop behind. Raises `InvalidInput` for
        any other module, and for one with hooks, with a forward of its own, or without values.
        """
        from mathdnn.convolution.layer import from_module

        return from_module(layer)

    @property
    def out_channels(self) -> int:
        return len(self.exact[0]) * self.groups if self.transposed else len(self.exact)

    @property
    def in_channels(self) -> int:
        return len(self.exact) if self.transposed else len(self.exact[0]) * self.groups

    @property
    def kernel_size(self) -> Pair:
        return len(self.exact[0][0]), len(self.exact[0][0][0])

    @property
    def extent(self) -> Pair:
        """Height and width of the window in pixels, dilation included."""
        (d, e), (kh, kw) = self.dilation, self.kernel_size
        return d * (kh - 1) + 1, e * (kw - 1) + 1

    def array(self) -> Float[np.ndarray, "out in h w"]:
        """The weights as nearest float64."""
        return np.array(self.exact, dtype=np.float64)

    @property
    def weight(self) -> Float[torch.Tensor, "out in h w"]:
        """The weights as nearest float32, as an `nn.Conv2d` holds them."""
        return self._nearest("float32")[0]

    @property
    def bias(self) -> Float[torch.Tensor, " out"] | None:
        """The bias as nearest float32, or None."""
        return self._nearest("float32")[1]

    def _nearest(self, dtype: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        import torch

        def tensor(values: list[Fraction]) -> torch.Tensor:
            return torch.from_numpy(np.array([nearest(value, dtype) for value in values], dtype=dtype))

        shape = (len(self.exact), len(self.exact[0]), *self.kernel_size)
        bias = None if self.exact_bias is None else tensor(list(self.exact_bias))
        return tensor(self.flat()).reshape(shape), bias

    def flat(self) -> list[Fraction]:
        """All weights in the order of `exact`."""
        return [value for filters in self.exact for plane in filters for row in plane for value in row]

    def is_exact_in(self, dtype: str = "float32") -> bool:
        """Whether every weight and bias is a number of that float format (float64, float32 or float16), so that no
        rounding is needed. Raises `InvalidInput` for another format."""
        _require_format("is_exact_in", dtype)
        return all(Fraction(float(nearest(v, dtype))) == v for v in [*self.flat(), *(self.exact_bias or ())])

    def rounded(self, dtype: str = "float32") -> ConvForm:
        """The form that a layer of that float format (float64, float32 or float16) holds: every number replaced by the
        nearest float. Raises `InvalidInput` for another format."""
        _require_format("rounded", dtype)

        def near(value: Fraction) -> Fraction:
            return Fraction(float(nearest(value, dtype)))

        exact = tuple(
            tuple(tuple(tuple(map(near, row)) for row in plane) for plane in filters) for filters in self.exact
        )
        return replace(
            self, exact=exact, exact_bias=None if self.exact_bias is None else tuple(map(near, self.exact_bias))
        )

    @property
    def flipped(self) -> Kernel:
        """The kernel in the convention with flip (mathematics, signal processing): turned by half a turn."""
        return tuple(tuple(tuple(row[::-1] for row in plane[::-1]) for plane in filters) for filters in self.exact)

    def output_size(self, height: int, width: int) -> Pair:
        """Output height and width for an input of that size: floor((H + pads - d (k - 1) - 1) / s) + 1, and for a
        transposed form s (H - 1) + d (k - 1) + 1 - pads + output padding."""
        sizes = []
        for axis, size in enumerate((height, width)):
            if self.transposed:
                less = sum(self.padding[axis]) - self.output_padding[axis]
                sizes.append(self.stride[axis] * (size - 1) + self.extent[axis] - less)
                continue
            sizes.append((size + sum(self.padding[axis]) - self.extent[axis]) // self.stride[axis] + 1)
        return sizes[0], sizes[1]

    def to_module(self, dtype: torch.dtype | None = None) -> torch.nn.Module:
        """The same layer in torch: an `nn.Conv2d`, after a pad where the padding differs between sides; an
        `nn.ConvTranspose2d` for a transposed form, with a pad before or a crop behind where it needs one."""
        from mathdnn.convolution.module import to_module

        return to_module(self, dtype)

    def __call__(self, image: Float[torch.Tensor, "*n c h w"]) -> Float[torch.Tensor, "*n o i j"]:
        """The layer's output, computed by torch with the nearest weights of the image's dtype."""
        made: torch.Tensor = self.to_module(image.dtype)(image)
        return made

    def __str__(self) -> str:
        from mathdnn.convolution.writing import to_text

        return to_text(self)

    def to_latex(self) -> str:
        """The layer as a formula, with its kernels as matrices."""
        from mathdnn.convolution.writing import to_latex

        return to_latex(self)

    def to_plain(self) -> dict[str, Plain]:
        """Plain data; rationals as text ("1/9"), so nothing is lost."""
        from mathdnn.convolution.form_data import to_plain

        return to_plain(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Plain]) -> ConvForm:
        """Read back what `to_plain` wrote. Raises `InvalidInput` for anything else."""
        from mathdnn.convolution.form_data import from_plain

        return from_plain(plain)
