"""Results own their memory: writing into them, or into the input, changes nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mathdnn.backprop import MLP, jacobians
from mathdnn.errors import InvalidInput

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


def _found(batch=5):
    return jacobians(MLP.random((3, 4, 2)), torch.ones(batch, 3, dtype=torch.float64))


def test_memory_whose_entries_overlap_is_refused():
    found = _found()
    out = tuple(torch.zeros(1000, dtype=torch.float64).as_strided(w.shape, (1,) * 4) for w in found.weights)
    words = r"expected shape \(5, 2, 4, 3\) of torch.float64, got shape .* whose entries overlap; make the memory by"
    with pytest.raises(InvalidInput, match=rf"^Jacobians.dense\(out=...\): {words}"):
        found.dense(out)
    with pytest.raises(InvalidInput, match=rf"^OuterProduct.dense\(out=...\): {words}"):
        found.weights[0].dense(out[0])


def test_memory_in_another_order_is_not():
    found = _found()
    out = tuple(torch.empty(w.shape[::-1], dtype=torch.float64).permute(3, 2, 1, 0) for w in found.weights)
    for one, other in zip(found.dense(out)[1], found.dense()[1], strict=True):
        assert torch.equal(one, other)


def test_the_factors_own_memory_is_refused_and_stays_as_it_is():
    mlp, x = MLP.random((1, 3, 2)), torch.full((1,), 2.0, dtype=torch.float64)
    found, same = jacobians(mlp, x), jacobians(mlp, x).dense()
    left = found.weights[0].left.unsqueeze(-1)
    own = r"dense\(out=...\): expected memory of its own, got that of the factors themselves; make the memory by"
    with pytest.raises(InvalidInput, match=rf"^Jacobians.{own}"):
        found.dense((left, torch.empty(2, 2, 3, dtype=torch.float64)))
    with pytest.raises(InvalidInput, match=rf"^OuterProduct.{own}"):
        found.weights[0].dense(left)
    for one, other in zip(found.dense()[1], same[1], strict=True):
        assert torch.equal(one, other)


def test_memory_made_in_inference_mode_is_for_inference_mode():
    found = _found()
    with torch.inference_mode():
        out = found.buffers()
        found.dense(out)
    with pytest.raises(InvalidInput, match=r"of torch.float64 that was made in inference mode; make"):
        found.dense(out)
