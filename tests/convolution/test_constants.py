"""The weights called exact are those that the operation computes: its constants are never computed another way."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mathdnn.convolution import as_conv2d
from mathdnn.verdict import Status
from mathdnn.verify import verify

SHAPE = (1, 4, 5)


def _numbers(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


_A, _B = _numbers(364, 8192).chunk(2)
_MATRIX = _numbers(5, 40, 40)


def _by_written_memory():
    memory = torch.empty(4096)
    memory.copy_(_A)
    return torch.dot(memory, _B)


def _in_place():
    return torch.tensor([1.37]).lerp_(torch.tensor([-0.9]), 0.6)


COMPUTED = {
    "dot": lambda: torch.dot(_A, _B),
    "mv": lambda: torch.mv(_MATRIX, _A[:40])[3],
    "addmv": lambda: torch.addmv(_B[:40], _MATRIX, _A[:40], beta=0.3, alpha=0.7)[3],
    "layer norm": lambda: F.layer_norm(100 * _A.sin() + 1000, (4096,))[:1],
    "group norm": lambda: F.group_norm(100 * _A.reshape(1, 64, 64) + 1000, 4)[0, 7, 11],
    "lerp": lambda: torch.lerp(torch.tensor([1.37]), torch.tensor([-0.9]), 0.6),
    "lerp in place": _in_place,
    "addcmul": lambda: torch.addcmul(_A, _B, _A.flip(0), value=0.1)[17],
    "addcdiv": lambda: torch.addcdiv(_A, _B, _A.flip(0), value=0.1)[17],
    "linspace": lambda: torch.linspace(0.1, 1.7, 37)[23],
    "window": lambda: torch.signal.windows.gaussian(37, std=3.0)[5],
    "written memory": _by_written_memory,
}


def _assert_exact(verdict, weight):
    assert verdict.status is Status.PROVED, str(verdict)
    assert verdict.evidence.form.weight.flatten().tolist() == weight.flatten().tolist()
    assert verify(verdict).status is Status.PROVED


@pytest.mark.parametrize("name", COMPUTED)
def test_a_constant_is_the_one_that_the_operation_computes(name):
    _assert_exact(as_conv2d(lambda x: x * COMPUTED[name](), SHAPE), COMPUTED[name]())


def test_a_constant_of_the_images_shape_is_the_one_that_the_operation_computes():
    def weight(x):
        return torch.addmv(torch.ones_like(x).flatten()[:1], _A[None], _B, beta=0.3, alpha=0.7)

    _assert_exact(as_conv2d(lambda x: x * weight(x), SHAPE), weight(torch.zeros(SHAPE)))


def test_a_constant_beside_the_image_in_memory_is_the_one_that_the_operation_computes():
    def op(x):
        memory = torch.zeros(2, 4, 5)
        memory[1].lerp_(torch.tensor([-0.9]), 0.6)
        memory[0] = x[0, 0]
        return x + memory[1]

    verdict = as_conv2d(op, SHAPE)
    assert verdict.status is Status.PROVED, str(verdict)
    assert verdict.evidence.form.bias.item() == torch.zeros(()).lerp_(torch.tensor(-0.9), 0.6).item()


@pytest.mark.parametrize("drawn", [0, 1, 3])
def test_a_normalised_layer_keeps_its_weights_and_holds_for_all_sizes(drawn):
    torch.manual_seed(drawn)
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)).eval()
    verdict = as_conv2d(layer, (3, 8, 9))
    assert torch.equal(verdict.evidence.form.weight, layer.weight.detach())
    assert "sizes" in verdict.evidence.data


def _otherwise_while_read():
    """A number that is off by much less than a pixel while code is read."""
    return 1.0 + 2e-5 * (torch._C._len_torch_dispatch_stack() > 0)


OTHERWISE = {
    "product": lambda x: x * _otherwise_while_read(),
    "convolution": lambda x: F.conv2d(x, torch.ones(1, 1, 2, 2) * _otherwise_while_read()),
    "sum": lambda x: x + _otherwise_while_read(),
    "singular value": lambda x: x * torch.linalg.svdvals(_MATRIX)[3],
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_weights_that_are_not_those_of_a_real_call_are_never_proved(name):
    verdict = as_conv2d(OTHERWISE[name], SHAPE)
    if name == "singular value" and verdict.status is Status.PROVED:  # by another way of LAPACK, within the bound
        off = verdict.evidence.form.weight.double() / torch.linalg.svdvals(_MATRIX)[3].double() - 1
        assert abs(off.item()) <= verdict.evidence.data["rounding"]["roundings"][0] * 2.0**-24
    else:
        assert verdict.status is Status.UNDECIDED, str(verdict)
        assert "a real call gave another result than its graph" in str(verdict)


def test_a_convolution_that_loses_more_than_plain_sums_is_measured_by_plain_sums():
    """As Winograd does: off by a few bounds, but not where torch's own loops run."""

    def op(x):
        made = F.conv2d(x, torch.ones(1, 1, 2, 2))
        fast = torch.backends.mkldnn.enabled and torch._C._len_torch_dispatch_stack() == 0
        return made * (1 + 1e-5) if fast else made

    assert as_conv2d(op, SHAPE).status is Status.PROVED
    assert torch.backends.mkldnn.enabled
