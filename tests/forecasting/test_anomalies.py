"""Unusual values: held against the forecast before them, on the test part and on rows that came since."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.cli import main
from timellm.config import RunConfig
from timellm.data.table import read_table
from timellm.errors import CheckpointError, DataError
from timellm.forecasting.anomalies import new_points, outside, points_of_channel, said_of
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import INTERVALS

ROWS, SPIKE = 500, 440


def made_table(path, rows):
    hours = np.arange(rows)
    noise = np.random.default_rng(3).normal(0, 1, (2, 700))[:, :rows]
    values = 50 + 10 * np.sin(hours * 2 * np.pi / 24) + noise
    values[0, SPIKE] += 40
    if rows > ROWS:
        values[1, ROWS + 20] -= 40
    index = pd.date_range("2024-01-01", periods=rows, freq="h")
    pd.DataFrame({"date": index, "load": values[0], "price": values[1]}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("unusual")
    config = RunConfig.create(made_table(place / "table.csv", ROWS), kind="ridge", context=48, horizon=12,
                              split="300/80/120")  # fmt: skip
    timellm.fit(config, run_dir=place / "run")
    made_table(place / "grown.csv", ROWS + 60)
    return place


def test_every_test_row_is_held_against_the_latest_forecast_before_it(place):
    forecasts = RunFolder(place / "run").run_forecasts()
    points = points_of_channel(forecasts, "load", 95)
    prepared = forecasts.prepared
    assert list(points["ds"]) == list(prepared.table.values.index[380:500])
    assert points["step"].tolist() == [1] * 109 + list(range(2, 13)), "behind the last cut-off, later steps"
    mine = forecasts.index.channel == 0
    np.testing.assert_allclose(points["yhat"][:109], forecasts.forecast_WH[mine][:, 0])
    np.testing.assert_allclose(points["yhat"][109:], forecasts.forecast_WH[mine][-1, 1:])
    found = outside(points)
    assert found["ds"].iloc[0] == prepared.table.values.index[SPIKE] and found["outside"].iloc[0] == "above"
    assert 1 <= len(found) <= 20
    assert said_of(points, 95).startswith(f"{len(found)} of 120 values (")


def test_bands_of_points_are_those_of_the_test_windows(place):
    forecasts = RunFolder(place / "run").run_forecasts()
    points = points_of_channel(forecasts, "price", 80)
    windows = forecasts.of("price")
    for number in (0, 30, 108):
        band = windows.bands(number, (80,)).iloc[0]
        row = points.iloc[number]
        np.testing.assert_allclose([row["lower"], row["upper"]], [band["yhat-lo-80"], band["yhat-hi-80"]])


def test_rows_that_came_since_are_held_against_one_step_forecasts(place):
    run = timellm.Forecaster.load(place / "run")
    points = new_points(run, read_table(place / "grown.csv"), 95)
    assert len(points) == 120 and set(points["step"]) == {1}
    found = outside(points)
    assert (found.iloc[0]["unique_id"], found.iloc[0]["outside"]) == ("price", "below")
    assert found.iloc[0]["ds"] == pd.Timestamp("2024-01-01") + pd.Timedelta(hours=ROWS + 20)
    with pytest.raises(DataError, match=r"the table has no row after .*; give one that has grown"):
        new_points(run, read_table(place / "table.csv"), 95)


def test_level_without_a_band_is_refused_with_its_reason(place):
    forecasts = RunFolder(place / "run").run_forecasts()
    with pytest.raises(DataError, match="a 99 % band needs 99 validation windows of the channel, and there are 64"):
        points_of_channel(forecasts, "load", 99)


def test_command_lists_unusual_values_and_writes_them(place, tmp_path, capsys):
    out = tmp_path / "unusual.csv"
    assert main(["anomalies", str(place / "run"), "--level", "90", "--out", str(out)]) == 0
    assert "lie outside the 90 % band; 10 % are expected to" in capsys.readouterr().out
    assert set(pd.read_csv(out)["outside"]) <= {"above", "below"}
    assert main(["anomalies", str(place / "run"), "--data", str(place / "grown.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["points"] == 120 and found["outside"][0]["unique_id"] == "price"


def test_earlier_run_has_no_unusual_values_until_it_is_evaluated(place, tmp_path):
    import shutil

    folder = RunFolder(shutil.copytree(place / "run", tmp_path / "old"))
    (folder.path / INTERVALS).unlink()
    with pytest.raises(CheckpointError, match="kept no intervals: evaluate the run again"):
        points_of_channel(folder.run_forecasts(), "load", 95)
