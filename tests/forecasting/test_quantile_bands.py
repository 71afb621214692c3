"""A run whose model gives quantiles: bands are made of them everywhere alike, and the card says what that is worth."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.cli import main
from timellm.data.prepared import PreparedData
from timellm.errors import CheckpointError
from timellm.evaluation.coverage import ADAPTIVE, COVERAGE, OWN, ROUND, SPLIT, CoverageCard
from timellm.evaluation.intervals import band_columns
from timellm.evaluation.probabilistic import weighted_quantile_loss
from timellm.files.parquetfile import read_parquet, write_parquet
from timellm.forecasting.anomalies import new_points, points_of_channel
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import INTERVALS
from timellm.forecasting.kept_quantiles import FUTURE_QUANTILES, TEST_QUANTILES
from timellm.jobs.archive.importing import _check
from timellm.pipeline import evaluate

LEVELS = (50, 80, 83, 95)
SETTINGS = {
    "kind": "dlinear", "context": 48, "horizon": 12, "split": "200/100/100", "moving_average": 5, "steps": 60,
    "batch_size": 32, "validations": 3, "validation_windows": 60, "quantiles": (0.1, 0.5, 0.9), "device": "cpu",
    "pinned_windows": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory, hourly_csv) -> Path:
    """A finished run of a second."""
    folder = tmp_path_factory.mktemp("quantiles") / "run"
    timellm.fit(timellm.RunConfig.create(hourly_csv, **SETTINGS), run_dir=folder)
    return folder


@pytest.fixture
def folder(made, tmp_path) -> RunFolder:
    """A copy to be changed."""
    return RunFolder(Path(shutil.copytree(made, tmp_path / "run")))


def test_bands_beyond_the_data_never_cross_and_are_those_of_the_loaded_run(made):
    folder = RunFolder(made)
    future = folder.future(LEVELS)
    low = future[[band_columns(level)[0] for level in LEVELS]].to_numpy()
    high = future[[band_columns(level)[1] for level in LEVELS]].to_numpy()
    assert (np.diff(low, axis=1) < 0).all() and (np.diff(high, axis=1) > 0).all()
    assert (low[:, -1] < future["yhat"]).all() and (future["yhat"] < high[:, -1]).all()
    loaded = timellm.Forecaster.load(made).forecast(levels=LEVELS)
    size = (high - low).max()  # half precision keeps a thousandth of a width
    np.testing.assert_allclose(loaded.iloc[:, 2:], future.iloc[:, 2:], atol=2e-3 * size)
    assert not np.allclose(low[:, 1] + high[:, 1], 2 * future["yhat"]), "they would lie even round the forecast"


def test_bands_of_a_test_window_know_nothing_of_what_came_after_its_cut_off(made):
    folder = RunFolder(made)
    whole = folder.run_forecasts()
    windows, table = whole.of("load"), folder.table()
    origin = int(whole.index.origin[windows.rows[40]])
    values = table.values.copy()
    values.iloc[origin:] = np.random.default_rng(0).normal(0, 1e5, values.iloc[origin:].shape)
    prepared = PreparedData.of(replace(table, values=values), folder.config(), scaler=folder.scaler())
    found = replace(whole, prepared=prepared).of("load").bands(40, (80, 95))
    pd.testing.assert_frame_equal(found, windows.bands(40, (80, 95)))
    assert found.notna().all(axis=None)


def test_card_compares_quantiles_as_they_are_conformalised_and_bands_without_them(made):
    card = RunFolder(made).coverage()
    own = card.rows[(card.rows["model"] == "DLinear") & (card.rows["by"] == "overall")]
    assert set(own["method"]) == {ADAPTIVE, SPLIT, OWN, ROUND} and card.measured.quantiles == (0.1, 0.5, 0.9)
    said = card.made_of(80)
    assert said.startswith("Bands are made of the model's own quantiles at 10, 50, 90 %, conformalised on")
    assert f"the quantiles held {card.achieved(80, OWN):.1%} of the values in the 80 % band" in said
    assert f"would have held {card.achieved(80, ROUND):.1%}" in said
    assert abs(card.achieved(80, SPLIT) - 0.8) < 0.15
    assert card.to_dict()["quantile_loss"].keys() == {ADAPTIVE, SPLIT, OWN, ROUND}
    assert set(RunFolder(made).intervals().models) == set(RunFolder(made).scores().models)


def test_losses_of_the_card_are_those_of_the_ends_of_its_bands(made):
    """Worked out from Winkler scores there, and here from the ends themselves."""
    folder, levels = RunFolder(made), (50, 80, 90, 95)
    intervals, prepared = folder.intervals(), folder.prepared()
    index, forecast_WH = folder.test_windows(prepared)
    adapted = intervals.models["DLinear"]
    plain = replace(intervals, models={"DLinear": replace(adapted, adapted_NSG=None)})
    lower_WHL, upper_WHL = plain.bands(prepared, index, forecast_WH, levels)
    scale_W = prepared.scaler.scale[index.channel]
    actual_WH = prepared.values[index.origin[:, None] + np.arange(12), index.channel[:, None]]
    ends_WHQ = np.concatenate([lower_WHL[..., ::-1], upper_WHL], axis=-1) / scale_W[:, None, None]
    levels_Q = np.array([0.5 - one / 200 for one in levels[::-1]] + [0.5 + one / 200 for one in levels])
    expected = weighted_quantile_loss(actual_WH / scale_W[:, None], ends_WHQ, levels_Q=levels_Q)
    card = folder.coverage()
    known = CoverageCard(card.rows[card.rows["level"].isin(levels)], card.measured)
    assert known.quantile_loss(SPLIT) == pytest.approx(expected, rel=1e-3)
    assert 0 < known.scaled_crps(SPLIT) < 1


def test_evaluating_again_gives_the_same_quantiles_and_intervals(folder):
    names = (TEST_QUANTILES, FUTURE_QUANTILES, INTERVALS, COVERAGE)
    before = {name: (folder.path / name).read_bytes() for name in names}
    evaluate(folder.path)
    assert {name: (folder.path / name).read_bytes() for name in names} == before


def test_anomalies_are_held_against_the_same_bands(made):
    folder = RunFolder(made)
    points = points_of_channel(folder.run_forecasts(), "load", 80)
    first = folder.run_forecasts().of("load").bands(0, (80,))
    assert points["lower"].iloc[0] == pytest.approx(first["yhat-lo-80"].iloc[0])
    assert points["upper"].iloc[0] == pytest.approx(first["yhat-hi-80"].iloc[0])
    run = timellm.Forecaster.load(made)
    grown = pd.concat([run.table.values, run.table.values.iloc[:24]], ignore_index=True)
    grown.index = pd.date_range(run.table.values.index[0], periods=len(grown), freq="h", name="date")
    found = new_points(run, replace(run.table, values=grown), 80)
    assert len(found) == 48 and (found["lower"] < found["upper"]).all()


@pytest.mark.parametrize("spoil", ["gone", "bytes", "levels"])
def test_kept_quantiles_that_do_not_fit_are_refused_with_what_to_do(folder, spoil):
    path = folder.path / FUTURE_QUANTILES
    if spoil == "gone":
        path.unlink()
    elif spoil == "bytes":
        data = bytearray(path.read_bytes())
        data[80] ^= 4
        path.write_bytes(data)
    else:
        rows = read_parquet(folder.path / INTERVALS)
        facts = rows.schema.metadata[b"timellm.intervals"].replace(b"[0.1, 0.5, 0.9]", b"[0.1, 0.2, 0.3]")
        write_parquet(folder.path / INTERVALS, rows.replace_schema_metadata({b"timellm.intervals": facts}))
    with pytest.raises(CheckpointError, match="evaluate the run again"):
        folder.future((80,))


def test_archive_of_a_run_is_read_with_its_quantiles(folder):
    _check(folder.path)
    data = bytearray((folder.path / TEST_QUANTILES).read_bytes())
    data[80] ^= 4
    (folder.path / TEST_QUANTILES).write_bytes(data)
    with pytest.raises(CheckpointError, match=r"test_quantiles\.parquet is damaged"):
        _check(folder.path)


def test_command_says_of_what_bands_are_made(made, capsys):
    assert main(["evaluate", str(made), "--stored"]) == 0
    assert "Bands are made of the model's own quantiles at 10, 50, 90 %" in capsys.readouterr().out


def test_run_of_an_earlier_version_has_a_card_without_losses(folder):
    path = folder.path / COVERAGE
    rows = read_parquet(path)
    write_parquet(path, rows.drop_columns("size"))
    card = folder.coverage()
    assert np.isnan(card.quantile_loss()) and np.isnan(card.scaled_crps()) and card.achieved(80) > 0.5
    assert set(card.to_dict()["quantile_loss"].values()) == {None}
