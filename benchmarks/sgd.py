"""Batch-1 SGD on MNIST 4 against 9, side by side with what a user could take instead.

    python benchmarks/sgd.py [--rounds 15] [--out benchmarks/sgd.json]

One epoch, 11,791 x 784, one thread, the homework's step. The arms run interleaved after a warm-up: each round times
every arm once, and a ratio is the median of those within a round. The PyTorch loops and the literal form are timed in
three rounds only. "read" is the machine's limit: one pass over the same 37 MB, as fast as NumPy's maximum reads them.
The last lines are 45 label pairs x 20 seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before the libraries of numpy and torch are loaded

import numpy as np

from mathdnn.data import label_pair, load_mnist
from mathdnn.margin import MarginClassifier, SgdRun, sgd, sgd_many
from mathdnn.native.sgd import instruction_sets, sgd_runs
from mathdnn.study import machine, versions

LR = 255e-4
Arm = Callable[[], object]


def torch_loop(X: np.ndarray, y: np.ndarray, order: np.ndarray) -> Arm:
    """The homework's way: a linear layer, autograd, an optimizer, one image at a time, over tensors in memory."""
    import torch

    torch.set_num_threads(1)
    images, labels = torch.from_numpy(X), torch.from_numpy(y)

    def epoch() -> None:
        layer = torch.nn.Linear(X.shape[1], 1, bias=False)
        optimizer = torch.optim.SGD(layer.parameters(), lr=LR)
        for i in order.tolist():
            optimizer.zero_grad()
            torch.nn.functional.softplus(-labels[i] * layer(images[i])).sum().backward()
            optimizer.step()

    return epoch


def torch_loader(X: np.ndarray, y: np.ndarray) -> Arm:
    """The same, over a shuffling DataLoader with batches of one, as the published solution has it."""
    import torch

    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))

    def epoch() -> None:
        layer = torch.nn.Linear(X.shape[1], 1, bias=False)
        optimizer = torch.optim.SGD(layer.parameters(), lr=LR)
        for image, label in torch.utils.data.DataLoader(pairs, batch_size=1, shuffle=True):
            optimizer.zero_grad()
            torch.nn.functional.softplus(-label * layer(image)).sum().backward()
            optimizer.step()

    return epoch


def sklearn_fit(X: np.ndarray, y: np.ndarray) -> Arm:
    """SGDClassifier.fit with the same loss, step and number of epochs, without penalty and intercept."""
    from sklearn.linear_model import SGDClassifier

    settings = {"loss": "log_loss", "penalty": None, "fit_intercept": False, "learning_rate": "constant", "eta0": LR}
    return lambda: SGDClassifier(**settings, max_iter=1, tol=None, random_state=0).fit(X, y)


def kernel(X: np.ndarray, order: np.ndarray, targets: np.ndarray, w0: np.ndarray, loss: str, name: str) -> Arm:
    """The compiled kernel by itself on one instruction set."""
    settings = {"loss": loss, "lr": LR, "threads": 1, "instruction_set": name}
    return lambda: sgd_runs(X, [order], [targets], w0[None].copy(), **settings)


def arms() -> tuple[dict[str, Arm], dict[str, Arm]]:
    """The arms of every round, and those of three rounds only."""
    data = load_mnist()
    X, y = label_pair(data.train, 4, 9)
    pixels = np.rint(X * 255).astype(np.uint8)
    rng = np.random.default_rng(0)
    w0, order = rng.uniform(-1 / 28, 1 / 28, 784).astype(np.float32), rng.permutation(len(y))
    settings = {"lr": LR, "w0": w0}
    fast: dict[str, Arm] = {
        "sgd, logistic": lambda: sgd(X, y, order[None], loss="logistic", **settings),
        "sgd, sum of squares": lambda: sgd(X, y, order[None], loss="sum_of_squares", **settings),
        "sgd, logistic, bytes": lambda: sgd(pixels, y, order[None], loss="logistic", **settings),
        "MarginClassifier.fit": lambda: MarginClassifier(random_state=0).fit(X, y),
        "scikit-learn SGDClassifier.fit": sklearn_fit(X, y),
        "read": lambda: X.view(np.uint64).max(),
    }
    for name in instruction_sets():
        fast[f"kernel, logistic, {name}"] = kernel(X, order, y[order], w0, "logistic", name)
        fast[f"kernel, logistic, bytes, {name}"] = kernel(pixels, order, y[order], w0, "logistic", name)
    slow: dict[str, Arm] = {
        "literal NumPy loop": lambda: sgd(X, y, order[None], loss="logistic", implementation="literal", **settings),
        "PyTorch loop": torch_loop(X, y, order),
        "PyTorch loop over a DataLoader": torch_loader(X, y),
    }
    return fast, slow


def seconds(arm: Arm) -> float:
    start = time.perf_counter()
    arm()
    return time.perf_counter() - start


def interleaved(arms: dict[str, Arm], rounds: int, warmup: int) -> dict[str, list[float]]:
    """Seconds of each arm in each round; the warm-up rounds are thrown away."""
    times: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(warmup + rounds):
        for name, arm in arms.items():
            took = seconds(arm)
            if turn >= warmup:
                times[name].append(took)
    return times


def pairs_and_seeds(seeds: int) -> tuple[np.ndarray, Callable[[], Iterator[SgdRun]]]:
    """All images as bytes, and one run for each of the 45 pairs and each seed."""
    train = load_mnist().train
    rows = [np.flatnonzero(train.labels == label) for label in range(10)]

    def runs() -> Iterator[SgdRun]:
        for i, j in combinations(range(10), 2):
            y = (train.labels == j).astype(np.int8) - (train.labels == i)
            both = np.concatenate([rows[i], rows[j]])
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                w0 = rng.uniform(-1 / 28, 1 / 28, 784).astype(np.float32)
                yield SgdRun(y, rng.permutation(both)[None], w0)

    return train.images.reshape(len(train.images), -1), runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/sgd.json"))
    options = parser.parse_args()
    fast, slow = arms()
    times = interleaved(fast, options.rounds, warmup=2) | interleaved(slow, min(3, options.rounds), warmup=0)
    X, runs = pairs_and_seeds(seeds=20)
    for threads in (1, 2):
        name = f"45 pairs x 20 seeds, {threads} threads"
        arm = {name: lambda threads=threads: sgd_many(X, runs(), loss="logistic", lr=LR, threads=threads)}
        times |= interleaved(arm, min(3, options.rounds), warmup=0)
    base = times["sgd, logistic"]
    for name, values in times.items():
        middle = statistics.median(values)
        spread = f"{min(values) * 1e3:.3f} .. {max(values) * 1e3:.3f}"
        ratio = statistics.median(value / other for value, other in zip(values, base, strict=False))
        print(f"{name:36s} {middle * 1e3:10.3f} ms  ({spread})  {ratio:8.2f} x sgd, logistic")
    raw = {"seconds": times, "machine": machine(), "versions": versions()}
    options.out.write_text(json.dumps(raw, indent=1, default=str))


if __name__ == "__main__":
    main()
