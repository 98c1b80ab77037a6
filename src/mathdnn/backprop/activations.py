"""Activations with their derivatives, for torch tensors.

Convention at kinks: the derivative is the one from the left, so relu'(0) = 0, as torch's autograd has it;
hardtanh' = 0 at both ends, leaky_relu'(0) = 0.01. For t > 20 softplus(t) = t with slope 1, as torch has it: log(1+e^t)
is larger by 2.1e-9 at most. Where z overflowed or is NaN, sigma' is what torch's autograd gives as well, but for three:
softsign' at infinity is its limit 0 (there NaN, as softsign is in both), elu' of NaN is NaN (there 1 in a scalar tail),
and hardtanh' of NaN is 1 (there 0 in a vector body).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mathdnn.errors import InvalidInput, sentence

Map = Callable[[Any], Any]

THRESHOLD = 20.0  # nn.Softplus is linear beyond (its default)


@dataclass(frozen=True)
class Activation:
    """sigma and its derivative, both elementwise; `bound` is the greatest |sigma'| (None where there is none).

    `latex` is sigma(t) in LaTeX (where it is left out, the name stands for it); `coefficients` are those of a
    polynomial sigma, else None."""

    name: str
    value: Map
    derivative: Map
    latex: str = ""
    bound: float | None = None
    kink: str = ""
    coefficients: tuple[Fraction, ...] | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.bound, int | float) and not isinstance(self.bound, bool)
        for field, fits, expected in (
            ("name", isinstance(self.name, str), "a text"),
            ("value", callable(self.value), "a function of a tensor"),
            ("derivative", callable(self.derivative), "a function of a tensor"),
            ("latex", isinstance(self.latex, str), "a text"),
            ("bound", self.bound is None or (number and self.bound >= 0), "None or the greatest |sigma'|"),
            ("kink", isinstance(self.kink, str), "a text"),
        ):
            if not fits:
                got, do = f"{getattr(self, field)!r:.40}", "give one"
                raise InvalidInput(sentence(f"Activation({field}=...)", expected, got, do))

    def both(self, z: Any) -> tuple[Any, Any]:
        """sigma(z), sigma'(z), the second from the first where that is cheaper. Raises `InvalidInput` for code of
        somebody's own that gives anything but tensors like z; what it writes into z stays there."""
        if ACTIVATIONS.get(self.name) is not self:
            return _given(self, "sigma", self.value, z), _given(self, "sigma'", self.derivative, z)
        y, cheap = self.value(z), _FROM_VALUE.get((self.value, self.derivative))
        return y, self.derivative(z) if cheap is None else cheap(y)


def _given(of: Activation, what: str, f: Map, z: Any) -> Any:
    """f at a copy of z: many a function has a form that writes its result into what it is given."""
    import torch

    found = f(z.clone())
    if not isinstance(found, torch.Tensor) or (found.shape, found.dtype, found.device) != (z.shape, z.dtype, z.device):
        tensor = isinstance(found, torch.Tensor)
        got = f"shape {tuple(found.shape)} of {found.dtype} on {found.device}" if tensor else f"{found!r:.40}"
        expected = f"{what}(z) like z, of shape {tuple(z.shape)} and {z.dtype} on {z.device}"
        raise InvalidInput(sentence(f"Activation({of.name!r:.40})", expected, got, "return a tensor like z"))
    return found


def _tanh(z: Any) -> Any:
    return z.tanh()


def _tanh_derivative(z: Any) -> Any:
    return 1 - z.tanh().square()


def _sigmoid(z: Any) -> Any:
    return z.sigmoid()


def _sigmoid_derivative(z: Any) -> Any:
    s = z.sigmoid()
    return s * (1 - s)


def _constant(z: Any, c: float) -> Any:
    """c everywhere, of z's kind: z * 0 + c is NaN where z overflowed."""
    return z.masked_fill(z.new_ones((), dtype=bool), c)


def _relu_derivative(z: Any) -> Any:
    return (~(z <= 0)).to(z.dtype)


def _hardtanh_derivative(z: Any) -> Any:
    return (~((z <= -1) | (z >= 1))).to(z.dtype)


def _softplus(z: Any) -> Any:
    return z.clamp(min=0) + (-z.abs()).exp().log1p().masked_fill(z > THRESHOLD, 0)


def _softplus_derivative(z: Any) -> Any:
    return z.sigmoid().masked_fill(z > THRESHOLD, 1)


def _elu(z: Any) -> Any:
    return z.clamp(min=0) + z.clamp(max=0).expm1()


def _normal_density(z: Any) -> Any:
    return (-z.square() / 2).exp() / math.sqrt(2 * math.pi)


def _normal_distribution(z: Any) -> Any:
    return ((z / math.sqrt(2)).erf() + 1) / 2


def _silu_derivative(z: Any) -> Any:
    s = z.sigmoid()
    return s * (1 + z * (1 - s))


