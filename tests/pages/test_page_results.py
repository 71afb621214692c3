"""Results of a finished run: the pickers decide what is drawn, and the numbers are the run's."""

import json

import numpy as np
import pandas as pd


def chart(app, number=0):
    return json.loads(app.get("plotly_chart")[number].proto.spec)


def traces(app, number=0):
    return {trace["name"]: trace for trace in chart(app, number)["data"]}


def test_forecast_draws_history_solid_and_future_dotted(open_page, finished):
    app = open_page("forecast", run=finished.id)
    drawn = traces(app)
    assert drawn["Forecast"]["line"]["dash"] == "dot"
    assert "dash" not in drawn["Measured"]["line"]
    table = app.dataframe[0].value
    assert table["Forecast"].tolist() == [1.0 + step for step in range(12)]


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
    assert set(traces(app)) == {"Measured", "Time-LLM", "Last value", "Seasonal naive"}
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
    assert set(board["model"]) == {"Time-LLM", "Last value", "Seasonal naive"}
    assert board["mae"].is_monotonic_increasing
    assert board.columns[:3].tolist() == ["rank", "model", "mae"]
    assert {"mse_scaled", "mae_scaled", "mase", "smape", "mape", "mspe", "rmse"} <= set(board.columns)


def test_chosen_metric_ranks_the_board_and_names_the_charts(open_page, finished):
    app = open_page("metrics", run=finished.id)
    app.selectbox(key="metric").select("smape").run()
    assert not app.exception
    assert app.dataframe[0].value.columns[2] == "smape"
    assert chart(app, 0)["layout"]["yaxis"]["title"]["text"] == "SMAPE, %"


def test_attention_labels_prototypes_with_words_and_marks_the_patch(open_page, finished):
    app = open_page("attention", run=finished.id)
    spec = chart(app)
    heat = next(trace for trace in spec["data"] if trace["type"] == "heatmap")
    assert len(heat["y"]) == 16
    assert all("price, cost" in label for label in heat["y"])
    first = spec["layout"]["shapes"][0]["x0"]
    app.slider(key="patch").set_value(1).run()
    assert not app.exception
    assert chart(app)["layout"]["shapes"][0]["x0"] < first


def test_attention_of_one_head_differs_from_the_mean(open_page, finished):
    app = open_page("attention", run=finished.id)
    mean = chart(app)["data"][1]["z"]
    app.selectbox(key="head").set_value(1).run()
    assert not app.exception
    assert chart(app)["data"][1]["z"] != mean
