"""`mathdnn prove`: is an operation a convolution, does an activation never fall, are the derivatives right?"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from mathdnn.cli.answer import answer
from mathdnn.cli.formulas import check_typed
from mathdnn.cli.named import foreign, load, require_place, sizes
from mathdnn.cli.output import Flag, Json, live
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
    seconds: float = 60.0,
    json: Json = False,
    save: Path | None = None,
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
    seconds
        Time limit of each call.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    who = f"prove conv {operation}"
    image = sizes(shape, "prove conv --shape", "1,28,28")
    _require_seconds(seconds)
    require_place(save, "prove conv --save")
    found = _instance(load(operation, who), who)
    from mathdnn.convolution import as_conv2d

    with foreign(who):
        verdict = as_conv2d(found, image, dtype=dtype, opaque=opaque, seconds=seconds)
    return answer(verdict, json=json, save=save)


def _require_seconds(seconds: float) -> None:
    if not 0 < seconds <= 86_400:
        expected, do = "seconds from above 0 to 86400", "give a time limit"
        raise InvalidInput(sentence("prove conv --seconds", expected, f"{seconds:g}", do))


def _instance(found: Any, who: str) -> Any:
    if isinstance(found, type):
        do = "name a function, or an object made from the class"
        raise InvalidInput(sentence(who, "an operation", f"the class {found.__name__}", do))
    return found


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
    threads: int | None = None,
    json: Json = False,
    save: Path | None = None,
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
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    who = f"prove monotone {function}"
    if threads is not None and not 1 <= threads <= 1024:
        raise InvalidInput(sentence("prove monotone --threads", "1 to 1024", str(threads), "leave it out"))
    require_place(save, "prove monotone --save")
    ours = function.startswith("onnx:") or ":" not in function
    found = function if ours else _instance(load(function, who), who)
    from mathdnn.monotone import commutes_with_max_pool, is_nondecreasing

    with live(1.0) as line, foreign(who):
        ask: Callable[..., Verdict] = commutes_with_max_pool if max_pool else is_nondecreasing
        verdict = ask(found, dtype, progress=_listener(line, function), threads=threads)
    return answer(verdict, json=json, save=save)


def _listener(line: Any, name: str) -> Callable[[int, int], None] | None:
    if line is None:
        return None

    def hear(done: int, total: int) -> None:
        line[0].update(line[1], description=name[:40], completed=done / total, state=f"{done:,} of {total:,} values")

    return hear


@prove.command(
    help_epilogue=_epilogue(
        "mathdnn prove gradient 2-3-2-1\n"
        "mathdnn prove gradient 2-2-1/1,0,-2,3 3-5-1/tanh\n"
        'mathdnn prove gradient 2-3-1 --of dyL/dbl --formula "G[l] @ diag(s[l])"'
    )
)
def gradient(
    network: str,
    /,
    *more: str,
    of: str | None = None,
    formula: str | None = None,
    json: Json = False,
    save: Path | None = None,
) -> int:
    """Are the closed forms of a perceptron's derivatives right?

    Parameters
    ----------
    network
        WIDTHS, WIDTHS/1,0,-2,3 or WIDTHS/tanh: for any differentiable sigma, for a polynomial with these coefficients
        (exactly, in both cases), or for a named one (against autograd).
    more
        Further networks.
    of
        One derivative only: dyL/dAl, dyl/dyl-1, ...
    formula
        A closed form of yours for it, in A[l], b[l], y[l], s[l], G[l], I.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    require_place(save, "prove gradient --save")
    networks = [_network(text) for text in (network, *more)]
    if formula is None:
        parts = [part for widths, sigma in networks for part in _check(widths, sigma, of)]
    else:
        parts = [_check_typed(widths, sigma, of, formula) for widths, sigma in networks]
    return answer(_together(parts, network, more), json=json, save=save)


def _network(text: str) -> tuple[tuple[int, ...], Any]:
    """Widths, and None (any sigma), a polynomial, or the name of an activation."""
    from mathdnn.backprop import ACTIVATIONS, polynomial

    shape, slash, sigma = text.partition("/")
    widths = sizes(shape, f"prove gradient {text[:60]}", "2-3-2-1", "-")
    if min(widths) < 1:
        raise InvalidInput(sentence(f"prove gradient {text[:60]}", "widths of at least 1", shape[:60], "widen it"))
    if not slash:
        return widths, None
    if sigma in ACTIVATIONS:
        return widths, sigma
    if re.fullmatch(r"(-?[0-9]{1,18}(/[1-9][0-9]{0,17})?,?){1,6}(?<!,)", sigma):
        return widths, polynomial(*map(Fraction, sigma.split(",")))
    expected = f"up to six coefficients, or one of {', '.join(ACTIVATIONS)}"
    raise InvalidInput(
        sentence(f"prove gradient {text[:60]}", expected, repr(sigma[:60]), "write it as in 2-2-1/1,0,3")
    )


def _check_typed(widths: tuple[int, ...], sigma: Any, of: str | None, formula: str) -> Verdict:
    who = "prove gradient --formula"
    if of is None:
        raise InvalidInput(sentence(who, "the derivative that it is", "none", "add --of dyL/dAl, say"))
    if isinstance(sigma, str):
        do = "leave the activation out: the exact check holds for every differentiable one"
        raise InvalidInput(sentence(who, "any sigma, or a polynomial", sigma, do))
    return check_typed(of, formula, widths, sigma, who)


def _check(widths: tuple[int, ...], sigma: Any, of: str | None) -> list[Verdict]:
    from mathdnn.backprop import FORMULAS, check_autograd, check_exact

    if of is not None and of not in FORMULAS:
        raise InvalidInput(sentence("prove gradient --of", f"one of {', '.join(FORMULAS)}", repr(of), "choose one"))
    if not isinstance(sigma, str):
        chosen = FORMULAS if of is None else {of: FORMULAS[of]}
        return list(check_exact(widths, sigma, formulas=chosen).values())
    who = f"prove gradient {'-'.join(map(str, widths))}/{sigma}"
    if of is not None:
        do = "leave the activation out: the exact check holds for every differentiable one"
        raise InvalidInput(sentence(who, "all derivatives together, with a named activation", f"--of {of}", do))
    weights = sum(a * (b + 1) for a, b in zip(widths[1:], widths[:-1], strict=True))
    if weights * widths[-1] > 1_000_000:
        expected, do = "Jacobians of at most 1,000,000 numbers", "take a smaller shape"
        raise InvalidInput(sentence(who, expected, f"{weights * widths[-1]:,}", do))
    return list(check_autograd(widths, sigma).values())


def _together(parts: list[Verdict], network: str, more: tuple[str, ...]) -> Verdict:
    """One verdict: the first part that fails, else the least certain, else all certificates."""
    import msgspec

    from mathdnn.homework.combine import all_of
    from mathdnn.verdict import Status

    claim = f"{len(parts)} closed forms of derivatives are right for {', '.join((network, *more))}"
    order = (Status.REFUTED, Status.CONTRADICTED, Status.UNDECIDED, Status.SUPPORTED, Status.PROVED)
    first = min(parts, key=lambda part: order.index(part.status))
    if len(parts) == 1 or first.status in order[:3]:
        return first
    if first.status is Status.PROVED:
        return all_of(claim, parts)
    worst = max((p for p in parts if p.status is Status.SUPPORTED), key=lambda p: getattr(p.evidence, "high", 0.0))
    return msgspec.structs.replace(worst, claim=f"{claim}; the worst: {worst.claim}")
