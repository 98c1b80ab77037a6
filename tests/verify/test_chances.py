"""How many random points are drawn: as many as the numbers in a file call for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mathdnn.convolution import as_conv2d, equal_maps
from mathdnn.convolution.trace import trace
from mathdnn.verdict import Status
from mathdnn.verify import chances, verify
from mathdnn.verify.sides import pixels, run

KERNEL = torch.tensor([[[[0.3, -1e-4, 7.25], [1e5, 3e-3, -0.7], [0.1, 0.0, 2.5]]]])
OPERATIONS = {
    "layer": lambda x: F.conv2d(x, KERNEL, torch.tensor([0.1])),
    "two layers": lambda x: F.conv2d(F.conv2d(x, KERNEL) / 7, KERNEL[..., :2, :2] * 3),
    "both ways": lambda x: x / 3 + x / 5 - F.conv2d(x, KERNEL, padding=1) / 11,
    "mean": lambda x: F.avg_pool2d(x, 3, 2) * 0.1,
    "resized": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "computed": lambda x: F.conv2d(x, KERNEL) * (torch.tensor(0.3) + torch.tensor(0.7)),
}


def bits_of(side):
    numbers = chances.Measured(2**31 - 1)
    run(side, np.zeros(pixels(side), np.int64), numbers)
    return numbers.bits


@pytest.mark.parametrize("case", OPERATIONS)
def test_no_coefficient_has_more_bits_than_were_measured(case):
    data = as_conv2d(OPERATIONS[case], (1, 9, 9)).evidence.data
    weights = [Fraction(text) for text in data["right"]["form"]["weight"]["values"]]
    most = max(abs(part).bit_length() - 1 for weight in weights for part in (weight.numerator, weight.denominator))
    assert all(most <= bits_of(side) for side in (data["left"], data["right"]))


def test_different_divisors_are_as_many_denominators():
    top = torch.tensor([[[[3.0]]], [[[5.0]]], [[[7.0]]]])
    scale = torch.tensor([1.1, 1.3, 1.7])[:, None, None]

    def operation(x):
        return (F.conv2d(x, top) / (scale * scale)).sum(1, keepdim=True)

    side = {"graph": trace(operation, (1, 1, 4, 4)).to_plain(), "input": [1, 1, 4, 4]}
    weight = sum(Fraction(n) / Fraction(s) for n, s in zip((3, 5, 7), (scale * scale).flatten().tolist(), strict=True))
    assert max(weight.numerator.bit_length(), weight.denominator.bit_length()) <= bits_of(side)


def test_a_file_of_many_factors_is_looked_at_at_more_points(monkeypatch):
    """A forger may choose them as multiples of many of the primes that may be drawn."""
    drawn = []
    prime = chances.random_prime

    def counted(generator):
        drawn.append(prime(generator))
        return drawn[-1]

    monkeypatch.setattr(chances, "random_prime", counted)

    def many(x):
        for k in range(150):
            x = x * ((2**30 + 2 * k + 1) / 2**30)
        return x

    for operation, least in ((lambda x: x * 3, 3), (many, 4)):
        drawn.clear()
        verdict = equal_maps(operation, operation, (1, 2, 2), dtype=torch.float64)
        assert verify(verdict).status is Status.PROVED
        assert len(drawn) == least


@pytest.mark.parametrize("bits", [0, 50, 10**4, 10**6, 10**8])
def test_the_points_make_a_mistake_unlikely(bits):
    assert (bits / 30 / (2**31 / 43) + 2.0**-30) ** chances.points_for(bits) < 2.0**-60


def test_numbers_of_too_many_bits_are_refused():
    with pytest.raises(ValueError, match=r"^its numbers may have 1,000,000,000 bits: too many for primes to tell"):
        chances.points_for(10**9)
