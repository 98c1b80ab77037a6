"""Batch-1 SGD on MNIST 4 against 9, 11,791 x 784: one epoch, one thread, the homework's step; and all 45 pairs.

Every arm visits the images in one order from one start, so that the weights after the epoch can be compared. PyTorch
and scikit-learn get their best form: tensors in memory and one thread (two are slower on vectors of 784), and rows that
lie in the order of the visits. The fast arms are timed over five epochs in a row, each from the start: the first finds
the caches as another arm left them, the others as an epoch of the same training does. `READ` is the limit that memory
sets: the rows read in the order of the visits, and nothing else. `CACHED` makes as many steps over a quarter of the
rows, four times in turn: these 9 MB stay in the last-level cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.bench.figures import faster, takes
from mathdnn.bench.limits import usable_threads
from mathdnn.bench.times import Times
from mathdnn.bench.work import Arm, Built, Figure, Settings

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64

    from mathdnn.margin import SgdRun

LR = 255e-4
NATIVE, BYTES, SKLEARN, TORCH = "mathdnn", "mathdnn on bytes", "scikit-learn SGDClassifier.fit", "PyTorch loop"
READ, CACHED = "reading the float rows, nothing else", "mathdnn, rows in the cache"
LOADER, LITERAL, CLASSIFIER = "PyTorch loop over a DataLoader", "literal NumPy loop", "MarginClassifier.fit"
SLOW = (TORCH, LOADER, LITERAL)
PAIRS, ONE = "45 pairs x 20 seeds, every thread", "45 pairs x 20 seeds, one thread"
EPOCHS = 5  # in a row, of an arm that takes milliseconds
TOLERANCE = 1e-3
"""Of the largest weight, after 11,791 steps: sums in other orders drift apart to about 2e-5 of it here. Heuristic, but
a start, a step or a label that differs is at least a hundred times as far."""

Epoch = Callable[[], Any]


def build_sgd(settings: Settings) -> Built:
    """One epoch of the logistic loss."""
    from mathdnn.data import label_pair, load_mnist
    from mathdnn.margin import MarginClassifier, sgd
    from mathdnn.native.sgd import read_rows

    X, y = label_pair(load_mnist().train, 4, 9)
    if settings.quick:
        X, y = X[:500], y[:500]
    pixels: np.ndarray = np.rint(X * np.float32(255)).astype(np.uint8)
    rng = np.random.default_rng(0)
    w0: np.ndarray = np.asarray(rng.uniform(-1 / 28, 1 / 28, X.shape[1]), np.float32)
    order = rng.permutation(len(y))
    given: dict[str, Any] = {"loss": "logistic", "lr": LR, "w0": w0}
    epochs: dict[str, Epoch] = {
        NATIVE: lambda: sgd(X, y, order[None], **given),
        BYTES: lambda: sgd(pixels, y, order[None], **given),
        SKLEARN: sklearn_fit(X[order], y[order], w0),
        TORCH: torch_loop(X, y, order, w0),
        LOADER: torch_loader(X, y, order, w0),
        LITERAL: lambda: sgd(X, y, order[None], implementation="literal", **given),
    }
    work: dict[str, Any] = {"operations": 4.0 * X.size}  # a product and an update, two operations a pixel each
    arms = [
        Arm(
            name,
            epoch if name in SLOW else repeated(epoch),
            epoch,
            slow=name in SLOW,
            calls=1 if name in SLOW else EPOCHS,
            **work,
            bytes=X.size * (1 if name == BYTES else 4),
        )
        for name, epoch in epochs.items()
    ]
    few = np.tile(rng.permutation(len(y) // 4), (4, 1))
    apart: dict[str, Epoch] = {  # they compute something else, or in an order of their own
        CLASSIFIER: lambda: MarginClassifier(random_state=0).fit(X, y),
        CACHED: lambda: sgd(X, y, few, **given),
        READ: lambda: read_rows(X, order),
    }
    arms += [Arm(name, repeated(epoch), calls=EPOCHS) for name, epoch in apart.items()]
    return Built(tuple(arms), _sgd_figures, TOLERANCE, rounds=31, slow_rounds=6, warmup=2)


def _sgd_figures(times: Times) -> list[Figure]:
    found = takes(times, NATIVE, 1.0e-3) + takes(times, READ) + takes(times, BYTES) + takes(times, CACHED)
    found += faster(times, NATIVE, [SKLEARN], 20) + faster(times, NATIVE, [TORCH], 1000)
    found += [
        figure for arm in (BYTES, CACHED, READ) for peer in (SKLEARN, TORCH) for figure in faster(times, arm, [peer])
    ]
    return found + faster(times, NATIVE, [LOADER]) + faster(times, CLASSIFIER, [SKLEARN])


def repeated(epoch: Epoch) -> Epoch:
    """`EPOCHS` calls in a row."""

    def run() -> None:
        for _ in range(EPOCHS):
            epoch()

    return run


def sklearn_fit(X: Float32[np.ndarray, "n d"], y: Float32[np.ndarray, "n"], w0: Float32[np.ndarray, "d"]) -> Epoch:
    """SGDClassifier.fit with the same loss, step and start, without penalty and intercept, by the rows' order."""
    from sklearn.linear_model import SGDClassifier

    settings = {"loss": "log_loss", "penalty": None, "fit_intercept": False, "learning_rate": "constant", "eta0": LR}
    settings |= {"max_iter": 1, "tol": None, "shuffle": False}
    return lambda: SGDClassifier(**settings).fit(X, y, coef_init=w0.copy()).coef_[0]  # it trains what it is given


