"""Types of the compiled extension; src/native/module.cpp defines it."""

import numpy as np

def instruction_set() -> str: ...
def sgd_many(
    X: np.ndarray,
    orders: list[np.ndarray],
    targets: list[np.ndarray],
    w: np.ndarray,
    loss: int,
    decay: int,
    lr: float,
    weight_decay: float,
    steps_before: int,
    threads: int,
    instruction_set: str,
) -> list[int]: ...
def sgd_derivative(loss: int, margins: np.ndarray, out: np.ndarray, instruction_set: str) -> None: ...