_FROM_VALUE: dict[tuple[Map, Map], Map] = {  # sigma' in terms of y = sigma(z)
    (_tanh, _tanh_derivative): lambda y: 1 - y * y,
    (_sigmoid, _sigmoid_derivative): lambda y: y * (1 - y),
}

ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation("identity", lambda z: z, lambda z: _constant(z, 1), "t", 1.0),
        Activation("tanh", _tanh, _tanh_derivative, r"\tanh t", 1.0),
        Activation("sigmoid", _sigmoid, _sigmoid_derivative, r"\frac{1}{1+e^{-t}}", 0.25),
        Activation("relu", lambda z: z.clamp(min=0), _relu_derivative, r"\max(t, 0)", 1.0, "sigma'(0) = 0"),
        Activation(
            "leaky_relu",
            lambda z: z.clamp(min=0) + 0.01 * z.clamp(max=0),
            lambda z: 0.01 + 0.99 * (z > 0).to(z.dtype),
            r"\max(t, 0) + 0.01\min(t, 0)",
            1.0,
            "sigma'(0) = 0.01",
        ),
        Activation(
            "hardtanh",
            lambda z: z.clamp(-1, 1),
            _hardtanh_derivative,
            r"\min(\max(t, -1), 1)",
            1.0,
            "sigma'(-1) = sigma'(1) = 0",
        ),
        Activation(
            "softplus", _softplus, _softplus_derivative, r"\log(1+e^t)", 1.0, "sigma(t) = t, sigma'(t) = 1 for t > 20"
        ),
        Activation("elu", _elu, lambda z: z.clamp(max=0).exp(), r"\max(t,0)+e^{\min(t,0)}-1", 1.0),
        Activation("softsign", lambda z: z / (1 + z.abs()), lambda z: (1 + z.abs()) ** -2, r"\frac{t}{1+|t|}", 1.0),
        Activation(
            "gelu",
            lambda z: z * _normal_distribution(z),
            lambda z: _normal_distribution(z) + z * _normal_density(z),
            r"t\,\Phi(t)",
            1.13,  # at t = sqrt 2: Phi + t phi = 1.1290
        ),
        Activation("silu", lambda z: z * z.sigmoid(), _silu_derivative, r"\frac{t}{1+e^{-t}}", 1.1),  # 1.0998 at 2.3994
    )
}


def activation(what: str | Activation, who: str = "activation(name)") -> Activation:
    """The activation of that name. Raises `InvalidInput` for an unknown one."""
    if isinstance(what, Activation):
        return what
    if isinstance(what, str) and what in ACTIVATIONS:
        return ACTIVATIONS[what]
    names = ", ".join(ACTIVATIONS)
    raise InvalidInput(
        sentence(who, f"one of {names}, or an Activation", repr(what), "give sigma and sigma' as an Activation")
    )


def polynomial(*coefficients: int | Fraction) -> Activation:
    """sigma(t) = c_0 + c_1 t + c_2 t^2 + ..., by Horner's rule, for rationals, polynomials and tensors."""
    if not coefficients or not all(isinstance(c, int | Fraction) and not isinstance(c, bool) for c in coefficients):
        expected, do = "whole numbers or fractions, at least one", "write 0.1 as Fraction(1, 10)"
        raise InvalidInput(sentence("polynomial(c_0, c_1, ...)", expected, f"{coefficients!r:.60}", do))
    slopes = [k * c for k, c in enumerate(coefficients)][1:]

    def horner(cs: list[Any]) -> Map:
        while cs and cs[-1] == 0:  # 0 t^k is NaN where t overflowed
            cs = cs[:-1]

        def value(z: Any) -> Any:
            tensor = hasattr(z, "is_floating_point")  # torch knows no fractions
            first, *rest = [_float(c) if tensor else c for c in reversed(cs or [0])]
            total = _constant(z, first) if tensor else z * 0 + first
            for c in rest:
                total = total * z + c
            return total

        return value

    try:
        powers = " + ".join(f"{c} t^{k}" for k, c in enumerate(coefficients))
    except ValueError:  # Python's own limit of the digits that it writes
        expected, do = "coefficients of at most 4,300 digits", "take smaller ones"
        raise InvalidInput(sentence("polynomial(c_0, c_1, ...)", expected, "more", do)) from None
    exact = tuple(Fraction(c) for c in coefficients)
    return Activation(
        f"polynomial {powers}", horner(list(coefficients)), horner(slopes), braced(powers), coefficients=exact
    )


def _float(c: int | Fraction) -> float:
    try:
        return float(c)
    except OverflowError:
        size = f"one of {len(bin(abs(int(c)))) - 2} bits"
        expected, do = "coefficients that a float can hold", "check it exactly, by check_exact"
        raise InvalidInput(sentence("polynomial(c_0, c_1, ...) of a tensor", expected, size, do)) from None


def braced(powers: str) -> str:
    """The same in LaTeX, where an exponent of several digits needs braces."""
    return re.sub(r"\^(\d{2,})", r"^{\1}", powers)


def written(sigma: Activation) -> str:
    """A polynomial sigma as a person writes it, 1 - 2 t^2 + 3 t^3; the name of any other."""
    if sigma.coefficients is None:
        return sigma.name
    terms = [(c, "" if k == 0 else "t" if k == 1 else f"t^{k}") for k, c in enumerate(sigma.coefficients) if c]
    shown = ""
    for c, power in terms:
        size = str(abs(c)) if abs(c) != 1 or not power else ""
        sign = (" - " if c < 0 else " + ") if shown else ("-" if c < 0 else "")
        shown += sign + " ".join(part for part in (size, power) if part)
    return shown or "0"
