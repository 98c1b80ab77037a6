"""`mathdnn prove`: is an operation a convolution, does an activation never fall, are the derivatives right?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from mathdnn.cli.answer import answer
from mathdnn.cli.named import foreign, load_operation, no_room, refusal, require_place, require_time_limit, sizes
from mathdnn.cli.output import Flag, Json, MaybeNamed, MaybeWhole, live
from mathdnn.cli.prove_gradient import EXAMPLES, gradient
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from mathdnn.verdict import Verdict

EPILOGUE = """Examples:

mathdnn prove conv filters:blur --shape 1,28,28 --save blur.json
mathdnn prove conv filters:sobel --shape 28,28 --opaque
mathdnn prove monotone torch.tanh
mathdnn prove monotone onnx:Tanh --dtype float16 --max-pool
mathdnn prove gradient 2-3-2-1 2-2-1/1,0,-2,3 3-5-1/tanh

MODULE:NAME is code of yours: it is imported and run, from this folder first.
Exit codes: 0 proved or supported; 1 refuted, contradicted, or undecided (the
answer says which); 2 misuse."""

prove = App(name="prove", help="Ask for a proof, or for what shows otherwise.", help_epilogue=EPILOGUE)


def _epilogue(examples: str) -> str:
    return (
        f"Examples:\n\n{examples}\n\nExit codes: 0 proved or supported; 1 refuted, contradicted, undecided; 2 misuse."
    )


@prove.command(
    help_epilogue=_epilogue(
        "mathdnn prove conv filters:blur --shape 1,28,28 --save blur.json\n"
        "mathdnn prove conv filters:sobel --shape 28,28 --opaque"
    )
)
def conv(
    operation: str,
    /,
    *,
    shape: str,
    dtype: Literal["float32", "float64"] | None = None,
    opaque: Flag = False,
    time_limit: float = 60.0,
    json: Json = False,
    save: MaybeNamed = None,
) -> int:
    """Is an operation on images a convolution, and which?

    Parameters
    ----------
    operation
        MODULE:NAME of a torch callable or module.
    shape
        Of one image: 1,28,28 or 28,28.
    dtype
        The numbers it is called with. [default: float32, with --opaque float64]
    opaque
        It takes NumPy arrays and cannot be read: it is probed.
    time_limit
        Seconds for each call of it.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    who = f"prove conv {operation}".rstrip()
    image = sizes(shape, "prove conv --shape", "1,28,28")
    require_time_limit(time_limit, "prove conv --time-limit")
    require_place(save, "prove conv --save")
    found = load_operation(operation, who)
    from mathdnn.convolution import as_conv2d

    with foreign(who):
        verdict = as_conv2d(found, image, dtype=dtype, opaque=opaque, seconds=time_limit)
    return answer(verdict, json=json, save=save)


@prove.command(
    help_epilogue=_epilogue(
        "mathdnn prove monotone torch.tanh\n"
        "mathdnn prove monotone onnx:Tanh --dtype float16 --max-pool\n"
        "mathdnn prove monotone activations:mine --dtype bfloat16"
    )
)
def monotone(
    function: str,
    /,
    *,
    dtype: Literal["float16", "bfloat16", "float32"] = "float32",
    max_pool: Flag = False,
    threads: MaybeWhole = None,
    time_limit: float = 60.0,
    cache: Annotated[MaybeNamed, Parameter(show_default=False)] = None,
    no_cache: Flag = False,
    json: Json = False,
    save: MaybeNamed = None,
) -> int:
    """Does an activation never fall, over every float?

    Parameters
    ----------
    function
        torch.tanh, numpy.tanh, onnx:Tanh, or MODULE:NAME.
    dtype
        The floats; every one is tried.
    max_pool
        Ask instead whether it commutes with max pooling.
    threads
        How many compute. [default: as many as cores]
    time_limit
        Seconds for each call of a function of yours.
    cache
        Folder for scans of named functions over float32. [default: the user's own]
    no_cache
        Scan anew, and keep nothing.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    from mathdnn.monotone import commutes_with_max_pool, is_nondecreasing

    who = f"prove monotone {function}"
    if threads is not None and not 1 <= threads <= 1024:
        raise InvalidInput(sentence("prove monotone --threads", "1 to 1024", str(threads), "leave it out"))
    require_time_limit(time_limit, "prove monotone --time-limit")
    kept = _cache(cache, no_cache)
    require_place(save, "prove monotone --save")
    ours = function.startswith("onnx:") or ":" not in function
    found = function if ours else load_operation(function, who)

    with live(1.0) as line, foreign(who):
        ask: Callable[..., Verdict] = commutes_with_max_pool if max_pool else is_nondecreasing
        hear = _listener(line, function)
        verdict = ask(found, dtype, progress=hear, threads=threads, cache=kept, time_limit=time_limit)
    return answer(verdict, json=json, save=save)


def _cache(folder: Path | None, none: bool) -> Path | bool:
    """Where scans are kept: a folder, True for the user's own, False for nowhere."""
    if folder is None:
        return not none
    who, do = f"prove monotone --cache {folder}", "name another folder"
    if none:
        raise InvalidInput(sentence(who, "a folder or --no-cache", "both", "leave one out"))
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise InvalidInput(sentence(who, "a folder, or a place for one", "a file", do))
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.isdir(place))
    if (answer := refusal(folder) or no_room(there)) is not None:
        raise InvalidInput(sentence(who, "a folder, or a place for one", f"the answer {answer!r}", do))
    return folder


def _listener(line: Any, name: str) -> Callable[[int, int], None] | None:
    if line is None:
        return None

    def hear(done: int, total: int) -> None:
        line[0].update(line[1], description=name[:40], completed=done / total, state=f"{done:,} of {total:,} values")

    return hear


prove.command(gradient, help_epilogue=_epilogue(EXAMPLES))
