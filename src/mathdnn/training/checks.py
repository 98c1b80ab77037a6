"""What is refused before a run begins, each with one sentence."""

from __future__ import annotations

import hashlib
import inspect
import math
import numbers
import platform
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

import mathdnn
from mathdnn.data import checked_path, digest, readable
from mathdnn.errors import InvalidInput, RunError, is_whole, sentence
from mathdnn.training.checkpoint import keeps
from mathdnn.training.images import Arrays, Images, checked_split
from mathdnn.training.memory import repeats
from mathdnn.training.recipe import Recipe
from mathdnn.training.scoring import check_classes, check_numbers, evaluating, mean_loss
from mathdnn.training.state import extra_states, loose, tensors_of, unsaved


def checked_seed(seed: int, who: str) -> int:
    """The seed as Python's number. Raises `InvalidInput` unless it is a whole one from 0 to 2^63 - 1."""
    if not is_whole(seed) or not 0 <= seed < 2**63:
        raise InvalidInput(sentence(who, "a whole number from 0 to 2^63 - 1", repr(seed), "choose another seed"))
    return int(seed)


def check_device(device: str) -> torch.device:
    """The device of that name, where this installation has it."""
    who, expected = "train(device=...)", "'cpu' or a CUDA device of this machine"
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError):
        raise InvalidInput(sentence(who, expected, repr(device), "choose one")) from None
    if place.type not in ("cpu", "cuda"):
        raise InvalidInput(sentence(who, expected, repr(device), "choose one"))
    if place.type == "cuda" and (place.index or 0) >= (torch.cuda.device_count() if torch.cuda.is_available() else 0):
        got = f"{device!r} where torch sees {torch.cuda.device_count()} CUDA devices"
        raise InvalidInput(sentence(who, expected, got, "use device='cpu'"))
    return place


def check_run(run: Any, resume: bool, model: torch.nn.Module) -> None:
    """Raise `InvalidInput` for a run that is no path, that cannot be kept, or that is to be resumed and is nowhere."""
    if run is not None:
        checked_path(run, "train(run=...)")
        for name, tensor in tensors_of(model).items():
            if not keeps(tensor.dtype):
                got, do = f"{name} of {tensor.dtype}", "keep it in another type, or train without run="
                raise InvalidInput(sentence("train(run=...)", "tensors of types that a checkpoint holds", got, do))
    if resume and run is None:
        do = "pass run=, the folder of the run"
        raise InvalidInput(sentence("train(resume=True)", "a run to go on with", "none", do))


def check_reports(progress: Any, report_steps: Any, checkpoint_seconds: Any) -> None:
    """Raise `InvalidInput` unless there is somebody to tell, and it is said how often to tell and to keep."""
    if progress is not None and not callable(progress):
        got, do = f"a {type(progress).__name__}", "pass a function of one Event"
        raise InvalidInput(sentence("train(progress=...)", "a function, or None", got, do))
    if not is_whole(report_steps) or report_steps < 1:
        got, do = f"{report_steps!r:.40}", "leave it at 50"
        raise InvalidInput(sentence("train(report_steps=...)", "a whole number from 1", got, do))
    number = isinstance(checkpoint_seconds, numbers.Real) and not isinstance(checkpoint_seconds, bool)
    if not number or not checkpoint_seconds >= 0:  # NaN is none, and at infinity only ends of epochs are kept
        got, do = f"{checkpoint_seconds!r:.40}", "leave it at 10"
        raise InvalidInput(sentence("train(checkpoint_seconds=...)", "a number from 0", got, do))


