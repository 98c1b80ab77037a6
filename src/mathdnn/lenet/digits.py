"""The output codes of LeNet-5: ten digits drawn in 7 x 12 pixels, # for +1 and . for -1.

Drawn after Fig. 3 of LeCun, Bottou, Bengio, Haffner (1998), which shows stylised characters and prints no numbers: the
shapes follow the figure, single pixels are this drawing's own. Any two codes differ in at least 11 of 84 pixels.
"""

from __future__ import annotations

WIDTH, HEIGHT = 7, 12

_ROWS = """
..###.. ...#... .#####. #####.. .....#. ####### ..####. ####### .#####. .#####.
.#...#. ..##... #.....# .....#. ....##. #...... .#..... ......# #.....# #.....#
#.....# .###... ......# ......# ...#.#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... .....#. .....#. .#...#. #.####. #.###.. ....#.. .#...#. #....##
#.....# ...#... ....#.. ..###.. #....#. ##....# ##...#. ....#.. ..###.. .####.#
#.....# ...#... ...#... .....#. ####### ......# #.....# ...#... .#...#. ......#
#.....# ...#... ..#.... ......# .....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ..#.... #.....# ......#
#.....# ...#... #...... ......# .....#. #.....# #.....# ..#.... #.....# .....#.
.#...#. ...#... #...... .....#. .....#. .#...#. .#...#. .#..... #.....# ....#..
..###.. .#####. ####### #####.. .....#. ..###.. ..###.. .#..... .#####. .###...
"""


def digit_codes() -> tuple[tuple[float, ...], ...]:
    """Ten codes of 84 numbers, +1 for ink and -1 for paper, row by row from the top left."""
    rows = [line.split() for line in _ROWS.strip().splitlines()]
    return tuple(tuple(1.0 if pixel == "#" else -1.0 for row in rows for pixel in row[digit]) for digit in range(10))
