"""The attention picture: its fixed scale, its columns in time, and its three drawings."""

import io
import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from timellm.plots.attention import AttentionPicture, Scale
from timellm.plots.attention_html import attention_html
from timellm.plots.attention_print import attention_figure
from timellm.plots.exporting import figure_bytes


@pytest.fixture
def picture():
    starts = np.arange(0, 96, 8)
    spans = np.stack([starts, np.minimum(starts + 16, 96)], axis=1)
    weights = np.random.default_rng(0).dirichlet(np.ones(5), size=len(starts)).astype("float32")
    window = pd.Series(np.sin(np.arange(96) / 4), index=pd.date_range("2024-01-01", periods=96, freq="h"), name="load")
    return AttentionPicture(weights, tuple(f"{i}: price, cost, pay" for i in range(5)), spans, window, Scale.of(200))


def test_patch_spans_its_rows_and_the_last_one_is_clipped_at_the_end_of_the_window(picture):
    assert picture.span(3) == (picture.window.index[24], picture.window.index[39])
    assert picture.span(11) == (picture.window.index[88], picture.window.index[95])


def test_patch_of_padding_alone_is_placed_at_the_end(picture):
    spans = np.vstack([picture.spans_P2[:-1], [[96, 96]]])
    padded = AttentionPicture(picture.weights_PV, picture.labels, spans, picture.window, picture.scale)
    assert padded.span(11) == (picture.window.index[95], picture.window.index[95])


def test_cells_lie_side_by_side_over_the_whole_window(picture):
    cells = [picture.cell(patch) for patch in range(12)]
    assert all(left[1] == right[0] for left, right in itertools.pairwise(cells))
    assert (cells[0][0], cells[-1][1]) == (picture.window.index[0], picture.window.index[-1])
    assert len(picture.edges()) == 13


def test_scale_depends_on_the_number_of_prototypes_alone():
    assert Scale.of(1000).limit == pytest.approx(0.08)
    assert Scale.of(1000).ends == ("0 %", "8 % or more")
    assert (Scale.of(1000).low, Scale.of(1000, deviation=True).low) == (0, -0.08)
    assert Scale.of(20).limit == 1  # nothing gets more than everything
    assert Scale.of(1000, deviation=True).ends[1] == "8 points above"


def test_even_attention_looks_even_in_print(picture):
    """The colours are not stretched to the values, so a difference of a hundredth of the even share is not seen."""
    flat = np.full((12, 5), 1 / 200) * np.linspace(0.99, 1.01, 5)
    even = AttentionPicture(flat, picture.labels, picture.spans_P2, picture.window, Scale.of(200))
    axis = attention_figure(even, title="load").axes[1]
    shades = axis.collections[0].to_rgba(flat.T)
    assert np.ptp(shades.reshape(-1, 4), axis=0).max() < 0.01
    shades = attention_figure(picture, title="load").axes[1].collections[0].to_rgba(picture.weights_PV.T)
    assert np.ptp(shades.reshape(-1, 4), axis=0).max() > 0.5


def test_attention_for_print_is_a_picture_of_readable_size(picture):
    plain, marked = (
        imread(io.BytesIO(figure_bytes(attention_figure(picture, title="load", patch=patch), "png")))
        for patch in (None, 3)
    )
    assert plain.shape == marked.shape
    assert plain.shape[1] >= 1200
    assert (plain != marked).any()


def test_print_of_a_thousand_prototypes_is_no_longer_than_a_page(picture):
    many = AttentionPicture(
        np.full((12, 1000), 0.001), tuple(map(str, range(1000))), picture.spans_P2, picture.window, Scale.of(1000)
    )
    figure = attention_figure(many, title="all")
    assert figure.get_size_inches()[1] < 24
    assert figure.axes[1].get_ylabel() == "1,000 prototypes"


@pytest.mark.parametrize(("format", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF-")])
def test_figure_is_written_in_each_format_and_equal_twice(picture, format, begins):
    first, second = (figure_bytes(attention_figure(picture, title="load of <b>"), format) for _ in range(2))
    assert first.startswith(begins) and first == second
    if format == "svg":
        assert b"load of &lt;b&gt;" in first  # as text, and never as markup


def test_page_holds_every_number_and_asks_nothing_of_a_network(picture):
    page = attention_html(picture, title="load, head 2")
    data = json.loads(re.search(r"^const D = (.*);$", page, re.MULTILINE).group(1))
    shares = np.array(data["cells"]) * data["unit"] / 100
    np.testing.assert_allclose(shares, picture.weights_PV, atol=picture.scale.limit / 10_000)
    np.testing.assert_allclose(data["values"], picture.window, rtol=1e-5, atol=1e-5)
    assert data["spans"] == picture.spans_P2.tolist() and data["labels"] == list(picture.labels)
    assert not re.search(r"https?:|src=|@import|url\(", page)
    assert len(page) < 30_000


def test_names_in_a_page_stay_text(picture):
    evil = "</script><script>alert(1)</script>"
    labels = (evil, *picture.labels[1:])
    window = picture.window.rename(evil)
    page = attention_html(
        AttentionPicture(picture.weights_PV, labels, picture.spans_P2, window, picture.scale), title=evil
    )
    assert page.count("<script>") == page.count("</script>") == 1
    assert evil not in page
