"""The chain of a given network, layer by layer, as a person would write it on a board."""

from __future__ import annotations

import re

from mathdnn.backprop.activations import Activation, braced, written
from mathdnn.backprop.mlp import MLP, require_mlp


def explain(mlp: MLP, *, latex: bool = False) -> str:
    """The forward pass and every derivative of this network, with shapes; with `latex`, an align environment."""
    require_mlp(mlp, "explain(mlp=...)")
    lines = [*_forward(mlp, latex), *_backward(mlp, latex)]
    if latex:
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"
    return "\n".join(lines)


def _forward(mlp: MLP, latex: bool) -> list[str]:
    n, L = mlp.widths, mlp.layers
    lines = [] if latex else [f"forward, y_0 = x in R^{n[0]}"]
    for l in range(1, L + 1):  # noqa: E741
        name = _name(mlp.activations[l - 1]) if l < L else ""
        if latex:
            inner = rf"A_{{{l}}} y_{{{l - 1}}} + b_{{{l}}}"
            outer = rf"\sigma_{{{l}}}\left({inner}\right)" if l < L else inner
            sigma = rf",\quad \sigma_{{{l}}}(t) = {_latex(mlp.activations[l - 1])}" if l < L else ""
            lines.append(rf"y_{{{l}}} &= {outer} \in \mathbb{{R}}^{{{n[l]}}}{sigma}")
        else:
            inner = f"A_{l} y_{l - 1} + b_{l}"
            lines.append(
                f"  y_{l} = {f'{name}({inner})' if l < L else inner}   A_{l}: {n[l]} x {n[l - 1]}, y_{l}: {n[l]}"
            )
    return lines


def _backward(mlp: MLP, latex: bool) -> list[str]:
    lines = [] if latex else [f"derivatives of y_{mlp.layers} in R^{mlp.widths[-1]}, from the last layer back"]
    for l in range(mlp.layers, 0, -1):  # noqa: E741
        lines += _layer_latex(mlp, l) if latex else _layer_text(mlp, l)
    if latex:
        return lines
    kinks = sorted({f"{a.name}: {a.kink}" for a in mlp.activations if a.kink})
    given = dict.fromkeys(f"  where sigma(t) = {written(a)}" for a in mlp.activations if a.coefficients is not None)
    return [*lines, *given, *(f"  at kinks, {kink}" for kink in kinks)]


def _name(sigma: Activation) -> str:
    return sigma.name if sigma.coefficients is None else "sigma"


def _latex(sigma: Activation) -> str:
    """sigma(t), or the name of one that has no LaTeX of its own."""
    if sigma.coefficients is not None:
        return braced(written(sigma))
    name = re.sub(r"[_#$%&{}]", r"\\\g<0>", re.sub(r"[\\^~]", " ", sigma.name))
    return sigma.latex or rf"\text{{{name}}}(t)"


def _layer_text(mlp: MLP, l: int) -> list[str]:  # noqa: E741
    n, L = mlp.widths, mlp.layers
    diag = f"diag({_name(mlp.activations[l - 1])}'(z_{l}))" if l < L else ""
    above = f"(dy_{L}/dy_{l})" if l < L else ""
    if l == L:
        return [
            f"  dy_{L}/db_{L} = I   ({n[L]} x {n[L]})",
            f"  dy_{L}/dA_{L}[i,j,k] = [i = j] y_{L - 1}[k]   ({n[L]} x {n[L]} x {n[L - 1]})",
            f"  dy_{L}/dy_{L - 1} = A_{L}   ({n[L]} x {n[L - 1]})",
        ]
    return [
        f"  dy_{l}/dy_{l - 1} = {diag} A_{l}   ({n[l]} x {n[l - 1]})",
        f"  dy_{L}/db_{l} = {above} {diag}   ({n[L]} x {n[l]})",
        f"  dy_{L}/dA_{l}[i,j,k] = ({above} {diag})[i,j] y_{l - 1}[k]   ({n[L]} x {n[l]} x {n[l - 1]})",
        f"  dy_{L}/dy_{l - 1} = {above} {diag} A_{l}   ({n[L]} x {n[l - 1]})",
    ]


def _layer_latex(mlp: MLP, l: int) -> list[str]:  # noqa: E741
    n, L = mlp.widths, mlp.layers

    def d(by: str) -> str:
        return rf"\frac{{\partial y_{{{L}}}}}{{\partial {by}}}"

    y, b, A = (rf"y_{{{l - 1}}}", rf"b_{{{l}}}", rf"A_{{{l}}}")
    if l == L:
        return [
            rf"{d(b)} &= I_{{{n[L]}}}",
            rf"{d(f'({A})_{{jk}}')} &= e_j \, ({y})_k",
            rf"{d(y)} &= {A} \in \mathbb{{R}}^{{{n[L]} \times {n[l - 1]}}}",
        ]
    left = rf"{d(f'y_{{{l}}}')} \operatorname{{diag}}\left(\sigma_{{{l}}}'({A} {y} + {b})\right)"
    return [
        rf"{d(b)} &= {left} \in \mathbb{{R}}^{{{n[L]} \times {n[l]}}}",
        rf"{d(f'({A})_{{jk}}')} &= \left[{left}\right]_{{:,j}} ({y})_k",
        rf"{d(y)} &= {left} {A} \in \mathbb{{R}}^{{{n[L]} \times {n[l - 1]}}}",
    ]
