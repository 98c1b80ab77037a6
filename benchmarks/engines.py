"""Accuracy of the native engine against torch's: the homework's recipe over ten seeds, paired.

    python benchmarks/engines.py [--seeds 10] [--epochs 10] [--limit SECONDS] [--out engines.json]

Each seed draws the weights and the order of the images once for both engines. Every finished run is kept in the file at
once, and a later call goes on where the last one stopped; with --limit a call begins no run after that many seconds.
Whether the engines are equivalent was asked with a margin of 0.5 points of accuracy, fixed before the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from mathdnn.data import load_mnist
from mathdnn.lenet import LeNet5
from mathdnn.study import equivalence, machine, paired_difference, prediction_interval, versions
from mathdnn.training import Recipe, initialise, train

ENGINES = ("native", "torch")
MARGIN = 0.5  # points


def one_run(engine: Any, seed: int, recipe: Recipe) -> dict[str, Any]:
    began = time.perf_counter()
    run = train(initialise(LeNet5("table"), seed), load_mnist(), recipe, engine=engine, seed=seed)
    assert run.metrics is not None
    return {"engine": engine, "seed": seed, "accuracy": 100 * run.metrics.accuracy, "loss": run.metrics.loss,
            "digest": run.digest, "seconds": time.perf_counter() - began}  # fmt: skip


def save(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(beside, path)


def report(runs: list[dict[str, Any]]) -> str:
    """Both prediction intervals, the paired difference and the test, over the seeds that both engines finished.

    Where every seed has the same accuracy on both there is no spread to test, and it is said so.
    """
    by = {engine: {run["seed"]: run for run in runs if run["engine"] == engine} for engine in ENGINES}
    seeds = sorted(by["native"].keys() & by["torch"].keys())
    if len(seeds) < 2:
        return f"{len(runs)} runs; two seeds of both engines are needed"
    lines = []
    for engine in ENGINES:
        within = prediction_interval([by[engine][seed]["accuracy"] for seed in seeds])
        lines.append(
            f"{engine:6} mean {within.center:.2f} %, one more run within [{within.low:.2f}, {within.high:.2f}] %"
        )
    for metric, unit, digits in (("accuracy", "points", 3), ("loss", "", 9)):
        native, torch = ([by[engine][seed][metric] for seed in seeds] for engine in ENGINES)
        if native == torch:
            lines.append(f"{metric}: native and torch give the same for each of {len(seeds)} seeds")
            continue
        apart = paired_difference(native, torch)
        between = f"[{apart.low:+.{digits}f}, {apart.high:+.{digits}f}] {unit}".rstrip()
        lines.append(f"{metric}: native - torch {apart.center:+.{digits}f} {between}, {len(seeds)} paired seeds")
        if metric == "accuracy":
            claim = f"the engines' mean accuracies differ by less than {MARGIN:g} points"
            lines.append(str(equivalence(native, torch, MARGIN, claim=claim, quantity="native - torch", unit=unit)))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0, 1, ... of each engine (default 10)")
    parser.add_argument("--epochs", type=int, default=10, help="of the homework's recipe (default 10)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="those to run now")
    parser.add_argument("--limit", type=float, default=float("inf"), help="begin no run after so many seconds")
    parser.add_argument("--out", type=Path, default=Path("engines.json"), help="the file that is kept and gone on from")
    arguments = parser.parse_args()
    document: dict[str, Any] = {"epochs": arguments.epochs, "runs": [], "machine": machine(), "versions": versions()}
    if arguments.out.exists():
        kept = json.loads(arguments.out.read_text())
        if kept["epochs"] != arguments.epochs:
            parser.error(f"{arguments.out} holds runs of {kept['epochs']} epochs; name another file with --out")
        document["runs"] = kept["runs"]
    began, recipe = time.monotonic(), Recipe(epochs=arguments.epochs)
    for engine in arguments.engines:
        for seed in range(arguments.seeds):
            if any((run["engine"], run["seed"]) == (engine, seed) for run in document["runs"]):
                continue
            if time.monotonic() - began > arguments.limit:
                break
            document["runs"].append(one_run(engine, seed, recipe))
            save(arguments.out, document)
            print(f"{engine} seed {seed}: {document['runs'][-1]['accuracy']:.2f} %", flush=True)
    print(report(document["runs"]))


if __name__ == "__main__":
    main()
