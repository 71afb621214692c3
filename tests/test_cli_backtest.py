"""The verb `backtest`: the numbers of the package, as text and as JSON, and errors in one line."""

import json

import pytest

import timellm
from tests.conftest import SMALL
from timellm.cli.command import main
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.backtest import Cutoffs, backtest


@pytest.fixture(scope="module")
def folder(tmp_path_factory, hourly_csv):
    path = tmp_path_factory.mktemp("backtest") / "run"
    config = timellm.RunConfig.create(hourly_csv, kind="naive", context=SMALL["context"], horizon=SMALL["horizon"])
    timellm.fit(config, run_dir=path)
    return path


def test_json_has_the_numbers_of_the_package(folder, capsys):
    assert main(["backtest", str(folder), "--step", "12", "--cutoffs", "3", "--worst", "2", "--json"]) == 0
    found, expected = json.loads(capsys.readouterr().out), backtest(RunFolder(folder), Cutoffs(12, 3))
    assert found["cutoffs"] == 3 and found["windows"] == len(expected.windows)
    assert found["overall"][found["own"]]["mae"] == pytest.approx(expected.overall[expected.own]["mae"])
    assert len(found["worst"]) == 2 and found["worst"][0]["error"] >= found["worst"][1]["error"]
    assert {row["hour"] for row in found["by"]["hour"]} <= set(range(24))


def test_text_has_a_row_for_each_key(folder, capsys):
    assert main(["backtest", str(folder), "--by", "step", "--metric", "mse"]) == 0
    text = capsys.readouterr().out
    header = next(line for line in text.splitlines() if line.startswith("step"))
    assert header.split()[:4] == ["step", "mse", "mae", "mae_scaled"]
    assert "Worst windows, none of which overlap:" in text and text.count("\n") > SMALL["horizon"]


def test_what_cannot_be_shown_is_refused_in_one_line(folder, capsys, tmp_path):
    assert main(["backtest", str(folder), "--by", "month"]) == 2
    assert "cannot be shown by month: all its rows are of one" in capsys.readouterr().err
    assert main(["backtest", str(folder), "--metric", "owa"]) == 2
    assert "OWA is not worked out by window" in capsys.readouterr().err
    assert main(["backtest", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