def check_about(about: Any) -> dict[str, str]:
    """What is kept beside the run. Raises `InvalidInput` for what a record could not be read with again."""
    who, expected = "train(about=...)", "strings by strings"
    if about is not None and not isinstance(about, Mapping):
        raise InvalidInput(sentence(who, expected, f"a {type(about).__name__}", "pass a dict"))
    for value in (part for item in (about or {}).items() for part in item):
        if not isinstance(value, str):
            raise InvalidInput(sentence(who, expected, f"{value!r:.80} in it", "turn it into a str"))
        if readable(value) != value:
            raise InvalidInput(sentence(who, "text", f"{value!r:.80} with half a character", "leave that out"))
    return {str.__str__(key): str.__str__(value) for key, value in (about or {}).items()}  # not of a subclass


def check_data(data: Any, judged: str) -> tuple[Arrays, Arrays]:
    """The splits train and `judged`. Raises `InvalidInput` unless they hold finite images of one size, with labels."""
    if not isinstance(judged, str):
        raise InvalidInput(sentence("train(judged=...)", "the name of a split", repr(judged), "give 'test'"))
    for name in ("train", judged):
        if not hasattr(data, name):
            got = f"a {type(data).__name__} without {name}"
            raise InvalidInput(sentence("train(data)", f"data with the splits train and {judged}", got, "load_mnist()"))
    train, held = (checked_split(getattr(data, name), f"train(data.{name})") for name in ("train", judged))
    sizes = [split.images.shape[1:] for split in (train, held)]
    if sizes[0] != sizes[1]:
        got = f"{sizes[1][0]} x {sizes[1][1]}"
        expected = f"images of {sizes[0][0]} x {sizes[0][1]} as in train"
        raise InvalidInput(sentence(f"train(data.{judged})", expected, got, "take both splits from one data set"))
    return train, held


def check_weights(model: torch.nn.Module) -> None:
    """Raise `InvalidInput` unless the model is a module with finite weights, at least one of them to train."""
    who = "train(model)"
    check_numbers(model, who)
    if not any(p.requires_grad for p in model.parameters()):
        raise InvalidInput(sentence(who, "a parameter to train", "none that requires a gradient", "unfreeze one"))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.layout == torch.strided and repeats(parameter):
            expected, got = "a place in memory for each weight", f"{name}, where one stands for many"
            raise InvalidInput(sentence(who, expected, got, "clone what was expanded"))
    for name, module in extra_states(model).items():
        given, back = module.get_extra_state(), type(module).set_extra_state is not torch.nn.Module.set_extra_state
        if not isinstance(given, torch.Tensor) or not back:
            got = f"{name}: {type(given).__name__}" + ("" if back else " and no set_extra_state")
            do = "keep it in a buffer, or as one tensor that set_extra_state takes"
            raise InvalidInput(sentence(who, "a state of tensors", got, do))
    constants = unsaved(model)  # a mask may well be of infinities
    for name, tensor in tensors_of(model).items():
        _check_dense(name, tensor, who)
        if (tensor.is_floating_point() or tensor.is_complex()) and name not in constants:
            _check_finite(name, tensor, who)


