"""Problem 3: RGB to grey.

c: channel (red, green, blue); Y[i,j] = 0.299 X[1,i,j] + 0.587 X[2,i,j] + 0.114 X[3,i,j], which is a 1x1 convolution
from three channels to one with those weights and no bias (the luma of ITU-R BT.601).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathdnn.homework.claim import Claim, Finding, Picture
from mathdnn.verdict import Status

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

    from mathdnn.homework.resources import Resources

TITLE = "Colour to grey"
INTRODUCTION = (
    "The grey value of a pixel is a weighted sum of its three colours, the same at every pixel. "
    "That is a convolution whose kernel is one pixel wide."
)

WEIGHTS = (0.299, 0.587, 0.114)


def grey(image: Float[torch.Tensor, "n 3 h w"]) -> Float[torch.Tensor, "n 1 h w"]:
    """The target, written as the formula reads."""
    red, green, blue = image[:, 0:1], image[:, 1:2], image[:, 2:3]
    return WEIGHTS[0] * red + WEIGHTS[1] * green + WEIGHTS[2] * blue


def layer() -> torch.nn.Module:
    """The 1x1 convolution, in double precision so that its weights are the numbers of the formula."""
    import torch

    conv = torch.nn.Conv2d(3, 1, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor(WEIGHTS, dtype=torch.float64)[None, :, None, None])
    return conv


def decide(resources: Resources) -> Finding:
    import torch

    from mathdnn.convolution import equal_maps

    claim = (
        "the 1x1 convolution with weights (0.299, 0.587, 0.114) and no bias computes the grey image, on 5 x 4 images"
    )
    verdict = equal_maps(grey, layer(), (3, 5, 4), dtype=torch.float64, claim=claim, batched=True)
    found = "equal as linear maps, exactly" if verdict.status is Status.PROVED else str(verdict.evidence)
    return Finding(found, verdict, (_colour_wheel(),))


def _colour_wheel() -> Picture:
    """Every hue by angle, paler towards the middle, with its channels and its grey version; `grey` itself makes it."""
    import torch

    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 48), indexing="ij")
    angle, radius = torch.atan2(y, x), torch.hypot(x, y).clamp(max=1)
    turns = (torch.tensor([0.0, 1.0, 2.0]) / 3 * 2 * torch.pi)[:, None, None]
    image = (1 - radius * (0.5 - 0.5 * torch.cos(angle - turns)))[None].round(decimals=3)
    images = [{"title": "X", "pixels": image[0].permute(1, 2, 0).flatten(1).tolist(), "colour": True}]
    images += [
        {"title": name, "pixels": image[0, place].tolist(), "light": True}
        for place, name in enumerate(("red", "green", "blue"))
    ]
    images.append({"title": "grey, Y", "pixels": grey(image)[0, 0].tolist(), "light": True})
    return Picture("images", "A picture with every hue, its channels and its grey.", {"images": images, "columns": 5})


CLAIMS = (
    Claim(
        3,
        "3.grey",
        "Grey conversion",
        "A 1x1 convolution with weights (0.299, 0.587, 0.114) and no bias turns colour into grey.",
        "claimed right",
        "both sides are traced and shown to be linear, then compared in exact rational arithmetic",
        Status.PROVED,
        decide,
    ),
)
