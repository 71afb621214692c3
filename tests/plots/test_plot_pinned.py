"""A pinned window's chart: only the forecast moves while one scrubs, and wild forecasts do not squash the rest."""

import json

import numpy as np
import pandas as pd

from timellm.forecasting.validation import PinnedWindow
from timellm.plots.pinned import CUTOFF, FORECAST, MEASURED, pinned_rows, pinned_spec

REFERENCE = "Seasonal naive, 24 rows (a day)"


def window(forecast_KH, measured=None):
    hours = pd.date_range("2024-01-01", periods=24, freq="h")
    values = np.sin(np.arange(24)) * 10 if measured is None else measured
    return PinnedWindow("load", pd.Series(values, index=hours), np.zeros(4), REFERENCE, np.array(forecast_KH, float))


def test_rows_hold_what_was_measured_and_the_forecast_of_one_validation():
    rows = pinned_rows(window([[1, 2, 3, 4], [5, 6, 7, 8]]), 1)
    by_part = rows.groupby("part")["value"].apply(list)
    assert by_part[FORECAST] == [5, 6, 7, 8] and by_part[REFERENCE] == [0] * 4
    assert len(by_part[MEASURED]) == 12, "two horizons of context and what came"
    forecast, cutoff = rows[rows["part"] == FORECAST], rows[rows["part"] == CUTOFF]
    assert cutoff["ds"].item() == pd.Timestamp("2024-01-01 19:00") < forecast["ds"].min()


def value_axis(spec):
    return spec["layer"][-1]["encoding"]["y"]["scale"]["domain"]


def test_axis_holds_every_validation_but_no_wild_one():
    low, high = value_axis(pinned_spec(window([[-12, 2, 3, 4], [5, 6, 7, 9000]])))
    assert low == -12 and 10 < high < 30


def test_axis_exists_without_any_measured_value():
    low, high = value_axis(pinned_spec(window([[1, 2, 3, 4]], measured=np.full(24, np.nan))))
    assert low <= 0 and high >= 4
    flat = value_axis(pinned_spec(window([[7] * 4], measured=np.full(24, 7.0))))
    assert flat[0] < flat[1]


def test_specification_is_plain_json_without_data():
    spec = pinned_spec(window([[1, 2, 3, 4]]))
    assert "data" not in spec
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
