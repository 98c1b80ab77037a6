"""A layer over a connection table beside its peer: forward, and the gradients by input, weights and bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.bench.limits import usable_threads
from mathdnn.bench.work import Arm

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from torch import Tensor

    from mathdnn.lenet import TableConv2d


class Pair:
    """Arms over the same images, weights and gradient of the output, `calls` at a time on so many threads.

    The weights of `other` are the layer's, dense with zeros off the table or grouped.
    """

    def __init__(
        self, layer: TableConv2d, other: torch.nn.Module, shape: tuple[int, ...], threads: int, calls: int
    ) -> None:
        rng = torch.Generator().manual_seed(0)
        self.layer, self.other, self.threads, self.calls = layer, other, threads, calls
        self.x = torch.randn(shape, generator=rng, dtype=layer.weight.dtype)
        with torch.no_grad():
            y = layer(self.x)
        self.slope = torch.randn(y.shape, generator=rng, dtype=y.dtype)
        with usable_threads(threads):
            self.plan = str(layer.plan_for(shape, layer.weight.dtype))
        positions = y.shape[0] * y.shape[2] * y.shape[3]
        self.operations = 6.0 * layer.weight.numel() * positions
        self.bytes = float(2 * self.x.nbytes + 2 * self.slope.nbytes + 3 * layer.weight.nbytes)

    def own(self, name: str, group: str) -> Arm:
        """The layer's arm."""
        run, sample = self._step(self.layer), lambda: self._found(self.layer)
        work = (self.calls, False, self.operations, self.bytes, self.threads)
        return Arm(name, lambda: run(self.calls), sample, group, *work, prepare=lambda: run(1))

    def peer(self, name: str, group: str) -> Arm:
        """The other's arm."""
        run, sample = self._step(self.other), lambda: self._found(self.other)
        return Arm(name, lambda: run(self.calls), sample, group, self.calls, cores=self.threads, prepare=lambda: run(1))

    def _step(self, layer: torch.nn.Module) -> Callable[[int], None]:
        leaf = self.x.clone().requires_grad_()
        inputs = [leaf, *layer.parameters()]

        def run(calls: int) -> None:
            with usable_threads(self.threads):
                for _ in range(calls):
                    torch.autograd.grad(layer(leaf), inputs, self.slope)

        return run

    def _found(self, layer: Any) -> Float[np.ndarray, " numbers"]:
        """The output and the gradients by input, weight and bias, end to end; each divided by its largest number."""
        leaf = self.x.clone().requires_grad_()
        y: Tensor = layer(leaf)
        dx, dw, db = torch.autograd.grad(y, [leaf, layer.weight, layer.bias], self.slope)
        if layer is not self.layer:
            edge = self.layer.edge
            dw = dw[edge[:, 0], edge[:, 1]] if dw.shape[1] == self.layer.in_channels else dw.flatten(0, 1)
        parts = [part.detach().reshape(-1) for part in (y, dx, dw, db)]
        found: np.ndarray = torch.cat([part / part.abs().max() for part in parts]).numpy()
        return found
