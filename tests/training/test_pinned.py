"""Pinned windows: which are chosen, that looking on changes nothing, and that an interruption leaves no trace."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import timellm
from tests.conftest import SMALL
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.validation import BASELINES, WINDOWS, PinnedForecasts, PinnedWindow, read_baselines
from timellm.training.checkpoint import ADAPTER
from timellm.training.pinned import PINNED, PinnedWindows, pinned_positions
from timellm.workspace import PROJECT

SETTINGS = {"steps": 12, "validations": 4, "validation_windows": 40, "patience": 20}


def index_of(*windows_by_channel: int) -> WindowIndex:
    channel = np.repeat(np.arange(len(windows_by_channel)), windows_by_channel)
    return WindowIndex(channel, np.concatenate([np.arange(count) for count in windows_by_channel]), 0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 50])
def test_pinned_windows_are_spread_over_channels_and_time(channels):
    index = index_of(*[80] * channels)
    chosen = pinned_positions(index, 4)
    assert len(chosen) == 4
    assert len(set(index.channel[chosen])) == min(channels, 4)
    assert index.origin[chosen].tolist() == [10, 30, 50, 70]


def test_no_more_windows_are_pinned_than_there_are():
    assert pinned_positions(index_of(1, 0, 2), 8).tolist() == [0, 1, 2]


@pytest.fixture(scope="module")
def folders(hourly_csv, tiny_backbone, tmp_path_factory):
    """The same run with and without pinned windows."""
    config = timellm.RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | SETTINGS))
    found = {}
    for count in (0, 3):
        found[count] = tmp_path_factory.mktemp("runs") / f"pinned{count}"
        timellm.fit(config.updated(pinned_windows=count), run_dir=found[count])
    return config.updated(pinned_windows=3), found


def test_looking_on_changes_no_bit_of_the_weights(folders):
    _, found = folders
    with_pinned, without = load_file(found[3] / ADAPTER), load_file(found[0] / ADAPTER)
    assert with_pinned.keys() == without.keys()
    assert all(torch.equal(with_pinned[name], without[name]) for name in without)
    assert (found[3] / "scores.json").read_bytes() == (found[0] / "scores.json").read_bytes()
    assert not (found[0] / PINNED).exists()


def test_every_validation_keeps_the_forecasts_in_original_units(folders):
    config, found = folders
    rows = pd.read_parquet(found[3] / PINNED)
    assert rows["step"].tolist() == [step for step in (3, 6, 9, 12) for _ in range(3)]
    training_windows = 2 * (280 - 48 - 12 + 1)
    np.testing.assert_allclose(rows["epoch"], rows["step"] * config.trained.batch_size / training_windows)
    assert rows["unique_id"].tolist()[:3] == ["load", "load", "price"]
    last = rows[rows["unique_id"] == "load"].iloc[-1]
    assert len(last["yhat"]) == 12
    assert 60 < np.mean(last["yhat"]) < 140


def test_last_forecasts_are_those_of_the_kept_weights(folders):
    """The best of this run is its last validation, so the saved network must repeat what was pinned there."""
    _, found = folders
    folder = RunFolder(found[3])
    assert folder.summary()["best_step"] == 12
    rows = pd.read_parquet(found[3] / PINNED)
    forecaster, prepared = timellm.Forecaster.load(found[3]), folder.prepared()
    last = rows[rows["step"] == 12]
    number = last["unique_id"].map(prepared.table.channels.index).to_numpy()
    index = WindowIndex(number, last["origin"].to_numpy(), 0)
    again = forecaster.forecaster.predict(prepared, index)
    np.testing.assert_allclose(np.stack(last["yhat"]), again, rtol=1e-4)


def test_run_that_was_stopped_goes_on_with_the_sequence(folders, tmp_path):
    config, _ = folders
    run_dir, seen = tmp_path / "run", []
    timellm.fit(
        config, run_dir=run_dir, on_progress=lambda now: seen.append(now.done if now.phase == "training" else 0),
        should_stop=lambda: bool(seen) and seen[-1] == 7,
    )  # fmt: skip
    # A run that is stopped is validated once more; when it goes on, that one does not count.
    assert pd.read_parquet(run_dir / PINNED)["step"].unique().tolist() == [3, 6, 7]
    timellm.fit(config, run_dir=run_dir)
    steps = pd.read_parquet(run_dir / PINNED)["step"].tolist()
    assert steps == [step for step in (3, 6, 9, 12) for _ in range(3)]


def test_what_was_kept_after_the_state_is_made_again(folders, tmp_path):
    """As after a kill between a validation's file and its state: nothing twice, nothing left of what was lost."""
    config, found = folders
    prepared = PreparedData.of(RunFolder(found[3]).table(), config)
    validated = prepared.windows("validation").evenly(40)
    (tmp_path / PINNED).write_bytes((found[3] / PINNED).read_bytes())
    pinned = PinnedWindows(tmp_path, prepared, validated, count=3, steps_per_epoch=55.25)
    pinned.go_on_from(8)
    assert pd.read_parquet(tmp_path / PINNED)["step"].unique().tolist() == [3, 6]
    rows = pd.read_parquet(found[3] / PINNED)
    for step in (9, 12):
        pinned.add(step, np.zeros((40, 12), np.float32))
    again = pd.read_parquet(tmp_path / PINNED)
    assert again["step"].tolist() == rows["step"].tolist()
    pinned.go_on_from(None)
    assert not pinned.path.exists()


