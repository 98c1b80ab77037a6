"""Writing whose result hangs on the order of its elements is not proved; what lies apart in one memory is."""

from __future__ import annotations

import pytest
import torch

from mathdnn.convolution import as_conv2d
from mathdnn.verdict import Status
from mathdnn.verify import verify

SHAPE = (2, 6, 7)


def _in(change):
    def op(x):
        y = x.clone()
        change(y, x)
        return y

    return op


def _moved_up(y, _):
    y[..., :-1, :] = y[..., 1:, :]


def _moved_right(y, _):
    y[..., 1:] = y[..., :-1]


def _added(y, _):
    y[..., :-1, :] += y[..., 1:, :]


def _with_factors(y, _):
    y[..., 1:].addcmul_(y[..., :-1], torch.tensor(2.0))


def _by_out(y, _):
    torch.mul(y[..., 1:], 2, out=y[..., :-1])


def _product_with_itself(y, _):
    y[0].baddbmm_(y[0], torch.ones(2, 7, 7), beta=0)


def _in_windows(y, _):
    y.unfold(-1, 3, 1).add_(1)


def _one_row_twice(y, x):
    y[..., [0, 0], :] = x[..., 1:3, :]


def _one_row_by_two_names(y, x):
    y[..., [0, -6], :] = x[..., 1:3, :]


HANGING = (
    _moved_up, _moved_right, _added, _with_factors, _by_out, _product_with_itself, _in_windows, _one_row_twice,
    _one_row_by_two_names,
)  # fmt: skip


@pytest.mark.parametrize("change", HANGING)
def test_what_hangs_on_the_order_of_elements_is_undecided(change):
    verdict = as_conv2d(_in(change), SHAPE)
    assert verdict.status is Status.UNDECIDED, str(verdict)
    assert "in an order that torch leaves open" in str(verdict)


def _constant(x):
    kernel = torch.arange(6.0).reshape(1, 1, 2, 3).clone()
    kernel[..., :-1] = kernel[..., 1:]
    return torch.nn.functional.conv2d(x[:, :1], kernel)


def test_a_constant_that_hangs_on_the_order_of_elements_is_undecided():
    assert as_conv2d(_constant, SHAPE).status is Status.UNDECIDED


def _itself(y, _):
    y += y
    y.copy_(y)


def _columns(y, _):
    y[..., ::2] += 0 * y[..., 1::2].sum()


def _one_number_twice(y, x):
    y[..., [0, 0], :] = 0
    y[..., 0, :] = x[..., 0, :]


def _twice_added(y, x):
    y.index_add_(-2, torch.tensor([0, 0]), x[..., 1:3, :] * 0)


def _rows_apart(y, x):
    y[..., [0, 2], :] = x[..., [0, 2], :]


def _row_by_row(y, _):
    kept = y.clone()
    y[..., 0, :] = y[..., 1, :]
    y[..., 0, :] = kept[..., 0, :]


ORDERLY = (_itself, _columns, _one_number_twice, _twice_added, _rows_apart, _row_by_row)


@pytest.mark.parametrize("change", ORDERLY)
def test_what_any_order_gives_is_proved(change):
    verdict = as_conv2d(_in(change), SHAPE)
    assert verdict.status is Status.PROVED, str(verdict)
    assert verify(verdict).status is Status.PROVED


def _reflected(x):
    """Reflected by hand, in place, and a mean over windows."""
    h, w = x.shape[-2:]
    y = x.new_zeros(1, 2, h + 2, w + 2)
    y[..., 1:-1, 1:-1] = x
    y[..., 0, :] = y[..., 2, :]
    y[..., -1, :] = y[..., -3, :]
    y[..., 0] = y[..., 2]
    y[..., -1] = y[..., -3]
    return torch.nn.functional.conv2d(y, torch.ones(2, 1, 3, 3), groups=2)


def test_padding_by_hand_in_place_holds_for_every_size():
    verdict = as_conv2d(_reflected, SHAPE)
    assert verdict.status is Status.PROVED, str(verdict)
    assert "for every height of at least" in verdict.claim


def _apart_on_large_images(y, _):
    y[..., :20, :] = y[..., -20:, :]


def test_what_lies_apart_on_large_images_only_is_not_proved_for_small_ones():
    verdict = as_conv2d(lambda x: _in(_apart_on_large_images)(x)[..., 20:, :], (1, 45, 3))
    assert verdict.status is Status.PROVED, str(verdict)
    assert verdict.evidence.data.get("sizes") is None or verdict.evidence.data["sizes"]["least"][0] >= 40
