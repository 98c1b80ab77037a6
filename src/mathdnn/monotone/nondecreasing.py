"""Is an implementation of an elementwise function nondecreasing over the ordered floats? Decided by looking at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from mathdnn.errors import InvalidInput, sentence
from mathdnn.monotone import cache as store
from mathdnn.monotone.floats import Format, bits_at, float_format, is_nan, place_of, text, value_at, values_of
from mathdnn.monotone.found import Fall, Scan, Span
from mathdnn.monotone.functions import Elementwise, elementwise
from mathdnn.monotone.guard import LONGEST, require_options, require_time_limit
from mathdnn.monotone.mode import require_mode
from mathdnn.monotone.position import WHOLE_VECTORS, Positions, positions
from mathdnn.monotone.scan import Progress, pair_outputs, scan
from mathdnn.monotone.seal import sealed
from mathdnn.verdict import (
    Assumption,
    Certificate,
    Counterexample,
    Plain,
    Verdict,
    pack_array,
    proved,
    refuted,
    undecided,
)

KIND = "scan of every float"


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that was found about one function in one format."""

    scan: Scan
    positions: Positions
    nan_kept: int
    zeros: tuple[int, int]
    kept: bool = False  # by an earlier run


def is_nondecreasing(
    f: Any,
    dtype: Any = "float32",
    *,
    stop_at_first: bool = False,
    progress: Progress | None = None,
    cache: str | Path | bool | None = None,
    threads: int | None = None,
    time_limit: float | None = LONGEST,
) -> Verdict:
    """Whether f's vector body is nondecreasing over every value of the format, infinities included, NaN apart.

    `f` is an elementwise torch or NumPy callable, or a name ("torch.tanh", "numpy.tanh", "onnx:Tanh"); `dtype` is
    float16, bfloat16 (not NumPy) or float32. `stop_at_first` ends soon after a fall is found; without it the counts
    are complete. `progress(done, total)` is called with values scanned. `cache` is a folder, True for the user's own
    cache folder, or None; only scans of float32 are kept. `time_limit`: seconds that a call of one's own function may
    take (of at most 2^19 values), or None. Refuted: the first pair of neighbours on which f falls, with the
    regions where it does not.

    Raises `InvalidInput` for what cannot be scanned. Source: homework 4, problem 4; see `mathdnn.monotone.scan`.
    """
    form = float_format(dtype, "is_nondecreasing(dtype=...)")
    require_time_limit(time_limit, "is_nondecreasing(time_limit=...)")
    require_options("is_nondecreasing", progress=progress, cache=cache, threads=threads)
    function = elementwise(f, form, "is_nondecreasing(f=...)", time_limit=time_limit)
    facts = gather(function, stop_at_first=stop_at_first, progress=progress, cache=cache, threads=threads)
    return sealed(_decide(function, facts))


def _decide(f: Elementwise, facts: Facts) -> Verdict:
    if facts.scan.decreasing:
        return refuted(claim_of(f), _falls(f, facts))
    if facts.scan.nan_outputs:
        return refuted(claim_of(f), _nan(f, facts))
    if facts.positions.differing and facts.positions.layout in WHOLE_VECTORS:
        return undecided(claim_of(f), *looks_around(f, facts))
    return proved(claim_of(f), certificate(f, facts), assumptions=assumptions_of(f, facts))


def looks_around(f: Elementwise, facts: Facts) -> tuple[str, str]:
    """Why nothing is proved of a function whose outputs differ where the layout is all vector body, and what would."""
    why = f"{position_sentence(facts.positions, f.form)}, which is all vector body to an elementwise function"
    return why, "a function that looks at each value alone"


def gather(
    f: Elementwise,
    positions_found: Positions | None = None,
    *,
    stop_at_first: bool = False,
    progress: Progress | None = None,
    cache: str | Path | bool | None = None,
    threads: int | None = None,
) -> Facts:
    """The scan, from the cache where it is there and still true of what f gives, and what goes with it."""
    require_mode()
    found = store.load(f, cache)
    kept = found is not None
    if found is None:
        found = scan(f, stop_at_first=stop_at_first, progress=progress, threads=threads)
        if not f.known:
            _require_again(f, found)
        store.save(f, found, cache)
    facts = Facts(found, positions_found or positions(f, threads=threads), nan_kept(f), zero_outputs(f), kept)
    require_mode()  # f may have changed it
    return facts


