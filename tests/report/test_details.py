"""Small things a reader sees: indices, powers, ticks, colours."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from tests.report.example import document

from mathdnn.errors import InvalidInput
from mathdnn.report.document import Images, Tile, check_results
from mathdnn.report.figures import power_of_ten
from mathdnn.report.pixels import show
from mathdnn.report.words import duration, maths


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("dy_L/dy_{l-1} = A_l", "dy<sub>L</sub>/dy<sub>l-1</sub> = A<sub>l</sub>"),
        ("σ'(A_l y_{l-1})", "σ&#39;(A<sub>l</sub> y<sub>l-1</sub>)"),
        ("2 s^2 (1 - s)^3 e^-z", "2 s<sup>2</sup> (1 - s)<sup>3</sup> e<sup>-z</sup>"),
        ("sigma_prime of max_pool2d", "sigma_prime of max_pool2d"),
        ("for 2-3-2-1, not 2-1", 'for <span class="nowrap">2-3-2-1</span>, not 2-1'),
        ("98.6 % in 3 s, 3 seeds", "98.6\N{NO-BREAK SPACE}% in 3\N{NO-BREAK SPACE}s, 3 seeds"),
        ("a_{<b>} & <script>", "a<sub>&lt;b&gt;</sub> &amp; &lt;script&gt;"),
    ],
)
def test_indices_and_powers_are_set_as_such_and_nothing_else_becomes_html(text, html):
    assert str(maths(text)) == html


def test_ticks_of_a_logarithmic_axis_are_text():
    assert [power_of_ten(value) for value in (1e-10, 0.1, 1, 1000, 1e5, 20)] == [
        "10⁻¹⁰",
        "0.1",
        "1",
        "1000",
        "10⁵",
        "20",
    ]


def test_a_light_tile_is_shown_as_a_screen_shows_it_and_colour_keeps_its_channels():
    grey = Tile("grey", ((0.0, 1.0),), light=True)
    colour = Tile("colour", ((1.0, 0.0, 0.0, 0.0, 0.0, 1.0),), colour=True)
    shown = show(Images((grey, colour)))
    pixels = [np.array(Image.open(io.BytesIO(base64.b64decode(item.uri.split(",")[1])))).tolist() for item in shown]
    assert pixels == [[[[0, 0, 0], [255, 255, 255]]], [[[255, 0, 0], [0, 0, 255]]]]
    assert all(item.light for item in shown)


def test_colour_needs_three_values_a_pixel():
    results = document()
    tile = {"title": "X", "pixels": [[1.0, 0.0]], "colour": True}
    results["claims"][0]["pictures"] = [
        {"kind": "images", "caption": "", "data": {"images": [tile], "columns": 1}},
    ]
    with pytest.raises(InvalidInput, match="pixels in colour must be rows of red, green, blue"):
        check_results(results)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0004, "under 1 ms"), (0.25, "250 ms"), (0.9997, "1.0 s"), (59.96, "1 min 0 s"), (119.7, "2 min 0 s")],
)
def test_seconds_are_rounded_before_they_are_split(seconds, words):
    assert duration(seconds) == words
