"""`mathdnn prove gradient`: the closed forms of a network's derivatives, checked, written out, drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathdnn.cli.answer import answer
from mathdnn.cli.formulas import check_typed
from mathdnn.cli.named import foreign, load, require_apart, require_place, sizes
from mathdnn.cli.output import Flag, Json, MaybeNamed
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from mathdnn.backprop import MLP
    from mathdnn.verdict import Verdict

EXAMPLES = """mathdnn prove gradient 2-3-2-1
mathdnn prove gradient 2-2-1/1,0,-2,3 3-5-1/tanh
mathdnn prove gradient networks:net --explain --picture flow.svg
mathdnn prove gradient 2-3-1 --of dyL/dbl --formula "dy_L/dy_l diag(s_l)\""""


@dataclass(frozen=True)
class Network:
    """A network named on the command line: `sigma` is None (any), a polynomial or a name; `model` a module given."""

    text: str
    widths: tuple[int, ...]
    sigma: Any
    model: Any = None

    def mlp(self) -> MLP:
        """The network itself; random weights where only widths were given, the slope of tanh where sigma is any."""
        import dataclasses

        from mathdnn.backprop import ACTIVATIONS, MLP

        if self.model is not None:
            return MLP.from_sequential(self.model)
        anyone = dataclasses.replace(ACTIVATIONS["tanh"], name="sigma", latex=r"\sigma(t)")
        return MLP.random(self.widths, anyone if self.sigma is None else self.sigma)


