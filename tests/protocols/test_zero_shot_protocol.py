"""The zero-shot protocol: trained on one set and scored on another, and steps that differ are brought together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.protocols.conftest import small_ett
from timellm.errors import CheckpointError, ConfigError
from timellm.forecasting.transfer import config_elsewhere, score_elsewhere
from timellm.protocols.protocol import Measured
from timellm.protocols.sets import find_set
from timellm.protocols.zero_shot import ZERO_SHOT, table_settings


@pytest.fixture
def pair(folder):
    """The folder with a second set, of the same channels with other numbers."""
    frame = pd.read_csv(small_ett(folder / "ETTh2.csv"))
    frame[["HUFL", "OT"]] = 3 * frame[["OT", "HUFL"]].to_numpy()[::-1]
    frame.to_csv(folder / "ETTh2.csv", index=False)
    return folder


def test_cells_are_the_pairs_whose_files_are_there(pair):
    plan = ZERO_SHOT.plan(ZERO_SHOT.asked(pair, {"models": ["ridge", "linear_path"], "horizons": ["12"]}))
    found = [(cell.key["set"], cell.key["target"], cell.key["model"]) for cell in plan.cells]
    assert found == [
        ("ETTh1", "ETTh2", "ridge"), ("ETTh1", "ETTh2", "linear_path"),
        ("ETTh2", "ETTh1", "ridge"), ("ETTh2", "ETTh1", "linear_path"),
    ]  # fmt: skip
    assert {one.name for one in plan.missing} == {"ETTm1.csv", "ETTm2.csv"}
    assert {cell.config.forecaster.linear_maps for cell in plan.cells} == {"shared"}
    with pytest.raises(ConfigError, match="--horizons: ETTh1 has no 7; it has 12, 24"):
        ZERO_SHOT.plan(ZERO_SHOT.asked(pair, {"horizons": ["7"]}))


@pytest.mark.parametrize("decided", ["channels=OT", "split=60%/20%/20%", "horizon=3", "training-rows=9"])
def test_setting_that_the_options_decide_is_refused(pair, decided):
    with pytest.raises(ConfigError, match="the options of the protocol decide this setting"):
        ZERO_SHOT.plan(ZERO_SHOT.asked(pair, {}, [decided]))


def test_cell_is_scored_on_the_other_set_beside_the_ridge_there(pair, tmp_path):
    given = {"pairs": ["ETTh1-ETTh2"], "models": ["ridge"], "horizons": ["12"]}
    (cell,) = ZERO_SHOT.plan(ZERO_SHOT.asked(pair, given)).cells
    timellm.fit(cell.config, run_dir=tmp_path / "run")
    numbers = ZERO_SHOT.measure(cell, tmp_path / "run")
    (tmp_path / "scored").mkdir()
    config = config_elsewhere(tmp_path / "run", pair / "ETTh2.csv", {"split": "240/120/120"})
    found = score_elsewhere(tmp_path / "run", config, tmp_path / "scored")
    assert numbers["mse"] == found.scores.error("Ridge from ETTh1", "mse_scaled")
    assert numbers["mae_ridge"] == found.scores.error("Ridge", "mae_scaled")
    rules = [one for one in found.scores.models if "Ridge" not in one]
    assert numbers["mse_rule"] == np.nanmin([found.scores.error(one, "mse_scaled") for one in rules])
    assert numbers["windows"] == 3 * (120 - 12 + 1) and "Ridge from ETTh1" in numbers["verdict"]
    measured = Measured(cell.key, {}, numbers, 1.0, 100.0, "a machine", {}, "now")
    table = ZERO_SHOT.table([measured])
    (row,) = table.rows
    assert row[:2] == ("ETTh1", "ETTh2") and f"{numbers['mse']:.4f}" in row
    (pair / "ETTh2.csv").unlink()
    with pytest.raises(CheckpointError, match="put it back beside"):
        ZERO_SHOT.measure(cell, tmp_path / "run")


def test_finer_set_is_averaged_to_the_step_of_the_coarser_one():
    hours, quarters = find_set("ETTh1"), find_set("ETTm1")
    assert table_settings(quarters, hours, step="coarser")["repair"] == ("resample:h:mean",)
    assert table_settings(quarters, hours, step="coarser")["split"] == "8640/2880/2880"
    assert "repair" not in table_settings(hours, quarters, step="coarser")
    assert table_settings(hours, quarters, step="coarser")["split"] == hours.split
    assert table_settings(quarters, hours, step="own")["split"] == quarters.split


def test_two_sets_of_one_station_are_said():
    numbers = {"context": 48, "mse": 1.0, "mae": 1.0, "mse_ridge": 1.0, "mse_rule": 2.0, "windows": 9, "notes": []}
    key = {"set": "ETTh1", "target": "ETTm1", "step": "coarser", "horizon": 96, "model": "ridge", "seed": 0}
    table = ZERO_SHOT.table([Measured(key, {}, numbers, None, None, "a machine", {}, "now")])
    assert any("no transfer to an unseen series" in note for note in table.notes)
