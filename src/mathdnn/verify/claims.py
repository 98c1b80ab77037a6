"""What each claim of the homework says: its statement in a results.json, and the sentences of verdicts that decide it.

Evidence holds or not whatever it is filed under; an id is worth what it says only where its verdict speaks of the same.
Written down here a second time, since the checker shares no code with the homework.
"""

from __future__ import annotations

from mathdnn.verdict import Undecided, Verdict

_SIZES = ", on images of 6 sizes from 1 x 1 to 28 x 28"
_CASES = ", in 18 cases of k, C, m and n"
_WIDTHS = ", for networks of widths 2-2-1, 2-3-2-1, 1-2-2-2-1, 2-3-2-2"
_GREY = "the 1x1 convolution with weights (0.299, 0.587, 0.114) and no bias computes the grey image, on 5 x 4 images"
# the one whose largest difference is the largest, which hangs on the machine's sums
_FORMULAS = ("dyL/dx", *(f"dyL/d{parameter}{layer}" for parameter in "Ab" for layer in (1, 2, 3)))
# how a machine's own functions commute with max pooling; "" where they do not, and the claim stops before it
_EITHER = (
    ", to the bit",
    ", as values (the sign of a zero may differ)",
    ", as values (the sign of a zero and the bits of a NaN may differ)",
)
_ON_THE_BODY = tuple(f", on the vector body{more}" for more in ("", *_EITHER))


def _pooling(name: str, endings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name} commutes with max pooling over every float32 image without NaN{end}" for end in endings)


