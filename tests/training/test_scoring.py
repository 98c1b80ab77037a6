"""What is given to evaluate, scores and predict is checked as it is for train, each in one sentence of its own name."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.training.cases import figures, plain_net, tiny_data, tiny_net
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.training import Recipe, evaluate, predict, scores, train

NETS = [plain_net, tiny_net]  # the compiled engine scores the first, torch the second


def labelled(label):
    split = tiny_data().test
    labels = split.labels.astype(np.int64)
    labels[3] = label
    return SimpleNamespace(images=split.images, labels=labels)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("recipe", [Recipe(), Recipe(loss="squared")], ids=lambda recipe: recipe.loss)
@pytest.mark.parametrize("label", [-100, -1, 3, 12, 2**32])
def test_labels_that_are_no_class_of_the_model_are_refused(net, recipe, label):
    with pytest.raises(InvalidInput, match=r": expected .*; ") as caught:
        evaluate(net(), labelled(label), recipe)
    assert str(caught.value) == (
        f"evaluate(split): expected labels from 0 to 2, the model's classes, got label {label}; "
        "use a network with as many outputs as classes."
    )


IMAGES = tiny_data().test.images
STANDARDISED = Recipe(pixels="standardised")
REFUSED = [
    (lambda: evaluate(plain_net(), None), "evaluate(split): expected a split with images and labels, got a NoneType w"),
    (lambda: evaluate(plain_net(), SimpleNamespace(images=IMAGES)), "evaluate(split): expected a split with images an"),
    (lambda: evaluate(None, tiny_data().test), "evaluate(model): expected a torch.nn.Module, got NoneType; pass the n"),
    (lambda: evaluate(plain_net(size=8), tiny_data().test), "evaluate(model): expected scores (n, classes) for images"),
    (lambda: evaluate(nn.Flatten(2), tiny_data().test), "evaluate(model): expected scores (n, classes) for images (n,"),
    (lambda: scores(None, IMAGES), "scores(model): expected a torch.nn.Module, got NoneType; pass the network itself."),
    (lambda: scores(plain_net(), None), "scores(images): expected images (n, h, w), uint8 or floating, got object of "),
    (lambda: scores(plain_net(), IMAGES[0]), "scores(images): expected images (n, h, w), uint8 or floating, got uint8"),
    (lambda: scores(plain_net(), [[1], [2, 3]]), "scores(images): expected an array of images, got a list with the an"),
    (lambda: scores(plain_net(), IMAGES, STANDARDISED), "scores(scale=...): expected the scale of the training split"),
    (lambda: predict(plain_net(), IMAGES[:0]), "predict(images): expected images (n, h, w), uint8 or floating, got ui"),
    (lambda: predict(plain_net(), IMAGES, STANDARDISED), "predict(scale=...): expected the scale of the training spli"),
]  # fmt: skip


@pytest.mark.parametrize(("attempt", "expected"), REFUSED)
def test_an_error_names_the_function_that_was_called(attempt, expected):
    with pytest.raises(InvalidInput, match=r": expected .*; ") as caught:
        attempt()
    assert str(caught.value).startswith(expected)


KINDS = {
    "tensors": lambda a: torch.from_numpy(a.copy()),
    "tensors with a gradient": lambda a: torch.from_numpy(a / 255).requires_grad_() if a.ndim == 3 else a,
    "lists": lambda a: (a / 255).tolist() if a.ndim == 3 else a.tolist(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_and_lists_are_taken_like_their_arrays(kind):
    def held(split, form):
        return SimpleNamespace(images=form(split.images), labels=form(split.labels))

    def plain(array):
        return array if kind == "tensors" or array.ndim == 1 else array / 255

    data = tiny_data()
    ours, arrays = (
        SimpleNamespace(train=held(data.train, form), test=held(data.test, form)) for form in (KINDS[kind], plain)
    )
    recipe, one, two = Recipe(epochs=1, pixels="standardised"), plain_net(), plain_net()
    run = train(one, ours, recipe)
    assert figures(run) == figures(train(two, arrays, recipe))
    assert evaluate(one, ours.test, recipe, scale=run.scale) == run.metrics
    found = scores(one, ours.test.images, recipe, scale=run.scale)
    np.testing.assert_array_equal(found, scores(two, arrays.test.images, recipe, scale=run.scale))


def test_train_refuses_a_split_without_images():
    data = tiny_data()
    data.test = 3
    with pytest.raises(
        InvalidInput, match=r"^train\(data.test\): expected a split with images and labels, got a int w"
    ):
        train(plain_net(), data)
    with pytest.raises(InvalidInput, match=r"^train\(judged=...\): expected the name of a split, got 3; give 'test'"):
        train(plain_net(), data, judged=3)
