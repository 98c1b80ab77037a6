"""One epoch of LeNet-5 on MNIST's 60,000 images in batches of 100, with Table I and with full connections.

Every arm starts from the same weights and visits the images in the same order. mathdnn's engine reads the images as
bytes, the peers as float32; both gather a batch each step. Neither evaluates anything while it is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mathdnn.bench import operations
from mathdnn.bench.figures import faster, fraction, takes
from mathdnn.bench.times import Times
from mathdnn.bench.work import Arm, Built, Figure, LeftOut, Settings

TABLE, FULL = "mathdnn, table", "mathdnn, full"
SOLUTION, MASKED, DENSE = "PyTorch, 16 convolutions", "PyTorch, masked convolution", "PyTorch, full"
SOLUTION_COMPILED, MASKED_COMPILED, DENSE_COMPILED = (f"{name}, compiled" for name in (SOLUTION, MASKED, DENSE))
JAX = "JAX jit, full"
STEPS = 10
TOLERANCE = 1e-4
"""Of the largest score after 10 steps from the same weights. Sums in other orders leave some 1e-6 of it; one step more
or less, one edge too many, a maximum for a mean are all far beyond."""


def build_lenet(settings: Settings) -> Built:
    """All arms of both networks, so that the table is timed beside the full network."""
    import torch

    from mathdnn.bench import peers
    from mathdnn.data import load_mnist
    from mathdnn.lenet import LeNet5
    from mathdnn.training import initialise

    train = load_mnist().train
    n = 600 if settings.quick else len(train.images)
    pixels = torch.from_numpy(train.images[:n].astype(np.float32) / np.float32(255))[:, None]
    labels = torch.from_numpy(train.labels[:n].astype(np.int64))
    table, full = initialise(LeNet5("table"), 0), initialise(LeNet5("full"), 0)
    order, first = np.random.default_rng(0).permutation(n), np.arange(min(n, 100 * STEPS))
    judged = pixels[:200]

    def arm(name: str, made: Any, group: str, **more: Any) -> Arm:
        return Arm(name, lambda: made.train(order), lambda: made.sample(first, judged), group, **more)

    def torch_arm(model: Any, compiled: bool) -> Any:
        return peers.TorchArm(model, pixels, labels, compiled=compiled)

    def work(model: Any) -> dict[str, Any]:
        weights = 3 * 4 * sum(p.numel() for p in model.parameters()) * -(-n // 100)  # read twice, written once a step
        moved = float(train.images[:n].nbytes + weights)
        return {"operations": operations.step(model) * n, "bytes": moved, "cores": settings.threads}

    arms = [
        arm(TABLE, NativeArm(table, train, n), "table", **work(table)),
        arm(FULL, NativeArm(full, train, n), "full", **work(full)),
    ]
    ways: dict[str, tuple[Callable[[], Any], str]] = {
        SOLUTION: (lambda: peers.with_c3(table, peers.SeparateConvolutions(table.c3)), "table"),
        MASKED: (lambda: peers.with_c3(table, peers.MaskedConvolution(table.c3)), "table"),
        DENSE: (lambda: peers.with_c3(full, _copy(full.c3)), "full"),
    }
    left_out: list[LeftOut] = []
    for name, (model, group) in ways.items():
        arms.append(arm(name, torch_arm(model(), False), group, slow=True))
        if settings.quick:
            left_out.append(LeftOut(f"{name}, compiled", "a quick run compiles nothing"))
        else:
            arms.append(arm(f"{name}, compiled", torch_arm(model(), True), group, slow=True))
    if jax := peers.jax_missing():
        left_out.append(LeftOut(JAX, jax))
    else:
        arms.append(arm(JAX, peers.JaxArm(full, pixels, labels), "full", slow=True))
    return Built(tuple(arms), _figures, TOLERANCE, rounds=15, slow_rounds=3, left_out=tuple(left_out))


def _figures(times: Times) -> list[Figure]:
    found = takes(times, TABLE, 0.45) + faster(times, TABLE, [SOLUTION], 40)
    found += faster(times, TABLE, [DENSE, DENSE_COMPILED], 6)
    found += faster(times, TABLE, [MASKED, MASKED_COMPILED, SOLUTION_COMPILED])
    for peer in (DENSE, DENSE_COMPILED, JAX):
        found += faster(times, FULL, [peer], 4.5)
    return found + fraction(times, TABLE, FULL, 0.8)


def _copy(module: Any) -> Any:
    from copy import deepcopy

    return deepcopy(module)


class NativeArm:
    """Epochs on mathdnn's engine, as `train` runs them, and scores of the weights it gives back."""

    def __init__(self, model: Any, split: Any, n: int) -> None:
        import torch

        from mathdnn.data import Split
        from mathdnn.training import PixelScale, Recipe
        from mathdnn.training.engine import native_engine
        from mathdnn.training.images import Images

        self.model, self.recipe = _copy(model), Recipe()
        place = (PixelScale(), torch.device("cpu"), torch.float32)
        images = Images(Split(split.images[:n], split.labels[:n]), *place)
        judged = Images(Split(split.images[:1], split.labels[:1]), *place)
        self.engine = native_engine(self.model, images, judged, self.recipe)

    def train(self, order: np.ndarray) -> None:
        steps = -(-len(order) // self.recipe.batch_size)
        self.engine.begin_epoch(order, None)
        reached = self.engine.advance(0, steps, [self.recipe.lr] * steps, 0, lambda: False)
        assert reached == steps

    def sample(self, order: np.ndarray, judged: Any) -> np.ndarray:
        import torch

        self.train(order)
        self.engine.finish()
        with torch.inference_mode():
            scores: np.ndarray = self.model(judged).numpy()
        return scores
