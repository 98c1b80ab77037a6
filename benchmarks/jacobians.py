"""Closed-form Jacobians by input, every weight and every bias, against torch.func.jacrev, side by side.

    python benchmarks/jacobians.py [--rounds 15] [--out benchmarks/jacobians.json]

float32 tanh networks of three layers, one thread. "dense": every weight's Jacobian written out into memory that is used
again, which jacrev cannot do; "fresh": into new memory, as jacrev does; "factored": the outer products as factors.
The arms run interleaved after a warm-up; a ratio is the median of those within a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mathdnn.backprop import MLP, jacobians
from mathdnn.study import machine, versions

CASES = [(w, n, b) for w in (64, 256, 1024) for n in (1, 10) for b in (None, 8) if (w, n, b) != (1024, 10, 8)]


def peer(mlp: MLP, batch: int | None) -> Callable[..., object]:
    def f(x: torch.Tensor, weights: tuple[torch.Tensor, ...], biases: tuple[torch.Tensor, ...]) -> torch.Tensor:
        for layer, (A, b) in enumerate(zip(weights, biases, strict=True), start=1):
            x = A @ x + b if layer == len(weights) else torch.tanh(A @ x + b)
        return x

    jacobian = torch.func.jacrev(f, argnums=(0, 1, 2))
    return jacobian if batch is None else torch.func.vmap(jacobian, in_dims=(0, None, None))


def arms(width: int, outputs: int, batch: int | None) -> dict[str, Callable[[], object]]:
    mlp = MLP.random((width, width, width, outputs), dtype=torch.float32)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(*([] if batch is None else [batch]), width, generator=rng)
    jacobian, buffers = peer(mlp, batch), jacobians(mlp, x).buffers()
    return {
        "jacrev": lambda: jacobian(x, mlp.weights, mlp.biases),
        "dense": lambda: jacobians(mlp, x).dense(buffers),
        "fresh": lambda: jacobians(mlp, x).dense(),
        "factored": lambda: jacobians(mlp, x),
    }


def seconds(f: Callable[[], object]) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for width, outputs, batch in CASES:
        functions = arms(width, outputs, batch)
        for f in functions.values():
            f()
        raw: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(arguments.rounds):
            for name, f in functions.items():
                raw[name].append(seconds(f))
        ratios = {
            name: statistics.median(a / b for a, b in zip(raw["jacrev"], times, strict=True))
            for name, times in raw.items()
        }
        rows.append({"width": width, "outputs": outputs, "batch": batch, "seconds": raw, "ratios": ratios})
        shown = ", ".join(f"{name} {ratio:.2f}x" for name, ratio in ratios.items() if name != "jacrev")
        print(f"width {width}, {outputs} output(s), batch {batch or 'none'}: {shown}", flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps({"rows": rows, "machine": machine(), "versions": versions()}, indent=1))


if __name__ == "__main__":
    main()
