"""Problem 5: squares or cross-entropy, MNIST 4 against 9.

y = -1 for 4 and +1 for 9; z = a^T x a linear score without bias; s = sigma(z), so that sigma(-z) = 1 - s. Two losses:

    KL (logistic):        softplus(-y z)
    SOS (sum of squares): 1/2(1-y)((1-s(-z))^2 + s(z)^2) + 1/2(1+y)(s(-z)^2 + (1-s(z))^2)

Shuffled cyclic SGD, one epoch, batch size 1, learning rate 255e-4, weights uniform in +-1/28. A prediction is right
where y z >= 0. The identities are in `problem5_algebra`; here are the figures from runs.
"""

from __future__ import annotations

from functools import partial

from mathdnn.homework import problem5_algebra
from mathdnn.homework.claim import numbered
from mathdnn.homework.margin_runs import PAIR_SEEDS, SEEDS
from mathdnn.homework.problem5_runs import (
    ACCURACY_MARGIN,
    FASTER,
    PAIRWISE_RUNS,
    ROUNDS,
    WIDEST_LOSS,
    WIDEST_RIGHT,
    decide_faster,
    decide_hardest,
    decide_pairwise,
    decide_right,
    decide_similar,
    decide_test_loss,
)
from mathdnn.verdict import Status

TITLE = "Squares or cross-entropy, 4 against 9"
INTRODUCTION = (
    "A linear classifier learns to tell 4 from 9, once by the sum of squares (SOS) and once by the logistic loss (KL), "
    "one image at a time. Its score z is to be negative for a 4 (y = -1) and positive for a 9 (y = 1). One run says "
    "little: the order of the images and the first weights move it by a dozen images."
)

_SEEDS = f"{SEEDS} seeds, each giving both losses the same first weights and the same order"
_PREDICTION = (
    f"the published figure lies in the 95 % prediction interval for one more run, and this is narrow enough to tell "
    f"(±{WIDEST_LOSS} in loss, ±{WIDEST_RIGHT} images); {_SEEDS}"
)

_claim = partial(numbered, 5, on_mnist=True)

CLAIMS = (
    *problem5_algebra.CLAIMS,
    _claim(
        "sos-test-loss",
        "Test loss with SOS",
        "One epoch with SOS gives a test loss of 0.0548.",
        "0.0548, one run",
        _PREDICTION,
        Status.SUPPORTED,
        decide_test_loss("sum_of_squares"),
    ),
    _claim(
        "sos-right",
        "Right answers with SOS",
        "One epoch with SOS gets 1927 of 1991 test images right.",
        "1927/1991 (96.79 %), one run",
        _PREDICTION,
        Status.SUPPORTED,
        decide_right("sum_of_squares"),
    ),
    _claim(
        "kl-test-loss",
        "Test loss with KL",
        "One epoch with KL gives a test loss of 0.0935.",
        "0.0935, one run",
        _PREDICTION,
        Status.SUPPORTED,
        decide_test_loss("logistic"),
    ),
    _claim(
        "kl-right",
        "Right answers with KL",
        "One epoch with KL gets 1928 of 1991 test images right.",
        "1928/1991 (96.84 %), one run",
        _PREDICTION,
        Status.SUPPORTED,
        decide_right("logistic"),
    ),
    _claim(
        "similar-accuracy",
        "Similar accuracy",
        "The two losses reach similar accuracy.",
        "one image apart, concluded from one run each",
        f"paired equivalence test, margin ±{ACCURACY_MARGIN} points fixed before; {_SEEDS}",
        Status.SUPPORTED,
        decide_similar,
    ),
    _claim(
        "kl-faster",
        "KL is faster to train",
        "Training with KL takes less time than with SOS.",
        "9.62 s against 18.50 s, each timed once with its warm-up",
        (
            f"{ROUNDS} interleaved rounds after a warm-up, processor time, median of the paired ratios; faster means "
            f"by at least {FASTER - 1:.0%}"
        ),
        Status.CONTRADICTED,
        decide_faster,
    ),
    _claim(
        "hardest-pair",
        "The hardest pair",
        "Of all pairs of digits, 4 and 9 are the hardest to classify.",
        "stated without a figure",
        f"all 45 pairs, {PAIR_SEEDS} seeds each, logistic loss; 4/9 against each other pair, paired t intervals",
        Status.CONTRADICTED,
        decide_hardest,
    ),
    _claim(
        "pairwise-classifier",
        "The 45 units together",
        "The pairwise linear classifier has a test error of 7.6 %.",
        "7.6 % (LeCun et al. 1998)",
        (
            f"the 45 units trained by SOS, {PAIRWISE_RUNS} seeds; the published figure against the 95 % prediction "
            "interval"
        ),
        Status.CONTRADICTED,
        decide_pairwise,
    ),
)
