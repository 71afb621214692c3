"""A finished run on another table: its forecasts of every test window there, beside what is fitted to that table."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.conftest import SMALL
from timellm.cli import main
from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.errors import ConfigError, DataError
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.transfer import config_elsewhere, score_elsewhere

LENGTHS = {"context": 48, "horizon": 12}


@pytest.fixture(scope="module")
def other_csv(tmp_path_factory):
    """Three hourly channels with other names, on another scale, of other length than the run's table."""
    rows = np.arange(520)
    noise = np.random.default_rng(5).normal(0, 0.2, (3, len(rows)))
    frame = pd.DataFrame({"date": pd.date_range("2021-03-01", periods=len(rows), freq="h")})
    for number, name in enumerate(("north", "south", "west")):
        frame[name] = 1000 * (number + 1) * (np.sin((rows + 5 * number) * 2 * np.pi / 24) + noise[number])
    path = tmp_path_factory.mktemp("other") / "other.csv"
    frame.to_csv(path, index=False)
    return path


def fitted(path, folder, **settings):
    timellm.fit(RunConfig.create(path, **LENGTHS, **settings), run_dir=folder)
    return folder


@pytest.fixture(scope="module")
def ridge_run(tmp_path_factory, hourly_csv):
    plain = {"kind": "ridge", "linear_maps": "shared", "linear_features": "plain"}
    return fitted(hourly_csv, tmp_path_factory.mktemp("transfer") / "ridge", **plain)


