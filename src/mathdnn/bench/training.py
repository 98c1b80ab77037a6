"""The homework's recipe whole, how time and memory grow with the images, and the reproduction of the homework.

    beside the data = highest memory during an epoch - memory before it, images and engine being there already

Growth repeats MNIST's images, since what they show costs nothing. The highest memory is the kernel's own count
(/proc/self/status), which Linux lets a process start anew; elsewhere it is left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mathdnn.bench.figures import takes
from mathdnn.bench.times import Times
from mathdnn.bench.work import Arm, Built, Figure, LeftOut, Settings

EPOCHS, REPRODUCE = "mathdnn, ten epochs", "mathdnn reproduce"
SIZES = (1_000, 10_000, 60_000, 200_000, 600_000)
LINEAR = 1.15  # heuristic: of the seconds an image at 60,000 images; noise of a shared machine is a tenth
FLAT = 32e6  # bytes, a fifteenth of 600,000 images; their order takes 14 MB while it is drawn


def build_epochs(settings: Settings) -> Built:
    """`train` with the homework's recipe and its evaluations, from a new seed each time."""
    from mathdnn.data import load_mnist
    from mathdnn.lenet import LeNet5
    from mathdnn.training import Recipe, initialise, train

    data = load_mnist()
    right: dict[int, int] = {}

    def run() -> None:
        seed = len(right)
        run = train(initialise(LeNet5("table"), seed), data, Recipe(epochs=1 if settings.quick else 10),
                    engine="native", seed=seed)  # fmt: skip
        assert run.metrics is not None
        right[seed] = run.metrics.right

    left = (
        LeftOut("agreement", "one step and one epoch are compared with torch's engine in the tests and in 'lenet'"),
        LeftOut("accuracy against torch's engine", "ten seeds of it take longer than all other works together"),
    )
    return Built((Arm(EPOCHS, run, cores=settings.threads),), lambda times: takes(times, EPOCHS, 5.0), rounds=3,
                 warmup=0, left_out=left, facts=lambda: {"right of 10,000 by seed": dict(right)})  # fmt: skip


def build_growth(settings: Settings) -> Built:
    """One epoch of the table network over 1,000 to 600,000 images."""
    sizes = SIZES[:2] if settings.quick else SIZES
    memory: dict[int, int] = {}
    arms = tuple(Arm(f"{n:,} images", _epoch(n, memory), slow=n > 60_000, cores=settings.threads) for n in sizes)
    left = [LeftOut("agreement", "one way of doing the work")]
    if _status("VmHWM") is None or not _reset_highest():
        left.append(LeftOut("memory beside the data", "this system does not let a process count its highest anew"))

    def figures(times: Times) -> list[Figure]:
        return _linear(times, sizes) + _flat(memory)

    def facts() -> dict[str, dict[str, int]]:
        return {"bytes beside the data": {f"{n}": size for n, size in memory.items()}}

    return Built(arms, figures, rounds=6, slow_rounds=3, warmup=0, left_out=tuple(left), facts=facts)


def _epoch(n: int, memory: dict[int, int]) -> Callable[[], None]:
    """An epoch over `n` images, its order drawn as `train` draws it; notes the highest memory over that before."""
    from mathdnn.bench.lenet import NativeArm
    from mathdnn.data import Split, load_mnist
    from mathdnn.lenet import LeNet5
    from mathdnn.training import initialise
    from mathdnn.training.batches import epoch_order

    train = load_mnist().train
    rows = np.arange(n) % len(train.images)
    arm = NativeArm(initialise(LeNet5("table"), 0), Split(train.images[rows], train.labels[rows]), n)

    def run() -> None:
        counted, before = _reset_highest(), _status("VmRSS")
        arm.train(epoch_order(0, 0, n))
        highest = _status("VmHWM")
        if counted and before is not None and highest is not None:
            memory[n] = max(memory.get(n, 0), highest - before)

    return run


def _linear(times: Times, sizes: Sequence[int]) -> list[Figure]:
    """Seconds an image at the largest size, in those at 60,000; and microseconds an image at each size."""
    found = []
    small, large = f"{60_000:,} images", f"{sizes[-1]:,} images"
    if sizes[-1] > 60_000 and small in times and large in times:
        ratio, low, high, spread, raw = times.ratio(large, small)
        by = 60_000 / sizes[-1]
        what = f"time an image, {large} to {small}"
        values = (ratio * by, low * by, high * by)
        found.append(Figure(what, *values, "x", "at most", LINEAR, spread, tuple(by * value for value in raw)))
    for n in sizes:
        if f"{n:,} images" in times:
            raw = tuple(1e6 * value / n for value in times.seconds[f"{n:,} images"])
            spread = f"range of {len(raw)} round{'s' * (len(raw) != 1)}"
            found.append(
                Figure(
                    f"an image among {n:,}", statistics.median(raw), min(raw), max(raw), "µs", spread=spread, raw=raw
                )
            )
    return found


def _flat(memory: dict[int, int]) -> list[Figure]:
    """The highest memory beside the data at the largest size."""
    if not memory:
        return []
    n, low, high = max(memory), min(memory.values()) / 1e6, max(memory.values()) / 1e6
    what = f"memory beside the data during an epoch of {n:,} images"
    spread = f"range over {len(memory)} size{'s' * (len(memory) != 1)}"
    return [Figure(what, memory[n] / 1e6, low, high, "MB", "at most", FLAT / 1e6, spread)]


def build_reproduce(settings: Settings) -> Built:
    """`mathdnn reproduce`, all of it, in a process of its own."""
    problems = ["2"] if settings.quick else []

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "mathdnn.cli", "reproduce", *problems, "--out", f"{folder}/reproduction"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    left = LeftOut("agreement", "each claim is decided by itself, and told by the command")
    return Built((Arm(REPRODUCE, run, cores=settings.threads),), lambda times: takes(times, REPRODUCE, 60.0),
                 rounds=1, warmup=0, left_out=(left,))  # fmt: skip


def _status(name: str) -> int | None:
    """A line of /proc/self/status in bytes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _reset_highest() -> bool:
    """Start the count of the highest memory anew; free memory that the process still holds goes back before."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # else new arrays hide in what earlier works left
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return True
    return False
