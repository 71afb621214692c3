"""Split, scale and windows: no future leaks, nothing is dropped, and gaps are left out."""

from __future__ import annotations

import numpy as np
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.source import WindowSource
from timellm.data.table import read_table
from timellm.data.windows import Scaler, Split, index_windows
from timellm.errors import ConfigError, DataError


def index(values, part, *, context=8, horizon=4, rows=(60, 20, 20)):
    return index_windows(values, Split.from_rows(rows), part=part, context=context, horizon=horizon)


def test_ett_split_has_every_published_window_and_the_last_ones_too():
    values = np.zeros((17_420, 7))
    split = Split.from_rows((8640, 2880, 2880))
    counts = {
        part: len(index_windows(values, split, part=part, context=512, horizon=96))
        for part in ("training", "validation", "test")
    }
    assert counts == {"training": 8033 * 7, "validation": 2785 * 7, "test": 2785 * 7}


@pytest.mark.parametrize(("part", "begin", "end"), [("training", 8, 60), ("validation", 60, 80), ("test", 80, 100)])
def test_targets_stay_in_their_part(part, begin, end):
    found = index(np.zeros((120, 2)), part)
    assert found.origin.min() == begin and found.origin.max() + 4 == end
    assert set(found.channel) == {0, 1}


def test_windows_are_cut_where_their_index_says():
    values = np.arange(200.0).reshape(100, 2)
    source = WindowSource(values, context=8, horizon=4)
    found = index(values, "test")
    context, target = source.gather(found.channel, origin=found.origin)
    for row, (channel, origin) in enumerate(zip(found.channel, found.origin, strict=True)):
        assert context[row].tolist() == values[origin - 8 : origin, channel].tolist()
        assert target[row].tolist() == values[origin : origin + 4, channel].tolist()


def test_windows_that_touch_a_gap_are_left_out_and_counted():
    values = np.zeros((100, 2))
    values[30, 1] = np.nan
    found = index(values, "training")
    touching = (found.channel == 1) & (found.origin <= 38) & (found.origin > 26)
    assert not touching.any() and found.left_out == 12
    assert len(found) == 2 * 49 - 12


def test_scaler_sees_the_training_rows_alone():
    values = np.random.default_rng(0).normal(size=(100, 2))
    changed = values.copy()
    changed[60:] += 1000
    for rows in (values, changed):
        scaler = Scaler.fit(rows[:60], channels=("a", "b"))
        np.testing.assert_allclose(scaler.mean, values[:60].mean(axis=0))
        np.testing.assert_allclose(scaler.scale, values[:60].std(axis=0))


def test_scaling_and_restoring_is_identity():
    values = np.random.default_rng(0).normal(5, 3, size=(50, 2))
    scaler = Scaler.fit(values, channels=("a", "b"))
    scaled = scaler.transform(values)
    np.testing.assert_allclose(scaler.restore(scaled.T, channel=np.array([0, 1])), values.T)


def test_constant_channel_keeps_a_finite_scale():
    scaler = Scaler.fit(np.full((10, 1), 7.0), channels=("a",))
    assert scaler.transform(np.array([[7.0]])).tolist() == [[0.0]]


def test_channel_without_training_values_is_named():
    values = np.zeros((10, 2))
    values[:, 1] = np.nan
    with pytest.raises(DataError, match="channel 'b' has no value in the 10 training rows; leave it out"):
        Scaler.fit(values, channels=("a", "b"))


def test_part_too_short_says_how_many_rows_are_needed(hourly_csv):
    def prepared(split):
        config = RunConfig.create(hourly_csv, split=split, context=16, horizon=4)
        return PreparedData.of(read_table(hourly_csv), config)

    with pytest.raises(DataError, match=r"test part has 3 rows, but one window needs 4 .*lower them"):
        prepared("60/37/3").windows("test")
    with pytest.raises(DataError, match="training part has 10 rows, but one window needs 20"):
        prepared("10/45/45").windows("training")


def test_part_full_of_gaps_says_what_helps(tmp_path):
    rows = [f"2020-01-01 {hour:02}:00,{hour if hour % 5 else ''},1" for hour in range(24)]
    path = tmp_path / "gaps.csv"
    path.write_text("\n".join(["ds,a,b", *rows]))
    config = RunConfig.create(path, context=8, patch_length=8, horizon=2, split="16/4/4", channels=("a",))
    with pytest.raises(DataError, match="every window of the training part touches a missing value; you can fill gaps"):
        PreparedData.of(read_table(path, channels=("a",)), config).windows("training")


def test_split_larger_than_the_table_is_refused(hourly_csv):
    config = RunConfig.create(hourly_csv, split="300/100/100")
    with pytest.raises(ConfigError, match=r"asks for 500 rows .*but the table has 400; lower it"):
        PreparedData.of(read_table(hourly_csv), config)


def test_evenly_spaced_windows_keep_both_ends():
    found = index(np.zeros((100, 1)), "training")
    some = found.evenly(5)
    assert len(some) == 5 and some.origin[0] == found.origin[0] and some.origin[-1] == found.origin[-1]


@pytest.mark.parametrize(("side", "begin", "end"), [("last", 40, 60), ("first", 0, 20)])
def test_fewer_training_rows_leave_the_other_parts_as_they_are(hourly_csv, side, begin, end):
    whole = RunConfig.create(hourly_csv, split="60/20/20", context=8, horizon=4, kind="ridge")
    table = read_table(hourly_csv)
    mine, all_rows = (
        PreparedData.of(table, one) for one in (whole.updated(training_rows=20, training_side=side), whole)
    )
    learned = mine.windows("training")
    assert learned.origin.min() == max(begin, 8) and (learned.origin + 4).max() == end
    np.testing.assert_array_equal(mine.training_values, all_rows.values[begin:end])
    np.testing.assert_allclose(mine.scaler.mean, all_rows.values[begin:end].mean(axis=0))
    np.testing.assert_allclose(mine.scaler.scale, all_rows.values[begin:end].std(axis=0))
    for part in ("validation", "test"):
        np.testing.assert_array_equal(mine.windows(part).origin, all_rows.windows(part).origin)
        np.testing.assert_array_equal(mine.windows(part).channel, all_rows.windows(part).channel)
    assert mine.split.validation_begin == all_rows.split.validation_begin == 60


def test_more_training_rows_than_there_are_is_all_of_them():
    for side in ("last", "first"):
        assert Split.from_rows((60, 20, 20), training_rows=99, side=side) == Split.from_rows((60, 20, 20))


def test_a_side_without_a_number_of_rows_is_refused():
    with pytest.raises(ConfigError, match="'training_side' says which rows 'training_rows' keeps; give that one, too"):
        RunConfig.create("a.csv", training_side="first")