def torch_loop(
    X: Float32[np.ndarray, "n d"],
    y: Float32[np.ndarray, "n"],
    order: Int64[np.ndarray, "n"],
    w0: Float32[np.ndarray, "d"],
) -> Epoch:
    """The homework's way: a linear layer, autograd, an optimizer, one image at a time, over tensors in memory."""
    import torch

    images, labels = torch.from_numpy(X), torch.from_numpy(y)

    def epoch() -> np.ndarray:
        layer, optimizer = _layer(w0)
        with usable_threads(1):
            for i in order.tolist():
                optimizer.zero_grad()
                loss = torch.nn.functional.softplus(-labels[i] * layer(images[i])).sum()
                torch.autograd.backward(loss)
                optimizer.step()
        weights: np.ndarray = layer.weight.detach().numpy()[0]
        return weights

    return epoch


def torch_loader(
    X: Float32[np.ndarray, "n d"],
    y: Float32[np.ndarray, "n"],
    order: Int64[np.ndarray, "n"],
    w0: Float32[np.ndarray, "d"],
) -> Epoch:
    """The same over a DataLoader with batches of one, as the published solution has it."""
    import torch

    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))

    def epoch() -> np.ndarray:
        layer, optimizer = _layer(w0)
        with usable_threads(1):
            for image, label in torch.utils.data.DataLoader(pairs, batch_size=1, sampler=order.tolist()):
                optimizer.zero_grad()
                torch.autograd.backward(torch.nn.functional.softplus(-label * layer(image)).sum())
                optimizer.step()
        weights: np.ndarray = layer.weight.detach().numpy()[0]
        return weights

    return epoch


def _layer(w0: Float32[np.ndarray, "d"]) -> tuple[Any, Any]:
    import torch

    layer = torch.nn.Linear(len(w0), 1, bias=False)
    layer.weight.data.copy_(torch.from_numpy(w0))
    return layer, torch.optim.SGD(layer.parameters(), lr=LR)


def build_pairs(settings: Settings) -> Built:
    """One epoch for each of the 45 pairs of digits and each of 20 seeds."""
    from mathdnn.data import load_mnist
    from mathdnn.margin import sgd_many

    train, seeds = load_mnist().train, 1 if settings.quick else 20
    X = train.images.reshape(len(train.images), -1)

    def all_runs(threads: int) -> Any:
        return sgd_many(X, runs(train.labels, seeds, settings.quick), loss="logistic", lr=LR, threads=threads)

    names = {PAIRS: settings.threads, ONE: 1}
    pixels = 9.0 * len(X) * X.shape[1] * seeds / (50 if settings.quick else 1)  # an image is in 9 of the 45 pairs
    arms = tuple(
        Arm(name, lambda t=t: all_runs(t), lambda t=t: all_runs(t), operations=4 * pixels, bytes=pixels, cores=t)  # type: ignore[misc]
        for name, t in names.items()
    )
    return Built(arms, lambda times: takes(times, PAIRS, 3.0) + takes(times, ONE), 0.0, rounds=3, warmup=0)


def runs(labels: np.ndarray, seeds: int, quick: bool) -> Iterator[SgdRun]:
    """One run for each pair and seed; a fiftieth of the images where quick."""
    from mathdnn.margin import SgdRun

    rows = [np.flatnonzero(labels == label)[:: 50 if quick else 1] for label in range(10)]
    for i, j in combinations(range(10), 2):
        y = (labels == j).astype(np.int8) - (labels == i)
        both = np.concatenate([rows[i], rows[j]])
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            w0 = rng.uniform(-1 / 28, 1 / 28, 784).astype(np.float32)
            yield SgdRun(y, rng.permutation(both)[None], w0)