def _check_dense(name: str, tensor: torch.Tensor, who: str) -> None:
    """Raise `InvalidInput` unless its numbers can be written down, and take part in training."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        got = f"{name} of {tensor.dtype} in the layout {tensor.layout}"
        raise InvalidInput(sentence(who, "parameters and buffers that are dense", got, "make it dense"))
    if tensor.is_inference():
        got, do = f"{name}, made in inference mode", "build or load the model outside of that mode"
        raise InvalidInput(sentence(who, "tensors that gradients can flow through", got, do))


def _check_finite(name: str, tensor: torch.Tensor, who: str) -> None:
    try:
        finite = bool(torch.isfinite(tensor.float() if tensor.element_size() == 1 else tensor).all())
    except NotImplementedError:
        got = f"{name} of {tensor.dtype}"
        raise InvalidInput(sentence(who, "numbers that torch can compute with", got, "choose another type")) from None
    if not finite:
        raise InvalidInput(sentence(who, "finite weights", f"NaN or infinity in {name}", "initialise the model"))


def check_scores(model: torch.nn.Module, images: Images, judged: Images, recipe: Recipe) -> float:
    """The mean loss to begin with: of the model or of all scores zero, whichever is larger, over 1,000 images.

    Raises `InvalidInput` unless the model gives (n, k) scores and the labels are below k.
    """
    for split, where in ((images, " in train"), (judged, " in the judged split")):
        check_classes(model, split, "train", "data", where)
    return _start_loss(model, images, recipe)


def _start_loss(model: torch.nn.Module, images: Images, recipe: Recipe) -> float:
    with evaluating(model):
        x, labels = images.batch(slice(0, 1000))
        score = model(x)
        loss, nothing = (float(mean_loss(recipe, s, labels)) for s in (score, torch.zeros_like(score)))
    if not math.isfinite(loss):
        raise InvalidInput(
            sentence("train(model)", "a finite loss before training", repr(loss), "initialise the model")
        )
    return max(loss, nothing)


def check_resumed(
    model: torch.nn.Module, own: dict[str, torch.Tensor], kept: dict[str, torch.Tensor], parts: str
) -> None:
    """Raise `RunError` unless the tensors that a checkpoint kept have the names, kinds and shapes of one's own."""
    wanted, found = ({name: (t.dtype, t.shape) for name, t in held.items()} for held in (own, kept))
    free = {f"model.{name}" for name in loose(model)} & {*kept}
    wrong = sorted(name for name in {*wanted, *found} - free if wanted.get(name) != found.get(name))
    if wrong:
        expected, got = f"the tensors of this {parts}", f"others: {', '.join(wrong[:3])}"
        raise RunError(sentence("train(resume=True)", expected, got, f"resume with the {parts} the run began with"))


def structure_digest(model: torch.nn.Module) -> str:
    """SHA-256 of what the network is apart from its weights: modules, settings, names, types, shapes, constants."""
    lines = []
    for name, module in model.named_modules(remove_duplicate=False):  # a module used twice is two layers
        table = getattr(module, "table", "")
        lines.append(f"{name}: {type(module).__qualname__}({module.extra_repr()}) {table!r} {_settings(module)}")
    state, constants = tensors_of(model), unsaved(model)
    for name in (name for name in state if name not in {*constants, *extra_states(model)}):
        lines.append(f"{name}: {state[name].dtype} {tuple(state[name].shape)}")
    lines += [f"{name}: {t.dtype} {t.tolist()!r}" for name, t in state.items() if name in constants]
    text = re.sub(r" at 0x[0-9a-f]+", "", "\n".join(lines))
    return hashlib.sha256(text.encode()).hexdigest()


def _settings(module: torch.nn.Module) -> str:
    """The settings of one of torch's own modules, since what it prints leaves some of them out (a pool's divisor).

    Of other classes nothing is known: what they keep may be a count of calls.
    """
    if not type(module).__module__.startswith("torch.nn."):
        return ""
    kept = {key: value for key, value in vars(module).items() if not key.startswith("_") and key != "training"}
    return repr(
        sorted((key, getattr(value, "__qualname__", repr(value))) for key, value in kept.items() if _is_plain(value))
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | torch.dtype) or inspect.isroutine(value)


def data_digest(train: Any, judged: Any) -> str:
    """SHA-256 of the two splits, whatever digest the data bears: anybody may have cut or changed the arrays since.

    For the splits train and test of a `Dataset` that was loaded it is that data set's own; some 50 ms for MNIST.
    """
    return digest(train.images, train.labels, judged.images, judged.labels)


def versions() -> dict[str, str]:
    """What computes: mathdnn, torch, numpy, Python."""
    return {
        "mathdnn": mathdnn.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def machine(device: torch.device) -> dict[str, str]:
    """Where it runs, as far as it can change a bit: processor, instruction set, threads, device."""
    found = {
        "system": platform.system(),
        "processor": platform.machine(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "device": device.type,
    }
    return found | ({"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {})
