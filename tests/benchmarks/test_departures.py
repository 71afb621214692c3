"""The departures benchmark measures what it says: one setting at a time, each one really changed."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from benchmarks import departures
from tests.conftest import SMALL
from timellm.config import RunConfig


def test_every_departure_changes_one_setting_of_the_defaults():
    defaults = RunConfig.create("a.csv")
    for name, settings in departures.DEPARTURES.items():
        assert set(defaults.differences(defaults.updated(**settings))) == set(settings), name
        assert len(settings) == 1


def test_first_seed_trains_everything_and_the_others_repeat_what_decides():
    rows = list(departures.trials([0, 1], [0.001, 0.002], base_rate=0.002))
    assert [row.name for row in rows if row.settings["seed"] == 1] == ["defaults", "prototype_source=map"]
    assert {row.name for row in rows} == {"defaults", "prototype_source=map", *departures.DEPARTURES}
    rates = [row.settings["learning_rate"] for row in rows if row.name == "defaults" and row.settings["seed"] == 0]
    assert rates == [0.002, 0.001]


@pytest.fixture
def measured(hourly_csv, tiny_backbone, tmp_path, monkeypatch, capsys) -> pd.DataFrame:
    settings = SMALL | {"backbone": tiny_backbone, "steps": 2, "validations": 1}
    lengths = {name: settings.pop(name) for name in ("context", "horizon", "steps")}
    words = [f"--{name}={value}" for name, value in lengths.items()]
    words += [f"--set={name}={value}" for name, value in settings.items()]
    words += ["--windows=20", "--seeds=0", "--rates=0.002", "--only=digits", f"--out={tmp_path / 'rows.csv'}"]
    monkeypatch.setattr(sys, "argv", ["departures", str(hourly_csv), *words])
    departures.main()
    assert "statistic_digits=4" in capsys.readouterr().out
    return pd.read_csv(tmp_path / "rows.csv")


def test_rows_are_written_with_scores_and_prompt_lengths(measured):
    assert measured["trial"].tolist() == ["statistic_digits=0", "statistic_digits=3", "statistic_digits=4"]
    assert measured[["mse", "mae", "cpu_seconds_per_step"]].gt(0).all(axis=None)
    everything, three, four = measured["prompt_tokens"]
    assert three < four < everything