def test_run_forecasts_every_test_window_of_a_table_with_other_channels(ridge_run, other_csv, tmp_path):
    found = score_elsewhere(ridge_run, config_elsewhere(ridge_run, other_csv, {}), tmp_path)
    assert found is not None and found.scores.own == "Ridge from hourly"
    assert {"Ridge", "Last value"} <= set(found.scores.models), "fitted to the other table"
    # By hand: the run's map on z-scores by the other table's own training rows.
    config = found.config
    prepared = PreparedData.of(load_table(config.data), config)
    values = prepared.values[: int(520 * 0.7)]
    np.testing.assert_allclose(prepared.scaler.mean, values.mean(axis=0))
    index = prepared.windows("test")
    assert len(index) == 3 * (520 * 20 // 100 - 12 + 1)
    weights_FH = Ridge.load(ridge_run, RunFolder(ridge_run).config()).weights_MFH[0]
    scaled = (prepared.values - values.mean(axis=0)) / values.std(axis=0)
    errors = []
    for channel, origin in zip(index.channel, index.origin, strict=True):
        context = scaled[origin - 48 : origin, channel]
        read = np.append(context - context.mean(), context.std())
        forecast = (read @ weights_FH + context.mean()) * values.std(axis=0)[channel] + values.mean(axis=0)[channel]
        errors.append(np.abs(prepared.values[origin : origin + 12, channel] - forecast).mean())
    assert found.scores.error("Ridge from hourly", "mae") == pytest.approx(np.mean(errors), rel=1e-6)
    assert int(found.scores.overall.set_index("model").loc["Ridge from hourly", "windows"]) == len(index)


def test_network_with_a_prompt_is_told_of_the_table_that_it_forecasts(
    hourly_csv, other_csv, tiny_backbone, tmp_path, monkeypatch
):
    from timellm.forecasters.time_llm import network as networks

    small = SMALL | LENGTHS | {"linear_path": "fixed", "linear_maps": "shared", "backbone": str(tiny_backbone)}
    run = tmp_path / "run"
    timellm.fit(RunConfig.create(hourly_csv, **small), run_dir=run)
    told = []
    begin = networks.TimeLLM.__init__

    def listening(self, config, **given):
        told.append(given["description"])
        begin(self, config, **given)

    monkeypatch.setattr(networks.TimeLLM, "__init__", listening)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    (tmp_path / "scored").mkdir()
    found = score_elsewhere(run, config_elsewhere(run, other_csv, {}), tmp_path / "scored")
    assert found is not None and found.scores.own == "Time-LLM from hourly"
    assert len(told) == 1 and told[0].startswith("other holds 3 channels (north, south, west)")
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    if RunFolder(run).adds_nothing():
        assert any("No step of the run's training was kept" in note for note in found.notes)


def test_maps_by_channel_are_refused_with_the_setting_that_helps(hourly_csv, other_csv, tmp_path):
    run = fitted(hourly_csv, tmp_path / "run", kind="ridge", linear_maps="by_channel")
    with pytest.raises(ConfigError, match="a part for each channel of that table; train it with linear_maps=shared"):
        score_elsewhere(run, config_elsewhere(run, other_csv, {}), tmp_path)


def test_simple_rule_is_refused(hourly_csv, other_csv, tmp_path):
    run = fitted(hourly_csv, tmp_path / "run", kind="naive")
    with pytest.raises(ConfigError, match="cannot forecast another table than hourly: its rule was chosen on that"):
        score_elsewhere(run, config_elsewhere(run, other_csv, {}), tmp_path)


def test_another_step_between_rows_is_said_and_refused_where_the_calendar_is_read(hourly_csv, ridge_run, tmp_path):
    frame = pd.read_csv(hourly_csv, parse_dates=["date"])
    frame["date"] = pd.date_range("2024-01-01", periods=len(frame), freq="15min")
    frame.to_csv(tmp_path / "quarters.csv", index=False)
    found = score_elsewhere(ridge_run, config_elsewhere(ridge_run, tmp_path / "quarters.csv", {}), tmp_path)
    assert "The run learned from one row every hour; this table has one row every 15 minutes." in found.notes
    run = fitted(hourly_csv, tmp_path / "run", kind="ridge", linear_maps="shared", linear_features="calendar")
    with pytest.raises(DataError, match="reads the calendar; resample the table"):
        score_elsewhere(run, config_elsewhere(run, tmp_path / "quarters.csv", {}), tmp_path)


def test_run_that_was_told_what_is_known_ahead_is_refused(ridge_run, other_csv, tmp_path, monkeypatch):
    config = RunFolder(ridge_run).config().updated(known_holidays="AU")
    monkeypatch.setattr(RunFolder, "config", lambda self: config)
    with pytest.raises(ConfigError, match="told what is known ahead"):
        score_elsewhere(ridge_run, config_elsewhere(ridge_run, other_csv, {}), tmp_path)


def test_command_shows_scores_and_verdict_and_takes_settings_of_the_table(ridge_run, other_csv, capsys):
    words = ["evaluate", str(ridge_run), "--data", str(other_csv), "--set", "split=300/60/100", "--json"]
    assert main([*words, "--set", "channels=north,west"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"]["own"] == "Ridge from hourly" and said["verdict"]["sentence"]
    assert said["config"]["task"]["split"] == "300/60/100" and said["scored"]["windows"] == 2 * (100 - 12 + 1)
    assert main(["evaluate", str(ridge_run), "--data", str(other_csv)]) == 0
    shown = capsys.readouterr().out
    assert "Ridge from hourly" in shown and "models" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "horizon=24"], "setting 'horizon' is the run's own"),
        (["--set", "linear_maps=shared"], "setting 'linear_maps' is the run's own"),
        (["--stored"], "--stored shows the run's own scores"),
    ],
)
def test_command_says_what_does_not_go_with_another_table(ridge_run, other_csv, capsys, words, said):
    assert main(["evaluate", str(ridge_run), "--data", str(other_csv), *words]) == 2
    assert said in capsys.readouterr().err


def test_settings_without_another_table_are_refused(ridge_run, capsys):
    assert main(["evaluate", str(ridge_run), "--set", "decimal=comma"]) == 2
    assert "--data is not given" in capsys.readouterr().err
