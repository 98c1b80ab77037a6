"""`TableConv2d` over a grid of sizes: against a masked dense convolution, or torch's own where a table is groups.

Each size has three arms in the same rounds, each after an untimed call: the layer, its peer, and the peer once more.
The two of a kind say what the measurement cannot tell apart: the layer counts as slower where its whole interval lies
below all of theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mathdnn.bench.figures import faster
from mathdnn.bench.times import Times
from mathdnn.bench.work import Arm, Built, Figure, Settings

if TYPE_CHECKING:
    from mathdnn.bench.pair import Pair

OWN, PEER, AGAIN = "TableConv2d", "torch", "torch again"
TOLERANCE = 1e-4  # of the largest number, as for the layer
ARM_OPERATIONS = 2e9  # of an arm in a round: some milliseconds


class Size(NamedTuple):
    """`reads` maps for each output map, drawn at random, or all of its group; `threads` 0 for all there are."""

    images: int
    maps_in: int
    maps_out: int
    side: int
    filter: int
    reads: int
    groups: int = 0
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    threads: int = 0
    double: bool = False

    def __str__(self) -> str:
        table = f"{self.groups} groups" if self.groups else f"by {self.reads}"
        words = [f"{self.images} image{'s' * (self.images != 1)}", f"{self.maps_in} to {self.maps_out} maps, {table}"]
        words += [f"{self.side}x{self.side}", f"{self.filter}x{self.filter}"]
        words += [f"{name} {value}" for name, value, usual in (
            ("stride", self.stride, 1), ("padding", self.padding, 0), ("dilation", self.dilation, 1),
        ) if value != usual]  # fmt: skip
        words += ["float64"] * self.double + ["one thread"] * (self.threads == 1)
        return ", ".join(words)


def _one_thread(*sizes: Size) -> tuple[Size, ...]:
    return tuple(size._replace(threads=1) for size in sizes)


C3, SPARSE, EVEN = Size(100, 6, 16, 14, 5, 4), Size(100, 16, 16, 14, 3, 4), Size(100, 16, 16, 14, 3, 12)
HALF, POINT, WIDE = Size(32, 32, 32, 16, 3, 16), Size(100, 16, 32, 8, 1, 4), Size(100, 8, 8, 28, 7, 2)
LARGE, ALONE, DEPTH = Size(32, 32, 32, 16, 5, 16), Size(1, 6, 16, 14, 5, 3), Size(100, 16, 16, 14, 3, 1, 16, padding=1)

GRID = (
    # batches
    ALONE, Size(10, 6, 16, 14, 5, 4), C3, Size(1000, 6, 16, 14, 5, 4), Size(1, 3, 32, 32, 3, 2, padding=1),
    # sparse to dense, few maps to many
    Size(100, 3, 8, 28, 3, 2), SPARSE, Size(10, 16, 16, 14, 3, 8), EVEN, Size(32, 32, 32, 16, 3, 4), HALF,
    Size(16, 64, 64, 8, 3, 8), Size(16, 64, 64, 8, 3, 32), Size(1, 64, 64, 28, 3, 16, padding=1),
    Size(4, 128, 128, 14, 3, 64, padding=1), Size(4, 128, 128, 14, 3, 120, padding=1), LARGE,
    # filters of other sizes, strides, dilations
    POINT, Size(100, 16, 32, 8, 1, 12), Size(1, 64, 64, 28, 1, 16), Size(1, 16, 16, 28, 1, 4),
    Size(100, 16, 16, 14, 2, 4), Size(100, 16, 16, 14, 4, 12), WIDE, Size(1, 16, 16, 28, 7, 4, padding=3),
    Size(10, 3, 64, 32, 7, 2, stride=2, padding=3), Size(100, 16, 16, 14, 3, 4, stride=2, padding=1),
    Size(100, 16, 16, 14, 3, 12, stride=2, padding=1), Size(100, 16, 16, 14, 3, 4, dilation=2, padding=2),
    Size(100, 16, 16, 14, 3, 12, dilation=2, padding=2),
    # groups, one group among them, and one map to one map
    Size(100, 16, 16, 14, 3, 16, 1), Size(100, 16, 32, 14, 3, 8, 2, padding=1), Size(32, 32, 32, 16, 5, 8, 4),
    Size(32, 64, 64, 16, 3, 16, 4, padding=1), Size(32, 64, 64, 16, 1, 16, 4), Size(16, 32, 32, 16, 3, 4, 8, padding=1),
    DEPTH, Size(100, 6, 6, 14, 5, 1, 6), Size(32, 64, 64, 16, 3, 1, 64, stride=2, padding=1),
    Size(10, 96, 96, 14, 7, 1, 96, padding=3), Size(1, 64, 64, 28, 3, 1, 64, padding=1),
    # the other kind of number, and one thread
    SPARSE._replace(double=True), Size(1, 16, 16, 14, 3, 16, 1, double=True),
    *_one_thread(ALONE, C3, SPARSE, EVEN, HALF, LARGE, POINT, WIDE, DEPTH),
)  # fmt: skip


def build_grid(settings: Settings) -> Built:
    """The layer, its peer and the peer again over a grid of sizes; each size is a ratio of its own."""
    arms: list[Arm] = []
    plans: dict[str, str] = {}
    for size in (ALONE, DEPTH) if settings.quick else GRID:
        pair, name = pair_of(size, settings), f", {size}"
        arms += [pair.own(OWN + name, name), pair.peer(PEER + name, name), pair.peer(AGAIN + name, name)]
        plans[str(size)] = pair.plan
    return Built(tuple(arms), figures, TOLERANCE, rounds=11, facts=lambda: {"plans": plans})


def pair_of(size: Size, settings: Settings) -> Pair:
    """The layer of a size and its peer."""
    import torch

    from mathdnn.bench.pair import Pair
    from mathdnn.bench.peers import GroupedConvolution, MaskedConvolution
    from mathdnn.lenet import ConnectionTable, TableConv2d

    if size.groups:
        table = ConnectionTable.grouped(size.maps_in, size.maps_out, size.groups)
    else:
        table = ConnectionTable.random(size.maps_in, size.maps_out, size.reads, seed=0)
    dtype = torch.float64 if size.double else torch.float32
    layer = TableConv2d(table, size.filter, size.stride, size.padding, size.dilation, dtype=dtype)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    peer = GroupedConvolution(layer) if size.groups else MaskedConvolution(layer)
    # what torch multiplies, one map as many as a few: the smallest sizes take their time elsewhere
    dense = 6.0 * size.maps_in * size.maps_out / max(1, size.groups) * (size.filter * size.side / size.stride) ** 2
    calls = max(1, min(100, int(ARM_OPERATIONS / (size.images * dense))))
    shape = (size.images, size.maps_in, size.side, size.side)
    return Pair(layer, peer, shape, size.threads or settings.threads, 1 if settings.quick else calls)


def figures(times: Times) -> list[Figure]:
    """Each size's ratio, the least of them, and how many are slower."""
    sizes = [name.removeprefix(OWN) for name in times.seconds if name.startswith(OWN)]
    if not sizes:
        return []
    found = [faster(times, OWN + size, [PEER + size])[0] for size in sizes]
    slower = float(sum(is_slower(times, size) for size in sizes))
    least = min(found, key=lambda figure: figure.value)
    what = f"sizes of {len(found)} where {OWN} is slower: below all that {PEER} comes to against itself"
    worst = Figure("the least ratio", least.value, least.low, least.high, "x", spread=least.spread, raw=least.raw)
    return [Figure(what, slower, slower, slower, "", "at most", 0.0), worst, *found]


def is_slower(times: Times, size: str) -> bool:
    """Whether the layer's interval lies below that of the peer against itself, whichever of the two is taken first."""
    own = times.ratio(PEER + size, OWN + size)[2]
    itself = min(times.ratio(PEER + size, AGAIN + size)[1], times.ratio(AGAIN + size, PEER + size)[1])
    return own < min(1.0, itself)