def test_what_is_kept_is_read_back_with_what_came_and_the_best_quick_forecast(folders):
    _, found = folders
    seen = PinnedForecasts.read(found[3])
    assert seen.step.tolist() == [3, 6, 9, 12] and len(seen.windows) == 3
    folder = RunFolder(found[3])
    prepared, quick, baselines = folder.prepared(), folder.quick(), read_baselines(found[3])
    table = folder.table().values
    for window in seen.windows:
        assert len(window.measured) == 48 + 12 and window.forecast_KH.shape == (4, 12)
        pd.testing.assert_series_equal(
            window.measured,
            table[window.channel].loc[window.measured.index],
            check_freq=False,
            check_index_type=False,
            check_names=False,
        )
        assert window.cutoff == window.measured.index[47]
        best = min(baselines, key=baselines.get)
        assert window.reference_name == best
        place = prepared.table.values.index.get_loc(window.ahead.index[0])
        index = WindowIndex(np.array([prepared.table.channels.index(window.channel)]), np.array([place]), 0)
        np.testing.assert_allclose(window.reference, quick.rows[best].predict(prepared, index)[0])
        assert window.reference_error() == pytest.approx(float(np.abs(window.reference - window.ahead).mean()))
        expected = np.abs(window.forecast_KH - window.ahead.to_numpy()).mean(axis=1)
        np.testing.assert_allclose(window.errors(), expected)


def test_baselines_are_scored_on_the_windows_of_every_validation(folders):
    _, found = folders
    folder = RunFolder(found[3])
    prepared, quick = folder.prepared(), folder.quick()
    index = prepared.windows("validation").evenly(40)
    actual = prepared.values[index.origin[:, None] + np.arange(12), index.channel[:, None]]
    baselines = read_baselines(found[3])
    assert set(baselines) == set(quick.rows)
    for name, error in baselines.items():
        off = (quick.rows[name].predict(prepared, index) - actual) / prepared.scaler.scale[index.channel, None]
        assert error == pytest.approx(np.mean(off**2))
    assert read_baselines(found[0]) == baselines, "without pinned windows, too"


def test_run_without_pinned_windows_has_none_to_show(folders, tmp_path):
    _, found = folders
    assert PinnedForecasts.read(found[0]) is None
    assert PinnedForecasts.read(tmp_path) is None
    assert read_baselines(tmp_path) == {}


def test_missing_value_counts_neither_as_hit_nor_as_miss():
    hours = pd.date_range("2024-01-01", periods=5, freq="h")
    measured = pd.Series([1.0, 2.0, 3.0, np.nan, 5.0], index=hours)
    window = PinnedWindow(
        "load", measured, np.array([3.0, 3.0, 4.0]), "Drift", np.array([[4.0, 9.0, 5.0], [3.0, np.nan, 5.0]])
    )
    assert window.errors().tolist() == [0.5, 0.0]
    assert window.reference_error() == 0.5


@pytest.mark.parametrize("damage", ["missing", "cut", "others", "text"])
def test_damaged_windows_are_refused_with_the_reason(folders, tmp_path, damage):
    _, found = folders
    for name in (PINNED, WINDOWS):
        (tmp_path / name).write_bytes((found[3] / name).read_bytes())
    path = tmp_path / WINDOWS
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "others":
        pd.read_parquet(path).iloc[1:].to_parquet(path)
    else:
        path.write_text("no table")
    with pytest.raises(CheckpointError, match=r"pinned windows of the run in .* cannot be read"):
        PinnedForecasts.read(tmp_path)


def test_damaged_baselines_are_refused(tmp_path):
    (tmp_path / BASELINES).write_text('{"Seasonal naive": "low"}')
    with pytest.raises(CheckpointError, match="is damaged"):
        read_baselines(tmp_path)


def test_looking_on_needs_no_torch():
    code = "import sys, timellm.forecasting.validation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT).returncode == 0


def test_damaged_file_is_refused(folders, tmp_path):
    config, found = folders
    (tmp_path / PINNED).write_bytes((found[3] / PINNED).read_bytes()[:-10])
    prepared = PreparedData.of(RunFolder(found[3]).table(), config)
    pinned = PinnedWindows(tmp_path, prepared, prepared.windows("validation"), count=3, steps_per_epoch=1.0)
    with pytest.raises(CheckpointError, match="is damaged"):
        pinned.go_on_from(3)
