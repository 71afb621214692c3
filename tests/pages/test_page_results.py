"""Results of a finished run: the pickers decide what is drawn, and the numbers are the run's."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.pages.conftest import fill
from timellm.evaluation.judge import judge
from timellm.evaluation.metrics import METRICS
from timellm.forecasting.artifacts import RunFolder
from timellm.plots.forecast import ADDED, LINEAR_PATH


def chart(app, number=0):
    return json.loads(app.get("plotly_chart")[number].proto.spec)


def traces(app, number=0):
    return {trace.get("name"): trace for trace in chart(app, number)["data"]}


def test_forecast_draws_history_and_the_models_beside_each_other(open_page, finished):
    app = open_page("forecast", run=finished.id)
    drawn = traces(app)
    assert {"Measured", "Time-LLM", "Ridge", "Seasonal naive, 24 rows (a day)"} <= drawn.keys()
    assert drawn["Time-LLM"]["line"]["width"] > drawn["Ridge"]["line"]["width"]
    table = app.dataframe[0].value
    assert table["Forecast"].tolist() == [1.0 + step for step in range(12)]


def test_forecast_is_taken_apart_into_the_linear_path_and_what_the_language_model_adds(open_page, finished):
    app = open_page("forecast", run=finished.id)
    assert LINEAR_PATH not in traces(app)
    app.toggle[0].set_value(True).run()
    assert not app.exception and not app.error
    drawn = traces(app)
    assert {"Measured", "Time-LLM", LINEAR_PATH} <= drawn.keys() and "Ridge" not in drawn
    table = app.dataframe[0].value
    assert np.allclose(table[LINEAR_PATH] + table[ADDED], table["Forecast"])
    assert table[ADDED].abs().max() > 0
    app.segmented_control(key="show").set_value("Test period").run()
    table = app.dataframe[0].value
    assert not app.exception and np.allclose(table[LINEAR_PATH] + table[ADDED], table["Time-LLM"], atol=1e-4)


def test_forecast_of_a_run_without_a_language_model_is_not_taken_apart(open_page, finished, store):
    run = store.create_run(finished.config.updated(body="attention"), name="Without")
    fill(RunFolder(run.run_dir), finished.config)
    store.finish(run.id, "finished", summary={"skill": 0.1})
    app = open_page("forecast", run=run.id)
    assert not app.exception and not app.toggle


def test_forecast_offers_every_channel(open_page, finished):
    app = open_page("forecast", run=finished.id)
    picker = next(box for box in app.selectbox if box.label == "Channel")
    assert picker.options == ["load", "price"]
    picker.select("price").run()
    assert not app.exception
    app.switch_page("attention.py").run()  # the choice holds on the other results pages
    assert next(box for box in app.selectbox if box.label == "Channel").value == "price"


def test_test_period_shows_what_came_beside_model_and_baselines(open_page, finished):
    app = open_page("forecast", run=finished.id)
    app.segmented_control(key="show").set_value("Test period").run()
    assert not app.exception
    assert {"Measured", "Time-LLM", "Ridge", "Seasonal naive, 24 rows (a day)"} <= traces(app).keys()
    shown = app.dataframe[0].value
    assert np.allclose(shown["Time-LLM"] - shown["Measured"], 0.5, atol=1e-4)
    before = shown["Time"].iloc[0]
    slider = app.select_slider[0]
    slider.set_value(pd.Timestamp(slider.options[0])).run()
    assert app.dataframe[0].value["Time"].iloc[0] < before


def test_channel_without_a_forecast_says_why(open_page, finished):
    path = finished.run_dir / "future.parquet"
    future = pd.read_parquet(path)
    future[future["unique_id"] == "price"].to_parquet(path, index=False)
    app = open_page("forecast", run=finished.id)
    assert not app.exception
    assert "no forecast of load" in app.info[0].value


def test_leaderboard_ranks_the_baselines_too_best_first(open_page, finished):
    app = open_page("metrics", run=finished.id)
    board = app.dataframe[0].value
    assert {"Time-LLM (this run)", "Ridge", "Last value", "Seasonal naive, 24 rows (a day)"} <= set(board["model"])
    assert board["mae"].is_monotonic_increasing
    assert board.columns.tolist() == ["rank", "mae", "model", "skill", "won"]
    naive = board[board["model"].str.startswith(("Seasonal", "Mean of", "Last", "Drift"))].iloc[0]
    assert naive["skill"] == 0 and np.isnan(naive["won"]), "the best simple forecast is what the others are against"
    own = board.set_index("model").loc["Time-LLM (this run)"]
    assert own["skill"] == pytest.approx(1 - own["mae"] / naive["mae"], abs=1e-4) and 0 <= own["won"] <= 1
    rest = app.dataframe[1].value
    assert {*METRICS, "to_own", "won_own"} <= set(rest.columns), "folded away"


def test_verdict_is_that_of_the_command_line(open_page, finished):
    app = open_page("metrics", run=finished.id)
    said = next(box.value for box in (*app.success, *app.warning, *app.error, *app.info)).replace("\\", "")
    assert said.startswith(RunFolder(finished.run_dir).verdict("mae").sentence())


def test_mixed_verdict_is_amber_and_says_on_which_channels(open_page, finished, monkeypatch):
    folder = RunFolder(finished.run_dir)
    scores = folder.scores()
    rival = folder.verdict("mae").rival
    rows = scores.by_channel.set_index(["model", "channel"])
    for channel, factor in (("load", 0.5), ("price", 2.0)):
        rows.loc[(scores.own, channel), "mae"] = factor * rows.loc[(rival, channel), "mae"]
    folder.save_scores(replace(scores, by_channel=rows.reset_index()))
    monkeypatch.setattr(
        "timellm.evaluation.judge.judge", lambda *given, **named: replace(judge(*given, **named), outcome="best")
    )
    app = open_page("metrics", run=finished.id)
    assert not app.exception
    assert "a lower MAE than" in app.warning[0].value
    assert "on 1 of 2 (load) and a higher one on 1 (price)." in app.warning[0].value


def test_run_on_the_same_windows_has_a_row_and_one_click_starts_another(open_page, finished, store, monkeypatch):
    other = finished.config.updated(kind="dlinear", moving_average=5, steps=4, validations=2)
    for name, config in (("Small", other), ("A ridge", finished.config.updated(kind="ridge"))):
        run = store.create_run(config, name=name)
        timellm.fit(config, run_dir=run.run_dir)
        store.finish(run.id, "finished", summary=RunFolder(run.run_dir).summary())
    elsewhere = store.create_run(finished.config.updated(kind="naive", horizon=6), name="Other windows")
    timellm.fit(elsewhere.config, run_dir=elsewhere.run_dir)
    store.finish(elsewhere.id, "finished", summary=RunFolder(elsewhere.run_dir).summary())
    started = []
    monkeypatch.setattr("timellm.ui.beside.start_run", lambda config, **given: started.append(config))
    app = open_page("metrics", run=finished.id)
    assert not app.exception
    board = app.dataframe[0].value
    assert board["model"].tolist().count("DLinear") == 1
    assert [name for name in board["model"] if "idge" in name] == ["Ridge"], "the ridge of another run is the same map"
    assert not any("Other windows" in name for name in board["model"])
    next(one for one in app.button if one.label == "PatchTST").click().run()
    assert not app.exception
    (config,) = started
    assert (config.kind, config.task, config.data.path) == ("patchtst", finished.config.task, finished.config.data.path)
    app = open_page("forecast", run=finished.id)
    assert "DLinear" in traces(app), "beside each other on one chart"
    app.segmented_control(key="show").set_value("Test period").run()
    assert not app.exception and "DLinear" in traces(app)


def test_advised_model_of_another_run_is_that_run_and_no_new_one(open_page, finished, store, monkeypatch):
    run = store.create_run(
        finished.config.updated(kind="dlinear", moving_average=5, steps=4, validations=2), name="Small"
    )
    timellm.fit(run.config, run_dir=run.run_dir)
    store.finish(run.id, "finished", summary=RunFolder(run.run_dir).summary())

    def advising(*given, **named):
        return replace(judge(*given, **named), rival="DLinear", action="use")

    monkeypatch.setattr("timellm.evaluation.judge.judge", advising)
    app = open_page("metrics", run=finished.id)
    assert not app.exception
    assert any(one.label == "Use DLinear" for one in app.page_link)
    assert not any(one.label.startswith("Use ") for one in app.button)


def test_copy_of_a_run_is_not_compared_with_it(open_page, finished, store):
    for name in ("One", "A copy"):
        run = store.create_run(finished.config.updated(kind="ridge"), name=name)
        timellm.fit(run.config, run_dir=run.run_dir)
        store.finish(run.id, "finished", summary=RunFolder(run.run_dir).summary())
    app = open_page("metrics", run=run.id)
    assert not app.exception
    assert [name for name in app.dataframe[0].value["model"] if "Ridge" in name] == ["Ridge (this run)"]
    assert "exactly as good" not in next(box.value for box in (*app.success, *app.warning, *app.error, *app.info))


def test_ridge_that_equals_the_run_but_for_rounding_shows_no_minus(open_page, finished):
    scores = RunFolder(finished.run_dir).scores()
    rows = scores.overall.set_index("model")
    rows.loc["Ridge"] = rows.loc[scores.own]
    rows.loc["Ridge", "mae"] *= 1 - 1e-7
    RunFolder(finished.run_dir).save_scores(replace(scores, overall=rows.reset_index()))
    app = open_page("metrics", run=finished.id)
    assert not app.exception
    board = app.dataframe[1].value.set_index("model")
    shown = board.loc["Ridge", "to_own"]
    assert shown == 0 and not np.signbit(shown)


def test_page_of_a_ridge_run_has_its_weights_in_place_of_attention(open_page, finished, store):
    run = store.create_run(finished.config.updated(kind="ridge"), name="A ridge")
    timellm.fit(run.config, run_dir=run.run_dir)
    store.finish(run.id, "finished", summary=RunFolder(run.run_dir).summary())
    for page in ("forecast", "metrics", "runs", "attention"):
        app = open_page(page, run=run.id)
        assert not app.exception, page
    assert "no attention over text prototypes" in app.caption[0].value and app.get("plotly_chart")
    shown = {metric.label: metric.value for metric in open_page("runs", run=run.id).metric}
    assert shown["Best validation"] != "–"
    assert not {"Train loss", "Validation MSE"} & shown.keys(), "nothing is trained step by step"


def test_chosen_metric_ranks_the_board_and_names_the_charts(open_page, finished):
    app = open_page("metrics", run=finished.id)
    app.selectbox(key="metric").select("smape").run()
    assert not app.exception
    assert app.dataframe[0].value.columns[1] == "smape"
    titles = [
        json.loads(one.proto.spec)["layout"].get("yaxis", {}).get("title", {}).get("text")
        for one in app.get("plotly_chart")
    ]
    assert "SMAPE, %" in titles
