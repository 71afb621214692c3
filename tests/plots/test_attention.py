"""The heatmap lines up with the series above it, on the page and in the PNG."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from timellm.plots.attention import AttentionPicture, attention_chart
from timellm.plots.attention_png import attention_png


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
    assert pd.Timestamp(heat.x[0]) == picture.window.index[0] + pd.Timedelta(hours=7.5)


def test_attention_chart_shades_the_chosen_patch_in_both_panels(picture):
    shapes = attention_chart(picture, patch=3).layout.shapes
    assert len(shapes) == 2
    for shape in shapes:
        assert (pd.Timestamp(shape.x0), pd.Timestamp(shape.x1)) == picture.span(3)
    assert picture.span(3) == (picture.window.index[24], picture.window.index[39])


def test_attention_chart_clips_the_last_patch_at_the_end_of_the_window(picture):
    assert picture.span(11) == (picture.window.index[88], picture.window.index[95])


def test_attention_png_is_a_picture_of_readable_size(picture):
    plain = imread(io.BytesIO(attention_png(picture, title="load")))
    marked = imread(io.BytesIO(attention_png(picture, title="load", patch=3)))
    assert plain.shape == marked.shape
    assert plain.shape[1] >= 1200
    assert (plain != marked).any()
