"""The fast Jacobians against torch's autograd, in float64, on random networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mathdnn.backprop.activations import Activation
from mathdnn.backprop.jacobians import jacobians
from mathdnn.backprop.mlp import MLP
from mathdnn.verdict import Assumption, Counterexample, Equality, Estimate, Status, Verdict, refuted

# A heuristic, with room: largest seen over widths to 1024 and 6 layers is 2e-14, relative to the largest entry.
TOLERANCE = 1e-10


def check_autograd(
    widths: Sequence[int] = (5, 7, 6, 3),
    activation: str | Activation = "tanh",
    *,
    runs: int = 20,
    batch: int = 4,
    seed: int = 0,
) -> dict[str, Verdict]:
    """Supported, or refuted with a network and input: dy_L/dx, dy_L/dA_l and dy_L/db_l agree with autograd.

    `runs` random float64 networks (`MLP.random`, seeds seed, seed + 1, ...) with a batch of normal inputs each.
    """
    worst: dict[str, list[float]] = {}
    for run in range(seed, seed + runs):
        mlp = MLP.random(widths, activation, seed=run)
        for name, gap in _gaps(mlp, _inputs(mlp, batch, run)).items():
            worst.setdefault(name, []).append(gap)
    return {name: _verdict(name, gaps, mlp, seed) for name, gaps in worst.items()}


def _inputs(mlp: MLP, batch: int, seed: int) -> Any:
    import torch

    rng = torch.Generator().manual_seed(1_000_003 + seed)
    return torch.randn(batch, mlp.widths[0], generator=rng, dtype=torch.float64)


def _gaps(mlp: MLP, x: Any) -> dict[str, float]:
    """The largest difference of each derivative, relative to its largest entry."""
    dx, dA, db = jacobians(mlp, x).dense()
    true_dx, true_dA, true_db = _autograd(mlp, x)
    pairs = {"dyL/dx": [(dx, true_dx)]}
    for layer in range(1, mlp.layers + 1):
        pairs[f"dyL/dA{layer}"] = [(dA[layer - 1], true_dA[layer - 1])]
        pairs[f"dyL/db{layer}"] = [(db[layer - 1], true_db[layer - 1])]
    return {name: max(_gap(a, b) for a, b in both) for name, both in pairs.items()}


def _gap(a: Any, b: Any) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-300))


def _autograd(mlp: MLP, x: Any) -> tuple[Any, list[Any], list[Any]]:
    """The same Jacobians by reverse mode, one output at a time, through torch's own activations."""
    import torch

    steps = [torch_function(a) for a in mlp.activations]

    def f(point: Any, *parameters: Any) -> Any:
        y = point
        for layer in range(mlp.layers):
            y = parameters[layer] @ y + parameters[mlp.layers + layer]
            y = steps[layer](y) if layer < mlp.layers - 1 else y
        return y

    jacobian: Any = torch.autograd.functional.jacobian
    samples = [jacobian(f, (point, *mlp.weights, *mlp.biases)) for point in x]
    columns = [torch.stack(column) for column in zip(*samples, strict=True)]
    return columns[0], columns[1 : 1 + mlp.layers], columns[1 + mlp.layers :]


def torch_function(a: Activation) -> Any:
    """torch's own function of that name, whose derivative is not ours; an activation of your own is taken as it is."""
    import torch

    if a.name == "identity":
        return lambda t: t
    return getattr(torch.nn.functional, a.name, a.value)


def _verdict(name: str, gaps: list[float], mlp: MLP, seed: int) -> Verdict:
    shape = "-".join(str(n) for n in mlp.widths)
    claim = f"the closed form of {name} agrees with autograd in float64 on random {shape} perceptrons"
    worst = max(gaps)
    if not worst <= TOLERANCE:
        at = seed + gaps.index(worst)
        statement = f"seed {at}: a relative difference of {worst:.3g}, more than {TOLERANCE:g}"
        return refuted(
            claim, Counterexample(statement, {"widths": list(mlp.widths), "seed": at}, f"<= {TOLERANCE:g}", str(worst))
        )
    estimate = Estimate(
        f"largest relative difference of {name}", worst, min(gaps), worst, 1.0, len(gaps),
        "the range over random networks", margin=TOLERANCE, raw=tuple(gaps),
    )  # fmt: skip
    because = f"{len(gaps)} networks; the exact check is check_exact"
    return Verdict(
        claim, Status.SUPPORTED, estimate, (Assumption("random networks stand for all", because),), Equality.REALS
    )
