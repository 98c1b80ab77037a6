"""`mathdnn grade conv`: a kernel that was handed in, right with a certificate or wrong with the image that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mathdnn.cli.answer import marked
from mathdnn.cli.named import foreign, load_operation, require_apart, require_place, require_time_limit, sizes
from mathdnn.cli.output import Flag, Json, MaybeNamed, Whole
from mathdnn.cli.weights import is_typed, read_list, read_numbers
from mathdnn.errors import InvalidInput, sentence

if TYPE_CHECKING:
    from mathdnn.verdict import Verdict

EXAMPLES = """Examples:

mathdnn grade conv --target finite-difference --weight kernel.npy --padding 1
mathdnn grade conv --target filters:blur --weight "[[1/4, 1/2, 1/4]]"
mathdnn grade conv --target upsample-nearest-2 --transposed \\
    --stride 2 --weight "[[1, 1], [1, 1]]"

FILE is NPY (no pickles) or JSON; typed numbers may be fractions."""

WIDEST = 256  # of stride, padding and dilation


def conv(
    *,
    target: str,
    weight: Annotated[str, Parameter(allow_leading_hyphen=True)],
    bias: str | None = None,
    stride: str = "1",
    padding: str = "0",
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
    dilation: str = "1",
    groups: Whole = 1,
    transposed: Flag = False,
    output_padding: str = "0",
    shape: str | None = None,
    time_limit: float = 60.0,
    json: Json = False,
    save: MaybeNamed = None,
) -> int:
    """Does a convolution compute what it should?

    Parameters
    ----------
    target
        A name from the catalogue (a wrong one lists them), or MODULE:NAME.
    weight
        FILE or typed: (out, in / groups, h, w), (out, h, w) or (h, w).
        Transposed: (in, out / groups, h, w), (out, h, w) or (h, w).
    bias
        FILE or typed, one number for each output channel.
    stride
        One number, or height,width.
    padding
        One number, height,width, or top,bottom,left,right.
    padding_mode
        What lies outside of the image.
    dilation
        One number, or height,width.
    groups
        Of channels.
    transposed
        The kernel is put down at every pixel, as ConvTranspose2d does.
    output_padding
        Rows and columns more, if transposed: one number, or height,width.
    shape
        Of the images. [default: channels x 7 x 8]
    time_limit
        Seconds for each call of a target of yours.
    json
        Print the verdict as one JSON document.
    save
        File for the verdict, for mathdnn verify.
    """
    require_time_limit(time_limit, "grade conv --time-limit")
    require_place(save, "grade conv --save")
    for name, text in (("--weight", weight), ("--bias", bias or "[]")):
        require_apart(save, None if is_typed(text) else Path(text), "grade conv --save", name)
    more = _geometry(output_padding, "output-padding", (1, 2))
    if not transposed and more not in (0, (0, 0)):
        who, expected = "grade conv --output-padding", "none for a convolution that is not transposed"
        raise InvalidInput(sentence(who, expected, output_padding, "add --transposed, or leave it out"))
    layer: dict[str, Any] = {
        "bias": None if bias is None else read_list(bias, "grade conv --bias"),
        "stride": _geometry(stride, "stride", (1, 2)),
        "padding": _geometry(padding, "padding", (1, 2, 4)),
        "padding_mode": padding_mode,
        "dilation": _geometry(dilation, "dilation", (1, 2)),
        "groups": groups,
        "transposed": transposed,
        "output_padding": more,
        "input_shape": None if shape is None else _image(shape),
        "seconds": time_limit,
        "name": target,
    }
    numbers = read_numbers(weight, "grade conv --weight")
    goal = load_operation(target, f"grade conv --target {target}") if ":" in target else target
    with foreign(f"grade conv --target {target}"):
        verdict = _grade(numbers, goal, layer)
    return marked(verdict, json=json, save=save)


def _geometry(text: str, name: str, lengths: tuple[int, ...]) -> Any:
    who = f"grade conv --{name}"
    found = sizes(text, who, "1 or 1,2")
    if len(found) not in lengths or max(found) > WIDEST:
        expected = f"{' or '.join(map(str, lengths))} numbers up to {WIDEST}"
        raise InvalidInput(sentence(who, expected, repr(text[:60]), "write them with commas"))
    if len(found) == 4:
        return found[:2], found[2:]
    return found[0] if len(found) == 1 else found


def _image(text: str) -> tuple[int, ...]:
    found = sizes(text, "grade conv --shape", "1,7,8")
    if len(found) != 3:
        raise InvalidInput(sentence("grade conv --shape", "channels, height, width", repr(text[:60]), "give three"))
    return found


def _grade(numbers: Any, goal: Any, layer: dict[str, Any]) -> Verdict:
    """The exact verdict; where that is no, and every weight is the float next to the right one, the proof of that."""
    from mathdnn.convolution import grade as grade_kernel
    from mathdnn.convolution.catalogue import CATALOGUE

    verdict = grade_kernel(numbers, goal, **layer)
    if verdict.status.value != "refuted" or not isinstance(goal, str):
        return verdict
    form, floats = CATALOGUE[goal](), _floats(numbers)
    for dtype in ("float64", "float32", "float16"):
        if form.is_exact_in(dtype):
            continue
        near = grade_kernel(floats, form.rounded(dtype), **layer)
        if near.status.value == "proved":
            return _rounded(near, verdict.claim, dtype)
    return verdict


def _rounded(near: Verdict, claim: str, dtype: str) -> Verdict:
    """The proof for the rounded target, which says so and is sealed anew."""
    from mathdnn.convolution.certificate import certified
    from mathdnn.verdict import Certificate

    evidence = near.evidence
    assert isinstance(evidence, Certificate)
    data = {key: value for key, value in evidence.data.items() if key != "seal"}
    words = f"{claim}, every weight the nearest {dtype}"
    return certified(words, evidence.method, data, equality=near.equality, assumptions=near.assumptions)


def _floats(numbers: Any) -> Any:
    return [_floats(part) for part in numbers] if isinstance(numbers, list) else float(numbers)
