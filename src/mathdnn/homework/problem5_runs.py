"""The figures of problem 5, each from runs: what is measured, and what was fixed before measuring."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mathdnn.homework.claim import Finding, Picture
from mathdnn.homework.margin_runs import LEARNING_RATE, PAIR_SEEDS, SEEDS
from mathdnn.homework.spread import or_point
from mathdnn.verdict import Assumption, Estimate, Status, Verdict, undecided

if TYPE_CHECKING:
    from mathdnn.homework.resources import Resources
    from mathdnn.study import Interval

NAMES = {"sum_of_squares": "SOS", "logistic": "KL"}
PUBLISHED = {"sum_of_squares": (0.0548, 1927), "logistic": (0.0935, 1928)}
PUBLISHED_SECONDS = {"sum_of_squares": 18.50, "logistic": 9.62}
PAIRWISE_ERROR = 7.6  # per cent; LeCun et al. 1998, section III.C.2
PAIRWISE_RUNS = 10
ACCURACY_MARGIN = 0.5  # percentage points, ten images of 1,991; fixed before the runs
FASTER = 1.10  # a loss is called faster where it takes at least 10 % less time; fixed before the runs
WIDEST_LOSS, WIDEST_RIGHT, WIDEST_ERROR = 0.04, 60, 2.0  # nats, images, points: a wider interval holds nearly anything
LEVEL = 0.95
FOUR_NINE = (4, 9)
ON_THESE_IMAGES = Assumption("the pairs are ranked on this data set's test images", "runs vary the seed alone")
ROUNDS = 61  # the interval of a median narrows with them; a shared machine needs many
PASSES = 4  # epochs a call: about 5 ms, long against the clock and the checks of the arguments


def decide_test_loss(loss: str) -> Callable[[Resources], Finding]:
    def decide(resources: Resources) -> Finding:
        from mathdnn.study import prediction_interval, verdict_in_prediction_interval

        published = PUBLISHED[loss][0]
        values = [outcome.loss for outcome in resources.margin.four_nine[loss]]
        claim = f"the published {NAMES[loss]} test loss {published} is what a run gives"
        verdict = verdict_in_prediction_interval(
            claim, published, values, quantity="mean test loss", widest=WIDEST_LOSS
        )
        interval = or_point(prediction_interval, values)
        found = f"{interval.center:.4f}, 95 % of runs within [{interval.low:.4f}, {interval.high:.4f}]"
        return Finding(found, verdict, (_interval_picture("mean test loss", NAMES[loss], interval, values, published),))

    return decide


def decide_right(loss: str) -> Callable[[Resources], Finding]:
    def decide(resources: Resources) -> Finding:
        from mathdnn.study import prediction_interval, verdict_in_prediction_interval

        published = PUBLISHED[loss][1]
        values = [float(outcome.right) for outcome in resources.margin.four_nine[loss]]
        claim = f"the published {published} right of 1991 with {NAMES[loss]} is what a run gives"
        verdict = verdict_in_prediction_interval(
            claim, published, values, quantity="right test images", unit="images", widest=WIDEST_RIGHT
        )
        interval = or_point(prediction_interval, values)
        found = f"{interval.center:.0f} right, 95 % of runs within [{interval.low:.0f}, {interval.high:.0f}]"
        picture = _interval_picture("right test images", NAMES[loss], interval, values, published)
        return Finding(found, verdict, (picture,))

    return decide


def _interval_picture(xlabel: str, name: str, interval: Interval, values: list[float], published: float) -> Picture:
    row = {
        "name": name,
        "low": interval.low,
        "high": interval.high,
        "value": interval.center,
        "raw": values,
        "published": float(published),
    }
    caption = f"{len(values)} runs, their 95 % prediction interval, and the published figure."
    return Picture("intervals", caption, {"xlabel": xlabel, "rows": [row]})


def decide_similar(resources: Resources) -> Finding:
    from mathdnn.study import equivalence

    runs = resources.margin.four_nine
    accuracy = {loss: [100 * outcome.right / outcome.n for outcome in runs[loss]] for loss in NAMES}
    claim = f"the two losses' test accuracies differ by less than {ACCURACY_MARGIN} percentage points"
    quantity = "KL minus SOS, test accuracy"
    verdict = equivalence(
        accuracy["logistic"], accuracy["sum_of_squares"], ACCURACY_MARGIN, claim=claim, quantity=quantity, unit="points"
    )
    difference = sum(accuracy["logistic"]) / SEEDS - sum(accuracy["sum_of_squares"]) / SEEDS
    return Finding(f"KL minus SOS: {difference:+.3f} points over {SEEDS} paired runs", verdict)


def decide_faster(resources: Resources) -> Finding:
    """Time epochs of each loss on one thread, interleaved and warmed up; the ratio's interval decides.

    Processor time: on a machine of one's own it is the time on the wall, and on a shared one it leaves out the waiting,
    which would leave the claim undecided.
    """
    from mathdnn.margin import sgd_many
    from mathdnn.study import interleaved_timing

    run = resources.margin.seed_run((4, 9), 0)

    def epoch(loss: str) -> Callable[[], object]:
        return lambda: sgd_many(resources.margin.rows, [run] * PASSES, loss=loss, lr=LEARNING_RATE, threads=1)

    timing = interleaved_timing({name: epoch(name) for name in NAMES}, rounds=ROUNDS, warmup=2, clock=time.process_time)
    ratio = timing.ratio("sum_of_squares", "logistic")
    evidence = Estimate(
        "time of SOS over time of KL",
        ratio.center,
        ratio.low,
        ratio.high,
        0.95,
        ROUNDS,
        "median of interleaved, warmed-up pairs, processor time",
        margin=FASTER - 1,
        published=round(PUBLISHED_SECONDS["sum_of_squares"] / PUBLISHED_SECONDS["logistic"], 2),
        raw=ratio.raw,
    )
    if ratio.low > FASTER:
        status = Status.SUPPORTED
    else:
        status = Status.CONTRADICTED if ratio.high < FASTER else Status.UNDECIDED
    found = (
        f"SOS takes {ratio.center:.2f} times as long as KL [{ratio.low:.2f}, {ratio.high:.2f}]; published: "
        "18.50 s / 9.62 s = 1.92"
    )
    row = {"name": "SOS / KL", "low": ratio.low, "high": ratio.high, "value": ratio.center, "raw": list(ratio.raw)}
    data = {"xlabel": "time of SOS over time of KL", "rows": [{**row, "published": evidence.published}]}
    caption = f"{ROUNDS} interleaved rounds, the 95 % interval of their median, and the published ratio."
    return Finding(found, _timing_verdict(status, evidence), (Picture("intervals", caption, data),))


def _timing_verdict(status: Status, evidence: Estimate) -> Verdict:
    claim = f"KL is faster to train than SOS, by at least {FASTER - 1:.0%}"
    if status is Status.UNDECIDED:
        return undecided(claim, f"{evidence}", "more rounds on a quieter machine")
    return Verdict(claim, status, evidence)


def decide_hardest(resources: Resources) -> Finding:
    """4 and 9 against each other pair: see `hardest_verdict`."""
    from mathdnn.study import mean_interval

    errors = resources.margin.all_pairs
    means = {pair: sum(values) / len(values) for pair, values in errors.items()}
    ranking = sorted(means, key=lambda pair: -means[pair])
    place = ranking.index(FOUR_NINE) + 1
    found = f"4/9 is number {place} of 45: " + ", ".join(f"{a}/{b} {means[(a, b)]:.2f} %" for a, b in ranking[:5])
    top = ranking[:15]
    intervals = [or_point(mean_interval, errors[pair]) for pair in top]
    data = {
        "labels": [f"{a} / {b}" for a, b in top],
        "values": [means[pair] for pair in top],
        "low": [interval.low for interval in intervals],
        "high": [interval.high for interval in intervals],
        "xlabel": "test error, %",
        "highlight": ["4 / 9"],
    }
    picture = Picture("bars", f"The fifteen hardest of the 45 pairs, {PAIR_SEEDS} seeds each, logistic loss.", data)
    return Finding(found, hardest_verdict(errors), (picture,))


def hardest_verdict(errors: Mapping[tuple[int, int], Sequence[float]]) -> Verdict:
    """Is the mean error of 4/9 above that of every other pair? `errors` holds one value a seed.

    Supported where each paired interval lies above 0 (all must hold, so none needs a correction). Contradicted where
    one lies below 0 at a level that allows for looking at them all (Bonferroni): the rival was picked by its error.
    """
    claim = "4 and 9 are the pair hardest to classify"
    rivals = [pair for pair in errors if pair != FOUR_NINE]
    careful = 1 - (1 - LEVEL) / len(rivals)
    wide = {pair: _gap(errors, pair, careful) for pair in rivals}
    harder = min(wide, key=lambda pair: wide[pair].high)
    if wide[harder].high < 0:
        return Verdict(claim, Status.CONTRADICTED, _gap_estimate(wide[harder], harder), (ON_THESE_IMAGES,))
    plain = {pair: _gap(errors, pair, LEVEL) for pair in rivals}
    closest = min(plain, key=lambda pair: plain[pair].low)
    evidence = _gap_estimate(plain[closest], closest)
    if plain[closest].low > 0:
        return Verdict(claim, Status.SUPPORTED, evidence, (ON_THESE_IMAGES,))
    return undecided(claim, str(evidence), "more seeds", assumptions=(ON_THESE_IMAGES,))


def _gap(errors: Mapping[tuple[int, int], Sequence[float]], pair: tuple[int, int], level: float) -> Interval:
    """Where the error of 4/9 minus that of `pair` lies; a spread must be seen, so equal differences show nothing."""
    from mathdnn.study import Interval, paired_difference

    differences = [a - b for a, b in zip(errors[FOUR_NINE], errors[pair], strict=True)]
    if min(differences) == max(differences):
        largest = 100.0  # points: no difference of errors in per cent is larger
        return Interval(-largest, largest, differences[0], level, "no spread seen", tuple(differences))
    return paired_difference(errors[FOUR_NINE], errors[pair], level)


def _gap_estimate(gap: Interval, rival: tuple[int, int]) -> Estimate:
    allowed = f", {45 - 1} pairs allowed for" if gap.level > LEVEL else ""
    return Estimate(
        f"test error of 4/9 minus {rival[0]}/{rival[1]}",
        gap.center,
        gap.low,
        gap.high,
        gap.level,
        gap.runs,
        f"{gap.method}{allowed}",
        unit="points",
        raw=gap.raw,
    )


def decide_pairwise(resources: Resources) -> Finding:
    from mathdnn.margin import PairwiseLinearClassifier
    from mathdnn.study import prediction_interval, verdict_in_prediction_interval

    train, test = resources.data.train, resources.data.test
    images = train.images.reshape(len(train.images), -1) / np.float32(255)
    held_out = test.images.reshape(len(test.images), -1) / np.float32(255)
    values = []
    for seed in range(PAIRWISE_RUNS):
        resources.progress("pairwise classifier", seed / PAIRWISE_RUNS)
        model = PairwiseLinearClassifier(loss="sum_of_squares", lr=LEARNING_RATE, random_state=seed, n_jobs=-1).fit(
            images, train.labels
        )
        values.append(100 * float((model.predict(held_out) != test.labels).mean()))
    claim = f"the pairwise linear classifier has a test error of {PAIRWISE_ERROR} %"
    verdict = verdict_in_prediction_interval(
        claim, PAIRWISE_ERROR, values, quantity="test error", unit="%", widest=WIDEST_ERROR
    )
    interval = or_point(prediction_interval, values)
    found = (
        f"{interval.center:.2f} %, 95 % of runs within [{interval.low:.2f}, {interval.high:.2f}]; the paper does not "
    )
    found += "say how its units were trained"
    if interval.high < PAIRWISE_ERROR:
        found += ", and one epoch of batch-1 SGD does better than its figure"
    return Finding(found, verdict, (_interval_picture("test error, %", "45 units", interval, values, PAIRWISE_ERROR),))
