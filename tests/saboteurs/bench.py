"""Arms that are quicker because they compute something else. Law: `agreement` refuses the work before it is timed."""

from __future__ import annotations

import numpy as np

from mathdnn.bench import Arm


def honest() -> Arm:
    return Arm("honest", lambda: None, lambda: np.linspace(-1, 1, 50, dtype=np.float32))


def _arm(sample: np.ndarray) -> Arm:
    return Arm("wrong", lambda: None, lambda: sample)


def fewer_images() -> Arm:
    return _arm(honest().sample()[:49])


def another_step() -> Arm:
    return _arm(1.01 * honest().sample())


def wrong_in_one_place() -> Arm:
    sample = honest().sample()
    sample[7] += 0.01
    return _arm(sample)


def not_a_number() -> Arm:
    sample = honest().sample()
    sample[7] = np.nan
    return _arm(sample)


def nothing_at_all() -> Arm:
    return _arm(np.zeros(50, np.float32))


ALL = (fewer_images, another_step, wrong_in_one_place, not_a_number, nothing_at_all)
