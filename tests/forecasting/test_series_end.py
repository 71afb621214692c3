"""Series that end at different times: forecasts from the table's end, or from the end of each series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.errors import ConfigError, DataError, LedgerError
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.ensemble import ensemble_config
from timellm.forecasting.fitted import FittedRun
from timellm.ledger.keeping import keep
from timellm.pipeline import fit

ENDS = {"long": "2024-05-01", "early": "2024-04-20", "first": "2024-03-20"}
"""The test part begins on 2024-04-03: `first` ends before it."""
HORIZON = 5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng, parts = np.random.default_rng(0), []
    for number, (name, end) in enumerate(ENDS.items()):
        days = pd.date_range("2023-12-01", end, freq="D")
        values = 10 * (number + 1) + np.sin(np.arange(len(days)) * 2 * np.pi / 7) + rng.normal(0, 0.2, len(days))
        parts.append(pd.DataFrame({"unique_id": name, "ds": days, "y": values}))
    file = tmp_path_factory.mktemp("series") / "shops.csv"
    pd.concat(parts).to_csv(file, index=False)
    return file


def config(path, **settings) -> RunConfig:
    return RunConfig.create(
        path, kind="ridge", context=14, horizon=HORIZON, split="100/24/29", forecast_from="series_end", **settings
    )


@pytest.fixture(scope="module")
def result(path, tmp_path_factory):
    return fit(config(path), run_dir=tmp_path_factory.mktemp("runs") / "run")


def test_each_series_is_forecast_from_its_own_end_with_its_own_timestamps(result):
    future = RunFolder(result.run_dir).future()
    assert set(future["unique_id"]) == set(ENDS)
    for name, end in ENDS.items():
        steps = pd.date_range(end, periods=HORIZON + 1, freq="D")[1:]
        assert list(future.loc[future["unique_id"] == name, "ds"]) == list(steps)
    note = (
        "Of 3 series, 2 ended before the table and are forecast from their own last value; the earliest forecast, that"
        " of 'first', begins at 2024-03-21."
    )
    assert note in result.summary["notes"]


def test_forecast_from_the_end_of_a_series_is_that_of_a_table_which_ends_there(result):
    run = FittedRun.load(result.run_dir)
    whole = run.forecast(levels=(80,)).set_index("unique_id")
    for name, end in ENDS.items():
        cut = replace(run.table, values=run.table.values.loc[:end])
        alone = run.forecast_channels(cut, (name,), levels=(80,)).set_index("unique_id")
        pd.testing.assert_frame_equal(whole.loc[[name]], alone)


def test_bands_and_other_models_begin_where_the_forecast_does(result):
    folder = RunFolder(result.run_dir)
    banded = folder.future((80,))
    pd.testing.assert_frame_equal(banded, FittedRun.load(result.run_dir).forecast(levels=(80,)))
    own = banded[banded["unique_id"] == "first"].set_index("ds")["yhat"]
    last = folder.table().values["first"].dropna().iloc[-1]
    others = folder.run_forecasts().future("first", own)
    np.testing.assert_allclose(others["Last value"], np.full(HORIZON, last))
    assert list(others["Last value"].index) == list(own.index)


def test_series_that_ended_early_has_no_forecast_from_the_end_of_the_table(result, path, tmp_path):
    plain = fit(config(path).updated(forecast_from="table_end"), run_dir=tmp_path / "plain")
    future = RunFolder(plain.run_dir).future()
    assert list(future["unique_id"].unique()) == ["long"]
    mine = RunFolder(result.run_dir).future()
    pd.testing.assert_frame_equal(mine[mine["unique_id"] == "long"].reset_index(drop=True), future)
    assert plain.summary["test"] == result.summary["test"]


def test_ensemble_forecasts_the_series_whose_forecasts_begin_together(result, path, tmp_path):
    other = fit(config(path).updated(kind="naive"), run_dir=tmp_path / "other")
    made = ensemble_config([result.run_dir, other.run_dir])
    assert made.task.forecast_from == "table_end"
    future = RunFolder(fit(made, run_dir=tmp_path / "ensemble").run_dir).future()
    mine, theirs = (RunFolder(one.run_dir).future().set_index("unique_id")["yhat"] for one in (result, other))
    assert list(future["unique_id"].unique()) == ["long"]
    np.testing.assert_allclose(future["yhat"], (mine["long"] + theirs["long"]).to_numpy() / 2, rtol=1e-6)


def test_newer_table_whose_series_is_too_short_is_refused_by_its_own_length(result):
    run = FittedRun.load(result.run_dir)
    values = run.table.values.copy()
    values.loc[values.index[12] :, "early"] = np.nan
    with pytest.raises(DataError, match="channel 'early' has 12 rows before its forecast begins, and the run reads"):
        run.forecast(replace(run.table, values=values))
    values = run.table.values.copy()
    values.loc["2024-04-15", "early"] = np.nan
    with pytest.raises(DataError, match=r"channel 'early' misses 1 of its last 14 values, the first at 2024-04-15"):
        run.forecast(replace(run.table, values=values))


def test_ledger_refuses_forecasts_that_begin_at_different_times(result):
    with pytest.raises(LedgerError, match="begin at different times, each after the last value of its series"):
        keep(result.run_dir, by="Ada")


def test_columns_known_ahead_and_ends_of_series_are_refused_together(path):
    with pytest.raises(ConfigError, match="'forecast_from' is 'series_end', and columns known ahead are given"):
        config(path, known_ahead=("promotion",))
