"""The fast Jacobians against torch's autograd, in float64, on random networks.

Where they differ by no more than rounding may make two right computations differ (`rounding`), as where sigma' of a
saturated layer is all cancellation, nothing is decided.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mathdnn.backprop.activations import ACTIVATIONS, Activation
from mathdnn.backprop.jacobians import jacobians
from mathdnn.backprop.memory import require
from mathdnn.backprop.mlp import MLP, require_seed
from mathdnn.backprop.rounding import rounding
from mathdnn.errors import InvalidInput, sentence
from mathdnn.verdict import Assumption, Counterexample, Estimate, Status, Verdict, refuted, undecided

# A heuristic, with room: largest seen over widths to 1024 and 6 layers is 2e-14, relative to the largest entry.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Gap:
    """The largest difference, relative to the largest entry by autograd; `lost`: rounding may make as much."""

    relative: float
    lost: bool = False


def check_autograd(
    widths: Sequence[int] = (5, 7, 6, 3),
    activation: str | Activation = "tanh",
    *,
    runs: int = 20,
    batch: int = 4,
    seed: int = 0,
) -> dict[str, Verdict]:
    """Supported, or refuted with a network and input: dy_L/dx, dy_L/dA_l and dy_L/db_l agree with autograd.
    Undecided where they differ, but only by what rounding may make.

    `runs` random float64 networks (`MLP.random`, seeds seed, seed + 1, ...) with a batch of normal inputs each.
    """
    _require_counts("check_autograd", runs=runs, batch=batch)
    require_seed(seed, "check_autograd(seed=...)")
    worst: dict[str, list[Gap]] = {}
    with _recording():
        for run in range(seed, seed + runs):
            mlp = MLP.random(widths, activation, seed=run)
            x = _inputs(mlp, batch, run)
            for name, gap in _gaps(mlp, x, _autograd(mlp, x), "check_autograd").items():
                worst.setdefault(name, []).append(gap)
    return {name: _verdict(name, gaps, mlp, seed) for name, gaps in worst.items()}


def check_module(model: Any, *, batch: int = 8, seed: int = 0) -> dict[str, Verdict]:
    """Supported, or refuted: the closed forms agree with autograd through an `nn.Sequential` of Linear and activations.

    Undecided where they differ, but only by what rounding may make. The module's own forward pass is differentiated (a
    copy in float64 and evaluation mode, whose layers keep their inputs), at normal inputs drawn from `seed`. Raises
    `InvalidInput` for a module that is no perceptron, for one whose Jacobians do not fit into memory, or where two
    layers share a parameter: the derivative by that is the sum of theirs, the closed forms give each.
    """
    _require_counts("check_module", batch=batch)
    require_seed(seed, "check_module(seed=...)")
    mlp = MLP.from_sequential(model)
    linear = _linear_layers(model)
    _require_own_parameters(linear)
    entries = sum(A.numel() + b.numel() for A, b in zip(mlp.weights, mlp.biases, strict=True)) + mlp.widths[0]
    require(3 * 8 * batch * mlp.widths[-1] * entries, "check_module(model)", "take a smaller batch or network")
    with _recording():
        own = _copy(model)
        mlp = MLP.from_sequential(own)
        x = _inputs(mlp, batch, seed)
        gaps = _gaps(mlp, x, _module_autograd(own, mlp, x, linear), "check_module(model)")
    return {name: _verdict(name, [gap], mlp, seed, f"for this module, at {batch} inputs") for name, gap in gaps.items()}


@contextlib.contextmanager
def _recording() -> Iterator[None]:
    """Autograd records and new tensors lie on the CPU, whatever the caller set."""
    import torch

    with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"):
        yield


def _copy(model: Any) -> Any:
    """In float64 and evaluation mode. No layer writes over its input: autograd would take sigma' from the output, which
    has lost it where sigma is flat."""
    import copy

    own = copy.deepcopy(model).cpu().double().eval()
    for layer in own.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False
    return own


def _module_autograd(own: Any, mlp: MLP, x: Any, linear: dict[str, Any]) -> dict[str, Any]:
    """The Jacobians of the module's own forward pass by reverse mode."""
    import torch

    parameters = dict(own.named_parameters())
    if any(not value.isfinite().all() for value in (own(x), mlp(x))):
        raise InvalidInput(sentence("check_module(model)", "finite outputs", "NaN or infinity", "check the weights"))

    def f(point: Any, values: Any) -> Any:
        return torch.func.functional_call(own, values, (point[None],))[0]

    dx, by = torch.func.vmap(torch.func.jacrev(f, argnums=(0, 1)), in_dims=(0, None))(x, parameters)
    named = _named(dx, [by[f"{name}.weight"] for name in linear], [by.get(f"{name}.bias") for name in linear])
    return {name: value for name, value in named.items() if value is not None}


def _linear_layers(model: Any) -> dict[str, Any]:
    """Every Linear layer by its name, in the order of the forward pass; one that comes twice has two names."""
    import torch

    named = model.named_modules(remove_duplicate=False)
    return {name: layer for name, layer in named if type(layer) is torch.nn.Linear}


