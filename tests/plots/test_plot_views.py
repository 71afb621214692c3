"""Figures of the Attention page's views over many windows: they show the numbers that they are given."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from timellm.plots.attention_history import HistoryPicture, history_chart, history_figure
from timellm.plots.differences import CHANCE, SURE, DifferencesPicture, differences_chart, differences_figure
from timellm.plots.exporting import figure_bytes
from timellm.plots.heads import HeadsPicture, alike_chart, effective_chart, heads_chart, heads_figure
from timellm.plots.linear_map import linear_chart, linear_figure, thinned
from timellm.plots.marked_patch import marked_patch_chart
from timellm.plots.pairs import PairsPicture, pairs_chart, pairs_figure


def heads_picture(heads: int) -> HeadsPicture:
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.ones(4), size=(heads, 6))
    labels = tuple(f"{i}: price, cost, pay" for i in (4, 9, 1, 7))
    return HeadsPicture(weights, labels, random.uniform(1, 4, (heads, 6)), np.eye(heads) * 0.7 + 0.3)


@pytest.fixture
def bars():
    half = np.array([0.01, 0.01, 0.05])
    difference, sure = np.array([0.04, -0.03, 0.02]), np.array([True, True, False])
    return DifferencesPicture(("1: a", "2: b", "3: c"), difference, half, sure, np.full(3, 0.1))


@pytest.mark.parametrize("heads", [1, 3, 8])
def test_every_head_has_a_heatmap_on_one_scale(heads):
    picture = heads_picture(heads)
    figure = heads_chart(picture)
    assert len(figure.data) == heads
    assert all(one.coloraxis == "coloraxis" for one in figure.data)
    np.testing.assert_array_equal(figure.data[-1].z, picture.weights_hPK[-1].T)
    assert list(figure.data[0].y) == ["4", "9", "1", "7"]
    assert [one.text for one in figure.layout.annotations] == picture.heads


def test_cosines_are_written_on_cells_while_there_is_room():
    picture = heads_picture(3)
    (heat,) = alike_chart(picture).data
    np.testing.assert_array_equal(heat.z, picture.alike_hh)
    assert heat.texttemplate == "%{z:.2f}" and (heat.zmin, heat.zmax) == (0, 1)
    assert alike_chart(heads_picture(20)).data[0].texttemplate is None


def test_effective_numbers_are_drawn_by_head_and_patch():
    picture = heads_picture(3)
    (heat,) = effective_chart(picture).data
    np.testing.assert_array_equal(heat.z, picture.effective_hP)
    assert list(heat.x) == [1, 2, 3, 4, 5, 6]


def test_sure_differences_and_those_that_may_be_chance_are_told_apart(bars):
    sure, chance = differences_chart(bars).data
    assert (sure.name, list(sure.y), list(sure.x)) == (SURE, ["1: a", "2: b"], [0.04, -0.03])
    assert (chance.name, list(chance.error_x.array)) == (CHANCE, [0.05])
    assert sure.marker.pattern.shape != chance.marker.pattern.shape  # not by colour alone


def test_no_interval_is_drawn_where_there_is_none(bars):
    unknown = DifferencesPicture(bars.labels, bars.difference, np.full(3, np.nan), np.zeros(3, bool), bars.all)
    (chance,) = differences_chart(unknown).data
    assert chance.name == CHANCE and chance.error_x.array is None


def test_marked_patch_is_shaded_over_its_rows():
    window = pd.Series(np.arange(48.0), index=pd.date_range("2024-01-01", periods=48, freq="h"))
    figure = marked_patch_chart(window, first=6, end=18)
    (shade,) = figure.layout.shapes
    assert (pd.Timestamp(shade.x0), pd.Timestamp(shade.x1)) == (window.index[6], window.index[17])
    assert figure.layout.dragmode == "select"


def test_pairs_name_the_most_attended_and_draw_all():
    first, second = np.linspace(0.01, 0.1, 10), np.full(10, 0.05)
    second[0] = 0.5
    picture = PairsPicture(("load", "price"), tuple(f"{i}: word, other" for i in range(10)), first, second)
    (points,) = pairs_chart(picture).data
    named = np.flatnonzero([bool(text) for text in points.text])
    assert len(points.x) == 10 and points.text[0] == "0: word" and {0, 9} <= set(named)
    alone = named[1:]  # all at one height: their names would lie over each other if they were nearer
    assert len(alone) >= 2 and (np.diff(first[alone]) >= 0.3 * first.max() - 1e-9).all()


def test_pairs_name_no_more_than_six():
    spread = np.linspace(0, 1, 20)
    (points,) = pairs_chart(PairsPicture(("load", "price"), ("1: word",) * 20, spread, spread)).data
    assert [bool(text) for text in points.text].count(True) == 6 and points.text[19]


def test_weights_are_drawn_by_row_and_step_around_zero():
    weights = np.zeros((48, 12))
    weights[-1, 0] = -2.0
    (heat,) = linear_chart(weights).data
    assert list(heat.x) == list(range(-48, 0)) and list(heat.y) == list(range(1, 13))
    assert heat.z[0][-1] == -2 and (heat.zmin, heat.zmax) == (-2, 2)


def test_too_many_weights_are_averaged_from_the_last_row_back():
    weights = np.arange(10.0)[:, None] * np.ones((1, 5))
    shown, each_row, each_step = thinned(weights, rows=4, steps=3)
    assert (each_row, each_step) == (3, 2) and shown.shape == (4, 3)
    np.testing.assert_allclose(shown[:, 0], [0, 2, 5, 8])
    figure = linear_chart(np.ones((1000, 300)))
    assert np.asarray(figure.data[0].z).shape == (100, 334)
    assert figure.data[0].x[-1] == -2 and figure.data[0].y[0] == 2


@pytest.fixture
def history():
    lines = np.array([[5.0, np.nan], [4, 2], [3, 2]])
    return HistoryPicture(np.array([0, 10, 20]), lines, ("Head 1", "Head 2"), 10, "prototypes", ".0f")


def test_history_marks_the_step_that_was_kept_and_leaves_gaps(history):
    figure = history_chart(history)
    assert [line.name for line in figure.data] == ["Head 1", "Head 2"]
    assert np.isnan(figure.data[1].y[0]) and figure.data[1].connectgaps is False
    assert figure.layout.shapes[0].x0 == 10 and figure.layout.annotations[0].text == "kept"


def test_every_figure_for_print_is_a_picture_of_readable_size(bars, history):
    pairs = PairsPicture(("a", "b"), ("1: x", "2: y"), np.array([0.1, 0.2]), np.array([0.2, 0.1]))
    figures = [
        heads_figure(heads_picture(1), title="one"),
        heads_figure(heads_picture(6), title="six"),
        differences_figure(bars, title="bars"),
        pairs_figure(pairs, title="pairs"),
        linear_figure(np.ones((48, 12)), title="weights"),
        history_figure((history, history), title="history"),
    ]
    for figure in figures:
        picture = imread(io.BytesIO(figure_bytes(figure, "png")))
        assert picture.shape[1] >= 1200 and picture[..., :3].std() > 0
