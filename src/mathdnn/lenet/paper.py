"""LeNet-5 as the paper of 1998 describes it, with its own pooling, squashing, output codes and losses.

    32x32 -> C1 -> S2 -> C3 (Table I) -> S4 -> C5 -> F6 -> ten distances       each but the last followed by A tanh(S a)

    S:  a = c[m] * (sum of 4 pixels) + b[m]          c, b trained, one of each for a map m
    f(a) = A tanh(S a),  A = 1.7159, S = 2/3         so that f(1) = 1 and f(-1) = -1 to four digits (appendix A)
    output:  y_i = sum_j (x_j - w_ij)^2              w_ij = ±1 fixed, digit i drawn in 7 x 12 pixels (equation 7)
    loss:    E = mean of  y_D   or   y_D + log(e^-j + sum_i e^-y_i),   D the right class (equations 8 and 9)

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition" (1998), sections II.B
and II.C. 60,000 trainable parameters, 340,908 connections. Weights start uniform in ±2.4 / fan-in (appendix A), fan-in
being what one unit reads without its bias; the paper leaves the constant j open, so there is no default for it here.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mathdnn.errors import InvalidInput, sentence
from mathdnn.lenet.digits import HEIGHT, WIDTH, digit_codes
from mathdnn.lenet.table import ConnectionTable
from mathdnn.lenet.table_conv import TableConv2d

if TYPE_CHECKING:
    from jaxtyping import Float, Int

BACKGROUND = -0.1  # the paper's pixel for white paper; ink is 1.175, so that a mean image has mean 0 and variance 1


class ScaledTanh(nn.Module):
    """f(a) = 1.7159 tanh(2a/3), elementwise."""

    def forward(self, a: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return 1.7159 * torch.tanh(a * (2 / 3))


class PadTo32(nn.Module):
    """28 x 28 images get two pixels of background (-0.1) on each side; 32 x 32 images pass."""

    def forward(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 32 32"]:
        if tuple(x.shape[1:]) not in ((1, 28, 28), (1, 32, 32)):
            expected = "images of shape (n, 1, 32, 32) or (n, 1, 28, 28)"
            got = f"shape {tuple(x.shape)}"
            raise InvalidInput(sentence("LeNet5_1998.forward(x)", expected, got, "reshape or resize"))
        return x if x.shape[-1] == 32 else F.pad(x, (2, 2, 2, 2), value=BACKGROUND)


class Subsample(nn.Module):
    """a = c[m] * (sum of 2 x 2 pixels) + b[m], without overlap; `coefficient` c and `bias` b, one for each map m."""

    def __init__(self, channels: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None):
        super().__init__()
        self.channels = channels
        self.coefficient = nn.Parameter(torch.empty(channels, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(channels, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw coefficients and biases uniformly in ±2.4 / 4: a unit sums four pixels."""
        _draw(self, 4, generator)

    def forward(self, x: Float[Tensor, "n m h w"]) -> Float[Tensor, "n m h/2 w/2"]:
        total = 4 * F.avg_pool2d(x, 2)
        return self.coefficient[:, None, None] * total + self.bias[:, None, None]

    def extra_repr(self) -> str:
        return f"{self.channels}"


