"""Results own their memory: writing into them, or into the input, changes nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mathdnn.backprop import MLP, jacobians

NETS = {
    "one layer": (nn.Linear(2, 2),),
    "identity": (nn.Linear(2, 2), nn.Identity(), nn.Linear(2, 2)),
    "three": (nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)),
}
SHAPES = [(2,), (1, 2), (3, 2)]


def _tensors(found):
    return [found.x, *found.biases, *(t for w in found.weights for t in (w.left, w.right))]


def _places(tensors):
    return {t.untyped_storage().data_ptr() for t in tensors}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", NETS)
def test_no_result_is_the_memory_of_another(case, shape):
    net, x = nn.Sequential(*NETS[case]), torch.ones(shape)
    mlp = MLP.from_sequential(net)
    found = jacobians(mlp, x)
    theirs = _places([x, *mlp.weights, *mlp.biases, *net.parameters()])
    assert not _places(_tensors(found)) & theirs
    for dx, dA, db in (found.dense(), found.dense(found.buffers())):
        assert not _places([dx, *dA, *db]) & (theirs | _places(_tensors(found)))
        assert all(t.is_contiguous() for t in (dx, *dA, *db))
    assert not _places([found.dense()[0]]) & _places([found.dense()[0]])
    assert mlp.forward(x).y[0].data_ptr() != x.data_ptr()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", NETS)
def test_what_is_written_into_a_result_or_the_input_stays_there(case, shape):
    net, x = nn.Sequential(*NETS[case]), torch.ones(shape)
    before = [p.detach().clone() for p in net.parameters()]
    found = jacobians(MLP.from_sequential(net), x)
    dx, dA, db = first = found.dense()
    kept = [t.clone() for t in (dx, *dA, *db)]
    for t in (first[0], *first[1], *first[2]):
        t.fill_(7.0)
    x.add_(1)
    again = found.dense()
    for t, same in zip((again[0], *again[1], *again[2]), kept, strict=True):
        assert torch.equal(t, same)
    for p, same in zip(net.parameters(), before, strict=True):
        assert torch.equal(p.detach(), same)


def test_columns_of_one_matrix_are_places_for_results():
    """They lie between each other, and share no entry."""
    mlp = MLP.random((3, 4, 2))
    found = jacobians(mlp, torch.ones(5, 3, dtype=torch.float64))
    whole = torch.empty(5, 2, 12 + 8, dtype=torch.float64)
    found.dense((whole[..., :12].unflatten(-1, (4, 3)), whole[..., 12:].unflatten(-1, (2, 4))))
    assert torch.equal(whole, torch.cat([w.flatten(-2) for w in found.dense()[1]], dim=-1))


def test_an_array_of_numpy_is_copied_too():
    x = torch.ones(2, dtype=torch.float64).numpy()
    found = jacobians(MLP.random((2, 2, 1)), x)
    x += 1
    assert found.weights[0].right.tolist() == [1.0, 1.0]
