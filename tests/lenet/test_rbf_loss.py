"""What is no label and no j is refused in a sentence; a loss over fewer labels than scores would be another number."""

from __future__ import annotations

import re

import pytest
import torch

from mathdnn.errors import InvalidInput
from mathdnn.lenet import rbf_loss

SCORES = torch.zeros(3, 10)
WHO, CLASSES = (
    "rbf_loss(labels): expected a whole number for each image, got ",
    "rbf_loss(labels): expected classes 0 to 9",
)
REFUSED = {
    "fewer labels": (
        torch.zeros(2, dtype=torch.long),
        None,
        f"{WHO}torch.int64 of shape (2,) for scores of shape (3, 10)",
    ),
    "one label": (torch.zeros(1, dtype=torch.long), 1.0, f"{WHO}torch.int64 of shape (1,) for scores of shape (3, 10)"),
    "more labels": (
        torch.zeros(5, dtype=torch.long),
        None,
        f"{WHO}torch.int64 of shape (5,) for scores of shape (3, 10)",
    ),
    "a matrix": (
        torch.zeros(3, 1, dtype=torch.long),
        1.0,
        f"{WHO}torch.int64 of shape (3, 1) for scores of shape (3, 10)",
    ),
    "floating labels": (torch.zeros(3), None, f"{WHO}torch.float32 of shape (3,) for scores of shape (3, 10)"),
    "a mask": (torch.zeros(3, dtype=torch.bool), None, f"{WHO}torch.bool of shape (3,) for scores of shape (3, 10)"),
    "a class beyond": (torch.tensor([1, 2, 30]), None, f"{CLASSES}, got the answer 'index 30 is out of bounds"),
    "a class below": (torch.tensor([-1, 0, 0]), 1.0, f"{CLASSES}, got the answer 'index -1 is out of bounds"),
    "a word for j": (
        torch.zeros(3, dtype=torch.long),
        "a",
        "rbf_loss(j=...): expected a finite number or None, got 'a'",
    ),
    "an endless j": (
        torch.zeros(3, dtype=torch.long),
        10**400,
        "rbf_loss(j=...): expected a finite number or None, got 1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_label_is_refused(name):
    labels, j, said = REFUSED[name]
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}"):
        rbf_loss(SCORES, labels, j)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64])
def test_whole_labels_of_any_width_are_taken(kind):
    scores = torch.arange(30.0).reshape(3, 10)
    assert rbf_loss(scores, torch.tensor([1, 2, 3], dtype=kind)).item() == -(1 + 12 + 23) / 3
