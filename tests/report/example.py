"""A results document with every status and every kind of picture, made of arithmetic alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mathdnn.verdict import (
    Assumption,
    Certificate,
    Counterexample,
    Equality,
    Estimate,
    Status,
    Undecided,
    Verdict,
    pack_array,
)

SOLUTION = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
TABLE = (
    *("012", "123", "234", "345", "045", "015", "0123", "1234"),
    *("2345", "0345", "0145", "0125", "0134", "1245", "0235", "012345"),
)


def digit(turn: int = 0) -> list[list[float]]:
    """A ring with a stroke: something to look at, 28 x 28."""
    r, c = np.mgrid[0:28, 0:28] - 13.5
    ring = np.exp(-((np.hypot(r + turn % 3, c) - 6 - turn % 2) ** 2) / 3)
    stroke = np.exp(-((c - 5) ** 2) / 3) * (r > 0) * (r < 11)
    return np.clip(np.maximum(ring, stroke), 0, 1).round(3).tolist()


def wave(turn: int) -> list[list[float]]:
    r, c = np.mgrid[0:14, 0:14] / 13
    return np.sin(3 * r + (turn + 1) * c).round(3).tolist()


def picture(kind: str, caption: str, **data: Any) -> dict[str, Any]:
    return {"kind": kind, "caption": caption, "data": data}


def kernels() -> dict[str, Any]:
    images = [{"title": name, "pixels": SOLUTION, "diverging": True} for name in ("w₁ (rows)", "w₂ (columns)")]
    return picture("images", "The kernels as published.", images=images, columns=2)


def digits() -> dict[str, Any]:
    images = [{"title": f"{k % 10} read as {(k + 5) % 10}", "pixels": digit(k), "diverging": False} for k in range(16)]
    return picture("images", "Misread digits.", images=images, columns=8)


def maps() -> dict[str, Any]:
    images = [{"title": f"C1 {k}", "pixels": wave(k), "diverging": True} for k in range(6)]
    return picture("images", "Feature maps.", images=images, columns=6)


def table() -> dict[str, Any]:
    rows = [[str(i) in column for column in TABLE] for i in range(6)]
    return picture("table", "Table I: 60 of 96 edges.", rows=rows, row_label="input map", column_label="output map")


def curves() -> dict[str, Any]:
    epochs = range(1, 11)
    series = [
        {"name": name, "runs": [[98.5 - 9 * math.exp(-e / a) + s / 8 for e in epochs] for s in range(3)]}
        for name, a in (("table", 2.2), ("full", 1.9))
    ]
    mark = {"label": "published, after ten epochs", "value": 98.26}
    names = {"xlabel": "epoch", "ylabel": "test accuracy, %"}
    return picture("curves", "Mean and band.", x=list(epochs), logy=False, series=series, published=mark, **names)


def intervals() -> dict[str, Any]:
    raw = [1918 + 11 * math.sin(7 * k) for k in range(50)]
    rows = [
        {"name": "SOS", "low": 1892.0, "high": 1944.0, "value": 1918.0, "raw": raw, "published": 1927.0},
        {"name": "KL", "low": 1896.0, "high": 1940.0, "value": 1918.5, "raw": raw[:20], "published": None},
    ]
    return picture("intervals", "Prediction intervals of fifty runs.", xlabel="right of 1,991", rows=rows)


def bars() -> dict[str, Any]:
    labels = ["4 / 9", "3 / 5", "7 / 9", "5 / 8", "3 / 8"]
    values = [3.8, 4.6, 3.9, 3.6, 3.5]
    low, high = [v - 0.2 for v in values], [v + 0.2 for v in values]
    return picture(
        "bars",
        "The hardest pairs.",
        labels=labels,
        values=values,
        xlabel="test error, %",
        highlight=["4 / 9"],
        low=low,
        high=high,
    )


def problem(number: int, title: str, introduction: str) -> dict[str, Any]:
    return {"number": number, "title": title, "introduction": introduction}


def claim(
    number: int, slug: str, title: str, verdict: Verdict, *pictures: dict[str, Any], **more: Any
) -> dict[str, Any]:
    entry = {
        "problem": number,
        "id": f"{number}.{slug}",
        "title": title,
        "statement": f"{verdict.claim[0].upper()}{verdict.claim[1:]}.",
        "published": "as claimed",
        "how": "both sides compared in exact rational arithmetic on every pixel",
        "found": str(verdict.evidence),
        "status": verdict.status.value,
        "expected": verdict.status.value,
        "as_expected": True,
        "check_again": f"mathdnn reproduce {number}",
        "seconds": 0.125,
        "verdict": verdict.to_plain(),
        "pictures": list(pictures),
    }
    return entry | more


def counterexample() -> Verdict:
    image = np.zeros((1, 2, 2))
    image[0, 0, 0] = 1
    evidence = Counterexample(
        "at the image with one pixel 1 at (0, 0), the target is -1 there and the layer gives 0",
        pack_array(image),
        pack_array(np.array([[[-1.0, 0.0], [0.0, 0.0]], [[-1.0, 0.0], [0.0, 0.0]]])),
        pack_array(np.array([[[0.0, 0.0], [0.0, -1.0]], [[0.0, 0.0], [0.0, -1.0]]])),
    )
    return Verdict("with padding 1 the kernels compute the finite differences", Status.REFUTED, evidence)


def estimate(status: Status, **more: Any) -> Verdict:
    evidence = Estimate(
        "right test images", 1918.0, 1892.0, 1944.0, 0.95, 50, "prediction interval", unit="images", **more
    )
    return Verdict("one run gets 1927 of 1991 right", status, evidence)


def document() -> dict[str, Any]:
    proof = Verdict(
        "the layer has 1,516 parameters",
        Status.PROVED,
        Certificate("count", "60 edges of 25 weights and 16 biases: 60·25 + 16 = 1,516"),
        (Assumption("the table is Table I", "read from the paper"),),
        Equality.BITWISE,
    )
    open_question = Verdict(
        "KL is faster", Status.UNDECIDED, Undecided("the interval holds 1.1", "more rounds on a quieter machine")
    )
    surprise = {"as_expected": False, "expected": "contradicted", "seconds": 75.0}
    machine = {"processor": "A processor", "cores": 2, "memory_bytes": 8 * 2**30, "instruction_set": ["avx2"]}
    return {
        "mathdnn": "0.1.0",
        "created": "2026-01-02T03:04:05+00:00",
        "settings": {"problems": [], "seeds": 3, "data": None},
        "problems": [
            problem(
                1,
                "Finite differences as a convolution",
                "The differences of an image are linear. The kernels forget the padding.",
            ),
            problem(
                5,
                "Squares or cross-entropy, 4 against 9",
                "A linear classifier learns to tell 4 from 9. One run says little.",
            ),
            problem(7, "LeNet-5 with its original C3 layer", "Sixteen maps look at six. Not every edge is there."),
        ],
        "claims": [
            claim(1, "kernels", "The solution's kernels, padding 1", counterexample(), kernels(), maps()),
            claim(5, "right", "Right answers with SOS", estimate(Status.SUPPORTED, published=1927.0), intervals()),
            claim(5, "hardest", "The hardest pair", estimate(Status.CONTRADICTED, margin=0.5), bars()),
            claim(5, "faster", "KL is faster to train", open_question, **surprise),
            claim(7, "table", "Parameters of C3", proof, table()),
            claim(7, "accuracy", "Ten epochs", estimate(Status.SUPPORTED), curves(), digits()),
        ],
        "machine": machine,
        "versions": {"python": "3.11.2", "torch": "2.13.0", "numpy": "2.4.6"},
    }
