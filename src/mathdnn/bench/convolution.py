"""The table convolution as a layer against a masked dense one, and the engine's convolution kernels against the peak.

The layer's arms take the same batch, weights and gradient of the output, and give the output and the gradients by the
input, the weights (edges alone) and the bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mathdnn.bench.figures import faster, takes
from mathdnn.bench.times import Times
from mathdnn.bench.work import Arm, Built, Figure, LeftOut, Settings

LAYER, MASKED = "TableConv2d", "masked dense convolution"
TOLERANCE = 1e-4  # of the largest number; sums of a few thousand products in float32 leave about 1e-6


def build_layer(settings: Settings) -> Built:
    """`TableConv2d` at C3's size, batch 100: forward and backward, on one thread and on all."""
    import torch

    from mathdnn.bench.pair import Pair
    from mathdnn.bench.peers import MaskedConvolution
    from mathdnn.lenet import ConnectionTable, TableConv2d
    from mathdnn.lenet import initialise as draw

    layer = TableConv2d(ConnectionTable.lenet(), 5)
    draw(layer, torch.Generator().manual_seed(0))
    arms, plans, calls = [], {}, 2 if settings.quick else 20
    for threads in sorted({1, settings.threads}, reverse=True):
        name = "" if threads == settings.threads else ", one thread"
        pair = Pair(layer, MaskedConvolution(layer), (100, 6, 14, 14), threads, calls)
        arms += [pair.own(LAYER + name, name), pair.peer(MASKED + name, name)]
        plans[LAYER + name] = pair.plan

    def figures(times: Times) -> list[Figure]:
        found = faster(times, LAYER, [MASKED], 3) + takes(times, LAYER)
        if settings.threads > 1:
            found += faster(times, f"{LAYER}, one thread", [f"{MASKED}, one thread"], 3)
        return found

    return Built(tuple(arms), figures, TOLERANCE, rounds=15, warmup=2, facts=lambda: {"plans": plans})


PEAK = "fused multiply-adds"


def build_kernels(settings: Settings) -> Built:
    """The kernels of C1 and C3 on one core, beside multiply-adds on registers in the same rounds."""
    from mathdnn.lenet import ConnectionTable
    from mathdnn.native.probe import DIRECTIONS, ConvolutionProbe, multiply_add

    layers = {
        "C1": (ConnectionTable.full(1, 6), (1, 32, 32), DIRECTIONS[::2]),  # nothing asks for the images' gradient
        "C3, table": (ConnectionTable.lenet(), (6, 14, 14), DIRECTIONS),
        "C3, full": (ConnectionTable.full(6, 16), (6, 14, 14), DIRECTIONS),
    }
    rounds = 10_000 if settings.quick else 1_000_000
    work = multiply_add(rounds)
    arms = [Arm(PEAK, lambda: multiply_add(rounds), operations=work, bytes=64.0)]
    done: dict[str, float] = {PEAK: work}
    for layer, (table, shape, directions) in layers.items():
        probe = ConvolutionProbe(table.maps, shape, (5, 5))
        calls = max(1, int(work / probe.operations))
        for direction in directions:
            name = f"{layer}, {direction}"
            done[name] = probe.operations
            run = _repeat(probe, direction, calls)
            arms.append(Arm(name, run, calls=calls, operations=probe.operations, bytes=probe.bytes))

    left = LeftOut(
        "agreement", "the kernels' results are compared in the tests; here they run on one block in the cache"
    )
    return Built(tuple(arms), lambda times: _shares(times, done), rounds=21, warmup=2, left_out=(left,))


def _repeat(probe: Any, direction: str, calls: int) -> Callable[[], None]:
    return lambda: probe.run(direction, calls)


def _shares(times: Times, done: dict[str, float]) -> list[Figure]:
    """Each kernel's share of the peak, round by round; and of all kernels of the table network's step together."""
    found = []
    for name in done:
        if name == PEAK or PEAK not in times or name not in times:
            continue
        value, low, high, spread, raw = times.ratio(PEAK, name)
        scale = done[name] / done[PEAK]  # of equal work, the ratio of times is the share
        share = (100 * value * scale, 100 * low * scale, 100 * high * scale)
        found.append(
            Figure(
                f"{name}, share of the peak", *share, "%", "at least", 45.0, spread, tuple(100 * scale * x for x in raw)
            )
        )
    return found
