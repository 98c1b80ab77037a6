"""The processor's mode, in which floats are compared: a thread takes over the mode of the one that starts it.

Legend: s the smallest normal float32, e = 2^-24, half a unit in the last place of 1.

    s / 2 > 0                          a subnormal is neither made zero as a result nor taken for zero as an operand
    1 + e = 1 and 1 + 1.5 e = 1 + 2 e  rounding is to nearest, ties to even
"""

from __future__ import annotations

import numpy as np

from mathdnn.errors import InvalidInput, sentence

_SMALLEST, _HALF = np.float32(2.0**-126), np.float32(0.5)
_SUBNORMAL, _ZERO = np.array([1], np.int32).view(np.float32), np.zeros(1, np.float32)
_ONE, _TIE, _ABOVE, _NEXT = (np.float32(x) for x in (1.0, 2.0**-24, 1.5 * 2.0**-24, 1 + 2.0**-23))


def require_mode(who: str = "a scan of every float") -> None:
    """Raise `InvalidInput` unless this thread keeps subnormals and rounds to nearest."""
    kept = (_SMALLEST * _HALF).view(np.int32) != 0 and _SUBNORMAL[0] > _ZERO[0]
    if not kept:
        do = "call torch.set_flush_denormal(False) first"
        raise InvalidInput(sentence(who, "a processor that keeps subnormals", "one set to take them for zero", do))
    if not (_ONE + _TIE == _ONE and _ONE + _ABOVE == _NEXT):
        do = "restore the processor's rounding mode first"
        raise InvalidInput(sentence(who, "a processor that rounds to nearest", "one set otherwise", do))
