"""The dictionary's figures: patches beside each other on the page, and names with bars and shapes for print."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from timellm.plots.dictionary_print import DictionaryPicture, dictionary_figure
from timellm.plots.exporting import figure_bytes
from timellm.plots.patch_shapes import ShapesPicture, shapes_chart


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_every_patch_is_drawn_once_with_its_title_on_one_scale(count):
    values = tuple(np.sin(np.arange(8) + place) for place in range(count))
    figure = shapes_chart(ShapesPicture(values, tuple(("<b>load", str(place)) for place in range(count))))
    titles = [f"&lt;b&gt;load<br>{place}" for place in range(count)]
    assert [text.text for text in figure.layout.annotations] == titles
    for drawn, expected in zip(figure.data, values, strict=True):
        np.testing.assert_array_equal(drawn.y, expected)
    assert sum(axis.matches is None for axis in figure.select_yaxes()) == 1, "the others follow it"


def picture(count: int) -> DictionaryPicture:
    shapes = tuple(tuple(np.arange(6.0) * rank for rank in range(2)) for _ in range(count))
    labels = tuple(f"{place}: rise, <b>, growth" for place in range(count))
    return DictionaryPicture(labels, tuple(float(count - place) for place in range(count)), shapes)


def test_print_has_a_bar_for_each_prototype_from_the_top_and_a_line_at_an_even_share():
    figure = dictionary_figure(picture(5), title="Most attended")
    bars, *small = figure.axes
    assert [bar.get_width() for bar in bars.patches] == [5, 4, 3, 2, 1]
    low, high = bars.get_ylim()
    assert low > high, "the first prototype is on top"
    assert list(bars.lines[0].get_xdata()) == [1, 1]
    assert [len(axes.lines) for axes in small] == [2] * 5


@pytest.mark.parametrize("count", [1, 20])
def test_print_is_a_picture_of_readable_size_that_is_the_same_again(count):
    first, second = (figure_bytes(dictionary_figure(picture(count), title="Words"), "png") for _ in range(2))
    assert first == second
    assert imread(io.BytesIO(first)).shape[1] == 2000
    assert b"rise, &lt;b&gt;, growth" in figure_bytes(dictionary_figure(picture(count), title="Words"), "svg")