_SAID: dict[str, tuple[str, tuple[str, ...]]] = {  # id: (statement, claims of its verdict)
    "1.solution-kernels": (
        (
            "With 3x3 filters, stride 1 and zero padding 1, taps at (1,1),(2,1) and (1,1),(1,2) compute the finite "
            "differences."
        ),
        ("with zero padding 1, the solution's kernels compute the finite differences" + _SIZES,),
    ),
    "1.corrected-kernels": (
        "With the taps at (2,2),(3,2) and (2,2),(2,3) the layer computes the finite differences.",
        ("with zero padding 1, the corrected kernels compute the finite differences" + _SIZES,),
    ),
    "1.without-top-left": (
        "Without padding at the top and the left, the solution's kernels compute the finite differences.",
        (
            "without padding at the top and the left (2 at the bottom and the right), the solution's kernels are right"
            + _SIZES,
        ),
    ),
    "2.average-pool": (
        (
            "AvgPool2d(k) equals the convolution with kernel k, stride k, no padding, no bias, w = 1/k² where l = g, "
            "else 0."
        ),
        ("AvgPool2d(k) is the convolution with w[l,g] = 1/k^2 if g = l else 0, stride k" + _CASES,),
    ),
    "2.depthwise": (
        "With groups = C, every weight is 1/k².",
        ("AvgPool2d(k) is the depthwise convolution with every weight 1/k^2, stride k" + _CASES,),
    ),
    "2.output-size": ("An m x n image gives m/k x n/k.", ("the convolution's output is m/k x n/k",)),
    "2.float-weights": (
        "A float32 layer holds the nearest float to each weight 1/k².",
        ("the float32 layer holds, for every weight of AvgPool2d(k), the nearest float32" + _CASES,),
    ),
    "3.grey": (
        "A 1x1 convolution with weights (0.299, 0.587, 0.114) and no bias turns colour into grey.",
        (_GREY,),
    ),
    "4.reals": (
        "A nondecreasing activation commutes with max pooling: σ(ρ(X)) = ρ(σ(X)).",
        ("tanh, ReLU and softsign are nondecreasing over the reals, so each commutes with every max pooling there",),
    ),
    "4.tanh-float32": (
        "torch's tanh in float32 commutes with max pooling to the bit.",
        _pooling("torch.tanh", ("", ", to the bit")),
    ),
    "4.relu-float32": (
        "torch's ReLU in float32 commutes with max pooling, but for the sign of zero.",
        _pooling("torch.relu", ("", *_EITHER)),
    ),
    "4.softsign-float32": (
        "torch's softsign in float32 commutes with max pooling (over the reals it does).",
        _pooling("torch.nn.functional.softsign", _ON_THE_BODY),
    ),
    "4.gelu-float32": ("GELU commutes with max pooling.", _pooling("torch.nn.functional.gelu", _ON_THE_BODY)),
    "5.sos-closed-form": ("The sum of squares is 2 σ(-yz)².", ("SOS = 2 sigma(-y z)^2",)),
    "5.sos-derivative": ("d SOS/dz = -4 y σ(-yz)² σ(yz).", ("d SOS/dz = -4 y sigma(-y z)^2 sigma(y z)",)),
    "5.kl-derivative": ("d KL/dz = -y σ(-yz).", ("d KL/dz = -y sigma(-y z)",)),
    "5.gradient-bounds": (
        "|d KL/dz| ≤ 1 and |d SOS/dz| ≤ 16/27; SOS's vanishes where an answer is badly wrong.",
        ("|d SOS/dz| <= 16/27, reached where sigma(y z) = 1/3, and |d KL/dz| <= 1; |d SOS/dz| <= 4 sigma(y z)",),
    ),
    "5.raw-pixels": (
        "A step η on raw pixels equals a step 255² η on scaled pixels (weights scaled by 255).",
        ("a step eta on raw pixels equals a step 255^2 eta on scaled pixels, with the weights scaled by 255",),
    ),
    "5.sos-test-loss": (
        "One epoch with SOS gives a test loss of 0.0548.",
        ("the published SOS test loss 0.0548 is what a run gives",),
    ),
    "5.sos-right": (
        "One epoch with SOS gets 1927 of 1991 test images right.",
        ("the published 1927 right of 1991 with SOS is what a run gives",),
    ),
    "5.kl-test-loss": (
        "One epoch with KL gives a test loss of 0.0935.",
        ("the published KL test loss 0.0935 is what a run gives",),
    ),
    "5.kl-right": (
        "One epoch with KL gets 1928 of 1991 test images right.",
        ("the published 1928 right of 1991 with KL is what a run gives",),
    ),
    "5.similar-accuracy": (
        "The two losses reach similar accuracy.",
        ("the two losses' test accuracies differ by less than 0.5 percentage points",),
    ),
    "5.kl-faster": (
        "Training with KL takes less time than with SOS.",
        ("KL is faster to train than SOS, by at least 10%",),
    ),
    "5.hardest-pair": (
        "Of all pairs of digits, 4 and 9 are the hardest to classify.",
        ("4 and 9 are the pair hardest to classify",),
    ),
    "5.pairwise-classifier": (
        "The pairwise linear classifier has a test error of 7.6 %.",
        ("the pairwise linear classifier has a test error of 7.6 %",),
    ),
    "6.a1": ("dy_L/db_L = 1.", ("dy_L/db_L = I" + _WIDTHS,)),
    "6.a2": ("dy_L/dy_{L-1} = A_L.", ("dy_L/dy_{L-1} = A_L" + _WIDTHS,)),
    "6.a3": ("dy_l/db_l = diag(σ'(A_l y_{l-1} + b_l)).", ("dy_l/db_l = diag(sigma'(z_l))" + _WIDTHS,)),
    "6.a4": ("dy_l/dy_{l-1} = diag(σ'(A_l y_{l-1} + b_l)) A_l.", ("dy_l/dy_{l-1} = diag(sigma'(z_l)) A_l" + _WIDTHS,)),
    "6.b1": ("dy_L/dA_L = y_{L-1}ᵀ.", ("dy_L[i]/dA_L[j,k] = [i = j] y_{L-1}[k]" + _WIDTHS,)),
    "6.b2": (
        "dy_L/dA_l = diag(σ'(A_l y_{l-1} + b_l)) (dy_L/dy_l)ᵀ y_{l-1}ᵀ.",
        ("dy_L[i]/dA_l[j,k] = (dy_L/dy_l)[i,j] sigma'(z_l)[j] y_{l-1}[k]" + _WIDTHS,),
    ),
    "6.autograd": (
        "In double precision the formulas give what automatic differentiation gives.",
        tuple(
            f"the closed form of {name} agrees with autograd in float64 on random 5-7-6-3 perceptrons"
            for name in _FORMULAS
        ),
    ),
    "7.table": (
        "Table I has 60 of 96 edges, and every input map feeds exactly 10 output maps.",
        ("Table I has 60 of 96 edges, and every input map feeds exactly 10 output maps",),
    ),
    "7.parameters-table": (
        "LeNet-5 with Table I has 60,806 parameters.",
        ("LeNet-5 with Table I has 60,806 parameters",),
    ),
    "7.parameters-full": (
        "LeNet-5 with a full C3 has 61,706 parameters.",
        ("LeNet-5 with a full C3 has 61,706 parameters",),
    ),
    "7.difference": ("The table saves 36 x 25 = 900 parameters.", ("the table saves 36 x 25 = 900 parameters",)),
    "7.hand-formula": (
        "6(25+1) + (60·25+16) + 120(400+1) + 84(120+1) + 10(84+1) = 60,806, layer by layer.",
        ("6(25+1) + (60·25+16) + 120(400+1) + 84(120+1) + 10(84+1) = 60,806, each term its layer's count",),
    ),
    "7.multiply-adds": (
        "One forward pass takes 326,520 multiply-adds with the table and 416,520 without.",
        ("one forward pass takes 326,520 multiply-adds with the table and 416,520 with full connections",),
    ),
    "7.1998": (
        "The paper's network has 60,000 trainable parameters and 340,908 connections.",
        ("the network of the 1998 paper has 60,000 trainable parameters and 340,908 connections",),
    ),
    "7.accuracy": (
        "Ten epochs of the homework's recipe give a test accuracy of 98.26 %.",
        ("the published test accuracy of 98.26 % is what a run of the homework's recipe gives",),
    ),
    "7.full-against-table": (
        "Full connections change the accuracy by less than 0.5 percentage points.",
        ("full connections change the test accuracy by less than 0.5 percentage points",),
    ),
    "7.printed-loss": (
        "The average test loss is 0.0005.",
        ("the average test loss is what was printed as 0.0005: the sum of the batch means over the number of images",),
    ),
}


def is_known(id: str) -> bool:
    """Whether the homework has a claim of that id."""
    return id in _SAID


def why_another(id: str, statement: str | None, verdict: Verdict) -> str:
    """Why this is not what the claim of a known id says, in words; "" where it is.

    `statement` is what the document says the claim is, None where it says nothing.
    """
    own, claims = _SAID[id]
    # where data are not MNIST, what they do not do for is left undecided under the statement itself
    undecided = isinstance(verdict.evidence, Undecided) and verdict.claim == own.rstrip(".")
    if verdict.claim not in claims and not undecided:
        return f"the verdict is about something else; the claim of this id is: {own}"
    return "" if statement in (None, own) else f"the document states another claim; the one of this id is: {own}"
