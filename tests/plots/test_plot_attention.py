"""The heatmap lines up with the series above it, on the page and in the PNG."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from timellm.plots.attention import AttentionPicture, attention_chart
from timellm.plots.attention_print import attention_figure
from timellm.plots.exporting import figure_bytes


@pytest.fixture
def picture():
    starts = np.arange(0, 96, 8)
    spans = np.stack([starts, np.minimum(starts + 16, 96)], axis=1)
    weights = np.random.default_rng(0).dirichlet(np.ones(5), size=len(starts)).astype("float32")
    window = pd.Series(np.sin(np.arange(96) / 4), index=pd.date_range("2024-01-01", periods=96, freq="h"), name="load")
    return AttentionPicture(weights, tuple(f"{i}: price, cost, pay" for i in range(5)), spans, window)


def test_attention_chart_draws_prototypes_as_rows_and_patches_in_time(picture):
    figure = attention_chart(picture, patch=3)
    heat = figure.data[1]
    assert np.asarray(heat.z).shape == (5, 12)
    assert list(heat.y) == list(picture.labels)
    assert len(heat.x) == 13  # edges, so that each column covers what is marked of it
    assert pd.Timestamp(heat.x[0]) == picture.window.index[0]
    assert picture.cell(1) == (heat.x[1], heat.x[2])


def test_attention_chart_marks_the_patch_on_the_series_and_its_column_in_the_heatmap(picture):
    above, below = attention_chart(picture, patch=3).layout.shapes
    assert (pd.Timestamp(above.x0), pd.Timestamp(above.x1)) == picture.span(3)
    assert (pd.Timestamp(below.x0), pd.Timestamp(below.x1)) == picture.cell(3)
    assert picture.span(3) == (picture.window.index[24], picture.window.index[39])


def test_cells_lie_side_by_side_over_the_whole_window(picture):
    cells = [picture.cell(patch) for patch in range(12)]
    assert all(left[1] == right[0] for left, right in itertools.pairwise(cells))
    assert (cells[0][0], cells[-1][1]) == (picture.window.index[0], picture.window.index[-1])


def test_attention_chart_clips_the_last_patch_at_the_end_of_the_window(picture):
    assert picture.span(11) == (picture.window.index[88], picture.window.index[95])


def test_attention_for_print_is_a_picture_of_readable_size(picture):
    plain, marked = (
        imread(io.BytesIO(figure_bytes(attention_figure(picture, title="load", patch=patch), "png")))
        for patch in (None, 3)
    )
    assert plain.shape == marked.shape
    assert plain.shape[1] >= 1200
    assert (plain != marked).any()


@pytest.mark.parametrize(("format", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF-")])
def test_figure_is_written_in_each_format_and_equal_twice(picture, format, begins):
    first, second = (figure_bytes(attention_figure(picture, title="load of <b>"), format) for _ in range(2))
    assert first.startswith(begins) and first == second
    if format == "svg":
        assert b"load of &lt;b&gt;" in first  # as text, and never as markup
