"""The Jacobians, fast: one sweep backwards, outer products kept as their two factors.

Legend: n: sample, i: unit of the output, j: unit of layer l, k: unit of layer l-1;
left_l[n,i,j] = dy_L[i]/dz_l[j] = dy_L[i]/db_l[j], and dy_L[i]/dA_l[j,k] = left_l[n,i,j] y_{l-1}[n,k].

    left_L = I,   left_{l-1} = (left_l A_l) diag(sigma'(z_{l-1})),   dy_L/dx = left_1 A_1

Cost: one product (n_L, n_l) (n_l, n_{l-1}) a layer and sample, where reverse mode does the same and then an outer
product for each output and weight; the factored form leaves that product undone until `dense()` is asked for.
Source: homework 4, problem 6; `literal` has the same in the source's own words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathdnn.backprop.memory import KEPT, empty
from mathdnn.backprop.mlp import MLP, described, own_dtype, require_mlp
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float


@dataclass(frozen=True)
class OuterProduct:
    """dy_L/dA_l as its factors: `left` (*batch, n_L, n_l) and `right` (*batch, n_{l-1}).

    `left` is dy_L/db_l, and shares its memory with `Jacobians.biases`; `right` is a copy where it is the input."""

    left: torch.Tensor
    right: torch.Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """(*batch, n_L, n_l, n_{l-1})."""
        return (*self.left.shape, self.right.shape[-1])

    def dense(
        self, out: Float[torch.Tensor, "*batch nL nl nk"] | None = None
    ) -> Float[torch.Tensor, "*batch nL nl nk"]:
        """All entries, in `out` or a new tensor (dearer: the system clears new memory first)."""
        if out is not None:
            if not _holds(out, self.shape, self.left):
                raise _misfit("dense(out=...)", self.shape, self.left, out, "OuterProduct")
            _require_apart([out], [self.left, self.right], "OuterProduct")
        return self._write(empty([self.shape], self.left)[0] if out is None else out)

    def _write(self, place: torch.Tensor) -> torch.Tensor:
        import torch

        right = self.right if self.right.dim() == 1 else self.right.unsqueeze(-2).unsqueeze(-2)
        return torch.mul(self.left.unsqueeze(-1), right, out=place)

    def pull(self, v: Float[torch.Tensor, "*batch nL"]) -> Float[torch.Tensor, "*batch nl nk"]:
        """The gradient of v . y_L by A_l, without the dense Jacobian."""
        if not _like(v, self.left.shape[:-1], self.left):
            raise _misfit("pull(v)", self.left.shape[:-1], self.left, v)
        if own := own_dtype(v):
            with own:
                return self.pull(v)
        rows: torch.Tensor = (v[..., None, :] @ self.left)[..., 0, :]
        return rows[..., None] * self.right[..., None, :]


@dataclass(frozen=True)
class Jacobians:
    """dy_L by the input (*batch, n_L, n_0), by every weight (layer l at l - 1), by every bias (*batch, n_L, n_l).

    Nothing of it is memory of the network or of the caller's x; among each other the factors share theirs."""

    x: torch.Tensor
    weights: tuple[OuterProduct, ...]
    biases: tuple[torch.Tensor, ...]

    def buffers(self) -> tuple[torch.Tensor, ...]:
        """Memory for `dense(out=...)`, to be used again and again: one piece, which lives as long as any of them."""
        return tuple(empty([w.shape for w in self.weights], self.x))

    def dense(
        self, out: tuple[torch.Tensor, ...] | None = None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        """The same with every weight's Jacobian written out (n_L n_l n_{l-1} numbers a sample), in `out` if given.

        Every new tensor is contiguous: what is the same for each sample is written out for each. New memory is one
        piece, as that of `buffers`; nothing is shared with the factors, so the results may be written into."""
        places = self.buffers() if out is None else _listed(out)
        for place, weight in itertools.zip_longest(places, self.weights):
            if weight is None or not _holds(place, weight.shape, weight.left):
                raise _misfit("dense(out=...)", getattr(weight, "shape", ()), self.x, place)
        if out is not None:
            _require_apart(out, self._factors(), "Jacobians")
        weights = tuple(w._write(o) for w, o in zip(self.weights, places, strict=True))
        return _own(self.x), weights, tuple(_own(b) for b in self.biases)

    def _factors(self) -> list[torch.Tensor]:
        """All that `dense` reads."""
        sides = [side for w in self.weights for side in (w.left, w.right)]
        return [self.x, *sides, *(b for b, w in zip(self.biases, self.weights, strict=True) if b is not w.left)]


def _own(t: torch.Tensor) -> torch.Tensor:
    """A contiguous copy: `contiguous()` alone is the same memory where nothing is expanded."""
    return t.clone() if t.is_contiguous() else t.contiguous()


def _like(t: Any, shape: tuple[int, ...], like: torch.Tensor) -> bool:
    import torch

    fits = isinstance(t, torch.Tensor) and t.shape == shape and t.dtype is like.dtype
    return fits and t.layout is like.layout and ((t.is_cpu and like.is_cpu) or t.device == like.device)


def _holds(place: Any, shape: tuple[int, ...], like: torch.Tensor) -> bool:
    """Whether it is memory for a result: entries of their own (an expanded tensor has fewer), and no recording."""
    free = _like(place, shape, like) and not place.requires_grad and not _sealed(place)
    return free and (place.is_contiguous() or not _folded(place))


def _sealed(t: torch.Tensor) -> bool:
    """Whether torch lets no one write into it here."""
    import torch

    return t.is_inference() and not torch.is_inference_mode_enabled()


def _folded(t: torch.Tensor) -> bool:
    """Whether two entries may lie in one place: a step is no longer than all that the shorter steps reach over."""
    import torch

    reach = 0
    for step, size in sorted(zip(t.stride(), t.shape, strict=True)) if t.layout == torch.strided else ():
        if size > 1 and step <= reach:
            return True
        reach += (size - 1) * step
    return False


def _require_apart(places: Sequence[torch.Tensor], factors: Sequence[torch.Tensor], of: str) -> None:
    """Raise `InvalidInput` where one result would be written over another one, or over what it is made of."""
    spans, do = sorted(map(_span, places)), "make the memory by buffers()"
    theirs = list(map(_span, factors))
    if any(start < stop and begin < end for start, end in spans for begin, stop in theirs):
        expected, got = "memory of its own", "that of the factors themselves"
        raise InvalidInput(sentence(f"{of}.dense(out=...)", expected, got, do))
    reach = 0
    for start, end in spans:
        if start < reach and _overwritten(places):
            expected, got = "memory of its own for each layer", "tensors that share theirs"
            raise InvalidInput(sentence(f"{of}.dense(out=...)", expected, got, do))
        reach = max(reach, end)


def _span(t: torch.Tensor) -> tuple[int, int]:
    """The first byte and the end of its entries."""
    start = t.data_ptr()
    if t.is_contiguous():
        return start, start + t.nbytes
    return start, start + t.element_size() * (1 + sum((n - 1) * k for n, k in zip(t.shape, t.stride(), strict=True)))


def _overwritten(places: Sequence[torch.Tensor]) -> bool:
    """Whether any two share an entry: columns of one matrix lie between each other, and share none."""
    for number, place in enumerate(places):
        place.fill_(number)
    return not all(bool((place == number).all()) for number, place in enumerate(places))


def _listed(out: Any) -> Sequence[Any]:
    if not isinstance(out, tuple | list):
        expected, do = "a tuple of one tensor for each layer", "make the memory by buffers()"
        raise InvalidInput(sentence("Jacobians.dense(out=...)", expected, f"{out!r:.40}", do))
    return out


def _misfit(who: str, shape: Sequence[int], like: torch.Tensor, got: Any, of: str = "Jacobians") -> InvalidInput:
    import torch

    expected = f"shape {tuple(shape)} of {like.dtype}" if shape else "one tensor for each layer"
    given = "nothing" if got is None else described(got, like)
    if "out" in who and shape and isinstance(got, torch.Tensor):
        given += _unfit(got)
    do = "make the memory by buffers()" if "out" in who else "reshape or convert it"
    return InvalidInput(sentence(f"{of}.{who}", expected, given, do))


def _unfit(t: torch.Tensor) -> str:
    """Why a tensor of the right shape is no memory for a result."""
    if t.requires_grad:
        return " that requires grad"
    if _sealed(t):
        return " that was made in inference mode"
    if not _folded(t):
        return ""
    return " that is expanded" if 0 in t.stride() else " whose entries overlap"


def jacobians(mlp: MLP, x: Float[torch.Tensor, "*batch n0"]) -> Jacobians:
    """Every first derivative of y_L at x, by the closed forms; autograd records nothing of it."""
    import torch

    require_mlp(mlp, "jacobians(mlp=...)")
    if own := own_dtype(mlp.weights[0]):
        with own:
            return jacobians(mlp, x)
    with torch.no_grad():
        trace = mlp.forward(x.detach() if isinstance(x, torch.Tensor) else x)
        y, L = trace.y, mlp.layers
        eye = torch.eye(mlp.widths[-1], dtype=y[0].dtype, device=y[0].device)
        left = eye.expand(*y[0].shape[:-1], *eye.shape)
        weights, biases = [], []
        for layer in range(L, 0, -1):
            weights.append(OuterProduct(left, y[layer - 1]))
            biases.append(left)
            left = _down(left, mlp.weights[layer - 1], trace.slopes[layer - 2] if layer > 1 else None, layer == L)
    return Jacobians(left, tuple(reversed(weights)), tuple(reversed(biases)))


def _down(left: torch.Tensor, A: torch.Tensor, slope: torch.Tensor | None, last: bool) -> torch.Tensor:
    """(left A) diag(slope), all samples' rows in one product; `last`: left is I, and I A_L is nothing to compute.

    The result is never the memory of A, which is the network's."""
    import torch

    shape, single = (*left.shape[:-1], A.shape[1]), left.dim() == 2  # one sample: no view is needed, each costs time
    row = slope if slope is None or single else slope.unsqueeze(-2)
    if last:
        return A.clone().expand(shape) if row is None else torch.mul(A, row, out=_large(shape, A))
    flat = left if single else left.flatten(0, -2)
    below = torch.mm(flat, A, out=_large((flat.shape[0], A.shape[1]), A))
    below = below if single else below.view(shape)
    return below if row is None else below.mul_(row)


def _large(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor | None:
    """Memory for a large result; None for one that torch's own memory serves as well."""
    return empty([shape], like)[0] if math.prod(shape) * like.element_size() >= KEPT else None
