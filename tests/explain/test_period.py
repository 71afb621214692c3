"""Attention over the test period: thinned evenly, and each number is what it says, restated in plain NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.explain.readers import config_of, prepared_of, reader_of
from timellm.errors import DataError
from timellm.explain import period as module
from timellm.explain.heads import Heads
from timellm.explain.period import PeriodAttention


@pytest.fixture(scope="module", params=["cosine", "dot"])
def config(request, hourly_csv):
    return config_of(hourly_csv, attention_scores=request.param)


@pytest.fixture(scope="module")
def read(config):
    return PeriodAttention.of(reader_of(config), prepared_of(config), channel=1)


def test_period_reads_every_window_of_one_channel(read):
    every = read.prepared.windows("test")
    assert read.windows == len(read.index) == (every.channel == 1).sum() > 60
    assert set(read.index.channel) == {1}
    assert read.weights_WPV.shape == (read.windows, 8, 20)
    np.testing.assert_allclose(read.weights_WPV.sum(axis=-1), 1, rtol=1e-5)


def test_numbers_by_head_are_means_over_windows(read):
    ((_, weights_WhPV),) = read.reader.over(read.prepared, read.index)
    entropy_WhP = -(weights_WhPV * np.log(weights_WhPV)).sum(axis=-1)
    np.testing.assert_allclose(read.heads.effective_hP, np.exp(entropy_WhP).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(read.heads.weights_hPV, weights_WhPV.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(read.mean_V, weights_WhPV.mean(axis=(0, 1, 2)), rtol=1e-5)
    one, other = weights_WhPV[:, 0], weights_WhPV[:, 1]
    cosine_WP = (one * other).sum(axis=-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)
    np.testing.assert_allclose(read.heads.alike_hh[0, 1], cosine_WP.mean(), rtol=1e-5)
    assert read.heads.mean_alike == pytest.approx(cosine_WP.mean(), rel=1e-5)
    np.testing.assert_allclose(np.diag(read.heads.alike_hh), 1, rtol=1e-5)


def test_reading_in_small_parts_changes_nothing(config, read, monkeypatch):
    monkeypatch.setattr("timellm.explain.reader._WEIGHTS_AT_ONCE", 8 * 2 * 20 * 7)
    again = PeriodAttention.of(reader_of(config), prepared_of(config), channel=1)
    np.testing.assert_allclose(again.heads.effective_hP, read.heads.effective_hP, rtol=1e-5)
    np.testing.assert_allclose(again.weights_WPV, read.weights_WPV, rtol=1e-4, atol=1e-7)


def test_many_windows_are_thinned_evenly_from_first_to_last(config, read, monkeypatch):
    monkeypatch.setattr(module, "MOST_WINDOWS", 10)
    few = PeriodAttention.of(reader_of(config), prepared_of(config), channel=1)
    assert len(few.index) == 10 and few.windows == read.windows
    assert (few.index.origin[0], few.index.origin[-1]) == (read.index.origin[0], read.index.origin[-1])
    steps = np.diff(few.index.origin)
    assert steps.max() - steps.min() <= 1


def test_channel_without_a_window_is_refused_by_name(config):
    prepared = prepared_of(config)
    values = prepared.values.copy()
    values[prepared.split.validation_end :, 1] = np.nan
    prepared = replace(prepared, values=values)
    with pytest.raises(DataError, match=r"channel 'price' has no window in the test period .* another channel"):
        PeriodAttention.of(reader_of(config), prepared, channel=1)


def test_patches_are_the_rows_that_they_cover_and_the_last_repeats_its_end(read):
    patches_WPS, values = read.patches(), read.prepared.table.values["price"].to_numpy()
    origin = read.index.origin[3]
    window = values[origin - 48 : origin]
    scaled = (window - window.mean()) / window.std()
    start, end = read.reader.spans_P2[2]
    np.testing.assert_allclose(patches_WPS[3, 2], scaled[start:end], atol=1e-3)
    np.testing.assert_allclose(patches_WPS[3, -1, 6:], scaled[-1], atol=1e-3)


def test_stretch_of_time_stands_for_the_patch_that_lies_nearest(read):
    index = read.prepared.table.values.index[-48:]
    for number, (first, end) in enumerate(read.reader.spans_P2[:-1], start=1):
        assert read.nearest_patch(index, index[first], index[end - 1]) == number
    assert read.nearest_patch(index, index[0] - pd.Timedelta(days=9), index[0]) == 1
    assert read.nearest_patch(index, index[-1], index[-1]) == 8


def test_patch_lies_where_its_middle_row_lies(read):
    index = read.prepared.table.values.index
    start, end = read.reader.spans_P2[4]
    middle = index[read.index.origin[5] - 48 + (start + end) // 2]
    assert read.of_middles("hour")[5, 4] == middle.hour
    assert read.of_middles("day_of_week")[5, 4] == middle.day_of_week


def test_frame_of_heads_has_a_row_for_each_head_and_patch(read):
    frame = read.heads.frame(read.labels)
    assert frame.index.names == ["head", "patch"] and frame.shape == (2 * 8, 1 + 20)
    assert frame.columns[1] == "1: word0, other"
    np.testing.assert_allclose(frame.loc[(2, 3)].iloc[1:].to_numpy(float), read.heads.weights_hPV[1, 2])


def test_one_head_is_alike_to_no_other():
    heads = Heads.of(np.full((2, 1, 3, 4), 0.25))
    assert np.isnan(heads.mean_alike)
    np.testing.assert_allclose(heads.effective_hP, 4)


def test_period_of_monthly_rows_named_by_their_last_day_lies_in_that_month(tmp_path):
    moments = pd.date_range("2000-01-31", periods=240, freq="ME")
    frame = pd.DataFrame({"date": moments, "load": np.sin(np.arange(240) / 2)})
    frame.to_csv(tmp_path / "monthly.csv", index=False)
    config = config_of(tmp_path / "monthly.csv", context=24, horizon=3, patch_length=4, stride=2)
    read = PeriodAttention.of(reader_of(config), prepared_of(config), channel=0)
    start, end = read.reader.spans_P2[0]
    assert read.of_middles("month")[0, 0] == moments[read.index.origin[0] - 24 + (start + end) // 2].month
