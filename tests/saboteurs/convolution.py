"""Wrong recognisers: each says "this is a convolution" after a look that is not enough. The corpus must catch every
one.

They probe `op` with torch images and decide with stride 1 or the ratio of the sizes, as a hurried person would.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch


def _response(op: Callable[[Any], Any], shape: tuple[int, ...], place: tuple[int, ...]) -> torch.Tensor:
    image = torch.zeros(1, *shape)
    image[(0, *place)] = 1
    return op(image) - op(torch.zeros(1, *shape))


def no_border_check(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: one border pixel off (it compares shifts of responses in the middle only)."""
    _, h, w = shape
    first, second = _response(op, shape, (0, h // 2, w // 2)), _response(op, shape, (0, h // 2 + 1, w // 2))
    return first.shape[-2:] == (h, w) and torch.equal(first[..., 2:-3, 2:-2], second[..., 3:-2, 2:-2])


def single_channel_probe(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: an operation that is right on its first channel and wrong on its second."""
    first, second = _response(op, shape, (0, 3, 3)), _response(op, shape, (0, 4, 3))
    return torch.equal(first[..., :-1, :], second[..., 1:, :])


def no_linearity_check(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: relu (which answers an image of one positive pixel like the identity)."""
    h = shape[1]
    responses = [_response(op, shape, (0, k, 3)) for k in range(h)]
    return all(torch.equal(a[..., :-1, :], b[..., 1:, :]) for a, b in itertools.pairwise(responses))


def one_size_only_claimed_for_all(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: an operation that is right on 28 pixels only (it asks about 28 and answers for every size)."""
    from mathdnn.convolution import as_conv2d

    return str(as_conv2d(op, (shape[0], 28, 28)).status) == "proved"


def ignores_guards(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: a branch on the image's width (it reads the one side that it came by)."""
    from mathdnn.convolution.symbolic import trace_sizes

    return _same_graph(trace_sizes(op, (1, *shape)).at(*shape[-2:]), op, shape)


def tries_three_sizes(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: an operation that is another one at one width only (it tries three and finds one kernel)."""
    from mathdnn.convolution import as_conv2d, form_of

    c, h, w = shape
    forms = [form_of(as_conv2d(op, size)) for size in (shape, (c, h + 3, w + 5), (c, 2 * h + 1, 2 * w))]
    return forms[0] == forms[1] == forms[2]


def keeps_what_was_a_size(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: a factor that is the image's width (it takes every number in the graph for a constant)."""
    from mathdnn.convolution.trace import trace

    steps = {node.op for node in trace(op, (1, *shape)).nodes}
    return steps <= {"input", "aten.mul.Tensor", "aten.add.Tensor", "aten.sub.Tensor", "aten.convolution.default"}


def starts_too_early(op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Rejected by: a pixel read from the end that lies, on small images, where one read from the start would (it
    compares at the size asked about, however small)."""
    from mathdnn.convolution.symbolic import trace_sizes

    graph = trace_sizes(op, (1, *shape))
    return not graph.guards and _same_graph(graph.at(*shape[-2:]), op, shape)


def _same_graph(graph: Any, op: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Whether a graph gives the rows of the form that the operation is at this size."""
    from mathdnn.convolution import as_conv2d, form_of, module
    from mathdnn.convolution.compare import first_difference
    from mathdnn.convolution.evaluate import evaluate
    from mathdnn.convolution.pool import Pool

    pool = Pool(math.prod(shape))
    ids, _ = evaluate(graph, pool)
    made = module.rows(form_of(as_conv2d(op, shape)), pool.inputs().reshape(1, *shape), pool)
    return first_difference(ids, made, pool) is None
