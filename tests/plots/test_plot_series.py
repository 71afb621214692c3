"""Thinning keeps what matters; gaps and splits are marked where they are."""

import numpy as np
import pandas as pd
import pytest

from timellm.plots.series import Stretch, all_channels, gaps, one_channel, shorten, split_strip, thin, thinning_note


def hourly(values, name="load"):
    return pd.Series(values, index=pd.date_range("2024-01-01", periods=len(values), freq="h", name="ds"), name=name)


def test_thin_keeps_every_row_of_a_short_series():
    assert thin(np.zeros(2000)).tolist() == list(range(2000))


def test_thin_keeps_both_ends_and_a_lone_spike_of_a_million_rows():
    values = np.random.default_rng(0).normal(size=1_000_000)
    values[654_321], values[123_456] = 99.0, -99.0
    kept = thin(values)
    assert len(kept) <= 2002
    assert {0, 123_456, 654_321, 999_999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


def test_thin_leaves_a_missing_row_where_a_whole_stretch_is_missing():
    values = np.arange(10_000, dtype=float)
    values[4_000:5_000] = np.nan
    kept = thin(values, buckets=100)
    assert np.isnan(values[kept]).any()
    assert np.nanmax(values[kept]) == 9_999


def test_thinning_note_is_silent_until_rows_are_left_out():
    assert thinning_note(2000) == ""
    assert thinning_note(1_000_000) == "1,000,000 rows, drawn as the lowest and highest value of every 1,000 rows."


def test_gaps_are_found_longest_first():
    series = hourly([1.0, np.nan, 2.0, np.nan, np.nan, np.nan, 3.0, np.nan])
    found = gaps(series)
    assert [rows for _, _, rows in found] == [3, 1, 1]
    assert found[0][:2] == (series.index[3], series.index[5])


def test_one_channel_marks_each_gap():
    assert len(one_channel(hourly([1.0, np.nan, 2.0, np.nan, 3.0])).layout.shapes) == 2


def test_stretch_shows_its_rows_and_moves_the_marks_with_them():
    series = hourly(np.arange(100.0))
    stretch = Stretch(40, 60, ((10, 20), (38, 41), (50, 50), (59, 70)))
    shown = stretch.of(series)
    assert (shown.iloc[0], len(shown)) == (40.0, 21)
    assert stretch.inside() == ((0, 1), (10, 10), (19, 20))
    figure = one_channel(shown, marks=stretch.inside())
    assert [shape.x0 for shape in figure.layout.shapes] == [shown.index[0], shown.index[10], shown.index[19]]


def test_all_channels_draws_one_line_a_channel_and_stops_at_24():
    frame = pd.DataFrame({f"c{i}": np.arange(10.0) for i in range(30)}, index=hourly(np.arange(10)).index)
    assert len(all_channels(frame[["c0", "c1", "c2"]]).data) == 3
    assert len(all_channels(frame).data) == 24


@pytest.mark.parametrize(("rows", "names"), [((70, 10, 20), 3), ((50, 10, 20), 3)])
def test_split_strip_names_the_three_parts_with_their_rows(rows, names):
    series = hourly(np.arange(100.0))
    figure = split_strip(series, rows)
    texts = " ".join(note.text for note in figure.layout.annotations)
    assert all(part in texts for part in ("Train", "Validation", "Test"))
    assert len(figure.layout.shapes) == names
    last = figure.layout.shapes[-1]
    assert pd.Timestamp(last.x1) == series.index[sum(rows) - 1]


def test_shorten_cuts_long_labels_with_an_ellipsis():
    assert shorten("short", 10) == "short"
    assert shorten("a very long label", 8) == "a very…"