def _require_again(f: Elementwise, found: Scan) -> None:
    """Raise `InvalidInput` unless one's own function falls, or is NaN, there again: a random one does so elsewhere."""
    fall, nan = found.first_fall, found.first_nan
    other = [] if fall is None or pair_outputs(f, fall.place) == (fall.before, fall.after) else [fall.place]
    if nan is not None and not is_nan(np.array(pair_outputs(f, nan)[:1], f.form.integer), f.form)[0]:
        other.append(nan)
    if other:
        at = text(int(bits_at(np.array(other[:1]), f.form)[0]), f.form)
        got = f"{f.name} with two outputs at {at} or the next {f.form.name}"
        do = "give an elementwise function of one format"
        raise InvalidInput(sentence("is_nondecreasing(f=...)", "the same output twice", got, do))


def nan_kept(f: Elementwise) -> int:
    """How many of the format's NaN come out as NaN."""
    form, kept = f.form, 0
    for sign in (0, -form.magnitude - 1):
        for start in range(form.infinity + 1, form.magnitude + 1, 1 << 17):
            stop = min(start + (1 << 17), form.magnitude + 1)
            bits = (np.arange(start, stop, dtype=np.int64) | sign).astype(form.integer)
            kept += int(is_nan(f.on_bits(bits), form).sum())
    return kept


def zero_outputs(f: Elementwise) -> tuple[int, int]:
    """The output bits at -0.0 and at +0.0, both in the vector body."""
    return pair_outputs(f, -1)


def claim_of(f: Elementwise) -> str:
    return (
        f"{f.name} ({f.library} {f.version}, {f.instruction_set}, vector body) "
        f"is nondecreasing over every {f.form.name} from -inf to inf"
    )


def certificate(f: Elementwise, facts: Facts) -> Certificate:
    """The certificate of a complete scan that found nothing; `mathdnn.verify` repeats it with code of its own."""
    found = facts.scan
    method = (
        f"all {found.values:,} values of {f.form.name} that are not NaN were evaluated in order and each of the "
        f"{found.values - 1:,} pairs of neighbours was compared: none falls"
    )
    data = {
        "function": f.name,
        "known": f.known,
        "library": f.library,
        "version": f.version,
        "instruction_set": f.instruction_set,
        "path": "vector body",
        "dtype": f.form.name,
        "values": found.values,
        "decreasing": found.decreasing,
        "nan_outputs": found.nan_outputs,
        "chunk": found.chunk,
        "digest": found.digest,
        **sentences(f, facts),
    }
    return Certificate(KIND, method, data)


def sentences(f: Elementwise, facts: Facts) -> dict[str, Plain]:
    """What holds beside the scan, as sentences with their numbers: the zeros, NaN, positions in a tensor."""
    minus, plus = facts.zeros
    return {
        "at_zero": f"f(-0.0) is {text(minus, f.form)} and f(+0.0) is {text(plus, f.form)}",
        "on_nan": f"{facts.nan_kept:,} of the {f.form.nans:,} NaN give NaN",
        "positions": position_sentence(facts.positions, f.form),
        "positions_compared": facts.positions.compared,
        "positions_differing": facts.positions.differing,
        "positions_complete": facts.positions.complete,
    }


def position_sentence(found: Positions, form: Format) -> str:
    how_many = f"all {found.compared:,} values" if found.complete else f"a sample of {found.compared:,} values"
    if not found.differing:
        ends = ", at the ends of tensors on some of them" if found.complete else ""
        return f"the same bits in the vector body and in the other layouts, on {how_many}{ends}"
    assert found.place is not None
    assert found.body is not None
    assert found.other is not None
    at = text(int(bits_at(np.array([found.place]), form)[0]), form)
    return (
        f"other bits in the {found.layout} than in the vector body for {found.differing:,} of {how_many}: "
        f"f({at}) is {text(found.body, form)} in the body and {text(found.other, form)} in the {found.layout}"
    )


