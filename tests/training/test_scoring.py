"""What is given to evaluate, scores and predict is checked as it is for train, each in one sentence of its own name."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.training.cases import figures, plain_net, tiny_data, tiny_net
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.training import PixelScale, Recipe, evaluate, predict, scores, train

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
    (lambda: evaluate(plain_net(), tiny_data().test, "x"), "evaluate(recipe): expected a Recipe, or None, got a str; "),
    (lambda: predict(plain_net(), IMAGES, 3), "predict(recipe): expected a Recipe, or None, got a int; build one, or "),
    (lambda: scores(plain_net(), IMAGES, scale=(0, 1)), "scores(scale=...): expected a PixelScale of two finite numbe"),
    (lambda: evaluate(plain_net(), tiny_data().test, scale=3), "evaluate(scale=...): expected a PixelScale of two fin"),
    (lambda: scores(plain_net(), IMAGES, scale=PixelScale(0, np.nan)), "scores(scale=...): expected a PixelScale of t"),
    (lambda: scores(plain_net(), IMAGES, scale=PixelScale("a", "b")), "scores(scale=...): expected a PixelScale of tw"),
]  # fmt: skip


@pytest.mark.parametrize(("attempt", "expected"), REFUSED)
def test_an_error_names_the_function_that_was_called(attempt, expected):
    with pytest.raises(InvalidInput, match=r": expected .*; ") as caught:
        attempt()
    assert str(caught.value).startswith(expected)


class Answers(nn.Module):
    """Gives what `answer` makes of four scores an image."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.layer = answer, nn.Linear(36, 4)

    def forward(self, x):
        return self.answer(self.layer(x.flatten(1)))


ANSWERS = {
    "one number": (lambda y: y.sum(1), "got shape (2,); end the network in one score a class."),
    "a tuple": (lambda y: (y, y), "got tuple; end the network in one score a class."),
    "no class": (lambda y: y[:, :0], "got shape (2, 0); end the network in one score a class."),
    "maps": (lambda y: y[..., None], "got shape (2, 4, 1); end the network in one score a class."),
    "complex numbers": (lambda y: y + 0j, "got torch.strided of torch.complex64; end the network in real numbers, s"),
    "sparse numbers": (lambda y: y.to_sparse(), "got torch.sparse_coo of torch.float32; end the network in real num"),
    "an error": (lambda y: y @ y, "got the answer 'mat1 and mat2 shapes cannot be multiplied (2x4 and 2x4)' to images"),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("ask", [predict, scores, evaluate], ids=lambda ask: ask.__name__)
def test_what_is_no_score_for_each_class_is_refused_by_all_three(ask, name):
    answer, got = ANSWERS[name]
    given = tiny_data().test if ask is evaluate else IMAGES
    expected = (
        rf"^{ask.__name__}\(model\): expected scores \(n, classes\) for images \(n, 1, h, w\).*, {re.escape(got)}"
    )
    with pytest.raises(InvalidInput, match=expected):
        ask(Answers(answer), given)


@pytest.mark.parametrize("net", NETS)
def test_images_of_another_size_are_refused_by_all_three(net):
    other = SimpleNamespace(images=np.zeros((3, 9, 9), np.uint8), labels=np.zeros(3, np.int64))
    for ask, given in ((evaluate, other), (predict, other.images), (scores, other.images)):
        with pytest.raises(
            InvalidInput, match=rf"^{ask.__name__}\(model\): .* to images of shape \(2, 1, 9, 9\); use a"
        ):
            ask(net(), given)


def test_a_linear_layer_without_classes_is_refused():
    layer = nn.Linear(36, 4)
    layer.out_features, layer.weight, layer.bias = 0, nn.Parameter(torch.zeros(0, 36)), nn.Parameter(torch.zeros(0))
    with pytest.raises(InvalidInput, match=r"^predict\(model\): expected .*, got shape \(2, 0\); end the network"):
        predict(nn.Sequential(nn.Flatten(), layer), IMAGES)


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
