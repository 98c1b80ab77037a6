"""The pictures of problem 7: what the network learnt, what it sees in a digit, and where it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathdnn.homework.claim import SIGNS, Picture

if TYPE_CHECKING:
    import torch

    from mathdnn.data import Dataset
    from mathdnn.homework.lenet_runs import LeNetRuns

SHOWN = 24  # misclassified digits on the page; more than that nobody looks at


def learning_curves(runs: LeNetRuns, published: float) -> Picture:
    series = [
        {"name": arm, "runs": [[100 * epoch.test_accuracy for epoch in run.curve] for run in items]}
        for arm, items in runs.runs.items()
    ]
    epochs = [epoch.epoch for epoch in runs.runs["table"][0].curve]
    data = {
        "x": epochs,
        "xlabel": "epoch",
        "ylabel": "test accuracy, %",
        "logy": False,
        "series": series,
        "published": {"label": "published, after ten epochs", "value": published},
    }
    return Picture(
        "curves", "Test accuracy epoch by epoch: the mean over the seeds, and the band from lowest to highest.", data
    )


def filters(model: torch.nn.Module) -> Picture:
    weight = next(parameter for parameter in model.parameters() if parameter.ndim == 4)
    images = [
        {"title": str(place), "pixels": kernel[0].tolist(), "diverging": True}
        for place, kernel in enumerate(weight.detach())
    ]
    caption = f"The six filters of the first layer, learnt (seed 0). {SIGNS}"
    return Picture("images", caption, {"images": images, "columns": 6})


def feature_maps(model: torch.nn.Module, data: Dataset) -> Picture:
    """The first test digit, the six maps of C1 after its tanh and the sixteen of C3 after its tanh."""
    import torch

    seen: list[torch.Tensor] = []
    tanhs = [module for module in model.modules() if isinstance(module, torch.nn.Tanh)]
    hooks = [module.register_forward_hook(lambda _module, _inputs, output: seen.append(output)) for module in tanhs]
    digit = torch.from_numpy(data.test.images[:1]).float()[:, None] / 255
    with torch.no_grad():
        model(digit)
    for hook in hooks:
        hook.remove()
    maps = {output.shape[1]: output[0] for output in reversed(seen) if output.ndim == 4}
    images = [{"title": "X", "pixels": digit[0, 0].tolist(), "diverging": False}]
    images += [
        {"title": f"C1 {place}", "pixels": image.tolist(), "diverging": True} for place, image in enumerate(maps[6])
    ]
    images += [
        {"title": f"C3 {place}", "pixels": image.tolist(), "diverging": True} for place, image in enumerate(maps[16])
    ]
    caption = f"A test digit and what the two convolutions make of it, after their tanh (seed 0). {SIGNS}"
    return Picture("images", caption, {"images": images, "columns": 8})


def misclassified(model: torch.nn.Module, data: Dataset) -> tuple[Picture, ...]:
    """The test digits that the network misreads; no picture where there are none."""
    import torch

    with torch.no_grad():
        logits = torch.cat([model(torch.from_numpy(part).float()[:, None] / 255) for part in _parts(data.test.images)])
    predicted = logits.argmax(1).numpy()
    wrong = (predicted != data.test.labels).nonzero()[0]
    images = [
        {
            "title": f"{data.test.labels[place]} read as {predicted[place]}",
            "pixels": (data.test.images[place] / 255).round(3).tolist(),
            "diverging": False,
        }
        for place in wrong[:SHOWN]
    ]
    caption = f"The first {len(images)} of {len(wrong)} test digits that the network of seed 0 misreads."
    return (Picture("images", caption, {"images": images, "columns": 8}),) if images else ()


def _parts(images, size: int = 1000):  # type: ignore[no-untyped-def]
    return (images[start : start + size] for start in range(0, len(images), size))
