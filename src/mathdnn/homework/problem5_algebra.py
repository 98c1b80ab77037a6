"""The identities of problem 5, proved as identities of polynomials with rational coefficients.

y = -1 or +1: label; z: score; s = sigma(z) = 1/(1 + e^-z), so sigma(-z) = 1 - s and ds/dz = s (1 - s). For each label,
both losses and their derivatives are polynomials in s (for KL, whose value is -log sigma(y z), the derivative is the
logarithmic one, multiplied out). Two polynomials are the same function on (0, 1) only if their coefficients agree, so
comparing coefficients proves or refutes; nothing is sampled.

The letters t = sigma(y z) and 1 - t = sigma(-y z) stand for the shorter side: t = s for y = +1 and t = 1 - s for y =
-1.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from mathdnn.homework.algebra import Expression, derivative, letter, power, prove_identity
from mathdnn.homework.claim import Claim, Finding
from mathdnn.homework.combine import all_of
from mathdnn.verdict import Assumption, Status, Verdict

if TYPE_CHECKING:
    from mathdnn.homework.resources import Resources

SIGMOID = Assumption("sigma(-z) = 1 - sigma(z) and sigma' = sigma (1 - sigma)", "from sigma(z) = 1/(1 + e^-z), by hand")
HALF = Fraction(1, 2)


def sum_of_squares(y: int, s: Expression) -> Expression:
    """SOS as the homework writes it, in s = sigma(z)."""
    minus, plus = sigma(-1, s), sigma(+1, s)  # the probabilities of the labels -1 and +1
    four = HALF * (1 - y) * (power(1 - minus, 2) + power(plus, 2))
    nine = HALF * (1 + y) * (power(minus, 2) + power(1 - plus, 2))
    return four + nine


def sigma(sign: int, s: Expression) -> Expression:
    """sigma(sign z)."""
    return s if sign > 0 else 1 - s


def along_z(value: Expression) -> Expression:
    """d/dz of a polynomial in s, by the chain rule with ds/dz = s (1 - s)."""
    s = letter("s")
    return derivative(value, "s") * s * (1 - s)


def _for_both_labels(claim: str, sides: Callable[[int, Expression], tuple[Expression, Expression]]) -> Verdict:
    parts = []
    for y in (-1, 1):
        left, right = sides(y, letter("s"))
        parts.append(prove_identity(f"{claim}, for y = {y:+d}", left, right, assumptions=(SIGMOID,)))
    return all_of(claim, parts)


def decide_closed_form(resources: Resources) -> Finding:
    claim = "SOS = 2 sigma(-y z)^2"
    verdict = _for_both_labels(claim, lambda y, s: (sum_of_squares(y, s), 2 * power(sigma(-y, s), 2)))
    return Finding("the same polynomial in sigma(z), for each label", verdict)


def decide_sos_derivative(resources: Resources) -> Finding:
    claim = "d SOS/dz = -4 y sigma(-y z)^2 sigma(y z)"
    verdict = _for_both_labels(
        claim, lambda y, s: (along_z(sum_of_squares(y, s)), -4 * y * power(sigma(-y, s), 2) * sigma(y, s))
    )
    return Finding("the same polynomial in sigma(z), for each label", verdict)


def decide_kl_derivative(resources: Resources) -> Finding:
    """KL = softplus(-y z) = -log sigma(y z), so sigma(y z) dKL/dz = -d sigma(y z)/dz; compare with the claim,
    multiplied out."""
    claim = "d KL/dz = -y sigma(-y z)"
    verdict = _for_both_labels(claim, lambda y, s: (-along_z(sigma(y, s)), -y * sigma(-y, s) * sigma(y, s)))
    return Finding("the same polynomial in sigma(z), for each label, after multiplying by sigma(y z) > 0", verdict)


def decide_bounds(resources: Resources) -> Finding:
    """16/27 - 4 t (1-t)^2 = (t - 1/3)^2 (16/3 - 4 t), which is >= 0 on [0, 1]: two factors, each of one sign."""
    claim = "|d SOS/dz| <= 16/27, reached where sigma(y z) = 1/3, and |d KL/dz| <= 1; |d SOS/dz| <= 4 sigma(y z)"
    t = letter("t")
    slope = 4 * t * power(1 - t, 2)
    factored = power(t - Fraction(1, 3), 2) * (Fraction(16, 3) - 4 * t)
    assumption = Assumption("16/3 - 4t > 0 and 0 < 1 - t < 1 for t in (0, 1)", "by hand")
    parts = [
        prove_identity(
            "16/27 - |d SOS/dz| = (t - 1/3)^2 (16/3 - 4t)",
            Fraction(16, 27) - slope,
            factored,
            assumptions=(assumption,),
        ),
        prove_identity("1 - |d KL/dz| = t", 1 - (1 - t), t, assumptions=(assumption,)),
        prove_identity(
            "|d SOS/dz| = t * 4 |d KL/dz|^2, at most 4t, which vanishes with t", slope, t * (4 * power(1 - t, 2))
        ),
    ]
    found = "16/27 - 4t(1-t)² = (t - 1/3)² (16/3 - 4t) ≥ 0, with t = σ(yz), and 4t(1-t)² ≤ 4t, which vanishes with t"
    return Finding(found, all_of(claim, parts))


def decide_raw_pixels(resources: Resources) -> Finding:
    """One step on raw pixels 255 x from weights w/255 gives 1/255 of one step on x with 255^2 times the step, for
    any g.

    The score is the same, (w/255)(255 x) = w x, and so is the derivative g of the loss at it; the rest is induction.
    """
    claim = "a step eta on raw pixels equals a step 255^2 eta on scaled pixels, with the weights scaled by 255"
    w, x, g, eta = (letter(name) for name in ("w", "x", "g", "eta"))
    raw = Fraction(1, 255) * w - eta * g * (255 * x)
    scaled = Fraction(1, 255) * (w - 255**2 * eta * g * x)
    induction = Assumption("the losses see the weights only through the score", "both are functions of y z")
    parts = [
        prove_identity("the scores agree: (w/255)(255 x) = w x", (Fraction(1, 255) * w) * (255 * x), w * x),
        prove_identity("the weights after a step agree", raw, scaled, assumptions=(induction,)),
    ]
    return Finding(
        "one step maps equal runs to equal runs, so all steps do, for any loss on a margin", all_of(claim, parts)
    )


_HOW = "both sides are expanded as polynomials with rational coefficients, and the coefficients compared"


def _claim(slug: str, title: str, statement: str, published: str, decide: Callable[[Resources], Finding]) -> Claim:
    return Claim(5, f"5.{slug}", title, statement, published, _HOW, Status.PROVED, decide)


CLAIMS = (
    _claim(
        "sos-closed-form",
        "The sum of squares, in one term",
        "The sum of squares is 2 σ(-yz)².",
        "not given",
        decide_closed_form,
    ),
    _claim("sos-derivative", "Its derivative", "d SOS/dz = -4 y σ(-yz)² σ(yz).", "not given", decide_sos_derivative),
    _claim(
        "kl-derivative", "The logistic loss's derivative", "d KL/dz = -y σ(-yz).", "not given", decide_kl_derivative
    ),
    _claim(
        "gradient-bounds",
        "How large the gradients get",
        "|d KL/dz| ≤ 1 and |d SOS/dz| ≤ 16/27; SOS's vanishes where an answer is badly wrong.",
        "not given",
        decide_bounds,
    ),
    _claim(
        "raw-pixels",
        "Raw pixels",
        "A step η on raw pixels equals a step 255² η on scaled pixels (weights scaled by 255).",
        "not given",
        decide_raw_pixels,
    ),
)
