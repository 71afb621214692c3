"""History is thin and grey, forecasts are told apart, and the lines meet."""

import numpy as np
import pandas as pd

from timellm.plots.forecast import backtest_chart, future_chart
from timellm.plots.template import looks


def piece(start, length, name="load"):
    index = pd.date_range("2024-01-01", periods=start + length, freq="h")[start:]
    return pd.Series(np.arange(length, dtype=float) + start, index=index, name=name)


LOOKS = looks(("Seasonal naive", "Last value"), "Time-LLM")


def future(history, forecast):
    return future_chart(history, {"Time-LLM": forecast}, LOOKS)


def test_future_chart_draws_history_and_the_models_that_have_a_forecast():
    history, forecast = future(piece(0, 48), piece(48, 24)).data
    assert (history.name, forecast.name) == ("Measured", "Time-LLM")
    assert (history.line.color, history.line.width) != (forecast.line.color, forecast.line.width)


def test_future_chart_starts_the_forecast_at_the_last_measured_value():
    history = piece(0, 48)
    history.iloc[-1] = np.nan  # a gap at the very end: the line starts at the last value there is
    forecast = future(history, piece(48, 24)).data[1]
    assert pd.Timestamp(forecast.x[0]) == history.index[-2]
    assert forecast.y[0] == 46
    assert len(forecast.y) == 25


def test_backtest_chart_draws_what_came_and_tells_models_apart_without_colour():
    forecasts = {"Time-LLM": piece(48, 24), "Seasonal naive": piece(48, 24), "Last value": piece(48, 24)}
    figure = backtest_chart(piece(0, 48), piece(48, 24), forecasts, LOOKS)
    assert len(figure.data[0].x) == 72
    looks = [(trace.line.dash, trace.line.width) for trace in figure.data]
    assert len(set(looks)) == len(looks)


def test_label_of_the_shaded_part_ends_where_the_part_ends():
    # A label that began at the part's left ran out of a narrow chart, where the part is a few dozen pixels wide.
    (label,) = future(piece(0, 512), piece(512, 24)).layout.annotations
    assert (pd.Timestamp(label.x), label.xanchor) == (piece(512, 24).index[-1], "right")
