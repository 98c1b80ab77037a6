"""`mathdnn predict`: which digit a picture shows, by a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mathdnn.cli.output import Json, Named, print_json
from mathdnn.errors import RunError, sentence, shown

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float


def predict(run: Named, /, *image: Annotated[Named, Parameter(required=True)], json: Json = False) -> int:
    """Say which digit a picture shows.

    Parameters
    ----------
    run
        Folder that mathdnn train --out made.
    image
        PNG or JPEG of one digit: any size, dark on light or light on dark.
    json
        Print one JSON document.
    """
    import numpy as np

    from mathdnn.data.digit_image import read_digit

    images = np.stack([read_digit(path) for path in image])
    answers = [{"image": str(path), **answer} for path, answer in zip(image, _answers(run, images), strict=True)]
    if json:
        print_json({"run": str(run), "images": answers})
        return 0
    for answer in answers:
        print(f"{shown(answer['image'])}: {answer['digit']}{_sureness(answer)}")
    return 0


def _answers(folder: Path, images: np.ndarray) -> list[dict[str, Any]]:
    """The digit and the scores for each image; probabilities where the loss made the scores into such."""
    import numpy as np

    from mathdnn.training import load_run
    from mathdnn.training.scoring import scores

    saved = load_run(folder)
    found = scores(_model(saved, folder), images, saved.record.recipe, scale=saved.record.scale).astype("float64")
    if not np.isfinite(found).all():
        raise RunError(sentence(f"predict {folder}", "a run with finite scores", "scores that are not", "train again"))
    answers = []
    for row in found:
        answer: dict[str, Any] = {"digit": int(row.argmax()), "scores": row.tolist(), "probabilities": None}
        if saved.record.recipe.loss == "cross_entropy":
            answer["probabilities"] = _softmax(row).tolist()
        answers.append(answer)
    return answers


def _model(saved: Any, folder: Path) -> Any:
    about = saved.record.about
    if about.get("network") != "lenet5" or about.get("c3") not in ("table", "full"):
        expected, got = "a run of mathdnn train lenet5", f"a run about {msgspec.json.encode(about).decode():.80}"
        raise RunError(sentence(f"predict {folder}", expected, got, "read it with load_run in Python"))
    from mathdnn.lenet import LeNet5

    return saved.into(LeNet5(about["c3"]))


def _softmax(row: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    import numpy as np

    shifted = np.exp(row - row.max())
    shares: np.ndarray = shifted / shifted.sum()
    return shares


def _sureness(answer: dict[str, Any]) -> str:
    shares = answer["probabilities"]
    return "" if shares is None else f" ({max(shares):.1%})"
