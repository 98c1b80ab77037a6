"""The rules by which figures become verdicts can come out either way, and other data never stop a reproduction."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
import torch

from mathdnn.convolution import catalogue, equal_maps
from mathdnn.data import write_idx
from mathdnn.errors import InvalidInput
from mathdnn.homework import reproduce
from mathdnn.homework.combine import all_of
from mathdnn.homework.problem5_runs import _interval_picture, hardest_verdict
from mathdnn.homework.problem7 import printed_loss_verdict
from mathdnn.homework.spread import or_point
from mathdnn.study import mean_interval, paired_difference
from mathdnn.verdict import Status

PAIRS = list(combinations(range(10), 2))


def errors(four_nine, other, *, noise=0.3, seed=0):
    """Ten runs a pair around the means given: `four_nine` for 4/9, `other` for the rest."""
    rng = np.random.default_rng(seed)
    return {pair: list((four_nine if pair == (4, 9) else other) + noise * rng.normal(size=10)) for pair in PAIRS}


@pytest.mark.parametrize(
    ("four_nine", "other", "status"),
    [(6, 2, Status.SUPPORTED), (2, 6, Status.CONTRADICTED), (4, 4, Status.UNDECIDED)],
)
def test_the_hardest_pair_is_decided_either_way(four_nine, other, status):
    assert hardest_verdict(errors(four_nine, other)).status is status


def test_the_luckiest_of_many_equal_rivals_contradicts_nothing():
    """Picking the rival by its error and testing it at 95 % contradicts equal pairs a quarter of the time."""
    naive = careful = 0
    for seed in range(40):
        runs = errors(4, 4, seed=seed)
        rival = max((pair for pair in PAIRS if pair != (4, 9)), key=lambda pair: sum(runs[pair]))
        naive += paired_difference(runs[(4, 9)], runs[rival]).high < 0
        careful += hardest_verdict(runs).status is Status.CONTRADICTED
    assert naive >= 8
    assert careful <= 4


def test_one_harder_pair_among_many_easy_ones_is_enough_to_contradict():
    runs = errors(4, 1)
    runs[(3, 5)] = [value + 3 for value in runs[(4, 9)][::-1]]
    verdict = hardest_verdict(runs)
    assert verdict.status is Status.CONTRADICTED
    assert "4/9 minus 3/5" in str(verdict.evidence)
    assert "99.89% interval" in str(verdict.evidence)


def test_pairs_without_any_spread_leave_the_hardest_undecided():
    assert hardest_verdict({pair: [1.0] * 10 for pair in PAIRS}).status is Status.UNDECIDED


def test_the_printed_loss_is_refuted_only_where_the_formula_is_wrong():
    verdict = printed_loss_verdict([0.06, 0.04], true=0.05, n=200)
    assert verdict.status is Status.REFUTED
    assert verdict.evidence.statement.endswith("divided by 200 is 0.0005, 100 times too small.")
    assert printed_loss_verdict([0.06, 0.04], true=0.05, n=2).status is Status.UNDECIDED


def test_equal_runs_are_drawn_as_a_point():
    point = or_point(mean_interval, [98.4, 98.4])
    assert (point.low, point.high, point.center, point.runs) == (98.4, 98.4, 98.4, 2)
    assert or_point(mean_interval, [1.0, 2.0]) == mean_interval([1.0, 2.0])


def test_a_caption_counts_the_runs_that_are_drawn():
    values = [6.4, 6.5, 6.6, 6.7, 6.8]
    picture = _interval_picture("test error, %", "45 units", or_point(mean_interval, values), values, 7.6)
    assert picture.caption.startswith("5 runs, ")


def test_runs_that_are_no_whole_number_are_refused_before_the_first():
    with pytest.raises(
        InvalidInput, match=r"^reproduce\(seeds=\.\.\.\): expected at least 2 runs, got 2\.5; ask for 2 or"
    ):
        reproduce([1], seeds=2.5)


def test_data_without_a_four_leave_its_claims_undecided_and_the_rest_decided(tmp_path):
    rng = np.random.default_rng(0)
    for stem, n in (("train", 200), ("t10k", 100)):
        write_idx(tmp_path / f"{stem}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28), np.uint8))
        write_idx(tmp_path / f"{stem}-labels-idx1-ubyte", rng.integers(5, 8, n).astype(np.uint8))
    decided = {item.claim.id: item for item in reproduce([5], data_root=tmp_path)}
    assert decided["5.sos-derivative"].finding.verdict.status is Status.PROVED
    for name in ("sos-test-loss", "kl-right", "similar-accuracy", "kl-faster", "hardest-pair"):
        verdict = decided[f"5.{name}"].finding.verdict
        assert verdict.status is Status.UNDECIDED
        assert "images of label" in verdict.evidence.why
    assert decided["5.pairwise-classifier"].finding.verdict.status is not Status.UNDECIDED


def test_the_bound_that_is_told_of_several_cases_is_the_largest():
    cases = [equal_maps(torch.nn.AvgPool2d(k), catalogue.average_pool(k, 1), (1, 2 * k, 2 * k)) for k in (5, 2, 3)]
    slopes = [case.evidence.data["rounding"]["slope"] for case in cases]
    assert max(slopes) == slopes[0] > slopes[1]
    told = all_of("pools are convolutions", cases[::-1]).evidence.method
    assert float(re.search(r"at most (\S+) times the largest pixel", told)[1]) >= max(slopes)
    assert told.count("at most") == 1
