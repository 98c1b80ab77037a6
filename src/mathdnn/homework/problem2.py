"""Problem 2: average pooling as a convolution.

k: window; C: channels; l, g: output and input channel; k divides the height m and the width n. AvgPool2d(k) equals the
convolution with kernel k, stride k, padding 0, no bias and

    w[l,g,a,b] = 1/k^2 if g = l else 0

and its grouped form (groups = C) with every weight 1/k^2. The output is (m/k) x (n/k).
1/k^2 is a rational number, and the equality is exact over the reals. A layer holds the float nearest to 1/k^2: the same
for k a power of two, and otherwise off by a rounding; that question is asked apart.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mathdnn.homework.claim import Claim, Finding, Picture
from mathdnn.homework.combine import all_of
from mathdnn.verdict import Assumption, Counterexample, Status, Verdict, refuted

if TYPE_CHECKING:
    import torch

    from mathdnn.convolution import ConvForm
    from mathdnn.homework.resources import Resources

TITLE = "Average pooling as a convolution"
INTRODUCTION = (
    "Averaging over windows is a convolution whose stride equals its window, with one weight everywhere. "
    "Across channels the weights are the identity, so the depthwise form holds every weight that matters."
)

# (k, C, m, n): windows of one pixel, powers of two and others; one channel and more; one window and several.
CASES = tuple(
    (k, channels, k * rows, k * columns)
    for k in (1, 2, 3, 4, 5, 7)
    for channels, rows, columns in ((1, 1, 1), (3, 2, 3), (4, 3, 1))
)


def average_pool(k: int) -> torch.nn.Module:
    import torch

    return torch.nn.AvgPool2d(k)


def dense(k: int, channels: int) -> ConvForm:
    """w[l,g,a,b] = 1/k^2 if g = l else 0."""
    from mathdnn.convolution import ConvForm

    def window(same: bool) -> list[list[Fraction]]:
        return [[Fraction(int(same), k * k)] * k for _ in range(k)]

    return ConvForm.of([[window(g == l) for g in range(channels)] for l in range(channels)], stride=k)  # noqa: E741


def depthwise(k: int, channels: int) -> ConvForm:
    """groups = C, every weight 1/k^2."""
    from mathdnn.convolution import ConvForm

    return ConvForm.of([[[[Fraction(1, k * k)] * k] * k]] * channels, stride=k, groups=channels)


def _over_cases(claim: str, form, *, rounded: bool = False) -> Verdict:  # type: ignore[no-untyped-def]
    from mathdnn.convolution import equal_maps

    verdicts = []
    for k, channels, height, width in CASES:
        right = form(k, channels).to_module() if rounded else form(k, channels)
        case = f"{claim}, for k = {k}, C = {channels}, {height} x {width}"
        verdicts.append(equal_maps(average_pool(k), right, (channels, height, width), claim=case, rounded=rounded))
    return all_of(f"{claim}, in {len(CASES)} cases of k, C, m and n", verdicts)


def decide_dense(resources: Resources) -> Finding:
    verdict = _over_cases("AvgPool2d(k) is the convolution with w[l,g] = 1/k^2 if g = l else 0, stride k", dense)
    return Finding(_found(verdict), verdict, (_kernels(),))


def decide_depthwise(resources: Resources) -> Finding:
    verdict = _over_cases("AvgPool2d(k) is the depthwise convolution with every weight 1/k^2, stride k", depthwise)
    return Finding(_found(verdict), verdict)


def decide_rounded(resources: Resources) -> Finding:
    claim = "the float32 layer holds, for every weight of AvgPool2d(k), the nearest float32"
    verdict = _over_cases(claim, depthwise, rounded=True)
    return Finding(_found(verdict) + "; for k = 1, 2, 4 that is the weight itself", verdict)


def _found(verdict: Verdict) -> str:
    if verdict.status is Status.PROVED:
        return f"equal on all {len(CASES)} cases of k, C, m and n"
    return str(verdict.evidence)


def decide_size(resources: Resources) -> Finding:
    """floor((m - k + 0)/k + 1) = m/k where k | m: by m = k q it reads floor(q - 1 + 1) = q, an identity in q."""
    import torch

    from mathdnn.homework.algebra import letter, prove_identity

    claim = "the convolution's output is m/k x n/k"
    k, q = letter("k"), letter("q")
    size = Assumption("a convolution's output has floor((m - k)/k + 1) rows", "torch's Conv2d; every case ran to it")
    words = "with m = k q: m - k = k (q - 1), so floor((m - k)/k + 1) = q"
    identity = prove_identity(words, k * q - k, k * (q - 1), assumptions=(size,))
    for window, channels, height, width in CASES:
        seen = tuple(depthwise(window, channels).to_module()(torch.zeros(1, channels, height, width)).shape[2:])
        if seen != (height // window, width // window):
            case = {"k": window, "m": height, "n": width}
            wanted = [height // window, width // window]
            statement = f"For k = {window} a {height} x {width} image gives {seen[0]} x {seen[1]}."
            return Finding(statement, refuted(claim, Counterexample(statement, case, wanted, list(seen))))
    return Finding(f"m/k x n/k, by the formula and on all {len(CASES)} cases", all_of(claim, [identity]))


def _kernels() -> Picture:
    images = [
        {"title": f"k = {k}, 1/{k * k}", "pixels": [[1 / (k * k)] * k for _ in range(k)], "diverging": True}
        for k in (2, 3, 4)
    ]
    return Picture("images", "The kernel of each window, for its own channel.", {"images": images, "columns": 3})


_HOW = (
    f"both sides are traced, shown to be linear, and compared in exact rational arithmetic, for {len(CASES)} cases: "
    "k of 1, 2, 3, 4, 5, 7 and C of 1, 3, 4"
)

CLAIMS = (
    Claim(
        2,
        "2.average-pool",
        "Average pooling is a convolution",
        (
            "AvgPool2d(k) equals the convolution with kernel k, stride k, no padding, no bias, w = 1/k² where l = g, "
            "else 0."
        ),
        "claimed right",
        _HOW,
        Status.PROVED,
        decide_dense,
    ),
    Claim(
        2,
        "2.depthwise",
        "The grouped form",
        "With groups = C, every weight is 1/k².",
        "claimed right",
        _HOW,
        Status.PROVED,
        decide_depthwise,
    ),
    Claim(
        2,
        "2.output-size",
        "The size of the output",
        "An m x n image gives m/k x n/k.",
        "m/k x n/k",
        "the size formula as an identity, and the layer's own output in every case",
        Status.PROVED,
        decide_size,
    ),
    Claim(
        2,
        "2.float-weights",
        "The layer as floats",
        "A float32 layer holds the nearest float to each weight 1/k².",
        "not discussed",
        _HOW + "; each weight against the nearest float32 to the exact one",
        Status.PROVED,
        decide_rounded,
    ),
)
