"""Problem 1: finite differences as a convolution.

i, j: row and column (1-based); X is m x n, out-of-range X is 0; Y is 2 x m x n:

    Y1[i,j] = X[i+1,j] - X[i,j]        Y2[i,j] = X[i,j+1] - X[i,j]

One input channel, two output channels, 3x3 filters, stride 1, zero padding 1. The layer computes
Y[l,i,j] = sum_ab w[l,a,b] X[i+a-2, j+b-2], so the taps belong at (2,2),(3,2) and (2,2),(2,3). The solution has them at
(1,1),(2,1) and (1,1),(1,2): it forgets the padding, and its layer computes the target shifted by (1,1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathdnn.homework.claim import SIGNS, Claim, Finding, Picture
from mathdnn.homework.combine import all_of
from mathdnn.verdict import Status, Verdict

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

    from mathdnn.homework.resources import Resources

TITLE = "Finite differences as a convolution"
INTRODUCTION = (
    "The differences of an image between neighbouring rows and neighbouring columns are linear and the same "
    "everywhere, "
    "so a convolution computes them. The solution's kernels forget the padding: they compute the right differences in "
    "the wrong place."
)

SOLUTION = (((-1, 0, 0), (1, 0, 0), (0, 0, 0)), ((-1, 1, 0), (0, 0, 0), (0, 0, 0)))
CORRECTED = (((0, 0, 0), (0, -1, 0), (0, 1, 0)), ((0, 0, 0), (0, -1, 1), (0, 0, 0)))
SIZES = ((1, 1), (1, 5), (5, 1), (2, 2), (7, 6), (28, 28))


def finite_differences(image: Float[torch.Tensor, "n 1 h w"]) -> Float[torch.Tensor, "n 2 h w"]:
    """The target, written as the formula reads."""
    import torch
    from torch.nn.functional import pad

    down, right = pad(image, (0, 0, 0, 1)), pad(image, (0, 1, 0, 0))
    return torch.cat([down[..., 1:, :] - image, right[..., :, 1:] - image], dim=1)


def layer(kernels: tuple[tuple[tuple[int, ...], ...], ...], padding: tuple[int, int, int, int]) -> torch.nn.Module:
    """A convolution with these kernels and no bias, on zeros padded (left, right, top, bottom)."""
    import torch

    conv = torch.nn.Conv2d(1, 2, 3, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor(kernels, dtype=torch.float32)[:, None])
    return torch.nn.Sequential(torch.nn.ZeroPad2d(padding), conv)


def _compare(
    kernels: tuple[tuple[tuple[int, ...], ...], ...], padding: tuple[int, int, int, int], claim: str
) -> Verdict:
    """Equality with the target for each size of `SIZES`: all of them, or the first that is not shown."""
    from mathdnn.convolution import equal_maps

    verdicts = []
    for height, width in SIZES:
        case = f"{claim}, on {height} x {width} images"
        verdicts.append(
            equal_maps(finite_differences, layer(kernels, padding), (1, height, width), claim=case, batched=True)
        )
        if verdicts[-1].status is not Status.PROVED:
            break
    return all_of(f"{claim}, on images of {len(SIZES)} sizes from 1 x 1 to 28 x 28", verdicts)


def _found(verdict: Verdict) -> str:
    if verdict.status is Status.PROVED:
        return f"equal as linear maps, exactly, borders included, on images of {len(SIZES)} sizes"
    return str(verdict.evidence)


def _kernel_picture(caption: str, kernels: tuple[tuple[tuple[int, ...], ...], ...]) -> Picture:
    images = [
        {"title": title, "pixels": [[float(value) for value in row] for row in kernel], "diverging": True}
        for title, kernel in zip(("w₁ (rows)", "w₂ (columns)"), kernels, strict=True)
    ]
    return Picture("images", caption, {"images": images, "columns": 2})


def decide_solution(resources: Resources) -> Finding:
    verdict = _compare(
        SOLUTION, (1, 1, 1, 1), "with zero padding 1, the solution's kernels compute the finite differences"
    )
    found = str(verdict.evidence)
    if verdict.status is Status.REFUTED:
        found = found.replace("the first gives", "the differences are").replace("and the second", "and the layer gives")
        found += (
            " The layer computes X[i, j-1] - X[i-1, j-1] (and its mirror): the target shifted by (1, 1). "
            "The corrected kernels have their taps at (2,2), (3,2) and (2,2), (2,3)."
        )
    pictures = (_kernel_picture("The solution's kernels: right differences, one row and one column off.", SOLUTION),)
    return Finding(found, verdict, pictures)


def decide_corrected(resources: Resources) -> Finding:
    verdict = _compare(
        CORRECTED, (1, 1, 1, 1), "with zero padding 1, the corrected kernels compute the finite differences"
    )
    pictures = (
        _kernel_picture("The corrected kernels for zero padding 1.", CORRECTED),
        _differences_of_a_digit(resources),
    )
    return Finding(_found(verdict), verdict, pictures)


def decide_without_top_left(resources: Resources) -> Finding:
    claim = "without padding at the top and the left (2 at the bottom and the right), the solution's kernels are right"
    verdict = _compare(SOLUTION, (0, 2, 0, 2), claim)
    return Finding(_found(verdict), verdict)


def _differences_of_a_digit(resources: Resources) -> Picture:
    import torch

    digit = torch.from_numpy(resources.data.train.images[0]).float()[None, None] / 255
    rows, columns = finite_differences(digit)[0]
    images = [
        {"title": "X", "pixels": digit[0, 0].tolist(), "diverging": False},
        {"title": "Y₁ = X[i+1,j] - X[i,j]", "pixels": rows.tolist(), "diverging": True},
        {"title": "Y₂ = X[i,j+1] - X[i,j]", "pixels": columns.tolist(), "diverging": True},
    ]
    return Picture("images", f"A digit and its finite differences. {SIGNS}", {"images": images, "columns": 3})


_HOW = (
    "both sides are traced and shown to be affine, then compared in exact rational arithmetic on every pixel of "
    "images of "
    f"{len(SIZES)} sizes from 1x1 to 28x28"
)

CLAIMS = (
    Claim(
        1,
        "1.solution-kernels",
        "The solution's kernels, padding 1",
        (
            "With 3x3 filters, stride 1 and zero padding 1, taps at (1,1),(2,1) and (1,1),(1,2) compute the finite "
            "differences."
        ),
        "claimed right",
        _HOW,
        Status.REFUTED,
        decide_solution,
    ),
    Claim(
        1,
        "1.corrected-kernels",
        "The corrected kernels",
        "With the taps at (2,2),(3,2) and (2,2),(2,3) the layer computes the finite differences.",
        "not given",
        _HOW,
        Status.PROVED,
        decide_corrected,
    ),
    Claim(
        1,
        "1.without-top-left",
        "Where the solution would be right",
        "Without padding at the top and the left, the solution's kernels compute the finite differences.",
        "not given",
        _HOW,
        Status.PROVED,
        decide_without_top_left,
    ),
)
