"""Bounds hold for every forecaster's output and its bands, are suggested with a reason, and are never set unasked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.kept_forecasts import kept_forecasts
from timellm.cli import main
from timellm.config import RunConfig, TaskConfig
from timellm.data.bounds import bounds_note, suggest_bounds
from timellm.data.table import read_table
from timellm.errors import ConfigError
from timellm.forecasting.artifacts import RunFolder


def shop(path, days=420, low=0.0):
    """A shop's sales: small counts, closed on Sundays."""
    rng, index = np.random.default_rng(2), pd.date_range("2023-01-02", periods=days, freq="D")
    sales = rng.poisson(1.2 + np.arange(days) % 7 / 3, (2, days)).astype(float) + low
    sales[:, index.day_of_week == 6] = low
    pd.DataFrame({"day": index, "bread": sales[0], "rolls": sales[1]}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with bounds, and the same run without."""
    place = tmp_path_factory.mktemp("shop")
    table = shop(place / "shop.csv")
    settings = {"kind": "ridge", "context": 28, "horizon": 14}
    bounds = {"lower_bound": "0", "upper_bound": "4", "closed_weekdays": "Sunday"}
    for name, more in (("free", {}), ("bounded", bounds)):
        timellm.fit(RunConfig.create(table, **settings, **more), run_dir=place / name)
    return place


def test_bounds_hold_for_every_model_and_every_band(run):
    folder, free = RunFolder(run / "bounded"), RunFolder(run / "free")
    kept, others = kept_forecasts(folder), kept_forecasts(free)
    days = folder.prepared().table.values.index.day_of_week.to_numpy()
    sunday_WH = days[kept.origin[:, None] + np.arange(14)] == 6
    assert len(kept.forecast) > 4 and any((one > 4).any() for one in others.forecast.values())
    for name, forecast_WH in kept.forecast.items():
        expected_WH = np.where(sunday_WH, 0, np.clip(others.forecast[name], 0, 4))
        np.testing.assert_allclose(forecast_WH, expected_WH, rtol=1e-6, err_msg=name)
    future = timellm.Forecaster.load(folder.path).forecast(levels=[80, 95])
    pd.testing.assert_frame_equal(future, folder.future((80, 95)))
    numbers = future.drop(columns=["unique_id", "ds"])
    assert numbers.min(axis=None) == 0 and numbers.max(axis=None) == 4
    assert (numbers[future["ds"].dt.day_of_week == 6] == 0).all(axis=None)
    assert free.future((95,))["yhat-lo-95"].min() < 0


def test_bounds_are_named_in_the_run_and_in_its_settings(run):
    (note, *_) = RunFolder(run / "bounded").summary()["notes"]
    assert note == "Forecasts and bands are kept not below 0 and not above 4 and zero on sunday."
    assert RunFolder(run / "bounded").config().task.closed_days == (6,)
    assert bounds_note(RunFolder(run / "free").config().task) == ()


def test_shop_suggests_zero_as_the_lowest_value_and_its_closed_day(tmp_path, capsys):
    path = shop(tmp_path / "shop.csv")
    lowest, closed = suggest_bounds(read_table(path))
    assert (lowest.settings, lowest.reason) == ({"lower_bound": 0.0}, "None of the 840 counts is below 0.")
    assert closed.settings == {"closed_weekdays": "sunday"} and "Sunday is 0" in closed.reason
    assert main(["inspect", str(path)]) == 0
    assert "suggested: lower_bound=0.0  (None of the 840 counts is below 0.)" in capsys.readouterr().out


def test_table_with_negative_values_or_few_days_suggests_no_bound(tmp_path):
    assert suggest_bounds(read_table(shop(tmp_path / "low.csv", low=-3.0))) == ()
    (only,) = suggest_bounds(read_table(shop(tmp_path / "short.csv", days=50)))
    assert "lower_bound" in only.settings


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"closed_weekdays": "sunday,funday"}, "'funday' is no weekday; give names such as sunday"),
        ({"lower_bound": 3, "upper_bound": 3}, "'lower_bound' is 3 and 'upper_bound' is 3; give a lower one below"),
        ({"lower_bound": 1, "closed_weekdays": "sunday"}, "asks for forecasts of zero, which the bounds do not allow"),
    ],
)
def test_bounds_that_contradict_each_other_are_refused(settings, reason):
    with pytest.raises(ConfigError, match=reason):
        TaskConfig(**settings)


def test_weekdays_are_kept_in_one_order_and_none_is_the_default():
    assert TaskConfig(closed_weekdays=" Sunday, monday").closed_weekdays == "monday,sunday"
    assert (TaskConfig().lower_bound, TaskConfig().upper_bound, TaskConfig().closed_days) == (None, None, ())
