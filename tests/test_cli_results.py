"""The verbs that read a run folder which `fit` has written: forecast, errors, attention."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm.cli import main
from timellm.config import RunConfig
from timellm.forecasting.artifacts import RunFolder
from timellm.workspace import PROJECT


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, hourly_csv, tiny_backbone):
    """A run folder written by the verb itself, and what that printed."""
    folder = tmp_path_factory.mktemp("fitted") / "run"
    small = ["layers=1", "context=48", "horizon=12", "prototypes=20", "heads=2", "steps=4", "batch_size=4"]
    small += ["validations=2", "validation_windows=16", f"backbone={tiny_backbone}"]
    words = ["fit", hourly_csv, "--run-dir", folder, "--json", *(word for each in small for word in ("--set", each))]
    command = [sys.executable, "-m", "timellm", *map(str, words)]
    return folder, subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)


def test_fit_fills_the_folder_and_shows_its_progress(fitted):
    folder, shown = fitted
    assert shown.returncode == 0, shown.stderr
    result = json.loads(shown.stdout)
    assert (result["run_dir"], result["stopped"], result["summary"]["steps"]) == (str(folder), False, 4)
    assert result["summary"]["test"]["mae"] > 0
    assert "training 4 of 4 steps" in shown.stderr
    assert "evaluating" in shown.stderr
    assert RunConfig.from_json((folder / "config.json").read_text()).model.horizon == 12


def test_forecast_writes_the_frame_that_follows_the_data(fitted, tmp_path, capsys):
    assert main(["forecast", str(fitted[0]), "--out", str(tmp_path / "f.csv"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    frame = pd.read_csv(tmp_path / "f.csv", parse_dates=["ds"])
    assert list(frame.columns) == ["unique_id", "ds", "yhat"]
    assert (said["rows"], len(frame), set(frame["unique_id"])) == (24, 24, {"load", "price"})
    assert frame["ds"].min() == pd.Timestamp("2024-01-01") + pd.Timedelta(hours=400)
    assert frame["yhat"].notna().all()


def test_forecast_goes_on_from_a_newer_table(fitted, hourly_csv, tmp_path, capsys):
    whole = pd.read_csv(hourly_csv)
    whole.iloc[100:300].to_csv(tmp_path / "newer.csv", index=False)
    words = ["forecast", str(fitted[0]), "--data", str(tmp_path / "newer.csv"), "--out", str(tmp_path / "f.csv")]
    assert main(words) == 0
    frame = pd.read_csv(tmp_path / "f.csv", parse_dates=["ds"])
    assert frame["ds"].min() == pd.Timestamp("2024-01-01") + pd.Timedelta(hours=300)
    assert f"{tmp_path / 'f.csv'}: 24 rows, 2 channels" in capsys.readouterr().out


def test_question_about_a_newer_table_is_answered_with_set(fitted, hourly_csv, tmp_path, capsys):
    # Thousands of load, such as 1.017: in a file with semicolons, point and comma are both possible.
    whole = pd.read_csv(hourly_csv).iloc[100:300]
    for name in ("load", "price"):
        whole[name] = [f"1.{100 + row % 800}" for row in range(len(whole))]
    newer, out = tmp_path / "newer.csv", tmp_path / "f.csv"
    whole.to_csv(newer, index=False, sep=";")
    words = ["forecast", str(fitted[0]), "--data", str(newer), "--out", str(out)]
    assert main(words) == 2
    assert "--set decimal=comma" in capsys.readouterr().err
    levels = {}
    for sign in ("point", "comma"):
        assert main([*words, "--force", "--set", f"decimal={sign}"]) == 0
        levels[sign] = pd.read_csv(out)["yhat"].mean()
    assert levels["comma"] > 100 * levels["point"], "1.100 is read as eleven hundred"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "new.csv", "--set", "horizon=24"], "setting 'horizon' is the run's own"),
        (["--set", "decimal=comma"], "--data is not given"),
        (["--data", "new.csv", "--set", "decimal=dot"], "setting 'decimal'"),
    ],
)
def test_forecast_takes_no_other_settings(fitted, tmp_path, capsys, words, message):
    assert main(["forecast", str(fitted[0]), "--out", str(tmp_path / "f.csv"), *words]) == 2
    assert message in capsys.readouterr().err


def test_forecast_of_the_same_table_is_the_one_that_the_run_kept(fitted, hourly_csv, tmp_path):
    assert main(["forecast", str(fitted[0]), "--out", str(tmp_path / "kept.csv")]) == 0
    assert main(["forecast", str(fitted[0]), "--data", str(hourly_csv), "--out", str(tmp_path / "anew.csv")]) == 0
    kept, anew = pd.read_csv(tmp_path / "kept.csv"), pd.read_csv(tmp_path / "anew.csv")
    pd.testing.assert_frame_equal(kept, anew, rtol=1e-4)


def test_evaluate_anew_gives_the_scores_that_the_run_kept(fitted, capsys):
    assert main(["evaluate", str(fitted[0]), "--stored", "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(fitted[0]), "--json"]) == 0
    anew = capsys.readouterr()
    assert "evaluating" in anew.err
    for before, after in zip(kept["rows"], json.loads(anew.out)["rows"], strict=True):
        assert (after["model"], after["metric"]) == (before["model"], before["metric"])
        if before["metric"] == "mae":
            assert after["value"] == pytest.approx(before["value"], rel=1e-4)
    assert {row["metric"] for row in kept["rows"]} >= {"mae", "mase"}


@pytest.mark.parametrize(("by", "each"), [("overall", 1), ("channel", 2), ("step", 12)])
def test_evaluate_shows_the_model_beside_the_others(fitted, capsys, by, each):
    assert main(["evaluate", str(fitted[0]), "--stored", "--by", by]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    models = list(RunFolder(fitted[0]).scores().overall["model"])
    assert {"model", "mae", "mase"} <= set(head.split())
    assert {"Time-LLM", "Last value", "Ridge"} <= set(models)
    end = lines.index("")
    assert end == each * len(models)
    assert all(sum(model in line for line in lines[:end]) >= each for model in models)
    assert lines[end + 1] == RunFolder(fitted[0]).verdict("mae").sentence()


def test_attention_draws_a_picture_and_writes_the_numbers(fitted, tmp_path, capsys):
    picture, numbers = tmp_path / "a.png", tmp_path / "a.csv"
    assert main(["attention", str(fitted[0]), "--out", str(picture), "--channel", "price", "--prototypes", "3"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "price" in capsys.readouterr().out
    words = ["--out", str(numbers), "--head", "2", "--cutoff", "2024-01-10 00:00", "--json"]
    assert main(["attention", str(fitted[0]), *words]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["channel"], said["head"], said["window"]["end"]) == ("load", 2, "2024-01-10T00:00:00")
    frame = pd.read_csv(numbers)
    assert len(frame) == said["patches"]
    weights = frame.drop(columns=["patch", "start", "end"])
    assert weights.shape[1] == 20
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    table = tmp_path / "a.parquet"
    assert main(["attention", str(fitted[0]), "--out", str(table), *words[2:]]) == 0
    np.testing.assert_allclose(pd.read_parquet(table)[weights.columns], weights, rtol=1e-5)


def test_attention_less_the_runs_average_and_of_the_largest_head(fitted, tmp_path, capsys):
    shares, deviation, page = (tmp_path / name for name in ("s.csv", "d.csv", "p.html"))
    for out, words in ((shares, []), (deviation, ["--deviation"]), (page, ["--deviation", "--prototypes", "4"])):
        assert main(["attention", str(fitted[0]), "--out", str(out), "--head", "max", *words]) == 0
    weights, less = (pd.read_csv(path).drop(columns=["patch", "start", "end"]) for path in (shares, deviation))
    assert (weights.sum(axis=1) > 1).all()  # the larger of two heads, for each prototype
    average = weights - less
    np.testing.assert_allclose(average, np.tile(average.iloc[0], (len(average), 1)), atol=1e-6)
    assert "maximum over heads" in page.read_text() and "points above" in page.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["attention", "--out", "a.png", "--head", "3"], "--head 3: the run has heads 1 to 2; or write max"),
        (["attention", "--out", "a.png", "--head", "mean"], "--head mean: the run has heads 1 to 2; or write max"),
        (["attention", "--out", "a.png", "--channel", "nothing"], "no channel 'nothing'"),
        (["attention", "--out", "a.png", "--cutoff", "soon"], "--cutoff 'soon' is not a timestamp"),
        (["attention", "--out", "."], "--out . is a folder"),
        (["attention", "--out", "a.txt"], "--out a.txt: end its name in .png, .svg, .pdf, .html, .csv or .parquet"),
        (["forecast", "--out", "nowhere/f.csv"], "there is no folder .*nowhere"),
        (["forecast", "--out", "f.csv", "--data", "none.csv"], "none.csv"),
    ],
)
def test_verb_on_a_run_says_what_is_wrong_and_writes_nothing(fitted, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main([words[0], str(fitted[0]), *words[1:]]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert re.search(message, said.err)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "words", [["evaluate", "--stored"], ["forecast", "--out", "f"], ["attention", "--out", "a.png"]]
)
def test_verb_on_a_folder_that_is_no_run_says_so(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main([words[0], "nothing-here", *words[1:]]) == 2
    assert "nothing-here holds no config.json, so it is not a run folder" in capsys.readouterr().err


def test_file_that_is_there_is_replaced_only_on_demand(fitted, hourly_csv, tmp_path, monkeypatch, capsys):
    folder, mine = fitted[0], tmp_path / "mine.csv"
    for verb in ("forecast", "attention"):
        mine.write_text("my own work")
        assert main([verb, str(folder), "--out", str(mine)]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert "is there already; name another file, or give --force to replace it" in said.err
        assert mine.read_text() == "my own work"
        assert main([verb, str(folder), "--out", str(mine), "--force"]) == 0
        assert mine.read_text() != "my own work"
        capsys.readouterr()


def test_table_and_files_of_the_run_are_never_replaced(fitted, hourly_csv, tmp_path, capsys):
    folder, newer = fitted[0], tmp_path / "newer.csv"
    shutil.copy(hourly_csv, newer)
    link = tmp_path / "link.csv"
    link.symlink_to(hourly_csv)
    for words in (
        ["--out", str(hourly_csv)],
        ["--out", str(link)],
        ["--out", str(newer), "--data", str(newer)],
        ["--out", str(folder / "scores.json")],
    ):
        before = Path(words[1]).read_bytes()
        assert main(["forecast", str(folder), *words, "--force"]) == 2
        assert "is the run's own or the table that is read; name another file" in capsys.readouterr().err
        assert Path(words[1]).read_bytes() == before


def test_names_that_a_spreadsheet_would_calculate_are_written_as_text(fitted, tmp_path, capsys):
    folder = Path(shutil.copytree(fitted[0], tmp_path / "run"))
    future = RunFolder(folder).future().replace({"unique_id": {"load": "=1+1"}})
    RunFolder(folder).save_future(future)
    assert main(["forecast", str(folder), "--out", str(tmp_path / "f.csv")]) == 0
    written = pd.read_csv(tmp_path / "f.csv")
    assert set(written["unique_id"]) == {"'=1+1", "price"}
    np.testing.assert_allclose(written["yhat"], future["yhat"])