def gradient(
    network: str,
    /,
    *more: str,
    of: str | None = None,
    formula: str | None = None,
    explain: Flag = False,
    latex: Flag = False,
    picture: MaybeNamed = None,
    json: Json = False,
    save: MaybeNamed = None,
) -> int:
    """Are the closed forms of a perceptron's derivatives right?

    Parameters
    ----------
    network
        WIDTHS: any differentiable sigma, exactly.
        WIDTHS/1,0,-2,3: this polynomial, exactly.
        WIDTHS/tanh: this sigma, against autograd.
        MODULE:NAME: an nn.Sequential, against autograd.
    more
        Further networks.
    of
        One derivative only: dyL/dAl, dyl/dyl-1, ...
    formula
        A closed form of yours for it, in A[l], b[l], y[l], s[l], G[l], I, or as on paper.
    explain
        Print the first network's chain, layer by layer.
    latex
        The same in LaTeX.
    picture
        SVG file: how the first network's gradient shrinks or grows.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    require_place(save, "prove gradient --save")
    require_place(picture, "prove gradient --picture")
    require_apart(picture, save, "prove gradient --picture", "--save")
    networks = [_network(text) for text in (network, *more)]
    of = None if of is None else _name(of)
    if formula is None:
        parts = [part for each in networks for part in _check(each, of)]
    else:
        parts = [_check_typed(each, of, formula) for each in networks]
    code = answer(_together(parts, networks), json=json, save=save)
    _show(networks[0], explain=explain and not json, latex=latex and not json, picture=picture, quiet=json)
    return code


def _show(network: Network, *, explain: bool, latex: bool, picture: Path | None, quiet: bool) -> None:
    from mathdnn.backprop import explain as chain
    from mathdnn.backprop import flow_picture, gradient_flow

    if explain or latex:
        print(chain(network.mlp(), latex=latex))
    if picture is not None:
        import torch

        from mathdnn.data.files import replace_file

        mlp = network.mlp()
        x = torch.randn(mlp.widths[0], generator=torch.Generator().manual_seed(0), dtype=mlp.weights[0].dtype)
        flow = gradient_flow(mlp, x)
        replace_file(picture, flow_picture(flow).encode(), "gradient(picture=...)")
        if not quiet:
            print(f"{flow}\ndrawn: {picture}{'' if network.model is not None else ' (with random weights)'}")


def _network(text: str) -> Network:
    """Widths, and None (any sigma), a polynomial, or the name of an activation; or a module."""
    from mathdnn.backprop import ACTIVATIONS, MLP, polynomial

    who = f"prove gradient {text[:60]}".rstrip()
    if ":" in text:
        model = load(text, who)
        with foreign(who):
            return Network(text, MLP.from_sequential(model).widths, None, model)
    shape, slash, sigma = text.partition("/")
    widths = sizes(shape, who, "2-3-2-1", "-")
    if min(widths) < 1 or len(widths) < 2:
        raise InvalidInput(sentence(who, "widths n_0-...-n_L, at least two, each at least 1", shape[:60], "write more"))
    if not slash:
        return Network(text, widths, None)
    if sigma in ACTIVATIONS:
        return Network(text, widths, sigma)
    if re.fullmatch(r"(-?[0-9]{1,18}(/[1-9][0-9]{0,17})?,?){1,6}(?<!,)", sigma):
        return Network(text, widths, polynomial(*map(Fraction, sigma.split(","))))
    expected = f"up to six coefficients, or one of {', '.join(ACTIVATIONS)}"
    raise InvalidInput(sentence(who, expected, repr(sigma[:60]), "write it as in 2-2-1/1,0,3"))


def _name(of: str) -> str:
    from mathdnn.backprop import FORMULAS, derivative_name

    try:
        return derivative_name(of)
    except InvalidInput:
        names = ", ".join(FORMULAS)
        raise InvalidInput(sentence("prove gradient --of", f"one of {names}", repr(of), "choose one")) from None


def _check_typed(network: Network, of: str | None, formula: str) -> Verdict:
    who = "prove gradient --formula"
    if of is None:
        raise InvalidInput(sentence(who, "the derivative that it is", "none", "add --of dyL/dAl, say"))
    if isinstance(network.sigma, str) or network.model is not None:
        got, do = network.text[:60], "give widths alone: the exact check holds for every differentiable sigma"
        raise InvalidInput(sentence(who, "any sigma, or a polynomial", got, do))
    return check_typed(of, formula, network.widths, network.sigma, who)


def _check(network: Network, of: str | None) -> list[Verdict]:
    from mathdnn.backprop import FORMULAS, check_autograd, check_exact, check_module

    who, widths, sigma = f"prove gradient {network.text[:60]}", network.widths, network.sigma
    if not isinstance(sigma, str) and network.model is None:
        chosen = FORMULAS if of is None else {of: FORMULAS[of]}
        return list(check_exact(widths, sigma, formulas=chosen).values())
    if of is not None:
        do = "leave the activation out: the exact check holds for every differentiable one"
        raise InvalidInput(sentence(who, "all derivatives together, with a named activation", f"--of {of}", do))
    if network.model is not None:
        with foreign(who):
            return list(check_module(network.model).values())
    weights = sum(a * (b + 1) for a, b in zip(widths[1:], widths[:-1], strict=True))
    if weights * widths[-1] > 1_000_000:
        expected, do = "Jacobians of at most 1,000,000 numbers", "take a smaller shape"
        raise InvalidInput(sentence(who, expected, f"{weights * widths[-1]:,}", do))
    return list(check_autograd(widths, sigma).values())


def _together(parts: list[Verdict], networks: list[Network]) -> Verdict:
    """One verdict: the first part that fails, else the least certain with what all rest on, else all certificates."""
    import msgspec

    from mathdnn.homework.combine import all_of
    from mathdnn.verdict import Status

    claim = f"{len(parts)} closed forms of derivatives are right for {', '.join(each.text for each in networks)}"
    order = (Status.REFUTED, Status.CONTRADICTED, Status.UNDECIDED, Status.SUPPORTED, Status.PROVED)
    first = min(parts, key=lambda part: order.index(part.status))
    if len(parts) == 1 or first.status in order[:3]:
        return first
    if first.status is Status.PROVED:
        return all_of(claim, parts)
    worst = max((p for p in parts if p.status is Status.SUPPORTED), key=lambda p: getattr(p.evidence, "high", 0.0))
    assumptions = tuple(dict.fromkeys(item for part in parts for item in part.assumptions))
    return msgspec.structs.replace(worst, claim=f"{claim}; the worst: {worst.claim}", assumptions=assumptions)
