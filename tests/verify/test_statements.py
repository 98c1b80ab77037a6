"""The sentence of a counterexample: other numbers in it are rejected, and what nothing shows is told as not checked."""

from __future__ import annotations

import pytest
import torch
from tests.verify.tampering import replaced, resealed
from torch import nn

from mathdnn.convolution import as_conv2d, equal_maps, grade
from mathdnn.verdict import Status
from mathdnn.verify import verify

MADE = {
    "relu": lambda: as_conv2d(nn.ReLU(), (1, 4, 5)),
    "log": lambda: as_conv2d(torch.log, (1, 3, 4)),
    "flip": lambda: as_conv2d(lambda x: x.flip(-1), (1, 5, 5)),
    "sizes": lambda: equal_maps(nn.AvgPool2d(2), nn.AvgPool2d(3), (1, 6, 6)),
    "third": lambda: equal_maps(lambda x: x / 3, lambda x: x * (1 / 3), (1, 4, 4)),
    "constant": lambda: equal_maps(lambda x: x + 1, lambda x: x + 2, (1, 4, 4), smallest=False),
    "batch": lambda: equal_maps(lambda x: x * 1, lambda x: torch.cat([x[:1], 2 * x[1:]]), (2, 1, 3, 3)),
    "rounded": lambda: equal_maps(lambda x: x / 3, lambda x: x * 0.34, (1, 2, 2), rounded=True),
    "graded": lambda: grade([[1, 0, -1], [2, 0, -2], [1, 0, -1]], "sobel-x", padding=1),
    "one of two": lambda: equal_maps(nn.ReLU(), nn.Identity(), (1, 3, 3)),
    "open": lambda: as_conv2d(lambda x: x * x.shape[-1], (1, 4, 4)),
    "every size": lambda: as_conv2d(nn.AvgPool2d(2), (1, 4, 4)),
}
STATEMENT, DATA = ("evidence", "statement"), ("evidence", "data")
LIES = [
    ("relu", STATEMENT, lambda said: said.replace("gives 0", "gives 7")),
    ("relu", STATEMENT, lambda said: said.replace("one pixel", "random pixels")),
    ("relu", STATEMENT, lambda said: f"P = NP. {said}"),
    ("relu", (*DATA, "output_index"), lambda _: 3),
    ("relu", (*DATA, "output_index"), lambda _: -20),
    ("log", STATEMENT, lambda said: said.replace("it would give ", "it would give 1")),
    ("sizes", STATEMENT, lambda said: said.replace("1/4", "1/3")),
    ("sizes", (*DATA, "exact", 0), lambda _: "1/3"),
    ("sizes", (*DATA, "output_place"), lambda _: [0, 0]),
    ("sizes", (*DATA, "at_the_size_asked", "statement"), lambda said: said.replace("3 x 3", "4 x 4")),
    ("third", STATEMENT, lambda said: said.replace(" at output", ", as everybody knows, at output")),
    ("constant", STATEMENT, lambda said: said.replace("of zeros", "of ones")),
    ("batch", STATEMENT, lambda said: said.replace("second 2", "second 3")),
    ("rounded", STATEMENT, lambda said: said.replace("0.34", "0.35")),
    ("graded", STATEMENT, lambda said: said.replace("the target gives ", "the target gives 1")),
]


@pytest.fixture(scope="module")
def made():
    known = {}

    def once(name):
        if name not in known:
            known[name] = MADE[name]().to_plain()
        return known[name]

    return once


@pytest.mark.parametrize("name", MADE)
def test_true_sentences_pass(name, made):
    answer = verify(resealed(made(name)))
    assert answer.status is Status.PROVED, str(answer)


@pytest.mark.parametrize(("name", "path", "change"), LIES)
def test_other_numbers_in_a_sentence_are_rejected_under_a_seal_that_fits(name, path, change, made):
    value = plain = made(name)
    for key in path:
        value = value[key]
    assert change(value) != value
    answer = verify(resealed(replaced(plain, path, change(value))))
    assert answer.status is Status.REFUTED
    assert "the sentence names other numbers than were computed" in str(answer)


def test_a_number_of_both_sentence_and_data_is_rejected(made):
    plain = replaced(made("sizes"), (*DATA, "exact", 0), "1/3")
    plain = replaced(plain, STATEMENT, plain["evidence"]["statement"].replace("1/4", "1/3"))
    assert "other numbers than were computed" in str(verify(resealed(plain)))


UNTOLD = {
    "relu": '; what else its sentence says is not checked: "The step that breaks it: aten.relu.default."',
    "third": '; what else its sentence says is not checked: "The two differ only by a rounding of the weights."',
    "one of two": "; that the other operation is affine, as its sentence says, is not checked",
    "flip": "; the places and numbers in the file's sentence are not checked beyond that",
    "every size": "by the file's graph with open sizes, which its steps alone show to be the same operation",
    "open": "; why other sizes are left open is not checked",
}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_nothing_shows_is_told_as_not_checked(name, made):
    assert UNTOLD[name] in str(verify(resealed(made(name))))
