"""Types of the compiled extension; src/native/module.cpp defines it."""

from collections.abc import Callable

import numpy as np

def instruction_set() -> str: ...
def sgd_many(
    X: np.ndarray,
    orders: list[np.ndarray],
    labels: list[np.ndarray],
    w: np.ndarray,
    scores: list[np.ndarray],
    loss: int,
    decay: int,
    lr: float,
    weight_decay: float,
    steps_before: int,
    threads: int,
    instruction_set: str,
) -> list[int]: ...
def sgd_usable(order: np.ndarray, labels: np.ndarray) -> bool: ...
def sgd_read(X: np.ndarray, order: np.ndarray, instruction_set: str) -> float: ...
def sgd_derivative(loss: int, margins: np.ndarray, out: np.ndarray, instruction_set: str) -> None: ...

class Engine:
    def __init__(
        self,
        buffers: list[list[int]],
        constants: list[list[float]],
        operations: list[tuple[list[int], float, list[int], list[int], list[float]]],
        parameters: int,
        loss: int,
        optimizer: int,
        momentum: float,
        decay: float,
        nesterov: bool,
        threads: int,
        instruction_set: str,
        halves: int,
    ) -> None: ...
    def train(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        table: np.ndarray,
        gain: float,
        offset: float,
        order: np.ndarray,
        shifts: np.ndarray | None,
        size: int,
        first: int,
        end: int,
        rates: list[float],
        done: int,
        stopped: Callable[[], bool] | None,
    ) -> tuple[int, float]: ...
    def gradient(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        table: np.ndarray,
        gain: float,
        offset: float,
        order: np.ndarray,
        out: np.ndarray,
    ) -> float: ...
    def run(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        table: np.ndarray,
        gain: float,
        offset: float,
        outputs: np.ndarray | None,
        losses: np.ndarray | None,
        best: np.ndarray | None,
    ) -> None: ...
    def copy_state(self, which: int, values: np.ndarray, into: bool) -> bool: ...

def elementary(which: int, x: np.ndarray, y: np.ndarray, instruction_set: str) -> None: ...
def scan(which: int, first: int, end: int, instruction_set: str) -> tuple[float, float, int]: ...

class TableFloat:
    def __init__(
        self, begin: list[int], table: list[int], sizes: list[int], threads: int, instruction_set: str
    ) -> None: ...
    def forward(self, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> np.ndarray: ...
    def backward(
        self, x: np.ndarray | None, g: np.ndarray, w: np.ndarray | None, for_x: bool, for_w: bool, for_bias: bool
    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]: ...
    def fill(self, images: int) -> float: ...
    def bytes(self, images: int) -> int: ...
    @property
    def shared(self) -> bool: ...
    @staticmethod
    def scattered(filters: np.ndarray, at: np.ndarray, total: int) -> np.ndarray: ...
    @staticmethod
    def gathered(filters: np.ndarray, at: np.ndarray) -> np.ndarray: ...

class TableDouble(TableFloat): ...

def multiply_add(rounds: int, instruction_set: str) -> float: ...
def read_memory(values: np.ndarray, instruction_set: str) -> float: ...

class Convolutions:
    def __init__(self, begin: list[int], table: list[int], sizes: list[int], instruction_set: str) -> None: ...
    def run(self, which: int, repeats: int) -> None: ...
