"""Wrong twins of the lenet room. Each says in its docstring which law must reject it."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def _dense(weight, mask):
    dense = weight.new_zeros(*mask.shape, *weight.shape[1:])
    dense[torch.from_numpy(mask)] = weight
    return dense


def table_transposed(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: computes what the loops compute. The table is read as (input, output)."""
    turned = torch.from_numpy(mask.T.reshape(mask.shape).copy())
    dense = weight.new_zeros(*mask.shape, *weight.shape[1:])
    dense[turned] = weight
    return F.conv2d(x, dense, bias, stride, padding, dilation)


def edges_by_input_map(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: computes what the loops compute. Edges stand by input map first."""
    dense = weight.new_zeros(*mask.shape[::-1], *weight.shape[1:])
    dense[torch.from_numpy(mask.T.copy())] = weight
    return F.conv2d(x, dense.transpose(0, 1), bias, stride, padding, dilation)


def padding_off_by_one(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: computes what the loops compute."""
    return F.conv2d(x, _dense(weight, mask), bias, stride, (padding[0] + 1, padding[1] + 1), dilation)


def padding_on_one_side(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: computes what the loops compute. The size is right and the image is shifted."""
    x = F.pad(x, (2 * padding[1], 0, 2 * padding[0], 0))
    return F.conv2d(x, _dense(weight, mask), bias, stride, 0, dilation)


def kernel_flipped(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: computes what the loops compute."""
    return F.conv2d(x, _dense(weight, mask).flip(2, 3), bias, stride, padding, dilation)


def bias_forgotten(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: computes what the loops compute."""
    return F.conv2d(x, _dense(weight, mask), None, stride, padding, dilation)


def steps_swapped(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: computes what the loops compute. Stride and dilation are exchanged."""
    return F.conv2d(x, _dense(weight, mask), bias, dilation, padding, stride)


WRONG_VALUES = (
    table_transposed, edges_by_input_map, padding_off_by_one, padding_on_one_side, kernel_flipped, bias_forgotten,
    steps_swapped,
)  # fmt: skip


def zeros_meet_infinity(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: an infinite pixel spoils only the maps that read it. Right for finite numbers."""
    return F.conv2d(x, _dense(weight, mask), bias, stride, padding, dilation)


def infinity_made_finite(x, weight, bias, mask, stride, padding, dilation):
    """Rejected by: an infinite pixel spoils only the maps that read it. It hides the damage instead."""
    return F.conv2d(torch.nan_to_num(x), _dense(weight, mask), bias, stride, padding, dilation)


def bounds_of_the_full_convolution(table, taps):
    """Rejected by: every output map starts within the bound of its own fan-in, and reaches it."""
    return [(table.in_channels * taps) ** -0.5] * table.out_channels


def bounds_of_kaiming_relu(table, taps):
    """Rejected by: the same law. The gain of a ReLU in place of a = sqrt(5)."""
    return [(6 / (n * taps)) ** 0.5 for n in table.fan_in]


WRONG_BOUNDS = (bounds_of_the_full_convolution, bounds_of_kaiming_relu)


def connections_without_bias(places, reads, outputs):
    """Rejected by: the connections of a convolution are what the Jacobian sees, and a bias each."""
    return places * reads


def connections_shared_once(places, reads, outputs):
    """Rejected by: the same law. Counts a shared weight once, which is the number of parameters."""
    return reads + outputs


WRONG_COUNTS = (connections_without_bias, connections_shared_once)


def loss_without_competition(scores, labels, j):
    """Rejected by: the loss is the paper's."""
    return -scores.gather(1, labels[:, None]).mean()


def loss_with_scores_for_distances(scores, labels, j):
    """Rejected by: the loss is the paper's. The sign is forgotten."""
    rest = torch.full_like(scores[:, :1], -j)
    return (scores.gather(1, labels[:, None])[:, 0] + torch.logsumexp(torch.cat([rest, -scores], 1), 1)).mean()


def loss_that_overflows(scores, labels, j):
    """Rejected by: the loss is finite for distances of a thousand."""
    rest = torch.log(torch.exp(torch.tensor(-j)) + torch.exp(scores).sum(1))
    return (-scores.gather(1, labels[:, None])[:, 0] + rest).mean()
