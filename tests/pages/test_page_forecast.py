"""The Forecast page: bands at chosen levels, values as the data has them, unusual values, and bounds offered."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.config import RunConfig
from timellm.data.uploads import save_upload
from timellm.evaluation.coverage import COVERAGE
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import INTERVALS
from timellm.forecasting.fitted import FittedRun
from timellm.workspace import workspace


def traces(app):
    return {trace["name"]: trace for trace in json.loads(app.get("plotly_chart")[0].proto.spec)["data"]}


def chart_range(app):
    return json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]["xaxis"]["range"]


def said(app):
    return " ".join(one.value for one in (*app.caption, *app.markdown, *app.info)).replace("\\", "")


@pytest.fixture
def shop(home, store):
    """A finished ridge run on daily counts of a shop that is closed on Sundays."""
    rng, index = np.random.default_rng(1), pd.date_range("2023-01-02", periods=420, freq="D")
    sales = rng.poisson(20, 420)
    sales[index.day_of_week == 6] = 0
    table = save_upload("shop.csv", content=pd.DataFrame({"day": index, "bread": sales}).to_csv(index=False).encode())
    path = workspace().uploads / table.name
    config = RunConfig.create(path, kind="ridge", context=56, horizon=14, lower_bound=0, closed_weekdays="sunday")
    run = store.create_run(config, name="Shop")
    timellm.fit(config, run_dir=run.run_dir)
    return store.finish(run.id, "finished", summary={"skill": 0.1})


def test_bands_are_drawn_at_the_chosen_levels(open_page, shop):
    app = open_page("forecast", run=shop.id)
    assert not app.exception and {"80 % band", "95 % band"} <= traces(app).keys()
    assert list(app.dataframe[0].value)[2:] == ["80 % low", "80 % high", "95 % low", "95 % high"]
    app.button_group(key="forecast/levels").set_value(["50 %"]).run()
    assert not app.exception
    assert [name for name in traces(app) if name.endswith("band")] == ["50 % band"]
    app.button_group(key="forecast/levels").set_value([]).run()
    assert not app.exception and list(app.dataframe[0].value) == ["Time", "Forecast"]


def test_counts_are_whole_closed_days_zero_and_the_axis_ends_with_the_forecast(open_page, shop):
    app = open_page("forecast", run=shop.id)
    shown = app.dataframe[0].value
    numbers = shown.drop(columns="Time")
    assert all(str(kind).lower() == "int64" for kind in numbers.dtypes) and (numbers >= 0).all(axis=None)
    assert (numbers[shown["Time"].dt.day_of_week == 6] == 0).all(axis=None)
    assert "Values are rounded to whole numbers, as the data has them." in said(app)
    assert "The last 42 measured rows are shown." in said(app)
    first, last = map(pd.Timestamp, chart_range(app))
    assert last == shown["Time"].iloc[-1] and last - first == pd.Timedelta(days=14 + 42 - 1)


def test_window_says_its_error_and_what_the_band_held(open_page, shop):
    app = open_page("forecast", run=shop.id, show="Test period")
    assert not app.exception
    assert "In this window **Ridge was off by" in said(app) and "lay inside the 95 % band" in said(app)
    shown = app.dataframe[0].value
    assert list(shown)[:5] == ["Time", "Measured", "Ridge", "80 % low", "80 % high"]
    mine = shown[["Measured", "95 % low", "95 % high"]].astype(float)
    inside = int(((mine["Measured"] >= mine["95 % low"]) & (mine["Measured"] <= mine["95 % high"])).sum())
    assert f"{inside} of 14 values" in said(app)


def test_unusual_values_are_listed_and_marked(open_page, shop):
    app = open_page("forecast", run=shop.id, show="Unusual")
    assert not app.exception and "lie outside the 95 % band; 5 % are expected to" in said(app)
    marked = traces(app)["Outside the band"]
    assert len(app.dataframe[0].value) == len(marked["x"]) > 0
    assert set(app.dataframe[0].value["Outside"]) <= {"above", "below"}


def test_run_without_intervals_says_what_to_do(open_page, shop):
    for name in (INTERVALS, COVERAGE):
        (shop.run_dir / name).unlink()
    app = open_page("forecast", run=shop.id)
    assert not app.exception and "evaluate the run again" in said(app)
    assert list(app.dataframe[0].value) == ["Time", "Forecast"]
    app.segmented_control(key="show").set_value("Unusual").run()
    assert not app.exception and "kept no intervals" in app.error[0].value


def test_forecast_of_a_failed_run_says_why_there_is_none(open_page, failed):
    app = open_page("forecast", run=failed.id)
    assert not app.exception and "This run failed, so it has no forecast" in app.error[0].value


def test_bounds_are_offered_with_their_reason_and_set_by_a_click_alone(open_page, shop):
    app = open_page("finetune", table=shop.config.data.path.rsplit("/", 1)[1])
    labels = [one.label for one in app.button]
    assert "Keep forecasts at 0 or above" in labels and "Keep forecasts at zero on Sunday" in labels
    assert "None of the 420 counts is below 0." in said(app)
    next(one for one in app.button if one.label == "Keep forecasts at zero on Sunday").click().run()
    next(one for one in app.button if one.label == "Keep forecasts at 0 or above").click().run()
    assert not app.exception and "kept not below 0 and zero on sunday" in said(app)
    next(one for one in app.button if one.label == "Keep forecasts free").click().run()
    assert not app.exception and "Keep forecasts at 0 or above" in [one.label for one in app.button]


def test_metrics_show_promised_and_achieved_coverage(open_page, shop):
    app = open_page("metrics", run=shop.id)
    assert not app.exception and "lay inside the 80 % band" in said(app)
    card = next(one.value for one in app.dataframe if "promised" in one.value)
    assert card["promised"].tolist() == [0.5, 0.8, 0.9, 0.95, 0.99]
    assert (card["achieved"].iloc[:3] > 0).all() and set(card["rival"]) - {"", "Ridge"}
    for name in (INTERVALS, COVERAGE):
        (shop.run_dir / name).unlink()
    app = open_page("metrics", run=shop.id)
    assert not app.exception


def test_forecast_below_what_its_data_could_be_names_the_setting_that_helps(open_page, finished, shop):
    folder = RunFolder(finished.run_dir)
    assert "lower_bound" not in said(open_page("forecast", run=shop.id))
    folder.save_future(folder.future().assign(yhat=-5.0))
    app = open_page("forecast", run=finished.id)
    assert not app.exception
    assert "None of the 800 values is below 0. A run with the setting lower_bound at 0 keeps" in said(app)


def test_newer_table_is_held_against_the_runs_own_and_forecast_from(open_page, shop):
    rng, index = np.random.default_rng(1), pd.date_range("2023-01-02", periods=450, freq="D")
    sales = rng.poisson(20, 420)
    new = rng.poisson(20, 30)
    sales = np.concatenate([sales, new])
    sales[index.day_of_week == 6] = 0
    sales[440] = 90
    grown = save_upload("grown.csv", content=pd.DataFrame({"day": index, "bread": sales}).to_csv(index=False).encode())
    app = open_page("forecast", run=shop.id, show="Newer table")
    assert not app.exception and "without any training" in said(app)
    app.selectbox(key="newer").set_value(grown.name).run()
    assert not app.exception and "It has 30 rows after" in said(app) and "420 rows that both have" in said(app)
    app.button(key="forecast/newer-forecast").click().run()
    assert not app.exception and not app.error
    shown = app.dataframe[0].value
    assert shown["Time"].tolist() == list(pd.date_range(index[-1], periods=15, freq="D")[1:])
    expected = FittedRun.load(shop.run_dir).forecast(grown)
    np.testing.assert_allclose(shown["Forecast"], expected["yhat"], atol=0.5)
    app.button(key="forecast/newer-unusual").click().run()
    assert not app.exception and not app.error and "of 30 values" in said(app)


def test_table_that_does_not_fit_the_run_is_refused_with_the_reason(open_page, shop):
    hourly = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=200, freq="h"), "bread": range(200)})
    save_upload("hourly.csv", content=hourly.to_csv(index=False).encode())
    app = open_page("forecast", run=shop.id, show="Newer table", newer="hourly")
    assert not app.exception
    assert any("but the run was trained on" in one.value for one in app.error)