def assumptions_of(f: Elementwise, facts: Facts) -> tuple[Assumption, ...]:
    probed = Assumption(
        f"{f.name} is elementwise and repeats itself", "probed on 128 values; the scan took each value once"
    )
    mode = Assumption(
        "the processor rounds to nearest and keeps subnormals",
        "seen in each thread that compared outputs, at every chunk",
    )
    place = Assumption(
        "this is about the vector body of one contiguous tensor", position_sentence(facts.positions, f.form)
    )
    if not facts.kept:
        return probed, mode, place
    whole = "its file is this user's own; both ends of every chunk and a sample of whole chunks were evaluated again"
    return Assumption("the scan that an earlier run kept is this function's", whole), probed, mode, place


def _falls(f: Elementwise, facts: Facts) -> Counterexample:
    fall = facts.scan.first_fall
    assert fall is not None
    low, high = (int(b) for b in bits_at(np.array([fall.place, fall.place + 1]), f.form))
    count = f"{facts.scan.decreasing:,} of {facts.scan.values - 1:,} pairs of neighbours"
    seen = "fall" if facts.scan.complete else "fall among those looked at before stopping"
    statement = (
        f"f({text(low, f.form)}) = {text(fall.before, f.form)} but f({text(high, f.form)}) = "
        f"{text(fall.after, f.form)}; {count} {seen}, the worst by {facts.scan.worst_ulps:,} units in the last place"
    )
    return Counterexample(
        statement,
        pack_bits([low, high], f.form),
        "f(x) <= f(x') for the neighbours x < x'",
        pack_bits([fall.before, fall.after], f.form),
        scan_data(f, facts),
    )


def _nan(f: Elementwise, facts: Facts) -> Counterexample:
    assert facts.scan.first_nan is not None
    bits = int(bits_at(np.array([facts.scan.first_nan]), f.form)[0])
    statement = (
        f"f({text(bits, f.form)}) is NaN, which is not ordered; {facts.scan.nan_outputs:,} of "
        f"{facts.scan.values:,} values give NaN, and no pair of neighbours falls"
    )
    return Counterexample(statement, pack_bits([bits], f.form), "a number", "NaN", scan_data(f, facts))


def scan_data(f: Elementwise, facts: Facts) -> dict[str, Plain]:
    """Counts, the worst fall, and the regions where f is nondecreasing, as plain data."""
    found = facts.scan
    return {
        "kind": "a fall",
        "function": f.name,
        "library": f.library,
        "version": f.version,
        "instruction_set": f.instruction_set,
        "path": "vector body",
        "dtype": f.form.name,
        "complete": found.complete,
        "values": found.values,
        "decreasing": found.decreasing,
        "nan_outputs": found.nan_outputs,
        "worst_ulps": found.worst_ulps,
        "worst": None if found.worst_fall is None else _fall_text(found.worst_fall, f.form),
        "regions": [region_text(span, f.form) for span in found.spans] if found.complete else [],
        **({"kept": "the counts are those of a scan that an earlier run kept"} if facts.kept else {}),
        **sentences(f, facts),
    }


def _fall_text(fall: Fall, form: Format) -> str:
    low, high = (int(b) for b in bits_at(np.array([fall.place, fall.place + 1]), form))
    return f"f({text(low, form)}) = {text(fall.before, form)}, f({text(high, form)}) = {text(fall.after, form)}"


def region_text(span: Span, form: Format) -> str:
    """`nondecreasing on [a, b]`, with the number of floats in it."""
    digits = {"float32": 9, "float16": 5, "bfloat16": 4}[form.name]
    low, high = value_at(span.first, form), value_at(span.last, form)
    return f"nondecreasing on [{low:.{digits}g}, {high:.{digits}g}], {span.last - span.first + 1:,} values"


def pack_bits(bits: Any, form: Format) -> dict[str, Plain]:
    """Values given by their bits, as plain data (bfloat16 as the float32 of the same value)."""
    array = np.asarray(bits).astype(form.integer)
    return pack_array(array.view(np.float16) if form.name == "float16" else values_of(array, form))


def ulps_between(one: int, other: int, form: Format) -> int:
    """The distance of two values in units in the last place."""
    a, b = place_of(np.array([one, other], form.integer), form)
    return int(abs(a - b))
