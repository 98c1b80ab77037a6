"""Rules on intervals for linear systems, around a solution in floats.

With R near the inverse of A, I - R A = E of norm e < 1, and any X0, the solution X of A X = B differs from X0 by
(I - E)^-1 R (B - A X0), which is at most |R (B - A X0)| / (1 - e) in the maximum norm of a column (Rump 2010, section
10).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mathdnn.verify.enclosing import intervals as iv
from mathdnn.verify.enclosing.intervals import LOST, Interval, widened
from mathdnn.verify.running import Open

if TYPE_CHECKING:
    from mathdnn.verify.enclosing.run import Enclosing


def _matmul(a: Interval, b: Interval) -> Interval:
    (x, far), (y, away) = a.middle(), b.middle()
    most = (x.abs() + far) @ (y.abs() + away)
    return iv.around(x @ y, most - x.abs() @ y.abs() + LOST * (64 + x.shape[-1]) * most)


def _solution(a: Interval, b: Interval) -> Interval:
    """Unknown where A may be singular, or nearly."""
    middle = a.middle()[0]
    near = torch.linalg.inv_ex(middle).inverse
    start = near @ b.middle()[0]
    one = torch.eye(middle.shape[-1], dtype=middle.dtype)
    inverse, found, unit = (Interval(point, point) for point in (near, start, one))
    rest = iv.add(unit, iv.minus(_matmul(inverse, a)))
    off = rest.low.abs().maximum(rest.high.abs()).sum(-1).amax(-1)[..., None, None]
    missed = _matmul(inverse, iv.add(b, iv.minus(_matmul(a, found))))
    most = missed.low.abs().maximum(missed.high.abs()).amax(-2, keepdim=True)
    radius = torch.where(off < 0.5, most / (1 - off) * (1 + LOST), torch.inf)
    return widened(start - radius, start + radius)


def _solve(m: Enclosing) -> list[Interval | None]:
    a, b = m.first(), m.second()
    if not m.node["kwargs"].get("left", True):
        raise Open("no bounds over the reals are known for a system from the right")
    vector = b.low.dim() == 1 or (b.low.dim() == a.low.dim() - 1 and b.low.shape == a.low.shape[:-1])
    made = _solution(a, Interval(*(end[..., None] for end in b)) if vector else b)
    return [Interval(*(end[..., 0] for end in made)) if vector else made, None, None, None]


def _invert(m: Enclosing) -> list[Interval | None]:
    a = m.first()
    one = torch.eye(a.low.shape[-1], dtype=a.low.dtype)
    return [_solution(a, Interval(one, one)), None]


RULES: dict[str, Callable[[Enclosing], Any]] = {"_linalg_solve_ex": _solve, "linalg_inv_ex": _invert}