class DigitDistance(nn.Module):
    """Minus the squared distance to each of the ten codes, so that the largest score is the answer.

    The codes are a buffer of shape (10, 84), never trained.
    """

    codes: Tensor

    def __init__(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        codes = torch.tensor(digit_codes(), device=device, dtype=dtype or torch.get_default_dtype())
        self.register_buffer("codes", codes)

    def forward(self, x: Float[Tensor, "n 84"]) -> Float[Tensor, "n 10"]:
        return -(x[:, None, :] - self.codes).square().sum(dim=2)


class LeNet5_1998(nn.Sequential):
    """The paper's network: images (n, 1, 32, 32), or (n, 1, 28, 28) padded with background, pixels -0.1 .. 1.175.

    Returns ten scores (n, 10), each **minus** the paper's output y_i: the largest is the answer, as everywhere in
    torch, and cross-entropy of the scores is the competitive loss with j = infinity. `rbf_loss` takes the scores.
    """

    input_shape = (1, 32, 32)

    def __init__(
        self,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        layers: dict[str, nn.Module] = {  # what leaves the layer, for each image
            "pad": PadTo32(),  # 1, 32, 32
            "c1": nn.Conv2d(1, 6, 5, **at),  # 6, 28, 28
            "c1_squash": ScaledTanh(),
            "s2": Subsample(6, **at),  # 6, 14, 14
            "s2_squash": ScaledTanh(),
            "c3": TableConv2d(ConnectionTable.lenet(), 5, **at),  # 16, 10, 10
            "c3_squash": ScaledTanh(),
            "s4": Subsample(16, **at),  # 16, 5, 5
            "s4_squash": ScaledTanh(),
            "c5": nn.Conv2d(16, 120, 5, **at),  # 120, 1, 1
            "c5_squash": ScaledTanh(),
            "flatten": nn.Flatten(),  # 120
            "f6": nn.Linear(120, WIDTH * HEIGHT, **at),  # 84
            "f6_squash": ScaledTanh(),
            "output": DigitDistance(**at),  # 10
        }
        super().__init__(OrderedDict(layers))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every weight and bias uniformly in ±2.4 / fan-in of its unit."""
        for layer in self:
            if isinstance(layer, TableConv2d):
                _draw_table(layer, generator)
            elif isinstance(layer, nn.Conv2d | nn.Linear):
                _draw(layer, layer.weight[0].numel(), generator)
            elif isinstance(layer, Subsample):
                layer.reset_parameters(generator)


def rbf_loss(scores: Float[Tensor, "n 10"], labels: Int[Tensor, " n"], j: float | None = None) -> Float[Tensor, ""]:
    """The mean of y_D, or with `j` of y_D + log(e^-j + sum_i e^-y_i), where y = -scores.

    The second form is never negative where e^-j >= 0 joins the sum, and pushes wrong classes away until they are about
    j far. Summed by logsumexp: no term overflows. Raises `InvalidInput` for labels that are no class of each image, and
    for a `j` that is not finite.
    """
    if j is not None and not _is_finite(j):
        got, do = f"{j!r:.40}", "use cross-entropy for j = inf"
        raise InvalidInput(sentence("rbf_loss(j=...)", "a finite number or None", got, do))
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not whole:
        got = f"{labels.dtype} of shape {tuple(labels.shape)} for scores of shape {tuple(scores.shape)}"
        raise InvalidInput(sentence("rbf_loss(labels)", "a whole number for each image", got, "give one class each"))
    try:
        right = -scores.gather(1, labels[:, None].long()).squeeze(1)
    except (IndexError, RuntimeError) as error:
        got, do = f"the answer {str(error).splitlines()[0]!r:.120}", "correct the labels"
        expected = f"classes 0 to {scores.shape[1] - 1}"
        raise InvalidInput(sentence("rbf_loss(labels)", expected, got, do)) from error
    if j is None:
        return right.mean()
    rest = torch.full_like(scores[:, :1], -j)
    return (right + torch.logsumexp(torch.cat([rest, scores], dim=1), dim=1)).mean()


def _is_finite(j: Any) -> bool:
    try:
        return math.isfinite(j)
    except (TypeError, ValueError, OverflowError):
        return False


@torch.no_grad()
def _draw(layer: nn.Module, fan_in: int, generator: torch.Generator | None = None) -> None:
    for parameter in layer.parameters():
        parameter.uniform_(-2.4 / fan_in, 2.4 / fan_in, generator=generator)


@torch.no_grad()
def _draw_table(layer: TableConv2d, generator: torch.Generator | None) -> None:
    """Each output map has its own fan-in: the maps it reads times the taps of a filter."""
    taps = layer.weight[0].numel()
    bound = torch.tensor([2.4 / (maps * taps) for maps in layer.table.fan_in]).to(layer.weight)
    layer.weight.uniform_(-1, 1, generator=generator).mul_(bound[layer.edge[:, 0], None, None])
    if layer.bias is not None:
        layer.bias.uniform_(-1, 1, generator=generator).mul_(bound)
