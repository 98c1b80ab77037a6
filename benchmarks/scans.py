"""A scan of every float32 against the bare evaluation of the same inputs on the same cores, side by side.

    python benchmarks/scans.py [--rounds 3] [--threads 2] [--out benchmarks/scans.json] [NAME ...]

The bare evaluation makes the inputs chunk by chunk, as the scan does, calls the function and throws the output away.
The two run interleaved; a ratio is the median of those within a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mathdnn.monotone.floats import FORMATS
from mathdnn.monotone.functions import Elementwise, elementwise
from mathdnn.monotone.scan import CHUNK, chunk_ends, cores, fill_bits, quiet_torch, scan
from mathdnn.study import machine, versions


def bare(f: Elementwise, threads: int) -> None:
    chunks = list(chunk_ends(f.form))

    def work(start: int) -> None:
        steps, buffer = np.arange(CHUNK, dtype=np.int32), np.empty(CHUNK, np.int32)
        for first, last in chunks[start::threads]:
            fill_bits(first, last, steps, buffer, f.form)
            f.on_bits(buffer)

    with quiet_torch(f.library) as quiet, ThreadPoolExecutor(threads, initializer=quiet) as pool:
        list(pool.map(work, range(threads)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["torch.tanh", "torch.relu"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.names:
        f = elementwise(name, FORMATS["float32"])
        raw: dict[str, list[float]] = {"scan": [], "bare": []}
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            found = scan(f, threads=arguments.threads)
            middle = time.perf_counter()
            bare(f, arguments.threads)
            raw["scan"].append(middle - start)
            raw["bare"].append(time.perf_counter() - middle)
        ratio = statistics.median(a / b for a, b in zip(raw["scan"], raw["bare"], strict=True))
        print(f"{name}: {found.decreasing:,} falls, scan {min(raw['scan']):.2f} s, {ratio:.2f} of bare", flush=True)
        rows.append({"name": name, "decreasing": found.decreasing, "seconds": raw, "ratio": ratio})
    if arguments.out:
        arguments.out.write_text(json.dumps({"rows": rows, "machine": machine(), "versions": versions()}, indent=1))


if __name__ == "__main__":
    main()
