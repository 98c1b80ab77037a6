"""Closed-form Jacobians by input, every weight and every bias, against torch.func.jacrev, side by side.

    python benchmarks/jacobians.py [--threads 1] [--depths 2 3 4 5] [--rounds 9] [--out jacobians.json]

float32 tanh networks of L layers of one width, n_L outputs, for one sample and for a batch. "jacrev", "again" and
"fresh" give the same contiguous tensors, which is checked:

    jacrev     torch.func.jacrev (under vmap for a batch)
    again      ours, every weight's Jacobian written into memory that is used again, which jacrev cannot do
    fresh      ours, into new memory, as jacrev does
    factored   ours, the outer products left as their factors: not the same product, an extra figure
    limit      only writing as many numbers into memory that is used again, and reading every weight of all layers but
               the last twice (once forward, once back)
    new        only writing as many numbers into new memory of torch's

The arms run interleaved, each round in another order, each call right after one of its own kind, as in a loop; a ratio
is the median of jacrev's time over the arm's within a round. Cells whose Jacobians need more than --largest bytes are
left out and named; "<" marks those in which "again" or "fresh" stays below 3.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mathdnn.backprop import MLP, jacobians
from mathdnn.study import machine, versions

Case = tuple[int, int, int, int | None]
GOAL = 3.0


def cases(widths: list[int], depths: list[int]) -> list[Case]:
    """(width, layers, n_L, batch)."""
    grid = itertools.product(widths, depths, (1, 10, 0), (None, 100))
    return [(w, L, n or w, b) for w, L, n, b in grid]


def size(case: Case) -> int:
    """Bytes of the weights' Jacobians."""
    width, layers, outputs, batch = case
    entries = (layers - 1) * width * width + outputs * width
    return 4 * (batch or 1) * outputs * entries


def peer(mlp: MLP, batch: int | None) -> Callable[..., object]:
    def f(x: torch.Tensor, weights: tuple[torch.Tensor, ...], biases: tuple[torch.Tensor, ...]) -> torch.Tensor:
        for layer, (A, b) in enumerate(zip(weights, biases, strict=True), start=1):
            x = A @ x + b if layer == len(weights) else torch.tanh(A @ x + b)
        return x

    jacobian = torch.func.jacrev(f, argnums=(0, 1, 2))
    return jacobian if batch is None else torch.func.vmap(jacobian, in_dims=(0, None, None))


def arms(case: Case) -> dict[str, Callable[[], object]]:
    width, layers, outputs, batch = case
    mlp = MLP.random((*[width] * layers, outputs), dtype=torch.float32)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(*([] if batch is None else [batch]), width, generator=rng)
    jacobian, buffers = peer(mlp, batch), jacobians(mlp, x).buffers()
    return {
        "jacrev": lambda: jacobian(x, mlp.weights, mlp.biases),
        "again": lambda: jacobians(mlp, x).dense(buffers),
        "fresh": lambda: jacobians(mlp, x).dense(),
        "factored": lambda: jacobians(mlp, x),
        "limit": lambda: [A.sum() for A in 2 * mlp.weights[:-1]] + [b.fill_(1.0) for b in buffers],
        "new": lambda: [torch.empty_like(b).fill_(1.0) for b in buffers],
    }


def require_same(functions: dict[str, Callable[[], object]]) -> None:
    """Raise where two arms do not give the same numbers."""
    theirs = torch.utils._pytree.tree_leaves(functions["jacrev"]())
    for name in ("again", "fresh"):
        ours = torch.utils._pytree.tree_leaves(functions[name]())
        if len(ours) != len(theirs) or not all(
            a.shape == b.shape and a.is_contiguous() and torch.allclose(a, b, rtol=1e-4, atol=1e-5)
            for a, b in zip(ours, theirs, strict=True)
        ):
            raise SystemExit(f"{name} is not what jacrev gives")


def seconds(f: Callable[[], object]) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def measure(case: Case, rounds: int) -> dict[str, object]:
    functions = arms(case)
    require_same(functions)
    for f in functions.values():
        f()
    raw: dict[str, list[float]] = {name: [] for name in functions}
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(sorted(functions), len(functions)):
            functions[name]()  # so that caches, and what the system still does after a call, are an arm's own
            raw[name].append(seconds(functions[name]))
    ratios = {
        name: statistics.median(a / b for a, b in zip(raw["jacrev"], times, strict=True))
        for name, times in raw.items()
        if name != "jacrev"
    }
    width, layers, outputs, batch = case
    found = {"width": width, "layers": layers, "outputs": outputs, "batch": batch, "bytes": size(case)}
    return {**found, "seconds": raw, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 3, 4, 5])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--largest", type=float, default=1.2e9, help="bytes of the weights' Jacobians")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for case in cases(arguments.widths, arguments.depths):
        name = f"width {case[0]:4}, L = {case[1]}, n_L = {case[2]:4}, {f'batch {case[3]}' if case[3] else 'one sample'}"
        if size(case) > arguments.largest:
            print(f"{name}: left out, {size(case) / 1e9:.1f} GB", flush=True)
            continue
        row = measure(case, arguments.rounds)
        rows.append(row)
        ratios: dict[str, float] = row["ratios"]  # type: ignore[assignment]
        missed = "" if min(ratios["again"], ratios["fresh"]) >= GOAL else "   <"
        shown = "  ".join(f"{arm} {ratio:6.2f}" for arm, ratio in ratios.items())
        print(f"{name}: {size(case) / 1e6:7.1f} MB  {shown}{missed}", flush=True)
    for arm in ("again", "fresh"):
        got = [row["ratios"][arm] for row in rows]  # type: ignore[index]
        reached = sum(ratio >= GOAL for ratio in got)
        words = f"{arm}: {reached} of {len(got)} cells at {GOAL:g}x, least {min(got):.2f}"
        print(f"{words}, median {statistics.median(got):.2f}")
    if arguments.out:
        document = {"threads": arguments.threads, "rows": rows, "machine": machine(), "versions": versions()}
        arguments.out.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
