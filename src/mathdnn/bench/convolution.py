"""The table convolution as a layer against a masked dense one, and the engine's convolution kernels against the peak.

The layer's arms take the same batch, weights and gradient of the output, and give the output and the gradients by the
input, the weights (edges alone) and the bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mathdnn.bench.figures import faster, takes
from mathdnn.bench.times import Times
from mathdnn.bench.work import Arm, Built, Figure, LeftOut, Settings

if TYPE_CHECKING:
    from mathdnn.lenet import ConnectionTable

LAYER, MASKED = "TableConv2d", "masked dense convolution"
TOLERANCE = 1e-4  # of the largest number; sums of a few thousand products in float32 leave about 1e-6

GRID = (  # images, maps in, maps out, rows and columns, filter, maps that an output map reads
    (1, 6, 16, 14, 5, 3),
    (10, 6, 16, 14, 5, 4),
    (1000, 6, 16, 14, 5, 4),
    (100, 3, 8, 28, 3, 2),
    (100, 16, 16, 14, 3, 4),
    (100, 16, 16, 14, 3, 12),
    (32, 32, 32, 16, 3, 4),
    (32, 32, 32, 16, 5, 16),
    (100, 16, 32, 8, 1, 4),
    (16, 64, 64, 8, 3, 8),
    (100, 8, 8, 28, 7, 2),
)


def build_layer(settings: Settings) -> Built:
    """`TableConv2d` at C3's size, batch 100: forward and backward."""
    from mathdnn.lenet import ConnectionTable

    calls = 2 if settings.quick else 20
    arms, facts = _pair(ConnectionTable.lenet(), 100, 14, 5, calls, "", settings)

    def figures(times: Times) -> list[Figure]:
        return faster(times, LAYER, [MASKED], 3) + takes(times, LAYER)

    return Built(tuple(arms), figures, TOLERANCE, rounds=15, warmup=2, facts=lambda: {"plan": facts})


def build_grid(settings: Settings) -> Built:
    """The layer and the masked convolution over a grid of sizes; each pair is a ratio of its own."""
    from mathdnn.lenet import ConnectionTable

    arms: list[Arm] = []
    plans: dict[str, str] = {}
    for n, maps_in, maps_out, side, kernel, fan_in in GRID[:2] if settings.quick else GRID:
        table = ConnectionTable.random(maps_in, maps_out, fan_in, seed=0)
        name = f", {n} images, {maps_in} to {maps_out} maps by {fan_in}, {side}x{side}, {kernel}x{kernel}"
        calls = 1 if settings.quick else max(1, 2_000_000 // (n * maps_out * side * side * kernel))
        pair, plans[name.removeprefix(", ")] = _pair(table, n, side, kernel, calls, name, settings)
        arms += pair
    return Built(tuple(arms), _grid_figures, TOLERANCE, rounds=11, facts=lambda: {"plans": plans})


def _grid_figures(times: Times) -> list[Figure]:
    sizes = [name.removeprefix(LAYER) for name in times.seconds if name.startswith(LAYER)]
    found = [figure for size in sizes for figure in faster(times, LAYER + size, [MASKED + size])]
    if not found:
        return []
    slower = float(sum(figure.high < 1 for figure in found))
    least = min(found, key=lambda figure: figure.value)
    what = f"sizes of {len(found)} where {LAYER} is slower, its whole interval below 1"
    worst = Figure("the least ratio", least.value, least.low, least.high, "x", spread=least.spread, raw=least.raw)
    return [Figure(what, slower, slower, slower, "", "at most", 0.0), worst, *found]


def _pair(
    table: ConnectionTable, n: int, side: int, kernel: int, calls: int, name: str, settings: Settings
) -> tuple[list[Arm], str]:
    import torch

    from mathdnn.bench.peers import MaskedConvolution
    from mathdnn.lenet import TableConv2d
    from mathdnn.lenet import initialise as draw

    rng = torch.Generator().manual_seed(0)
    layer = TableConv2d(table, kernel)
    draw(layer, rng)
    masked, out = MaskedConvolution(layer), side - kernel + 1
    x = torch.randn(n, table.in_channels, side, side, generator=rng)
    slope = torch.randn(n, table.out_channels, out, out, generator=rng)
    edges, weights = layer.edge, len(table.edges) * kernel * kernel
    operations = 6.0 * n * weights * out * out
    moved = 4.0 * (2 * x.numel() + 2 * slope.numel() + 3 * weights)
    own = {"group": name, "calls": calls, "cores": settings.threads}
    arms = [
        Arm(LAYER + name, _step(layer, x, slope, calls), lambda: _found(layer, x, slope, None),
            operations=operations, bytes=moved, **own),  # type: ignore[arg-type]
        Arm(MASKED + name, _step(masked, x, slope, calls), lambda: _found(masked, x, slope, edges), **own),  # type: ignore[arg-type]
    ]  # fmt: skip
    return arms, str(layer.plan_for(n))


def _step(layer: Any, x: Any, slope: Any, calls: int) -> Callable[[], None]:
    import torch

    leaf = x.clone().requires_grad_()
    inputs = [leaf, *layer.parameters()]

    def run() -> None:
        for _ in range(calls):
            torch.autograd.grad(layer(leaf), inputs, slope)

    return run


def _found(layer: Any, x: Any, slope: Any, edges: Any) -> np.ndarray:
    """The output and the gradients by input, weight and bias, end to end; each divided by its largest number."""
    import torch

    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    dx, dw, db = torch.autograd.grad(y, [leaf, layer.weight, layer.bias], slope)
    dw = dw if edges is None else dw[edges[:, 0], edges[:, 1]]
    parts = [part.detach().reshape(-1) for part in (y, dx, dw, db)]
    found: np.ndarray = torch.cat([part / part.abs().max() for part in parts]).numpy()
    return found


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
