"""Pinned windows: which are chosen, that looking on changes nothing, and that an interruption leaves no trace."""

from __future__ import annotations

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
from timellm.training.checkpoint import ADAPTER
from timellm.training.pinned import PINNED, PinnedWindows, pinned_positions

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
    np.testing.assert_allclose(rows["epoch"], rows["step"] * config.training.batch_size / training_windows)
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
    again = forecaster.forecast_index(prepared, index)
    np.testing.assert_allclose(np.stack(last["yhat"]), again, rtol=1e-4)


def test_run_that_was_stopped_goes_on_with_the_sequence(folders, tmp_path):
    config, _ = folders
    run_dir, seen = tmp_path / "run", []
    timellm.fit(
        config, run_dir=run_dir, on_progress=lambda now: seen.append(now.done if now.phase == "training" else 0),
        should_stop=lambda: bool(seen) and seen[-1] == 7,
    )  # fmt: skip
    # A run that is stopped is validated once more.
    assert pd.read_parquet(run_dir / PINNED)["step"].unique().tolist() == [3, 6, 7]
    timellm.fit(config, run_dir=run_dir)
    steps = pd.read_parquet(run_dir / PINNED)["step"].tolist()
    assert steps == [step for step in (3, 6, 7, 9, 12) for _ in range(3)]


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
    pinned.go_on_from(0)
    assert not pinned.path.exists()


def test_damaged_file_is_refused(folders, tmp_path):
    config, found = folders
    (tmp_path / PINNED).write_bytes((found[3] / PINNED).read_bytes()[:-10])
    prepared = PreparedData.of(RunFolder(found[3]).table(), config)
    pinned = PinnedWindows(tmp_path, prepared, prepared.windows("validation"), count=3, steps_per_epoch=1.0)
    with pytest.raises(CheckpointError, match="is damaged"):
        pinned.go_on_from(3)