def _require_own_parameters(linear: dict[str, Any]) -> None:
    """Raise `InvalidInput` where a weight or bias is no parameter, or that of two layers."""
    import torch

    seen: dict[int, str] = {}
    for layer, module in linear.items():
        for kind in ("weight", "bias"):
            value, name = getattr(module, kind), f"{layer}.{kind}"
            if value is not None and not isinstance(value, torch.nn.Parameter):
                do = "register it as one, to be differentiated by"
                raise InvalidInput(sentence("check_module(model)", "parameters", f"{name} that is none", do))
            if value is not None and id(value) in seen:
                got = f"{seen[id(value)]}, which is also {name}"
                do = "give each layer its own: the derivative by a shared parameter is the sum over its layers"
                raise InvalidInput(sentence("check_module(model)", "parameters used by one layer each", got, do))
            seen[id(value)] = name


def _require_counts(who: str, **counts: int) -> None:
    for name, count in counts.items():
        if type(count) is not int or count < 1:
            raise InvalidInput(sentence(f"{who}({name}=...)", "at least 1", f"{count!r:.40}", "give a whole number"))


def _inputs(mlp: MLP, batch: int, seed: int) -> Any:
    import torch

    rng = torch.Generator().manual_seed(1_000_003 + seed)
    return torch.randn(batch, mlp.widths[0], generator=rng, dtype=torch.float64)


def _named(dx: Any, dA: Sequence[Any], db: Sequence[Any]) -> dict[str, Any]:
    found = {"dyL/dx": dx}
    for layer, (A, b) in enumerate(zip(dA, db, strict=True), start=1):
        found |= {f"dyL/dA{layer}": A, f"dyL/db{layer}": b}
    return found


def _gaps(mlp: MLP, x: Any, truth: dict[str, Any], who: str) -> dict[str, Gap]:
    """How far each derivative is from the one by autograd."""
    ours = _named(*jacobians(mlp, x).dense())
    gaps = {name: _gap(ours[name], true, who) for name, true in truth.items()}
    if all(gap <= TOLERANCE for gap in gaps.values()):
        return {name: Gap(gap) for name, gap in gaps.items()}
    bounds = rounding(mlp, x)
    lost = {name: bool(((ours[name] - true).abs() <= bounds[name]).all()) for name, true in truth.items()}
    return {name: Gap(gap, gap > TOLERANCE and lost[name]) for name, gap in gaps.items()}


def _gap(a: Any, b: Any, who: str) -> float:
    if not bool(b.isfinite().all()):
        do = "check sigma, and how large its values grow"
        raise InvalidInput(sentence(who, "finite derivatives by autograd", "NaN or infinity", do))
    if not bool(a.isfinite().all()):
        return math.inf
    return float(((a - b).abs().max() / b.abs().max().clamp(min=1e-300)).detach())


def _autograd(mlp: MLP, x: Any) -> dict[str, Any]:
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
    return _named(columns[0], columns[1 : 1 + mlp.layers], columns[1 + mlp.layers :])


def torch_function(a: Activation) -> Any:
    """torch's own function, whose derivative is not ours; an activation of your own is taken as it is, whatever its
    name."""
    import torch

    if a is ACTIVATIONS["identity"]:
        return lambda t: t
    return getattr(torch.nn.functional, a.name, a.value) if ACTIVATIONS.get(a.name) is a else a.value


def _verdict(name: str, gaps: list[Gap], mlp: MLP, seed: int, where: str = "") -> Verdict:
    """Refuted by the worst difference that rounding does not explain; undecided by one that it may."""
    shape = "-".join(str(n) for n in mlp.widths)
    where = where or f"on random {shape} perceptrons"
    claim = f"the closed form of {name} agrees with autograd in float64 {where}"
    decisive = max(gaps, key=lambda gap: (gap.relative > TOLERANCE, not gap.lost, gap.relative))
    at, worst = seed + gaps.index(decisive), decisive.relative
    if decisive.lost:
        why = (
            f"seed {at}: a relative difference of {worst:.3g}, but autograd itself has lost its digits there: rounding"
        )
        return undecided(claim, f"{why} may make as much", "weights for which no sigma' is nearly 0, or check_exact")
    if not worst <= TOLERANCE:
        statement = f"seed {at}: a relative difference of {worst:.3g}, more than {TOLERANCE:g}"
        return refuted(
            claim, Counterexample(statement, {"widths": list(mlp.widths), "seed": at}, f"<= {TOLERANCE:g}", str(worst))
        )
    raw = tuple(gap.relative for gap in gaps)
    estimate = Estimate(
        f"largest relative difference of {name}", worst, min(raw), worst, 1.0, len(raw),
        f"the range over {'random networks' if 'random' in where else 'the inputs'}", margin=TOLERANCE, raw=raw,
    )  # fmt: skip
    because = f"{len(gaps)} network{'s' if len(gaps) > 1 else ''}; the exact check is check_exact"
    what = "random networks stand for all" if "random" in where else "random inputs stand for all"
    return Verdict(claim, Status.SUPPORTED, estimate, (Assumption(what, because),))
